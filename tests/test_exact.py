"""Rational arithmetic: equilibria that are proved, all of them, and floats held against them."""

from __future__ import annotations

import math
import random
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import eqgan
from eqgan.deadline import TimeIsUp, deadline
from eqgan.exact import equilibrium
from eqgan.exact.equilibrium import IntegerGame, exact_equilibrium
from eqgan.exact.lifting import PRIMES
from eqgan.exact.simplex import optimal_basis
from eqgan.games import LowRank, MatrixGame
from eqgan.solvers import InteriorPoint, LinearProgram

Payoffs = list[list[Fraction]]

ENTRIES = st.sampled_from([Fraction(p, q) for p in range(-3, 4) for q in (1, 2, 3)])
EPS = np.finfo(float).eps


@st.composite
def payoffs(draw: st.DrawFn, most: int = 8) -> Payoffs:
    """Return a small table of few values, and often a row or a column of it twice."""
    m, n = draw(st.integers(1, most)), draw(st.integers(1, most))
    a = draw(st.lists(st.lists(ENTRIES, min_size=n, max_size=n), min_size=m, max_size=m))
    if m > 1 and draw(st.booleans()):
        a[draw(st.integers(0, m - 1))] = list(a[0])
    if n > 1 and draw(st.booleans()):
        j = draw(st.integers(0, n - 1))
        a = [[row[0] if k == j else p for k, p in enumerate(row)] for row in a]
    return a


def payoffs_of(a: Payoffs, x: Any, y: Any) -> tuple[list[Any], list[Any]]:
    """Return what each row earns against y, and what each column pays against x."""
    rows = [sum(p * q for p, q in zip(row, y, strict=True)) for row in a]
    columns = [
        sum(p * q for p, q in zip(column, x, strict=True)) for column in zip(*a, strict=True)
    ]
    return rows, columns


def assert_equilibrium(a: Payoffs, x: Any, y: Any, value: Fraction) -> None:
    rows, columns = payoffs_of(a, x, y)
    assert sum(x) == sum(y) == 1
    assert min(*x, *y, 0) == 0
    assert max(rows) == value == min(columns)


def value_of(a: Payoffs) -> Fraction:
    return exact_equilibrium(a).value


def span(a: Payoffs) -> float:
    flat = [p for row in a for p in row]
    return float(max(flat) - min(flat))


# -- one equilibrium -------------------------------------------------------------------------------


@given(payoffs())
def test_what_is_found_is_an_equilibrium(a: Payoffs) -> None:
    result = eqgan.solve(MatrixGame(a), "rational")
    x, y = result.exact_profile
    assert isinstance(result.value, Fraction)
    assert_equilibrium(a, x, y, result.value)
    assert all(isinstance(p, Fraction) for p in (*x, *y))
    assert result.profile[0].tolist() == [float(p) for p in x]  # type: ignore[union-attr]
    assert result.status.name == "CONVERGED"


HARD: dict[str, list[list[Any]]] = {
    "one row": [[3, 1, 2]],
    "one column": [[3], [5], [2]],
    "one action each": [[7]],
    "all equal": [[Fraction(1, 3)] * 4] * 3,
    "a row thrice": [[1, 2], [1, 2], [2, 1], [1, 2]],
    "dominated": [[5, 6], [1, 2]],
    "huge": [[1e19, -1e19], [-3e19, 2e19]],
    "tiny": [[1e-12, 0.0], [0.0, 3e-12]],
    "near the end of the range": [[1e300, -1e300, 3e299], [-2e300, 5e299, 1e300]],
    "huge beside tiny": [[1e300, 1e-12, 0.0], [1e-300, 1e19, -1.0], [0.5, -1e300, 1e-12]],
    "subnormal": [[5e-324, 0.0], [0.0, 1e-323]],
    "floats": [[0.1, 0.7, 0.2], [0.3, 0.1, 0.6], [0.5, 0.4, 0.3]],
    "beyond 53 bits": [[2**60 + 1, 2**60], [2**60, 2**60 + 2]],
    "zero modulo the prime": [[0, 1], [PRIMES[0] - 1, PRIMES[0]]],
    "singular modulo the prime": [[PRIMES[0], 1, 0], [0, 2 * PRIMES[0], 1], [3, 0, PRIMES[0]]],
}


