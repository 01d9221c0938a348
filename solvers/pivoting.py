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
small the games are.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg.blas import dger
from torch import Tensor

from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.game import Game
from eqgan.games.highs import solve_game
from eqgan.games.matrix import MatrixGame, needs_table
from eqgan.games.supports import nearest
from eqgan.profile import Profile
from eqgan.solver import Solver
from eqgan.solvers.interior_point import InteriorPoint

PROFIT = 2e-13
"""Reduced profits below this are rounding; gaps grow to twice this, relative to the range."""

DEGENERATE = 1e-13
"""Right-hand sides below this count as this: of tied rows the one with the largest pivot leaves."""

STEEP = 150
"""From so many actions on a steeper ascent saves more pivots than its search costs."""

TINY = 1e-300
"""What an entry of 0 counts as where it is divided by."""

CACHED = 1 << 19
"""Entries of the tableaux that are worked on at a time; a share of the cache holds as many."""

FEW = 16
"""Batches of fewer games are solved one by one: short vectors do not pay."""

MEDIUM = 64
"""Up to so many actions a linear program is tried before interior points."""

IDLE = 0.5
"""The finished games are taken out once they are this part of those at work."""


@dataclass(frozen=True)
class Pivoting(Solver[bool]):
    r"""Dantzig's simplex method: exact vertices, for small games and for batches of them.

    The first pivot goes to the best pure strategies, :math:`\arg\min_j \max_i A_{ij}` and its best
    response, which ends the run at once if they are a saddle point. From there the column with
    the largest reduced profit enters; in large games the largest for its length, by the estimate
    of Harris's Devex rule, which saves up to nine pivots in ten where payoffs are badly scaled.

    A batch is pivoted in step, finished games being taken out. Every game's gap is measured, in
    float64; where rounding or cycling has spoilt it, the indifference equations on the supports, a
    linear program and interior points are tried, and the best answer is kept. Payoffs that tie to
    ten digits, and no more, may leave gaps of 1e-10 of their range.

    The first choice for games of up to some three hundred actions, and for batches of thousands.

    Args:
        accuracy: Relative gap (of the payoffs' range) above which a game is solved again.

    References:
        Dantzig 1951, A proof of the equivalence of the programming problem and the game problem;
        Chvátal 1983, Linear Programming; Harris 1973 (Devex).

    Example:
        >>> import eqgan
        >>> games = eqgan.games.random_game("normal", (1000, 3, 3))
        >>> run = eqgan.solve(games, Pivoting(), tol=1e-12)
        >>> run.status.name, run.steps
        ('CONVERGED', 1)
    """

    accuracy: float = 1e-12
    direct = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.accuracy < 1:
            raise InvalidInput(f"accuracy should lie in [0, 1); got {self.accuracy!r}.")

    def evaluations(self, game: Game) -> float:
        """Return 0: no gradients are evaluated."""
        return 0.0

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless `game` is a matrix game whose payoffs can be written out."""
        return needs_table(game)

    def init(self, game: Game, z: Profile) -> bool:
        """Return that nothing is solved yet."""
        return False

    def step(
        self, game: Game, z: Profile, state: bool, rng: torch.Generator
    ) -> tuple[Profile, bool]:
        """Solve the game, or every game of the batch."""
        assert isinstance(game, MatrixGame)
        payoffs = game.payoff_matrix
        x, y = solve_games(payoffs.reshape(-1, *payoffs.shape[-2:]), self.accuracy)
        shaped = (s.reshape(*game.batch_shape, s.shape[-1]) for s in (x, y))
        return Profile(s.to(**game.options) for s in shaped), True

    def finished(self, state: bool) -> bool:
        """Return whether the games were solved: a second step changes nothing."""
        return state


def solve_games(payoffs: Tensor, accuracy: float = 1e-12) -> tuple[Tensor, Tensor]:
    """Return optimal strategies of both players in every game of a batch.

    Args:
        payoffs: What the row players receive, `(b, m, n)`.
        accuracy: Relative gap above which a game is solved again in slower ways.

    Returns:
        The strategies `(b, m)` and `(b, n)`, in float64.

    Example:
        >>> x, y = solve_games(torch.tensor([[[3.0, 0.0], [0.0, 1.0]]]))
        >>> [round(p, 12) for p in x[0].tolist()]
        [0.25, 0.75]
    """
    b, m, n = payoffs.shape
    together = _together(b, m, n, payoffs.device)
    # Memory is had once: the system takes longer to hand it out than we to fill it.
    x, y, gap, memory = (
        torch.empty(shape, dtype=torch.float64, device=payoffs.device)
        for shape in ((b, m), (b, n), (b,), (3, (m + 2) * (n + 2) * together))
    )
    with torch.inference_mode():  # it spares a fifth of the calls' time; x, y are ordinary tensors
        for some in (slice(start, start + together) for start in range(0, b, together)):
            games = _scaled(payoffs[some], memory[0])
            p, q = _pivot_alone(games) if together == 1 else _pivot_together(games, memory[1:])
            p, q = (s.clamp_min_(0).div_(s.sum(0)) for s in (p, q))
            x[some], y[some], gap[some] = p.mT, q.mT, _gap(games, p, q, memory[1])
    for k in (~(gap <= accuracy)).nonzero().flatten().tolist():
        x[k], y[k] = _again(_scaled(payoffs[k : k + 1], memory[0]), x[k], y[k], accuracy)
    return x, y


def _again(game: Tensor, x: Tensor, y: Tensor, accuracy: float) -> tuple[Tensor, Tensor]:
    """Return the best answer to a game (m, n, 1) that `(x, y)` and slower methods give."""
    memory = game.new_empty(game.numel())
    best, least = (x, y), torch.inf
    for p, q in _answers(game[..., 0], x, y):
        gap = float(_gap(game, p[:, None], q[:, None], memory))
        if gap <= least:  # never, if it is not a number
            best, least = (p, q), gap
        if least <= accuracy:
            break
    return best


def _answers(a: Tensor, x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield `(x, y)`, equalizers on their supports, and what slower methods find."""
    yield x, y
    equalizers = nearest(a, x > 0, y > 0, x, y)
    if equalizers is not None:
        yield equalizers
    # What spoils a tableau is hard on linear programs too, and larger ones then take long.
    if min(a.shape) <= MEDIUM:
        with contextlib.suppress(UnsupportedGame):
            p, q = (torch.as_tensor(s).to(a.device) for s in solve_game(a.cpu().numpy()))
            yield p, q
    # They ask for the linear program themselves where they fail.
    p, q = _by_interior_points(a)
    yield p, q


