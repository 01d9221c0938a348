"""First-order solvers of matrix games: what is proved of them, and what was measured elsewhere."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

import eqgan
from eqgan.games import LowRank, MatrixFree, MatrixGame, QuantalResponse, random_game
from eqgan.solvers import (
    Averaged,
    Extragradient,
    FictitiousPlay,
    HalpernPdhg,
    MirrorProx,
    MovingAverage,
    Pdhg,
    PredictiveRegretMatchingPlus,
    QuantalNewton,
    RegretMatching,
    RegretMatchingPlus,
    Restarted,
    SimultaneousGradient,
    SupportPolish,
)
from eqgan.solvers.regret_matching import lengthened

FAMILIES = ["uniform", "normal", "integer", "low_rank", "skew"]


def steps_to(game: MatrixGame, solver: Any, gap: float, most: int) -> float:
    """Return the steps to a gap relative to the payoffs' range, infinite if they do not suffice."""
    assert game.payoff_range is not None
    tol = 2 * gap  # `solve` takes it relative to half the range
    run = eqgan.solve(game, solver, tol=tol, max_steps=most, check_every=5)
    return run.steps if run.converged else math.inf


@pytest.mark.parametrize(
    ("solver", "family", "gap", "most"),
    [
        # Iterations that other implementations were measured to need at n = 200, with a margin
        # for another game of the family: 79 and 1322, 46 and 1035, 154, 73, 150, 90.
        (HalpernPdhg(), "uniform", 1e-3, 110),
        (HalpernPdhg(), "uniform", 1e-6, 2000),
        (HalpernPdhg(), "normal", 1e-3, 80),
        (HalpernPdhg(), "normal", 1e-6, 1600),
        (Pdhg(), "uniform", 1e-3, 220),
        (Pdhg(), "normal", 1e-3, 120),
        (PredictiveRegretMatchingPlus(), "uniform", 1e-3, 200),
        (PredictiveRegretMatchingPlus(), "normal", 1e-3, 120),
        (PredictiveRegretMatchingPlus(increasing=True), "normal", 1e-3, 120),
    ],
)
def test_steps_to_a_gap(solver: Any, family: str, gap: float, most: int) -> None:
    game = random_game(family, (200, 200), seed=0)
    assert steps_to(game, solver, gap, most) <= most


@pytest.mark.parametrize("family", FAMILIES)
def test_restarted_halpern_with_polish_is_exact(family: str) -> None:
    game = random_game(family, (70, 70), seed=1)
    run = eqgan.solve(game, SupportPolish(HalpernPdhg()), tol=1e-10)
    exact = eqgan.solve(game, "linear_program")
    assert run.converged
    assert abs(run.value - exact.value) <= 1e-9 * float(game.scale)


@pytest.mark.parametrize("solver", [Pdhg(), HalpernPdhg(), PredictiveRegretMatchingPlus()])
def test_scale_and_shift_change_nothing(solver: Any) -> None:
    """A power of two and a whole shift are exact in floats, so the steps are nearly the same."""
    a = torch.randint(-8, 9, (20, 30), generator=torch.Generator().manual_seed(0)).double()
    plain = eqgan.solve(MatrixGame(a), solver, max_steps=200, tol=0)
    other = eqgan.solve(MatrixGame(2.0**40 * (a + 3)), solver, max_steps=200, tol=0)
    far = max(float((p - q).abs().max()) for p, q in zip(plain.profile, other.profile, strict=True))
    assert far < 1e-6


@pytest.mark.parametrize("solver", [Pdhg(), HalpernPdhg()])
@pytest.mark.parametrize(
    "a",
    [
        [[5.0]],
        [[1.0, 2.0, 3.0]],
        [[1.0], [2.0]],
        [[0.0, 0.0], [0.0, 0.0]],
        [[7.0, 7.0], [7.0, 7.0]],
        [[1e19, -1e19], [-1e19, 1e19]],
        [[1e-12, -1e-12], [-1e-12, 2e-12]],
        [[1.0, 2.0], [4.0, 5.0]],
    ],
    ids=str,
)
def test_degenerate_games(solver: Any, a: list[list[float]]) -> None:
    run = eqgan.solve(MatrixGame(a), solver, tol=1e-8)
    assert run.converged
    assert run.value == pytest.approx(eqgan.solve(MatrixGame(a)).value, rel=1e-7, abs=1e-18)