@pytest.mark.parametrize("name", HARD)
def test_hard_payoffs(name: str) -> None:
    game = MatrixGame(HARD[name])
    result = eqgan.solve(game, "rational")
    assert isinstance(result.value, Fraction)
    exact = [[Fraction(p) for p in row] for row in HARD[name]]
    assert game.rationals() == exact
    assert_equilibrium(exact, *result.exact_profile, result.value)
    for player, vertices in enumerate((result.optimal_face.rows, result.optimal_face.columns)):
        for vertex in vertices:
            pair = list(result.exact_profile)
            pair[player] = vertex
            assert_equilibrium(exact, pair[0], pair[1], result.value)


def test_known_values() -> None:
    assert value_of([[Fraction(1, 3), Fraction(0)], [Fraction(0), Fraction(1)]]) == Fraction(1, 4)
    # On a diagonal everyone mixes in inverse proportion: 1 / (1 + 1/2 + 1/3).
    diagonal = [[Fraction(i + 1 if i == j else 0) for j in range(3)] for i in range(3)]
    assert value_of(diagonal) == Fraction(6, 11)


@pytest.mark.parametrize("kind", ["integers", "floats"])
def test_a_hundred_actions_a_player(kind: str) -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(-50, 51, (100, 100)) if kind == "integers" else rng.normal(size=(100, 100))
    game = MatrixGame(a)
    result = eqgan.solve(game, "rational")
    assert isinstance(result.value, Fraction)
    assert_equilibrium(game.rationals(), *result.exact_profile, result.value)


