"""LookAhead, LOLA and stable opponent shaping: anticipate the rival's next step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.game import Game, prox, share_payoff
from eqgan.linearisation import PRODUCT, Linearisation
from eqgan.profile import Profile
from eqgan.real import as_real, is_real
from eqgan.rules import Rule, default_rate, default_rule
from eqgan.solver import Solver, needs_free_parameters

SHARE, NEAR = 0.5, 0.1
"""The constants a and b of stable opponent shaping."""


@dataclass(frozen=True)
class Lola(Solver[Any]):
    r"""Descend the loss at the place where the rival is about to be.

    .. math::
        z_{t+1} = z_t - \eta \bigl((I - \alpha J_o) F - p\, \alpha \chi\bigr), \qquad
        \chi_i = (\nabla_{ji} \ell_j)^\top \nabla_j \ell_i

    :math:`J_o` holds the Jacobian's blocks off the diagonal. With p = 0 (LookAhead) a player sees
    the rival's step of length :math:`\alpha` coming, which converges wherever anything reasonable
    does; with p = 1 (LOLA) it also reckons with its own influence on that step, and shapes the
    rival, but may overshoot and lose stationary points; ``"stable"`` (SOS) takes as much of p as
    keeps the step aligned with LookAhead's, and none of it near stationary points.

    Args:
        rule: How the sum becomes a step; by default `eqgan.default_rule` of the game.
        foresight: :math:`\alpha`, the length of the anticipated step; by default
            `eqgan.default_rate` of the game.
        shaping: p in [0, 1], or ``"stable"``.

    References:
        Foerster et al. 2018, arXiv:1709.04326; Letcher et al. 2019, arXiv:1811.08469.

    Example:
        >>> import eqgan
        >>> solver = Lola(rule=eqgan.Constant(0.2), foresight=0.2, shaping="stable")
        >>> run = eqgan.solve(eqgan.games.DiracGAN(), solver, max_steps=500)
        >>> float(run.last.norm()) < 0.1
        True
    """

    rule: Rule | None = None
    foresight: float | None = None
    shaping: float | Literal["stable"] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.foresight is not None:
            as_real("foresight", self.foresight, "[0, inf)")
        stable = isinstance(self.shaping, str) and self.shaping == "stable"
        if not stable and not is_real(self.shaping, "[0, 1]"):
            raise InvalidInput(
                f"shaping should be a number in [0, 1] or 'stable'; got {self.shaping!r}."
            )

    def evaluations(self, game: Game) -> float:
        """Return the operator and the products; different losses need more of both."""
        if share_payoff(game):
            return 1.0 + PRODUCT
        return 1.0 + 2 * PRODUCT + (1.0 + PRODUCT if self.shaping else 0.0)

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless the strategies are unconstrained."""
        return needs_free_parameters(game)

    def init(self, game: Game, z: Profile) -> Any:
        """Return the rule's memory."""
        return (self.rule or default_rule(game)).init(z)

    def step(self, game: Game, z: Profile, state: Any, rng: torch.Generator) -> tuple[Profile, Any]:
        """Take one step."""
        batch = game.sample(rng)
        here = game.linearise(z, batch)
        length = float(default_rate(game)) if self.foresight is None else self.foresight
        field = here.value
        seen = Profile(here.block(i, 1 - i, field[1 - i]) for i in (0, 1))
        g = field.add(seen, -length)
        if self.shaping:
            # Of one payoff, what the rival's step does to me is what I can do to it.
            chi = seen if share_payoff(game) else _influence(game, here, batch)
            p = self.shaping if self.shaping != "stable" else _share(g, field, -length * chi)
            g = g.map(lambda a, b: a - length * p * b, chi)
        d, state = (self.rule or default_rule(game)).direction(g, state)
        return prox(game, z, d), state


def _influence(game: Game, here: Linearisation, batch: Any) -> Profile:
    r"""Return :math:`\chi`, how each player changes its own loss through the rival's step."""
    z = here.point.attached()
    losses = game.losses(z, batch)
    influence = []
    for player, rival in ((0, 1), (1, 0)):
        theirs = Profile((z[rival],))
        slope = torch.autograd.grad(
            losses[player], theirs.leaves(), retain_graph=True, materialize_grads=True
        )
        influence.append(here.transposed_block(rival, player, theirs.with_leaves(slope)[0]))
    return Profile(influence)


def _share(ahead: Profile, field: Profile, shaping: Profile) -> Tensor:
    """Return p of stable opponent shaping, without waiting for a GPU to compare."""
    along, square = shaping.dot(ahead), field.dot(field)
    aligned = (-SHARE * ahead.dot(ahead) / along).clamp_max(1.0)
    aligned = torch.where(along >= 0, 1.0, aligned)
    return torch.minimum(aligned, torch.where(square < NEAR**2, square, 1.0))
