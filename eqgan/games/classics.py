"""Classic matrix games, with what is known about them: values, equilibria, or both."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations, islice, pairwise
from typing import Any

import numpy as np
import torch

from eqgan.errors import InvalidInput
from eqgan.games.matrix import MatrixGame
from eqgan.whole import is_whole

HANDS = ("rock", "paper", "scissors")
SIDES = ("heads", "tails")
CARDS = ("ace", "two", "three", "joker")

LARGEST = 1 << 27
"""Cells times fields of a table that is written out at most: half a gigabyte for two fields."""

LONGEST = 8192
"""Actions of a game that is known to be the core of a Hadamard matrix, at most."""

RATIO = 1e8
"""How far values may lie apart for an equilibrium of hide and seek to be right to some digits."""


def rock_paper_scissors() -> MatrixGame:
    """Return rock/paper/scissors: value 0, the only equilibrium uniform.

    Example:
        >>> rock_paper_scissors().value
        0.0
    """
    third = [1 / 3] * 3
    return MatrixGame(
        [[0, -1, 1], [1, 0, -1], [-1, 1, 0]],
        value=0.0,
        equilibrium=(third, third),
        actions=(HANDS, HANDS),
        name="rock_paper_scissors",
    )


def biased_rock_paper_scissors() -> MatrixGame:
    """Return rock/paper/scissors with stakes 1, 2 and 3: value 0, not uniform.

    Beating scissors with rock wins 1, rock with paper 2, paper with scissors 3; each action is
    played in proportion to the stake of the encounter it takes no part in.
    """
    # Rock meets scissors for 1, paper meets rock for 2, scissors meet paper for 3.
    mix = [1 / 2, 1 / 6, 1 / 3]
    return MatrixGame(
        [[0, -2, 1], [2, 0, -3], [-1, 3, 0]],
        value=0.0,
        equilibrium=(mix, mix),
        actions=(HANDS, HANDS),
        name="biased_rock_paper_scissors",
    )


def matching_pennies() -> MatrixGame:
    """Return matching pennies: the row player wants equal sides; value 0, uniform."""
    half = [0.5, 0.5]
    return MatrixGame(
        [[1, -1], [-1, 1]],
        value=0.0,
        equilibrium=(half, half),
        actions=(SIDES, SIDES),
        name="matching_pennies",
    )


def oneill() -> MatrixGame:
    """Return O'Neill's four-card game: value -0.2 to the row player.

    Three number cards and a joker. The row player wins on two jokers or on two different numbers.

    References:
        O'Neill 1987, Nonmetric test of the minimax theory of two-person zerosum games.
    """
    mix = [0.2, 0.2, 0.2, 0.4]
    return MatrixGame(
        [[-1, 1, 1, -1], [1, -1, 1, -1], [1, 1, -1, -1], [-1, -1, -1, 1]],
        value=-0.2,
        equilibrium=(mix, mix),
        actions=(CARDS, CARDS),
        name="oneill",
    )


def blotto(soldiers: int = 5, fields: int = 3) -> MatrixGame:
    """Return Colonel Blotto: who places more soldiers on a field wins it; value 0 by symmetry.

    Allocations that differ only in the order of fields are one action, whose payoff is the mean
    over all orders of the rival: the fields are alike, so an equilibrium plays all orders equally.

    Args:
        soldiers: Soldiers of each player.
        fields: Battlefields.

    Raises:
        InvalidInput: Too few soldiers or fields, or a table too large to be written out.

    Example:
        >>> blotto(5, 3).payoff_matrix.shape
        torch.Size([5, 5])
    """
    _check_fields("blotto", soldiers, (soldiers,), fields)
    most = math.isqrt(LARGEST) // fields
    plans = list(islice(_orderless(soldiers, fields), most + 1)) if most else []
    if not 1 <= len(plans) <= most:
        raise InvalidInput(
            f"The table of blotto({soldiers}, {fields}) is too large to be written out; Blotto "
            "plays the same game without a table."
        )
    plan = torch.tensor(plans)
    wins = torch.zeros(len(plan), len(plan), dtype=torch.float64)
    # Averaging over orders makes every pair of fields meet equally often.
    for mine in range(fields):
        for theirs in range(fields):
            wins += (plan[:, mine, None] - plan[None, :, theirs]).sign()
    return MatrixGame(wins / fields, value=0.0, name=f"blotto({soldiers}, {fields})")


def _check_fields(name: str, soldiers: Any, armies: Sequence[Any], fields: Any) -> None:
    """Raise unless there are one or two armies and a place to fight."""
    whole = all(is_whole(count) for count in (*armies, fields))
    if not whole or len(armies) not in (1, 2) or min(armies) < 1 or fields < 2:
        raise InvalidInput(
            f"{name} needs one or two armies of at least 1 soldier and fields >= 2, whole numbers; "
            f"got {soldiers!r} and {fields!r}."
        )


def _orderless(soldiers: int, fields: int) -> Iterator[tuple[int, ...]]:
    """Yield the ways to place the soldiers with fields in ascending order, lexicographically."""
    plan = [0] * (fields - 1) + [soldiers]
    more = True
    while more:
        yield tuple(plan)
        more, left = False, plan[-1]
        for i in reversed(range(fields - 1)):
            left += plan[i]
            least, others = plan[i] + 1, fields - 1 - i
            if least * (others + 1) <= left:
                plan[i:] = [least] * others + [left - least * others]
                more = True
                break


def colonel_blotto(
    soldiers: int | tuple[int, int] = 5, fields: int = 3, values: Sequence[float] | None = None
) -> MatrixGame:
    r"""Return Colonel Blotto with every way to place the soldiers as an action of its own.

    The row player receives :math:`\sum_f v_f\, \mathrm{sign}(x_f - y_f)`: it wins what a
    field is worth where more of its own soldiers stand, and loses that where fewer do. `blotto` is
    the same game on equal fields with its symmetric actions merged, and much smaller.

    Args:
        soldiers: Soldiers of the row and of the column player, or of both.
        fields: Battlefields.
        values: What each field is worth, 1 by default.

    Returns:
        A game of `comb(soldiers + fields - 1, fields - 1)` actions a player, in lexicographic
        order; its value, 0 by symmetry, is known if the armies are equal.

    Raises:
        InvalidInput: Too few soldiers or fields, or a table too large to be written out.

    Example:
        >>> colonel_blotto((3, 2), 2)
        MatrixGame(colonel_blotto((3, 2), 2): 4 x 3, payoffs from 0 to 1)

    References:
        Gross and Wagner 1950, A continuous Colonel Blotto game.
    """
    armies = tuple(soldiers) if isinstance(soldiers, tuple | list) else (soldiers,)
    _check_fields("colonel_blotto", soldiers, armies, fields)
    armies = (armies[0], armies[-1])
    worth = _worth(values, fields)
    sizes = [math.comb(army + fields - 1, fields - 1) for army in armies]
    if math.prod(sizes) * fields > LARGEST:
        raise InvalidInput(
            f"The table of colonel_blotto({soldiers}, {fields}) is too large to be written out; "
            "Blotto plays the same game without a table."
        )
    mine, theirs = (torch.tensor(list(_plans(army, fields))) for army in armies)
    payoffs = torch.zeros(*sizes, dtype=torch.float64)
    for field, value in enumerate(worth):
        payoffs += value * (mine[:, field, None] - theirs[None, :, field]).sign()
    return MatrixGame(
        payoffs,
        value=0.0 if armies[0] == armies[1] else None,
        name=f"colonel_blotto({soldiers}, {fields})",
    )


def _worth(values: Any, fields: int) -> list[float]:
    """Return what each field is worth."""
    try:
        worth = [1.0] * fields if values is None else [float(value) for value in values]
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"values should be {fields} numbers; got {values!r}.") from error
    if len(worth) != fields or not all(0 <= value < math.inf for value in worth):
        raise InvalidInput(
            f"values should be {fields} finite numbers >= 0, one a field; got {values!r}."
        )
    return worth


def _plans(soldiers: int, fields: int) -> Iterator[tuple[int, ...]]:
    """Yield every way to place the soldiers, in lexicographic order."""
    spots = soldiers + fields - 1
    for bars in combinations(range(spots), fields - 1):
        yield tuple(stop - start - 1 for start, stop in pairwise((-1, *bars, spots)))


def hide_and_seek(values: Any = ((1, 2, 3), (2, 3, 1), (3, 1, 3))) -> MatrixGame:
    r"""Return von Neumann's hide and seek: solving it is an optimal assignment.

    The column player hides in a cell :math:`(i, j)` of a table; the row player looks through one
    row or one column of it, and receives :math:`a_{ij}` if the cell is in it. The value is
    :math:`1 / W` with the largest sum :math:`W = \max_\sigma \sum_i 1 / a_{i \sigma(i)}` over
    assignments :math:`\sigma` of rows to columns; the hider uses the cells of a best one, each in
    proportion to :math:`1 / a_{ij}`, and the seeker's strategy is the assignment's dual.

    Args:
        values: What each cell is worth to the seeker, positive, `(m, n)`.

    Returns:
        A game of `m + n` lines (the rows first) against `m * n` cells (row by row), with its value
        and an equilibrium.

    Raises:
        InvalidInput: Values that are no table of positive numbers.

    Example:
        >>> hide_and_seek([[1, 2], [2, 1]]).value  # hide on the diagonal: 1 / (1 + 1)
        0.5

    References:
        von Neumann 1953, A certain zero-sum two-person game equivalent to the optimal assignment
        problem.
    """
    try:
        table = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"hide_and_seek needs a table of positive numbers; got {values!r}."
        ) from error
    if table.ndim != 2 or not table.size or not (np.isfinite(table) & (table > 0)).all():
        raise InvalidInput(
            f"hide_and_seek needs a table of positive numbers; got shape {table.shape}"
            f"{' with other entries' if table.ndim == 2 and table.size else ''}."
        )
    least, largest = float(table.min()), float(table.max())
    if largest / least > RATIO:
        raise InvalidInput(
            f"hide_and_seek needs values that differ by a factor of at most {RATIO:g}; got "
            f"{least:g} to {largest:g}."
        )
    m, n = table.shape
    lines = np.vstack([np.kron(np.eye(m), np.ones(n)), np.kron(np.ones(m), np.eye(n))])
    value, seeker, hider = _assignment(largest / table, lines)
    return MatrixGame(
        lines * table.ravel(),
        value=value * largest,
        equilibrium=(seeker, hider),
        name=f"hide_and_seek({m} x {n})",
    )


def _assignment(weights: Any, lines: Any) -> tuple[float, Any, Any]:
    """Return the reciprocal of the best assignment's weight, and both its solutions as mixtures."""
    from scipy.optimize import linear_sum_assignment, linprog

    rows, columns = linear_sum_assignment(weights, maximize=True)
    total = float(weights[rows, columns].sum())
    # Every line has a price, and a cell's two lines together cost at least its weight.
    prices = linprog(np.ones(len(lines)), A_ub=-lines.T, b_ub=-weights.ravel(), method="highs").x
    hider = np.zeros_like(weights)
    hider[rows, columns] = weights[rows, columns]
    return 1.0 / total, prices / prices.sum(), hider.ravel() / total


