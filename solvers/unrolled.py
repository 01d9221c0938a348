"""Unrolled gradients: the leader differentiates through the follower's next steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.game import Game, prox
from eqgan.linearisation import PRODUCT
from eqgan.profile import Profile, Strategy
from eqgan.real import as_real
from eqgan.rules import Rule, default_rate, default_rule, scaled
from eqgan.solver import Solver
from eqgan.whole import as_whole, is_whole


@dataclass(frozen=True)
class Unrolled(Solver[Any]):
    r"""The leader descends its loss against what the follower will be after k steps.

    .. math::
        y_0 = y_t, \quad y_{j+1} = \mathrm{prox}_{y_j}(\alpha \nabla_y \ell_y(x_t, y_j)), \qquad
        x_{t+1} = \mathrm{prox}_{x_t}\bigl(\eta \tfrac{d}{dx} \ell_x(x, y_k(x))\bigr), \quad
        y_{t+1} = \mathrm{prox}_{y_t}(\eta \nabla_y \ell_y(x_t, y_t))

    The derivative is the total one, through all k steps. The longer the follower is unrolled, the
    more the leader answers its best response rather than its present strategy, which stops a
    generator from chasing the discriminator from mode to mode. One batch serves the whole step.

    Args:
        rule: How the two gradients become steps; by default `eqgan.default_rule` of the game.
        k: Steps that the follower is unrolled.
        rate: :math:`\alpha`, the follower's unrolled step size (plain gradient steps, whatever the
            rule); by default `eqgan.default_rate` of the game.
        follower: The player who is unrolled: the discriminator of a GAN.

    References:
        Metz et al. 2017, arXiv:1611.02163.

    Example:
        >>> import eqgan
        >>> solver = Unrolled(rule=eqgan.Constant(0.2), k=5, rate=0.2)
        >>> run = eqgan.solve(eqgan.games.DiracGAN(), solver, max_steps=500)
        >>> float(run.last.norm()) < 1e-6
        True
    """

    rule: Rule | None = None
    k: int = 5
    rate: float | None = None
    follower: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        as_whole("k", self.k, 1)
        if self.rate is not None:
            as_real("rate", self.rate, "(0, inf)")
        if not is_whole(self.follower, 0, 1):
            raise InvalidInput(f"follower should be player 0 or 1; got {self.follower!r}.")

    def evaluations(self, game: Game) -> float:
        """Return half a joint gradient a player and step, and half a product back through each."""
        return 0.5 * (self.k + 1) + 0.5 * PRODUCT * self.k

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless the follower's steps can be differentiated."""
        space = game.spaces[self.follower]
        here = Profile((space.center(game.batch_shape, **game.options),)).attached()
        moved = Profile((space.prox(here[0], here.map(torch.zeros_like)[0]),))
        if all(leaf.requires_grad for leaf in moved.leaves()):
            return None
        return f"it differentiates through the follower's steps, and those on {space} are opaque"

    def init(self, game: Game, z: Profile) -> Any:
        """Return the rule's memory."""
        return (self.rule or default_rule(game)).init(z)

    def step(self, game: Game, z: Profile, state: Any, rng: torch.Generator) -> tuple[Profile, Any]:
        """Take one step."""
        batch, follower, leader = game.sample(rng), self.follower, 1 - self.follower
        rate = default_rate(game) if self.rate is None else self.rate
        space = game.spaces[follower]
        start = z.attached()
        losses, ahead = game.facing(start, follower, batch), start[follower]
        first = None
        for _ in range(self.k):
            slope = _gradient(losses(ahead)[follower], ahead, keep=True)
            # The graph stays: the leader's gradient goes back through every one of these steps.
            ahead = space.prox(ahead, scaled(slope, rate)[0])
            first = first or slope.detach()
        total = _gradient(losses(ahead)[leader], start[leader], keep=False)
        # The follower itself takes the first of the steps that were unrolled.
        assert first is not None
        g = z.replace(leader, total[0]).replace(follower, first[0])
        d, state = (self.rule or default_rule(game)).direction(g, state)
        return prox(game, z, d), state


def _gradient(loss: Tensor, strategy: Strategy, keep: bool) -> Profile:
    """Return the gradient in one player's strategy, as a profile of that player alone."""
    mine = Profile((strategy,))
    slope = torch.autograd.grad(
        loss.sum(), mine.leaves(), create_graph=keep, materialize_grads=True
    )
    return mine.with_leaves(slope)
