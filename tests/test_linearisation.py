"""Jacobian products, and the methods that are built from them beside their dense formulas."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import eqgan
from eqgan import Constant, Profile
from eqgan.games import Bilinear, Quadratic
from eqgan.linearisation import conjugate_gradient
from eqgan.solvers import (
    AdaptiveCompetitiveGradient,
    CompetitiveGradient,
    Consensus,
    FollowTheRidge,
    Lola,
    SymplecticGradient,
)
from eqgan.testing import standard_games

Solver = eqgan.Solver[Any]


def path(game: eqgan.Game, solver: Solver, z: Profile, steps: int) -> list[Profile]:
    """Return the iterates, the start included."""
    rng, state, iterates = game.generator(0), solver.init(game, z), [z]
    for _ in range(steps):
        z, state = solver.step(game, z, state, rng)
        iterates.append(z)
    return iterates


def flat(z: Profile) -> Tensor:
    return torch.cat([leaf.reshape(-1) for leaf in z.leaves()])


def step_from(game: eqgan.Game, solver: Solver, z: Profile) -> Tensor:
    """Return the displacement of the first step from `z`."""
    return flat(path(game, solver, z, 1)[1] - z)


# -- Jacobian products ---------------------------------------------------------------------------


class Unlike(eqgan.Game):
    """Two players whose losses have nothing in common."""

    spaces = (eqgan.Euclidean((2,)), eqgan.Euclidean((3,)))
    M = torch.tensor([[1.0, -0.5, 0.2], [0.3, 0.8, -1.0]], dtype=torch.float64)

    def losses(self, z: Profile, batch: Any = None) -> tuple[Tensor, Tensor]:
        x, y = z.leaves()
        mine = (x @ self.M @ y).sin() + 0.5 * (x * x * y[:2]).sum() + x.square().sum()
        theirs = (x @ self.M @ y).square() + (y.cos() * x.sum()).sum() + y.square().sum()
        return mine, theirs


RAGGED = Quadratic(
    [[1.0, -0.4], [0.3, 0.6], [-0.7, 0.2]],
    [[0.5, 0.1, 0.0], [0.1, -0.4, 0.2], [0.0, 0.2, 0.3]],
    [[0.6, -0.2], [-0.2, 0.9]],
)
GAMES = {"quadratic": RAGGED, "unlike": Unlike()}


def some(game: eqgan.Game, seed: int = 3) -> Profile:
    return game.random(game.generator(seed))


def dense(game: eqgan.Game, z: Profile) -> tuple[Tensor, Tensor, int]:
    """Return F, its Jacobian, and the first player's dimension, without `linearise`."""
    sizes = [leaf.numel() for leaf in z.leaves()]

    def field(vector: Tensor) -> Tensor:
        parts = Profile(vector.split(sizes))
        losses = game.losses(parts)
        return torch.cat(
            [
                torch.autograd.grad(loss, parts[i], create_graph=True)[0]
                for i, loss in enumerate(losses)
            ]
        )

    point = flat(z).requires_grad_()
    jacobian: Tensor = torch.autograd.functional.jacobian(field, point)
    return field(point).detach(), jacobian, sizes[0]


def off_diagonal(jacobian: Tensor, n: int) -> Tensor:
    blocks = jacobian.clone()
    blocks[:n, :n] = blocks[n:, n:] = 0
    return blocks


@pytest.mark.parametrize("name", GAMES)
def test_products_are_those_of_the_dense_jacobian(name: str) -> None:
    game = GAMES[name]
    z, v = some(game), some(game, 4)
    field, jacobian, n = dense(game, z)
    here = game.linearise(z)
    torch.testing.assert_close(flat(here.value), field)
    torch.testing.assert_close(flat(here.vjp(v)), jacobian.mT @ flat(v))
    torch.testing.assert_close(flat(here.jvp(v)), jacobian @ flat(v))
    sides = slice(0, n), slice(n, None)
    for i in (0, 1):
        for j in (0, 1):
            block = jacobian[sides[i], sides[j]]
            torch.testing.assert_close(here.block(i, j, v[j]), block @ v[j])
            torch.testing.assert_close(here.transposed_block(i, j, v[i]), block.mT @ v[i])


@pytest.mark.parametrize("kind", ["gan minimax", "gan non-saturating", "neural", "mixed gan"])
def test_products_with_networks_are_adjoint(kind: str) -> None:
    game = standard_games()[kind]
    rng = game.generator(0)
    z, u, v = (game.random(rng) for _ in range(3))
    here = game.linearise(z, game.sample(rng))
    assert float(here.jvp(v).dot(u)) == pytest.approx(float(here.vjp(u).dot(v)), rel=1e-4)
    for i in (0, 1):
        other = 1 - i
        pushed = Profile((here.block(i, other, v[other]),)).dot(Profile((u[i],)))
        pulled = Profile((here.transposed_block(i, other, u[i]),)).dot(Profile((v[other],)))
        assert float(pushed) == pytest.approx(float(pulled), rel=1e-3, abs=1e-6)


def test_a_constant_gradient_has_products_of_zero() -> None:
    game = Bilinear([[0.0]])
    here = game.linearise(some(game))
    for product in (here.vjp(here.value), here.jvp(here.value)):
        assert float(product.norm()) == 0.0


