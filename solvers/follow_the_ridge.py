"""Follow-the-ridge: the follower makes up for what the leader's step does to its optimum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from eqgan.errors import InvalidInput
from eqgan.game import Game, prox, share_payoff
from eqgan.linearisation import PRODUCT, conjugate_gradient
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.rules import Rule, default_rule
from eqgan.solver import Solver, needs_free_parameters
from eqgan.whole import as_whole, is_whole


@dataclass(frozen=True)
class RidgeState:
    """The rule's memory, and the steps of all linear solves."""

    memory: Any
    iterations: int


@dataclass(frozen=True)
class FollowTheRidge(Solver[RidgeState]):
    r"""Gradient steps, and along the ridge on which the follower's gradient vanishes.

    .. math::
        x_{t+1} = x_t - \eta_x \nabla_x \ell_x, \qquad
        y_{t+1} = y_t - \eta_y \nabla_y \ell_y
            + H_{yy}^{-1} H_{yx}\, \eta_x \nabla_x \ell_x, \qquad H = \nabla^2 \ell_y

    Only local minimax points are stable, where gradient steps can also settle at points whose
    follower is at its worst. The inverse is damped, :math:`(H_{yy}^2 + \delta^2 I)^{-1} H_{yy}`,
    so that it keeps the sign of every curvature and vanishes where there is none: on :math:`f =
    xy` there is no ridge, and this is simultaneous gradient, which diverges.

    Args:
        rule: How gradients become steps; by default `eqgan.default_rule` of the game.
        follower: The player who moves second: the discriminator of a GAN.
        damping: :math:`\delta > 0`, in units of the curvature; curvatures well above it are
            inverted as they are.
        tolerance: Stop the linear solve at this share of the right-hand side's norm.
        iterations: Steps of the linear solve at most.

    References:
        Wang, Zhang, Ba 2020, arXiv:1910.07512.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.Quadratic([[4.0]], [[-6.0]], [[2.0]])  # -3x^2 + 4xy - y^2
        >>> run = eqgan.solve(game, FollowTheRidge(rule=eqgan.Constant(0.1)), max_steps=300)
        >>> float(run.last.norm()) < 1e-6
        True
    """

    rule: Rule | None = None
    follower: int = 1
    damping: float = 0.1
    tolerance: float = 1e-6
    iterations: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_whole(self.follower, 0, 1):
            raise InvalidInput(f"follower should be player 0 or 1; got {self.follower!r}.")
        as_real("damping", self.damping, "(0, inf)")
        as_real("tolerance", self.tolerance, "[0, 1)")
        as_whole("iterations", self.iterations, 1)

    def evaluations(self, game: Game) -> float:
        """Return the operator and all products of half its size; the solve may need fewer."""
        unknowns: int = math.prod(game.spaces[self.follower].shape)
        return _cost(game, 1, min(self.iterations, unknowns))

    def spent(self, game: Game, state: RidgeState, steps: int) -> float:
        """Return the operators and all products, half a one each."""
        return _cost(game, steps, state.iterations)

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless the strategies are unconstrained."""
        return needs_free_parameters(game)

    def init(self, game: Game, z: Profile) -> RidgeState:
        """Return the rule's memory."""
        return RidgeState((self.rule or default_rule(game)).init(z), 0)

    def step(
        self, game: Game, z: Profile, state: RidgeState, rng: torch.Generator
    ) -> tuple[Profile, RidgeState]:
        """Take one step."""
        here, follower = game.linearise(z, game.sample(rng)), self.follower
        d, memory = (self.rule or default_rule(game)).direction(here.value, state.memory)

        def curvature(v: Profile) -> Profile:
            return Profile((here.block(follower, follower, v[0]),))

        def damped(v: Profile) -> Profile:
            return curvature(curvature(v)).add(v, self.damping**2)

        drift = Profile((here.block(follower, 1 - follower, d[1 - follower]),))
        right = curvature(drift)
        ridge, iterations = conjugate_gradient(damped, right, self.tolerance, self.iterations)
        d = d.replace(follower, (Profile((d[follower],)) - ridge)[0])
        return prox(game, z, d), RidgeState(memory, state.iterations + iterations)


def _cost(game: Game, steps: int, iterations: int) -> float:
    """Return the joint gradients of steps whose linear solves took so many iterations in all."""
    halves = (2 if share_payoff(game) else 3) * steps + 2 * iterations
    return steps + PRODUCT * halves / 2
