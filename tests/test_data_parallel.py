"""Processes that share batches: two of them are one with the whole batch, to rounding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import eqgan
from eqgan.games import GAN, DataParallelGAN, Mixed
from eqgan.gan.networks import mlp
from eqgan.gan.objectives import Wasserstein

ORACLE = eqgan.GradientOracle(steps=5, restarts=1)

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def game(kind: type[GAN], objective) -> GAN:  # type: ignore[no-untyped-def]
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        networks = [mlp([2, 8, 2], nn.Tanh).double(), mlp([2, 8, 1], nn.Tanh).double()]
    data = eqgan.data.ring(200, std=0.02).samples
    return kind(*networks, data, noise_dim=2, objective=objective, batch_size=12)


def outcomes(kind: type[GAN]) -> dict[str, torch.Tensor]:
    """Train in many ways; return where each run came, its value and its gap."""
    cases = {
        "minimax": (game(kind, "minimax"), "extragradient"),
        "non_saturating": (game(kind, "non_saturating"), "simultaneous_gradient"),
        "penalty": (game(kind, Wasserstein(penalty=10.0)), "alternating_gradient"),
        "second order": (game(kind, "minimax"), "consensus"),
        "two losses, second order": (game(kind, "non_saturating"), "symplectic_gradient"),
        "mixture": (Mixed(game(kind, "minimax"), (2, 3)), "mix_gan"),
        "mixture, penalty": (Mixed(game(kind, Wasserstein(penalty=1.0)), (2, 2)), "mix_gan"),
    }
    found = {}
    for name, (players, solver) in cases.items():
        init = players.random(players.generator(1))
        run = eqgan.solve(players, solver, init=init, max_steps=12, seed=5)
        found[name] = torch.cat([leaf.flatten() for leaf in run.profile.leaves()])
        found[f"value of {name}"] = torch.tensor(run.value)
    proof = eqgan.certify(players, run.profile, ORACLE, seed=2)
    return {**found, "gap": torch.tensor(proof.nash_conv)}


TOGETHER = """
import datetime, glob, sys, torch
import torch.distributed as dist
sys.path.insert(0, {tests!r})
import eqgan
from test_data_parallel import game, outcomes
from eqgan.games import DataParallelGAN, Mixed
torch.set_num_threads(1)
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
share = game(DataParallelGAN, "minimax").sample(torch.Generator().manual_seed(0))
assert all(part is None or len(part) == 6 for part in share)
found = outcomes(DataParallelGAN)
for tensor in found.values():
    both = [torch.empty_like(tensor) for _ in range(2)]
    dist.all_gather(both, tensor)
    assert torch.equal(*both)
for players in (game(DataParallelGAN, "minimax"), Mixed(game(DataParallelGAN, "minimax"), (2, 2))):
    options = dict(time_limit=0.05, max_steps=10**6, check_every=10**5)
    run = eqgan.solve(players, "simultaneous_gradient", **options)
    assert run.status is eqgan.Status.TIME_LIMIT
for seed, batch in ((dist.get_rank(), 12), (0, 13)):
    data = eqgan.data.ring(50, seed=seed).samples
    try:
        DataParallelGAN(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1), data, 2, batch_size=batch)
    except eqgan.InvalidInput as error:
        found[str(error)] = torch.zeros(())
if dist.get_rank() == 0:
    torch.save(found, sys.argv[1])
dist.barrier()
dist.destroy_process_group()
# Threads of a group that something still holds end the process at exit, once in thirty times.
assert not any("gloo" in open(name).read() for name in glob.glob("/proc/self/task/*/comm"))
"""


def test_two_processes_are_one_with_the_whole_batch(tmp_path: Path) -> None:
    script = tmp_path / "together.py"
    script.write_text(TOGETHER.format(tests=str(Path(__file__).parent)))
    result = subprocess.run(
        [*TORCHRUN, str(script), str(tmp_path / "found.pt")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert result.returncode == 0, result.stderr
    found, alone = torch.load(tmp_path / "found.pt"), outcomes(GAN)
    for name, expected in alone.items():
        torch.testing.assert_close(found[name], expected, rtol=1e-8, atol=1e-10)
    wrong = " ".join(found.keys() - alone.keys())
    assert "same data" in wrong
    assert "batch_size should be a multiple of the 2 processes that share it; got 13" in wrong


def test_without_processes_one_sentence_says_what_to_do() -> None:
    with pytest.raises(eqgan.InvalidInput, match="start the script with torchrun"):
        game(DataParallelGAN, "minimax")


@pytest.mark.slow
def test_the_example_says_the_same_from_one_process_and_from_two() -> None:
    example = str(Path(__file__).parents[1] / "examples" / "data_parallel_gan.py")
    lines = []
    for command in ([sys.executable], TORCHRUN):
        result = subprocess.run(
            [*command, example, "--steps", "5"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert result.returncode == 0, result.stderr
        lines.append(result.stdout.splitlines())
    (one, *rest), (two, *same) = lines
    assert one == "1 processes, 128 of 128 samples each"
    assert two == "2 processes, 64 of 128 samples each"
    assert rest[0][:-3] == same[0][:-3]  # all but the last digits, which rounding decides
