"""Extragradient, which on simplices is mirror-prox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from eqgan.game import Game, prox
from eqgan.profile import Profile
from eqgan.rules import Rule, default_rule
from eqgan.solver import Solver


@dataclass(frozen=True)
class Extragradient(Solver[Any]):
    r"""Look one step ahead, and step with the gradient found there.

    .. math::
        w_t = \mathrm{prox}_{z_t}(\eta F(z_t)), \qquad
        z_{t+1} = \mathrm{prox}_{z_t}(\eta F(w_t))

    The safe first choice on smooth games: it converges on monotone ones for
    :math:`\eta < 1 / L`, where plain gradients circle. With `eqgan.Adam` the moments move in
    both half-steps (ExtraAdam).

    Args:
        rule: How gradients become steps; by default `eqgan.default_rule` of the game.

    References:
        Korpelevich 1976; Nemirovski 2004 (mirror-prox); Gidel et al. 2019, arXiv:1802.10551.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.DiracGAN()
        >>> run = eqgan.solve(game, Extragradient(rule=eqgan.Constant(0.2)), max_steps=500)
        >>> round(float(run.last.norm()), 3)
        0.122
    """

    rule: Rule | None = None

    def evaluations(self, game: Game) -> float:
        """Return 2: one gradient ahead, one to step."""
        return 2.0

    def init(self, game: Game, z: Profile) -> Any:
        """Return the rule's memory."""
        return (self.rule or default_rule(game)).init(z)

    def step(self, game: Game, z: Profile, state: Any, rng: torch.Generator) -> tuple[Profile, Any]:
        """Take one step."""
        rule = self.rule or default_rule(game)
        # Moments move in both half-steps; a schedule ticks once a step.
        ahead, state = rule.direction(game.operator(z, game.sample(rng)), state, tick=False)
        w = prox(game, z, ahead)
        d, state = rule.direction(game.operator(w, game.sample(rng)), state)
        return prox(game, z, d), state
