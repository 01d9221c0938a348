"""What the whole suite shares: one thread a process, no chance, every device there is."""

from __future__ import annotations

import os

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)

# The same examples in every run, and no time limit on a machine that others use as well.
settings.register_profile("eqgan", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("eqgan")

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    """Every device of this machine: a test that takes it runs on a GPU too, where there is one."""
    return torch.device(request.param)
