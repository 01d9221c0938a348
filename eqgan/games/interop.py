"""Games of other libraries: Nashpy, QuantEcon, pygambit, OpenSpiel, and pairs of arrays.

None of these libraries is imported: a game is recognised by what it offers. Only games of constant
sum become a `MatrixGame`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from eqgan.errors import InvalidInput
from eqgan.games.matrix import MatrixGame

Tables: TypeAlias = Sequence[Any]
"""For each player what it receives, `(m, n)`."""

Actions: TypeAlias = Sequence[Sequence[str]]
"""The names of both players' actions."""

ROUNDING = {"float64": 1e-12, "float32": 1e-5}
"""Sums of floats may differ by so much of the largest payoff, and still count as constant."""


def from_object(game: Any) -> MatrixGame:
    r"""Return another library's game of two players as a `MatrixGame`.

    Args:
        game: A `nashpy.Game`, a `quantecon.game_theory.NormalFormGame`, a `pygambit.Game`, a game
            of `pyspiel` in which both players move once, at the same time, or a pair `(A, B)` of
            arrays `(m, n)`: what the row player and what the column player receives.

    Returns:
        The game in which the row player receives `A`, and whose `constant` is what both receive
        together. Whole numbers and fractions stay exact; actions keep the names that pygambit and
        OpenSpiel give them.

    Raises:
        InvalidInput: Something else, another number of players than two, or a sum of the payoffs
            that is not constant: exactly, but for floats to within 1e-12 of the largest payoff
            (1e-5 in 32 bits).

    Example:
        >>> from_object(([[2, 0], [1, 3]], [[1, 3], [2, 0]]))
        MatrixGame(2 x 2, payoffs from 0 to 3, constant-sum 3)
    """
    tables, name, actions = _read(game)
    if len(tables) != 2:
        raise InvalidInput(f"from_object expects a game of two players; got {len(tables)}.")
    a, b = (_as_table(table, p) for table, p in zip(tables, MatrixGame.players, strict=True))
    return MatrixGame(a, constant=_constant(a, b), name=name, actions=actions)


# -- what the libraries offer --------------------------------------------------------------------


class _Read(NamedTuple):
    """What a library's game says: both players' payoffs, its name, and the names of its actions."""

    tables: Tables
    name: str | None = None
    actions: Actions | None = None


def _read(game: Any) -> _Read:
    if isinstance(game, tuple | list):
        return _Read(game)
    for attribute, read in READERS.items():
        if hasattr(game, attribute):
            return read(game)
    raise InvalidInput(
        "from_object reads games of Nashpy, QuantEcon, pygambit and OpenSpiel, and pairs (A, B) of "
        f"arrays; got {type(game).__module__}.{type(game).__qualname__}."
    )


def _nashpy(game: Any) -> _Read:
    return _Read(game.payoff_matrices)


def _quantecon(game: Any) -> _Read:
    profiles = game.payoff_profile_array
    return _Read([profiles[..., player] for player in range(profiles.shape[-1])])


def _pygambit(game: Any) -> _Read:
    labels = [[strategy.label for strategy in player.strategies] for player in game.players]
    return _Read(game.to_arrays(), str(game.title) or None, labels)


def _openspiel_matrix(game: Any) -> _Read:
    tables = game.row_utilities(), game.col_utilities()
    m, n = np.shape(tables[0])
    rows = [game.row_action_name(i) for i in range(m)]
    columns = [game.col_action_name(j) for j in range(n)]
    return _Read(tables, game.get_type().short_name, (rows, columns))


def _openspiel(game: Any) -> _Read:
    """Play out every pair of actions of a game that is one simultaneous move."""
    name, players = game.get_type().short_name, game.num_players()
    if players != 2:
        return _Read([None] * players, name)
    start = game.new_initial_state()
    if not start.is_simultaneous_node() or game.max_game_length() != 1:
        raise InvalidInput(
            f"from_object expects a game in which both players move once, at the same time; {name} "
            "takes turns. Write out its normal form with pyspiel.extensive_to_matrix_game."
        )
    moves = [start.legal_actions(player) for player in (0, 1)]
    returns = [[_returns(start, row, column) for column in moves[1]] for row in moves[0]]
    names = [[start.action_to_string(i, move) for move in moves[i]] for i in (0, 1)]
    return _Read(list(np.moveaxis(np.array(returns), -1, 0)), name, names)


def _returns(start: Any, row: int, column: int) -> Any:
    state = start.clone()
    state.apply_actions([row, column])
    return state.returns()


READERS: dict[str, Callable[[Any], _Read]] = {
    "payoff_matrices": _nashpy,
    "payoff_profile_array": _quantecon,
    "to_arrays": _pygambit,
    "row_utilities": _openspiel_matrix,
    "new_initial_state": _openspiel,
}
"""How a game is read, by an attribute that it has and no other library's game has."""


# -- from two tables to one ----------------------------------------------------------------------


def _as_table(payoffs: Any, player: str) -> Any:
    """Return payoffs as an array of floats, whole numbers or fractions."""
    try:
        table = np.asarray(payoffs)
        if table.dtype.kind == "O":
            table = np.vectorize(Fraction, otypes=[object])(table)
        elif table.dtype.kind not in "iu" and table.dtype.name not in ROUNDING:
            table = table.astype(np.float64, casting="safe")
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(
            f"What the {player} player receives should be an array of real numbers; {error}."
        ) from error
    if table.ndim != 2 or not table.size:
        raise InvalidInput(
            f"What the {player} player receives should have shape (m, n); got {table.shape}."
        )
    if table.dtype.kind == "f" and not np.isfinite(table).all():
        raise InvalidInput(f"What the {player} player receives should be finite numbers.")
    return table


def _constant(a: Any, b: Any) -> Any:
    """Return what both players receive together in every cell."""
    if a.shape != b.shape:
        raise InvalidInput(
            f"Both players' payoffs should have the same shape; got {a.shape} and {b.shape}."
        )
    floats = [table.dtype.name for table in (a, b) if table.dtype.kind == "f"]
    slack = 0.0
    if floats:
        a, b = a.astype(np.float64), b.astype(np.float64)
        slack = max(ROUNDING[name] for name in floats) * max(np.abs(a).max(), np.abs(b).max())
    else:
        # Sums of whole numbers of 64 bits could overflow, Python's cannot.
        a, b = a.astype(object), b.astype(object)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = a + b
        differs = np.argwhere(~(np.abs(sums - sums[0, 0]) <= slack))
    if len(differs):
        i, j = differs[0].tolist()
        raise InvalidInput(
            "from_object expects a game of constant sum; the payoffs of the first cell add up to "
            f"{sums[0, 0]}, those of cell ({i}, {j}), {a[i, j]} and {b[i, j]}, to {sums[i, j]}. "
            "Games of general sum cannot be solved here."
        )
    constant = sums[0, 0]
    if floats:
        return 0.0 if abs(constant) <= slack else float(constant)
    return Fraction(constant)
