"""MIX+GAN: mixtures of networks whose weights move by multiplicative updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.game import Game, prox
from eqgan.games.mixed import Mixed, join, select
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.rules import Rule, default_rule
from eqgan.solver import Solver


@dataclass(frozen=True)
class PerPart(Rule):
    """A rule for the atoms of mixtures, and another for their weights.

    Args:
        atoms: How the atoms' gradients become steps.
        weights: How the weights' gradients become steps.
    """

    atoms: Rule
    weights: Rule

    def init(self, z: Profile) -> tuple[Any, Any]:
        """Return the memories for the atoms and for the weights."""
        return self.atoms.init(select(z, "atoms")), self.weights.init(select(z, "weights"))

    def direction(
        self, g: Profile, state: tuple[Any, Any], tick: bool = True
    ) -> tuple[Profile, tuple[Any, Any]]:
        """Return each part's displacement by its own rule."""
        atoms, memory = self.atoms.direction(select(g, "atoms"), state[0], tick)
        weights, weight_memory = self.weights.direction(select(g, "weights"), state[1], tick)
        return join(weights, atoms), (memory, weight_memory)


def mixture_rule(game: Game, rule: Rule | None, weight_rule: Rule | None) -> Rule:
    """Return what moves mixtures: one rule for all parts unless the weights have their own."""
    rule = rule or default_rule(game)
    return rule if weight_rule is None else PerPart(rule, weight_rule)


@dataclass(frozen=True)
class MixGan(Solver[Any]):
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
        as_real("entropy", self.entropy, "[0, inf)")
        if self.update not in ("logits", "exponentiated"):
            raise InvalidInput(
                f"update should be 'logits' or 'exponentiated'; got {self.update!r}."
            )

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless `game` is a `Mixed` one."""
        if isinstance(game, Mixed):
            return None
        return "it moves mixtures; wrap the game as eqgan.games.Mixed(game, (5, 5))"

    def init(self, game: Game, z: Profile) -> Any:
        """Return the rule's memory."""
        return mixture_rule(game, self.rule, self.weight_rule).init(z)

    def step(self, game: Game, z: Profile, state: Any, rng: torch.Generator) -> tuple[Profile, Any]:
        """Move all atoms and all weights."""
        field = game.operator(z, game.sample(rng))
        pulls = select(z, "weights").map(self._pull, select(field, "weights"))
        rule = mixture_rule(game, self.rule, self.weight_rule)
        d, state = rule.direction(join(pulls, select(field, "atoms")), state)
        return prox(game, z, d), state

    def _pull(self, w: Tensor, losses: Tensor) -> Tensor:
        if self.update == "logits":
            return w * (losses - w @ losses) + self.entropy * (w - 1 / len(w))
        return losses - self.entropy / (len(w) * w)
