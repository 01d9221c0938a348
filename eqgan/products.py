"""Strategy sets made of others: several of one kind, and named parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.spaces import Space
from eqgan.whole import as_whole


@dataclass(frozen=True)
class Stacked(Space[Tensor]):
    """`count` strategies of one space along a leading dimension: the atoms of a mixture.

    Args:
        space: The space of each.
        count: How many.

    Example:
        >>> from eqgan import Simplex
        >>> Stacked(Simplex(2), 3).center().shape
        torch.Size([3, 2])
    """

    space: Space[Tensor]
    count: int

    def __post_init__(self) -> None:
        as_whole("count", self.count, 1)

    @property
    def bounded(self) -> bool:  # type: ignore[override]
        """Whether the stacked space is bounded."""
        return self.space.bounded

    @property
    def shape(self) -> tuple[int, ...]:
        """``(count, *space.shape)``."""
        return (self.count, *self.space.shape)

    def project(self, x: Tensor) -> Tensor:
        """Return each strategy projected."""
        return self.space.project(x)

    def prox(self, x: Tensor, d: Tensor) -> Tensor:
        """Return each strategy stepped."""
        return self.space.prox(x, d)

    def minimizer(self, g: Tensor) -> Tensor:
        """Return the linear best response of each."""
        return self.space.minimizer(g)

    def center(self, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return the centre, `count` times."""
        return self.space.center((*batch, self.count), **options)

    def sample(self, rng: torch.Generator, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return random strategies."""
        return self.space.sample(rng, (*batch, self.count), **options)


@dataclass(frozen=True)
class Product(Space[Mapping[str, Tensor]]):
    """Named parts, each in a space of its own: the weights and the atoms of a mixture.

    Args:
        parts: The space of each part.

    Example:
        >>> from eqgan import Euclidean, Simplex
        >>> pair = Product({"weights": Simplex(2), "atoms": Euclidean((2, 3))})
        >>> pair.center()["weights"]
        tensor([0.5000, 0.5000])
    """

    parts: Mapping[str, Space[Tensor]] = field(default_factory=dict)

    @property
    def bounded(self) -> bool:  # type: ignore[override]
        """Whether every part is bounded."""
        return all(space.bounded for space in self.parts.values())

    @property
    def shape(self) -> dict[str, tuple[int, ...]]:
        """The shape of each part."""
        return {name: space.shape for name, space in self.parts.items()}

    def project(self, x: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return each part projected."""
        return {name: space.project(x[name]) for name, space in self.parts.items()}

    def prox(self, x: Mapping[str, Tensor], d: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return each part stepped in its own geometry."""
        return {name: space.prox(x[name], d[name]) for name, space in self.parts.items()}

    def minimizer(self, g: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the linear best response of each part."""
        return {name: space.minimizer(g[name]) for name, space in self.parts.items()}

    def center(self, batch: tuple[int, ...] = (), **options: Any) -> dict[str, Tensor]:
        """Return the centre of each part."""
        return {name: space.center(batch, **options) for name, space in self.parts.items()}

    def sample(
        self, rng: torch.Generator, batch: tuple[int, ...] = (), **options: Any
    ) -> dict[str, Tensor]:
        """Return random points of each part."""
        return {name: space.sample(rng, batch, **options) for name, space in self.parts.items()}

    def violation(self, x: Mapping[str, Tensor]) -> float:
        """Return the largest violation of any part."""
        return max(space.violation(x[name]) for name, space in self.parts.items())

    def check(self, x: Mapping[str, Tensor], what: str) -> None:
        """Raise `InvalidInput` when `x` lacks a part or a part has the wrong shape."""
        if not isinstance(x, Mapping) or set(x) != set(self.parts):
            got = f"keys {sorted(x)}" if isinstance(x, Mapping) else type(x).__name__
            raise InvalidInput(
                f"{what} should be a mapping with keys {sorted(self.parts)}; got {got}."
            )
        for name, space in self.parts.items():
            space.check(x[name], f"{what}[{name!r}]")

    def check_on(self, x: Mapping[str, Tensor], what: str) -> None:
        """Raise `InvalidInput` when a part is off its set."""
        for name, space in self.parts.items():
            space.check_on(x[name], f"{what}[{name!r}]")
