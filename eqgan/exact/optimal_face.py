"""All equilibria of a matrix game: each player's set of optimal strategies is a polytope."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import TypeAlias

import numpy as np
import torch

from eqgan.errors import UnsupportedGame
from eqgan.exact import maximal_support
from eqgan.exact.double_description import extreme_rays
from eqgan.exact.equilibrium import IntegerGame, exact_equilibrium
from eqgan.exact.lifting import Integers, null_space
from eqgan.exact.max_entropy import max_entropy_in, max_entropy_of
from eqgan.game import Game
from eqgan.games.highs import solve_game
from eqgan.games.matrix import MatrixGame, needs_table
from eqgan.profile import Profile

Vertices: TypeAlias = tuple[tuple[Fraction, ...], ...]
"""The vertices of a polytope of strategies."""

SMALL = 40_000
"""Entries up to which a game's faces are computed in rational arithmetic."""

LARGEST = 4_000_000
"""Entries up to which they are computed at all."""

SHOWN = 12
"""Actions of a strategy that are listed in words."""

LEGIBLE = 10**6
"""Fractions with smaller denominators are listed as they are."""


class OptimalFace:
    r"""Every optimal strategy of both players; each pair of them is an equilibrium.

    .. math::
        X^* = \{x \in \Delta : A^\top x \ge v \mathbf 1\}, \qquad
        Y^* = \{y \in \Delta : A y \le v \mathbf 1\}

    Games of up to `SMALL` entries are decided in rational arithmetic: an exact equilibrium, then
    the double description of the cone that is left once every action that is no best response is
    dropped. Larger games, and polytopes with too many vertices, are decided in floats, by linear
    programs for strictly complementary strategies; `exact` says which it was.

    Args:
        game: One matrix game.

    Raises:
        UnsupportedGame: Not a matrix game, a batch of them, or payoffs known by products only.

    Example:
        >>> face = OptimalFace(MatrixGame([[1, -1, 0], [-1, 1, 0]]))
        >>> face.unique, face.dimensions
        (False, (0, 1))
        >>> print(face)  # doctest: +NORMALIZE_WHITESPACE
        The row player has one optimal strategy: [1/2, 1/2]. The column player has a segment of
        them, between [1/2, 1/2, 0] and [0, 0, 1]. Decided in rational arithmetic.
    """

    def __init__(self, game: Game) -> None:
        reason = needs_table(game)
        if reason is None and game.batch_shape:
            reason = f"take one game of the batch {game.batch_shape}, as in MatrixGame(A[0])"
        if reason is not None:
            raise UnsupportedGame(f"optimal_face is of one matrix game: {reason}.")
        assert isinstance(game, MatrixGame)
        self.game = game

    @property
    def exact(self) -> bool:
        """Whether rational arithmetic decides; otherwise linear programs in floats do."""
        return self._vertices is not None

    @property
    def unique(self) -> bool:
        """Whether the game has one equilibrium only."""
        return self.dimensions == (0, 0)

    @property
    def rows(self) -> Vertices:
        """The vertices of the row player's polytope; its optimal strategies are their mixtures.

        Raises:
            UnsupportedGame: The game is too large, or the vertices are too many.
        """
        return self._known_vertices()[0]

    @property
    def columns(self) -> Vertices:
        """The vertices of the column player's polytope.

        Raises:
            UnsupportedGame: The game is too large, or the vertices are too many.
        """
        return self._known_vertices()[1]

    @cached_property
    def dimensions(self) -> tuple[int, int]:
        """The dimensions of both polytopes; 0 where one strategy alone is optimal."""
        if self._vertices is not None:
            rows, columns = (_dimension(vertices) for vertices in self._vertices)
            return rows, columns
        return self._supports.dimensions

    @cached_property
    def max_entropy(self) -> Profile:
        """The equilibrium of largest entropy, which treats equal actions equally."""
        if self._vertices is not None:
            pair = [max_entropy_in(np.array(vertices, float)) for vertices in self._vertices]
        elif self.unique:
            pair = list(solve_game(self._payoffs))
        else:
            pair = list(max_entropy_of(self._payoffs, self._supports))
        options = self.game.options
        return Profile(torch.as_tensor(s, dtype=torch.float64).to(**options) for s in pair)

    def __str__(self) -> str:
        return self.describe()

    def __repr__(self) -> str:
        return f"OptimalFace({self.describe()})"

    def describe(self) -> str:
        """Say in words how many optimal strategies each player has, and how that was decided."""
        vertices: Sequence[Vertices | None] = self._vertices or (None, None)
        parts = [
            f"The {player} player has {_worded(dimension, known)}."
            for player, dimension, known in zip(
                self.game.players, self.dimensions, vertices, strict=True
            )
        ]
        how = "in rational arithmetic" if self.exact else "by linear programs in floats"
        return " ".join([*parts, f"Decided {how}."])

    # -- in rational arithmetic ------------------------------------------------------------------

    @cached_property
    def _vertices(self) -> tuple[Vertices, Vertices] | None:
        m, n = self.game.payoffs.shape
        if m * n > SMALL:
            return None
        payoffs = self.game.rationals()
        table, known = IntegerGame(payoffs).table, exact_equilibrium(payoffs)
        rows = optimal_vertices(table, known.column)
        if rows is None:
            return None
        # A rival's strategy with more actions leaves fewer directions to search.
        mean = [sum(weights, Fraction()) for weights in zip(*rows, strict=True)]
        columns = optimal_vertices(-table.T, mean)
        return None if columns is None else (rows, columns)

    def _known_vertices(self) -> tuple[Vertices, Vertices]:
        if self._vertices is None:
            raise UnsupportedGame(
                f"The vertices of the optimal strategies are listed for games of up to {SMALL} "
                "payoffs and some hundred vertices; this game has more. Its dimensions, unique and "
                "max_entropy can be read all the same."
            )
        return self._vertices

    # -- in floats -------------------------------------------------------------------------------

    @cached_property
    def _payoffs(self) -> np.ndarray:
        m, n = self.game.payoffs.shape
        if m * n > LARGEST:
            raise UnsupportedGame(
                f"optimal_face is for games of up to {LARGEST} payoffs; this one has {m} x {n}."
            )
        payoffs: np.ndarray = self.game.payoff_matrix.double().cpu().numpy()
        return payoffs

    @cached_property
    def _supports(self) -> maximal_support.Supports:
        return maximal_support.maximal_supports(self._payoffs)