def hadamard(order: int = 8) -> MatrixGame:
    r"""Return the game on the core of a Hadamard matrix: the only equilibrium is uniform.

    A Hadamard matrix holds :math:`\pm 1` and has orthogonal rows. With signs such that its first
    row and column are ones, what remains without these sums to -1 along every line and can be
    inverted: the value is :math:`-1 / (n - 1)`, and every action is needed.

    Args:
        order: Order `n` of the matrix. Built are Sylvester's (powers of 2), Paley's (`q + 1` for
            primes `q = 3 mod 4`, `2 (q + 1)` for primes `q = 1 mod 4`), and their doubles.

    Returns:
        A game of `n - 1` actions a player, with value and equilibrium.

    Raises:
        InvalidInput: An order that is not one of these.

    Example:
        >>> hadamard(4).payoff_matrix.tolist()
        [[-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0], [1.0, -1.0, -1.0]]

    References:
        Sylvester 1867, Thoughts on inverse orthogonal matrices; Paley 1933, On orthogonal matrices.
    """
    known = is_whole(order, 3, LONGEST)
    matrix = _hadamard(order) if known else None
    if matrix is None:
        raise InvalidInput(
            f"hadamard builds orders 2^k, q + 1 (primes q = 3 mod 4), 2 (q + 1) (primes q = 1 mod "
            f"4) and their doubles, from 4 to {LONGEST}; got {order!r}."
        )
    matrix = matrix * matrix[:, :1]
    matrix = matrix * matrix[:1]
    uniform = [1 / (order - 1)] * (order - 1)
    return MatrixGame(
        matrix[1:, 1:],
        value=-1 / (order - 1),
        equilibrium=(uniform, uniform),
        name=f"hadamard({order})",
    )


