"""Alternating gradient descent-ascent, with n steps a player and a rule for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from eqgan.errors import InvalidInput
from eqgan.game import Game
from eqgan.profile import Profile
from eqgan.rules import Rule, default_rule
from eqgan.solver import Solver
from eqgan.whole import is_whole


@dataclass(frozen=True)
class AlternatingGradient(Solver[tuple[Any, ...]]):
    r"""The players step in turn, each seeing what the others have just done.

    .. math::
        x_{t+1} = \mathrm{prox}_{x_t}(\eta \nabla_x \ell_x(x_t, y_t)), \qquad
        y_{t+1} = \mathrm{prox}_{y_t}(\eta \nabla_y \ell_y(x_{t+1}, y_t))

    On :math:`f = xy` it circles for ever: :math:`x^2 + y^2 - \eta xy` never changes. The classic
    recipe for GANs, `steps=(1, n)`, trains the discriminator n times a generator step.

    Args:
        rule: How gradients become steps; `eqgan.PerPlayer` for two learning rates.
        steps: Steps of each player in its turn.

    References:
        Goodfellow et al. 2014, arXiv:1406.2661; Heusel et al. 2017, arXiv:1706.08500.

    Example:
        >>> import eqgan
        >>> solver = AlternatingGradient(rule=eqgan.Constant(0.1))
        >>> game = eqgan.games.Bilinear([[1.0]])
        >>> eqgan.solve(game, solver, init=([1.0], [1.0]), max_steps=1).profile
        Profile([0.9], [1.09])
    """

    rule: Rule | None = None
    steps: tuple[int, ...] = (1, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        listed = isinstance(self.steps, tuple | list) and len(self.steps) > 0
        if not (listed and all(is_whole(n, 1) for n in self.steps)):
            raise InvalidInput(
                f"steps should be whole numbers >= 1, such as (1, 5); got {self.steps!r}."
            )

    def evaluations(self, game: Game) -> float:
        """Return the turns of all players; one player's gradient is half a joint one of two."""
        return sum(self.steps) / len(self.steps)

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless there is a number of steps for each player."""
        if len(self.steps) == len(game.spaces):
            return None
        return f"steps={self.steps} should hold a number for each of its {len(game.spaces)} players"

    def init(self, game: Game, z: Profile) -> tuple[Any, ...]:
        """Return the rule's memory for each player."""
        rule = self.rule or default_rule(game)
        return tuple(rule.for_player(i).init(Profile((s,))) for i, s in enumerate(z))

    def step(
        self, game: Game, z: Profile, state: tuple[Any, ...], rng: torch.Generator
    ) -> tuple[Profile, tuple[Any, ...]]:
        """Let every player take its turn."""
        rule = self.rule or default_rule(game)
        memories = list(state)
        for player, turns in enumerate(self.steps):
            mine = rule.for_player(player)
            for turn in range(turns):
                g = Profile((game.gradient(z, player, game.sample(rng)),))
                last = turn + 1 == turns
                d, memories[player] = mine.direction(g, memories[player], tick=last)
                z = z.replace(player, game.spaces[player].prox(z[player], d[0]))
        return z, tuple(memories)
