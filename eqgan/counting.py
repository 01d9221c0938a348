"""What a method evaluates, counted while it runs."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from eqgan.game import Game
from eqgan.linearisation import PRODUCT, Linearisation
from eqgan.profile import Profile, Strategy


@dataclass
class Count:
    """Joint gradients so far; what a counted method calls in turn is part of its own cost."""

    total: float = 0.0
    within: bool = False

    def of(self, method: Callable[..., Any], cost: float) -> Callable[..., Any]:
        """Return `method` as one that adds `cost` whenever it is called from outside."""

        @functools.wraps(method)
        def counted(*args: Any, **options: Any) -> Any:
            if self.within:
                return method(*args, **options)
            self.total += cost
            self.within = True
            try:
                return method(*args, **options)
            finally:
                self.within = False

        return counted


@dataclass(frozen=True)
class _Counted(Linearisation):
    """A linearisation whose products are counted: a product passes once through its graph."""

    count: Count = field(default_factory=Count)

    def vjp(self, v: Profile) -> Profile:
        self._add(1.0)
        return super().vjp(v)

    def jvp(self, v: Profile) -> Profile:
        if self.receiver is None:
            self._add(2.0)
        return super().jvp(v)

    def transposed_block(self, player: int, other: int, v: Strategy) -> Strategy:
        self._add(0.5)
        return super().transposed_block(player, other, v)

    def block(self, player: int, other: int, v: Strategy) -> Strategy:
        if player != other and self.receiver is None:
            self._add(1.0)
        return super().block(player, other, v)

    def _add(self, products: float) -> None:
        self.count.total += PRODUCT * products


def counted(game: Game) -> tuple[Game, Count]:
    """Return a game that plays like `game`, and the count of what is evaluated of it.

    A joint gradient counts 1, and so do gaps in closed form; one player's gradient or best response
    counts its share, a product with the Jacobian `PRODUCT`, half of it where only one player's part
    is asked for.

    Example:
        >>> import eqgan
        >>> game, count = counted(eqgan.games.Bilinear([[1.0]]))
        >>> z = game.random(game.generator(0))
        >>> _, _, _ = game.operator(z), game.gradient(z, 0), game.linearise(z).jvp(z)
        >>> count.total
        4.5
    """
    twin, count = copy.copy(game), Count()
    share = 1 / len(game.spaces)

    def linearise(z: Profile, batch: Any = None) -> Linearisation:
        here = type(game).linearise(twin, z, batch)
        return _Counted(here.point, here.field, here.receiver, count)

    methods = {"operator": 1.0, "gradient": share, "best_response": share}
    if type(game).regrets is not Game.regrets:
        methods["regrets"] = 1.0
    for name, cost in methods.items():
        setattr(twin, name, count.of(getattr(twin, name), cost))
    twin.linearise = count.of(linearise, 1.0)  # type: ignore[method-assign]
    return twin, count
