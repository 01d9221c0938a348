"""Memory that a step frees serves the next one."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource
import torch
import eqgan

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.zeros(2**20) for _ in range(8)]
    del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

eqgan.solve(eqgan.games.classics.rock_paper_scissors(), "extragradient", max_steps=1)
print(*[faults() for _ in range(10)])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries do as they do")
def test_memory_that_a_step_frees_serves_the_next() -> None:
    command = [sys.executable, "-c", COUNT_FAULTS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, *_, last = map(int, done.stdout.split())
    # 32 MiB are 8192 pages, fetched by every round if they went back in between.
    assert last < 100 < first