def test_games_of_a_batch_restart_on_their_own() -> None:
    games = random_game("normal", (4, 15, 10), seed=3)
    solver = HalpernPdhg()
    together = eqgan.solve(games, solver, max_steps=300, tol=0)
    for k in range(4):
        alone = eqgan.solve(MatrixGame(games.payoff_matrix[k]), solver, max_steps=300, tol=0)
        for mine, theirs in zip(alone.profile, together.profile, strict=True):
            assert torch.allclose(mine, theirs[k], atol=1e-7)


def test_products_are_all_that_is_needed() -> None:
    rng = torch.Generator().manual_seed(0)
    u, v = (torch.randn(n, 3, generator=rng, dtype=torch.float64) for n in (400, 300))
    implicit = MatrixFree((400, 300), lambda y: u @ (v.T @ y), lambda x: v @ (u.T @ x))
    for payoffs in (LowRank(u, v), implicit):
        run = eqgan.solve(MatrixGame(payoffs), tol=1e-6)
        gap = eqgan.certify(MatrixGame(u @ v.T), run.profile).nash_conv
        assert run.converged
        assert gap <= 1e-5
    assert MatrixGame(implicit).recommended == "halpern_pdhg"
    u, v = (torch.randn(2000, 3, generator=rng) for _ in range(2))
    assert MatrixGame(LowRank(u, v)).recommended == "halpern_pdhg"
    assert MatrixGame(u @ v.T).recommended == "interior_point"


def test_float32() -> None:
    game = MatrixGame(random_game("normal", (50, 50)).payoff_matrix.float())
    run = eqgan.solve(game, "halpern_pdhg", tol=1e-4)
    assert run.converged
    assert run.profile.leaves()[0].dtype == torch.float32


@pytest.mark.parametrize("kind", [Pdhg, HalpernPdhg])
@pytest.mark.parametrize(
    "wrong", [{"sufficient": 0.9, "necessary": 0.5}, {"longest": 0.0}, {"necessary": 1.0}]
)
def test_epochs_end_some_time(kind: type[Pdhg], wrong: dict[str, float]) -> None:
    with pytest.raises(eqgan.EqganError, match=r"should be a number in \(0, (0.5|1)\)"):
        kind(**wrong)


# -- regret matching ---------------------------------------------------------------------------


def test_what_is_averaged() -> None:
    """Uniform, linear and quadratic averages of the same iterates, and the last of them."""
    game = random_game("normal", (4, 5), seed=0)
    iterates: list[torch.Tensor] = []
    last = RegretMatchingPlus(average="last")
    for n in range(1, 6):
        iterates.append(eqgan.solve(game, last, max_steps=n, tol=0).profile.leaves()[0])
    for average, power in (("uniform", 0), ("linear", 1), ("quadratic", 2)):
        run = eqgan.solve(game, RegretMatchingPlus(average=average), max_steps=5, tol=0)  # type: ignore[arg-type]
        weights = torch.arange(1, 6, dtype=torch.float64) ** power
        mean = (weights[:, None] * torch.stack(iterates)).sum(0) / weights.sum()
        assert torch.allclose(run.profile.leaves()[0], mean, atol=1e-14)


def test_unknown_average() -> None:
    with pytest.raises(eqgan.EqganError, match="one of uniform, linear, quadratic and last"):
        RegretMatching(average="cubic")  # type: ignore[arg-type]


