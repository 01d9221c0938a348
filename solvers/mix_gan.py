"""MIX+GAN: mixtures of networks whose weights move by multiplicative updates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.game import Game
from eqgan.games.mixed import Mixed, select
from eqgan.profile import Profile
from eqgan.rules import Rule, default_rule
from eqgan.solver import Solver


@dataclass(frozen=True)
class MixState:
    """The rules' memories for the atoms and for the weights."""

    atoms: Any
    weights: Any


@dataclass(frozen=True)
class MixGan(Solver[MixState]):
    r"""Gradient steps on the atoms, multiplicative steps on the weights, entropy against collapse.

    With :math:`\ell_i` the loss of atom i against the rival's mixture and :math:`R(w) =
    -\tfrac1T \sum_i \log w_i` added to each player's loss with coefficient c, the logits descend

    .. math:: w_i (\ell_i - \langle w, \ell\rangle) + c\,(w_i - 1/T)

    ("logits", the released method), or the weights descend :math:`\ell_i - c/(T w_i)` in the
    geometry of the simplex ("exponentiated"). Both rest where :math:`w_i = (c/T) / (c + \ell_i -
    \langle w, \ell\rangle)`. One atom a player is simultaneous gradient on the base game, bit for
    bit.

    Args:
        rule: How the atoms' gradients become steps; by default `eqgan.default_rule` of the game.
        entropy: The coefficient c. With "exponentiated" updates the pull of small weights grows
            like c/w, so large rates throw them about; "logits" does not.
        weight_rule: How the weights' gradients become steps; by default `rule`.
        update: ``"logits"`` or ``"exponentiated"``.

    References:
        Arora et al. 2017, arXiv:1703.00573, section 5.

    Example:
        >>> import eqgan
        >>> mix = eqgan.games.Mixed(eqgan.games.DiracGAN(regulariser="r1"), (3, 3))
        >>> run = eqgan.solve(mix, MixGan(rule=eqgan.Constant(0.1)), max_steps=50)
        >>> run.profile[0]["weights"].sum().round(decimals=6)
        tensor(1., dtype=torch.float64)
    """

    rule: Rule | None = None
    entropy: float = 0.1
    weight_rule: Rule | None = None
    update: Literal["logits", "exponentiated"] = "logits"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (isinstance(self.entropy, int | float | np.number) and 0 <= self.entropy < math.inf):
            raise InvalidInput(f"entropy should be a finite number >= 0; got {self.entropy!r}.")
        if self.update not in ("logits", "exponentiated"):
            raise InvalidInput(
                f"update should be 'logits' or 'exponentiated'; got {self.update!r}."
            )

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
        """Move all atoms and all weights."""
        atom_rule, weight_rule = self._rules(game)
        field = game.operator(z, game.sample(rng))
        pull = select(z, "weights").map(self._pull, select(field, "weights"))
        atoms, atom_memory = atom_rule.direction(select(field, "atoms"), state.atoms)
        weights, weight_memory = weight_rule.direction(pull, state.weights)
        moved = Profile(
            space.prox(s, {"weights": weights[i], "atoms": atoms[i]})
            for i, (space, s) in enumerate(zip(game.spaces, z, strict=True))
        )
        return moved, MixState(atom_memory, weight_memory)

    def _pull(self, w: Tensor, losses: Tensor) -> Tensor:
        if self.update == "logits":
            return w * (losses - w @ losses) + self.entropy * (w - 1 / len(w))
        return losses - self.entropy / (len(w) * w)
