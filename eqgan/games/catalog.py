"""Classic matrix games with known answers, and seeded random families."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement

import torch

from eqgan.errors import InvalidInput, UnknownName
from eqgan.game import Game
from eqgan.games.finite_gan import FiniteGAN
from eqgan.games.matrix import MatrixGame
from eqgan.games.smooth import Bilinear, DiracGAN, strongly_monotone


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
        name="biased_rock_paper_scissors",
    )


def matching_pennies() -> MatrixGame:
    """Return matching pennies: the row player wants equal sides; value 0, uniform."""
    half = [0.5, 0.5]
    return MatrixGame(
        [[1, -1], [-1, 1]], value=0.0, equilibrium=(half, half), name="matching_pennies"
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
        name="oneill",
    )


def blotto(soldiers: int = 5, fields: int = 3) -> MatrixGame:
    """Return Colonel Blotto: who places more soldiers on a field wins it; value 0 by symmetry.

    Allocations that differ only in the order of fields are one action, whose payoff is the mean
    over all orders of the rival: the fields are alike, so an equilibrium plays all orders equally.

    Args:
        soldiers: Soldiers of each player.
        fields: Battlefields.

    Example:
        >>> blotto(5, 3).payoff_matrix.shape
        torch.Size([5, 5])
    """
    if soldiers < 1 or fields < 2:
        raise InvalidInput(
            f"blotto needs soldiers >= 1 and fields >= 2; got {soldiers} and {fields}."
        )
    plans = [
        p for p in combinations_with_replacement(range(soldiers + 1), fields) if sum(p) == soldiers
    ]
    plan = torch.tensor(plans)
    # Averaging over orders makes every pair of fields meet equally often.
    wins = (plan[:, None, :, None] - plan[None, :, None, :]).sign().double()
    return MatrixGame(
        wins.mean(dim=(-1, -2)) * fields, value=0.0, name=f"blotto({soldiers}, {fields})"
    )


def _uniform(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    return torch.rand(shape, generator=rng, dtype=torch.float64)


def _normal(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, generator=rng, dtype=torch.float64)


def _integer(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    return torch.randint(-9, 10, shape, generator=rng).double()


def _low_rank(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    *batch, m, n = shape
    rank = min(5, m, n)
    return _normal((*batch, m, rank), rng) @ _normal((*batch, rank, n), rng)


def _sparse(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    return _normal(shape, rng) * (_uniform(shape, rng) < 0.05)


def _badly_scaled(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    return _normal(shape, rng) * 10 ** (-6 * _uniform((*shape[:-1], 1), rng))


def _skew(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    if shape[-1] != shape[-2]:
        raise InvalidInput(f"A skew-symmetric game is square; got shape {shape}.")
    a = _normal(shape, rng)
    return a - a.mT


FAMILIES: dict[str, Callable[[tuple[int, ...], torch.Generator], torch.Tensor]] = {
    "uniform": _uniform,
    "normal": _normal,
    "integer": _integer,
    "low_rank": _low_rank,
    "sparse": _sparse,
    "badly_scaled": _badly_scaled,
    "skew": _skew,
}


def random_game(
    family: str = "uniform", shape: tuple[int, ...] = (10, 10), seed: int = 0
) -> MatrixGame:
    """Return a random matrix game.

    Args:
        family: ``"uniform"`` on [0, 1], ``"normal"``, ``"integer"`` from -9 to 9 (ties),
            ``"low_rank"`` (rank 5), ``"sparse"`` (one entry in twenty is not zero),
            ``"badly_scaled"`` (rows of sizes from 1 down to 1e-6), or ``"skew"`` (symmetric game
            of value 0).
        shape: `(*batch, m, n)`.
        seed: Seed of the payoffs.

    Raises:
        UnknownName: No such family.

    Example:
        >>> random_game("integer", (2, 3), seed=1)
        MatrixGame(random integer: 2 x 3, payoffs from -8 to 9)
    """
    if family not in FAMILIES:
        raise UnknownName.of("family of games", family, FAMILIES)
    if len(shape) < 2 or any(n < 1 for n in shape):
        raise InvalidInput(f"shape should be (*batch, m, n) with sizes >= 1; got {shape}.")
    rng = torch.Generator().manual_seed(seed)
    value = 0.0 if family == "skew" and len(shape) == 2 else None
    return MatrixGame(FAMILIES[family](tuple(shape), rng), name=f"random {family}", value=value)


CATALOG: dict[str, Callable[[], Game]] = {
    "biased_rock_paper_scissors": biased_rock_paper_scissors,
    "bilinear": lambda: Bilinear([[1.0]]),
    "blotto": blotto,
    "dirac_gan": DiracGAN,
    "dirac_gan_r1": lambda: DiracGAN(regulariser="r1"),
    "finite_gan": lambda: FiniteGAN([0.1, 0.2, 0.3, 0.4]),
    "finite_wgan": lambda: FiniteGAN([0.1, 0.2, 0.3, 0.4], "wasserstein"),
    "matching_pennies": matching_pennies,
    "oneill": oneill,
    "random_integer": lambda: random_game("integer"),
    "random_normal": lambda: random_game("normal"),
    "random_skew": lambda: random_game("skew"),
    "random_uniform": lambda: random_game("uniform"),
    "rock_paper_scissors": rock_paper_scissors,
    "strongly_monotone": strongly_monotone,
}
"""Games that can be asked for by name; each entry builds one."""


def available_games() -> tuple[str, ...]:
    """Return the names of the catalog, sorted."""
    return tuple(sorted(CATALOG))


def named_game(name: str) -> Game:
    """Return the game of that name.

    Raises:
        UnknownName: No game in the catalog has that name; the closest is named.
    """
    if name not in CATALOG:
        raise UnknownName.of("game", name, CATALOG)
    return CATALOG[name]()
