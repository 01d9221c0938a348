"""The catalog: what is said to be known about each game is true, and seeds decide the rest."""

from __future__ import annotations

import os
from itertools import permutations, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import eqgan
from eqgan import InvalidInput
from eqgan.games import (
    LowRank,
    MatrixGame,
    available_games,
    blotto,
    colonel_blotto,
    hadamard,
    hide_and_seek,
    named_game,
    random_game,
    tournament,
)
from eqgan.games.generators import FAMILIES
from eqgan.games.sparse import Sparse

torch.set_num_threads(1)


def matrix_games() -> list[str]:
    return [name for name in available_games() if isinstance(named_game(name), MatrixGame)]


def solved(game: MatrixGame) -> eqgan.Result:
    run = eqgan.solve(game, "linear_program")
    assert run.certificate.nash_conv < 1e-9
    return run


# -- what is known ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", matrix_games())
def test_known_values_and_equilibria_are_right(name: str) -> None:
    game = named_game(name)
    assert isinstance(game, MatrixGame)
    if game.value is not None:
        assert solved(game).value == pytest.approx(game.value, abs=1e-9)
    if game.equilibrium is not None:
        proof = eqgan.certify(game, game.equilibrium)
        assert proof.exact
        assert proof.nash_conv < 1e-12
        assert float(proof.value) == pytest.approx(game.value, abs=1e-12)


@pytest.mark.parametrize("name", matrix_games())
def test_a_name_stands_for_one_game(name: str) -> None:
    first, second = named_game(name), named_game(name)
    assert isinstance(first, MatrixGame)
    assert isinstance(second, MatrixGame)
    assert torch.equal(first.payoff_matrix, second.payoff_matrix)


# -- Colonel Blotto --------------------------------------------------------------------------------


def test_merged_blotto_lists_ascending_deployments_against_the_mean_of_all_orders() -> None:
    for soldiers, fields in product((1, 2, 4), (2, 3)):
        every = [p for p in product(range(soldiers + 1), repeat=fields) if sum(p) == soldiers]
        ascending = [p for p in every if list(p) == sorted(p)]
        table = blotto(soldiers, fields).payoff_matrix
        assert table.shape == (len(ascending), len(ascending))
        for i, mine in enumerate(ascending):
            for j, theirs in enumerate(ascending):
                orders = list(permutations(theirs))
                won = sum(np.sign(np.subtract(mine, order)).sum() for order in orders)
                assert float(table[i, j]) == pytest.approx(won / len(orders))


def test_a_soldier_may_have_hundreds_of_fields() -> None:
    assert colonel_blotto(1, 300).payoff_matrix.shape == (300, 300)
    assert blotto(3, 300).payoff_matrix.shape == (3, 3)


def test_blotto_is_what_its_rules_say() -> None:
    game = colonel_blotto((3, 2), 3, values=[1, 2, 4])
    mine, theirs = ([p for p in product(range(s + 1), repeat=3) if sum(p) == s] for s in (3, 2))
    assert game.payoff_matrix.shape == (10, 6)
    for i, p in enumerate(mine):
        for j, q in enumerate(theirs):
            worth = sum(v * np.sign(a - b) for v, a, b in zip((1, 2, 4), p, q, strict=True))
            assert game.payoff_matrix[i, j] == worth


def test_merging_symmetric_plans_changes_no_value() -> None:
    assert colonel_blotto(5, 3).payoff_matrix.shape == (21, 21)
    assert solved(colonel_blotto(5, 3)).value == pytest.approx(0, abs=1e-9)
    assert solved(blotto(5, 3)).value == pytest.approx(0, abs=1e-9)


def test_the_table_and_the_implicit_game_have_the_same_value() -> None:
    implicit = eqgan.games.Blotto(fields=3, soldiers=(5, 4), values=[1, 2, 4])
    run = eqgan.solve(implicit, tol=1e-9)
    table = solved(colonel_blotto((5, 4), 3, values=[1, 2, 4]))
    assert run.value == pytest.approx(table.value, abs=1e-7)


