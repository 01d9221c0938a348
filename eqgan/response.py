"""What oracles are asked, and what they answer.

A deviation that was found proves a lower bound on a player's regret: it gains this much, and there
may be better ones. An upper bound needs a proof that no deviation leaves the player paying less
than some `floor`; where the found deviation pays just that, the regret is known exactly.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from eqgan.game import Game
from eqgan.profile import Profile


@dataclass(frozen=True, eq=False)
class Curve:
    """How the searches for a deviation went: what each had gained after so many steps.

    Attributes:
        steps: Steps taken at each point, `(points,)`, from 0 on.
        gains: The most that each start's search had gained so far, `(starts, points, *batch)`, on
            the samples on which the searches are compared.
    """

    steps: tuple[int, ...]
    gains: Tensor

    @property
    def improving(self) -> bool:
        """Whether the last quarter of the steps brought more than a twentieth of the gain."""
        best = self.gains.amax(0)
        before = max(i for i, step in enumerate(self.steps) if step <= 0.75 * self.steps[-1])
        return bool((best[-1] - best[before] > 0.05 * best[-1]).any())


@dataclass(frozen=True)
class Response:
    """A deviation of one player, and what is proved about all others.

    Attributes:
        game: The game in which the deviation is to be costed: the one that was asked about, or for
            a mixture the smaller one in which the deviator plays a single atom.
        deviated: The profile after the deviation, in that game.
        floor: What the player pays at least after any deviation, `(*batch)`, proved; ``None`` where
            nothing is. Where the found deviation pays no more it is a best response.
        proof: What the floor was proved for, or why there is none, in words for a certificate.
        curve: How the search went, if there was one.
    """

    game: Game
    deviated: Profile
    floor: Tensor | None = None
    proof: str = ""
    curve: Curve | None = None

    @classmethod
    def best(cls, game: Game, deviated: Profile, player: int) -> Response:
        """Return a deviation that is proved best; on samples it is best in expectation only."""
        floor = None if game.stochastic else game.cost(deviated, player).detach()
        return cls(game, deviated, floor)


class Oracle(ABC):
    """Finds deviations.

    Attributes:
        cheap: Whether a response costs about as much as a few solver steps, so that `solve` may
            certify while it runs.
    """

    cheap: bool = False

    @property
    def evaluations(self) -> float:
        """Joint gradients that the responses of all players cost together; 0 for cheap oracles."""
        return 0.0

    @property
    @abstractmethod
    def how(self) -> str:
        """How deviations were sought, in words for a certificate."""

    def unsupported(self, game: Game) -> str | None:
        """Return why this oracle cannot serve `game`, or ``None``."""
        return None

    @abstractmethod
    def respond(self, game: Game, z: Profile, player: int, rng: torch.Generator) -> Response:
        """Return the best deviation of `player` against `z` that the oracle finds."""