def test_in_turn_the_second_player_sees_the_first_ones_move() -> None:
    """After one step from the centre the column player has answered the row player's new row."""
    game = MatrixGame([[3.0, 0.0], [0.0, 1.0]])
    both = eqgan.solve(game, RegretMatching(), max_steps=1, tol=0).last
    turn = eqgan.solve(game, RegretMatching(alternating=True), max_steps=1, tol=0).last
    assert torch.equal(both.leaves()[0], torch.tensor([1.0, 0.0]).double())
    assert torch.equal(both.leaves()[1], torch.tensor([0.0, 1.0]).double())
    assert torch.equal(turn.leaves()[1], torch.tensor([0.0, 1.0]).double())
    start = ([0.25, 0.75], [0.5, 0.5])
    both = eqgan.solve(game, RegretMatching(), init=start, max_steps=1, tol=0).last
    turn = eqgan.solve(game, RegretMatching(alternating=True), init=start, max_steps=1, tol=0).last
    # Against (1/4, 3/4) both columns cost the same; against the new (1, 0) the second is free.
    assert torch.equal(both.leaves()[1], torch.tensor([0.5, 0.5]).double())
    assert torch.equal(turn.leaves()[1], torch.tensor([0.0, 1.0]).double())


def test_prediction_pays_on_low_rank() -> None:
    game = random_game("low_rank", (100, 100), seed=0)
    plain = steps_to(game, RegretMatchingPlus(), 1e-3, 3000)
    predictive = steps_to(game, PredictiveRegretMatchingPlus(), 1e-3, 3000)
    assert predictive < plain / 2


def test_lengthened_is_the_least_raise() -> None:
    rng = torch.Generator().manual_seed(0)
    regrets = 3 * torch.randn(500, 6, generator=rng, dtype=torch.float64)
    length = 6 * torch.rand(500, 1, generator=rng, dtype=torch.float64)
    raised = lengthened(regrets, length)
    before = regrets.clamp_min(0).norm(dim=-1, keepdim=True)
    assert torch.allclose(raised.norm(dim=-1, keepdim=True), torch.maximum(before, length))
    long_enough = (before >= length).squeeze(-1)
    assert torch.equal(raised[long_enough], regrets.clamp_min(0)[long_enough])


def test_regrets_do_not_shrink() -> None:
    game = random_game("normal", (8, 8), seed=2)
    for increasing, falls in ((True, False), (False, True)):
        solver = PredictiveRegretMatchingPlus(increasing=increasing)
        rng = game.generator(0)
        z = game.initial(rng)
        state = solver.init(game, z)
        lengths = []
        for _ in range(300):
            z, state = solver.step(game, z, state, rng)
            lengths.append(float(state.regrets.leaves()[0].norm()))
        fell = any(b < a - 1e-12 for a, b in itertools.pairwise(lengths))
        assert fell is falls


# -- averages, mirror-prox, restarts -------------------------------------------------------------


@pytest.mark.parametrize("power", [0, 1, 2])
def test_powers_of_averages(power: int) -> None:
    game = eqgan.games.Bilinear([[1.0]])
    inner = SimultaneousGradient(rule=eqgan.Constant(0.1))
    start = ([1.0], [0.5])
    iterates = [
        float(eqgan.solve(game, inner, init=start, max_steps=n, tol=0).last.leaves()[0])
        for n in range(1, 7)
    ]
    weights = [math.prod(range(t, t + power)) for t in range(1, 7)]
    mean = sum(w * x for w, x in zip(weights, iterates, strict=True)) / sum(weights)
    run = eqgan.solve(game, Averaged(inner, power=power), init=start, max_steps=6, tol=0)
    assert float(run.profile.leaves()[0]) == pytest.approx(mean, abs=1e-14)


def test_moving_average_has_no_power() -> None:
    with pytest.raises(TypeError):
        MovingAverage(power=1)  # type: ignore[call-arg]
    with pytest.raises(eqgan.EqganError, match="power"):
        Averaged(power=-1)


