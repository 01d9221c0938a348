"""All equilibria of a matrix game: faces, their vertices, and the mixture of largest entropy."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from test_exact import Payoffs, assert_equilibrium, payoffs, value_of

import eqgan
from eqgan.exact import double_description, optimal_face
from eqgan.exact.equilibrium import IntegerGame
from eqgan.exact.lifting import inverse_modulo, nonsingular_block, solve_integers
from eqgan.exact.maximal_support import maximal_supports
from eqgan.exact.optimal_face import OptimalFace
from eqgan.games import MatrixGame, random_game


def kernels(a: Payoffs) -> tuple[set[Any], set[Any]]:
    """Return the vertices of both faces as Shapley and Snow have them: from every square block."""
    table, rows, columns = IntegerGame(a).table, set(), set()
    game = IntegerGame(a)
    sizes = range(1, min(table.shape) + 1)
    blocks = (
        (r, c)
        for k in sizes
        for r in itertools.combinations(range(len(a)), k)
        for c in itertools.combinations(range(len(a[0])), k)
    )
    for r, c in blocks:
        block = table[np.ix_(r, c)]
        if len(nonsingular_block(block)[0]) < len(r):
            continue
        inverse, ones = inverse_modulo(block), np.ones(len(r), dtype=object)
        u, w = (np.zeros(k + 1, dtype=object) for k in table.shape)
        u[[*r, -1]] = solve_integers(block.T, ones, inverse.T)
        w[[*c, -1]] = solve_integers(block, ones, inverse)
        proved = (table.T @ u[:-1] >= u[-1]).all() and (table @ w[:-1] <= w[-1]).all()
        if proved and min(*u, *w) >= 0:
            found = game.equilibrium(u, w)
            rows.add(found.row)
            columns.add(found.column)
    return rows, columns


@given(payoffs(most=4))
def test_the_vertices_are_those_of_all_kernels(a: Payoffs) -> None:
    face = OptimalFace(MatrixGame(a))
    rows, columns = kernels(a)
    assert (set(face.rows), set(face.columns)) == (rows, columns)
    assert (len(face.rows), len(face.columns)) == (len(rows), len(columns))
    assert face.unique == (len(rows) == len(columns) == 1)
    assert face.exact


@given(payoffs())
def test_vertices_are_optimal_and_tell_the_dimensions(a: Payoffs) -> None:
    face = OptimalFace(MatrixGame(a))
    value = value_of(a)
    for x, y in itertools.product(face.rows, face.columns):
        assert_equilibrium(a, x, y, value)
    for vertices, dimension in zip((face.rows, face.columns), face.dimensions, strict=True):
        differences = np.array(vertices, float)[1:] - np.array(vertices[0], float)
        assert dimension == (np.linalg.matrix_rank(differences) if len(differences) else 0)


@given(payoffs(most=5))
def test_floats_agree_on_supports_and_dimensions(a: Payoffs) -> None:
    exact = OptimalFace(MatrixGame(a))
    found = maximal_supports(np.array(a, float))
    assert found.rows.tolist() == [any(p) for p in zip(*exact.rows, strict=True)]
    assert found.columns.tolist() == [any(p) for p in zip(*exact.columns, strict=True)]
    assert found.dimensions == exact.dimensions


def entropy(strategy: Any) -> float:
    return -sum(float(p) * math.log(p) for p in strategy if p > 0)


@settings(max_examples=25)
@given(payoffs(most=5))
def test_the_equilibrium_of_largest_entropy(a: Payoffs) -> None:
    game = MatrixGame(a)
    face = OptimalFace(game)
    assert eqgan.certify(game, face.max_entropy).nash_conv <= 1e-14 * 3
    for strategy, vertices in zip(face.max_entropy, (face.rows, face.columns), strict=True):
        mean = [sum(p) / len(vertices) for p in zip(*vertices, strict=True)]
        for other in (mean, *vertices):
            assert entropy(strategy.tolist()) >= entropy(other) - 1e-9  # type: ignore[union-attr]


def test_large_games_are_decided_in_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimal_face, "SMALL", 0)
    face = OptimalFace(MatrixGame([[1, -1, 0], [-1, 1, 0]]))
    assert not face.exact
    assert (face.unique, face.dimensions) == (False, (0, 1))
    assert "a segment of them. Decided by linear programs in floats" in str(face)
    x, y = face.max_entropy
    assert torch.allclose(x, torch.full((2,), 1 / 2).double(), atol=1e-6)  # type: ignore[arg-type]
    assert torch.allclose(y, torch.full((3,), 1 / 3).double(), atol=1e-6)  # type: ignore[arg-type]
    with pytest.raises(eqgan.UnsupportedGame, match="up to 0 payoffs"):
        _ = face.rows
    unique = OptimalFace(eqgan.games.rock_paper_scissors())
    assert unique.unique
    assert eqgan.certify(unique.game, unique.max_entropy).nash_conv < 1e-12


def test_larger_games_are_refused() -> None:
    from scipy.sparse import eye_array

    with pytest.raises(eqgan.UnsupportedGame, match="up to 4000000 payoffs; this one has 3000 x"):
        _ = OptimalFace(MatrixGame(eye_array(3000, format="csr"))).unique


@pytest.mark.parametrize("size", [60, 120])
def test_floats_find_that_random_games_have_one_equilibrium(size: int) -> None:
    a = np.random.default_rng(0).normal(size=(size, size))
    x, y = eqgan.solve(MatrixGame(a), "rational").exact_profile
    found = maximal_supports(a)
    assert found.dimensions == (0, 0)
    assert found.rows.tolist() == [p > 0 for p in x]
    assert found.columns.tolist() == [p > 0 for p in y]


def test_too_many_vertices_are_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(double_description, "MOST", 3)
    face = OptimalFace(MatrixGame(np.kron(np.eye(3), np.ones((2, 2)))))
    assert not face.exact
    assert face.dimensions == (3, 3)


def test_a_face_in_words() -> None:
    result = eqgan.solve(MatrixGame([[1, -1, 0], [-1, 1, 0]]), "extragradient", max_steps=2)
    assert result.optimal_face.describe() == (
        "The row player has one optimal strategy: [1/2, 1/2]. The column player has a segment of "
        "them, between [1/2, 1/2, 0] and [0, 0, 1]. Decided in rational arithmetic."
    )
    assert repr(result.optimal_face).startswith("OptimalFace(The row player has one optimal")
    cube = str(OptimalFace(MatrixGame(np.ones((3, 5)))))
    assert "a polygon of them, with 3 vertices" in cube
    assert "a polytope of them with 4 dimensions, with 5 vertices" in cube
    assert "about [0.5556, 0.4444]" in str(OptimalFace(MatrixGame([[0.1, 0.5], [0.6, 0.1]])))
    assert "one on 13 of 13 actions" in str(OptimalFace(MatrixGame(np.eye(13))))


def test_an_ordinary_large_game_costs_one_linear_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs for maximal supports are far slower, and needed by degenerate games only."""
    solved = []
    linprog = scipy.optimize.linprog

    def counted(*args: Any, **options: Any) -> Any:
        solved.append(len(args))
        return linprog(*args, **options)

    monkeypatch.setattr(scipy.optimize, "linprog", counted)
    supports = maximal_supports(random_game("normal", (60, 50)).payoff_matrix.numpy())
    assert supports.dimensions == (0, 0)
    assert len(solved) == 1
    maximal_supports(np.tile([[1.0, -1.0], [-1.0, 1.0]], 2))
    assert len(solved) > 2
