r"""The simplex method with pivots in integers: a positive game solved with a proof.

References:
    Dantzig 1951; Bland 1977, New finite pivoting rules; Edmonds 1967 (integer pivots).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eqgan import deadline
from eqgan.exact.lifting import Integers


def optimal_basis(table: Integers) -> tuple[Integers, Integers]:
    r"""Solve :math:`\max \sum w : A w \le 1, w \ge 0` and its dual in rational numbers.

    It begins at :math:`w = 0`. Dantzig's rule picks the pivots, and Bland's from each degenerate
    pivot until the objective grows again, so that no degenerate game makes it cycle.

    Args:
        table: A, positive integers, `(m, n)`, dtype object.

    Returns:
        The dual solution `u` and the primal `w`, each as numerators followed by their common
        denominator, `(m + 1,)` and `(n + 1,)`.

    Example:
        >>> optimal_basis(np.array([[3, 1], [1, 2]], dtype=object))
        (array([1, 2, 5], dtype=object), array([1, 2, 5], dtype=object))
    """
    tableau = _Tableau(table)
    degenerate = False
    while (c := tableau.entering(least_index=degenerate)) is not None:
        deadline.check()
        r = tableau.leaving(c)
        degenerate = tableau.entries[r, -1] == 0
        tableau.pivot(r, c)
    return tableau.solution()


class _Tableau:
    """A dictionary of the program; its entries are numerators over one common denominator.

    Variables 0 to m - 1 are the slacks of the rows, and m to m + n - 1 the unknowns w.
    """

    def __init__(self, table: Integers) -> None:
        m, n = table.shape
        self.entries: Any = np.zeros((m + 1, n + 1), dtype=object)
        self.entries[:m, :n] = table
        self.entries[:m, n], self.entries[m, :n] = 1, -1
        self.denominator = 1
        self.basic, self.nonbasic = list(range(m)), list(range(m, m + n))

    def pivot(self, r: int, c: int) -> None:
        """Exchange the basic variable of row `r` and the nonbasic one of column `c`."""
        old, p = self.entries, self.entries[r, c]
        # Every entry is a minor of the table, so that the division leaves no remainder.
        new = (p * old - np.outer(old[:, c], old[r])) // self.denominator
        new[r], new[:, c], new[r, c] = old[r], -old[:, c], self.denominator
        self.entries, self.denominator = (new, p) if p > 0 else (-new, -p)
        self.basic[r], self.nonbasic[c] = self.nonbasic[c], self.basic[r]

    def entering(self, least_index: bool) -> int | None:
        """Return the column that raises the objective most, or the first, by Bland; else None."""
        costs = self.entries[-1, :-1]
        candidates: list[int] = np.flatnonzero(costs < 0).tolist()
        key = self.nonbasic.__getitem__ if least_index else costs.__getitem__
        return min(candidates, key=key, default=None)

    def leaving(self, c: int) -> int:
        """Return the first row to reach zero, the one of least index among equals."""
        column, values = self.entries[:-1, c], self.entries[:-1, -1]
        # The table is positive, so that the program is bounded: some row does.
        candidates = np.flatnonzero(column > 0).tolist()
        best: int = candidates[0]
        for r in candidates[1:]:
            sooner = values[r] * column[best] - values[best] * column[r]
            if sooner < 0 or (sooner == 0 and self.basic[r] < self.basic[best]):
                best = r
        return best

    def solution(self) -> tuple[Integers, Integers]:
        """Return the dual and the primal values of this basis."""
        m, n = len(self.basic), len(self.nonbasic)
        primal, dual = np.zeros(m + n, dtype=object), np.zeros(m + n, dtype=object)
        primal[self.basic] = self.entries[:-1, -1]
        dual[self.nonbasic] = self.entries[-1, :-1]
        return np.append(dual[:m], self.denominator), np.append(primal[m:], self.denominator)