def test_mirror_prox_keeps_its_bound() -> None:
    """With rate 1/L the average's gap is at most L (ln m + ln n) / T, from the uniform start."""
    for seed in range(3):
        game = random_game("uniform", (30, 40), seed=seed)
        lipschitz = float(game.lipschitz)  # type: ignore[arg-type]
        for steps in (10, 100, 1000):
            solver = MirrorProx(rule=eqgan.Constant(1 / lipschitz))
            run = eqgan.solve(game, solver, max_steps=steps, tol=0)
            bound = lipschitz * (math.log(30) + math.log(40)) / steps
            assert 0 < run.certificate.nash_conv <= bound  # type: ignore[operator]


def test_restarts_make_averages_fast() -> None:
    a = random_game("low_rank", (60, 60), seed=0).payoff_matrix
    game = MatrixGame(a, geometry="euclidean")
    plain = eqgan.solve(game, MirrorProx(), max_steps=400, tol=0).certificate.nash_conv
    restarted = eqgan.solve(game, Restarted(MirrorProx()), max_steps=400, tol=0)
    assert restarted.certificate.nash_conv < 1e-3 * plain


def test_restarts_want_one_game_with_exact_gaps() -> None:
    solver = Restarted(Extragradient())
    with pytest.raises(eqgan.EqganError, match="batch"):
        eqgan.solve(random_game("normal", (2, 3, 3)), solver)
    with pytest.raises(eqgan.EqganError, match="exact gap"):
        eqgan.solve(eqgan.games.DiracGAN(), solver)
    with pytest.raises(eqgan.EqganError, match="shrink"):
        Restarted(shrink=1.0)


# -- quantal response ----------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["uniform", "normal", "skew", "low_rank"])
@pytest.mark.parametrize("temperature", [10.0, 0.3, 0.01, 1e-4])
def test_logit_equilibrium_is_its_own_soft_response(family: str, temperature: float) -> None:
    game = random_game(family, (12, 12) if family == "skew" else (12, 17), seed=0)
    quantal = QuantalResponse(game, temperature)
    run = eqgan.solve(quantal, tol=1e-12, check_every=1)
    assert run.converged
    assert run.certificate.exact
    x, y = run.profile.leaves()
    a = game.payoff_matrix
    assert torch.allclose(x, torch.softmax(a @ y / temperature, 0), atol=1e-5)
    assert torch.allclose(y, torch.softmax(-a.T @ x / temperature, 0), atol=1e-5)
    # What the players forgo for entropy is what they may lack to equilibrium without it.
    gap = eqgan.certify(game, run.profile).nash_conv
    assert gap <= temperature * (math.log(12) + math.log(17)) + 1e-10


def test_quantal_regrets_equal_the_definition() -> None:
    game = random_game("normal", (5, 4), seed=0)
    quantal = QuantalResponse(game, 0.7)
    z = quantal.random(quantal.generator(0))
    regrets, value = quantal.regrets(z)
    assert float(value) == pytest.approx(float(quantal.payoff(z)), abs=1e-14)
    for player in (0, 1):
        best = z.replace(player, quantal.best_response(z, player))
        gain = quantal.cost(z, player) - quantal.cost(best, player)
        assert float(regrets[player]) == pytest.approx(float(gain), abs=1e-14)
        other = z.replace(player, quantal.random(quantal.generator(1))[player])
        assert float(quantal.cost(other, player)) > float(quantal.cost(best, player))


def test_quantal_gradients_are_those_of_the_payoff() -> None:
    quantal = QuantalResponse(random_game("normal", (3, 4), seed=0), 0.5)
    z = quantal.random(quantal.generator(0))
    closed, automatic = quantal.operator(z), eqgan.ZeroSumGame.operator(quantal, z)
    assert all(torch.allclose(a, b) for a, b in zip(closed, automatic, strict=True))


