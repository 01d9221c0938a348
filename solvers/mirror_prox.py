"""Mirror-prox: extragradient that proposes the average of its half-steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from eqgan.game import Game, prox
from eqgan.profile import Profile
from eqgan.rules import Rule, default_rule
from eqgan.solver import Solver


@dataclass(frozen=True)
class MirrorProxState:
    """The rule's memory, the sum of the half-steps, and how many there are."""

    rule: Any
    total: Profile
    steps: int


@dataclass(frozen=True)
class MirrorProx(Solver[MirrorProxState]):
    r"""Step as `Extragradient` does, and propose the average of the points looked at.

    .. math::
        w_t = \mathrm{prox}_{z_t}(\eta F(z_t)), \qquad
        z_{t+1} = \mathrm{prox}_{z_t}(\eta F(w_t)), \qquad
        \bar w_T = \frac1T \sum_t w_t

    On monotone games over bounded sets the average's gap falls like :math:`L D / T`, D being the
    width of the sets in their own geometry (:math:`\ln n` on a simplex): the best rate that
    first-order methods can have without restarts.

    Args:
        rule: How gradients become steps; by default `eqgan.default_rule` of the game.

    References:
        Nemirovski 2004.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.random_game("normal", (20, 20))
        >>> run = eqgan.solve(game, MirrorProx(), max_steps=1000)
        >>> run.certificate.nash_conv < 0.05
        True
    """

    rule: Rule | None = None

    def evaluations(self, game: Game) -> float:
        """Return 2: one gradient ahead, one to step."""
        return 2.0

    def init(self, game: Game, z: Profile) -> MirrorProxState:
        """Return the rule's memory and a sum of nothing."""
        return MirrorProxState(
            (self.rule or default_rule(game)).init(z), z.map(torch.zeros_like), 0
        )

    def step(
        self, game: Game, z: Profile, state: MirrorProxState, rng: torch.Generator
    ) -> tuple[Profile, MirrorProxState]:
        """Take one step."""
        rule = self.rule or default_rule(game)
        ahead, memory = rule.direction(game.operator(z, game.sample(rng)), state.rule, tick=False)
        w = prox(game, z, ahead)
        d, memory = rule.direction(game.operator(w, game.sample(rng)), memory)
        return prox(game, z, d), MirrorProxState(memory, state.total + w, state.steps + 1)

    def output(self, z: Profile, state: MirrorProxState) -> Profile:
        """Return the average of the half-steps."""
        return state.total * (1.0 / state.steps) if state.steps else z
