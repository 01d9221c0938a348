"""The simplex method for single games and for batches, with a proof of every answer.

How the pivots are made is written in `eqgan.games.tableaux`. Here payoffs are scaled, gaps are
measured, and what rounding has spoilt is solved again in slower ways.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eqgan.errors import UnsupportedGame
from eqgan.game import Game
from eqgan.games.highs import solve_game
from eqgan.games.matrix import MatrixGame, needs_table
from eqgan.games.supports import nearest
from eqgan.games.tableaux import pivot_alone, pivot_together
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.solver import Solver
from eqgan.solvers.interior_point import InteriorPoint

CACHED = 1 << 19
"""Entries of the tableaux that are worked on at a time; a share of the cache holds as many."""

FEW = 16
"""Batches of fewer games are solved one by one: short vectors do not pay."""

MEDIUM = 64
"""Up to so many actions a linear program is tried before interior points."""

BLOCK = 256
"""So many games are transposed at a time: rows and columns of theirs fit into the nearest cache."""


@dataclass(frozen=True)
class Pivoting(Solver[bool]):
    r"""Dantzig's simplex method: exact vertices, for small games and for batches of them.

    The first pivot goes to the best pure strategies, :math:`\arg\min_j \max_i A_{ij}` and its best
    response, which ends the run at once if they are a saddle point. From there the column with
    the largest reduced profit enters; in large games the largest for its length, by the estimate
    of Harris's Devex rule, which saves up to nine pivots in ten where payoffs are badly scaled.

    A batch is pivoted in step, finished games being taken out; where the players have a dozen
    actions or more, those come first that a few steps of regret matching play. Every game's gap is
    measured, in float64; where rounding or cycling has spoilt it, the indifference equations on the
    supports, a linear program and interior points are tried, and the best answer is kept. Payoffs
    that tie to ten digits, and no more, may leave gaps of 1e-10 of their range.

    All is done on the CPU: games on a GPU are brought there, and the strategies taken back.

    The first choice for games of up to some three hundred actions, and for batches of thousands.

    Args:
        accuracy: Relative gap (of the payoffs' range) above which a game is solved again.

    References:
        Dantzig 1951, A proof of the equivalence of the programming problem and the game problem;
        Chvátal 1983, Linear Programming; Harris 1973 (Devex); Tammelin 2014 (regret matching+,
        arXiv 1407.5042).

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
        as_real("accuracy", self.accuracy, "[0, 1)")

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
    together = _together(b, m, n)
    given = payoffs.detach().cpu().numpy()
    # Memory is had once: the system takes longer to hand it out than we to fill it.
    x, y, gap, memory = (
        np.empty(shape) for shape in ((b, m), (b, n), (b,), (3, (m + 2) * (n + 2) * together))
    )
    with np.errstate(all="ignore"):  # whatever becomes of a number, the gap shows it
        for some in (slice(start, start + together) for start in range(0, b, together)):
            games = _scaled(given[some], memory[0])
            p, q = pivot_alone(games) if together == 1 else pivot_together(games, memory[1:])
            p, q = (np.maximum(s, 0, out=s) for s in (p, q))
            p, q = (np.divide(s, s.sum(0), out=s) for s in (p, q))
            x[some], y[some], gap[some] = p.T, q.T, _gap(games, p, q)
    found = torch.from_numpy(x), torch.from_numpy(y)
    for k in (~(gap <= accuracy)).nonzero()[0].tolist():
        game = torch.from_numpy(_scaled(given[k : k + 1], memory[0]))[..., 0]
        found[0][k], found[1][k] = _again(game, found[0][k], found[1][k], accuracy)
    return found[0].to(payoffs.device), found[1].to(payoffs.device)


def _again(game: Tensor, x: Tensor, y: Tensor, accuracy: float) -> tuple[Tensor, Tensor]:
    """Return the best answer to a game (m, n) that `(x, y)` and slower methods give."""
    best, least = (x, y), torch.inf
    for p, q in _answers(game, x, y):
        gap = float((game @ q).max() - (p @ game).min())
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
            p, q = map(torch.from_numpy, solve_game(a.numpy()))
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


def _together(b: int, m: int, n: int) -> int:
    """Return how many games to work on at a time: as many as the cache holds, or one if few."""
    fitting = min(b, CACHED // ((m + 2) * (n + 2)))
    return fitting if fitting >= FEW else 1


def _scaled(payoffs: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """Return the payoffs (b, m, n) shifted and scaled into [0, 1], the games last: (m, n, b)."""
    b, m, n = payoffs.shape
    games = memory[: m * n * b].reshape(m * n, b)
    for some in (slice(start, start + BLOCK) for start in range(0, b, BLOCK)):
        games[:, some] = payoffs[some].reshape(-1, m * n).T
    low = games.min(0)
    spread = games.max(0) - low
    spread[spread == 0] = 1
    games -= low
    games /= spread
    return games.reshape(m, n, b)


def _gap(games: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the duality gaps (b) of strategies (m, b) and (n, b)."""
    rows, columns = np.einsum("mnb,nb->mb", games, y), np.einsum("mnb,mb->nb", games, x)
    gap: np.ndarray = rows.max(0) - columns.min(0)
    return gap