def test_first_order_methods_agree_with_newton() -> None:
    quantal = QuantalResponse(random_game("normal", (10, 10), seed=0), 0.2)
    newton = eqgan.solve(quantal, tol=1e-12).profile
    mirror = eqgan.solve(quantal, "extragradient", tol=1e-10)
    assert mirror.converged
    assert float((mirror.profile - newton).norm()) < 1e-4


def test_batches_of_quantal_games() -> None:
    games = random_game("normal", (3, 6, 5), seed=0)
    run = eqgan.solve(QuantalResponse(games, 0.05), tol=1e-10, check_every=1)
    assert run.converged.tolist() == [True] * 3  # type: ignore[union-attr]
    assert run.certificate.nash_conv.shape == (3,)  # type: ignore[union-attr]


def test_smoothed_fictitious_play_finds_the_logit_equilibrium() -> None:
    game = random_game("normal", (10, 12), seed=0)
    quantal = QuantalResponse(game, 0.3)
    gaps = [
        eqgan.certify(
            quantal,
            eqgan.solve(game, FictitiousPlay(temperature=0.3), max_steps=n, tol=0).profile,
        ).nash_conv
        for n in (100, 1000)
    ]
    assert gaps[1] < 1e-5
    assert gaps[1] < gaps[0] / 10


def test_fictitious_play_answers_the_average_of_all_responses_and_no_start() -> None:
    game = random_game("normal", (5, 4), seed=1)
    a = game.payoff_matrix.numpy()
    x, y = np.array([0.7, 0.3, 0, 0, 0]), np.array([0.1, 0.2, 0.3, 0.4])
    start, rows, columns = (x, y), [], []
    for _ in range(30):
        rows.append(np.eye(5)[np.argmax(a @ y)])
        columns.append(np.eye(4)[np.argmin(x @ a)])
        x, y = np.mean(rows, 0), np.mean(columns, 0)
    run = eqgan.solve(game, FictitiousPlay(), init=start, max_steps=30, tol=0)
    for mine, expected in zip(run.profile, (x, y), strict=True):
        np.testing.assert_allclose(mine, expected, atol=1e-14)


class Lopsided(eqgan.ZeroSumGame):
    """The payoff is a product, of shares and of numbers that are none."""

    spaces = (eqgan.Simplex(2), eqgan.Box((2,), 0.0, 1.0))
    linear = True

    def payoff(self, z: eqgan.Profile, batch: Any = None) -> torch.Tensor:
        x, y = z.leaves()
        return (x * y).sum(-1)


def test_fictitious_play_wants_simplices_and_costs_that_are_linear() -> None:
    entropic = QuantalResponse(eqgan.games.rock_paper_scissors(), 1.0)
    for game in (Lopsided(), entropic):
        assert "it plays finite games" in str(FictitiousPlay().unsupported(game))


def test_quantal_games_say_what_they_want() -> None:
    game = random_game("normal", (3, 3))
    with pytest.raises(eqgan.EqganError, match="temperature should be a finite number > 0"):
        QuantalResponse(game, 0.0)
    with pytest.raises(eqgan.EqganError, match="expects a MatrixGame"):
        QuantalResponse(game.payoff_matrix, 1.0)  # type: ignore[arg-type]
    with pytest.raises(eqgan.EqganError, match="wrap the game"):
        eqgan.solve(game, "quantal_newton")
    with pytest.raises(eqgan.EqganError, match="cooling"):
        QuantalNewton(cooling=1.0)
    free = MatrixFree((3, 3), lambda y: y, lambda x: x)
    with pytest.raises(eqgan.EqganError, match="products only"):
        eqgan.solve(QuantalResponse(MatrixGame(free), 1.0))
    with pytest.raises(eqgan.EqganError, match="temperature"):
        FictitiousPlay(temperature=-1.0)
    mixed = eqgan.games.Mixed(eqgan.games.DiracGAN(), (2, 2))
    with pytest.raises(eqgan.EqganError, match="temperature 0 only"):
        eqgan.solve(mixed, FictitiousPlay(temperature=1.0))
