"""Games to solve: matrix games, classics, smooth games, games between networks, mixtures."""

from eqgan.games.catalog import available_games, named_game
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
from eqgan.games.constrained import BilinearGame, ConstrainedGame
from eqgan.games.continuous import ContinuousGame
from eqgan.games.data_parallel import DataParallelGAN
from eqgan.games.deployment import Blotto
from eqgan.games.files import load, save
from eqgan.games.finite_gan import FiniteGAN
from eqgan.games.fixed_gan import FixedGAN
from eqgan.games.gan import GAN, GanBatch
from eqgan.games.generators import random_game, tournament
from eqgan.games.interdiction import PathInterdiction, Route
from eqgan.games.interop import from_object
from eqgan.games.low_rank import LowRank
from eqgan.games.matrix import MatrixGame
from eqgan.games.matrix_free import MatrixFree
from eqgan.games.mixed import Mixed
from eqgan.games.network import Network
from eqgan.games.neural import NeuralGame
from eqgan.games.quantal import QuantalResponse
from eqgan.games.smooth import Bilinear, DiracGAN, Quadratic, strongly_monotone

__all__ = [
    "GAN",
    "Bilinear",
    "BilinearGame",
    "Blotto",
    "ConstrainedGame",
    "ContinuousGame",
    "DataParallelGAN",
    "DiracGAN",
    "FiniteGAN",
    "FixedGAN",
    "GanBatch",
    "LowRank",
    "MatrixFree",
    "MatrixGame",
    "Mixed",
    "Network",
    "NeuralGame",
    "PathInterdiction",
    "Quadratic",
    "QuantalResponse",
    "Route",
    "available_games",
    "biased_rock_paper_scissors",
    "blotto",
    "colonel_blotto",
    "from_object",
    "hadamard",
    "hide_and_seek",
    "load",
    "matching_pennies",
    "named_game",
    "oneill",
    "random_game",
    "rock_paper_scissors",
    "save",
    "strongly_monotone",
    "tournament",
]
