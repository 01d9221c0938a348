"""One equilibrium of a matrix game in rational numbers, with its proof."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from eqgan.errors import UnsupportedGame
from eqgan.exact.lifting import (
    LARGEST,
    Integers,
    inverse_modulo,
    nonsingular_block,
    solve_integers,
)
from eqgan.exact.simplex import optimal_basis
from eqgan.games.highs import solve_game

NEAR = 1e-9
"""A payoff this close to the best, relative to the range, makes an action a candidate."""


@dataclass(frozen=True)
class ExactEquilibrium:
    """The value and a pair of optimal strategies, as fractions.

    Attributes:
        value: What the row player receives.
        row: The row player's strategy, `m` fractions.
        column: The column player's strategy, `n` fractions.
    """

    value: Fraction
    row: tuple[Fraction, ...]
    column: tuple[Fraction, ...]


def exact_equilibrium(payoffs: Sequence[Sequence[Fraction]]) -> ExactEquilibrium:
    r"""Return an equilibrium: :math:`A^\top x \ge v \mathbf 1, A y \le v \mathbf 1` hold exactly.

    Args:
        payoffs: A, `m` rows of `n` fractions.

    Raises:
        UnsupportedGame: Supports that are larger than `eqgan.exact.lifting.LARGEST`.

    Example:
        >>> half, third = Fraction(1, 2), Fraction(1, 3)
        >>> exact_equilibrium([[half, 0], [0, third]]).value
        Fraction(1, 5)
    """
    game = IntegerGame(payoffs)
    rows, columns = _candidates(game.table)
    for u, w in _attempts(game.table, rows, columns):
        if _is_proved(game.table, u, w):
            return game.equilibrium(u, w)
    raise AssertionError("the simplex method ended at no optimum")


class IntegerGame:
    r"""The same game with payoffs that are positive integers: :math:`A = l + s\,(T - 1)`.

    A positive game is a linear program without an equation: :math:`\min \sum u` subject to
    :math:`T^\top u \ge 1`, and its dual :math:`\max \sum w` subject to :math:`T w \le 1`. Their
    solutions are the optimal strategies, divided by the value.

    Args:
        payoffs: `m` rows of `n` fractions.

    Attributes:
        table: T, `(m, n)`, dtype object; its entries have no common divisor once 1 is subtracted.
        low: l, the smallest payoff.
        unit: s.
    """

    def __init__(self, payoffs: Sequence[Sequence[Fraction]]) -> None:
        flat = [Fraction(a) for row in payoffs for a in row]
        scale = math.lcm(*(a.denominator for a in flat))
        whole = [a.numerator * (scale // a.denominator) for a in flat]
        least = min(whole)
        divisor = math.gcd(*(a - least for a in whole)) or 1
        table = np.empty(len(flat), dtype=object)
        table[:] = [(a - least) // divisor + 1 for a in whole]
        self.table: Integers = table.reshape(len(payoffs), -1)
        self.low, self.unit = Fraction(least, scale), Fraction(divisor, scale)

    def equilibrium(self, u: Integers, w: Integers) -> ExactEquilibrium:
        """Return the equilibrium of the original game for optimal `u` and `w`."""
        row, column = (tuple(Fraction(p, sum(s[:-1])) for p in s[:-1]) for s in (u, w))
        value = Fraction(u[-1], sum(u[:-1]))
        return ExactEquilibrium(self.low + self.unit * (value - 1), row, column)


def _attempts(
    table: Integers, rows: Integers, columns: Integers
) -> Iterator[tuple[Integers, Integers]]:
    """Yield ever more costly answers, the last of which is right."""
    if len(rows):
        r, c = nonsingular_block(table[np.ix_(rows, columns)])
        if r:
            yield _lifted(table, rows[r].tolist(), columns[c].tolist())
        # Actions that floats cannot tell apart are few, and so are pivots among them.
        yield _pivoted(table, rows.tolist(), columns.tolist())
    yield _pivoted(table, *(list(range(k)) for k in table.shape))


def _candidates(table: Integers) -> tuple[Integers, Integers]:
    """Return the rows and columns that may be played, as far as floats can tell; likely ones first.

    They hold the support of a basic solution, and beside it only best responses.
    """
    a = (table / table.max()).astype(float)
    try:
        x, y = solve_game(a)
    except UnsupportedGame:  # then the pivots do it all
        return np.arange(0), np.arange(0)
    against_y, against_x = a @ y, a.T @ x
    value = (against_y.max() + against_x.min()) / 2
    rows = np.flatnonzero((x > 0) | (against_y >= value - NEAR))
    columns = np.flatnonzero((y > 0) | (against_x <= value + NEAR))
    # The likeliest first: what depends on the actions before it is left out.
    return (
        rows[np.argsort(-x[rows], kind="stable")],
        columns[np.argsort(-y[columns], kind="stable")],
    )


def _lifted(table: Integers, rows: list[int], columns: list[int]) -> tuple[Integers, Integers]:
    """Return the u and w whose supports lie in the block, and for which it holds with equality."""
    if len(rows) > LARGEST:
        raise UnsupportedGame(
            f"Exact equilibria are limited to supports of {LARGEST} actions; this game needs "
            f"{len(rows)}. Solve it with 'interior_point'."
        )
    block = table[np.ix_(rows, columns)]
    inverse = inverse_modulo(block)
    ones = np.ones(len(rows), dtype=object)
    u, w = (np.zeros(k + 1, dtype=object) for k in table.shape)
    u[[*rows, -1]] = solve_integers(block.T, ones, inverse.T)
    w[[*columns, -1]] = solve_integers(block, ones, inverse)
    return u, w


def _pivoted(table: Integers, rows: list[int], columns: list[int]) -> tuple[Integers, Integers]:
    """Return the u and w that are optimal among these rows and columns, and zero on others."""
    u, w = (np.zeros(k + 1, dtype=object) for k in table.shape)
    u[[*rows, -1]], w[[*columns, -1]] = optimal_basis(table[np.ix_(rows, columns)])
    return u, w


def _is_proved(table: Integers, u: Integers, w: Integers) -> bool:
    """Return whether u and w are feasible and of equal cost, which proves both optimal."""
    return bool(
        (u >= 0).all()
        and (w >= 0).all()
        and (table.T @ u[:-1] >= u[-1]).all()
        and (table @ w[:-1] <= w[-1]).all()
        and sum(u[:-1]) * w[-1] == sum(w[:-1]) * u[-1]
    )
