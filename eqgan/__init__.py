"""EQGAN: equilibrium solvers for two-player games, from rock/paper/scissors to GANs.

A game gives an operator and strategy sets, a solver moves a profile, a certificate says how far
that profile is from equilibrium.
"""

import importlib
from typing import TYPE_CHECKING, Any

from eqgan import callbacks, data, games, gan
from eqgan.bounds import BoundOracle
from eqgan.certificate import Certificate, certify
from eqgan.compare import Comparison, compare
from eqgan.errors import (
    CheckpointError,
    EqganError,
    InvalidInput,
    OutOfMemory,
    UnknownName,
    UnreadableFile,
    UnsupportedGame,
)
from eqgan.flows import FlowPolytope
from eqgan.game import Game, ZeroSumGame, prox
from eqgan.hypersimplex import Hypersimplex
from eqgan.loop import Progress
from eqgan.oracle import (
    Curve,
    ExactOracle,
    GradientOracle,
    GridOracle,
    LinearOracle,
    Oracle,
    Response,
    default_oracle,
)
from eqgan.polytope import Polytope
from eqgan.products import Product, Stacked
from eqgan.profile import Profile, Strategy
from eqgan.recorder import Recorder
from eqgan.registry import available_solvers, solver_class
from eqgan.result import Result, Status, Trace
from eqgan.rules import (
    Adam,
    Constant,
    Cosine,
    InverseSqrt,
    PerPlayer,
    Rule,
    TorchOptimizer,
    default_rate,
    default_rule,
)
from eqgan.run import solve
from eqgan.solver import Solver
from eqgan.spaces import Ball, Box, Euclidean, Simplex, Space

if TYPE_CHECKING:
    from eqgan import plots, solvers, testing, training

__all__ = [
    "Adam",
    "Ball",
    "BoundOracle",
    "Box",
    "Certificate",
    "CheckpointError",
    "Comparison",
    "Constant",
    "Cosine",
    "Curve",
    "EqganError",
    "Euclidean",
    "ExactOracle",
    "FlowPolytope",
    "Game",
    "GradientOracle",
    "GridOracle",
    "Hypersimplex",
    "InvalidInput",
    "InverseSqrt",
    "LinearOracle",
    "Oracle",
    "OutOfMemory",
    "PerPlayer",
    "Polytope",
    "Product",
    "Profile",
    "Progress",
    "Recorder",
    "Response",
    "Result",
    "Rule",
    "Simplex",
    "Solver",
    "Space",
    "Stacked",
    "Status",
    "Strategy",
    "TorchOptimizer",
    "Trace",
    "UnknownName",
    "UnreadableFile",
    "UnsupportedGame",
    "ZeroSumGame",
    "available_solvers",
    "callbacks",
    "certify",
    "compare",
    "data",
    "default_oracle",
    "default_rate",
    "default_rule",
    "games",
    "gan",
    "plots",
    "prox",
    "solve",
    "solver_class",
    "solvers",
    "testing",
    "training",
]


def __getattr__(name: str) -> Any:
    """Import `eqgan.solvers`, `.plots`, `.testing` and `.training` when they are first asked for.

    The core never imports solvers, and drawing is not needed to solve.
    """
    if name in ("solvers", "plots", "testing", "training"):
        return importlib.import_module(f"eqgan.{name}")
    raise AttributeError(f"module 'eqgan' has no attribute {name!r}")