def test_conjugate_gradients_solve_stop_at_zero_and_pass_nan_on() -> None:
    rng = torch.Generator().manual_seed(0)
    root = torch.randn(6, 6, generator=rng, dtype=torch.float64)
    a, b = root @ root.mT + torch.eye(6), torch.randn(6, generator=rng, dtype=torch.float64)

    def apply(v: Profile) -> Profile:
        return v.map(lambda leaf: a @ leaf)

    x, _ = conjugate_gradient(apply, Profile((b,)), 1e-12, 20)
    torch.testing.assert_close(flat(x), torch.linalg.solve(a, b))
    zero, products = conjugate_gradient(apply, Profile((0 * b,)), 0.0, 20)
    assert (float(zero.norm()), products) == (0.0, 0)
    assert not conjugate_gradient(apply, Profile((b * math.nan,)), 1e-6, 20)[0].is_finite()


# -- every method beside its formula in dense matrices -------------------------------------------


def influence(game: eqgan.Game, z: Profile, jacobian: Tensor, n: int) -> Tensor:
    """Return chi_i = J_ji^T (d loss_i / d z_j)."""
    leaves = z.attached()
    losses = game.losses(leaves)
    x_by_y = torch.autograd.grad(losses[0], leaves[1], retain_graph=True)[0]
    y_by_x = torch.autograd.grad(losses[1], leaves[0])[0]
    return torch.cat((jacobian[n:, :n].mT @ x_by_y, jacobian[:n, n:].mT @ y_by_x))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", GAMES)
def test_consensus_and_the_symplectic_step_are_their_formulas(name: str, seed: int) -> None:
    game, eta = GAMES[name], 0.1
    z = some(game, seed)
    field, jacobian, _ = dense(game, z)
    slope = jacobian.mT @ field
    moved = step_from(game, Consensus(Constant(eta), gamma=0.3), z)
    torch.testing.assert_close(moved, -eta * (field + 0.3 * slope))
    turn = 0.5 * (jacobian.mT - jacobian) @ field
    sign = torch.sign((field @ slope) * (turn @ slope) / len(field) + 0.1)
    moved = step_from(game, SymplecticGradient(Constant(eta), strength=0.3), z)
    expected = -eta * (field + sign * 0.3 * turn)
    torch.testing.assert_close(moved, expected, rtol=1e-12, atol=1e-14)


def test_the_symplectic_step_takes_both_signs() -> None:
    signs = set()
    for curvature in (0.5, -0.5):
        game = Quadratic([[3.0]], [[curvature]], [[curvature]])
        z = game.as_profile(([1.0], [2.0]))
        turn = step_from(game, SymplecticGradient(Constant(1.0), 1.0), z) + flat(game.operator(z))
        signs.add(float(torch.sign(turn @ flat(z))))
    assert signs == {1.0, -1.0}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", GAMES)
def test_lola_and_its_relatives_are_their_formulas(name: str, seed: int) -> None:
    game, eta, alpha = GAMES[name], 0.1, 0.3
    z = 0.1 * some(game, seed) if seed == 3 else some(game, seed)
    field, jacobian, n = dense(game, z)
    ahead = field - alpha * off_diagonal(jacobian, n) @ field
    chi = influence(game, z, jacobian, n)
    along = -alpha * chi @ ahead
    share = 1.0 if along >= 0 else min(1.0, float(-0.5 * ahead @ ahead / along))
    size = float(field @ field)
    stable = min(share, size if size < 0.01 else 1.0)
    for shaping, p in ((0.0, 0.0), (0.4, 0.4), (1.0, 1.0), ("stable", stable)):
        moved = step_from(game, Lola(Constant(eta), alpha, shaping), z)  # type: ignore[arg-type]
        torch.testing.assert_close(moved, -eta * (ahead - p * alpha * chi))


@pytest.mark.parametrize("seed", range(4))
def test_competitive_steps_are_their_formulas(seed: int) -> None:
    z, eta = some(RAGGED, seed), 0.4
    field, jacobian, n = dense(RAGGED, z)
    across = off_diagonal(jacobian, n)
    moved = step_from(RAGGED, CompetitiveGradient(1e-14, rate=eta), z)
    expected = -eta * torch.linalg.solve(torch.eye(len(field)) + eta * across, field)
    torch.testing.assert_close(moved, expected)
    moved = step_from(RAGGED, AdaptiveCompetitiveGradient(1e-14, rate=eta, eps=0.1), z)
    price = torch.diag((field.abs() + 0.1) / eta)
    torch.testing.assert_close(moved, -torch.linalg.solve(price + across, field))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", GAMES)
def test_follow_the_ridge_is_its_formula(name: str, seed: int) -> None:
    game, eta, damping = GAMES[name], 0.1, 0.2
    z = some(game, seed)
    field, jacobian, n = dense(game, z)
    own, drift = jacobian[n:, n:], jacobian[n:, :n] @ (eta * field[:n])
    eye = torch.eye(len(own), dtype=torch.float64)
    ridge = torch.linalg.solve(own @ own + damping**2 * eye, own @ drift)
    solver = FollowTheRidge(Constant(eta), damping=damping, tolerance=1e-14)
    expected = torch.cat((-eta * field[:n], -eta * field[n:] + ridge))
    torch.testing.assert_close(step_from(game, solver, z), expected)
