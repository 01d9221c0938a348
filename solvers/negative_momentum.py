"""Gradient steps with negative momentum, alternating or simultaneous."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from eqgan.errors import InvalidInput
from eqgan.game import Game
from eqgan.profile import Profile
from eqgan.real import is_real
from eqgan.rules import Rule, default_rule
from eqgan.solver import Solver


@dataclass(frozen=True)
class MomentumState:
    """Each player's rule's memory, and the profile of the step before."""

    rules: tuple[Any, ...]
    previous: Profile


@dataclass(frozen=True)
class NegativeMomentum(Solver[MomentumState]):
    r"""Each step takes back a part of the last one.

    .. math::
        x_{t+1} = x_t - \eta \nabla_x \ell_x(x_t, y_t) + \beta (x_t - x_{t-1}), \qquad
        y_{t+1} = y_t - \eta \nabla_y \ell_y(x_{t+1}, y_t) + \beta (y_t - y_{t-1})

    With :math:`\beta < 0` the alternating form converges on bilinear games, where momentum of the
    usual sign and steps without any do not; the simultaneous form still diverges there. On a set
    the step starts from :math:`x_t + \beta (x_t - x_{t-1})`, which lies between the two iterates.

    Args:
        rule: How gradients become steps; `eqgan.PerPlayer` for two learning rates.
        beta: :math:`\beta`, in (-1, 0].
        alternating: Whether each player sees what the others have just done.

    References:
        Gidel et al. 2019, arXiv:1807.04740.

    Example:
        >>> import eqgan
        >>> solver = NegativeMomentum(rule=eqgan.Constant(0.1))
        >>> run = eqgan.solve(eqgan.games.Bilinear([[1.0]]), solver, max_steps=2000)
        >>> float(run.last.norm()) < 0.1
        True
    """

    rule: Rule | None = None
    beta: float = -0.5
    alternating: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_real(self.beta, "(-1, 0]"):
            raise InvalidInput(
                f"beta should be a number in (-1, 0]; got {self.beta!r}. For momentum of the other "
                "sign use the rule TorchOptimizer(torch.optim.SGD, {'lr': ..., 'momentum': ...})."
            )

    def init(self, game: Game, z: Profile) -> MomentumState:
        """Return a memory whose first step has no momentum."""
        rule = self.rule or default_rule(game)
        rules = tuple(rule.for_player(i).init(Profile((s,))) for i, s in enumerate(z))
        return MomentumState(rules, z)

    def step(
        self, game: Game, z: Profile, state: MomentumState, rng: torch.Generator
    ) -> tuple[Profile, MomentumState]:
        """Let every player step."""
        rule = self.rule or default_rule(game)
        field = None if self.alternating else game.operator(z, game.sample(rng))
        base, new, memories = z.lerp(state.previous, -self.beta), z, []
        for player, (space, memory) in enumerate(zip(game.spaces, state.rules, strict=True)):
            g = field[player] if field else game.gradient(new, player, game.sample(rng))
            d, memory = rule.for_player(player).direction(Profile((g,)), memory)
            new = new.replace(player, space.prox(base[player], d[0]))
            memories.append(memory)
        return new, MomentumState(tuple(memories), z)
