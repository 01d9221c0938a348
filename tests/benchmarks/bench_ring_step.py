"""A simultaneous Adam step on the ring: the library beside a hand-written torch loop.

Both train the same networks on batches drawn the same way, in one process and in turn, so that the
ratio holds when the machine's speed drifts. Times are the process's own on one thread. Run with
``make bench``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
import torch
from steps import step_of
from torch import nn
from torch.nn.functional import logsigmoid

import eqgan
from eqgan.gan.networks import mlp

BATCH = 256
WIDTH = 128


def networks() -> tuple[nn.Sequential, nn.Sequential]:
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        return mlp([2, WIDTH, WIDTH, 2]), mlp([2, WIDTH, WIDTH, 1])


def ring() -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    angle = torch.randint(8, (100_000,), generator=rng) * (2 * torch.pi / 8)
    centers = torch.stack((angle.cos(), angle.sin()), 1)
    return centers + 0.01 * torch.randn(100_000, 2, generator=rng)


def library_step(objective: str, compiled: bool = False) -> Callable[[], None]:
    """One step of `simultaneous_gradient` with Adam, as `solve` takes it."""
    options = {"objective": objective, "batch_size": BATCH, "compile": compiled}
    gan = eqgan.games.GAN(*networks(), ring(), noise_dim=2, **options)
    solver = eqgan.solvers.SimultaneousGradient(rule=eqgan.Adam(1e-3, betas=(0.5, 0.9)))
    return step_of(gan, solver)


def hand_written_step(objective: str, fused: bool = False) -> Callable[[], None]:
    """The loop that people write: one shared graph, one `torch.optim.Adam`."""
    generator, discriminator = networks()
    data, rng = ring(), torch.Generator().manual_seed(0)
    mine, theirs = (list(module.parameters()) for module in (generator, discriminator))
    groups = [{"params": mine}, {"params": theirs, "maximize": True}]
    optimizer = torch.optim.Adam(groups, 1e-3, (0.5, 0.9), fused=fused)

    def step() -> None:
        real = data.index_select(0, torch.randint(len(data), (BATCH,), generator=rng))
        fake = generator(torch.randn(BATCH, 2, generator=rng))
        scores = discriminator(fake)
        payoff = logsigmoid(discriminator(real)).mean() + logsigmoid(-scores).mean()
        optimizer.zero_grad()
        if objective == "minimax":
            payoff.backward()
        else:
            (-logsigmoid(scores).mean()).backward(inputs=mine, retain_graph=True)
            payoff.backward(inputs=theirs)
        optimizer.step()

    return step


def seconds(step: Callable[[], None], repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        step()
    return (time.process_time() - start) / repeats


def ratio(
    ours: Callable[[], None], theirs: Callable[[], None], rounds: int = 100
) -> tuple[float, ...]:
    """Time both in turn; return the medians in seconds, the median of the ratios and its error."""
    seconds(ours, 50), seconds(theirs, 50)
    pairs = []
    for turn in range(rounds):
        # Whoever comes second finds a warmer cache: take turns at it.
        first, second = (ours, theirs) if turn % 2 else (theirs, ours)
        times = seconds(first, 10), seconds(second, 10)
        pairs.append(times if turn % 2 else times[::-1])
    quotients = [a / b for a, b in pairs]
    spread = 1.25 * statistics.stdev(quotients) / rounds**0.5
    medians = (statistics.median(side) for side in zip(*pairs, strict=True))
    return *medians, statistics.median(quotients), spread


@pytest.mark.parametrize("objective", ["minimax", "non_saturating"])
@pytest.mark.parametrize("fused", [False, True], ids=["adam", "fused_adam"])
def test_ratio_to_hand_written_loop(
    objective: str, fused: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    ours, theirs, quotient, error = ratio(
        library_step(objective), hand_written_step(objective, fused)
    )
    with capsys.disabled():
        print(
            f"\nring step, {objective}, hand-written with fused={fused}: "
            f"library {1e3 * ours:.3f} ms, hand-written {1e3 * theirs:.3f} ms, "
            f"ratio {quotient:.3f} ± {error:.3f}"
        )


@pytest.mark.parametrize("objective", ["minimax", "non_saturating"])
def test_ratio_of_compiled_to_plain(objective: str, capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    compiled, plain = library_step(objective, compiled=True), library_step(objective)
    start = time.perf_counter()
    compiled()
    took = time.perf_counter() - start
    ours, theirs, quotient, error = ratio(compiled, plain)
    with capsys.disabled():
        print(
            f"\nring step, {objective}: compiled {1e3 * ours:.3f} ms after {took:.0f} s of "
            f"compiling, plain {1e3 * theirs:.3f} ms, ratio {quotient:.3f} ± {error:.3f}"
        )


@pytest.mark.parametrize("kind", ["library", "hand_written"])
def test_step_time(kind: str, benchmark) -> None:  # type: ignore[no-untyped-def]
    torch.set_num_threads(1)
    step = library_step("minimax") if kind == "library" else hand_written_step("minimax")
    seconds(step, 50)
    benchmark(step)
