"""Consensus optimisation: gradients, and a pull to where all gradients are small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from eqgan.game import Game, prox
from eqgan.linearisation import PRODUCT
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.rules import Rule, default_rate, default_rule
from eqgan.solver import Solver, needs_free_parameters


@dataclass(frozen=True)
class Consensus(Solver[Any]):
    r"""Descend the losses and the squared norm of all gradients together.

    .. math::
        z_{t+1} = z_t - \eta \bigl(F(z_t) + \gamma J(z_t)^\top F(z_t)\bigr), \qquad
        J^\top F = \nabla \tfrac12 \lVert F \rVert^2

    The second term turns rotation into contraction. It knows no player's direction: with a large
    :math:`\gamma` maxima and saddles of a player's loss attract as well as minima do.

    Args:
        rule: How the sum becomes a step; by default `eqgan.default_rule` of the game.
        gamma: :math:`\gamma`, in strategy units per gradient unit; by default
            `eqgan.default_rate` of the game.

    References:
        Mescheder, Nowozin, Geiger 2017, arXiv:1705.10461.

    Example:
        >>> import eqgan
        >>> solver = Consensus(rule=eqgan.Constant(0.1), gamma=1.0)
        >>> run = eqgan.solve(eqgan.games.DiracGAN(), solver, max_steps=500)
        >>> float(run.last.norm()) < 0.05
        True
    """

    rule: Rule | None = None
    gamma: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gamma is not None:
            as_real("gamma", self.gamma, "[0, inf)")

    def evaluations(self, game: Game) -> float:
        """Return the operator and one product with its Jacobian."""
        return 1.0 + PRODUCT

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless the strategies are unconstrained."""
        return needs_free_parameters(game)

    def init(self, game: Game, z: Profile) -> Any:
        """Return the rule's memory."""
        return (self.rule or default_rule(game)).init(z)

    def step(self, game: Game, z: Profile, state: Any, rng: torch.Generator) -> tuple[Profile, Any]:
        """Take one step."""
        gamma = float(default_rate(game)) if self.gamma is None else self.gamma
        here = game.linearise(z, game.sample(rng))
        g = here.value.add(here.vjp(here.value), gamma)
        d, state = (self.rule or default_rule(game)).direction(g, state)
        return prox(game, z, d), state