def optimal_vertices(table: Integers, rival: Sequence[Fraction]) -> Vertices | None:
    r"""Return the vertices of a player's set of optimal strategies.

    Against an optimal rival only best responses can be optimal, and every action that the rival
    plays must leave the player the same. What is left is a cone of few dimensions, in x and the
    payoff s that it secures:

    .. math::
        A_{BP}^\top x_B = s \mathbf 1, \quad A_{B \bar P}^\top x_B \ge s \mathbf 1, \quad x_B \ge 0

    Args:
        table: A, what the player receives, integers, `(m, n)`.
        rival: An optimal strategy of the other player, `(n,)`, scaled at will.

    Returns:
        Strategies `(m,)`, or ``None`` where there are too many.

    Example:
        >>> table = np.array([[0, 1], [0, 2], [-1, 5]], dtype=object)
        >>> [[int(p) for p in x] for x in optimal_vertices(table, [Fraction(1), Fraction(0)])]
        [[1, 0, 0], [0, 1, 0]]
    """
    weights = _whole(rival)
    against = table @ weights
    best, played = np.flatnonzero(against == against.max()), weights > 0
    # First s, then x: what comes first depends on the rest, whose signs are known.
    left = np.hstack((np.full((table.shape[1], 1), -1, dtype=object), table[best].T))
    basis = null_space(left[played])
    inequalities = np.vstack((basis[1:], left[~played] @ basis))
    # Those with no negative entry hold in the orthant, where the search begins.
    rays = extreme_rays(inequalities[(inequalities < 0).any(axis=1)])
    if rays is None:
        return None
    vertices = []
    for ray in rays:
        weights = np.zeros(len(table), dtype=object)
        weights[best] = basis[1:] @ ray
        vertices.append(tuple(Fraction(w, sum(weights)) for w in weights))
    return tuple(sorted(vertices, reverse=True))


def _whole(weights: Sequence[Fraction]) -> Integers:
    """Return integers in the same proportion."""
    scale = math.lcm(*(w.denominator for w in weights))
    return np.array([w.numerator * (scale // w.denominator) for w in weights], dtype=object)


def _dimension(vertices: Vertices) -> int:
    """Return the dimension of the convex hull: strategies are on a plane beside the origin."""
    matrix = np.array([_whole(vertex) for vertex in vertices], dtype=object).T
    return len(vertices) - 1 - int(null_space(matrix).shape[1])


def _worded(dimension: int, vertices: Vertices | None) -> str:
    """Return how many strategies a polytope holds, in words."""
    if dimension == 0:
        return "one optimal strategy" + (f": {_listed(vertices[0])}" if vertices else "")
    shape = {1: "a segment of them", 2: "a polygon of them"}.get(
        dimension, f"a polytope of them with {dimension} dimensions"
    )
    if vertices is None:
        return shape
    if dimension == 1:
        return f"{shape}, between {_listed(vertices[0])} and {_listed(vertices[1])}"
    return f"{shape}, with {len(vertices)} vertices"


def _listed(strategy: Sequence[Fraction]) -> str:
    if len(strategy) > SHOWN:
        return f"one on {sum(p > 0 for p in strategy)} of {len(strategy)} actions"
    if max(p.denominator for p in strategy) >= LEGIBLE:
        return f"about [{', '.join(f'{float(p):.4g}' for p in strategy)}]"
    return f"[{', '.join(map(str, strategy))}]"
