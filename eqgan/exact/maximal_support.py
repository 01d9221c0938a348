"""Which actions any optimal strategy plays at all, in floats: strict complementarity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqgan.errors import UnsupportedGame
from eqgan.games.highs import solve_game

LARGEST_SCALE = 1e4
"""How far a strategy may be scaled up in search of small probabilities."""

CLEAR = 1e-6
"""A larger probability, or loss relative to the range, is no rounding of a linear program's."""

ROUNDING = 1e-9
"""A smaller one is."""

TOLERANCES = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


@dataclass(frozen=True)
class Supports:
    """The actions that some optimal strategy plays, and what follows.

    Attributes:
        value: The value of the game.
        rows: Which rows, `(m,)` booleans.
        columns: Which columns, `(n,)` booleans.
        dimensions: The dimensions of both players' sets of optimal strategies.
    """

    value: float
    rows: np.ndarray
    columns: np.ndarray
    dimensions: tuple[int, int]


def maximal_supports(payoffs: np.ndarray) -> Supports:
    r"""Return the supports of a strictly complementary pair of optimal strategies.

    If one optimal pair plays clearly all that does not clearly lose, these are they, and so it is
    in most games. Otherwise a linear program a player finds them all at once, because optimal
    strategies span a cone in which every coordinate that can be positive can be made 1:

    .. math::
        \max \sum_i t_i \quad \text{subject to} \quad A^\top x \ge v \sum x,\; x \ge t,\;
        0 \le t \le 1

    The rank of the payoffs on these supports tells the dimensions. All this is in floats: a
    probability counts from about 5e-5 of the largest one.

    Args:
        payoffs: Shape `(m, n)`.

    Raises:
        UnsupportedGame: HiGHS gave up.

    References:
        Goldman and Tucker 1956; Freund, Roundy and Todd 1985.

    Example:
        >>> maximal_supports(np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]])).dimensions
        (0, 1)
    """
    low, span = payoffs.min(), np.ptp(payoffs) or 1.0
    a = (payoffs - low) / span
    x, y = solve_game(a)
    least, most = (a.T @ x).min(), (a @ y).max()
    value = (least + most) / 2
    rows, columns = _played(x, most - a @ y), _played(y, a.T @ x - least)
    if rows is None or columns is None:
        # Each player's program is about what that player is known to secure: it is feasible then.
        rows, columns = _support(a - least), _support(most - a.T)
    block = (a - value)[np.ix_(rows, columns)]
    rank = int(np.linalg.matrix_rank(block, tol=1e-7 * max(block.shape)))
    dimensions = int(rows.sum()) - 1 - rank, int(columns.sum()) - 1 - rank
    return Supports(float(low + span * value), rows, columns, dimensions)


def _played(strategy: np.ndarray, loss: np.ndarray) -> np.ndarray | None:
    """Return the actions that are played, if all others lose by far: no optimum plays those."""
    played: np.ndarray = strategy > CLEAR
    clear = np.where(played, loss < ROUNDING, (loss > CLEAR) & (strategy < ROUNDING))
    return played if clear.all() else None


def _support(excess: np.ndarray) -> np.ndarray:
    """Return the actions that can be positive in the cone of x >= 0 with excess' x >= 0."""
    from scipy.optimize import linprog

    m, n = excess.shape
    program = linprog(
        c=np.append(np.zeros(m), -np.ones(m)),
        A_ub=np.block([[-excess.T, np.zeros((n, m))], [-np.eye(m), np.eye(m)]]),
        b_ub=np.zeros(n + m),
        bounds=[(0, LARGEST_SCALE)] * m + [(0, 1)] * m,
        method="highs",
        options=TOLERANCES,
    )
    if program.x is None:
        raise UnsupportedGame(f"HiGHS could not find the supports: {program.message}")
    positive: np.ndarray = program.x[m:] > 0.5
    return positive
