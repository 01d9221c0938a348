"""What the best function of a class receives: attained where it is a supremum, never exceeded."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance, wasserstein_distance_nd
from torch import Tensor, nn

import eqgan
from eqgan.bounds import BoundOracle, lipschitz_constant
from eqgan.games import GAN, FiniteGAN, FixedGAN
from eqgan.gan import ceilings, spectral_norm
from eqgan.gan.objectives import (
    FDivergence,
    Hinge,
    JensenShannon,
    LeastSquares,
    Measured,
    Minimax,
    NonSaturating,
    Objective,
    Wasserstein,
)

TABLES = [
    Minimax(),
    NonSaturating(),
    Measured("log"),
    Measured("bounded_log", 0.2),
    Measured("identity"),
    JensenShannon(0.3),
    LeastSquares(),
    Hinge(),
]
REAL, FAKE = [0, 1, 1, 1, 1, 2], [0, 0, 0, 1, 3]
"""Points that both samples have, and one each that only one has."""


def climbed(objective: Objective) -> float:
    """Return the payoff that gradient ascent reaches on a table of outputs, one a point."""
    table = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([table], lr=0.1, maximize=True)
    highest = -math.inf
    for _ in range(600):
        optimizer.zero_grad()
        payoff = objective.payoff(table[REAL], table[FAKE])
        highest = max(highest, float(payoff.detach()))
        payoff.backward()
        optimizer.step()
    return highest


@pytest.mark.parametrize("objective", TABLES, ids=str)
def test_the_best_of_all_functions_is_what_a_table_climbs_to(objective: Objective) -> None:
    points = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    most = float(ceilings.all_functions(objective, points[REAL], points[FAKE]))
    assert most - 2e-3 <= climbed(objective) <= most + 1e-9


def test_the_log_ceiling_is_twice_the_divergence_less_two_log_two() -> None:
    points = torch.arange(2.0)[:, None]
    most = ceilings.all_functions(Minimax(), points[[0, 1, 1, 1, 1]], points[[0, 0, 0, 1, 1]])
    assert float(most) == pytest.approx(2 * 0.0863046 - 2 * math.log(2), abs=1e-7)
    same = ceilings.all_functions(Minimax(), points, points)
    assert float(same) == pytest.approx(-2 * math.log(2), abs=1e-12)
    assert float(ceilings.all_functions(Minimax(), points, points + 5)) == 0.0


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 3))
def test_the_lipschitz_supremum_is_the_wasserstein_distance(seed: int, n: int, d: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    real, fake = (torch.randn(n, d, generator=rng).double() for _ in range(2))
    found = float(ceilings.lipschitz(Wasserstein(), real, fake, 2.0))
    peer = (
        wasserstein_distance_nd(real, fake)
        if d > 1
        else wasserstein_distance(real[:, 0], fake[:, 0])
    )
    assert found == pytest.approx(2 * float(peer), abs=1e-7)


def steep(points: Tensor, centres: Tensor, heights: Tensor, constant: float) -> Tensor:
    """Return a function of Lipschitz constant L: the least of cones."""
    return (heights + constant * torch.cdist(points, centres)).amin(1)


@settings(max_examples=20)
@given(
    st.integers(0, 10**6),
    st.sampled_from(sorted(ceilings.PAIRS, key=lambda kind: kind.__name__)),
    st.sampled_from([0.1, 1.0, 10.0]),
)
def test_no_lipschitz_function_receives_more(
    seed: int, kind: type[Objective], constant: float
) -> None:
    rng = torch.Generator().manual_seed(seed)
    real, fake = (torch.randn(6, 2, generator=rng).double() for _ in range(2))
    most = float(ceilings.lipschitz(kind(), real, fake, constant))
    heights = torch.zeros(12, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([heights], lr=0.1, maximize=True)
    centres = torch.cat((real, fake))
    for _ in range(60):
        optimizer.zero_grad()
        outputs = steep(centres, centres, heights, constant)
        payoff = kind().payoff(outputs[:6], outputs[6:])
        assert float(payoff.detach()) <= most + 1e-9
        payoff.backward()
        optimizer.step()


@pytest.mark.parametrize("kind", ceilings.PAIRS)
def test_one_pair_of_samples_receives_just_that(kind: type[Objective]) -> None:
    real, fake = torch.zeros(1, 1), torch.full((1, 1), 0.7)
    base = torch.linspace(-5, 5, 20_001).double()
    payoffs = [kind().payoff(b[None] + 0.7, b[None]) for b in base[::10]]
    most = float(ceilings.lipschitz(kind(), real, fake, 1.0))
    assert float(torch.stack(payoffs).max()) == pytest.approx(most, abs=1e-5)


def test_a_finite_gan_agrees_with_its_samples() -> None:
    points = torch.tensor([0.0, 0.5, 2.0])
    real, fake = points[[0, 0, 1, 2, 2]], points[[0, 1, 1, 1, 2]]
    game = FiniteGAN([0.4, 0.2, 0.4], "wasserstein", points)
    z = game.as_profile(([0.2, 0.6, 0.2], [0.0, 0.0]))
    exact = eqgan.certify(game, z).regrets["discriminator"]
    most = ceilings.lipschitz(Wasserstein(), real[:, None], fake[:, None], 1.0)
    assert float(most) == pytest.approx(exact, abs=1e-7)


def gaussian(a: Tensor, b: Tensor) -> Tensor:
    return (-torch.cdist(a, b).square() / 2).exp()


@given(
    st.integers(0, 10**6),
    st.integers(1, 8),
    st.integers(1, 8),
    st.sampled_from([gaussian, lambda a, b: a @ b.mT]),
)
def test_the_kernel_supremum_is_reached_and_not_passed(
    seed: int, n: int, m: int, kernel: Callable[[Tensor, Tensor], Tensor]
) -> None:
    rng = torch.Generator().manual_seed(seed)
    real, fake = (torch.randn(k, 2, generator=rng).double() for k in (n, m))
    most = float(ceilings.unit_kernel(real, fake, kernel))
    points = torch.cat((real, fake))
    gram = kernel(points, points)
    witness = torch.cat((torch.full((n,), 1 / n), torch.full((m,), -1 / m))).double()
    for weights in (witness, *torch.randn(100, n + m, generator=rng).double()):
        # f = sum of w_i k(x_i, .) divided by its norm.
        f = gram @ weights / (weights @ gram @ weights).sqrt()
        received = float(f[:n].mean() - f[n:].mean())
        assert received <= most + 1e-9
        if weights is witness:
            assert received == pytest.approx(most, abs=1e-7)
    if kernel is not gaussian:
        assert most == pytest.approx(float(ceilings.unit_linear(real, fake)), abs=1e-7)


def test_the_unit_linear_supremum_of_equal_distributions_falls_like_the_root_of_their_size() -> (
    None
):
    rng = torch.Generator().manual_seed(0)
    m, d = 4000, 100
    real, fake = (torch.randn(m, d, generator=rng) / d**0.5 for _ in range(2))
    assert float(ceilings.unit_linear(real, fake)) == pytest.approx((2 / m) ** 0.5, rel=0.15)


def test_what_has_no_ceiling_is_refused() -> None:
    points = torch.zeros(3, 1)
    with pytest.raises(eqgan.UnsupportedGame, match="best function is known for Wasserstein"):
        ceilings.all_functions(Wasserstein(), points, points)
    with pytest.raises(eqgan.UnsupportedGame, match="FDivergence over Lipschitz"):
        ceilings.lipschitz(FDivergence(), points, points, 1.0)
    with pytest.raises(eqgan.InvalidInput, match="as many real as generated"):
        ceilings.lipschitz(Wasserstein(), points, points[:2], 1.0)

    class Tilted(Minimax):
        """Another payoff: what is known of the original says nothing about it."""

        def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
            return 2 * super().payoff(real, fake) + 5

    for refused in (
        lambda: ceilings.all_functions(Tilted(), points, points),
        lambda: ceilings.lipschitz(Tilted(), points, points, 1.0),
    ):
        with pytest.raises(eqgan.UnsupportedGame):
            refused()


def test_lipschitz_constants_of_clipped_layers_multiply() -> None:
    """Within 0.1 of zero, n weights stretch by 0.1 sqrt(n) at most."""
    critic = nn.Sequential(nn.Linear(1, 4), nn.LeakyReLU(-2.0), nn.Linear(4, 9), nn.ReLU())
    critic += nn.Sequential(nn.Linear(9, 1), nn.LeakyReLU(0.2), nn.Sigmoid())
    generator = nn.Sequential(nn.Linear(1, 1), nn.Sigmoid())
    gan = GAN(generator, critic, torch.rand(20, 1), 1, Wasserstein(clip=0.1))
    game = FixedGAN.draw(gan, 10)
    constant = (0.1 * 2) * 2 * (0.1 * 6) * (0.1 * 3) * 0.25
    assert lipschitz_constant(game) == pytest.approx(constant, rel=1e-12)
    for low, high in ((-0.1, 0.05), (-0.05, 0.1), (0.0, 0.1)):
        game.spaces = (game.spaces[0], eqgan.Box(game.spaces[1].shape, low, high))
        assert lipschitz_constant(game) == pytest.approx(constant, rel=1e-12)


@pytest.mark.parametrize(("apart", "words"), [(0.1, "-Lipschitz"), (100.0, "every discriminator")])
def test_the_tightest_ceiling_is_the_one_that_counts(apart: float, words: str) -> None:
    """Where samples lie close a steep critic is missing; far apart, one that knows their shares."""
    real, fake = (apart * torch.tensor(s)[:, None] for s in ([0.0, 0, 0, 1], [0.0, 1, 1, 1]))
    critic = spectral_norm(nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1)))
    game = FixedGAN(GAN(nn.Linear(1, 1), critic, real, 1), real, fake)
    z = game.initial(game.generator(0)).replace(0, torch.tensor([1.0, 0.0]).double())
    proof = eqgan.certify(game, z, BoundOracle(eqgan.GradientOracle(steps=1, restarts=0)))
    # p = (3/4, 1/4) and q = (1/4, 3/4); of four pairs two are equal, two are apart.
    shares = 2 * (0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    pairs = math.log(0.5) - math.log1p(math.exp(-apart / 2))
    upper = float(proof.upper[1] + game.payoff(z))
    assert upper == pytest.approx(min(shares, pairs), abs=1e-3)
    assert words in proof.proof.split("; ")[-1]
