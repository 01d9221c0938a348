"""Oracles that look at no gradient, or at one only: vertices and grids."""

from __future__ import annotations

import math

import pytest
import torch

import eqgan
from eqgan import GradientOracle, GridOracle, LinearOracle, Profile, certify
from eqgan.games import Bilinear, MatrixGame


def test_unbounded_linear_games_get_a_lower_bound_within_a_radius() -> None:
    certificate = certify(Bilinear([[2.0]]), ([3.0], [4.0]), LinearOracle(radius=0.5))
    assert not certificate.exact
    # Moving x by r against f = 2xy gains 2 r |y|, moving y gains 2 r |x|.
    assert certificate.nash_conv == pytest.approx(2 * 0.5 * (4 + 3))
    assert ">=" in repr(certificate)


def test_the_radius_is_that_of_each_game_whatever_the_shape_of_its_strategies() -> None:
    class Products(eqgan.ZeroSumGame):
        """Three games at once of matrices whose product, entry by entry, is paid."""

        spaces = (eqgan.Euclidean((2, 2)), eqgan.Euclidean((2, 2)))
        batch_shape = (3,)
        linear = True

        def payoff(self, z: Profile, batch: object = None) -> torch.Tensor:
            x, y = z.leaves()
            return (x * y).sum((-1, -2))

    zero = torch.zeros(3, 2, 2)
    x = torch.tensor(
        [[[1.0, 2.0], [4.0, 10.0]], [[1.0, 2.0], [2.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]]
    )
    certificate = certify(Products(), (x, zero), LinearOracle(radius=3.0))
    # Moving y by 3 along x gains 3 |x|, which is 3 * 11 and 3 * 5; nothing where the rival is 0.
    torch.testing.assert_close(certificate.lower[1], torch.tensor([33.0, 15.0, 0.0]).double())
    assert certificate.lower[0].tolist() == [0.0, 0.0, 0.0]


class Apart(eqgan.ZeroSumGame):
    """x pays its squared distance from `x`, in a box, y its own from `y`, anywhere."""

    spaces = (eqgan.Box((1,), -3.0, 1.0), eqgan.Euclidean((1,)))
    lipschitz = 2.0

    def __init__(self, x: float = 0.0, y: float = 0.0) -> None:
        self.x, self.y = x, y

    def payoff(self, z: Profile, batch: object = None) -> torch.Tensor:
        x, y = z.leaves()
        return ((x - self.x) ** 2 - (y - self.y) ** 2).sum(-1)


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_every_round_of_a_grid_is_ten_times_finer(rounds: int) -> None:
    """The best is half a spacing away at most: in the player's own set, or within the radius."""
    oracle = GridOracle(points=41, radius=5.0, rounds=rounds)
    for x, y in ((-2.9514, -4.9371), (-math.sqrt(2), math.pi), (0.9467, 4.93)):
        game = Apart(x, y)
        z = game.as_profile(([0.0], [0.0]))
        for player, (best, width) in enumerate(((x, 4.0), (y, 10.0))):
            found = oracle.respond(game, z, player, game.generator(0)).deviated[player]
            spacing = width / 40 / 10 ** (rounds - 1)
            assert abs(float(found) - best) <= 0.5001 * spacing


def test_a_strategy_that_beats_the_grid_stays() -> None:
    game = Apart(-math.sqrt(2), math.pi)
    z = game.as_profile(([-math.sqrt(2)], [math.pi]))
    for player in (0, 1):
        found = GridOracle(radius=5.0).respond(game, z, player, game.generator(0))
        assert found.deviated.equal(z)


def test_grid_finds_the_global_deviation_that_gradients_miss() -> None:
    class Wells(eqgan.ZeroSumGame):
        """x pays x^4/4 - x^2/2 - x/10: a local minimum on the left, the best on the right."""

        spaces = (eqgan.Box((1,), -2.0, 2.0), eqgan.Box((1,), -1.0, 1.0))
        lipschitz = 11.0

        def payoff(self, z: Profile, batch: object = None) -> torch.Tensor:
            x, y = z
            return (x**4 / 4 - x**2 / 2 - x / 10 - y * y).sum(-1)

    game = Wells()
    local = ([-0.9456], [0.0])
    found = certify(game, local, GridOracle()).nash_conv
    x = torch.linspace(-2, 2, 400_001, dtype=torch.float64)
    f = x**4 / 4 - x**2 / 2 - x / 10
    here = float((-0.9456) ** 4 / 4 - 0.9456**2 / 2 + 0.09456)
    assert found == pytest.approx(here - float(f.min()), abs=1e-6)
    assert certify(game, local, GradientOracle(steps=100, restarts=0)).nash_conv < 1e-4


def test_linear_oracles_minimise_the_cost_and_not_the_training_signal() -> None:
    class Misled(MatrixGame):
        """Both players train on half of what they pay, with the wrong sign."""

        def losses(self, z: Profile, batch: object = None) -> tuple[torch.Tensor, torch.Tensor]:
            payoff = self.payoff(z)
            return 0.5 * payoff, -0.5 * payoff

        def gradient(self, z: Profile, player: int, batch: object = None) -> torch.Tensor:
            return -0.5 * super().gradient(z, player)

    truth, misled = MatrixGame([[0, 1], [2, 4]]), Misled([[0, 1], [2, 4]])
    z = ([0.5, 0.5], [0.5, 0.5])
    assert certify(misled, z, LinearOracle()).nash_conv == certify(truth, z).nash_conv


def test_a_payoff_that_branches_is_searched_point_by_point() -> None:
    class Branching(eqgan.ZeroSumGame):
        """x pays its distance from 1, said with an if."""

        spaces = (eqgan.Box((1,), -2.0, 2.0), eqgan.Box((1,), -1.0, 1.0))
        lipschitz = 1.0

        def payoff(self, z: Profile, batch: object = None) -> torch.Tensor:
            x, y = z
            return (x - 1 if float(x.detach()) > 1 else 1 - x).sum(-1) - (y * y).sum(-1)

    assert certify(Branching(), ([0.0], [0.0])).nash_conv == pytest.approx(1.0, abs=1e-3)
