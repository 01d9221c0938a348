"""Games to solve: matrix games, classics, smooth games, games between networks, mixtures."""

from eqgan.games.catalog import (
    available_games,
    biased_rock_paper_scissors,
    blotto,
    matching_pennies,
    named_game,
    oneill,
    random_game,
    rock_paper_scissors,
)
from eqgan.games.files import load, save
from eqgan.games.finite_gan import FiniteGAN
from eqgan.games.gan import GAN, GanBatch
from eqgan.games.matrix import MatrixGame
from eqgan.games.mixed import Mixed
from eqgan.games.neural import Network, NeuralGame
from eqgan.games.smooth import Bilinear, DiracGAN, Quadratic, strongly_monotone

__all__ = [
    "GAN",
    "Bilinear",
    "DiracGAN",
    "FiniteGAN",
    "GanBatch",
    "MatrixGame",
    "Mixed",
    "Network",
    "NeuralGame",
    "Quadratic",
    "available_games",
    "biased_rock_paper_scissors",
    "blotto",
    "load",
    "matching_pennies",
    "named_game",
    "oneill",
    "random_game",
    "rock_paper_scissors",
    "save",
    "strongly_monotone",
]
