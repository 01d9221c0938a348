"""Simultaneous gradient descent-ascent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from eqgan.game import Game, prox
from eqgan.profile import Profile
from eqgan.rules import Rule, default_rule
from eqgan.solver import Solver


@dataclass(frozen=True)
class SimultaneousGradient(Solver[Any]):
    r"""Both players step at once along their own gradients.

    .. math:: z_{t+1} = \mathrm{prox}_{z_t}(\eta F(z_t))

    The baseline. On a simplex this is multiplicative weights. It circles or diverges where the
    game is a rotation: on :math:`f = xy` the norm grows by :math:`\sqrt{1 + \eta^2}` a step.

    Args:
        rule: How gradients become steps; by default `eqgan.default_rule` of the game.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.Bilinear([[1.0]])
        >>> solver = SimultaneousGradient(rule=eqgan.Constant(0.1))
        >>> run = eqgan.solve(game, solver, init=([1.0], [0.0]), max_steps=1)
        >>> run.profile
        Profile([1.0], [0.1])
    """

    rule: Rule | None = None

    def init(self, game: Game, z: Profile) -> Any:
        """Return the rule's memory."""
        return (self.rule or default_rule(game)).init(z)

    def step(self, game: Game, z: Profile, state: Any, rng: torch.Generator) -> tuple[Profile, Any]:
        """Take one step."""
        rule = self.rule or default_rule(game)
        d, state = rule.direction(game.operator(z, game.sample(rng)), state)
        return prox(game, z, d), state