def test_a_large_army_takes_everything() -> None:
    # One soldier more than the rival has in all, on each of two fields, wins both.
    assert solved(colonel_blotto((10, 4), 2)).value == pytest.approx(2)


# -- hide and seek ---------------------------------------------------------------------------------


@given(
    arrays.arrays(
        np.float64,
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=4),
        elements=st.integers(1, 12).map(float),
    )
)
def test_hide_and_seek_is_the_best_assignment(values: np.ndarray) -> None:
    game = hide_and_seek(values)
    table = values if values.shape[0] <= values.shape[1] else values.T
    best = max(
        sum(1 / row[j] for row, j in zip(table, chosen, strict=True))
        for chosen in permutations(range(table.shape[1]), len(table))
    )
    assert game.value == pytest.approx(1 / best)
    assert game.equilibrium is not None
    assert eqgan.certify(game, game.equilibrium).nash_conv < 1e-9 * values.max()


def test_lines_and_cells_are_in_the_order_that_is_documented() -> None:
    game = hide_and_seek([[1, 2, 3], [4, 5, 6]])
    assert game.payoff_matrix.tolist() == [
        [1, 2, 3, 0, 0, 0],
        [0, 0, 0, 4, 5, 6],
        [1, 0, 0, 4, 0, 0],
        [0, 2, 0, 0, 5, 0],
        [0, 0, 3, 0, 0, 6],
    ]


# -- Hadamard and tournaments ----------------------------------------------------------------------


