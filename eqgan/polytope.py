"""Polytopes: strategy sets given by linear constraints.

Linear minimisation is a linear program, projection a quadratic one. Both are solved on the CPU in
float64, row by row for a batch, and come back in the dtype and on the device of what was asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.spaces import Space

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

PRECISE = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
"""What HiGHS is asked for; its own tolerances are a thousand times larger."""

ACTIVE = 1e-7
"""A constraint that an interior point misses by less than this is taken to hold with equality."""

EXACT = 1e-11
"""A polished projection may miss a constraint, or have a multiplier below zero, by this much."""


class Polytope(Space[Tensor]):
    r"""The set :math:`\{x : G x \le h,\; E x = f,\; \text{low} \le x \le \text{high}\}`.

    Note the default :math:`x \ge 0`; pass ``low=-math.inf`` for variables of either sign.

    Args:
        G: Inequalities, `(rows, n)`: nested lists, an array or a sparse matrix of SciPy.
        h: Their right-hand sides, `(rows,)`.
        E: Equalities, `(rows, n)`.
        f: Their right-hand sides, `(rows,)`.
        low: Smallest value of every variable, a number or `(n,)`.
        high: Largest value of every variable, a number or `(n,)`.

    Raises:
        InvalidInput: Constraints that do not fit together, that no point satisfies, or that leave
            the set unbounded.

    Example:
        >>> budget = Polytope(G=[[2.0, 1.0]], h=[2.0], high=1.5)
        >>> budget.minimizer(torch.tensor([-1.0, -1.0]))
        tensor([0.2500, 1.5000])
        >>> budget.project(torch.tensor([2.0, 0.0], dtype=torch.float64))
        tensor([1., 0.], dtype=torch.float64)

    References:
        Charnes 1953, Constrained games and linear programming.
    """

    bounded = True

    def __init__(
        self,
        G: Any = None,
        h: Any = None,
        E: Any = None,
        f: Any = None,
        *,
        low: Any = 0.0,
        high: Any = math.inf,
    ) -> None:
        given = [_constraints(G, h, "G", "h"), _constraints(E, f, "E", "f")]
        shapes = [rows.shape for rows, _ in filter(None, given)]
        if len({columns for _, columns in shapes}) != 1:
            raise InvalidInput(
                "Polytope expects G (with h) or E (with f), or both with as many columns; got "
                f"{shapes or 'neither'}. Bounds alone are a Box."
            )
        self.n = int(shapes[0][1])
        (self.G, self.h), (self.E, self.f) = (pair or _none(self.n) for pair in given)
        self.low, self.high = _bound(low, self.n, "low"), _bound(high, self.n, "high")
        self._check_extent()

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n,)``."""
        return (self.n,)

    def __repr__(self) -> str:
        counts = f"{len(self.h)} inequalities, {len(self.f)} equalities"
        return f"Polytope({self.n} variables, {counts})"

    def project(self, x: Tensor) -> Tensor:
        """Return the nearest point of the set, by a quadratic program (Clarabel, then polished)."""
        return rowwise(self._nearest, x)

    def minimizer(self, g: Tensor) -> Tensor:
        """Return a vertex where the linear function `g` is least, by the dual simplex method."""
        return rowwise(self._vertex, g)

    def center(self, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return the centre of the largest ball that the inequalities leave room for."""
        middle = torch.as_tensor(self._middle.copy()).to(**options)
        return middle.expand(*batch, self.n).contiguous()

    def sample(self, rng: torch.Generator, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return random convex combinations of three vertices, each least in a random direction."""
        directions = torch.randn((*batch, 3, self.n), generator=rng, **options)
        weights = torch.empty((*batch, 3, 1), **options).exponential_(generator=rng)
        return (self.minimizer(directions) * weights).sum(-2) / weights.sum(-2)

    def violation(self, x: Tensor) -> float:
        """Return by how much `x` misses the constraint that it misses most (not a distance)."""
        rows = x.detach().double().cpu().reshape(-1, self.n).numpy()
        if not len(rows):
            return 0.0
        excesses = [
            self.low - rows,
            rows - self.high,
            (self.G @ rows.T).T - self.h,
            np.abs((self.E @ rows.T).T - self.f),
        ]
        # Unlike `max`, NumPy hands a NaN on.
        return float(np.max([0.0, *(part.max() for part in excesses if part.size)]))

    # -- linear programs -----------------------------------------------------------------------

    def _vertex(self, g: Array) -> Array:
        size = np.abs(g).max()
        # The method's tolerances are absolute.
        run = self._program(g / size if size > 0 else g)
        if run.x is None:
            raise UnsupportedGame(f"HiGHS found no best response in {self}: {run.message}")
        vertex: Array = np.clip(run.x, self.low, self.high)
        return vertex

    def _program(self, cost: Array) -> Any:
        from scipy.optimize import linprog

        return linprog(
            cost,
            self.G,
            self.h,
            self.E,
            self.f,
            np.stack((self.low, self.high), -1),
            method="highs-ds",
            options=PRECISE,
        )

    @cached_property
    def _middle(self) -> Array:
        r"""The Chebyshev centre: maximise r with :math:`G x + \lVert G_i\rVert r \le h`, ..."""
        from scipy.optimize import linprog
        from scipy.sparse import csr_array, diags_array, hstack, vstack

        rows, right = [], []
        for side, bound in ((1.0, self.high), (-1.0, -self.low)):
            kept = np.flatnonzero(np.isfinite(bound))
            rows.append(diags_array(np.full(self.n, side)).tocsr()[kept])
            right.append(bound[kept])
        above = vstack([*rows, self.G])
        lengths = np.sqrt(above.multiply(above).sum(1)).reshape(-1, 1)
        run = linprog(
            np.append(np.zeros(self.n), -1.0),
            hstack((above, csr_array(lengths))),
            np.concatenate([*right, self.h]),
            hstack((self.E, csr_array((len(self.f), 1)))),
            self.f,
            [*[(None, None)] * self.n, (0, 1)],
            options=PRECISE,
        )
        if run.x is None:
            raise InvalidInput(
                f"No point satisfies the constraints of this {self}; check the signs of G x <= h "
                "and E x = f, and that variables are >= 0 unless low says otherwise."
            )
        middle: Array = np.clip(run.x[:-1], self.low, self.high)
        return middle

    def _check_extent(self) -> None:
        """Raise unless the set is neither empty nor unbounded."""
        from scipy.optimize import linprog

        _ = self._middle
        # A polytope is unbounded if it recedes in some direction, and then some generic function
        # changes along it.
        generic = np.random.default_rng(0).standard_normal(self.n)
        limits = np.stack((np.where(np.isfinite(self.low), 0, -1), ~np.isfinite(self.high)), -1)
        zeros = np.zeros_like(self.h), np.zeros_like(self.f)
        for sign in (1.0, -1.0):
            run = linprog(sign * generic, self.G, zeros[0], self.E, zeros[1], limits)
            if run.fun is None or run.fun < -1e-9:
                raise InvalidInput(
                    f"This {self} is unbounded, so that best responses need not exist; bound the "
                    "variables with high=..., or add a row to G."
                )

    # -- projections ---------------------------------------------------------------------------

    @cached_property
    def _quadratic(self) -> tuple[Any, Any, Any]:
        """The program, its variable and the parameter that holds the point, compiled once."""
        cvxpy: Any = import_module("cvxpy")
        x, point = cvxpy.Variable(self.n), cvxpy.Parameter(self.n)
        finite = [np.flatnonzero(np.isfinite(bound)) for bound in (self.low, self.high)]
        rules = [x[finite[0]] >= self.low[finite[0]], x[finite[1]] <= self.high[finite[1]]]
        if len(self.h):
            rules.append(self.G @ x <= self.h)
        if len(self.f):
            rules.append(self.E @ x == self.f)
        return cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(x - point)), rules), x, point

    def _nearest(self, point: Array) -> Array:
        program, x, parameter = self._quadratic
        parameter.value = point
        program.solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
        if x.value is None:
            raise UnsupportedGame(f"Clarabel could not project onto {self}: {program.status}.")
        nearly: Array = np.clip(x.value, self.low, self.high)
        polished = self._polished(point, nearly)
        return nearly if polished is None else polished

    def _polished(self, point: Array, nearly: Array) -> Array | None:
        """Return the projection onto the face of `nearly`, if that satisfies all conditions."""
        face = nearly.copy()
        lowest, highest = nearly - self.low <= ACTIVE, self.high - nearly <= ACTIVE
        face[lowest], face[highest] = self.low[lowest], self.high[highest]
        free = ~(lowest | highest)
        system, right, binding = self._tight(face)
        held = right - system[:, ~free] @ face[~free]
        part = system[:, free].toarray()
        shift = np.linalg.lstsq(part, held - part @ point[free], rcond=None)[0]
        face[free] = point[free] + shift
        multipliers = np.linalg.lstsq(part.T, -shift, rcond=None)[0]
        # At the bounds, what is left of the gradient must push outwards.
        slope = face - point + system.T @ multipliers
        wrong = [-slope[lowest & ~highest], slope[highest & ~lowest], -multipliers[binding]]
        size = EXACT * (1.0 + np.abs(point).max())
        if any((part > size).any() for part in wrong) or self.violation(torch.tensor(face)) > EXACT:
            return None
        return face

    def _tight(self, face: Array) -> tuple[Any, Array, Any]:
        """Return the rows that hold with equality, their right-hand sides, and which are of G."""
        from scipy.sparse import vstack

        tight = np.flatnonzero(self.h - self.G @ face <= ACTIVE)
        rows = vstack((self.G[tight], self.E)).tocsr()
        return rows, np.append(self.h[tight], self.f), np.arange(rows.shape[0]) < len(tight)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the compiled program behind: it is made again where it is needed."""
        return {k: v for k, v in vars(self).items() if k != "_quadratic"}


def rowwise(function: Callable[[Array], Array], x: Tensor) -> Tensor:
    """Apply `function` to each vector of `x` (*batch, n), on the CPU in float64.

    Args:
        function: Takes and returns a NumPy array `(n,)`.
        x: The vectors.

    Returns:
        The results in the dtype and on the device of `x`, `(*batch, n)`.
    """
    rows = x.detach().double().cpu().reshape(-1, x.shape[-1]).numpy()
    done = np.array([function(row) for row in rows]).reshape(x.shape)
    return torch.as_tensor(done).to(x)


def _none(n: int) -> tuple[Any, Array]:
    from scipy.sparse import csr_array

    return csr_array((0, n)), np.zeros(0)


def _constraints(matrix: Any, right: Any, name: str, side: str) -> tuple[Any, Array] | None:
    from scipy.sparse import csr_array

    if matrix is None and right is None:
        return None
    try:
        rows = csr_array(matrix, dtype=np.float64)
        values = np.asarray(right, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{name} and {side} should be arrays of numbers: {error}.") from error
    if rows.ndim != 2 or values.shape != rows.shape[:1] or not rows.shape[1]:
        raise InvalidInput(
            f"Polytope expects {name} of shape (rows, n) and {side} of shape (rows,); got "
            f"{rows.shape} and {values.shape}."
        )
    if not (np.isfinite(rows.data).all() and np.isfinite(values).all()):
        raise InvalidInput(f"{name} and {side} should be finite; leave out rows that bind nothing.")
    return rows, values


def _bound(value: Any, n: int, name: str) -> Array:
    try:
        bound: Array = np.broadcast_to(np.asarray(value, dtype=np.float64), (n,)).copy()
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"{name} should be a number or of shape ({n},); got {value!r}."
        ) from error
    if np.isnan(bound).any():
        raise InvalidInput(f"{name} should hold no NaN; got {value!r}.")
    return bound
