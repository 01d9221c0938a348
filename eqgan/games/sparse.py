"""Sparse payoffs."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.games.payoffs import Payoffs


class Sparse(Payoffs):
    """Payoffs in compressed sparse rows, with the transpose beside them; what is not stored is 0.

    Args:
        matrix: A SciPy sparse matrix or array, `(m, n)`, or a sparse torch tensor.

    Raises:
        InvalidInput: Payoffs that are no matrix, not real, or not finite.

    Example:
        >>> import scipy.sparse
        >>> Sparse(scipy.sparse.eye_array(1000, format="csr"))
        Sparse(1000 x 1000, 1000 stored)
    """

    def __init__(self, matrix: Any) -> None:
        if len(matrix.shape) != 2 or not all(matrix.shape):
            raise InvalidInput(
                f"Sparse payoffs should be one matrix of shape (m, n), with at least one action a "
                f"player; got {tuple(matrix.shape)}. Batches are held dense."
            )
        rows = _compressed(matrix)
        values = rows.values()
        if not bool(torch.isfinite(values).all()):
            raise InvalidInput("Sparse payoffs should be finite; some are NaN or infinite.")
        self.matrix = rows
        self.transpose = _compressed(rows, transpose=True)
        self.shape, self.dtype, self.device = tuple(rows.shape), rows.dtype, rows.device
        low, high = self.extent()
        if not bool(torch.isfinite(high - low)):
            raise InvalidInput(
                f"Sparse payoffs should have a range that is finite in {self.dtype}; got "
                f"{float(low):g} to {float(high):g}. Divide them by 4."
            )

    def __repr__(self) -> str:
        m, n = self.shape
        return f"Sparse({m} x {n}, {self.matrix.values().numel()} stored)"

    def times(self, y: Tensor) -> Tensor:
        """Return the sparse product."""
        matrix: Tensor = self.matrix.to(y.dtype)
        return matrix @ y

    def transposed(self, x: Tensor) -> Tensor:
        """Return the sparse product with the transpose."""
        matrix: Tensor = self.transpose.to(x.dtype)
        return matrix @ x

    def dense(self) -> Tensor:
        """Return the payoffs written out."""
        return self.matrix.to_dense()

    def scipy(self) -> Any:
        """Return the payoffs as a SciPy array in compressed sparse rows."""
        from scipy.sparse import csr_array

        a = self.matrix.cpu()
        parts = (a.values().numpy(), a.col_indices().numpy(), a.crow_indices().numpy())
        return csr_array(parts, shape=self.shape)

    def extent(self) -> tuple[Tensor, Tensor]:
        """Return the extreme entries, zeros included."""
        values = self.matrix.values()
        if values.numel() < self.shape[0] * self.shape[1]:
            values = torch.cat((values, values.new_zeros(1)))
        low, high = values.aminmax()
        return low, high

    def to(self, device: torch.device) -> Sparse:
        """Return the payoffs on `device`."""
        return Sparse(self.matrix.to(device))


def _compressed(matrix: Any, transpose: bool = False) -> Tensor:
    """Return a sparse tensor in compressed rows, with sorted and summed entries."""
    with warnings.catch_warnings():
        # torch announces that its support of compressed rows is in beta.
        warnings.filterwarnings("ignore", "Sparse CSR tensor support", UserWarning)
        if not isinstance(matrix, Tensor):
            from scipy.sparse import csr_array

            a = csr_array(matrix)
            a.sum_duplicates()
            if a.data.dtype.kind not in "biuf":
                raise InvalidInput(f"Sparse payoffs should be real; got dtype {a.data.dtype}.")
            values = a.data if a.data.dtype == np.float32 else a.data.astype(np.float64)
            starts, places = (torch.as_tensor(i.astype(np.int64)) for i in (a.indptr, a.indices))
            size = list(a.shape)
            return torch.sparse_csr_tensor(
                starts, places, torch.as_tensor(values), size=size, check_invariants=True
            )
        listed: Tensor = matrix.detach().to_sparse()
        if listed.dtype.is_complex:
            raise InvalidInput(f"Sparse payoffs should be real; got dtype {listed.dtype}.")
        if listed.dtype != torch.float32:
            listed = listed.double()
        return (listed.T if transpose else listed).coalesce().to_sparse_csr()
