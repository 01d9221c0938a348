"""Matrix games: finitely many actions, mixed strategies on simplices."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.game import Game, ZeroSumGame
from eqgan.games.payoffs import Dense, Payoffs
from eqgan.games.sparse import Sparse
from eqgan.profile import Profile, Strategy
from eqgan.real import is_real
from eqgan.spaces import Simplex

SMALL = 300
"""Up to so many actions of one player the simplex method is faster than interior points."""

LARGE = 12_000
"""Beyond so many actions of both players a factorisation outgrows the memory of most machines."""

STRUCTURED = 1000
"""Beyond so many actions sparse and low-rank payoffs are multiplied, not written out."""

TINY = 400
"""Matrices of fewer entries are not worth a call of BLAS to torch, even by the thousand."""

OFFSET = 1e4
"""Payoffs this many times further from zero than they are apart are measured less a constant."""


class MatrixGame(ZeroSumGame):
    r"""The zero-sum game :math:`\max_x \min_y x^\top A y` over mixed strategies.

    ``A[i, j]`` is what the *row* player receives, as in Nashpy, Gambit and QuantEcon.

    Args:
        payoffs: Shape `(*batch, m, n)`: nested lists, a NumPy array or a tensor. Floats of 32
            or 64 bits keep their dtype (and device); everything else becomes float64, and is kept
            exactly beside that if it holds fractions, decimals or large whole numbers. A floating
            tensor is referred to, not copied: do not change it afterwards. A sparse matrix (of
            SciPy or torch), `LowRank` factors, `MatrixFree` products and a `DTensor` sharded by
            rows are multiplied as they are.
        geometry: ``"entropic"`` (multiplicative steps) or ``"euclidean"`` (projected steps).
        value: The known value, if any.
        equilibrium: A known equilibrium `(x, y)`, if any.
        constant: What the two players' payoffs add up to; the column player receives
            `constant - A`, which changes nobody's best responses.
        actions: What the actions are called in pictures and files: the row player's names and the
            column player's.
        name: What the game is called in tables.

    Raises:
        UnsupportedGame: A second table of payoffs.
        InvalidInput: Payoffs that are ragged, empty, not real, not finite, or no matrix; names
            that do not fit them.

    Example:
        >>> game = MatrixGame([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
        >>> game
        MatrixGame(3 x 3, payoffs from -1 to 1)
        >>> game.payoff(game.initial(game.generator(0)))
        tensor(0., dtype=torch.float64)

    Attributes:
        payoffs: The operator: `times(y)` is :math:`A y`, `transposed(x)` is :math:`A^\top x`.
    """

    players = ("row", "column")
    receiver = 0
    linear = True
    monotone = True

    def __init__(
        self,
        payoffs: Any,
        *others: Any,
        geometry: Literal["entropic", "euclidean"] = "entropic",
        value: float | None = None,
        equilibrium: tuple[Any, Any] | None = None,
        constant: float | Fraction = 0,
        actions: Sequence[Sequence[str]] | None = None,
        name: str | None = None,
    ) -> None:
        if others:
            raise UnsupportedGame(
                "MatrixGame takes one table, of what the row player receives: EQGAN solves "
                "zero-sum games. If the column player's is B = -A, leave B out; if A + B is "
                "a constant c everywhere, MatrixGame(A, constant=c) is the game."
            )
        self.payoffs, self.entries = _as_payoffs(payoffs)
        *batch, m, n = self.payoffs.shape
        self.batch_shape = tuple(batch)
        self.dtype = self.payoffs.dtype
        self.device = self.payoffs.device
        if not _is_number(constant):
            raise InvalidInput(f"constant should be a finite number; got {constant!r}.")
        if value is not None and not _is_number(value):
            raise InvalidInput(f"value should be None or a finite number; got {value!r}.")
        self.constant = constant
        self.actions = None if actions is None else _as_names(actions, m, n)
        self.geometry = geometry
        self.spaces = (Simplex(m, geometry), Simplex(n, geometry))
        self.value = value
        self.name = name
        self.equilibrium = None
        if equilibrium is not None:
            self.equilibrium = self.as_profile(equilibrium, "equilibrium")

    def __repr__(self) -> str:
        *batch, m, n = self.payoffs.shape
        size = f"{m} x {n}" + (f", batch {tuple(batch)}" if batch else "")
        title = f"{self.name}: " if self.name else ""
        held = "" if isinstance(self.payoffs, Dense) else f"{type(self.payoffs).__name__}, "
        extent = self._extent
        known = f"from {extent[0].min():g} to {extent[1].max():g}" if extent else "of unknown range"
        total = f", constant-sum {self.constant}" if self.constant else ""
        return f"MatrixGame({title}{size}, {held}payoffs {known}{total})"

    @property
    def payoff_matrix(self) -> Tensor:
        """The payoffs written out, `(*batch, m, n)`; `UnsupportedGame` where that cannot be."""
        return self.payoffs.dense()

    def rationals(self) -> list[list[Fraction]]:
        """Return the payoffs of one game exactly, row by row; floats are the rationals they are."""
        if self.batch_shape:
            raise UnsupportedGame(
                f"rationals() is of one game; this is a batch of {self.batch_shape}."
            )
        if self.entries is None:
            return self.payoffs.rationals()
        return [[Fraction(entry) for entry in row] for row in self.entries.tolist()]

    @property
    def recommended(self) -> str:  # type: ignore[override]
        """Pivots for small games, alone or by the thousand; interior points for larger ones.

        Games that are too large to factorise, or known by their products only, get `HalpernPdhg`.
        """
        smaller = min(self.payoffs.shape[-2:])
        largest = LARGE if isinstance(self.payoffs, Dense) else STRUCTURED
        if not self.payoffs.tabular or smaller > largest:
            return "halpern_pdhg"
        # A pivot is a little work and a decision: the one for a processor, the other not for a GPU.
        return "pivoting" if smaller <= SMALL and self.device.type == "cpu" else "interior_point"

    @cached_property
    def _extent(self) -> tuple[Tensor, Tensor] | None:
        return self.payoffs.extent()

    @cached_property
    def payoff_range(self) -> Tensor | None:  # type: ignore[override]
        """The largest payoff less the smallest, `(*batch)`; ``None`` where they are unknown."""
        return None if self._extent is None else self._extent[1] - self._extent[0]

    @cached_property
    def scale(self) -> Tensor | float:  # type: ignore[override]
        """Half the range of the payoffs, `(*batch)`, or their size where all are the same."""
        if self._extent is None:
            return 1.0
        low, high = (bound.double() for bound in self._extent)
        half = high / 2 - low / 2
        return torch.where(half > 0, half, torch.where(high == 0, 1.0, high.abs()))

    @cached_property
    def lipschitz(self) -> float | Tensor | None:  # type: ignore[override]
        """Lipschitz constant of the operator in the geometry of the simplices.

        Entropic: the largest absolute payoff, once the payoffs are shifted around zero (a shift
        changes no gap). Euclidean: the spectral norm, once rows and columns are centred, because
        differences of strategies sum to zero.
        """
        if self.geometry == "euclidean":
            bound = self.payoffs.centred_norm()
        elif self.payoff_range is None:
            return None
        else:
            bound = self.payoff_range / 2
        return float(bound) if bound.dim() == 0 else bound

    def check_losses(self, z: Profile) -> None:
        """Check nothing: the losses of a matrix game are known to fit."""

    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        r"""Return :math:`x^\top A y`, of shape `(*batch)`."""
        x, y = z
        assert isinstance(x, Tensor)
        assert isinstance(y, Tensor)
        return (x * self.payoffs.linear(y)).sum(-1)

    def operator(self, z: Profile, batch: Any = None) -> Profile:
        r"""Return :math:`(-A y, A^\top x)`: both players minimise."""
        return Profile((self.gradient(z, 0), self.gradient(z, 1)))

    def gradient(self, z: Profile, player: int, batch: Any = None) -> Strategy:
        """Return the cost of each of the player's actions against `z`, `(*batch, n)`."""
        rival = z[1 - player]
        assert isinstance(rival, Tensor)
        return -self.payoffs.times(rival) if player == 0 else self.payoffs.transposed(rival)

    def best_response(self, z: Profile, player: int) -> Strategy:
        """Return the cheapest action as a vertex; the first one of equals."""
        response: Strategy = self.spaces[player].minimizer(self.gradient(z, player))
        return response

    def regrets(self, z: Profile) -> tuple[Tensor, Tensor]:
        """Return both players' exact regrets and the payoff, in float64."""
        # Float32 strategies sum to 1 only in float32; off by that much, large payoffs drown gaps.
        x, y = (_float64(s) for s in z.strategies)
        payoffs, shift = self._measured
        # Each game's numbers are divided, not its vectors, and of those one is held at a time: a
        # batch of thousands is short of cache.
        mine, theirs = x.sum(-1), y.sum(-1)
        worst = _columns(payoffs, x).amin(-1) / mine
        rows = payoffs.times(y)
        value = (x.unsqueeze(-2) @ rows.unsqueeze(-1))[..., 0, 0] / (mine * theirs)
        regrets = torch.stack((rows.amax(-1) / theirs - value, value - worst))
        return regrets, value + shift

    @cached_property
    def _measured(self) -> tuple[Payoffs, Tensor | float]:
        """The payoffs less a shift, and that shift: a gap must not drown in a large constant."""
        if not isinstance(self.payoffs, Dense) or self._extent is None:
            return self.payoffs, 0.0
        low, high = (bound.double() for bound in self._extent)
        shift = low + (high - low) / 2
        if not bool((shift.abs() > OFFSET * (high - low)).any()):
            return self.payoffs, 0.0
        return Dense(self.payoffs.table.double() - shift[..., None, None]), shift


def _columns(payoffs: Payoffs, x: Tensor) -> Tensor:
    r"""Return :math:`A^\top x` as numbers, which nothing is differentiated through."""
    *batch, m, n = payoffs.shape
    plain = isinstance(payoffs, Dense) and payoffs.dtype == x.dtype and x.device.type == "cpu"
    if not (plain and batch and m * n < TINY):
        return payoffs.transposed(x)
    # NumPy asks BLAS; torch goes through such matrices entry by entry, here against the grain.
    product = np.matmul(x.detach().numpy()[..., None, :], payoffs.dense().numpy())
    return torch.from_numpy(product)[..., 0, :]


def _is_number(value: Any) -> bool:
    return is_real(value) or (isinstance(value, Fraction) and abs(value) <= sys.float_info.max)


def needs_table(game: Game) -> str | None:
    """Return a reason unless `game` is a matrix game whose payoffs can be written out."""
    if not isinstance(game, MatrixGame):
        return "only a MatrixGame is a linear program"
    if not game.payoffs.tabular:
        return f"{game.payoffs} is known by its products only; try 'halpern_pdhg'"
    return None


def _as_names(actions: Any, m: int, n: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        rows, columns = ((*names,) for names in actions if not isinstance(names, str))
    except (TypeError, ValueError):
        rows = columns = ()
    named = (len(rows), len(columns)) == (m, n)
    if not named or not all(isinstance(name, str) for name in rows + columns):
        raise InvalidInput(
            f"actions should be two lists of names, {m} of the row player's actions and {n} of the "
            f"column player's; got {_short(actions)}."
        )
    return rows, columns


def _float64(strategy: Strategy) -> Tensor:
    assert isinstance(strategy, Tensor)
    return strategy.double()


def _as_payoffs(payoffs: Any) -> tuple[Payoffs, np.ndarray | None]:
    """Return the operator, and the entries as they were given if floats may have rounded them."""
    if isinstance(payoffs, Payoffs):
        return payoffs, None
    module = type(payoffs).__module__
    if isinstance(payoffs, Tensor):
        if module.startswith("torch.distributed"):
            # Distributed tensors take a moment to import; whoever has one has them.
            from eqgan.games.sharded import Sharded

            return Sharded(payoffs), None  # type: ignore[arg-type]
        if payoffs.layout is not torch.strided:
            return Sparse(payoffs), None
        return Dense(_checked(payoffs)), _kept(payoffs)
    if module.startswith("scipy.sparse") and hasattr(payoffs, "tocsr"):
        return Sparse(payoffs), None
    if isinstance(payoffs, np.ma.MaskedArray) and payoffs.mask.any():
        raise InvalidInput(
            "MatrixGame expects payoffs for every pair of actions; some are masked. Replace "
            "forbidden outcomes by a large finite payoff."
        )
    try:
        array = np.asarray(payoffs)
        tensor = _from_array(array)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(
            "MatrixGame expects payoffs as a rectangular array of real numbers, every row of the "
            f"same length; got {_short(payoffs)}."
        ) from error
    return Dense(_checked(tensor)), array if _rounded(array) else None


def _kept(payoffs: Tensor) -> np.ndarray | None:
    """Return the whole numbers of a tensor if floats would round them."""
    if payoffs.is_floating_point():
        return None
    array: np.ndarray = payoffs.detach().cpu().numpy()
    return array if _rounded(array) else None


def _rounded(array: np.ndarray) -> bool:
    """Return whether floats may round these numbers."""
    if array.dtype.kind not in "iu":
        return array.dtype == object
    return bool((np.abs(array.astype(np.float64)) >= 2.0**53).any())


def _checked(tensor: Tensor) -> Tensor:
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
    if tensor.is_meta:
        raise InvalidInput("MatrixGame expects payoffs with values; a meta tensor has none.")
    if tensor.is_complex():
        raise InvalidInput(f"MatrixGame expects real payoffs; got dtype {tensor.dtype}.")
    if not tensor.is_floating_point() or tensor.dtype in (torch.float16, torch.bfloat16):
        tensor = tensor.double()
    low, high = tensor.aminmax()
    if not bool(torch.isfinite(low) & torch.isfinite(high)):
        place = tuple(int(i) for i in (~torch.isfinite(tensor)).nonzero()[0])
        raise InvalidInput(
            f"MatrixGame expects finite payoffs; entry {place} is {float(tensor[place])}. "
            "Replace forbidden outcomes by a large finite payoff."
        )
    if not bool(torch.isfinite(high - low)):
        raise InvalidInput(
            f"MatrixGame expects payoffs whose range is finite in {tensor.dtype}; got "
            f"{float(low):g} to {float(high):g}. Divide them by 4."
        )
    return tensor.detach()


def _from_array(array: np.ndarray) -> Tensor:
    if array.dtype == object:
        if array.ndim == 0:
            raise TypeError(array.dtype)
        array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"dtype {array.dtype}")
    return torch.as_tensor(array if array.dtype == np.float32 else array.astype(np.float64))


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
