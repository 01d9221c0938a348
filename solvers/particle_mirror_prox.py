"""Particle mirror-prox: the weights and the positions of mixtures move together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eqgan.game import Game, prox
from eqgan.games.mixed import Mixed, join, select
from eqgan.profile import Profile
from eqgan.rules import Rule
from eqgan.solver import Solver
from eqgan.solvers.mix_gan import mixture_rule

LIGHTEST = 1e-30
"""Atoms lighter than this stay where they are: their direction is rounding."""


@dataclass(frozen=True)
class ParticleMirrorProx(Solver[Any]):
    r"""Every atom descends its own loss, every weight its multiplicative step, looking ahead.

    With :math:`\ell_i = \mathbb{E}_{y \sim \mu_y} \ell(x_i, y)`, an atom's loss against the rival's
    whole mixture,

    .. math:: x_i \leftarrow \mathrm{prox}_{x_i}(\eta \nabla \ell_i), \qquad
        w_i \propto w_i\, e^{-\eta_w \ell_i},

    taken twice as in extragradient: with the directions at the present mixtures to look ahead, and
    again from the present ones with the directions found there. An atom's speed does not depend on
    its weight, so light atoms still find where they would be worth more; in the space of mixtures
    this is mirror-prox in the Wasserstein-Fisher-Rao geometry. With enough atoms it converges
    near mixed equilibria of games that have no pure ones.

    Args:
        rule: How the atoms' gradients become steps; by default `eqgan.default_rule` of the game.
        weight_rule: How the weights' losses become steps; by default `rule`.

    References:
        Domingo-Enrich et al. 2020 (NeurIPS); Wang and Chizat 2022, arXiv:2211.01280.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.ContinuousGame(lambda x, y: (x - y) ** 2)
        >>> solver = ParticleMirrorProx(rule=eqgan.Constant(0.1))
        >>> run = eqgan.solve(eqgan.games.Mixed(game, (2, 3)), solver, max_steps=1000, tol=1e-3)
        >>> bool(run.certificate.nash_conv < 1e-3), round(run.value, 2)
        (True, 1.0)
    """

    rule: Rule | None = None
    weight_rule: Rule | None = None

    def evaluations(self, game: Game) -> float:
        """Return 2: one gradient ahead, one to step."""
        return 2.0

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless `game` is a `Mixed` one."""
        if isinstance(game, Mixed):
            return None
        return "it moves mixtures; wrap the game as eqgan.games.Mixed(game, (5, 5))"

    def init(self, game: Game, z: Profile) -> Any:
        """Return the rule's memory."""
        return mixture_rule(game, self.rule, self.weight_rule).init(z)

    def step(self, game: Game, z: Profile, state: Any, rng: torch.Generator) -> tuple[Profile, Any]:
        """Take one step."""
        rule = mixture_rule(game, self.rule, self.weight_rule)
        ahead, state = rule.direction(self._speeds(game, z, rng), state, tick=False)
        w = prox(game, z, ahead)
        d, state = rule.direction(self._speeds(game, w, rng), state)
        return prox(game, z, d), state

    def _speeds(self, game: Game, z: Profile, rng: torch.Generator) -> Profile:
        """Return the gradients of all weights, and of each atom's own loss."""
        field = game.operator(z, game.sample(rng))
        own = select(field, "atoms").map(_per_weight, select(z, "weights"))
        return join(select(field, "weights"), own)


def _per_weight(gradient: Tensor, weights: Tensor) -> Tensor:
    """Return the gradient of each atom's own loss: the expected loss's, over its weight."""
    w = weights.reshape(-1, *(1,) * (gradient.dim() - 1))
    return torch.where(w > LIGHTEST, gradient / w.clamp_min(LIGHTEST), 0.0)
