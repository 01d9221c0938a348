"""The wider family of differentiable dynamics: what theory states of each method."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import eqgan
from eqgan import Constant, Profile
from eqgan.errors import UnsupportedGame
from eqgan.games import Bilinear, DiracGAN, MatrixGame, Quadratic, strongly_monotone
from eqgan.solvers import (
    AdaptiveCompetitiveGradient,
    AlternatingGradient,
    AnchoredExtragradient,
    CompetitiveGradient,
    Consensus,
    Extragradient,
    FollowTheRidge,
    LinearProgram,
    Lola,
    Lookahead,
    NegativeMomentum,
    ProximalPoint,
    SimultaneousGradient,
    SymplecticGradient,
    Unrolled,
)

Solver = eqgan.Solver[Any]

FAMILY: tuple[type[Solver], ...] = (
    AdaptiveCompetitiveGradient,
    AnchoredExtragradient,
    CompetitiveGradient,
    Consensus,
    FollowTheRidge,
    Lola,
    Lookahead,
    NegativeMomentum,
    ProximalPoint,
    SymplecticGradient,
    Unrolled,
)


def path(game: eqgan.Game, solver: Solver, z: Profile, steps: int) -> list[Profile]:
    """Return the iterates, the start included."""
    rng, state, iterates = game.generator(0), solver.init(game, z), [z]
    for _ in range(steps):
        z, state = solver.step(game, z, state, rng)
        iterates.append(z)
    return iterates


def flat(z: Profile) -> Tensor:
    return torch.cat([leaf.reshape(-1) for leaf in z.leaves()])


# -- contraction on f = xy -------------------------------------------------------------------------

XY = Bilinear([[1.0]])
ETAS = (0.05, 0.1, 0.3, 0.5)


def linear_map(solver: Solver) -> np.ndarray:
    """Return the matrix of one step on f = xy, column by column."""
    columns = []
    for start in (([1.0], [0.0]), ([0.0], [1.0])):
        columns.append(flat(path(XY, solver, XY.as_profile(start), 1)[1]).numpy())
    return np.stack(columns, 1)


def radius(matrix: np.ndarray) -> float:
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def lookahead_rho(eta: float, k: int, alpha: float) -> float:
    return float(abs(1 - alpha + alpha * (1 + 1j * eta) ** k) ** (1 / k))


MEMORYLESS: dict[str, tuple[Callable[[float], Solver], Callable[[float], float]]] = {
    "proximal point": (
        lambda eta: ProximalPoint(Constant(eta), tolerance=1e-15),
        lambda eta: 1 / math.sqrt(1 + eta**2),
    ),
    "consensus": (
        lambda eta: Consensus(Constant(eta), gamma=0.7),
        lambda eta: math.sqrt((1 - 0.7 * eta) ** 2 + eta**2),
    ),
    "symplectic gradient": (
        lambda eta: SymplecticGradient(Constant(eta), strength=1.0),
        lambda eta: math.sqrt((1 - eta) ** 2 + eta**2),
    ),
    "competitive gradient": (
        lambda eta: CompetitiveGradient(rate=eta),
        lambda eta: 1 / math.sqrt(1 + eta**2),
    ),
    "lookahead of the rival": (
        lambda eta: Lola(Constant(eta), foresight=eta, shaping=0.0),
        lambda eta: abs(1 - eta**2 + 1j * eta),
    ),
    "lola": (
        lambda eta: Lola(Constant(eta), foresight=eta, shaping=1.0),
        lambda eta: math.sqrt(1 - 3 * eta**2 + 4 * eta**4),
    ),
    "unrolled 1": (
        lambda eta: Unrolled(Constant(eta), k=1, rate=eta),
        lambda eta: math.sqrt(1 - eta**2),
    ),
    "unrolled 3": (
        lambda eta: Unrolled(Constant(eta), k=3, rate=0.3),
        lambda eta: math.sqrt(1 - 1.8 * eta + eta**2),
    ),
    # Without their second term they are simultaneous gradient, which diverges.
    "consensus, gamma 0": (
        lambda eta: Consensus(Constant(eta), gamma=0.0),
        lambda eta: math.sqrt(1 + eta**2),
    ),
    "follow the ridge": (
        lambda eta: FollowTheRidge(Constant(eta)),
        lambda eta: math.sqrt(1 + eta**2),
    ),
}


@pytest.mark.parametrize("eta", ETAS)
@pytest.mark.parametrize("name", MEMORYLESS)
def test_steps_contract_by_their_formula(name: str, eta: float) -> None:
    make, formula = MEMORYLESS[name]
    matrix = linear_map(make(eta))
    assert radius(matrix) == pytest.approx(formula(eta), rel=1e-9)
    # The method is linear here, so that its powers are its runs.
    end = path(XY, make(eta), XY.as_profile(([1.0], [0.5])), 30)[-1]
    expected = np.linalg.matrix_power(matrix, 30) @ [1.0, 0.5]
    np.testing.assert_allclose(flat(end).numpy(), expected, rtol=1e-8)


@pytest.mark.parametrize("eta", ETAS)
def test_unrolling_further_than_the_leader_can_use_stops_its_rotation(eta: float) -> None:
    """Beyond k * rate = 1 both eigenvalues are real: the leader answers a best response."""
    steps = linear_map(Unrolled(Constant(eta), k=4, rate=0.5))
    total = 2 - 4 * eta
    root = math.sqrt(total**2 / 4 - (1 - 4 * eta + eta**2))
    expected = sorted((total / 2 - root, total / 2 + root))
    np.testing.assert_allclose(np.sort(np.linalg.eigvals(steps)), expected, rtol=1e-9)


@pytest.mark.parametrize("eta", ETAS)
@pytest.mark.parametrize(("k", "alpha"), [(5, 0.5), (3, 0.9), (1, 0.5), (4, 1.0)])
def test_lookahead_contracts_by_its_formula(eta: float, k: int, alpha: float) -> None:
    solver = Lookahead(SimultaneousGradient(Constant(eta)), k=k, alpha=alpha)
    norms = [float(z.norm()) for z in path(XY, solver, XY.as_profile(([1.0], [0.5])), 6 * k)]
    for before, after in pairwise(norms[::k]):
        assert (after / before) ** (1 / k) == pytest.approx(lookahead_rho(eta, k, alpha), rel=1e-9)


def momentum_rho(eta: float, beta: float, alternating: bool) -> float:
    """The largest root of ((s - 1)(s - beta))^2 = -eta^2 s^2, or s^3 where steps alternate."""
    square = np.polymul(*[np.polymul([1, -1], [1, -beta])] * 2)
    turn = [eta**2, 0, 0, 0] if alternating else [eta**2, 0, 0]
    return float(np.abs(np.roots(np.polyadd(square, turn))).max())


@pytest.mark.parametrize("eta", ETAS)
@pytest.mark.parametrize("beta", [-0.5, -0.2])
@pytest.mark.parametrize("alternating", [True, False])
def test_negative_momentum_contracts_by_its_formula(
    eta: float, beta: float, alternating: bool
) -> None:
    solver = NegativeMomentum(Constant(eta), beta=beta, alternating=alternating)
    z = torch.stack([flat(p) for p in path(XY, solver, XY.as_profile(([1.0], [0.5])), 12)])
    # Two iterates in a row determine the next: fit that map to the run.
    pairs = torch.cat((z[1:], z[:-1]), 1)
    fitted = torch.linalg.lstsq(pairs[:-1], pairs[1:]).solution
    expected = momentum_rho(eta, beta, alternating)
    assert radius(fitted.numpy()) == pytest.approx(expected, rel=1e-9)
    assert (expected < 1) == alternating


def test_the_printed_contractions_are_those_of_the_formulas() -> None:
    assert momentum_rho(0.1, -0.5, True) == pytest.approx(0.998518, abs=5e-7)
    assert momentum_rho(0.1, -0.5, False) == pytest.approx(1.000743, abs=5e-7)
    assert lookahead_rho(0.1, 5, 0.5) == pytest.approx(0.996237, abs=5e-7)


def test_the_anchored_method_keeps_its_bound() -> None:
    """|F(z_t)|^2 <= 260 L^2 |z_0 - z*|^2 / (t + 1)^2 at the step 1 / (8 L)."""
    game = Bilinear([[1.0, 0.3], [0.0, 0.7]])
    solver = AnchoredExtragradient(Constant(1 / (8 * game.lipschitz)))
    z = game.as_profile(([1.0, -1.0], [0.5, 2.0]))
    iterates = path(game, solver, z, 2000)
    limit = 260 * game.lipschitz**2 * float(z.dot(z))
    squares = [float(game.operator(w).norm()) ** 2 for w in iterates]
    assert all(square <= limit / (t + 1) ** 2 for t, square in enumerate(squares))
    # No faster than that either: the anchor holds it back.
    assert squares[2000] * 2001**2 > 0.01 * squares[200] * 201**2


def test_the_anchored_method_is_the_one_of_the_paper() -> None:
    eta, z = 0.2, XY.as_profile(([1.0], [0.5]))
    iterates = path(XY, AnchoredExtragradient(Constant(eta)), z, 10)
    for t, (before, after) in enumerate(pairwise(iterates)):
        pull = (1 / (t + 2)) * (z - before)
        w = before + pull - eta * XY.operator(before)
        assert float((before + pull - eta * XY.operator(w) - after).norm()) < 1e-15


# -- where theory says that they converge ----------------------------------------------------------


@pytest.mark.parametrize("solver", FAMILY)
def test_converges_on_a_strongly_monotone_quadratic(solver: type[Solver]) -> None:
    game = strongly_monotone(3, curvature=0.5, seed=1)
    rng = game.generator(1)
    method: Any = solver(rate=0.05) if solver is AdaptiveCompetitiveGradient else solver()
    result = eqgan.solve(game, method, init=game.random(rng), max_steps=300, tol=0.0)
    # Anchored steps approach like 1/t.
    assert float(result.profile.norm()) < (2e-2 if solver is AnchoredExtragradient else 1e-8)


@pytest.mark.parametrize(
    ("solver", "bound"),
    [
        (AnchoredExtragradient(Constant(0.5)), 2e-2),
        (CompetitiveGradient(rate=0.5), 1e-8),
        (Consensus(Constant(0.2), gamma=1.0), 1e-8),
        (Lola(Constant(0.5), foresight=0.5, shaping=0.0), 1e-8),
        (Lola(Constant(0.5), foresight=0.5, shaping=1.0), 1e-8),
        (Lola(Constant(0.5), foresight=0.5, shaping="stable"), 1e-4),
        (Lookahead(SimultaneousGradient(Constant(0.3)), k=10), 1e-8),
        (NegativeMomentum(Constant(1.0)), 1e-8),
        (ProximalPoint(Constant(0.5)), 1e-8),
        (SymplecticGradient(Constant(0.2), strength=1.0), 1e-8),
        (Unrolled(Constant(0.5), k=3, rate=0.5), 1e-8),
    ],
    ids=lambda value: value if isinstance(value, float) else type(value).__name__,
)
def test_converges_on_the_dirac_gan_where_plain_steps_diverge(solver: Solver, bound: float) -> None:
    game = DiracGAN()
    start = game.initial(game.generator(0))
    last = path(game, solver, start, 1000)[-1]
    assert float(last.norm()) < bound
    plain = path(game, SimultaneousGradient(Constant(0.2)), start, 1000)[-1]
    assert float(plain.norm()) > float(start.norm())


@pytest.mark.parametrize("solver", FAMILY)
def test_an_equilibrium_is_kept(solver: type[Solver]) -> None:
    for game in (XY, strongly_monotone(2), DiracGAN(), DiracGAN(regulariser="r1")):
        assert game.equilibrium is not None
        for z in path(game, solver(), game.equilibrium, 5):
            assert z.equal(game.equilibrium)


# -- where they lead ---------------------------------------------------------------------------


def test_follow_the_ridge_is_attracted_by_a_local_minimax_point_only() -> None:
    # f = -3x^2 + 4xy - y^2: the origin is a local minimax point and no Nash equilibrium.
    ridge = Quadratic([[4.0]], [[-6.0]], [[2.0]])
    # f = 3x^2 + 4xy + y^2: the follower is at its worst, and plain steps converge all the same.
    worst = Quadratic([[4.0]], [[6.0]], [[-2.0]])
    ends = {}
    for game in (ridge, worst):
        for method in (FollowTheRidge, SimultaneousGradient):
            z = game.as_profile(([0.01], [0.02]))
            ends[game, method] = float(path(game, method(Constant(0.05)), z, 200)[-1].norm())
    assert ends[ridge, FollowTheRidge] < 1e-4
    assert ends[worst, FollowTheRidge] > 1.0
    assert ends[worst, SimultaneousGradient] < 1e-4
    assert ends[ridge, SimultaneousGradient] > 1.0


def test_follow_the_ridge_moves_along_the_ridge() -> None:
    game = Quadratic([[4.0]], [[-6.0]], [[2.0]])
    z = game.as_profile(([1.0], [2.0]))  # y = 2x
    for x, y in path(game, FollowTheRidge(Constant(0.05), damping=1e-6), z, 20):
        torch.testing.assert_close(y, 2 * x)


@pytest.mark.parametrize("follower", [0, 1])
def test_either_player_may_follow(follower: int) -> None:
    game = Quadratic([[1.0]], [[0.5]], [[0.5]])
    for solver in (FollowTheRidge(follower=follower), Unrolled(follower=follower)):
        z = game.initial(game.generator(0))
        assert float(path(game, solver, z, 300)[-1].norm()) < 1e-6


def test_consensus_is_attracted_by_a_maximum_of_both_losses() -> None:
    """The symplectic step flees it, except from so near that its tie-break of 0.1 prevails."""
    game = Quadratic([[3.0]], [[-0.5]], [[-0.5]])
    for near, flees in ((1.0, True), (0.01, False)):
        z = game.as_profile(([near], [2 * near]))
        drawn = path(game, Consensus(Constant(0.05), gamma=1.0), z, 500)[-1]
        assert float(drawn.norm()) < 1e-6
        turned = path(game, SymplecticGradient(Constant(0.05), 1.0), z, 500)[-1]
        assert (float(turned.norm()) > 100.0) == flees
        assert (float(turned.norm()) < 1e-6) != flees


def test_lookahead_of_nothing_is_its_solver() -> None:
    game, inner = DiracGAN(), AlternatingGradient(Constant(0.1))
    start = game.initial(game.generator(0))
    wrapped = path(game, Lookahead(inner, k=1, alpha=1.0), start, 20)
    for z, w in zip(path(game, inner, start, 20), wrapped, strict=True):
        torch.testing.assert_close(flat(z), flat(w), rtol=1e-12, atol=1e-14)


def test_lookahead_steps_back_to_the_start_first() -> None:
    inner = SimultaneousGradient(Constant(0.1))
    start = XY.as_profile(([1.0], [0.5]))
    fast = path(XY, inner, start, 4)
    wrapped = path(XY, Lookahead(inner, k=4, alpha=0.25), start, 4)
    assert all(z.equal(w) for z, w in zip(fast[:4], wrapped[:4], strict=True))
    assert wrapped[4].equal(start.lerp(fast[4], 0.25))
    run = eqgan.solve(XY, Lookahead(inner, k=4), init=start, max_steps=3, tol=0)
    assert run.profile.equal(start)


def test_lookahead_refuses_what_takes_no_steps() -> None:
    with pytest.raises(UnsupportedGame, match="solves at once"):
        eqgan.solve(MatrixGame([[1.0]]), Lookahead(LinearProgram()))


def test_proximal_steps_solve_their_equation_even_where_the_inner_map_expands() -> None:
    for eta, iterations in ((0.5, 60), (2.0, 400)):
        solver = ProximalPoint(Constant(eta), tolerance=1e-13, iterations=iterations)
        before, after = path(XY, solver, XY.as_profile(([1.0], [0.5])), 1)
        assert float((before - eta * XY.operator(after) - after).norm()) < 1e-11


@pytest.mark.parametrize(
    "solver", [AnchoredExtragradient, NegativeMomentum, ProximalPoint, Unrolled]
)
def test_on_simplices_they_solve_rock_paper_scissors(solver: type[Solver]) -> None:
    start = ([0.6, 0.3, 0.1], [0.2, 0.2, 0.6])
    run = eqgan.solve(
        eqgan.games.rock_paper_scissors(), solver(), init=start, max_steps=2000, tol=0.0
    )
    assert run.certificate.nash_conv < 1e-2


def test_extragradient_is_what_the_anchor_slows_down() -> None:
    """On a strongly monotone game the linear rate wins."""
    game = strongly_monotone(2)
    z = game.initial(game.generator(0))
    plain, anchored = (
        float(path(game, solver, z, 200)[-1].norm())
        for solver in (Extragradient(), AnchoredExtragradient())
    )
    assert plain < 1e-6 < anchored
