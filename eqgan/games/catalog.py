"""The games that can be asked for by name."""

from __future__ import annotations

from collections.abc import Callable

from eqgan.errors import UnknownName
from eqgan.game import Game
from eqgan.games.classics import (
    biased_rock_paper_scissors,
    blotto,
    colonel_blotto,
    hadamard,
    hide_and_seek,
    matching_pennies,
    oneill,
    rock_paper_scissors,
)
from eqgan.games.finite_gan import FiniteGAN
from eqgan.games.generators import random_game, tournament
from eqgan.games.smooth import Bilinear, DiracGAN, strongly_monotone

CATALOG: dict[str, Callable[[], Game]] = {
    "biased_rock_paper_scissors": biased_rock_paper_scissors,
    "bilinear": lambda: Bilinear([[1.0]]),
    "blotto": blotto,
    "colonel_blotto": colonel_blotto,
    "dirac_gan": DiracGAN,
    "dirac_gan_r1": lambda: DiracGAN(regulariser="r1"),
    "finite_gan": lambda: FiniteGAN([0.1, 0.2, 0.3, 0.4]),
    "finite_wgan": lambda: FiniteGAN([0.1, 0.2, 0.3, 0.4], "wasserstein"),
    "hadamard": hadamard,
    "hide_and_seek": hide_and_seek,
    "matching_pennies": matching_pennies,
    "oneill": oneill,
    "random_integer": lambda: random_game("integer"),
    "random_low_rank": lambda: random_game("low_rank", (50, 50)),
    "random_normal": lambda: random_game("normal"),
    "random_skew": lambda: random_game("skew"),
    "random_sparse": lambda: random_game("sparse", (50, 50)),
    "random_uniform": lambda: random_game("uniform"),
    "rock_paper_scissors": rock_paper_scissors,
    "strongly_monotone": strongly_monotone,
    "tournament": tournament,
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
    if not isinstance(name, str) or name not in CATALOG:
        raise UnknownName.of("game", name, CATALOG)
    return CATALOG[name]()
