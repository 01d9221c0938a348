"""Strategy sets: closed convex sets with a geometry.

A space knows how to project onto itself, how to take a proximal step in its own geometry, and how
to minimise a linear function. All act on the trailing dimensions and broadcast over leading batch
dimensions. Because the geometry lives here, a gradient step on a simplex *is* multiplicative
weights, and extragradient there *is* mirror-prox: no solver needs a second version.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import Tensor

from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.real import as_real, is_real
from eqgan.whole import as_whole, is_whole

S = TypeVar("S", bound=Any)

LEAST = {dtype: torch.finfo(dtype).eps ** 2 for dtype in (torch.float32, torch.float64)}
"""Probabilities below this count as this in entropic steps: far below rounding, and not lost."""

OFF_SET = 1e-5
"""A user's strategy may miss its set by this much (rounding); more is an error."""


def _as_shape(shape: tuple[int, ...] | int) -> tuple[int, ...]:
    sizes = shape if isinstance(shape, tuple | list) else (shape,)
    if not all(is_whole(n) for n in sizes):
        raise InvalidInput(f"A shape should hold whole numbers; got {shape!r}.")
    if any(n < 1 for n in sizes):
        raise InvalidInput(f"A shape should hold sizes >= 1; got {shape!r}.")
    return tuple(operator.index(n) for n in sizes)


class Space(ABC, Generic[S]):
    """A closed convex set of strategies, with the distance that proximal steps use."""

    bounded: bool = False

    @property
    @abstractmethod
    def shape(self) -> Any:
        """The shape of one strategy (a mapping of shapes for a `Product`)."""

    @abstractmethod
    def project(self, x: S) -> S:
        """Return the nearest point of the set in Euclidean distance."""

    def prox(self, x: S, d: S) -> S:
        r"""Return :math:`\arg\min_u \langle d, u\rangle + D(u, x)`, the step `d` taken from `x`.

        The default distance is half the squared Euclidean one: a projected step.
        """
        return self.project(x - d)

    @abstractmethod
    def minimizer(self, g: S) -> S:
        r"""Return a point of :math:`\arg\min_u \langle g, u\rangle`, the linear best response."""

    @abstractmethod
    def center(self, batch: tuple[int, ...] = (), **options: Any) -> S:
        """Return the point where methods conventionally start; `options` are dtype and device."""

    @abstractmethod
    def sample(self, rng: torch.Generator, batch: tuple[int, ...] = (), **options: Any) -> S:
        """Return random points of the set; `options` are dtype and device."""

    def violation(self, x: S) -> float:
        """Return the largest entry of the difference between `x` and its projection."""
        difference = x - self.project(x)
        return float(difference.abs().max()) if difference.numel() else 0.0

    def check_on(self, x: S, what: str) -> None:
        """Raise `InvalidInput` when `x` is off the set by more than rounding."""
        miss = self.violation(x)
        if not miss <= OFF_SET:
            raise InvalidInput(
                f"{what} is off its set {self} by {miss:.3g}; project it first with "
                "game.spaces[player].project(strategy)."
            )

    def check(self, x: S, what: str) -> None:
        """Raise `InvalidInput` when `x` has not the shape of this space's strategies."""
        if not isinstance(x, Tensor):
            raise InvalidInput(
                f"{what} should be one array (a strategy of {self}); got parts called "
                f"{', '.join(map(repr, x))}."
            )
        shape = tuple(x.shape)
        if len(self.shape) > len(shape) or shape[len(shape) - len(self.shape) :] != self.shape:
            raise InvalidInput(
                f"{what} should have trailing shape {self.shape} (a strategy of {self}); "
                f"got {shape}."
            )


