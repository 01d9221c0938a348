"""Studies: TOML files that say what to train, and how.

Every table is the arguments of something that can be called: a class, or a function. Its keys and
types are checked against that signature, so what the library gains, studies can say. A key that
nobody knows, or a value of the wrong type, is told with its table and line before anything runs.

    [game]
    data = { name = "ring", n = 20000, std = 0.02 }
    networks = { name = "mlp", hidden = [128, 128] }
    noise_dim = 2
    objective = "non_saturating"

    [solver]
    name = "extragradient"
    rule = { name = "adam", rate = 1e-3, betas = [0.5, 0.9] }

    [run]
    steps = 5000

    [quality]
    every = 500
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from eqgan.callbacks import can_draw
from eqgan.data.given import Data
from eqgan.errors import InvalidInput, UnreadableFile
from eqgan.games import GAN, Mixed
from eqgan.gan.quality import Quality
from eqgan.oracle import GradientOracle, Oracle
from eqgan.paths import as_path
from eqgan.registry import available_solvers, solver_class
from eqgan.rules import Adam, Constant, Cosine, InverseSqrt, PerPlayer, Rule, TorchOptimizer
from eqgan.solver import Solver
from eqgan.study_games import PLAYERS, read_gan, read_mixture, read_quality
from eqgan.tables import Table

SCHEDULES: dict[str, Callable[..., Any]] = {"cosine": Cosine, "inverse_sqrt": InverseSqrt}
RULES: dict[str, Callable[..., Any]] = {"adam": Adam, "constant": Constant}
OPTIMIZERS = {
    kind.__name__.lower(): kind
    for kind in vars(torch.optim).values()
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)
    if kind.__name__.lower() not in ("optimizer", *RULES)
}

MOST_THREADS = 1024
"""Of torch, which crashes where the system cannot start as many."""


@dataclass(frozen=True)
class Settings:
    """The table ``[run]``.

    Attributes:
        steps: Solver steps.
        seed: Seed of the networks, the samples and the restarts.
        check_every: Steps between rows of the trace; by default a hundredth of all.
        checkpoint_every: Steps between checkpoints; by default every check.
        time_limit: Wall-clock seconds of one launch.
        threads: Of torch. One is best for small networks; equal bits need equal threads.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"``.
        tensorboard: Log for TensorBoard too.
    """

    steps: int
    seed: int = 0
    check_every: int | None = None
    checkpoint_every: int | None = None
    time_limit: float | None = None
    threads: int = 1
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    tensorboard: bool = False

    def __post_init__(self) -> None:
        counts = {"steps": self.steps, "threads": self.threads}
        cadences = {"check_every": self.check_every, "checkpoint_every": self.checkpoint_every}
        for name, count in {**counts, **cadences}.items():
            if count is not None and count < 1:
                raise InvalidInput(f"{name} should be at least 1; got {count}.")
        if self.threads > MOST_THREADS:
            raise InvalidInput(f"threads should be at most {MOST_THREADS}; got {self.threads}.")
        if self.steps >= 2**63:
            raise InvalidInput(f"steps should be less than 2^63; got {self.steps}.")
        if not 0 <= self.seed < 2**63:
            raise InvalidInput(f"seed should be from 0 to 2^63 - 1; got {self.seed}.")
        if self.time_limit is not None and not self.time_limit > 0:
            raise InvalidInput(f"time_limit should be seconds > 0; got {self.time_limit}.")


@dataclass(frozen=True)
class Measurement:
    """The table ``[measure]``: how deviations are sought.

    Attributes:
        steps: Gradient steps of each search.
        restarts: Perturbed starts beside the present strategy.
        every_check: Measure the gap at each check, not at the end alone.
    """

    steps: int = 200
    restarts: int = 2
    every_check: bool = False


@dataclass(frozen=True)
class Samples:
    """The table ``[samples]``: pictures on the way.

    Attributes:
        every: Steps between pictures; by default a tenth of all steps.
        count: Samples a picture.
    """

    every: int | None = None
    count: int = 64

    def __post_init__(self) -> None:
        for name, count in (("every", self.every), ("count", self.count)):
            if count is not None and count < 1:
                raise InvalidInput(f"{name} should be at least 1; got {count}.")


@dataclass(frozen=True)
class Study:
    """A study that has been read and checked.

    Attributes:
        text: The file, as read.
        document: What it says.
        game: The GAN, or the mixture of GANs.
        solver: The solver.
        settings: The table ``[run]``.
        oracle: Who seeks deviations.
        measure: The table ``[measure]``.
        samples: The table ``[samples]``.
        data: What the generator is to imitate, `(N, *data)`.
        quality: What measures the samples: the table ``[quality]``, without which modes that are
            known are counted at every check, and nothing else is measured.
    """

    text: str
    document: Mapping[str, Any]
    game: GAN | Mixed
    solver: Solver[Any]
    settings: Settings
    oracle: Oracle
    measure: Measurement
    samples: Samples
    data: Data
    quality: Quality | None


def read_study(path: str | Path) -> Study:
    """Read and check a study.

    Args:
        path: The TOML file. Folders in it are seen from the current folder.

    Returns:
        The study, its game and solver built.

    Raises:
        UnreadableFile: No such file, or no TOML.
        InvalidInput: No path; or a table, key or value that no study has: it says which, and on
            which line.
    """
    text, document = parsed(as_path("study", path))
    root = Table(str(path), text, "", document)
    root.only("game", "mixture", "solver", "run", "measure", "samples", "quality")
    root.needs("game", "run")
    settings: Settings = root.table("run").call(Settings)
    measure: Measurement = root.table("measure").call(Measurement)
    samples: Samples = root.table("samples").call(Samples)
    oracle = root.table("measure").guarded(
        lambda: GradientOracle(steps=measure.steps, restarts=measure.restarts)
    )
    solver = _solver(root.named("solver")) if "solver" in document else None
    game, data = read_gan(root.table("game"))
    quality = read_quality(root, game, data)
    if "samples" in document and not can_draw(game.data):
        raise root.table("samples").wrong(None, "draws images and points of the plane alone")
    players = read_mixture(game, root.table("mixture")) if "mixture" in document else game
    method = solver or solver_class(players.recommended)()
    reason = method.unsupported(players)
    if reason is not None:
        if players is game and method.unsupported(Mixed(game, (1, 1))) is None:
            reason = (
                "it moves mixtures; add a table [mixture], with generators = 3 and "
                "discriminators = 3"
            )
        raise root.table("solver").wrong("name", f"cannot take this game: {reason}")
    return Study(
        text, document, players, method, settings, oracle, measure, samples, game.data, quality
    )


def parsed(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of a TOML file, and what it says, not yet checked; nothing is built."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors write a mark of byte order
        return text, tomllib.loads(text)
    except OSError as error:
        raise UnreadableFile(f"Cannot read the study {path}: {error.strerror}.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UnreadableFile(f"{path} is no TOML file: {error}.") from error


# -- solvers -------------------------------------------------------------------------------------


def _solver(table: Table) -> Solver[Any]:
    kind = solver_class(table.name_among(available_solvers(), "solver"))
    method: Solver[Any] = table.call(kind, parts=PARTS)
    return method


def _rule(table: Table) -> Rule:
    if "name" not in table.values and set(PLAYERS) & set(table.values):
        table.only(*PLAYERS)
        table.needs(*PLAYERS)
        return PerPlayer(*(_rule(table.named(player)) for player in PLAYERS))
    name = table.name_among([*RULES, *OPTIMIZERS], "rule")
    if name in RULES:
        rule: Rule = table.call(RULES[name], parts=PARTS)
        return rule
    kind = OPTIMIZERS[name]
    options = table.arguments(kind, given=("params",))
    optimizer: Rule = table.guarded(lambda: TorchOptimizer(kind, options))
    return optimizer


def _schedule(table: Table) -> Any:
    return table.call(SCHEDULES[table.name_among(SCHEDULES, "schedule")])


def _oracle(table: Table) -> Oracle:
    oracle: Oracle = table.call(GradientOracle, parts=PARTS)
    return oracle


PARTS: dict[Any, Callable[[Table], Any]] = {
    Solver: _solver,
    Rule: _rule,
    Oracle: _oracle,
    Callable: _schedule,
}
"""What reads an argument of such a type from a table."""
