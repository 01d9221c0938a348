"""Symplectic gradient adjustment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from eqgan.game import Game, prox, share_payoff
from eqgan.linearisation import PRODUCT
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.rules import Rule, default_rate, default_rule
from eqgan.solver import Solver, needs_free_parameters

ALIGNMENT = 0.1
"""Breaks the tie of a pure rotation, where the criterion is 0, in favour of the adjustment."""


@dataclass(frozen=True)
class SymplecticGradient(Solver[Any]):
    r"""Bend the gradient by the antisymmetric part of its Jacobian, which rotates.

    .. math::
        z_{t+1} = z_t - \eta (F + \lambda A^\top F), \qquad A = \tfrac12 (J - J^\top)

    The sign of :math:`\lambda = \pm s` is that of :math:`\tfrac1d \langle F, \nabla H\rangle
    \langle A^\top F, \nabla H\rangle + 0.1` with :math:`\nabla H = J^\top F`: towards stable
    stationary points and away from unstable ones, which consensus optimisation cannot tell apart.
    Very near to either the 0.1 prevails, and both attract if the game rotates fast enough.

    Args:
        rule: How the adjusted gradient becomes a step; by default `eqgan.default_rule` of the game.
        strength: The size s of :math:`\lambda`, in strategy units per gradient unit (1 in the
            paper); by default `eqgan.default_rate` of the game.

    References:
        Balduzzi et al. 2018, arXiv:1802.05642.

    Example:
        >>> import eqgan
        >>> solver = SymplecticGradient(rule=eqgan.Constant(0.1), strength=1.0)
        >>> run = eqgan.solve(eqgan.games.DiracGAN(), solver, max_steps=500)
        >>> float(run.last.norm()) < 0.05
        True
    """

    rule: Rule | None = None
    strength: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strength is not None:
            as_real("strength", self.strength, "[0, inf)")

    def evaluations(self, game: Game) -> float:
        """Return the operator and a product each with its Jacobian and the transpose."""
        return 1.0 + PRODUCT * (2 if share_payoff(game) else 3)

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless the strategies are unconstrained."""
        return needs_free_parameters(game)

    def init(self, game: Game, z: Profile) -> Any:
        """Return the rule's memory."""
        return (self.rule or default_rule(game)).init(z)

    def step(self, game: Game, z: Profile, state: Any, rng: torch.Generator) -> tuple[Profile, Any]:
        """Take one step."""
        here = game.linearise(z, game.sample(rng))
        field, slope = here.value, here.vjp(here.value)
        adjustment = 0.5 * (slope - here.jvp(field))
        size = sum(leaf.numel() for leaf in z.leaves())
        alignment = field.dot(slope) * adjustment.dot(slope) / size + ALIGNMENT
        strength = float(default_rate(game)) if self.strength is None else self.strength
        # A tensor: to read its sign would wait for a GPU.
        sign = torch.where(alignment < 0, -1.0, 1.0).to(alignment.dtype)
        g = field.map(lambda f, a: torch.addcmul(f, a, sign, value=strength), adjustment)
        d, state = (self.rule or default_rule(game)).direction(g, state)
        return prox(game, z, d), state
