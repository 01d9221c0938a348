"""Matrix games: finitely many actions, mixed strategies on simplices."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.game import ZeroSumGame
from eqgan.profile import Profile, Strategy
from eqgan.spaces import Simplex

BLOCK = 1 << 22
"""Entries that are widened to float64 at a time when a float32 game is measured."""


SMALL = 300
"""Up to so many actions of one player the simplex method is as fast, and ends at a vertex."""


class MatrixGame(ZeroSumGame):
    r"""The zero-sum game :math:`\max_x \min_y x^\top A y` over mixed strategies.

    ``A[i, j]`` is what the *row* player receives, as in Nashpy, Gambit and QuantEcon.

    Args:
        payoffs: Shape `(*batch, m, n)`: nested lists, a NumPy array or a tensor. Floats of 32
            or 64 bits keep their dtype (and device); everything else becomes float64. A floating
            tensor is referred to, not copied: do not change it afterwards.
        geometry: ``"entropic"`` (multiplicative steps) or ``"euclidean"`` (projected steps).
        value: The known value, if any.
        equilibrium: A known equilibrium `(x, y)`, if any.
        name: What the game is called in tables.

    Raises:
        InvalidInput: Payoffs that are ragged, empty, not real, not finite, or no matrix.

    Example:
        >>> game = MatrixGame([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
        >>> game
        MatrixGame(3 x 3, payoffs from -1 to 1)
        >>> game.payoff(game.initial(game.generator(0)))
        tensor(0., dtype=torch.float64)
    """

    players = ("row", "column")
    receiver = 0
    linear = True
    monotone = True

    def __init__(
        self,
        payoffs: Any,
        *,
        geometry: Literal["entropic", "euclidean"] = "entropic",
        value: float | None = None,
        equilibrium: tuple[Any, Any] | None = None,
        name: str | None = None,
    ) -> None:
        self.payoff_matrix: Tensor = _as_payoffs(payoffs)
        *batch, m, n = self.payoff_matrix.shape
        self.batch_shape = tuple(batch)
        self.dtype = self.payoff_matrix.dtype
        self.device = self.payoff_matrix.device
        self.geometry = geometry
        self.spaces = (Simplex(m, geometry), Simplex(n, geometry))
        self.value = value
        self.name = name
        self.equilibrium = None
        if equilibrium is not None:
            self.equilibrium = self.as_profile(equilibrium, "equilibrium")

    def __repr__(self) -> str:
        a = self.payoff_matrix
        *batch, m, n = a.shape
        size = f"{m} x {n}" + (f", batch {tuple(batch)}" if batch else "")
        title = f"{self.name}: " if self.name else ""
        extent = f"{float(a.min()):g} to {float(a.max()):g}" if a.numel() else "none"
        return f"MatrixGame({title}{size}, payoffs from {extent})"

    @property
    def recommended(self) -> str:  # type: ignore[override]
        """The simplex method for one small game; interior points for batches and large games."""
        small = min(self.payoff_matrix.shape[-2:]) <= SMALL
        return "linear_program" if small and not self.batch_shape else "interior_point"

    @cached_property
    def payoff_range(self) -> Tensor:  # type: ignore[override]
        """The largest payoff less the smallest, `(*batch)`."""
        flat = self.payoff_matrix.flatten(-2)
        return flat.amax(-1) - flat.amin(-1)

    @cached_property
    def lipschitz(self) -> float | Tensor:  # type: ignore[override]
        """Lipschitz constant of the operator in the geometry of the simplices.

        Entropic: the largest absolute payoff, once the payoffs are shifted around zero (a shift
        changes no gap). Euclidean: the spectral norm, once rows and columns are centred, because
        differences of strategies sum to zero.
        """
        if self.geometry == "entropic":
            bound = self.payoff_range / 2
        else:
            a = self.payoff_matrix
            a = a - a.mean(-1, keepdim=True)
            bound = torch.linalg.matrix_norm(a - a.mean(-2, keepdim=True), 2)
        return float(bound) if bound.dim() == 0 else bound

    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        r"""Return :math:`x^\top A y`, of shape `(*batch)`."""
        x, y = z
        assert isinstance(x, Tensor)
        return (x * _times(self.payoff_matrix, y)).sum(-1)

    def operator(self, z: Profile, batch: Any = None) -> Profile:
        r"""Return :math:`(-A y, A^\top x)`: both players minimise."""
        return Profile((self.gradient(z, 0), self.gradient(z, 1)))

    def gradient(self, z: Profile, player: int, batch: Any = None) -> Strategy:
        """Return the cost of each of the player's actions against `z`, `(*batch, n)`."""
        x, y = z
        if player == 0:
            return -_times(self.payoff_matrix, y)
        return _times(self.payoff_matrix.mT, x)

    def best_response(self, z: Profile, player: int) -> Strategy:
        """Return the cheapest action as a vertex; the first one of equals."""
        response: Strategy = self.spaces[player].minimizer(self.gradient(z, player))
        return response

    def regrets(self, z: Profile) -> tuple[Tensor, Tensor]:
        """Return both players' exact regrets and the payoff, in float64."""
        # Float32 strategies sum to 1 only in float32; off by that much, large payoffs drown gaps.
        x, y = (_float64(s) for s in z.strategies)
        x, y = x / x.sum(-1, keepdim=True), y / y.sum(-1, keepdim=True)
        rows, columns = self._action_payoffs(x, y)
        value = (x * rows).sum(-1)
        return torch.stack((rows.amax(-1) - value, value - columns.amin(-1))), value

    def _action_payoffs(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        a = self.payoff_matrix
        if a.dtype == torch.float64:
            return _times(a, y), _times(a.mT, x)
        # Widen a block of rows at a time: a large float32 game needs no second copy.
        height = max(1, BLOCK // max(1, a.numel() // a.shape[-2]))
        rows, columns = [], torch.zeros_like(y)
        for start in range(0, a.shape[-2], height):
            block = a[..., start : start + height, :].double()
            rows.append(_times(block, y))
            columns += _times(block.mT, x[..., start : start + height])
        return torch.cat(rows, -1), columns


def _times(matrix: Tensor, vector: Strategy) -> Tensor:
    assert isinstance(vector, Tensor)
    if matrix.dim() == 2:
        return matrix @ vector
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def _float64(strategy: Strategy) -> Tensor:
    assert isinstance(strategy, Tensor)
    return strategy.double()


def _as_payoffs(payoffs: Any) -> Tensor:
    try:
        tensor = payoffs if isinstance(payoffs, Tensor) else _from_array(payoffs)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(
            "MatrixGame expects payoffs as a rectangular array of real numbers, every row of the "
            f"same length; got {_short(payoffs)}."
        ) from error
    if tensor.dim() < 2:
        raise InvalidInput(
            f"MatrixGame expects payoffs of shape (*batch, m, n); got {tuple(tensor.shape)}. "
            "Add a dimension with A[None]."
        )
    if tensor.numel() == 0:
        raise InvalidInput(
            "MatrixGame expects at least one action a player and at least one game; got payoffs of "
            f"shape {tuple(tensor.shape)}."
        )
    if tensor.is_complex():
        raise InvalidInput(f"MatrixGame expects real payoffs; got dtype {tensor.dtype}.")
    if not tensor.is_floating_point() or tensor.dtype in (torch.float16, torch.bfloat16):
        tensor = tensor.double()
    finite = torch.isfinite(tensor)
    if not bool(finite.all()):
        place = tuple(int(i) for i in (~finite).nonzero()[0])
        raise InvalidInput(
            f"MatrixGame expects finite payoffs; entry {place} is {float(tensor[place])}. "
            "Replace forbidden outcomes by a large finite payoff."
        )
    if not bool(torch.isfinite(tensor.max() - tensor.min())):
        raise InvalidInput(
            f"MatrixGame expects payoffs whose range is finite in {tensor.dtype}; got "
            f"{float(tensor.min()):g} to {float(tensor.max()):g}. Divide them by 4."
        )
    return tensor.detach()


def _from_array(payoffs: Any) -> Tensor:
    array = np.asarray(payoffs)
    if array.dtype == object:
        if array.ndim == 0:
            raise TypeError(type(payoffs).__name__)
        array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"dtype {array.dtype}")
    return torch.as_tensor(array if array.dtype == np.float32 else array.astype(np.float64))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