def _hadamard(order: int) -> Any:
    """Return a Hadamard matrix, or ``None`` if no construction gives this order."""
    if order <= 2:
        return np.array([[1.0, 1.0], [1.0, -1.0]])[:order, :order] if order >= 1 else None
    if order % 4:
        return None
    if _is_prime(order - 1):
        return np.eye(order) + _conference(order - 1, skew=True)
    if order // 2 % 4 == 2 and _is_prime(order // 2 - 1):
        conference = _conference(order // 2 - 1, skew=False)
        return np.kron(conference, [[1, 1], [1, -1]]) + np.kron(
            np.eye(order // 2), [[1, -1], [-1, -1]]
        )
    half = _hadamard(order // 2)
    return None if half is None else np.kron([[1, 1], [1, -1]], half)


def _conference(q: int, skew: bool) -> Any:
    """Return Paley's conference matrix: quadratic residues modulo a prime, bordered by ones."""
    squares = {i * i % q for i in range(1, q)}
    character = np.array([0] + [1 if i in squares else -1 for i in range(1, q)], dtype=np.float64)
    i = np.arange(q)
    matrix = np.zeros((q + 1, q + 1))
    matrix[0, 1:] = 1
    matrix[1:, 0] = -1 if skew else 1
    matrix[1:, 1:] = character[(i[:, None] - i[None, :]) % q]
    return matrix


def _is_prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))
