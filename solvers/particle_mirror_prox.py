"""Particle mirror-prox: the weights and the positions of mixtures move together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqgan.game import Game, prox
from eqgan.games.mixed import Mixed, select
from eqgan.profile import Profile
from eqgan.rules import Rule, default_rule
from eqgan.solver import Solver
from eqgan.solvers.mix_gan import MixState

LIGHTEST = 1e-30
"""Atoms lighter than this stay where they are: their direction is rounding."""


@dataclass(frozen=True)
class ParticleMirrorProx(Solver[MixState]):
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

    def _rules(self, game: Game) -> tuple[Rule, Rule]:
        rule = self.rule or default_rule(game)
        return rule, self.weight_rule or rule

    def init(self, game: Game, z: Profile) -> MixState:
        """Return the rules' memories."""
        atoms, weights = self._rules(game)
        return MixState(atoms.init(select(z, "atoms")), weights.init(select(z, "weights")))

    def step(
        self, game: Game, z: Profile, state: MixState, rng: torch.Generator
    ) -> tuple[Profile, MixState]:
        """Take one step."""
        ahead, state = self._direction(game, z, state, rng, tick=False)
        w = prox(game, z, ahead)
        d, state = self._direction(game, w, state, rng, tick=True)
        return prox(game, z, d), state

    def _direction(
        self, game: Game, z: Profile, state: MixState, rng: torch.Generator, tick: bool
    ) -> tuple[Profile, MixState]:
        atom_rule, weight_rule = self._rules(game)
        field = game.operator(z, game.sample(rng))
        own = select(field, "atoms").map(_per_weight, select(z, "weights"))
        atoms, memory = atom_rule.direction(own, state.atoms, tick)
        weights, weight_memory = weight_rule.direction(
            select(field, "weights"), state.weights, tick
        )
        d = Profile(
            {"weights": w, "atoms": a}
            for w, a in zip(weights.leaves(), atoms.leaves(), strict=True)
        )
        return d, MixState(memory, weight_memory)


def _per_weight(gradient: Tensor, weights: Tensor) -> Tensor:
    """Return the gradient of each atom's own loss: the expected loss's, over its weight."""
    w = weights.reshape(-1, *(1,) * (gradient.dim() - 1))
    return torch.where(w > LIGHTEST, gradient / w.clamp_min(LIGHTEST), 0.0)
