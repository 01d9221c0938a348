"""The gradients of a game of networks, compiled by `torch.compile` where that works."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from eqgan.errors import reason
from eqgan.game import ZeroSumGame
from eqgan.profile import Profile

LOG = logging.getLogger("eqgan")


class CompiledOperator:
    """The operator of one game as one compiled function of two vectors and a batch.

    Losses and gradients are compiled together, so that the compiler sees what they share, and
    nothing of the graph that `torch.autograd` keeps is left to do at run time. A compiler that is
    missing or fails costs no more than its attempt: the game computes as if it had not been asked.

    Attributes:
        note: Why the game runs uncompiled, a sentence; empty while it does not.
    """

    def __init__(self) -> None:
        self.note = ""
        self.function: Callable[..., tuple[Tensor, Tensor]] | None = None
        self.works = False

    def __call__(self, game: ZeroSumGame, z: Profile, batch: Any) -> Profile | None:
        """Return the operator at `z`, or ``None`` where it must be had without a compiler."""
        if self.note:
            return None
        try:
            if self.works:
                return Profile(self._function(game)(*z, batch))
            with warnings.catch_warnings():
                # What a compiler warns of is for those who write them.
                warnings.simplefilter("ignore")
                field = Profile(self._function(game)(*z, batch))
            self.works = True
            return field
        except Exception as error:
            # Compilers call other compilers: there is no end to what they raise.
            self.give_up(f"torch.compile failed ({reason(error)})")
            return None

    def give_up(self, why: str) -> None:
        """Run uncompiled from now on, and say so once."""
        if not self.note:
            self.note = f"{why}; it ran uncompiled"
            LOG.warning("compile=True: %s.", self.note)

    def _function(self, game: ZeroSumGame) -> Callable[..., tuple[Tensor, Tensor]]:
        if self.function is None:

            def field(x: Tensor, y: Tensor, batch: Any) -> tuple[Tensor, Tensor]:
                def losses(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
                    return game.losses(Profile((x, y)), batch)

                vjp: Any = torch.func.vjp(losses, x, y)
                (mine, theirs), pull = vjp
                one, zero = torch.ones_like(mine), torch.zeros_like(theirs)
                return pull((one, zero))[0], pull((zero, one))[1]

            # torch compiles one code object for eight games and no more: each has its own.
            field.__code__ = field.__code__.replace()
            self.function = torch.compile(field, dynamic=False, fullgraph=True)
        return self.function

    def to(self, device: torch.device) -> CompiledOperator:
        """Return one for the game on another device."""
        return CompiledOperator()

    def __reduce__(self) -> tuple[type[CompiledOperator], tuple[()]]:
        # Another process compiles for itself.
        return CompiledOperator, ()
