"""Every registered solver keeps every law, on exactly the kinds of games that it is meant for."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch

import eqgan
from eqgan import registry
from eqgan.counting import counted
from eqgan.solvers import (
    BestSoFar,
    DoubleOracle,
    FictitiousPlay,
    PredictiveRegretMatchingPlus,
    RegretMatching,
)
from eqgan.testing import check_solver, standard_games

ALL = set(standard_games())
MATRIX = {kind for kind in ALL if kind.startswith("matrix")}
MIXED = {kind for kind in ALL if kind.startswith("mixed")}

NETWORKS = {kind for kind in ALL if kind.startswith(("neural", "gan"))}
# Nothing bounds the strategies, so that equilibria are zeros of the operator.
FREE = {"bilinear", "strongly monotone", "dirac gan"} | NETWORKS - {"gan wasserstein"}
# A non-saturating generator trains on a signal of its own.
ONE_PAYOFF = FREE - {"gan non-saturating"}

ACCEPTS = {
    "adaptive_competitive_gradient": ONE_PAYOFF,
    "competitive_gradient": ONE_PAYOFF,
    "consensus": FREE,
    "double_oracle": MATRIX - {"matrix batch"} | MIXED | {"finite gan wasserstein"},
    "fictitious_play": MATRIX | MIXED,
    "follow_the_ridge": FREE,
    "halpern_pdhg": MATRIX,
    "interior_point": MATRIX,
    "linear_program": MATRIX,
    "lola": FREE,
    "mix_gan": MIXED,
    "multiplicative_weights": MATRIX,
    "optimistic_multiplicative_weights": MATRIX,
    "particle_mirror_prox": MIXED,
    "pdhg": MATRIX,
    "pivoting": MATRIX,
    "predictive_regret_matching_plus": MATRIX,
    "proximal_point": ALL - {"matrix batch"},
    "quantal_newton": {"quantal response"},
    "rational": MATRIX - {"matrix batch"},
    "regret_matching": MATRIX,
    "regret_matching_plus": MATRIX,
    "restarted": MATRIX - {"matrix batch"} | {"quantal response"},
    "support_polish": MATRIX,
    "symplectic_gradient": FREE,
}
"""What a solver takes, where that is not every kind."""

FIXED_POINT = "a known equilibrium is a fixed point"
BATCH = "a batch equals its games one by one"
EXEMPT = {
    "double_oracle, searching": {FIXED_POINT: "of equal atoms it plays one, with all their weight"},
    "fictitious_play": {FIXED_POINT: "its first step forgets the start and plays a best response"},
}
"""Laws that a method breaks by its nature; the kit fails when an exemption is not needed."""


class Case(NamedTuple):
    """A solver, and the kinds of games on which it is tried in this setting."""

    solver: str | eqgan.Solver[Any]
    kinds: set[str]


SEARCHED = {kind for kind in ALL if kind.startswith(("mixed", "neural", "gan"))}
SEARCH = eqgan.GradientOracle(steps=2, restarts=0)


def _cases() -> dict[str, Case]:
    cases = {name: Case(name, ALL) for name in eqgan.available_solvers()}
    # These two train networks to respond, for hundreds of steps; a few show the same.
    cases["fictitious_play"] = Case(FictitiousPlay(SEARCH), ALL)
    cases["double_oracle"] = Case(DoubleOracle(), ALL - SEARCHED)
    cases["double_oracle, searching"] = Case(DoubleOracle(oracle=SEARCH), SEARCHED)
    cases["best_so_far"] = Case(BestSoFar(every=2), ALL - SEARCHED)
    soft = FictitiousPlay(SEARCH, temperature=0.5)
    cases["fictitious_play, smoothed"] = Case(soft, MATRIX)
    increasing = PredictiveRegretMatchingPlus(increasing=True)
    cases["predictive_regret_matching_plus, increasing"] = Case(increasing, MATRIX)
    in_turn = RegretMatching(alternating=True, average="last")
    cases["regret_matching, in turn"] = Case(in_turn, MATRIX)
    cases["best_so_far, searching"] = Case(BestSoFar(every=2, oracle=SEARCH), SEARCHED)
    return cases


CASES = _cases()


@pytest.mark.parametrize("name", CASES)
def test_laws(name: str, device: torch.device) -> None:
    solver, kinds = CASES[name]
    key = name.split(",")[0]
    games = {kind: game for kind, game in standard_games().items() if kind in kinds}
    report = check_solver(solver, games, exempt=EXEMPT.get(name, EXEMPT.get(key)), device=device)
    assert set(report.accepted) == ACCEPTS.get(key, ALL) & kinds
    assert set(report.refused) == kinds - set(report.accepted)
    assert all(len(skipped.reason.split()) >= 3 for skipped in report.skipped)


def test_laws_are_looked_at() -> None:
    """Of what a solver accepts, only the laws that need an equilibrium or a batch are skipped."""
    report = check_solver("extragradient")
    assert {skipped.law for skipped in report.skipped} == {FIXED_POINT, BATCH}
    held = {law for law, _ in report.passed}
    assert {FIXED_POINT, BATCH} <= held
    assert len([law for law, kind in report.passed if kind == "matrix batch"]) >= 12


LESS = {
    "best_so_far": "not all oracles ask the game's own methods",
    "best_so_far, searching": "searches play a game of their own",
    "double_oracle": "its last step takes one best response",
    "double_oracle, searching": "searches play a game of their own",
    "fictitious_play": "searches play a game of their own",
    "halpern_pdhg": "it multiplies by the payoffs itself",
    "lola": "it differentiates one of the losses itself",
    "pdhg": "it multiplies by the payoffs itself",
    "quantal_newton": "its Newton system is none of the game's methods",
    "unrolled": "it differentiates the losses itself",
}
"""Solvers that may be seen to evaluate less than they tell, and why."""


@pytest.mark.parametrize("name", sorted(set(CASES) - set(LESS)))
def test_what_is_told_is_evaluated(name: str) -> None:
    solver, kinds = CASES[name]
    for kind in sorted(kinds - {k for k in ALL if k.startswith("mixed")}):
        game, count = counted(standard_games()[kind])
        method = registry.as_solver(solver, game)
        if method.unsupported(game):
            continue
        rng = game.generator(0)
        z = game.random(rng)
        state, steps = method.init(game, z), 0
        count.total = 0.0
        # Wrappers look at gaps every so often, at last when the method has finished.
        while steps < 2 * getattr(method, "every", 3) and not method.finished(state):
            z, state = method.step(game, z, state, rng)
            steps += 1
        assert count.total == pytest.approx(method.spent(game, state, steps), rel=1e-12), kind
