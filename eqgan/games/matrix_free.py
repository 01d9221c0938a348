"""Payoffs known only through their products with vectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.games.payoffs import BLOCK, Payoffs
from eqgan.randomness import seeded
from eqgan.whole import is_whole


class MatrixFree(Payoffs):
    r"""Payoffs known only through their products with vectors; A is never built.

    Args:
        shape: `(m, n)`.
        matvec: Takes `y` of shape `(n,)`, returns :math:`A y`, `(m,)`.
        rmatvec: Takes `x` of shape `(m,)`, returns :math:`A^\top x`, `(n,)`.
        bounds: The smallest and the largest payoff, or bounds on them: tolerances and default step
            sizes of entropic methods are relative to their difference. Unknown if ``None``.
        dtype: Of the vectors that the functions get and return.
        device: Of these vectors.

    Raises:
        InvalidInput: Products of the wrong shape, or that are not each other's transpose.

    Example:
        The higher number wins: :math:`A_{ij} = \mathrm{sign}(i - j)`, by running sums.

        >>> def wins(y):
        ...     below = y.cumsum(0)
        ...     return below - y - (below[-1] - below)
        >>> MatrixFree((1_000_000, 1_000_000), wins, lambda x: -wins(x), bounds=(-1, 1))
        MatrixFree(1000000 x 1000000)
    """

    def __init__(
        self,
        shape: tuple[int, int],
        matvec: Callable[[Tensor], Tensor],
        rmatvec: Callable[[Tensor], Tensor],
        *,
        bounds: tuple[float, float] | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        _check_shape(shape)
        for role, function in (("matvec", matvec), ("rmatvec", rmatvec)):
            if not callable(function):
                raise InvalidInput(f"{role} should be a function of a vector; got {function!r}.")
        if bounds is not None:
            _check_bounds(bounds)
        self.shape, self.dtype, self.device = tuple(shape), dtype, torch.device(device)
        self.matvec, self.rmatvec, self.bounds = matvec, rmatvec, bounds
        self._check()

    @classmethod
    def from_blocks(
        cls,
        shape: tuple[int, int],
        block: Callable[[Tensor, Tensor], Tensor],
        **options: Any,
    ) -> MatrixFree:
        """Return payoffs given by a function of indices, computed a block of rows at a time.

        Args:
            shape: `(m, n)`.
            block: Takes row indices `(k, 1)` and column indices `(1, n)`, returns payoffs `(k, n)`.
            **options: Those of `MatrixFree`.

        Example:
            >>> higher = lambda i, j: (i - j).sign()
            >>> war = MatrixFree.from_blocks((400, 300), higher, bounds=(-1, 1))
            >>> war.times(torch.full((300,), 1 / 300, dtype=torch.float64))[-1]
            tensor(1.0000, dtype=torch.float64)
        """
        _check_shape(shape)
        m, n = shape
        height = max(1, BLOCK // n)
        device = options.get("device", "cpu")
        columns = torch.arange(n, device=device)[None]

        def blocks(like: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
            for rows in torch.split(torch.arange(m, device=device), height):
                part = block(rows[:, None], columns)
                if part.shape != (len(rows), n):
                    raise InvalidInput(
                        f"block should return payoffs of shape ({len(rows)}, {n}) for as many row "
                        f"and column indices; got {tuple(part.shape)}."
                    )
                yield rows, part.to(like.dtype)

        def matvec(y: Tensor) -> Tensor:
            return torch.cat([part @ y for _, part in blocks(y)])

        def rmatvec(x: Tensor) -> Tensor:
            return torch.stack([part.mT @ x[rows] for rows, part in blocks(x)]).sum(0)

        return cls(shape, matvec, rmatvec, **options)

    def _check(self) -> None:
        m, n = self.shape
        options: dict[str, Any] = {"dtype": self.dtype, "device": self.device}
        rng = seeded(0, self.device)
        y, x = (torch.rand(k, generator=rng, **options) for k in (n, m))
        ay, atx = self.matvec(y), self.rmatvec(x)
        for name, got, want in (("matvec", ay, m), ("rmatvec", atx, n)):
            shape = tuple(got.shape) if isinstance(got, Tensor) else type(got).__name__
            if shape != (want,) or got.dtype != self.dtype:
                kind = f"{shape} of {got.dtype}" if isinstance(got, Tensor) else shape
                raise InvalidInput(
                    f"{name} should return a tensor of shape ({want},) in {self.dtype}; got {kind}."
                )
            if not bool(torch.isfinite(got).all()):
                raise InvalidInput(f"{name} returned NaN or infinite payoffs.")
        one, other = float(x @ ay), float(atx @ y)
        size = float(x @ ay.abs() + atx.abs() @ y)
        if abs(one - other) > torch.finfo(self.dtype).eps ** 0.5 * size:
            raise InvalidInput(
                "rmatvec should multiply by the transpose of what matvec multiplies by; x'(A y) is "
                f"{one:.6g} and (A'x)'y is {other:.6g} for a test pair."
            )

    def times(self, y: Tensor) -> Tensor:
        """Return what `matvec` does, computed in the payoffs' dtype."""
        return self.matvec(y.to(self.dtype)).to(y.dtype)

    def transposed(self, x: Tensor) -> Tensor:
        """Return what `rmatvec` does, computed in the payoffs' dtype."""
        return self.rmatvec(x.to(self.dtype)).to(x.dtype)

    def extent(self) -> tuple[Tensor, Tensor] | None:
        """Return the given bounds."""
        if self.bounds is None:
            return None
        low, high = (torch.tensor(b, dtype=self.dtype, device=self.device) for b in self.bounds)
        return low, high


def _check_shape(shape: Any) -> None:
    pair = isinstance(shape, tuple | list) and len(shape) == 2
    if not pair or not all(is_whole(k, 1) for k in shape):
        raise InvalidInput(f"MatrixFree expects a shape (m, n) of whole numbers; got {shape!r}.")


def _check_bounds(bounds: Any) -> None:
    try:
        low, high = (float(bound) for bound in bounds)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (low <= high and math.isfinite(low) and math.isfinite(high - low)):
        raise InvalidInput(
            f"bounds should be (lowest, highest), a finite distance apart; got {bounds!r}."
        )