@dataclass(frozen=True)
class Euclidean(Space[Tensor]):
    r"""All of :math:`\mathbb{R}^{shape}`: unconstrained parameters.

    Args:
        shape: The shape of one strategy; a number n stands for `(n,)`.
        scale: Standard deviation of `sample`.

    Example:
        >>> Euclidean((2,)).prox(torch.tensor([1.0, 1.0]), torch.tensor([0.5, 0.0]))
        tensor([0.5000, 1.0000])
    """

    shape: tuple[int, ...] = (1,)
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _as_shape(self.shape))
        as_real("scale", self.scale, "(0, inf)")

    def project(self, x: Tensor) -> Tensor:
        """Return `x`."""
        return x

    def violation(self, x: Tensor) -> float:
        """Return 0: every vector is in the set."""
        return 0.0

    def prox(self, x: Tensor, d: Tensor) -> Tensor:
        """Return ``x - d``."""
        return x - d

    def minimizer(self, g: Tensor) -> Tensor:
        """Raise: a linear function has no minimum on an unbounded set."""
        raise UnsupportedGame(
            "A linear function has no minimiser on an unbounded set; give the player a bounded "
            "one (Box, Ball, Simplex) or use an oracle that searches nearby (GradientOracle)."
        )

    def center(self, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return zero."""
        return torch.zeros(batch + self.shape, **options)

    def sample(self, rng: torch.Generator, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return Gaussian points of standard deviation `scale`."""
        return self.scale * torch.randn(batch + self.shape, generator=rng, **options)


@dataclass(frozen=True)
class Simplex(Space[Tensor]):
    r"""Probability vectors :math:`\{x \ge 0, \sum_i x_i = 1\}` over `n` actions.

    Args:
        n: Number of actions.
        geometry: ``"entropic"`` (the prox is a multiplicative update,
            :math:`x_i e^{-d_i} / \sum_j x_j e^{-d_j}`) or ``"euclidean"`` (a projected step).

    Example:
        >>> simplex = Simplex(3)
        >>> simplex.project(torch.tensor([0.5, 0.5, 0.3]))
        tensor([0.4000, 0.4000, 0.2000])
        >>> simplex.minimizer(torch.tensor([3.0, 1.0, 2.0]))
        tensor([0., 1., 0.])
    """

    n: int
    geometry: Literal["entropic", "euclidean"] = "entropic"
    bounded = True

    def __post_init__(self) -> None:
        if not is_whole(self.n, 1):
            raise InvalidInput(f"A simplex needs at least one action; got n={self.n!r}.")
        if self.geometry not in ("entropic", "euclidean"):
            raise InvalidInput(
                f"geometry should be 'entropic' or 'euclidean'; got {self.geometry!r}."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n,)``."""
        return (self.n,)

    def project(self, x: Tensor) -> Tensor:
        r"""Return the nearest probability vector, by sorting (Held, Wolfe and Crowder 1974).

        It is :math:`\max(x - \tau, 0)`; the k largest entries alone would ask for
        :math:`\tau_k = (\sum_{i \le k} x_{(i)} - 1) / k`, and the largest of these is :math:`\tau`.
        """
        ordered = x.sort(dim=-1, descending=True).values
        # A common shift moves no projection, and keeps large entries from swallowing the 1.
        x, ordered = x - ordered[..., :1], ordered - ordered[..., :1]
        counts = torch.arange(1, self.n + 1, dtype=x.dtype, device=x.device)
        thresholds = (ordered.cumsum(-1) - 1) / counts
        return (x - thresholds.amax(-1, keepdim=True)).clamp_min(0)

    def prox(self, x: Tensor, d: Tensor) -> Tensor:
        """Return the multiplicative step (entropic), or the projected one (euclidean)."""
        if self.geometry == "euclidean":
            return self.project(x - d)
        # An action of probability 0, from the start or by underflow, must be able to come back.
        return torch.softmax(x.clamp_min(LEAST[x.dtype]).log() - d, dim=-1)

    def minimizer(self, g: Tensor) -> Tensor:
        """Return the vertex of the smallest entry; the first one of equals."""
        vertex = torch.zeros_like(g)
        return vertex.scatter_(-1, g.argmin(-1, keepdim=True), 1.0)

    def violation(self, x: Tensor) -> float:
        """Return how far the sum is from 1, or an entry below 0: no projection is needed."""
        if not x.numel():
            return 0.0
        off = (x.sum(-1) - 1).abs().amax()
        return float(torch.maximum(off, -x.amin()))

    def center(self, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return the uniform distribution."""
        return torch.full((*batch, self.n), 1.0 / self.n, **options)

    def sample(self, rng: torch.Generator, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return points uniform on the simplex (Dirichlet with unit parameters)."""
        weights = torch.empty((*batch, self.n), **options).exponential_(generator=rng)
        return weights / weights.sum(-1, keepdim=True)


@dataclass(frozen=True)
class Box(Space[Tensor]):
    """Entries between `low` and `high`: bounded parameters, weight clipping, intervals.

    Args:
        shape: The shape of one strategy; a number n stands for `(n,)`.
        low: Smallest value of every entry.
        high: Largest value of every entry.

    Example:
        >>> Box((2,), -1.0, 1.0).project(torch.tensor([3.0, 0.5]))
        tensor([1.0000, 0.5000])
    """

    shape: tuple[int, ...] = (1,)
    low: float = -1.0
    high: float = 1.0
    bounded = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _as_shape(self.shape))
        if not (is_real(self.low) and is_real(self.high) and self.low <= self.high):
            raise InvalidInput(
                f"A box needs finite low <= high; got [{self.low!r}, {self.high!r}]."
            )

    def project(self, x: Tensor) -> Tensor:
        """Return `x` with every entry clipped into the box."""
        return x.clamp(self.low, self.high)

    def minimizer(self, g: Tensor) -> Tensor:
        """Return the corner opposite to `g` (the middle where an entry of `g` is zero)."""
        # Between two numbers `where` takes single precision, whatever that of `g`.
        low, high, middle = g.new_tensor([self.low, self.high, 0.5 * (self.low + self.high)])
        return torch.where(g == 0, middle, torch.where(g > 0, low, high))

    def center(self, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return the middle of the box."""
        return torch.full(batch + self.shape, 0.5 * (self.low + self.high), **options)

    def sample(self, rng: torch.Generator, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return uniform points of the box."""
        unit = torch.rand(batch + self.shape, generator=rng, **options)
        return self.low + (self.high - self.low) * unit


@dataclass(frozen=True)
class Ball(Space[Tensor]):
    r"""Vectors with :math:`\lVert x\rVert_2 \le` `radius`.

    Args:
        n: Number of entries.
        radius: Radius of the ball, in the units of the strategy.

    Example:
        >>> Ball(2, radius=1.0).project(torch.tensor([3.0, 4.0]))
        tensor([0.6000, 0.8000])
    """

    n: int
    radius: float = 1.0
    bounded = True

    def __post_init__(self) -> None:
        as_whole("n", self.n, 1)
        as_real("radius", self.radius, "(0, inf)")

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n,)``."""
        return (self.n,)

    def project(self, x: Tensor) -> Tensor:
        """Return `x`, shortened to the radius where it is longer."""
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return torch.where(norm > self.radius, x * (self.radius / norm.clamp_min(1e-300)), x)

    def minimizer(self, g: Tensor) -> Tensor:
        """Return the point of the sphere opposite to `g` (the middle where `g` is zero)."""
        norm = torch.linalg.vector_norm(g, dim=-1, keepdim=True)
        return torch.where(norm > 0, -self.radius * g / norm, torch.zeros_like(g))

    def center(self, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return zero."""
        return torch.zeros((*batch, self.n), **options)

    def sample(self, rng: torch.Generator, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return uniform points of the ball."""
        direction = torch.randn((*batch, self.n), generator=rng, **options)
        direction = direction / torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
        unit = torch.rand((*batch, 1), generator=rng, **options)
        ball: Tensor = self.radius * unit.pow(1.0 / self.n) * direction
        return ball
