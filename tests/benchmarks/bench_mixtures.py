"""A MIX+GAN step on the ring beside hand-written loops over its pairs. Run with ``make bench``.

The loops hold plain modules, differentiate one expected payoff by one backward pass and step with
one fused Adam. The naive one evaluates every discriminator on data and fakes anew for each of the
T x T pairs; the better one makes each generator's fakes once and shows each discriminator all
samples at once. All run in turn in one process, on one thread, timed by the process's own clock.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
import torch
from steps import step_of
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

import eqgan
from eqgan import data
from eqgan.gan.networks import mlp

T = 5
RATE, BETAS, ENTROPY = 1e-3, (0.5, 0.9), 0.1


def networks() -> tuple[nn.Module, nn.Module]:
    return mlp([2, 128, 128, 2]), mlp([2, 128, 128, 1])


def by_hand(samples: Tensor, batch: int, table: Callable[..., Tensor]) -> Callable[[], None]:
    """Return a step of a hand-written MIX+GAN loop whose payoffs `table` computes."""
    generators, discriminators = zip(*(networks() for _ in range(T)), strict=True)
    logits = [torch.zeros(T, requires_grad=True) for _ in range(2)]
    players = [
        [*(p for n in side for p in n.parameters()), weight]
        for side, weight in zip((generators, discriminators), logits, strict=True)
    ]
    groups = [{"params": players[0]}, {"params": players[1], "maximize": True}]
    optimizer = torch.optim.Adam(groups, RATE, BETAS, fused=True)

    def step() -> None:
        real = samples.index_select(0, torch.randint(len(samples), (batch,)))
        payoffs = table(generators, discriminators, real, torch.randn(batch, 2))
        weights = [w.softmax(0) for w in logits]
        optimizer.zero_grad()
        (weights[0] @ payoffs @ weights[1]).backward()
        for sign, weight, logit in zip((1, -1), weights, logits, strict=True):
            assert logit.grad is not None
            logit.grad += sign * ENTROPY * (weight.detach() - 1 / T)
        optimizer.step()

    return step


def naive(gs: list[nn.Module], ds: list[nn.Module], real: Tensor, noise: Tensor) -> Tensor:
    return torch.stack(
        [
            torch.stack([logsigmoid(d(real)).mean() + logsigmoid(-d(g(noise))).mean() for d in ds])
            for g in gs
        ]
    )


def concatenated(gs: list[nn.Module], ds: list[nn.Module], real: Tensor, noise: Tensor) -> Tensor:
    everything = torch.cat([real, *(g(noise) for g in gs)])
    scores = torch.stack([d(everything).reshape(1 + T, -1) for d in ds], 1)
    return logsigmoid(scores[0]).mean(1) + logsigmoid(-scores[1:]).mean(2)


def library(samples: Tensor, batch: int) -> Callable[[], None]:
    gan = eqgan.games.GAN(*networks(), samples, noise_dim=2, batch_size=batch)
    mix = eqgan.games.Mixed(gan, (T, T))
    solver = eqgan.solvers.MixGan(rule=eqgan.Adam(RATE, betas=BETAS), entropy=ENTROPY)
    return step_of(mix, solver)


@pytest.mark.parametrize("batch", [64, 256])
def test_mixture_step(batch: int, capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    samples = data.ring(20_000).samples
    steps = {
        "library": library(samples, batch),
        "naive loop": by_hand(samples, batch, naive),
        "concatenated loop": by_hand(samples, batch, concatenated),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(100):
        # Whoever comes later finds another cache: take turns at it.
        for name, step in list(steps.items())[:: 1 if turn % 2 else -1]:
            start = time.process_time()
            step()
            times[name].append(time.process_time() - start)
    medians = {name: statistics.median(t[5:]) for name, t in times.items()}
    with capsys.disabled():
        print(f"\nMIX+GAN, T = {T}, batch {batch}:")
        for name, seconds in medians.items():
            ratios = [a / b for a, b in zip(times["library"][5:], times[name][5:], strict=True)]
            print(
                f"    {name:20} {1e3 * seconds:7.2f} ms a step, the library's takes "
                f"{statistics.median(ratios):.2f} of it"
            )
