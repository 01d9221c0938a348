"""Verdicts: what a run did, read off its trace."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import eqgan
from eqgan import Status, Trace
from eqgan.behaviour import Motion, behaviour


def traced(values: Any, moved: float = 0.1, name: str = "nash_conv") -> Trace:
    upper = {"nash_conv_upper": math.inf}
    return Trace(
        [
            {**upper, name: float(v), "moved": moved}
            | ({"nash_conv_upper": float(v)} if name == "nash_conv" else {})
            for v in values
        ]
    )


T = np.arange(1, 101)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        (1 / T, "converging"),
        (1 / np.sqrt(T), "converging"),
        (0.95**T, "converging"),
        (np.exp(-0.02 * T) * (1.1 + np.sin(T)), "converging"),
        (2.0 + np.sin(0.7 * T), "circling"),
        (np.ones(100), "circling"),
        (1.05**T, "diverging"),
        (np.where(T < 90, 1.0, np.inf), "diverging"),
        (np.append(1 / T, 0.0), "converged"),
        (np.zeros(100), "converged"),
        (np.ones(7), "undecided"),
        ([], "undecided"),
        (np.full(100, np.nan), "undecided"),
        (np.where(T % 2 == 0, np.nan, 1 / T), "converging"),
    ],
)
def test_verdicts_on_known_curves(values: Any, verdict: str) -> None:
    rows = traced(values, name="distance")
    assert behaviour(rows, Status.MAX_STEPS) == verdict
    if not np.isnan(np.asarray(values)).any() and not np.isinf(np.asarray(values)).any():
        assert behaviour(traced(values), Status.TIME_LIMIT) == verdict


def test_standing_still_away_from_equilibrium_is_no_circling() -> None:
    assert behaviour(traced(np.ones(100), moved=1e-4), Status.MAX_STEPS) == "stalled"


def test_a_shrinking_lower_bound_is_no_progress() -> None:
    rows = [{"nash_conv": 1 / t, "nash_conv_upper": math.inf, "residual": 1.0} for t in T]
    assert behaviour(Trace(rows), Status.MAX_STEPS) == "stalled"


def test_the_residual_judges_monotone_games_and_the_distance_others() -> None:
    rows = Trace([{"residual": 1 / t, "distance": 2.0, "moved": 0.5} for t in T])
    assert behaviour(rows, Status.MAX_STEPS, monotone=True) == "converging"
    assert behaviour(rows, Status.MAX_STEPS) == "circling"


def test_a_flat_place_far_from_equilibrium_is_not_called_converged() -> None:
    """Long steps land where the sigmoid is flat: the residual vanishes, the gap does not."""
    row = eqgan.compare(["dirac_gan"], ["simultaneous_gradient"], tol=1e-3).rows[0]
    assert row.status == "MAX_STEPS"
    assert row.nash_conv > 1
    assert row.behaviour in ("stalled", "diverging")


def test_motion_measures_relative_to_the_norm() -> None:
    game = eqgan.games.Bilinear([[1.0]])
    motion = Motion(game)
    places = [([3.0], [4.0]), ([0.0], [4.0])]
    rows = [motion(eqgan.Progress(0, 1, game, game.as_profile(place), {})) for place in places]
    assert rows == [{"distance": 5.0}, {"moved": 0.75, "distance": 4.0}]
