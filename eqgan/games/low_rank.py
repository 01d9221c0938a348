"""Payoffs of low rank."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.games.payoffs import BLOCK, Payoffs, product

LISTED = 1 << 30
"""Entries that are looked through for the largest: this takes seconds, and no memory."""


class LowRank(Payoffs):
    r"""Payoffs :math:`A = U V^\top`, never multiplied out for a product.

    Tolerances are relative to the range of the payoffs, which is exact up to `LISTED` entries and
    bounded from above beyond them.

    Args:
        u: Shape `(*batch, m, r)`.
        v: Shape `(*batch, n, r)`.

    Raises:
        InvalidInput: Factors that are not finite floats of one dtype and rank.

    Example:
        >>> LowRank(torch.ones(5, 2), torch.ones(4, 2))
        LowRank(5 x 4, rank 2)
    """

    def __init__(self, u: Any, v: Any) -> None:
        try:
            self.u, self.v = (torch.as_tensor(factor).detach() for factor in (u, v))
        except (TypeError, ValueError, RuntimeError) as error:
            raise InvalidInput(f"LowRank expects two arrays of numbers; {error}.") from error
        if self.u.shape[-1:] != self.v.shape[-1:] or self.u.shape[:-2] != self.v.shape[:-2]:
            raise InvalidInput(
                "LowRank expects factors of shapes (*batch, m, r) and (*batch, n, r); got "
                f"{tuple(self.u.shape)} and {tuple(self.v.shape)}."
            )
        if min(self.u.dim(), self.v.dim()) < 2 or not self.u.numel() or not self.v.numel():
            raise InvalidInput(
                f"LowRank expects two matrices that are not empty; got {tuple(self.u.shape)} and "
                f"{tuple(self.v.shape)}."
            )
        if self.u.dtype not in (torch.float32, torch.float64) or self.u.dtype != self.v.dtype:
            raise InvalidInput(
                "LowRank expects factors that are both float32 or both float64; got "
                f"{self.u.dtype} and {self.v.dtype}."
            )
        if not all(bool(torch.isfinite(factor).all()) for factor in (self.u, self.v)):
            raise InvalidInput("LowRank expects finite factors; some entries are NaN or infinite.")
        rows, columns = (s.abs().amax((-1, -2)).double() for s in (self.u, self.v))
        bound = 2 * self.u.shape[-1] * rows * columns
        if not bool((bound <= torch.finfo(self.u.dtype).max).all()):
            raise InvalidInput(
                f"LowRank expects factors whose products are finite in {self.u.dtype}; entries of "
                f"this size may give payoffs of {float(bound.max()) / 2:g}."
            )
        self.shape = (*self.u.shape[:-1], self.v.shape[-2])
        self.dtype, self.device = self.u.dtype, self.u.device

    def __repr__(self) -> str:
        return f"LowRank({' x '.join(map(str, self.shape[-2:]))}, rank {self.u.shape[-1]})"

    def times(self, y: Tensor) -> Tensor:
        r"""Return :math:`U (V^\top y)`."""
        return product(self.u.to(y.dtype), product(self.v.mT.to(y.dtype), y))

    def transposed(self, x: Tensor) -> Tensor:
        r"""Return :math:`V (U^\top x)`."""
        return product(self.v.to(x.dtype), product(self.u.mT.to(x.dtype), x))

    def linear(self, y: Tensor) -> Tensor:
        """Return the product."""
        return self.times(y)

    def dense(self) -> Tensor:
        """Return the product of the factors."""
        return self.u @ self.v.mT

    def rationals(self) -> list[list[Fraction]]:
        """Return the product of the factors without rounding, which would spoil its rank."""
        (u, one), (v, other) = (_whole(factor) for factor in (self.u, self.v))
        return [[Fraction(entry, one * other) for entry in row] for row in (u @ v.T).tolist()]

    def extent(self) -> tuple[Tensor, Tensor]:
        r"""Return the extreme entries; of more than `LISTED` entries, bounds on them.

        With :math:`\bar v` the mean of the rows of V, the entry of rows u and v is
        :math:`u^\top \bar v`, give or take :math:`\lVert u \rVert \lVert v - \bar v \rVert`.
        """
        if math.prod(self.shape) > LISTED:
            mean = self.v.mean(-2, keepdim=True)
            centre = (self.u * mean).sum(-1)
            reach = self.u.norm(dim=-1) * (self.v - mean).norm(dim=-1).amax(-1, keepdim=True)
            return (centre - reach).amin(-1), (centre + reach).amax(-1)
        height = max(1, BLOCK // (math.prod(self.shape) // self.shape[-2]))
        low, high = (self.u.new_full(self.shape[:-2], bound) for bound in (math.inf, -math.inf))
        for rows in torch.split(self.u, height, -2):
            block = rows @ self.v.mT
            low = torch.minimum(low, block.amin((-1, -2)))
            high = torch.maximum(high, block.amax((-1, -2)))
        return low, high

    def to(self, device: torch.device) -> LowRank:
        """Return the factors on `device`."""
        return LowRank(self.u.to(device), self.v.to(device))


def _whole(factor: Tensor) -> tuple[Any, int]:
    """Return integers, as an array of objects, and what they are to be divided by."""
    ratios = [[entry.as_integer_ratio() for entry in row] for row in factor.tolist()]
    # Floats are multiples of powers of two.
    unit = max(below for row in ratios for _, below in row)
    whole = [[above * (unit // below) for above, below in row] for row in ratios]
    return np.array(whole, dtype=object), unit