@pytest.mark.parametrize("order", [4, 8, 12, 16, 20, 24, 28, 36, 40, 64, 96])
def test_the_uniform_equilibrium_of_a_hadamard_game_is_the_only_one(order: int) -> None:
    game = hadamard(order)
    core = game.payoff_matrix
    n = order - 1
    assert set(core.unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(core @ core.T, order * torch.eye(n).double() - 1)
    assert torch.equal(core.sum(0), -torch.ones(n).double())
    assert torch.equal(core.sum(1), -torch.ones(n).double())
    # Every action is played, and the payoffs can be inverted: no other equilibrium (Kaplansky).
    assert torch.linalg.matrix_rank(core) == n
    assert game.value == -1 / n


@pytest.mark.parametrize("size", [1, 2, 5, 10, 25])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tournaments_have_one_optimal_strategy_of_odd_support(size: int, seed: int) -> None:
    game = tournament(size, seed)
    a = game.payoff_matrix
    assert torch.equal(a, -a.T)
    assert torch.equal(a.abs(), 1 - torch.eye(size).double())
    x, y = solved(game).profile
    support = x > 1e-9
    assert torch.allclose(x, y, atol=1e-9)
    assert int(support.sum()) % 2 == 1
    # What is not played does worse, and what is played is determined: the solution is unique.
    assert bool(((a @ x)[~support] < -1e-9).all())
    assert torch.linalg.matrix_rank(a[support][:, support]) == int(support.sum()) - 1


# -- random families -------------------------------------------------------------------------------


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("shape", [(6, 6), (3, 6, 6)])
def test_seeds_decide_random_games(family: str, shape: tuple[int, ...]) -> None:
    first, again, other = (random_game(family, shape, seed).payoff_matrix for seed in (3, 3, 4))
    assert first.shape == shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_large_structured_games_hold_only_what_they_need() -> None:
    low, sparse = random_game("low_rank", (3000, 2000)), random_game("sparse", (3000, 2000))
    assert isinstance(low.payoffs, LowRank)
    assert isinstance(sparse.payoffs, Sparse)
    assert torch.linalg.matrix_rank(low.payoff_matrix[:50, :50]) == 5
    share = float((sparse.payoff_matrix != 0).double().mean())
    assert 0.045 < share < 0.05


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: colonel_blotto(0, 3), "fields >= 2, whole numbers; got 0 and 3"),
        (lambda: colonel_blotto((1, 2, 3), 3), "one or two armies"),
        (lambda: colonel_blotto(5, 1), "fields >= 2"),
        (lambda: colonel_blotto(5, 3, [1.0]), "values should be 3 finite.*; got"),
        (lambda: colonel_blotto(25, 10), "is too large to be written out"),
        (lambda: hide_and_seek([1, 2]), r"table of positive numbers; got shape \(2,\)"),
        (lambda: hide_and_seek([[1, 0]]), "positive numbers"),
        (lambda: hide_and_seek([[1, np.nan]]), "positive numbers"),
        (lambda: hide_and_seek("no table"), "positive numbers; got 'no table'"),
        (lambda: hide_and_seek([[1, 2], [3]]), "positive numbers"),
        (lambda: hide_and_seek([[1e-300, 1], [1, 1e300]]), "factor of at most 1e.08"),
        (lambda: hadamard("eight"), "got 'eight'"),
        (lambda: hadamard(10**9 + 8), "to 8192; got 1000000008"),
        (lambda: blotto(2.5, 3), "whole numbers; got 2.5 and 3"),
        (lambda: blotto(60, 10), "too large to be written out; Blotto plays"),
        (lambda: blotto(1, 10**5), "too large"),
        (lambda: colonel_blotto(2.5, 3), "whole numbers; got 2.5 and 3"),
        (lambda: colonel_blotto(1, 5000), "too large to be written out"),
        (lambda: colonel_blotto(2, 3, "abc"), "values should be 3 numbers; got 'abc'"),
        (lambda: colonel_blotto(2, 3, [-1, 2, 3]), "finite numbers >= 0"),
        (lambda: tournament("nine"), "size should be a whole number >= 1; got 'nine'"),
        (
            lambda: tournament(5, seed=0.5),
            "seed should be a whole number of at most 64 bits; got 0.5",
        ),
        (lambda: random_game("uniform", 5), "shape should be .* got 5"),
        (lambda: random_game("uniform", (2.5, 3)), "shape should be"),
        (lambda: random_game("uniform", (2, 3), seed="a"), "seed should be"),
        (lambda: hadamard(6), "from 4 to 8192; got 6"),
        (lambda: hadamard(2), "from 4 to 8192; got 2"),
        (lambda: hadamard(52), "got 52"),
        (lambda: tournament(0), "size should be a whole number >= 1; got 0"),
    ],
)
def test_games_that_do_not_exist_are_refused(build: object, said: str) -> None:
    assert callable(build)
    with pytest.raises(InvalidInput, match=said):
        build()


def test_tables_that_no_memory_holds_are_refused_before_they_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    side = 2**31
    for draw in (
        lambda: random_game("uniform", (side, side)),
        lambda: random_game("sparse", (side, side)),
        lambda: random_game("skew", (side, 2, 2, side, side)),
        lambda: tournament(side),
        lambda: tournament(np.int32(2**30)),
    ):
        with pytest.raises(eqgan.OutOfMemory, match=r"GiB while it is drawn, .* would fit\."):
            draw()
    # A machine of 288 bytes: room for two tables of 4 x 4, or one of 6 x 6.
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 36, "SC_PAGE_SIZE": 8}.get)
    assert tournament(4).payoffs.shape == random_game("integer", (4, 4)).payoffs.shape == (4, 4)
    assert random_game("uniform", (6, 6)).payoffs.shape == (6, 6)
    assert random_game("low_rank", (50, 50)).payoffs.shape == (50, 50)
    with pytest.raises(eqgan.OutOfMemory, match="at most 4 x 4 payoffs would fit"):
        tournament(5)
    with pytest.raises(eqgan.OutOfMemory, match="at most 6 x 6 payoffs would fit"):
        random_game("normal", (2, 6, 6))
