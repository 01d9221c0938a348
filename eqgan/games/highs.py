"""The linear program of a matrix game by HiGHS, through SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from eqgan.errors import UnsupportedGame

TRIES = (("highs", 1e-10), ("highs", 1e-7), ("highs-ipm", 1e-7))
"""Methods and tolerances, in this order: badly scaled programs make the first of them give up."""


def solve_game(a: Any) -> tuple[np.ndarray, np.ndarray]:
    r"""Return optimal strategies of both players: one linear program gives both, one as duals.

    .. math:: \max_{x \in \Delta, v} v \quad \text{subject to} \quad A^\top x \ge v \mathbf 1

    Args:
        a: Payoffs to the row player, `(m, n)`: an array, or a SciPy sparse array, which is not
            written out.

    Returns:
        Strategies of shapes `(m,)` and `(n,)`; a basic solution, up to rounding.

    Raises:
        UnsupportedGame: HiGHS gave up.

    Example:
        >>> x, y = solve_game(np.array([[3.0, 0.0], [0.0, 1.0]]))
        >>> x.round(12).tolist()
        [0.25, 0.75]
    """
    from scipy.optimize import linprog
    from scipy.sparse import hstack, issparse

    m, n = a.shape
    low, high = a.min(), a.max()
    if high == low:
        return np.full(m, 1 / m), np.full(n, 1 / n)
    scaled = within_one(a, low, high)
    ones = np.ones((n, 1))
    system = hstack((-scaled.T, ones), "csr") if issparse(a) else np.hstack((-scaled.T, ones))
    for method, tolerance in TRIES:
        program = linprog(
            c=np.append(np.zeros(m), -1.0),
            A_ub=system,
            b_ub=np.zeros(n),
            A_eq=np.append(np.ones(m), 0.0)[None],
            b_eq=[1.0],
            bounds=[(0, None)] * m + [(None, None)],
            method=method,
            options={
                "primal_feasibility_tolerance": tolerance,
                "dual_feasibility_tolerance": tolerance,
            },
        )
        if program.x is not None:
            break
    if program.x is None:
        raise UnsupportedGame(f"HiGHS could not solve the game: {program.message}")
    return normalised(program.x[:m]), normalised(-program.ineqlin.marginals)


def within_one(a: Any, low: float, high: float) -> Any:
    """Return the payoffs shifted and scaled into [0, 1]; sparse ones, scaled into [-1, 1].

    The solver's tolerances are absolute, and neither a shift nor a scale changes who plays what.
    """
    if isinstance(a, np.ndarray):
        # The halves keep 1e308 - (-1e308) finite.
        return (a / 2 - low / 2) / (high / 2 - low / 2)
    return a / max(abs(low), abs(high))


def normalised(weights: np.ndarray) -> np.ndarray:
    """Return nonnegative weights that sum to 1: a solver's, without its rounding."""
    positive = np.maximum(weights, 0.0)
    total: np.ndarray = positive / positive.sum()
    return total
