"""The strategy of largest entropy in a polytope, by a conic program."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from eqgan.errors import UnsupportedGame
from eqgan.exact.maximal_support import Supports
from eqgan.games.highs import normalised

SLACK = 1e-9
"""How far below the value, relative to the range, a payoff may fall: the value is rounded."""

ACCURACY = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12}
"""More than the solver always reaches: entropy is flat at its top, and what it reaches helps."""


def max_entropy_in(vertices: np.ndarray) -> np.ndarray:
    r"""Return the mixture of vertices with the largest entropy :math:`-\sum_i x_i \log x_i`.

    Args:
        vertices: Strategies, `(k, n)`.

    Returns:
        Shape `(n,)`.

    Example:
        >>> max_entropy_in(np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])).round(6)
        array([0.333333, 0.333333, 0.333333])
    """
    if len(vertices) == 1:
        return normalised(vertices[0])
    import cvxpy as cp

    weights = cp.Variable(len(vertices), nonneg=True)
    used = vertices[:, vertices.any(axis=0)]
    _solve(cp.Maximize(cp.sum(cp.entr(used.T @ weights))), [cp.sum(weights) == 1])
    return normalised(normalised(weights.value) @ vertices)


def max_entropy_of(payoffs: np.ndarray, supports: Supports) -> tuple[np.ndarray, np.ndarray]:
    """Return both players' optimal strategies of largest entropy, from their maximal supports.

    Args:
        payoffs: Shape `(m, n)`.
        supports: What `maximal_supports` found.

    Returns:
        Shapes `(m,)` and `(n,)`.

    Example:
        >>> from eqgan.exact.maximal_support import maximal_supports
        >>> a = np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]])
        >>> max_entropy_of(a, maximal_supports(a))[1].round(4)
        array([0.3333, 0.3333, 0.3333])
    """
    excess = (payoffs - supports.value) / (np.ptp(payoffs) or 1.0)
    return _inside(excess, supports.rows), _inside(-excess.T, supports.columns)


def _inside(excess: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Return the largest entropy of strategies on the support that secure the value."""
    import cvxpy as cp

    x = cp.Variable(int(support.sum()), nonneg=True)
    secures = excess[support].T @ x >= -SLACK
    _solve(cp.Maximize(cp.sum(cp.entr(x))), [cp.sum(x) == 1, secures])
    strategy = np.zeros(len(support))
    strategy[support] = normalised(x.value)
    return strategy


def _solve(objective: Any, constraints: list[Any]) -> None:
    import cvxpy as cp

    program = cp.Problem(objective, constraints)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Solution may be inaccurate", UserWarning)
        program.solve(solver="CLARABEL", **ACCURACY)
    if program.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
        raise UnsupportedGame(f"CLARABEL found no strategy of largest entropy: {program.status}.")
