"""Double oracle: what it proves, where it ends, and what it refuses."""

import math
from pathlib import Path

import networkx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

import eqgan
from eqgan import Box, Polytope, Simplex, checkpoint
from eqgan.games import (
    Blotto,
    ConstrainedGame,
    FiniteGAN,
    MatrixGame,
    PathInterdiction,
    random_game,
)
from eqgan.solvers import DoubleOracle

ENTRIES = st.integers(-5, 5)
SMALL = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.lists(ENTRIES, min_size=n, max_size=n), min_size=1, max_size=5)
)


def moments(game: eqgan.Game, solver: DoubleOracle, most: int = 200):
    """Yield profile and memory after each step, until the method ends."""
    rng = game.generator(0)
    z = game.initial(rng)
    state = solver.init(game, z)
    for _ in range(most):
        if solver.finished(state):
            return
        z, state = solver.step(game, z, state, rng)
        yield z, state
    raise AssertionError(f"it did not end within {most} steps")


@given(SMALL, st.sampled_from([0.0, 0.3]))
def test_it_ends_at_the_value_of_the_linear_program(rows: list[list[int]], share: float) -> None:
    game = MatrixGame(rows)
    run = eqgan.solve(game, DoubleOracle(share), tol=1e-12)
    assert run.status.name == "CONVERGED"
    assert run.value == pytest.approx(eqgan.solve(game, "linear_program").value, abs=1e-12)
    assert max(run.state.table.shape) <= max(game.payoff_matrix.shape) + 1


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_bounds_are_those_of_the_proposal_and_close_in(share: float) -> None:
    game = Blotto(4, (9, 7), [1, 2, 3, 4])
    value = eqgan.solve(game, tol=1e-10).value
    gaps = [math.inf]
    for z, state in moments(game, DoubleOracle(share)):
        regrets, _ = game.regrets(z)
        assert float(regrets.sum()) == pytest.approx(state.upper - state.lower, abs=1e-10)
        assert state.lower - 1e-9 <= value <= state.upper + 1e-9
        assert state.upper - state.lower <= gaps[-1] + 1e-10
        gaps.append(state.upper - state.lower)
    assert gaps[-1] < 1e-10 < gaps[1]


def test_the_state_holds_support_and_table() -> None:
    game = random_game("normal", (60, 50), seed=3)
    *_, (z, state) = moments(game, DoubleOracle())
    xs, ys = state.strategies.leaves()
    torch.testing.assert_close(state.table, xs @ game.payoff_matrix @ ys.mT, rtol=0, atol=1e-13)
    for strategies, weights, mine in zip(state.strategies, state.weights, z, strict=True):
        assert float(weights.sum()) == pytest.approx(1.0)
        torch.testing.assert_close(weights @ strategies, mine, rtol=0, atol=1e-13)
        # All but the start are pure, and none is there twice.
        assert set(strategies[1:].flatten().tolist()) == {0.0, 1.0}
        assert len(strategies.unique(dim=0)) == len(strategies)
        assert float(weights[0]) == 0.0


def test_laws_hold_on_sets_too_large_to_list() -> None:
    grid = networkx.grid_2d_graph(4, 4)
    games = {
        "network": PathInterdiction(grid, (0, 0), (3, 3)),
        "sensors": PathInterdiction(grid, (1, 1), (3, 2), sensors=3, watch="nodes"),
        "armies": Blotto(4, (6, 5), [1, 2, 3, 4]),
        "budgets": constrained(0),
    }
    report = eqgan.testing.check_solver("double_oracle", games)
    assert report.accepted == list(games)
    assert {skipped.law for skipped in report.skipped} == {
        "a known equilibrium is a fixed point",
        "a batch equals its games one by one",
    }


def test_an_equilibrium_is_known_at_once() -> None:
    game = eqgan.games.rock_paper_scissors()
    ((z, state),) = moments(game, DoubleOracle())
    assert z.equal(game.initial(game.generator(0)))
    assert state.table.shape == (1, 1)


@given(st.integers(1, 4), st.integers(1, 4), st.floats(-1e6, 1e6))
def test_games_in_which_nothing_matters_end(m: int, n: int, payoff: float) -> None:
    run = eqgan.solve(MatrixGame([[payoff] * n] * m), "double_oracle")
    assert run.status.name == "CONVERGED"
    assert run.value == pytest.approx(payoff)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_payoffs_of_any_size(scale: float) -> None:
    payoffs = scale * random_game("uniform", (40, 40), seed=1).payoff_matrix
    run = eqgan.solve(MatrixGame(payoffs), "double_oracle", tol=1e-10)
    assert run.status.name == "CONVERGED"
    assert run.certificate.nash_conv <= 1e-10 * scale


def test_a_large_constant_does_not_drown_the_gap() -> None:
    payoffs = 1e6 + random_game("uniform", (40, 40), seed=1).payoff_matrix
    run = eqgan.solve(MatrixGame(payoffs), "double_oracle", tol=1e-8)
    assert run.status.name == "CONVERGED"


def test_single_precision_ends_too() -> None:
    game = MatrixGame(random_game("normal", (40, 30)).payoff_matrix.float())
    run = eqgan.solve(game, "double_oracle", tol=1e-5)
    assert run.status.name == "CONVERGED"
    assert run.profile[0].dtype == torch.float32


