r"""The simplex method on condensed tableaux, for one small game and for thousands at once.

With payoffs scaled into [1, 2] the column player's program is :math:`\max \sum w` subject to
:math:`A w \le 1, w \ge 0`. The slacks are a feasible basis, so there is no first phase, and a
tableau without its identity columns is barely larger than the game:

.. math:: T = \begin{pmatrix} A & 1 \\ 1^\top & 0 \end{pmatrix}

A pivot on the entry :math:`a` in row p and column q is a single rank-one update, for with
:math:`c = T e_q - e_p` and :math:`r = T^\top e_p + e_q`

.. math:: T \leftarrow T - c\, r^\top / a

divides the row, negates and divides the column, and replaces :math:`a` by its inverse. In a batch
the games lie along the last dimension: one kernel then works on long contiguous vectors, however
small the games are. Most are numpy's, whose calls cost half of torch's, and which pick entries game
by game several times faster.

Dantzig's rule depends on units: a column that is written four times as large has four times the
profit. So in a batch of games that are not tiny the tableaux hold :math:`R A D`, where the diagonal
matrices write those actions large that a few steps of regret matching play: they enter sooner, and
a fourth of the pivots is saved. The order apart, units change nothing.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.linalg.blas import dger

PROFIT = 2e-13
"""Reduced profits below this are rounding; gaps grow to twice this, relative to the range."""

DEGENERATE = 1e-13
"""Right-hand sides below this count as this: of tied rows the one with the largest pivot leaves."""

STEEP = 150
"""From so many actions on a steeper ascent saves more pivots than its search costs."""

TINY = 1e-300
"""What an entry of 0 counts as where it is divided by."""

GUIDED = 12
"""From so many actions on a guess at the equilibrium saves more than it costs."""

GUESSES = 3
"""Steps of regret matching that the guess takes."""

LARGEST = 4
"""How many times as large as the others actions are written that are likely to be played."""

NOTHING = 1e-30
"""Regrets that add up to less than this are none."""

IDLE = 0.5
"""The finished games are taken out once they are this part of those at work."""


def pivot_alone(games: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return unnormalised optimal strategies of one game, whose payoffs lie in [0, 1].

    The largest reduced profit enters, and from `STEEP` actions on the largest for its length.

    Args:
        games: What the row player receives, `(m, n, 1)`.

    Returns:
        The strategies `(m, 1)` and `(n, 1)`, up to factors; rounding may have made them wrong, so
        measure their gap.
    """
    m, n, _ = games.shape
    # numpy's calls cost half of torch's on short vectors, and BLAS's update half of both's.
    t = np.ones((m + 1, n + 1))
    t[:m, :n] += games[..., 0]
    t[m, n] = 0
    by_columns = t.T
    bound, profit = t[:m, n], t[m, :n]
    rows, columns = np.arange(n, n + m), np.arange(n)  # which variables they stand for
    shrinks = np.ones(n)  # what a unit of each column's variable is worth, by Devex's estimate
    q = int(t[:m, :n].max(0).argmin())
    for _ in range(_limit(m, n)):
        column = t[:, q].copy()
        p = int((column[:m] / np.maximum(bound, DEGENERATE)).argmax())
        row, pivot = t[p].copy(), column[p]
        if not pivot > 0:  # the program is bounded: rounding has spoilt the tableau
            break
        column[p] -= 1
        row[q] += 1
        row /= pivot
        dger(-1.0, row, column, a=by_columns, overwrite_a=1)
        rows[p], columns[q] = columns[q], rows[p]
        if min(m, n) >= STEEP:
            shrink, left = shrinks[q], abs(pivot)
            np.minimum(shrinks, shrink / np.maximum(np.abs(row[:n]), TINY), out=shrinks)
            shrinks[q] = min(shrink * left, 1.0)
            q = int((profit * shrinks).argmax())
        else:
            q = int(profit.argmax())
        if profit[q] <= PROFIT:
            break
    w, u = np.zeros(m + n), np.zeros(m + n)
    w[rows], u[columns] = bound, -profit
    return u[n:, None], w[:n, None]


