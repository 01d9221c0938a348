"""Real numbers: every option that measures something takes the same ones, in its own interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import eqgan
from eqgan import data, games, solvers
from eqgan.gan import Quality, box_maximum, metrics, objectives
from eqgan.real import is_real

torch.set_num_threads(1)

PENNIES = games.matching_pennies()
EXTRA = solvers.Extragradient()
POINTS = torch.randn(20, 2)

MEASURES: dict[str, Callable[[Any], Any]] = {
    "accuracy of interior points": lambda x: solvers.InteriorPoint(accuracy=x),
    "accuracy of pivoting": lambda x: solvers.Pivoting(accuracy=x),
    "adaptive beta": lambda x: solvers.AdaptiveCompetitiveGradient(beta=x),
    "adaptive eps": lambda x: solvers.AdaptiveCompetitiveGradient(eps=x),
    "adaptive rate": lambda x: solvers.AdaptiveCompetitiveGradient(rate=x),
    "adam": lambda x: eqgan.Adam(x),
    "betas": lambda x: eqgan.Adam(betas=(0.5, x)),
    "ball": lambda x: eqgan.Ball(2, x),
    "best so far": lambda x: solvers.BestSoFar(EXTRA, margin=x),
    "bounds": lambda x: eqgan.BoundOracle(tolerance=x),
    "box": lambda x: eqgan.Box((1,), -1.0, x),
    "box maximum": lambda x: box_maximum(nn.Linear(1, 1), [0.0], [1.0], x),
    "competitive gradient": lambda x: solvers.CompetitiveGradient(tolerance=x),
    "competitive rate": lambda x: solvers.CompetitiveGradient(rate=x),
    "consensus": lambda x: solvers.Consensus(gamma=x),
    "constant": lambda x: eqgan.Constant(x),
    "cooling": lambda x: solvers.QuantalNewton(cooling=x),
    "cosine": lambda x: eqgan.Cosine(x, 5),
    "dirac": lambda x: games.DiracGAN(gamma=x),
    "double oracle": lambda x: solvers.DoubleOracle(smoothing=x),
    "entropy": lambda x: solvers.MixGan(entropy=x),
    "eps of Adam": lambda x: eqgan.Adam(eps=x),
    "epsilon": lambda x: solvers.DoubleOracle(epsilon=x),
    "fictitious play": lambda x: solvers.FictitiousPlay(temperature=x),
    "floor": lambda x: games.FiniteGAN([0.5, 0.5], floor=x),
    "follow the ridge": lambda x: solvers.FollowTheRidge(damping=x),
    "foresight": lambda x: solvers.Lola(foresight=x),
    "gaussians": lambda x: data.gaussians(3, [0.0], x),
    "grid": lambda x: eqgan.GridOracle(radius=x),
    "inverse square root": lambda x: eqgan.InverseSqrt(x),
    "jensen shannon": lambda x: objectives.JensenShannon(x),
    "linear oracle": lambda x: eqgan.LinearOracle(x),
    "lipschitz": lambda x: games.ContinuousGame(torch.multiply, lipschitz=x),
    "lookahead": lambda x: solvers.Lookahead(EXTRA, alpha=x),
    "loss sensitive clip": lambda x: objectives.LossSensitive(clip=x),
    "loss sensitive weight": lambda x: objectives.LossSensitive(weight=x),
    "measured": lambda x: objectives.Measured(delta=x),
    "modes": lambda x: metrics.modes(POINTS, POINTS, x),
    "moving average": lambda x: solvers.MovingAverage(EXTRA, decay=x),
    "multiplicative weights": lambda x: solvers.MultiplicativeWeights(scale=x),
    "pdhg longest": lambda x: solvers.Pdhg(longest=x),
    "pdhg necessary": lambda x: solvers.HalpernPdhg(necessary=x),
    "pdhg sufficient": lambda x: solvers.Pdhg(sufficient=x),
    "proximal point": lambda x: solvers.ProximalPoint(tolerance=x),
    "quantal response": lambda x: games.QuantalResponse(PENNIES, x),
    "r1": lambda x: objectives.NonSaturating(r1=x),
    "restarted": lambda x: solvers.Restarted(EXTRA, shrink=x),
    "ring": lambda x: data.ring(3, radius=x),
    "scale of samples": lambda x: eqgan.Euclidean((1,), scale=x),
    "shaping": lambda x: solvers.Lola(shaping=x),
    "share of a mode": lambda x: metrics.modes(POINTS, POINTS, 0.1, x),
    "share": lambda x: Quality(POINTS, share=x),
    "strongly monotone": lambda x: games.strongly_monotone(curvature=x),
    "support polish": lambda x: solvers.SupportPolish(EXTRA, threshold=x),
    "swiss roll": lambda x: data.swiss_roll(3, std=x),
    "symplectic gradient": lambda x: solvers.SymplecticGradient(strength=x),
    "tol": lambda x: eqgan.solve(PENNIES, tol=x),
    "tolerance of the ridge": lambda x: solvers.FollowTheRidge(tolerance=x),
    "unrolled": lambda x: solvers.Unrolled(rate=x),
    "value": lambda x: games.MatrixGame([[0.0]], value=x),
    "wasserstein clip": lambda x: objectives.Wasserstein(clip=x),
    "wasserstein penalty": lambda x: objectives.Wasserstein(penalty=x),
}


@pytest.mark.parametrize("name", MEASURES)
def test_pythons_and_numpys_numbers_and_no_others(name: str) -> None:
    # 0.3 lies in every interval; PDHG's thresholds are in order with it.
    for number in (0.3, np.float64(0.3), np.float32(0.3)):
        MEASURES[name](number)
    others = (
        "a",
        True,
        math.nan,
        math.inf,
        -math.inf,
        -(10**400),
        [0.3],
        (0.3,),
        {},
        1j,
        np.ones(2),
    )
    for other in others:
        with pytest.raises(eqgan.InvalidInput) as told:
            MEASURES[name](other)
        assert str(told.value).endswith(".")


@pytest.mark.parametrize("name", sorted(MEASURES.keys() - {"box", "value"}))
def test_lengths_and_shares_are_not_negative(name: str) -> None:
    with pytest.raises(eqgan.InvalidInput):
        MEASURES[name](-1)


def test_intervals_hold_their_ends_or_not() -> None:
    assert [is_real(0, i) for i in ("[0, 1)", "(0, 1]", "[0, 1]", "(0, 1)")] == [1, 0, 1, 0]
    assert [is_real(1, i) for i in ("[0, 1)", "(0, 1]", "[0, 1]", "(0, 1)")] == [0, 1, 1, 0]
    assert [is_real(math.inf, i) for i in ("(0, inf)", "(0, inf]")] == [False, True]
    assert not is_real(10**400, "(0, inf]")


def test_options_that_are_no_measure() -> None:
    for wrong in ("a", 1.5, True, 2, [1]):
        with pytest.raises(eqgan.InvalidInput, match="follower should be player 0 or 1"):
            solvers.Unrolled(follower=wrong)  # type: ignore[arg-type]
    with pytest.raises(eqgan.InvalidInput, match=r"sufficient should be a number in \(0, 0.2\)"):
        solvers.Pdhg(sufficient=0.5, necessary=0.2)
    with pytest.raises(eqgan.InvalidInput, match="count should be a whole number >= 1"):
        eqgan.Stacked(eqgan.Simplex(2), -1)
    with pytest.raises(eqgan.InvalidInput, match="k of n places"):
        eqgan.Hypersimplex(3, "a")  # type: ignore[arg-type]
    with pytest.raises(eqgan.InvalidInput, match="noise_dim should be a whole number >= 1"):
        eqgan.gan.networks.dcgan_generator(8, 1, noise_dim=-1)
    with pytest.raises(eqgan.InvalidInput, match="n should be a whole number >= 1; got nan"):
        eqgan.Ball(math.nan)  # type: ignore[arg-type]
    with pytest.raises(eqgan.InvalidInput, match="k should be a whole number >= 1"):
        metrics.neighbours(POINTS, POINTS, k=-1)
    with pytest.raises(eqgan.InvalidInput, match=r"1 <= splits <= N; got .* and 'a'"):
        metrics.classifier_score(POINTS, "a")  # type: ignore[arg-type]


def test_names_that_are_no_text_are_unknown() -> None:
    for wrong in ([], {}, 5, None):
        with pytest.raises(eqgan.InvalidInput, match="objective should be a name, or an instance"):
            objectives.as_objective(wrong)  # type: ignore[arg-type]
        with pytest.raises(eqgan.UnknownName, match="No f-divergence is called"):
            objectives.FDivergence(wrong)  # type: ignore[arg-type]
        with pytest.raises(eqgan.InvalidInput, match="name should be text"):
            eqgan.solver_class(wrong)  # type: ignore[arg-type]


def test_fractions_are_constants_of_matrix_games() -> None:
    game = games.MatrixGame([[0]], constant=Fraction(1, 3))
    assert game.constant == Fraction(1, 3)
    with pytest.raises(eqgan.InvalidInput, match="constant should be"):
        games.MatrixGame([[0]], constant=Fraction(10**400))


def test_tensors_that_look_like_numbers_are_told_how_to_be_one() -> None:
    with pytest.raises(eqgan.InvalidInput, match=r"tensor\(0.5000\); pass float\(rate\)\.$"):
        solvers.CompetitiveGradient(rate=torch.tensor(0.5))  # type: ignore[arg-type]
    with pytest.raises(eqgan.InvalidInput) as error:
        solvers.CompetitiveGradient(rate=np.float64(-1.0))
    assert "pass float" not in str(error.value)
