"""Profiles: one strategy a player, treated as one vector.

A solver moves points of a product of strategy sets. Extrapolation, averaging and momentum are
vector arithmetic on such points, so a profile supports ``+``, ``-``, scalar ``*``, a dot product
and a norm, and nothing here knows what a game is. Profiles are values: no operation changes one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

Strategy: TypeAlias = Tensor | Mapping[str, Tensor]
"""`(*batch, n)` on a simplex, `(d,)` for a network's parameters, or a mapping of named parts."""


def map_strategy(function: Callable[..., Tensor], *strategies: Strategy) -> Strategy:
    """Apply `function` leaf by leaf to strategies of one structure.

    Args:
        function: Takes one tensor of each strategy and returns a tensor.
        *strategies: Strategies of the same structure.

    Returns:
        A strategy of that structure.

    Example:
        >>> map_strategy(torch.add, {"a": torch.ones(2)}, {"a": torch.ones(2)})
        {'a': tensor([2., 2.])}
    """
    first = strategies[0]
    if isinstance(first, Tensor):
        return function(*strategies)
    return {k: function(*(s[k] for s in strategies)) for k in first}  # type: ignore[index]


def leaves_of(strategy: Strategy) -> list[Tensor]:
    """Return the tensors of a strategy, in the order of its keys."""
    return [strategy] if isinstance(strategy, Tensor) else list(strategy.values())


class Profile:
    """One strategy a player; unpacks as ``x, y = profile``.

    Args:
        strategies: One strategy for each player, in the game's order of players.

    Example:
        >>> z = Profile((torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])))
        >>> x, y = z + 2 * z
        >>> x
        tensor([3., 0.])
        >>> float(z.dot(z))
        1.5
    """

    __slots__ = ("strategies",)

    def __init__(self, strategies: Iterable[Strategy]) -> None:
        self.strategies: tuple[Strategy, ...] = tuple(strategies)

    def __iter__(self) -> Iterator[Strategy]:
        return iter(self.strategies)

    def __len__(self) -> int:
        return len(self.strategies)

    def __getitem__(self, player: int) -> Strategy:
        return self.strategies[player]

    def __repr__(self) -> str:
        return f"Profile({', '.join(_describe(s) for s in self.strategies)})"

    def map(self, function: Callable[..., Tensor], *others: Profile) -> Profile:
        """Apply `function` leaf by leaf to this profile and `others` of the same structure."""
        columns = [self.strategies, *[other.strategies for other in others]]
        return Profile([map_strategy(function, *parts) for parts in zip(*columns, strict=True)])

    def add(self, other: Profile, alpha: float = 1.0) -> Profile:
        """Return ``self + alpha * other`` in one kernel a leaf."""
        return self.map(lambda a, b: torch.add(a, b, alpha=alpha), other)

    def lerp(self, other: Profile, weight: float) -> Profile:
        """Return ``(1 - weight) * self + weight * other``."""
        return self.map(lambda a, b: torch.lerp(a, b, weight), other)

    def __add__(self, other: Profile) -> Profile:
        return self.map(torch.add, other)

    def __sub__(self, other: Profile) -> Profile:
        return self.map(torch.sub, other)

    def __neg__(self) -> Profile:
        return self.map(torch.neg)

    def __mul__(self, scalar: float) -> Profile:
        return self.map(lambda a: a * scalar)

    __rmul__ = __mul__

    def replace(self, player: int, strategy: Strategy) -> Profile:
        """Return this profile with `player` deviating to `strategy`."""
        return Profile(strategy if i == player else s for i, s in enumerate(self.strategies))

    def leaves(self) -> list[Tensor]:
        """Return every tensor of the profile, player by player."""
        return [leaf for s in self.strategies for leaf in leaves_of(s)]

    def with_leaves(self, leaves: Iterable[Tensor]) -> Profile:
        """Return a profile of this structure that holds `leaves`, in the order of `leaves()`."""
        rest = iter(leaves)
        return Profile(
            [
                next(rest) if isinstance(s, Tensor) else {name: next(rest) for name in s}
                for s in self.strategies
            ]
        )

    def dot(self, other: Profile) -> Tensor:
        """Return the inner product, a 0-dimensional tensor (a batch is summed over too)."""
        products = [torch.sum(a * b) for a, b in zip(self.leaves(), other.leaves(), strict=True)]
        return torch.stack(products).sum()

    def norm(self) -> Tensor:
        """Return the Euclidean norm, a 0-dimensional tensor."""
        lengths = [torch.linalg.vector_norm(leaf) for leaf in self.leaves()]
        length: Tensor = torch.linalg.vector_norm(torch.stack(lengths))
        return length

    def is_finite(self) -> bool:
        """Return whether no entry is NaN or infinite (synchronises with a GPU)."""
        return all(bool(torch.isfinite(leaf).all()) for leaf in self.leaves())

    def detach(self) -> Profile:
        """Return the profile cut from any autograd graph."""
        return self.map(torch.Tensor.detach)

    def clone(self) -> Profile:
        """Return a copy that shares no memory with this profile."""
        return self.map(lambda a: a.detach().clone())

    def attached(self) -> Profile:
        """Return the same values as fresh leaves of an autograd graph."""
        return self.map(lambda a: a.detach().requires_grad_())

    def to(self, *args: torch.device | torch.dtype | str) -> Profile:
        """Return the profile moved or cast, as `Tensor.to` does."""
        return self.map(lambda a: a.to(*args))

    def equal(self, other: Profile) -> bool:
        """Return whether both profiles hold the same bits."""
        ours, theirs = self.leaves(), other.leaves()
        return len(ours) == len(theirs) and all(map(torch.equal, ours, theirs))


def _describe(strategy: Strategy) -> str:
    if not isinstance(strategy, Tensor):
        return "{" + ", ".join(f"{k}: {_describe(v)}" for k, v in strategy.items()) + "}"
    if strategy.numel() <= 8:
        return str([round(v, 6) for v in strategy.flatten().tolist()])
    return f"<{str(strategy.dtype).removeprefix('torch.')} {tuple(strategy.shape)}>"
