"""Random games whose best responses are known: lower <= true <= upper for every class."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance
from test_bounds import QUICK, SAMPLES, shares, table_game
from torch import nn
from torch.func import vmap

import eqgan
from eqgan import certify
from eqgan.games import GAN, FixedGAN
from eqgan.gan import objectives, spectral_norm

OUTPUTS = torch.cat((torch.linspace(-30, 30, 60_001), torch.tensor([0.0, 1.0, -1.0]))).double()
"""What a table may say of a point: the best of these is the best of all, to 1e-6."""

TABLES = [
    *(objectives.NonSaturating(), objectives.Measured("log"), objectives.Measured("identity")),
    *(objectives.Measured("bounded_log", 0.2), objectives.JensenShannon(0.3)),
    *(objectives.LeastSquares(), objectives.Hinge()),
]


@settings(max_examples=30)
@given(SAMPLES, SAMPLES, st.sampled_from(TABLES), st.integers(0, 10**6))
def test_every_objective_is_bounded_on_finite_supports(
    real: list[int], fake: list[int], objective: objectives.Objective, seed: int
) -> None:
    """Against the best of all tables, entry by entry, and the best corner for the generator."""
    game, z = table_game(real, fake, objective=objective)
    weights = 2 * torch.randn(5, generator=torch.Generator().manual_seed(seed)).double()
    z = z.replace(1, weights)
    proof = certify(game, z, QUICK)
    # The payoff is a sum over points of p a(D) + q b(D), with a and b those of single samples.
    base = objective.payoff(OUTPUTS[:1], OUTPUTS[:1])
    a = vmap(lambda t: objective.payoff(t[None], OUTPUTS[:1]))(OUTPUTS) - base
    b = vmap(lambda t: objective.payoff(OUTPUTS[:1], t[None]))(OUTPUTS) - base
    p, q = shares(real), shares(fake)
    best = float((p[:, None] * a + q[:, None] * b).amax(1).sum() + base)
    discriminators = best - float(game.payoff(z))
    assert float(proof.lower[1]) <= discriminators + 1e-5
    assert float(proof.upper[1]) == pytest.approx(discriminators, abs=1e-5)
    if type(objective) is objectives.LeastSquares:
        assert math.isinf(float(proof.upper[0]))
        return
    top = weights[:4].relu().sum() + weights[4]
    floor = objective.payoff((weights[:4] + weights[4])[real], top[None])
    generators = float(game.payoff(z) - floor)
    assert float(proof.lower[0]) <= generators + 1e-9
    assert generators - 1e-9 <= float(proof.upper[0]) <= generators + 2e-3


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 8), st.booleans())
def test_intervals_of_linear_critics_in_one_dimension(seed: int, n: int, apart: bool) -> None:
    """The best 1-Lipschitz one of them receives the distance of the means, known exactly."""
    rng = torch.Generator().manual_seed(seed)
    real, noise = (torch.randn(n, 1, generator=rng).double() for _ in range(2))
    if apart:
        real = real.abs() + noise.max() + 0.1
    gan = GAN(nn.Linear(1, 1), spectral_norm(nn.Linear(1, 1)), real, 1, objectives.Wasserstein())
    game = FixedGAN(gan, real, noise)
    slope = float(torch.randn((), generator=rng))
    z = game.as_profile(([1.0, 0.0], [slope, 0.0]))
    proof = certify(game, z, QUICK)
    value = float(game.payoff(z))
    true = float((real.mean() - noise.mean()).abs()) - value
    most = float(wasserstein_distance(real[:, 0], noise[:, 0])) - value
    assert float(proof.lower[1]) <= true + 1e-9
    assert true - 1e-9 <= most <= float(proof.upper[1]) + 1e-9
    assert float(proof.upper[1]) == pytest.approx(most, abs=1e-6)
    if apart:
        # All data lie on one side: no 1-Lipschitz function is better than a line.
        assert float(proof.upper[1]) == pytest.approx(true, abs=1e-6)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 6), st.sampled_from([0.1, 1.0]), st.booleans())
def test_linear_classes_are_answered_exactly(seed: int, d: int, size: float, box: bool) -> None:
    """In a box the mean difference counts in the l1 norm, in a ball in its own."""
    rng = torch.Generator().manual_seed(seed)
    real, noise = (torch.randn(5, d, generator=rng).double() for _ in range(2))
    gan = GAN(nn.Linear(d, d), nn.Linear(d, 1, bias=False), real, d, objectives.Wasserstein(size))
    game = FixedGAN(gan, real, noise)
    if not box:
        game.spaces = (game.spaces[0], eqgan.Ball(d, size))
    x = torch.cat((torch.eye(d).flatten(), torch.zeros(d))).double()
    z = game.as_profile((x, game.random(rng)[1]))
    proof = certify(game, z, QUICK)
    difference = real.mean(0) - noise.mean(0)
    most = size * float(difference.abs().sum() if box else difference.norm())
    assert float(proof.lower[1]) == float(proof.upper[1])
    assert float(proof.upper[1]) == pytest.approx(most - float(game.payoff(z)), abs=1e-12)
    assert "no upper bound for the generator" in proof.proof


def test_what_is_not_proved_is_said_within_the_sentence() -> None:
    make = nn.Sequential(nn.Linear(2, 9), nn.Unflatten(1, (1, 3, 3)), nn.Tanh())
    judge = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten())
    gan = GAN(make, judge, torch.zeros(4, 1, 3, 3), 2)
    proof = certify(FixedGAN.draw(gan, 4), gan.initial(gan.generator(0)), QUICK)
    assert "No bounds over a box are known for a Conv2d" in proof.proof
    assert "in a Sequential have them; every discriminator" in proof.proof
