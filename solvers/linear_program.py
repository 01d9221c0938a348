"""Solution of matrix games by one linear program."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqgan.errors import InvalidInput, UnknownName, UnsupportedGame
from eqgan.game import Game
from eqgan.games.highs import normalised, solve_game, within_one
from eqgan.games.matrix import MatrixGame, needs_table
from eqgan.games.sparse import Sparse
from eqgan.profile import Profile
from eqgan.solver import Solver


@dataclass(frozen=True)
class LinearProgram(Solver[bool]):
    r"""One linear program gives both strategies, the column player's from the duals.

    .. math:: \max_{x \in \Delta, v} v \quad \text{subject to} \quad A^\top x \ge v \mathbf 1

    Exact up to rounding, and the right choice for matrix games up to some hundred actions a player.
    A batch is solved game by game, and a sparse game as it is. HiGHS (through scipy) does the work.

    Args:
        backend: ``None``, or the name of a solver that cvxpy has installed, such as
            ``"CLARABEL"`` for interior points.

    Raises:
        UnknownName: cvxpy has no such solver; the error lists those that it has.

    References:
        Dantzig 1951; Huangfu and Hall 2018 (HiGHS); Diamond and Boyd 2016 (CVXPY).

    Example:
        >>> import eqgan
        >>> run = eqgan.solve(eqgan.games.MatrixGame([[3, 0], [0, 1]]), LinearProgram())
        >>> round(run.value, 12), run.certificate.exact
        (0.75, True)
    """

    backend: str | None = None
    direct = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backend is not None:
            _check_installed(self.backend)

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
        """Solve the game."""
        assert isinstance(game, MatrixGame)
        m, n = game.payoffs.shape[-2:]
        pairs = [self._solved(a) for a in _tables(game)]
        x = torch.as_tensor(np.array([p for p, _ in pairs]).reshape(*game.batch_shape, m))
        y = torch.as_tensor(np.array([q for _, q in pairs]).reshape(*game.batch_shape, n))
        exact = Profile(s.to(**game.options) for s in (x, y))
        return Profile(_project(game, exact)), True

    def finished(self, state: bool) -> bool:
        """Return whether the program was solved: a second step changes nothing."""
        return state

    def _solved(self, a: Any) -> tuple[np.ndarray, np.ndarray]:
        return solve_game(a) if self.backend is None else _solve_by(self.backend, a)


def _project(game: Game, z: Profile) -> list[Tensor]:
    return [space.project(s) for space, s in zip(game.spaces, z, strict=True)]


def _tables(game: MatrixGame) -> list[Any]:
    """Return the payoffs of each game: arrays, or one sparse array."""
    if isinstance(game.payoffs, Sparse):
        return [game.payoffs.scipy().astype(np.float64)]
    payoffs = game.payoff_matrix.double().cpu().numpy()
    return list(payoffs.reshape(-1, *payoffs.shape[-2:]))


def _check_installed(backend: Any) -> None:
    import cvxpy

    if not isinstance(backend, str):
        raise InvalidInput(
            f"backend should be None or the name of a solver of cvxpy; got {backend!r}."
        )
    installed = cvxpy.installed_solvers()
    if backend.upper() not in installed:
        raise UnknownName.of("installed solver of cvxpy", backend, installed)


def _solve_by(backend: str, a: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return optimal strategies of one game `(m, n)` by a solver of cvxpy."""
    import cvxpy as cp

    low, high = a.min(), a.max()
    scaled = within_one(a, low, high) if high > low else 0.0 * a
    x, value = cp.Variable(a.shape[0], nonneg=True), cp.Variable()
    secures = scaled.T @ x >= value
    program = cp.Problem(cp.Maximize(value), [secures, cp.sum(x) == 1])
    try:
        with warnings.catch_warnings():
            # The certificate says how accurate the solution is.
            warnings.filterwarnings("ignore", "Solution may be inaccurate", UserWarning)
            program.solve(solver=backend.upper())
    except cp.SolverError as error:
        raise UnsupportedGame(f"{backend} could not solve the game: {error}") from error
    if x.value is None:
        raise UnsupportedGame(f"{backend} could not solve the game: it is {program.status}.")
    return normalised(x.value), normalised(secures.dual_value)
