r"""Payoff operators: the two products :math:`A y` and :math:`A^\top x`, however A is held.

Certificates and first-order solvers ask nothing else of a matrix game, so its payoffs need not be
written out: they may be sparse, of low rank, or known only through the products.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Self

import torch
from torch import Tensor

from eqgan.errors import UnsupportedGame
from eqgan.randomness import seeded

BLOCK = 1 << 20
"""Entries that are computed or widened to float64 at a time, where A is not held so."""

LANCZOS = 30
"""Steps that find a norm to about one part in a hundred; smaller games get a decomposition."""

MARGIN = 1.01
"""What makes that estimate, which is from below, a bound in practice."""


class Payoffs(ABC):
    """What the row player receives, as an operator.

    Attributes:
        shape: `(*batch, m, n)`.
        dtype: Floating dtype of the payoffs, and of strategies by default.
        device: Where they are.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    @abstractmethod
    def times(self, y: Tensor) -> Tensor:
        r"""Return :math:`A y`, `(*batch, m)`, in the dtype of `y`."""

    @abstractmethod
    def transposed(self, x: Tensor) -> Tensor:
        r"""Return :math:`A^\top x`, `(*batch, n)`, in the dtype of `x`."""

    def agreed(self, yes: bool) -> bool:
        """Return whether any process that holds a part of the payoffs says yes; here, the one.

        If each decided by its own clock, those that go on would wait for those that stopped.
        """
        return yes

    def linear(self, y: Tensor) -> Tensor:
        r"""Return :math:`A y` as something that can be differentiated in `y`, more than once."""
        result: Tensor = _Linear.apply(y, self, False)  # type: ignore[no-untyped-call]
        return result

    def dense(self) -> Tensor:
        """Return the payoffs written out, `(*batch, m, n)`, or raise `UnsupportedGame`."""
        raise UnsupportedGame(
            f"{self} is not held as a table; only solvers that multiply by it can be used, such as "
            "'halpern_pdhg' or 'regret_matching_plus'."
        )

    def rationals(self) -> list[list[Fraction]]:
        """Return the payoffs of one game exactly, row by row; floats are the rationals they are."""
        return [[Fraction(entry) for entry in row] for row in self.dense().tolist()]

    @property
    def tabular(self) -> bool:
        """Whether `dense` can be had."""
        return type(self).dense is not Payoffs.dense

    def extent(self) -> tuple[Tensor, Tensor] | None:
        """Return the smallest and the largest payoff, `(*batch)` each, if they can be known."""
        return None

    def columns(self, indices: Tensor) -> Tensor:
        """Return the chosen columns of one game, `(m, k)`, by products with vertices."""
        picked = torch.zeros(self.shape[-1], dtype=self.dtype, device=self.device)
        found = []
        for j in indices.tolist():
            picked[j] = 1.0
            found.append(self.times(picked))
            picked[j] = 0.0
        return torch.stack(found, -1)

    def centred_norm(self) -> Tensor:
        r"""Return :math:`\lVert P A P \rVert_2`, P centring a vector, of shape `(*batch)`.

        Differences of strategies sum to zero, so that this norm, and not that of A, bounds what
        the products do to them: often ten times less. Small games get a singular value
        decomposition, others a Lanczos estimate with a margin.
        """
        *batch, m, n = self.shape
        if self.tabular and min(m, n) <= LANCZOS:
            a = self.dense()
            a = a - a.mean(-1, keepdim=True)
            exact: Tensor = torch.linalg.matrix_norm(a - a.mean(-2, keepdim=True), 2)
            return exact
        rng = seeded(0, self.device)
        options: dict[str, Any] = {"dtype": self.dtype, "device": self.device}
        v = _unit(_centred(torch.randn(*batch, n, generator=rng, **options)), 0.0)[0]
        u, beta = torch.zeros(*batch, m, **options), torch.zeros(*batch, 1, **options)
        rounding = beta
        rights, lefts, diagonal, above = [v], [u], [], []
        for _ in range(min(LANCZOS, m, n)):
            image = self.times(v)
            rounding = torch.maximum(rounding, 1e3 * torch.finfo(self.dtype).eps * _length(image))
            u, alpha = _unit(_apart(_centred(image) - beta * u, lefts), rounding)
            image = self.transposed(u)
            v, beta = _unit(_apart(_centred(image) - alpha * v, rights), rounding)
            lefts.append(u)
            rights.append(v)
            diagonal.append(alpha)
            above.append(beta)
        bidiagonal = torch.diag_embed(torch.cat(diagonal, -1))
        bidiagonal = bidiagonal + torch.diag_embed(torch.cat(above[:-1], -1), offset=1)
        estimate: Tensor = torch.linalg.matrix_norm(bidiagonal, 2)
        return MARGIN * estimate

    def to(self, device: torch.device) -> Self:
        """Return the same payoffs on `device`."""
        raise UnsupportedGame(f"{self} cannot be moved to {device}; make it there.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({' x '.join(map(str, self.shape[-2:]))})"


def _centred(vector: Tensor) -> Tensor:
    return vector - vector.mean(-1, keepdim=True)


def _length(vector: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(vector, dim=-1, keepdim=True)
    return length


def _unit(vector: Tensor, rounding: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return the direction and the length of a vector; both zero if it is but rounding."""
    length = _length(vector)
    length = torch.where(length > rounding, length, 0.0)
    return torch.where(length > 0, vector / length, 0.0), length


def _apart(vector: Tensor, basis: list[Tensor]) -> Tensor:
    """Return `vector` made orthogonal to the basis, which rounding would undo."""
    q = torch.stack(basis, -1)
    return vector - (q @ (q.mT @ vector.unsqueeze(-1))).squeeze(-1)


class _Linear(torch.autograd.Function):
    """The product as a node of a graph; its derivative is the other product."""

    @staticmethod
    def forward(ctx: Any, vector: Tensor, payoffs: Payoffs, transposed: bool) -> Tensor:
        ctx.payoffs, ctx.transposed = payoffs, transposed
        return payoffs.transposed(vector) if transposed else payoffs.times(vector)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        back = _Linear.apply(gradients[0], ctx.payoffs, not ctx.transposed)  # type: ignore[no-untyped-call]
        return back, None, None


class Dense(Payoffs):
    """Payoffs written out in one tensor, referred to and not copied.

    Args:
        table: Shape `(*batch, m, n)`, float32 or float64.
    """

    def __init__(self, table: Tensor) -> None:
        self.table = table
        self.shape, self.dtype, self.device = tuple(table.shape), table.dtype, table.device

    def times(self, y: Tensor) -> Tensor:
        """Return the product; a wider `y` widens a block of rows at a time."""
        if y.dtype == self.dtype:
            return product(self.table, y)
        return torch.cat([product(block, y) for _, block in self._widened(y.dtype)], -1)

    def transposed(self, x: Tensor) -> Tensor:
        """Return the product; a wider `x` widens a block of rows at a time."""
        if x.dtype == self.dtype:
            return product(self.table.mT, x)
        blocks = self._widened(x.dtype)
        parts = [product(block.mT, x[..., rows]) for rows, block in blocks]
        return torch.stack(parts).sum(0)

    def _widened(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        height = max(1, BLOCK // max(1, self.table.numel() // self.shape[-2]))
        # One buffer for all: blocks of their own leave holes that malloc does not fill again.
        wide = torch.empty_like(self.table[..., :height, :], dtype=dtype)
        for start in range(0, self.shape[-2], height):
            rows = slice(start, start + height)
            block = self.table[..., rows, :]
            yield rows, wide[..., : block.shape[-2], :].copy_(block)

    def linear(self, y: Tensor) -> Tensor:
        """Return the product."""
        return self.times(y)

    def dense(self) -> Tensor:
        """Return the table itself."""
        return self.table

    def extent(self) -> tuple[Tensor, Tensor]:
        """Return the extreme entries."""
        return self.table.amin((-1, -2)), self.table.amax((-1, -2))

    def columns(self, indices: Tensor) -> Tensor:
        """Return the chosen columns."""
        return self.table[..., indices]

    def to(self, device: torch.device) -> Dense:
        """Return the table on `device`."""
        return Dense(self.table.to(device))


def product(matrix: Tensor, vector: Tensor) -> Tensor:
    """Return the product of `(*batch, m, n)` and `(*batch, n)`."""
    if matrix.dim() == 2:
        return matrix @ vector
    # The row times the transpose is the kernel that is fast on thousands of small games.
    return (vector.unsqueeze(-2) @ matrix.mT).squeeze(-2)