def _by_interior_points(a: Tensor) -> list[Tensor]:
    game, method = MatrixGame(a), InteriorPoint()
    rng = game.generator(0)
    z = game.initial(rng)
    state = method.init(game, z)
    while not method.finished(state):
        z, state = method.step(game, z, state, rng)
    return z.leaves()


def _together(b: int, m: int, n: int, device: torch.device) -> int:
    """Return how many games to work on at a time: as many as the cache holds, or one if few."""
    fitting = min(b, CACHED // ((m + 2) * (n + 2))) if device.type == "cpu" else b
    return fitting if fitting >= FEW else 1


def _in(memory: Tensor, *shape: int) -> Tensor:
    """Return an array of that shape in `memory`."""
    return memory[: math.prod(shape)].view(shape)


def _scaled(payoffs: Tensor, memory: Tensor) -> Tensor:
    """Return the payoffs (b, m, n) shifted and scaled into [0, 1], the games last: (m, n, b)."""
    b, m, n = payoffs.shape
    games = _in(memory, m * n, b).copy_(payoffs.reshape(b, m * n).t())
    low = games.amin(0)
    spread = games.amax(0) - low
    return games.sub_(low).div_(spread.masked_fill_(spread == 0, 1.0)).view(m, n, b)


def _gap(games: Tensor, x: Tensor, y: Tensor, memory: Tensor) -> Tensor:
    """Return the duality gaps (b) of strategies (m, b) and (n, b)."""
    product = _in(memory, *games.shape)
    best = torch.mul(games, y, out=product).sum(1).amax(0)
    return best - torch.mul(games, x[:, None], out=product).sum(0).amin(0)


def _limit(m: int, n: int) -> int:
    """Return a number of pivots that only a cycle exceeds: random games need an eighth of it."""
    return 50 + 20 * (m + n)


# -- one game --------------------------------------------------------------------------------------


def _pivot_alone(games: Tensor) -> tuple[Tensor, Tensor]:
    """Return unnormalised strategies (m, 1) and (n, 1) of the one game of `games` (m, n, 1)."""
    m, n, _ = games.shape
    # numpy's calls cost half of torch's on short vectors, and BLAS's update half of both's.
    t = np.ones((m + 1, n + 1))
    t[:m, :n] += games[..., 0].cpu().numpy()
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
    x, y = (torch.from_numpy(s)[:, None].to(games.device) for s in (u[n:], w[:n]))
    return x, y


# -- many games ------------------------------------------------------------------------------------


def _pivot_together(games: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Return unnormalised strategies (m, b) and (n, b) of `games` (m, n, b)."""
    m, n, b = games.shape
    solution = games.new_zeros(2, m + n, b)
    here, there = memory
    table, who = _labelled(games, here), torch.arange(b, device=games.device)
    q = _first_largest(2 - games.amax(0))[1]
    done = torch.zeros_like(who, dtype=torch.bool)
    for _ in range(_limit(m, n)):
        _pivot(table, q, done)
        profit, q = _first_largest(table[m, :n])
        done = profit <= PROFIT
        idle = int(done.count_nonzero())
        if idle == len(who):
            break
        if idle > IDLE * len(who):
            _record(table, who, done.nonzero().flatten(), solution)
            left = (~done).nonzero().flatten()
            room = _in(there, m + 2, n + 2, len(left))
            table, here, there = torch.index_select(table, 2, left, out=room), there, here
            who, q, done = who[left], q[left], done[left]
    _record(table, who, torch.arange(len(who), device=who.device), solution)
    return solution[1, n:], solution[0, :n]


def _labelled(games: Tensor, memory: Tensor) -> Tensor:
    """Return tableaux (m + 2, n + 2, b): the last row and column name variables, w and then slacks.

    The corner of the tableau proper, of which no pivot has need, has a name of its own.
    """
    m, n, b = games.shape
    table = _in(memory, m + 2, n + 2, b)
    torch.add(games, 1, out=table[:m, :n])
    table[:m, n], table[m, :n], table[m, n] = 1, 1, 0
    names = torch.arange(m + n + 1, dtype=table.dtype, device=table.device)[:, None]
    table[: m + 1, n + 1] = names[n:]
    table[m + 1, :n], table[m + 1, n:] = names[:n], names[-1]
    return table


def _first_largest(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest of `values` (k, b), nearly, and where the first of its equals stands.

    The last bits of a number are overwritten by its position, so that the one kernel that finds
    the largest tells its place too: the search that keeps an index is several times slower.
    """
    k = len(values)
    bits = (1 << (k - 1).bit_length()) - 1
    keys = values.view(torch.int64).bitwise_and(~bits).bitwise_or_(_countdown(k, values.device))
    best = keys.view(torch.float64).amax(0)
    # Not a number has bits of its own.
    index = (k - 1 - best.view(torch.int64).bitwise_and(bits)).clamp_(0, k - 1)
    return best, index


@functools.cache
def _countdown(k: int, device: torch.device) -> Tensor:
    return torch.arange(k - 1, -1, -1, device=device)[:, None]


def _pivot(table: Tensor, q: Tensor, done: Tensor) -> None:
    """Pivot every tableau in its column `q` (b), in place; nothing happens where it is done."""
    m, n = len(table) - 2, table.shape[1] - 2
    # A game that is done exchanges the corner with itself.
    q = q.masked_fill(done, n)[None, None]
    column = table.gather(1, q.expand(m + 2, 1, -1))
    ratios = column[:m, 0] / table[:m, n].clamp_min(DEGENERATE)
    p = _first_largest(ratios)[1].masked_fill_(done, m)[None, None]
    row = table.gather(0, p.expand(1, n + 2, -1))
    pivot = row.gather(1, q)
    table[m + 1].scatter_(0, q[0], row[:, n + 1])
    table[:, n + 1].scatter_(0, p[0], column[m + 1])
    column.scatter_(0, p, pivot - 1)
    row.scatter_(1, q, pivot + 1)
    row.div_(pivot.masked_fill_(done, torch.inf))
    table[: m + 1, : n + 1].addcmul_(column[: m + 1], row[:, : n + 1], value=-1)


def _record(table: Tensor, who: Tensor, games: Tensor, solution: Tensor) -> None:
    """Write what the tableaux of some `games` say of both programs into `solution`, by name."""
    m, n = len(table) - 2, table.shape[1] - 2
    where, flat = who[games], solution.view(2, -1)
    for program, names, values in (
        (flat[0], table[:m, n + 1], table[:m, n]),
        (flat[1], table[m + 1, :n], -table[m, :n]),
    ):
        index = names[:, games].long().mul_(solution.shape[-1]).add_(where)
        program[index] = values[:, games]
