"""Pivoting: exact answers on every kind of matrix game, alone and in batches."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import Tensor

import eqgan
from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.games import MatrixGame, tableaux
from eqgan.games.tableaux import pivot_together
from eqgan.solvers import LinearProgram, Pivoting, interior_point, pivoting
from eqgan.solvers.pivoting import solve_games

ACCURATE = 1e-12
SHAPES = [(1, 1), (1, 7), (7, 1), (1, 300), (300, 1), (3, 3), (5, 30), (30, 5), (12, 25), (20, 20)]
GAMES = 40


def normal(m: int, n: int) -> Tensor:
    return torch.randn(GAMES, m, n, generator=torch.Generator().manual_seed(m + n)).double()


def whole(m: int, n: int) -> Tensor:
    rng = torch.Generator().manual_seed(m + n)
    return torch.randint(-1, 2, (GAMES, m, n), generator=rng).double()


def duplicated(m: int, n: int) -> Tensor:
    rows, columns = torch.arange(m) // 2, torch.arange(n) // 2
    return normal(m, n)[:, rows][:, :, columns]


def skew_symmetric(m: int, n: int) -> Tensor:
    square = whole(m, n)[:, : min(m, n), : min(m, n)]
    return square - square.mT


def generalised_rock_paper_scissors(m: int, n: int) -> Tensor:
    row = torch.zeros(n, dtype=torch.float64)
    row[1 % n], row[-1] = 1.0, -1.0
    return torch.stack([row.roll(k) for k in range(m)]).expand(GAMES, m, n)


FAMILIES: dict[str, Callable[[int, int], Tensor]] = {
    "normal": normal,
    "many ties": whole,
    "zeros and ones": lambda m, n: whole(m, n).abs(),
    "all zero": lambda m, n: torch.zeros(GAMES, m, n, dtype=torch.float64),
    "constant": lambda m, n: normal(1, 1).expand(GAMES, m, n),
    "duplicates": duplicated,
    "skew-symmetric": skew_symmetric,
    "circulant": generalised_rock_paper_scissors,
    "identity": lambda m, n: torch.eye(m, n).double().expand(GAMES, m, n),
    "low rank": lambda m, n: normal(m, 2) @ normal(2, n),
    "offset": lambda m, n: 1e10 + normal(m, n),
    "huge": lambda m, n: 1e300 * normal(m, n),
    "tiny": lambda m, n: 1e-300 * normal(m, n),
    "1e19": lambda m, n: 1e19 * whole(m, n),
    "scales that differ": lambda m, n: (
        torch.logspace(-300, 300, GAMES, dtype=torch.float64)[:, None, None] * normal(m, n)
    ),
    "sparse": lambda m, n: whole(m, n) * (normal(m, n) > 1),
    "float32": lambda m, n: normal(m, n).float(),
}


def relative_gaps(a: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The gaps relative to the payoffs' range, or zero where all payoffs are the same."""
    low = a.double().amin((-1, -2), keepdim=True)
    spread = a.double().amax((-1, -2), keepdim=True) - low
    unit = (a.double() - low) / torch.where(spread > 0, spread, 1.0)
    best = (unit @ y.unsqueeze(-1)).squeeze(-1).amax(-1)
    return best - (x.unsqueeze(-2) @ unit).squeeze(-2).amin(-1)


def assert_strategies(s: Tensor) -> None:
    assert s.dtype == torch.float64
    assert float(s.min()) >= 0
    assert float((s.sum(-1) - 1).abs().max()) <= 1e-14


@pytest.fixture
def no_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("pivoting should have solved this game")

    monkeypatch.setattr(pivoting, "solve_game", refuse)
    monkeypatch.setattr(pivoting, "nearest", refuse)


@pytest.mark.parametrize(
    ("few", "guided"), [(2, 1), (2, 1000), (GAMES + 1, 1)], ids=["guided", "together", "one by one"]
)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.usefixtures("no_second_try")
def test_every_family_is_solved_by_pivots_alone(
    family: str, few: int, guided: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pivoting, "FEW", few)
    monkeypatch.setattr(tableaux, "GUIDED", guided)
    for shape in SHAPES:
        a = FAMILIES[family](*shape)
        x, y = solve_games(a)
        assert_strategies(x)
        assert_strategies(y)
        assert float(relative_gaps(a, x, y).max()) <= ACCURATE, shape