def test_wide_payoffs_need_pivots_and_still_end(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def spied(*args: Any) -> Any:
        calls.append(args)
        return optimal_basis(*args)

    monkeypatch.setattr(equilibrium, "optimal_basis", spied)
    rng = np.random.default_rng(1)
    a = rng.choice([-1, 1], (8, 8)) * 10.0 ** rng.uniform(-200, 200, (8, 8))
    game = MatrixGame(a)
    result = eqgan.solve(game, "rational")
    assert isinstance(result.value, Fraction)
    assert_equilibrium(game.rationals(), *result.exact_profile, result.value)
    assert calls


def test_a_solver_that_gives_up_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(a: Any) -> Any:
        raise eqgan.UnsupportedGame("HiGHS could not solve the game.")

    monkeypatch.setattr(equilibrium, "solve_game", gives_up)
    diagonal = [[Fraction(i + 1 if i == j else 0) for j in range(4)] for i in range(4)]
    assert value_of(diagonal) == Fraction(12, 25)


@given(st.data())
def test_the_answer_moves_with_the_game(data: st.DataObject) -> None:
    a = data.draw(payoffs())
    value = value_of(a)
    shift, scale = data.draw(ENTRIES), abs(data.draw(ENTRIES)) + Fraction(1, 7)
    rows = data.draw(st.permutations(range(len(a))))
    columns = data.draw(st.permutations(range(len(a[0]))))
    assert value_of([[a[i][j] for j in columns] for i in rows]) == value
    assert value_of([[scale * p + shift for p in row] for row in a]) == scale * value + shift
    assert value_of([[-p for p in column] for column in zip(*a, strict=True)]) == -value
    assert value_of([*a, a[0]]) == value


def test_a_time_limit_ends_a_step_in_rational_numbers(tmp_path: Path) -> None:
    game = MatrixGame(nearly_tied(50))
    options: dict[str, Any] = dict(checkpoint=tmp_path / "run.ckpt", resume=True)
    late = eqgan.solve(game, "rational", time_limit=1e-3, **options)
    assert (late.status, late.steps) == (eqgan.Status.TIME_LIMIT, 0)
    with pytest.raises(eqgan.InvalidInput, match="ended TIME_LIMIT before Rational had"):
        _ = late.exact_profile
    assert late.certificate.nash_conv > 1e-3
    # The limit ended with that run; another goes on, and to the end.
    assert isinstance(eqgan.solve(game, "rational", **options).value, Fraction)


def test_no_pivot_begins_after_the_deadline() -> None:
    with deadline(time.perf_counter()), pytest.raises(TimeIsUp):
        optimal_basis(np.array([[3, 1], [1, 2]], dtype=object))
    with deadline(time.perf_counter()), deadline(math.inf), pytest.raises(TimeIsUp):
        optimal_basis(np.array([[3, 1], [1, 2]], dtype=object))


@given(payoffs())
def test_the_pivots_alone_end_at_the_value(a: Payoffs) -> None:
    game = IntegerGame(a)
    assert game.equilibrium(*optimal_basis(game.table)).value == value_of(a)


def nearly_tied(n: int) -> Any:
    """Return a dense game whose rows come in pairs that differ in the last bits of its floats."""
    rng = np.random.default_rng(0)
    a = rng.uniform(0.5, 1, (n, n))
    a[n // 2 :] = a[: n // 2] + rng.integers(-1, 2, (n // 2, n)) * 2.0**-53
    return a


def test_ties_that_floats_cannot_tell_take_few_pivots(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def spied(table: Any) -> Any:
        sizes.append(table.shape)
        return optimal_basis(table)

    monkeypatch.setattr(equilibrium, "optimal_basis", spied)
    game = MatrixGame(nearly_tied(40))
    result = eqgan.solve(game, "rational")
    assert isinstance(result.value, Fraction)
    assert_equilibrium(game.rationals(), *result.exact_profile, result.value)
    # Of 40 actions only those that are nearly best are pivoted.
    assert len(sizes) == 1
    assert max(sizes[0]) < 25


# -- floats held against it ------------------------------------------------------------------------

PATHS = {
    "linear_program": LinearProgram(),
    "clarabel": LinearProgram("clarabel"),
    "interior_point": InteriorPoint(),
    "pivoting": "pivoting",
    "double_oracle": "double_oracle",
    "auto": "auto",
}


@settings(max_examples=25)
@pytest.mark.parametrize("path", PATHS)
@given(a=payoffs())
def test_every_exact_path_finds_the_value(path: str, a: Payoffs) -> None:
    result = eqgan.solve(MatrixGame(a), PATHS[path], tol=0)  # type: ignore[arg-type]
    assert isinstance(result.value, float)
    gap = result.certificate.nash_conv
    assert gap <= 1e-7 * span(a)
    # A profile's payoff is off the value by its gap at most, up to rounding.
    assert abs(result.value - value_of(a)) <= gap + 16 * EPS * 3


@settings(max_examples=25)
@pytest.mark.parametrize("path", ["pivoting", "interior_point"])
@given(data=st.data())
def test_every_game_of_a_batch_has_the_value_of_the_game_that_was_moved(
    path: str, data: st.DataObject
) -> None:
    """Enough games to be solved together: shifted, scaled, transposed, permuted, repeated."""
    a = data.draw(payoffs())
    value, exact = value_of(a), np.array(a, dtype=object)
    shift, scale = data.draw(ENTRIES), data.draw(st.sampled_from([1e-12, 1e-3, 7.0, 1e19]))
    rows = data.draw(st.permutations(range(len(a))))
    columns = data.draw(st.permutations(range(len(a[0]))))
    moved = {
        "shift": (exact + shift, value + shift),
        "scale": (exact * Fraction(scale), value * Fraction(scale)),
        "order": (exact[rows][:, columns], value),
    }
    for table, wanted in (*moved.values(), *((-t.T, -v) for t, v in moved.values())):
        batch = np.broadcast_to(table, (17, *table.shape))
        result = eqgan.solve(MatrixGame(batch), path, tol=1e-9)
        size = float(max(abs(table.max()), abs(table.min()), abs(wanted)))
        assert bool(torch.as_tensor(result.converged).all())
        assert torch.as_tensor(result.value).sub(float(wanted)).abs().max() <= 1e-9 * size


@given(st.data())
def test_no_certificate_is_below_the_true_gap(data: st.DataObject) -> None:
    a = data.draw(payoffs())
    pair = []
    for n in (len(a), len(a[0])):
        weights = data.draw(st.lists(st.integers(0, 20), min_size=n, max_size=n).filter(any))
        pair.append([Fraction(w, sum(weights)) for w in weights])
    rows, columns = payoffs_of(a, *pair)
    proof = eqgan.certify(MatrixGame(a), [[float(p) for p in s] for s in pair])
    assert proof.exact
    assert proof.nash_conv >= 0
    assert abs(proof.nash_conv - (max(rows) - min(columns))) <= 16 * EPS * 3


# -- results, errors and checkpoints ---------------------------------------------------------------


def test_results_show_short_values() -> None:
    short = repr(eqgan.solve(MatrixGame([[Fraction(1, 3), 0], [0, 1]]), "rational"))
    assert "value 1/4, proved in rational arithmetic" in short
    long = repr(eqgan.solve(MatrixGame([[0.1, 0.2], [0.7, 0.15]]), "rational"))
    assert "value a fraction near 0.192308, proved" in long


def test_who_cannot_answer_exactly_says_so() -> None:
    with pytest.raises(eqgan.InvalidInput, match="solve the game with 'rational'"):
        _ = eqgan.solve(eqgan.games.rock_paper_scissors()).exact_profile
    batch = eqgan.games.random_game("normal", (2, 3, 4))
    with pytest.raises(eqgan.UnsupportedGame, match="not for a batch"):
        eqgan.solve(batch, "rational")
    with pytest.raises(eqgan.UnsupportedGame, match="take one game of the batch"):
        _ = eqgan.solve(batch).optimal_face
    with pytest.raises(eqgan.UnsupportedGame, match="optimal_face is of one matrix game"):
        _ = eqgan.solve(eqgan.games.DiracGAN(), max_steps=1).optimal_face


def test_checkpoints_hold_fractions_of_any_length(tmp_path: Path) -> None:
    rng = random.Random(0)
    diagonal = [rng.getrandbits(1000) for _ in range(16)]
    game = MatrixGame([[p if i == j else 0 for j in range(16)] for i, p in enumerate(diagonal)])
    options: dict[str, Any] = {"checkpoint": tmp_path / "run.ckpt"}
    first = eqgan.solve(game, "rational", **options)
    again = eqgan.solve(game, "rational", resume=True, **options)
    assert first.exact_profile == again.exact_profile
    # Longer than the decimal numbers that Python reads and writes by default.
    assert max(p.denominator for p in first.exact_profile[0]) > 10**4300


def test_backends_of_the_linear_program() -> None:
    game = eqgan.games.random_game("normal", (6, 9))
    values = [eqgan.solve(game, LinearProgram(b)).value for b in (None, "CLARABEL", "scipy")]
    assert np.ptp(np.array(values, float)) < 1e-7
    with pytest.raises(eqgan.UnknownName, match=r"No installed solver of cvxpy.*CLARABEL"):
        LinearProgram("abacus")
    with pytest.raises(eqgan.InvalidInput, match="name of a solver of cvxpy; got 3"):
        LinearProgram(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", [None, "CLARABEL"])
def test_sparse_payoffs_are_not_written_out(
    backend: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scipy.sparse import random_array

    table = random_array((40, 50), density=0.1, rng=np.random.default_rng(0), format="csr")
    game = MatrixGame(table)
    expected = value_of([[Fraction(p) for p in row] for row in table.toarray().tolist()])
    monkeypatch.delattr(type(game.payoffs), "dense")
    game.payoffs.__class__ = type("Held", (type(game.payoffs),), {"tabular": True})
    result = eqgan.solve(game, LinearProgram(backend))
    assert abs(result.value - expected) < 1e-8  # type: ignore[operator]


def test_large_whole_numbers_stay_exact_in_arrays_and_tensors() -> None:
    table = [[2**53 + 1, 0], [0, 2**53 + 3]]
    for payoffs in (table, np.array(table), torch.tensor(table)):
        run = eqgan.solve(MatrixGame(payoffs), "rational")
        assert run.value == Fraction((2**53 + 1) * (2**53 + 3), 2**54 + 4)


def test_low_rank_payoffs_are_solved_as_the_product_that_they_are() -> None:
    """Written out in floats they tie to sixteen digits, which took a minute to tell apart."""
    game = eqgan.games.random_game("low_rank", (120, 110))
    assert isinstance(game.payoffs, LowRank)
    u, v = (
        [[Fraction(p) for p in row] for row in s.tolist()] for s in (game.payoffs.u, game.payoffs.v)
    )
    exact = game.rationals()
    assert exact[7][5] == sum(p * q for p, q in zip(u[7], v[5], strict=True))
    run = eqgan.solve(game, "rational")
    assert_equilibrium(exact, *run.exact_profile, run.value)
    assert sum(p > 0 for p in run.exact_profile[0]) <= 6