def pivot_together(games: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return unnormalised optimal strategies of many games, whose payoffs lie in [0, 1].

    Args:
        games: What the row players receive, `(m, n, b)`.
        memory: Room for two sets of tableaux, `(2, (m + 2) (n + 2) b)` or more.

    Returns:
        The strategies `(m, b)` and `(n, b)`, up to factors; rounding may have made some wrong, so
        measure their gaps.

    Example:
        >>> games = np.zeros((2, 2, 16)) + np.eye(2)[..., None]
        >>> x, y = pivot_together(games, np.empty((2, 4 * 4 * 16)))
        >>> (x / x.sum(0))[:, 0].tolist()
        [0.5, 0.5]
    """
    m, n, b = games.shape
    solution = np.zeros((2, m + n, b))
    here, there = memory
    table, who = _labelled(games, here), np.arange(b)
    rows, columns = _guided(games, table) if min(m, n) >= GUIDED else (1.0, 1.0)
    q, done = _first_largest(2 - games.max(0))[1], np.zeros(b, dtype=bool)
    for _ in range(_limit(m, n)):
        _pivot(table, q, done)
        profit, q = _first_largest(table[m, :n])
        done = profit <= PROFIT
        idle = np.count_nonzero(done)
        if idle == len(who):
            break
        if idle > IDLE * len(who):
            _record(table, who, done.nonzero()[0], solution)
            left = (~done).nonzero()[0]
            room = _in(there, m + 2, n + 2, len(left))
            table, here, there = np.take(table, left, 2, out=room, mode="clip"), there, here
            who, q, done = who[left], q[left], done[left]
    _record(table, who, np.arange(len(who)), solution)
    return rows * solution[1, n:], columns * solution[0, :n]


def _in(memory: np.ndarray, *shape: int) -> np.ndarray:
    """Return an array of that shape in `memory`."""
    return memory[: math.prod(shape)].reshape(shape)


def _labelled(games: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """Return tableaux (m + 2, n + 2, b): the last row and column name variables, w and then slacks.

    The corner of the tableau proper, of which no pivot has need, has a name of its own.
    """
    m, n, b = games.shape
    table = _in(memory, m + 2, n + 2, b)
    np.add(games, 1, out=table[:m, :n])
    table[:m, n], table[m, :n], table[m, n] = 1, 1, 0
    names = np.arange(m + n + 1)[:, None]
    table[: m + 1, n + 1] = names[n:]
    table[m + 1, :n], table[m + 1, n:] = names[:n], names[-1]
    return table


def _guided(games: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Write the actions large in `table` that are likely to be played; return how large.

    What is likely is sizes apart by up to `LARGEST`; common factors of all rows and of all columns
    are free. With these no profit becomes smaller, a slack's unit being the inverse of its row's:
    what `PROFIT` takes for rounding is no more than in units of one.
    """
    m, n, _ = games.shape
    x, y = _guess(games.astype(np.float32))
    rows, columns = (np.minimum(1.0 + len(s) * s.astype(np.float64), LARGEST) for s in (x, y))
    rows /= LARGEST
    columns *= LARGEST
    table[: m + 1, :n] *= columns
    table[:m, : n + 1] *= rows[:, None]
    return rows, columns


def _guess(games: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return roughly optimal strategies (m, b) and (n, b): averages of regret matching+."""
    m, n, b = games.shape
    x, y = (np.full((k, b), 1 / k, games.dtype) for k in (m, n))
    gains, savings, rows, columns = (np.zeros_like(s) for s in (x, y, x, y))
    for step in range(1, GUESSES + 1):
        x = _matched(gains, np.einsum("mnb,nb->mb", games, y), x)
        y = _matched(savings, -np.einsum("mnb,mb->nb", games, x), y)
        rows += step * x
        columns += step * y
    total = GUESSES * (GUESSES + 1) / 2
    return rows / total, columns / total


def _matched(regrets: np.ndarray, payoffs: np.ndarray, played: np.ndarray) -> np.ndarray:
    """Add what actions earn more than those `played` to `regrets`; return play to match, (k, b)."""
    regrets += payoffs - (payoffs * played).sum(0)
    np.maximum(regrets, 0, out=regrets)
    matched: np.ndarray = regrets / (regrets.sum(0) + NOTHING)
    return matched


def _first_largest(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest of `values` (k, b) and where the first of its equals stands.

    A search that keeps an index is several times slower than two that find a largest number, the
    second among small whole numbers.
    """
    k = len(values)
    best = values.max(0)
    countdown = np.arange(k, 0, -1, dtype=np.min_scalar_type(k))[:, None]
    left = ((values == best).view(np.uint8) * countdown).max(0)
    # Nothing equals a number that is none.
    return best, np.minimum(k - left.astype(np.int64), k - 1)


def _pivot(table: np.ndarray, q: np.ndarray, done: np.ndarray) -> None:
    """Pivot every tableau in its column `q` (b), in place; nothing happens where it is done."""
    height, width, b = table.shape
    m, n = height - 2, width - 2
    each = np.arange(b)
    # A game that is done exchanges the corner with itself.
    np.copyto(q, n, where=done)
    across = q * b + each
    column = np.take(table.reshape(height, width * b), across, 1, mode="clip")
    ratios = np.maximum(table[:m, n], DEGENERATE)
    np.divide(column[:m], ratios, out=ratios)
    _, p = _first_largest(ratios)
    np.copyto(p, m, where=done)
    p *= b
    down = p + each
    along = (p * width + each) + (np.arange(width) * b)[:, None]
    flat = table.reshape(-1)
    row = np.take(flat, along, mode="clip")
    table[m + 1].reshape(-1)[across] = row[-1]
    flat[along[-1]] = column[-1]
    pivot = np.take(column, down, mode="clip")
    column.reshape(-1)[down] = pivot - 1
    row.reshape(-1)[across] = pivot + 1
    np.copyto(pivot, np.inf, where=done)
    row /= pivot
    c, r, t = (torch.from_numpy(part) for part in (column[:-1, None], row[None, :-1], table))
    t[:-1, :-1].addcmul_(c, r, value=-1)


def _record(table: np.ndarray, who: np.ndarray, games: np.ndarray, solution: np.ndarray) -> None:
    """Write what the tableaux of some `games` say of both programs into `solution`, by name."""
    m, n = len(table) - 2, table.shape[1] - 2
    where, flat = who[games], solution.reshape(2, -1)
    for program, names, values in (
        (flat[0], table[:m, n + 1], table[:m, n]),
        (flat[1], table[m + 1, :n], -table[m, :n]),
    ):
        index = np.take(names, games, 1).astype(np.int64)
        index *= solution.shape[-1]
        index += where
        program[index] = np.take(values, games, 1)


def _limit(m: int, n: int) -> int:
    """Return a number of pivots that only a cycle exceeds: random games need an eighth of it."""
    return 50 + 20 * (m + n)
