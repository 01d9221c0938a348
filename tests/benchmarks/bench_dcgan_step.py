"""A simultaneous Adam step of a DCGAN on 28 x 28 images: the library beside a hand-written loop.

The loop is the best that we could write: one shared graph, one fused Adam. Both train the same
networks on batches drawn the same way, in one process and in turn, so that the ratio holds when the
machine's speed drifts. bfloat16 is compared with float32 likewise. Times are the process's own on
one thread, so that others on the machine take little part. Run with ``make bench``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from steps import step_of
from torch import nn
from torch.nn.functional import logsigmoid

import eqgan
from eqgan.gan.networks import dcgan_discriminator, dcgan_generator

NOISE, BATCH = 64, 64

Step = Callable[[], None]


def networks(width: int) -> tuple[nn.Sequential, nn.Sequential]:
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        return dcgan_generator(28, 1, NOISE, width), dcgan_discriminator(28, 1, width)


def images() -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.rand(2000, 1, 28, 28, generator=rng) * 2 - 1


def library_step(width: int, objective: str, batch: int = BATCH, **options: Any) -> Step:
    """One step of `simultaneous_gradient` with Adam, as `solve` takes it."""
    gan = eqgan.games.GAN(*networks(width), images(), NOISE, objective, batch_size=batch, **options)
    solver = eqgan.solvers.SimultaneousGradient(rule=eqgan.Adam(2e-4, betas=(0.5, 0.999)))
    return step_of(gan, solver)


def hand_written_step(width: int, objective: str) -> Step:
    """The loop that people write when they mind the time."""
    generator, discriminator = networks(width)
    data, rng = images(), torch.Generator().manual_seed(0)
    mine, theirs = (list(module.parameters()) for module in (generator, discriminator))
    groups = [{"params": mine}, {"params": theirs, "maximize": True}]
    optimizer = torch.optim.Adam(groups, 2e-4, (0.5, 0.999), fused=True)

    def step() -> None:
        real = data.index_select(0, torch.randint(len(data), (BATCH,), generator=rng))
        fake = generator(torch.randn(BATCH, NOISE, generator=rng))
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


def seconds(step: Step, repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        step()
    return (time.process_time() - start) / repeats


def ratio(ours: Step, theirs: Step, rounds: int = 30, repeats: int = 3) -> tuple[float, ...]:
    """Time both in turn; return the medians in seconds, the median of the ratios and its error."""
    seconds(ours, 3), seconds(theirs, 3)
    pairs = []
    for turn in range(rounds):
        # Whoever comes second finds a warmer cache: take turns at it.
        first, second = (ours, theirs) if turn % 2 else (theirs, ours)
        times = seconds(first, repeats), seconds(second, repeats)
        pairs.append(times if turn % 2 else times[::-1])
    quotients = [a / b for a, b in pairs]
    spread = 1.25 * statistics.stdev(quotients) / rounds**0.5
    medians = (statistics.median(side) for side in zip(*pairs, strict=True))
    return *medians, statistics.median(quotients), spread


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("objective", ["minimax", "non_saturating"])
def test_ratio_to_hand_written_loop(
    width: int, objective: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    ours, theirs, quotient, error = ratio(
        library_step(width, objective), hand_written_step(width, objective)
    )
    with capsys.disabled():
        print(
            f"\nDCGAN28 step, {objective}, width {width}: library {1e3 * ours:.1f} ms, "
            f"hand-written {1e3 * theirs:.1f} ms, ratio {quotient:.3f} ± {error:.3f}"
        )


@pytest.mark.parametrize(("width", "batch"), [(32, 64), (64, 64), (64, 256)])
@pytest.mark.parametrize("objective", ["minimax", "non_saturating"])
def test_ratio_of_bfloat16_to_float32(
    width: int, batch: int, objective: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    ours, theirs, quotient, error = ratio(
        library_step(width, objective, batch, precision="bfloat16"),
        library_step(width, objective, batch),
        rounds=30 * BATCH // batch,
    )
    with capsys.disabled():
        print(
            f"\nDCGAN28 step, {objective}, width {width}, batch {batch}: "
            f"bfloat16 {1e3 * ours:.1f} ms, float32 {1e3 * theirs:.1f} ms, "
            f"ratio {quotient:.3f} ± {error:.3f}"
        )


@pytest.mark.parametrize("width", [32, 64])
def test_ratio_of_compiled_to_plain(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    ours, theirs, quotient, error = ratio(
        library_step(width, "minimax", compile=True), library_step(width, "minimax")
    )
    with capsys.disabled():
        print(
            f"\nDCGAN28 step, width {width}: compiled {1e3 * ours:.1f} ms, "
            f"plain {1e3 * theirs:.1f} ms, ratio {quotient:.3f} ± {error:.3f}"
        )