def test_single_precision_payoffs_are_searched_in_double() -> None:
    """What is left is the rounding of the strategies, not that of the payoffs of responses."""
    rng = torch.Generator().manual_seed(1)
    game = MatrixGame(torch.randn(200, 200, generator=rng))
    run = eqgan.solve(game, "double_oracle", tol=1e-6)
    assert run.status is eqgan.Status.CONVERGED
    assert run.profile[0].dtype == torch.float32


def test_a_game_known_by_its_products_only() -> None:
    """The strategies that matter are found without writing the payoffs out."""
    left, right = torch.randn(2, 3000, 4, generator=torch.Generator().manual_seed(0)).double()
    factors = eqgan.games.LowRank(left, right)
    run = eqgan.solve(MatrixGame(factors), "double_oracle", tol=1e-9)
    assert run.status.name == "CONVERGED"
    assert max(run.state.table.shape) < 40


def test_a_critic_in_a_box() -> None:
    run = eqgan.solve(FiniteGAN([0.1, 0.2, 0.3, 0.4], "wasserstein"), "double_oracle", tol=1e-9)
    assert run.status.name == "CONVERGED"
    torch.testing.assert_close(run.profile[0], run.game.data, rtol=0, atol=1e-9)


def constrained(seed: int) -> ConstrainedGame:
    rng = torch.Generator().manual_seed(seed)
    payoffs = torch.randn(8, 6, generator=rng, dtype=torch.float64)
    rows = torch.rand(3, 8, generator=rng, dtype=torch.float64)
    # At most half the weight on the first rows; and any x >= 0 within two budgets.
    mixes = Polytope(G=rows[:1], h=[0.5], E=torch.ones(1, 8), f=[1.0])
    budgets = Polytope(G=rows[1:, :6], h=[1.0, 2.0], high=3.0)
    return ConstrainedGame(payoffs, (mixes, budgets))


@pytest.mark.parametrize("seed", range(5))
def test_polytopes_against_the_linear_program_of_the_whole_game(seed: int) -> None:
    """max over x of min over y, the inner minimum replaced by its dual (Charnes 1953)."""
    game = constrained(seed)
    x_set, y_set = game.spaces
    a = game.payoffs.dense().numpy()
    m, n = a.shape
    g, e, h = y_set.G.toarray(), x_set.E.toarray(), y_set.h
    # min_y {c y : g y <= h, 0 <= y <= 3} = max {-h u - 3 w : g^T u + w >= -c, u, w >= 0}
    cost = [*[0.0] * m, *h, *[3.0] * n]
    dual = torch.cat([torch.as_tensor(-p) for p in (a.T, g.T, torch.eye(n).numpy())], 1).numpy()
    mixes = torch.zeros(1, dual.shape[1]).numpy()
    mixes[0, :m] = x_set.G.toarray()
    program = linprog(
        cost,
        [*dual, *mixes],
        [*[0.0] * n, *x_set.h],
        [[*e[0], *[0.0] * (len(cost) - m)]],
        [1.0],
    )
    run = eqgan.solve(game, "double_oracle", tol=1e-9)
    assert run.status.name == "CONVERGED"
    assert run.value == pytest.approx(-program.fun, abs=1e-8)
    assert all(s.violation(p) < 1e-9 for s, p in zip(game.spaces, run.profile, strict=True))


def test_first_order_methods_take_polytopes_too() -> None:
    game = constrained(0)
    run = eqgan.solve(game, "extragradient", max_steps=60, check_every=60)
    gaps = run.trace.column("nash_conv")
    assert gaps[-1] < 0.1 * gaps[0]


def test_sets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(eqgan.InvalidInput, match="expect sets of shapes"):
        ConstrainedGame([[1, 2]], (Simplex(2), Simplex(2)))
    with pytest.raises(eqgan.UnsupportedGame, match="bounded"):
        ConstrainedGame([[1, 2]], (Simplex(1), eqgan.Euclidean(2)))
    with pytest.raises(eqgan.UnsupportedGame, match="one game"):
        ConstrainedGame([[[1, 2]]], (Simplex(1), Simplex(2)))
    with pytest.raises(eqgan.InvalidInput, match="rectangular"):
        ConstrainedGame("words", (Simplex(1), Box((2,))))


def test_a_resumed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    game = Blotto(4, (9, 7))
    path = list(moments(game, DoubleOracle()))
    half = len(path) // 2
    checkpoint.save(tmp_path / "half", path[half])
    z, state = checkpoint.load(tmp_path / "half", path[0])
    for wanted, _ in path[half + 1 :]:
        z, state = DoubleOracle().step(game, z, state, game.generator(0))
        assert z.equal(wanted)
    assert state.done


@pytest.mark.parametrize(
    ("game", "said"),
    [
        (random_game("normal", (2, 3, 3)), "one game at a time"),
        (eqgan.games.DiracGAN(), "affine"),
        (eqgan.games.Bilinear([[1.0]]), "bounded"),
        (FiniteGAN([0.5, 0.5]), "affine"),
    ],
)
def test_what_it_cannot_solve(game: eqgan.Game, said: str) -> None:
    with pytest.raises(eqgan.UnsupportedGame, match=said):
        eqgan.solve(game, "double_oracle")


@pytest.mark.parametrize("share", [-0.1, 1.0, math.nan])
def test_smoothing_is_a_share(share: float) -> None:
    with pytest.raises(eqgan.InvalidInput, match="smoothing"):
        DoubleOracle(share)