@given(
    arrays(
        np.int64,
        array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=5),
        elements=st.integers(-3, 3),
    )
)
def test_gaps_in_exact_arithmetic(a: np.ndarray) -> None:
    """The gap of the printed floats, in rational numbers, so that no rounding hides it."""
    for few, guided in ((1, 1), (1, 1000), (1000, 1)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pivoting, "FEW", few)
            patch.setattr(tableaux, "GUIDED", guided)
            x, y = solve_games(torch.as_tensor(a).double())
        for table, p, q in zip(a.tolist(), x.tolist(), y.tolist(), strict=True):
            p, q = ([Fraction(w) for w in s] for s in (p, q))
            p, q = ([w / sum(s) for w in s] for s in (p, q))
            rows = [sum(v * w for v, w in zip(row, q, strict=True)) for row in table]
            columns = [
                sum(v * w for v, w in zip(column, p, strict=True))
                for column in zip(*table, strict=True)
            ]
            assert max(rows) - min(columns) <= Fraction(ACCURATE) * (a.max() - a.min())


@pytest.mark.parametrize("shape", [(4, 4), (2, 9), (9, 3), (60, 60)])
def test_values_are_those_of_the_linear_program(shape: tuple[int, int]) -> None:
    game = MatrixGame(normal(*shape)[:5])
    ours, theirs = (eqgan.solve(game, solver).value for solver in (Pivoting(), LinearProgram()))
    assert torch.allclose(torch.as_tensor(ours), torch.as_tensor(theirs), rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", [(6, 8), (14, 12)])
def test_a_batch_equals_its_games_one_by_one(shape: tuple[int, int]) -> None:
    a = normal(*shape)
    x, y = solve_games(a)
    for k in range(GAMES):
        p, q = solve_games(a[k : k + 1])
        assert torch.allclose(p[0], x[k], rtol=0, atol=1e-12)
        assert torch.allclose(q[0], y[k], rtol=0, atol=1e-12)


def test_batches_larger_than_the_cache_are_solved_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    a = normal(3, 4)
    whole_batch = solve_games(a)
    # 17 games at a time: the last part holds fewer than the others.
    monkeypatch.setattr(pivoting, "CACHED", 17 * 5 * 6)
    parts = solve_games(a)
    assert all(map(torch.equal, whole_batch, parts))


@pytest.mark.parametrize("batch", [(), (1,), (40,), (5, 8), (2, 2, 10)])
def test_shapes(batch: tuple[int, ...]) -> None:
    game = eqgan.games.random_game("normal", (*batch, 4, 3))
    result = eqgan.solve(game, "pivoting", tol=ACCURATE)
    assert result.status is eqgan.Status.CONVERGED
    assert [tuple(s.shape) for s in result.profile.leaves()] == [(*batch, 4), (*batch, 3)]


def test_shifts_and_scales_change_no_strategy() -> None:
    """Powers of two and whole payoffs, so that both are exact."""
    a = whole(5, 5)
    for same in (a * 2.0**40, a * 2.0**-40, a + 2.0**20):
        assert all(map(torch.equal, solve_games(a), solve_games(same)))


def test_strategies_are_where_the_game_is(device: torch.device) -> None:
    a = normal(4, 5)
    for ours, theirs in zip(solve_games(a.to(device)), solve_games(a), strict=True):
        assert ours.device.type == device.type
        assert torch.equal(ours.cpu(), theirs)


def test_float32_games_are_computed_in_float64() -> None:
    single = normal(6, 6).float()
    x, y = eqgan.solve(MatrixGame(single), Pivoting()).last.leaves()
    assert x.dtype == y.dtype == torch.float32
    exact = solve_games(single.double())
    assert torch.equal(x, exact[0].float())
    assert torch.equal(y, exact[1].float())


def test_a_saddle_point_takes_one_pivot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tableaux, "_limit", lambda m, n: 1)
    monkeypatch.setattr(pivoting, "solve_game", None)
    a = torch.tensor([[4.0, 3.0, 5.0], [1.0, 2.0, 6.0], [0.0, 1.0, 9.0]])
    for games in (a[None], a.expand(20, 3, 3)):
        x, y = solve_games(games)
        assert torch.equal(x, torch.tensor([1.0, 0.0, 0.0]).double().expand_as(x))
        assert torch.equal(y, torch.tensor([0.0, 1.0, 0.0]).double().expand_as(y))


