"""Exact solution of matrix games by one linear program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eqgan.errors import UnsupportedGame
from eqgan.game import Game
from eqgan.games.matrix import MatrixGame
from eqgan.profile import Profile
from eqgan.solver import Solver


@dataclass(frozen=True)
class LinearProgram(Solver[bool]):
    r"""One linear program gives both strategies, the column player's from the duals.

    .. math:: \max_{x \in \Delta, v} v \quad \text{subject to} \quad A^\top x \ge v \mathbf 1

    Exact, and the right choice for matrix games up to some hundred actions a player. A batch is
    solved game by game. HiGHS (through scipy) does the work.

    References:
        Dantzig 1951; Huangfu and Hall 2018 (HiGHS).

    Example:
        >>> import eqgan
        >>> run = eqgan.solve(eqgan.games.MatrixGame([[3, 0], [0, 1]]), LinearProgram())
        >>> round(run.value, 12), run.certificate.exact
        (0.75, True)
    """

    direct = True

    def evaluations(self, game: Game) -> float:
        """Return 0: no gradients are evaluated."""
        return 0.0

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless `game` is a matrix game."""
        return None if isinstance(game, MatrixGame) else "only a MatrixGame is a linear program"

    def init(self, game: Game, z: Profile) -> bool:
        """Return that nothing is solved yet."""
        return False

    def step(
        self, game: Game, z: Profile, state: bool, rng: torch.Generator
    ) -> tuple[Profile, bool]:
        """Solve the game."""
        assert isinstance(game, MatrixGame)
        payoffs = game.payoff_matrix
        m, n = payoffs.shape[-2:]
        pairs = [solve_game(a) for a in payoffs.double().cpu().numpy().reshape(-1, m, n)]
        x = torch.as_tensor(np.array([p for p, _ in pairs]).reshape(*game.batch_shape, m))
        y = torch.as_tensor(np.array([q for _, q in pairs]).reshape(*game.batch_shape, n))
        exact = Profile(s.to(**game.options) for s in (x, y))
        return Profile(_project(game, exact)), True

    def finished(self, state: bool) -> bool:
        """Return whether the program was solved: a second step changes nothing."""
        return state


def _project(game: Game, z: Profile) -> list[Tensor]:
    return [space.project(s) for space, s in zip(game.spaces, z, strict=True)]


def solve_game(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return optimal strategies of both players for payoffs `a` (m, n) to the row player."""
    from scipy.optimize import linprog

    m, n = a.shape
    # Payoffs between 0 and 1: the solver's tolerances are absolute, and neither a shift nor a
    # scale changes who plays what. The halves keep 1e308 - (-1e308) finite.
    low, high = a.min(), a.max()
    half = high / 2 - low / 2
    if half == 0:
        return np.full(m, 1 / m), np.full(n, 1 / n)
    scaled = (a / 2 - low / 2) / half
    program = linprog(
        c=np.append(np.zeros(m), -1.0),
        A_ub=np.hstack((-scaled.T, np.ones((n, 1)))),
        b_ub=np.zeros(n),
        A_eq=np.append(np.ones(m), 0.0)[None],
        b_eq=[1.0],
        bounds=(0, None),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if program.x is None:
        raise UnsupportedGame(f"HiGHS could not solve the game: {program.message}")
    return _normalised(program.x[:m]), _normalised(-program.ineqlin.marginals)


def _normalised(weights: np.ndarray) -> np.ndarray:
    positive = np.maximum(weights, 0.0)
    normalised: np.ndarray = positive / positive.sum()
    return normalised
