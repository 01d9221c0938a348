"""Memory that runs out: one sentence, with the number of atoms that would fit."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from test_gan import ring, seeded

import eqgan
from eqgan.games import GAN, Mixed
from eqgan.gan.networks import mlp
from eqgan.memory import _at_most_what_is_free, _free

torch.set_num_threads(1)

CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried "
    "to allocate 4096 bytes. Error code 12 (Cannot allocate memory)\nframe #0: and more"
)
CUDA = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 4.00 KiB.\nMore")


class Short(GAN):
    """A GAN on a machine where a table of `most` pairs or more does not fit."""

    most: int = 17
    error: Exception = CPU

    def pair_payoffs(self, xs: Any, ys: Any, batch: Any = None) -> torch.Tensor:
        if len(xs) * len(ys) >= self.most:
            raise self.error
        return super().pair_payoffs(xs, ys, batch)


def short(most: int = 17, error: Exception = CPU) -> Short:
    networks = seeded(lambda: (mlp([2, 4, 2]), mlp([2, 4, 1])))
    gan = Short(*networks, ring()[0], 2, batch_size=8)
    gan.most, gan.error = most, error
    return gan


@pytest.mark.parametrize("error", [CPU, CUDA, MemoryError()], ids=["cpu", "cuda", "python"])
@pytest.mark.parametrize("most", [17, 5, 2])
def test_the_largest_mixture_that_fits_is_named(most: int, error: Exception) -> None:
    mix = Mixed(short(most, error), (12, 12))
    fits = int((most - 1) ** 0.5)
    with pytest.raises(eqgan.OutOfMemory, match=rf"T = {fits} fits.*\({fits}, {fits}\)") as told:
        eqgan.solve(mix, "mix_gan", max_steps=2)
    assert isinstance(told.value, eqgan.EqganError)
    assert isinstance(told.value, MemoryError)
    assert "\n" not in str(told.value)
    assert "frame" not in str(told.value)
    if error is CPU:
        assert "(can't allocate memory: you tried to allocate 4096 bytes" in str(told.value)
    assert eqgan.solve(Mixed(mix.base, (fits, fits)), "mix_gan", max_steps=2).steps == 2


def test_where_no_mixture_fits_or_there_is_none_it_says_so() -> None:
    gan = short()
    gan.payoff = lambda z, batch=None: (_ for _ in ()).throw(CPU)  # type: ignore[method-assign]
    gan.most = 0
    with pytest.raises(eqgan.OutOfMemory, match="Not even one atom a player fits"):
        eqgan.solve(Mixed(gan, (4, 2)), "mix_gan", max_steps=2)
    with pytest.raises(eqgan.OutOfMemory, match="A smaller batch, smaller networks or float32"):
        eqgan.solve(gan, max_steps=2)


def test_other_errors_pass_as_they_are() -> None:
    gan = short(error=RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match=r"^shapes do not match$"):
        eqgan.solve(Mixed(gan, (9, 9)), "mix_gan", max_steps=2)


LITTLE_MEMORY = """
import resource, sys, torch
torch.set_num_threads(1)
torch.manual_seed(0)
import eqgan
from eqgan.gan.networks import mlp
networks = mlp([2, 500, 500, 2]), mlp([2, 500, 500, 1])
gan = eqgan.games.GAN(*networks, torch.randn(99, 2), 2, batch_size=8)
rule = eqgan.Adam(1e-3)
eqgan.solve(eqgan.games.Mixed(gan, (2, 2)), eqgan.solvers.MixGan(rule), max_steps=1)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 150_000_000, -1))
size = int(sys.argv[1])
run = eqgan.solve(eqgan.games.Mixed(gan, (size, size)), eqgan.solvers.MixGan(rule), max_steps=4)
print(run.steps)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and RLIMIT_AS")
def test_a_mixture_that_truly_does_not_fit_names_one_that_does() -> None:
    def run(size: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", LITTLE_MEMORY, str(size)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    last = run(20).stderr.strip().splitlines()[-1]
    found = re.search(r"T = (\d+) fits, by two steps of it", last)
    assert last.startswith("eqgan.errors.OutOfMemory: Mixed(GAN("), last
    assert found, last
    assert 1 <= int(found[1]) < 20
    assert run(int(found[1])).stdout == "4\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and RLIMIT_AS")
def test_the_search_for_what_fits_takes_no_more_than_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import resource

    # Linux promises what it does not have: the first refusal comes long after what would fit.
    gan = GAN(mlp([2, 900, 900, 2]), mlp([2, 4, 1]), torch.randn(99, 2), 2, batch_size=8)
    refused = iter([CPU])

    def uniform(self: Mixed, profiles: Any) -> eqgan.Profile:
        for error in refused:
            raise error
        return whole(self, profiles)

    whole = Mixed.uniform
    monkeypatch.setattr(Mixed, "uniform", uniform)
    monkeypatch.setattr("eqgan.memory._free", lambda: 200_000_000)  # 60 networks of 3.3 MB
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(eqgan.OutOfMemory, match=r"T = \d+ fits") as told:
        eqgan.solve(Mixed(gan, (200, 1)), "mix_gan", max_steps=1)
    found = re.search(r"T = (\d+) fits", str(told.value))
    assert found
    assert 1 <= int(found[1]) < 60
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs RLIMIT_AS")
def test_two_searches_at_once_leave_no_limit_behind() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)

    def search() -> None:
        with _at_most_what_is_free():
            pass

    another = threading.Thread(target=search)
    with _at_most_what_is_free():
        another.start()
        another.join(0.2)
        assert another.is_alive()  # and has not taken this limit for the user's
    another.join()
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_what_is_free_is_the_least_of_the_machines_and_the_containers(tmp_path: Path) -> None:
    proc, group = tmp_path / "proc", tmp_path / "sys/fs/cgroup"
    for folder in (proc, group):
        folder.mkdir(parents=True)
    (proc / "meminfo").write_text("MemFree:   1000 kB\nHugePages_Total:  0\n")
    assert _free(tmp_path) == 1000 * 1024
    (proc / "meminfo").write_text("MemFree:   1000 kB\nMemAvailable:   3000 kB\n")
    assert _free(tmp_path) == 3000 * 1024
    (group / "memory.current").write_text("900000\n")
    (group / "memory.max").write_text("max\n")
    (group / "memory.stat").write_text("anon 100000\ninactive_file 800000\n")
    assert _free(tmp_path) == 3000 * 1024
    (group / "memory.max").write_text("1000000\n")
    # Of 900,000 bytes in use 800,000 are what was read of files.
    assert _free(tmp_path) == 900_000