def test_a_guess_at_the_equilibrium_saves_pivots(monkeypatch: pytest.MonkeyPatch) -> None:
    a, counts = normal(20, 20), []
    pivot = tableaux._pivot

    def counted(table: np.ndarray, q: np.ndarray, done: np.ndarray) -> None:
        counts[-1] += np.count_nonzero(~done)
        pivot(table, q, done)

    monkeypatch.setattr(tableaux, "_pivot", counted)
    for guided in (1, 1000):
        monkeypatch.setattr(tableaux, "GUIDED", guided)
        counts.append(0)
        solve_games(a)
    assert counts[0] < 0.85 * counts[1]


def test_the_first_of_the_largest_values_is_found() -> None:
    """Among more than a byte can count; some place is told where nothing is the largest."""
    values = np.zeros((400, 3))
    values[[3, 390], 0] = 2.0
    values[:, 1] = -1.0
    values[7, 2] = np.nan
    best, place = tableaux._first_largest(values)
    assert best[:2].tolist() == [2.0, -1.0]
    assert place.tolist() == [3, 0, 399]


@pytest.mark.parametrize("size", [5, 12])
def test_a_game_that_is_lost_to_overflow_spoils_no_other(size: int) -> None:
    a = np.ascontiguousarray(normal(size, size).clamp(0, 1).numpy().transpose(1, 2, 0))
    memory = np.empty((2, (size + 2) ** 2 * GAMES))
    whole_batch = pivot_together(a, memory)
    a[..., 1] = np.nan
    with np.errstate(all="ignore"):
        beside = pivot_together(a, memory)
    for ours, theirs in zip(beside, whole_batch, strict=True):
        assert np.array_equal(np.delete(ours, 1, -1), np.delete(theirs, 1, -1))


@pytest.mark.parametrize("games", [3, GAMES])
def test_games_that_pivots_leave_unsolved_are_solved_again(
    games: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tableaux, "_limit", lambda m, n: 2)
    a = normal(8, 8)[:games]
    again = []

    def counted(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        again.append(table)
        return eqgan.games.highs.solve_game(table)

    monkeypatch.setattr(pivoting, "solve_game", counted)
    x, y = solve_games(a)
    assert again
    assert_strategies(x)
    assert_strategies(y)
    assert float(relative_gaps(a, x, y).max()) <= 1e-9


@pytest.mark.parametrize(("m", "n", "seed"), [(47, 103, 7), (66, 106, 12), (91, 108, 16)])
@pytest.mark.parametrize("solver", ["auto", "interior_point", "linear_program"])
def test_rows_of_sizes_sixteen_digits_apart_have_an_answer(
    solver: str, m: int, n: int, seed: int
) -> None:
    """Rounding spoils the tableau, and HiGHS gives up at the tolerance that is asked for first."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(m, n)) * 10.0 ** rng.uniform(-8, 8, (m, 1))
    run = eqgan.solve(MatrixGame(a), solver, tol=1e-9)
    assert run.certificate.nash_conv <= (1e-6 if solver == "linear_program" else 1e-9) * np.ptp(a)


def test_an_answer_without_any_linear_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise UnsupportedGame("HiGHS could not solve the game.")

    monkeypatch.setattr(tableaux, "_limit", lambda m, n: 2)
    monkeypatch.setattr(pivoting, "solve_game", gives_up)
    monkeypatch.setattr(interior_point, "solve_game", gives_up)
    a = normal(8, 8)[:5]
    assert float(relative_gaps(a, *solve_games(a)).max()) <= 1e-9


def test_an_ill_conditioned_game_spoils_no_other() -> None:
    """Ties to ten digits leave gaps that the certificate shows; the other games have none."""
    ill = whole(9, 9) + 1e-10 * normal(9, 9)
    mixed = torch.stack((ill, normal(9, 9)), 1).flatten(0, 1)
    gaps = relative_gaps(mixed, *solve_games(mixed))
    assert float(gaps[0::2].max()) <= 1e-9
    assert float(gaps[1::2].max()) <= ACCURATE


def test_the_profile_can_be_differentiated_through() -> None:
    """Inside, autograd is off altogether; what comes out is an ordinary tensor."""
    game = MatrixGame(normal(3, 3))
    x, y = eqgan.solve(game, Pivoting()).profile.attached().leaves()
    game.payoff(eqgan.Profile((x, y))).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, (game.payoff_matrix @ y.unsqueeze(-1)).squeeze(-1).detach())


def test_it_takes_matrix_games_that_are_written_out() -> None:
    with pytest.raises(UnsupportedGame, match="cannot take this game"):
        eqgan.solve(eqgan.games.DiracGAN(), Pivoting())
    with pytest.raises(InvalidInput, match="accuracy"):
        Pivoting(accuracy=1.0)
