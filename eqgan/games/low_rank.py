"""Payoffs of low rank."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.games.payoffs import BLOCK, Payoffs, product


class LowRank(Payoffs):
    r"""Payoffs :math:`A = U V^\top`, never multiplied out for a product.

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
        self.u, self.v = (torch.as_tensor(factor).detach() for factor in (u, v))
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

    def extent(self) -> tuple[Tensor, Tensor]:
        """Return the extreme entries, computed a block of rows at a time."""
        height = max(1, BLOCK // self.v.numel() * self.v.shape[-1])
        blocks = [(rows @ self.v.mT).flatten(-2) for rows in torch.split(self.u, height, -2)]
        low = torch.stack([block.amin(-1) for block in blocks]).amin(0)
        return low, torch.stack([block.amax(-1) for block in blocks]).amax(0)

    def to(self, device: torch.device) -> LowRank:
        """Return the factors on `device`."""
        return LowRank(self.u.to(device), self.v.to(device))
