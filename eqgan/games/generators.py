"""Seeded random families of matrix games."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from eqgan.data.given import capacity
from eqgan.errors import InvalidInput, OutOfMemory, UnknownName
from eqgan.games.low_rank import LowRank
from eqgan.games.matrix import MatrixGame
from eqgan.randomness import seeded
from eqgan.whole import as_whole, is_whole

DENSITY = 0.05
"""Share of the entries of a sparse game that are not zero."""


def _uniform(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    return torch.rand(shape, generator=rng, dtype=torch.float64)


def _normal(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, generator=rng, dtype=torch.float64)


def _integer(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    return torch.randint(-9, 10, shape, generator=rng).double()


def _low_rank(shape: tuple[int, ...], rng: torch.Generator) -> LowRank:
    *batch, m, n = shape
    rank = min(5, m, n)
    u, v = _normal((*batch, m, rank), rng), _normal((*batch, rank, n), rng)
    return LowRank(u, v.mT)


def _sparse(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    if len(shape) > 2:
        return _normal(shape, rng) * (_uniform(shape, rng) < DENSITY)
    # Only what is stored is drawn, so that large games cost no more than they hold.
    m, n = shape
    places = torch.unique(torch.randint(m * n, (round(DENSITY * m * n),), generator=rng))
    indices = torch.stack((places // n, places % n))
    return torch.sparse_coo_tensor(
        indices, _normal((len(places),), rng), shape, check_invariants=True, is_coalesced=True
    )


def _badly_scaled(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    return _normal(shape, rng) * 10 ** (-6 * _uniform((*shape[:-1], 1), rng))


def _skew(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    if shape[-1] != shape[-2]:
        raise InvalidInput(f"A skew-symmetric game is square; got shape {shape}.")
    a = _normal(shape, rng)
    return a - a.mT


FAMILIES: dict[str, Callable[[tuple[int, ...], torch.Generator], torch.Tensor | LowRank]] = {
    "uniform": _uniform,
    "normal": _normal,
    "integer": _integer,
    "low_rank": _low_rank,
    "sparse": _sparse,
    "badly_scaled": _badly_scaled,
    "skew": _skew,
}


TABLES = {"low_rank": 0, "sparse": 1, "uniform": 1, "normal": 1}
"""How many tables of numbers are held at once while a game of a family is drawn; others: two."""


def random_game(
    family: str = "uniform", shape: tuple[int, ...] = (10, 10), seed: int = 0
) -> MatrixGame:
    """Return a random matrix game.

    Args:
        family: ``"uniform"`` on [0, 1], ``"normal"``, ``"integer"`` from -9 to 9 (ties),
            ``"low_rank"`` (rank 5, held as factors), ``"sparse"`` (about one entry in twenty is
            not zero; a single game stores only those), ``"badly_scaled"`` (rows of sizes from 1
            down to 1e-6), or ``"skew"`` (symmetric game of value 0).
        shape: `(*batch, m, n)`.
        seed: Seed of the payoffs.

    Raises:
        UnknownName: No such family.
        InvalidInput: No shape, or no seed.
        OutOfMemory: A table that is larger than the machine's memory.

    Example:
        >>> random_game("integer", (2, 3), seed=1)
        MatrixGame(random integer: 2 x 3, payoffs from -8 to 9)
    """
    if family not in tuple(FAMILIES):
        raise UnknownName.of("family of games", str(family), FAMILIES)
    sizes = tuple(shape) if isinstance(shape, tuple | list | torch.Size) else ()
    if len(sizes) < 2 or not all(is_whole(n, 1) for n in sizes):
        raise InvalidInput(f"shape should be (*batch, m, n) with sizes >= 1; got {shape!r}.")
    sizes = tuple(map(int, sizes))
    _check_memory(f"random_game({family!r}, {sizes})", math.prod(sizes), TABLES.get(family, 2))
    rng = seeded(seed)
    value = 0.0 if family == "skew" and len(sizes) == 2 else None
    return MatrixGame(FAMILIES[family](sizes, rng), name=f"random {family}", value=value)


def tournament(size: int = 9, seed: int = 0) -> MatrixGame:
    r"""Return the game of a random tournament: of two different actions either beats the other.

    The payoffs are skew-symmetric with :math:`\pm 1` off the diagonal, so the value is 0. Both
    players have the same optimal strategy and no other, and it mixes an odd number of actions.

    Args:
        size: Number of actions.
        seed: Seed of who beats whom.

    Raises:
        InvalidInput: No actions, or no seed.
        OutOfMemory: A table that is larger than the machine's memory.

    Example:
        >>> tournament(5)
        MatrixGame(tournament(5): 5 x 5, payoffs from -1 to 1)

    References:
        Fisher and Ryan 1992, Optimal strategies for a generalized "scissors, paper, and stone"
        game; Laffond, Laslier and Le Breton 1993, The bipartisan set of a tournament game.
    """
    size = as_whole("size", size, 1)
    _check_memory(f"tournament({size})", size * size, 2)
    rng = seeded(seed)
    beats = torch.randint(2, (size, size), generator=rng).double().mul(2).sub(1).triu(1)
    return MatrixGame(beats - beats.T, value=0.0, name=f"tournament({size})")


def _check_memory(game: str, payoffs: int, tables: int) -> None:
    """Raise where tables cannot fit: some systems end a process only once it fills them."""
    memory = capacity(torch.device("cpu"))
    needed = 8 * tables * payoffs
    if needed > memory:
        side = math.isqrt(int(memory) // (8 * tables))
        raise OutOfMemory(
            f"{game} takes {needed / 2**30:,.1f} GiB while it is drawn, and this machine has "
            f"{memory / 2**30:,.1f} GiB: at most {side} x {side} payoffs would fit."
        )
