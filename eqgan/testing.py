"""A test kit: `check_solver` holds a solver to the laws of `eqgan.laws` on games of every kind.

The library's own solvers pass it, and so should a third party's. What a law says nothing about is
listed with the reason in the report, so that none passes by not being looked at.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from eqgan.errors import InvalidInput, UnknownName, UnsupportedGame
from eqgan.game import Game
from eqgan.games import (
    GAN,
    Bilinear,
    DiracGAN,
    FiniteGAN,
    MatrixGame,
    Mixed,
    NeuralGame,
    QuantalResponse,
    random_game,
    strongly_monotone,
)
from eqgan.gan.networks import mlp
from eqgan.laws import LAWS, Law, NotApplicable, Trial
from eqgan.randomness import seeded
from eqgan.registry import solver_class
from eqgan.run import solve
from eqgan.solver import Solver

__all__ = ["Conformance", "Skipped", "check_solver", "standard_games"]

# -- games of every kind -----------------------------------------------------------------------


def standard_games(device: torch.device | str = "cpu") -> dict[str, Game]:
    """Return a tiny game of every kind, by name.

    Equilibria of the finite games are dyadic fractions, so that the operator there is zero to the
    last bit, and a solver has no rounding noise to run after.

    Args:
        device: Where the games live.

    Example:
        >>> list(standard_games())[:3]
        ['matrix 3 x 3', 'matrix rectangular', 'matrix euclidean']
    """
    cycle = [[0, -1, 1], [1, 0, -2], [-1, 2, 0]]
    known = ([0.5, 0.25, 0.25], [0.5, 0.25, 0.25])
    games: dict[str, Game] = {
        "matrix 3 x 3": MatrixGame(cycle, equilibrium=known, value=0.0),
        "matrix rectangular": MatrixGame(
            [[1, -1, 2], [-1, 1, 2]], equilibrium=([0.5, 0.5], [0.5, 0.5, 0.0]), value=0.0
        ),
        "matrix euclidean": MatrixGame(cycle, geometry="euclidean", equilibrium=known, value=0.0),
        "matrix batch": random_game("normal", (2, 3, 4), seed=1),
        "matrix float32": MatrixGame(torch.tensor(cycle).float(), equilibrium=known, value=0.0),
        "quantal response": _quantal(),
        "bilinear": Bilinear([[1.0, 0.5], [0.0, 1.0]]),
        "strongly monotone": strongly_monotone(2),
        "dirac gan": DiracGAN(),
        "finite gan": FiniteGAN([0.5, 0.25, 0.25]),
        "finite gan wasserstein": FiniteGAN([0.5, 0.25, 0.25], "wasserstein"),
        "mixed dirac gan": _mixed(DiracGAN(regulariser="r1"), (2, 2)),
        "neural": _neural(),
        "gan minimax": _ring_gan("minimax"),
        "gan non-saturating": _ring_gan("non_saturating"),
        "gan wasserstein": _ring_gan("wasserstein"),
        "mixed gan": _mixed(_ring_gan("minimax"), (2, 2)),
    }
    return {name: game.to(device) for name, game in games.items()}


def _quantal() -> QuantalResponse:
    game = QuantalResponse(MatrixGame([[1, -1], [-1, 1]]), temperature=0.5)
    game.equilibrium = game.as_profile(([0.5, 0.5], [0.5, 0.5]))
    return game


def _mixed(base: Game, sizes: tuple[int, int]) -> Mixed:
    mixed = Mixed(base, sizes)
    if base.equilibrium is not None:
        mixed.equilibrium = mixed.uniform([base.equilibrium] * max(sizes))
    return mixed


def _network(sizes: list[int]) -> nn.Module:
    """Return an MLP whose weights do not depend on torch's global generator."""
    network = mlp(sizes, nn.Tanh)
    rng = seeded(len(sizes) + sizes[-1])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=rng))
    return network


def _matching_means(generator: Any, critic: Any, batch: Tensor) -> Tensor:
    gain: Tensor = (critic(batch + 1.0) - critic(generator(batch))).mean()
    penalty: Tensor = critic(batch).square().mean()
    return gain - penalty


def _neural() -> NeuralGame:
    return NeuralGame(
        _network([1, 3, 1]),
        _network([1, 3, 1]),
        _matching_means,
        sample=lambda rng: torch.randn(8, 1, generator=rng, device=rng.device),
    )


def _ring_gan(objective: str) -> GAN:
    angles = torch.arange(8) * (math.tau / 8)
    ring = torch.stack((angles.cos(), angles.sin()), dim=1)
    return GAN(_network([2, 4, 2]), _network([2, 4, 1]), ring, 2, objective, batch_size=8)


# -- the report --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Skipped:
    """A law that was not held against a solver on a game, and why."""

    law: str
    game: str
    reason: str


@dataclass
class Conformance:
    """What `check_solver` found.

    Attributes:
        solver: The solver's repr.
        accepted: Names of the games that it takes.
        refused: The others, with the solver's reason.
        passed: Pairs of a law and a game (of a law and the solver itself: `""`).
        skipped: Laws that say nothing about a game, or that the caller exempted.
    """

    solver: str
    accepted: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    passed: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"{self.solver}: {len(self.passed)} checks passed, {len(self.skipped)} skipped",
            f"  accepts {', '.join(self.accepted)}",
        ]
        lines += [f"  refuses {game}: {reason}" for game, reason in self.refused.items()]
        places: dict[tuple[str, str], list[str]] = {}
        for s in self.skipped:
            places.setdefault((s.law, s.reason), []).append(s.game)
        lines += [
            f"  skips '{law}' ({reason}) on {', '.join(games)}"
            for (law, reason), games in places.items()
        ]
        return "\n".join(lines)


def check_solver(
    solver: str | Solver[Any] | type[Solver[Any]],
    games: Mapping[str, Game] | None = None,
    *,
    exempt: Mapping[str, str] | None = None,
    steps: int = 12,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Conformance:
    """Assert that a solver keeps every law on every kind of game that it accepts.

    Args:
        solver: A registered name, a class (built with its defaults), or an instance.
        games: Games by name; by default `standard_games`.
        exempt: Names of laws that the method breaks by its nature, each with the reason. A law
            that is exempted and holds nevertheless is a failure: the exemption is out of date.
        steps: Length of the runs; a quarter of it on stochastic games, which cost more.
        seed: Seed of the runs.
        device: Where the games are played.

    Returns:
        The report.

    Raises:
        AssertionError: A law is broken; the sentence names the law, the solver and the game.

    Example:
        >>> report = check_solver("extragradient", {"dirac": DiracGAN()})
        >>> report.accepted, report.skipped[0].law
        (['dirac'], 'a batch equals its games one by one')
    """
    method = _instance(solver)
    report = Conformance(repr(method))
    exempt = _checked_exemptions(exempt or {})
    _check_itself(method, report)
    for name, game in (standard_games() if games is None else games).items():
        game = game.to(device)
        if not _accepts(method, game, name, report):
            continue
        length = max(2, steps // 4) if game.stochastic else steps
        trial = Trial(method, game, length, seed)
        for law in LAWS:
            _hold(law, trial, name, exempt, report)
    if not report.accepted:
        raise AssertionError(f"{report.solver} accepts none of the games: {report.refused}.")
    _check_exemptions(exempt, report)
    return report


def _instance(solver: str | Solver[Any] | type[Solver[Any]]) -> Solver[Any]:
    if isinstance(solver, Solver):
        return solver
    return (solver_class(solver) if isinstance(solver, str) else solver)()


def _title(law: Law) -> str:
    return law.__name__.replace("_", " ")


def _hold(
    law: Law, trial: Trial, game: str, exempt: Mapping[str, str], report: Conformance
) -> None:
    title = _title(law)
    try:
        law(trial)
    except NotApplicable as reason:
        report.skipped.append(Skipped(title, game, str(reason)))
    except AssertionError as broken:
        if title not in exempt:
            raise _broken(title, report.solver, game, str(broken)) from broken
        report.skipped.append(Skipped(title, game, exempt[title]))
    except Exception as error:
        detail = f"{type(error).__name__}: {error}".rstrip(".")
        raise _broken(title, report.solver, game, detail) from error
    else:
        report.passed.append((title, game))


def _broken(law: str, solver: str, game: str, detail: str) -> AssertionError:
    place = f" on {game!r}" if game else ""
    return AssertionError(f"{solver} breaks the law {law!r}{place}: {detail}.")


# -- what a solver is, whatever the game ---------------------------------------------------------


def _check_itself(solver: Solver[Any], report: Conformance) -> None:
    for law in (_is_a_frozen_dataclass, _has_a_useful_repr, _can_be_pickled):
        title = law.__name__.replace("_", " ").strip()
        try:
            law(solver)
        except AssertionError as broken:
            raise _broken(title, repr(solver), "", str(broken)) from broken
        report.passed.append((title, ""))


def _is_a_frozen_dataclass(solver: Solver[Any]) -> None:
    # Looked up in the class itself: without a decorator of its own, a subclass keeps its parent's
    # repr and comparison, which know nothing of its fields.
    parameters = vars(type(solver)).get("__dataclass_params__")
    assert parameters is not None, f"decorate {type(solver).__name__} with @dataclass(frozen=True)"
    assert parameters.frozen, f"{type(solver).__name__} is not frozen"


def _has_a_useful_repr(solver: Solver[Any]) -> None:
    text = repr(solver)
    assert text.startswith(f"{type(solver).__name__}("), f"its repr is {text}"
    assert " object at 0x" not in text, f"a hyper-parameter has no repr of its own: {text}"


def _can_be_pickled(solver: Solver[Any]) -> None:
    try:
        copy = pickle.loads(pickle.dumps(solver))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AssertionError(f"{error}; `compare` sends solvers to other processes") from error
    assert repr(copy) == repr(solver), f"a copy by pickle is {copy!r}"


# -- what it accepts -----------------------------------------------------------------------------

REFUSAL = "unsupported is none or a sentence that solve raises"


def _accepts(solver: Solver[Any], game: Game, name: str, report: Conformance) -> bool:
    reason = solver.unsupported(game)
    if reason is None:
        report.accepted.append(name)
        report.passed.append((REFUSAL, name))
        return True
    problem = _problem_of_refusal(solver, game, reason)
    if problem is not None:
        raise _broken(REFUSAL, report.solver, name, problem)
    report.refused[name] = reason
    report.passed.append((REFUSAL, name))
    return False


def _problem_of_refusal(solver: Solver[Any], game: Game, reason: object) -> str | None:
    if not isinstance(reason, str) or len(reason.split()) < 3:
        return f"unsupported returned {reason!r}, which tells the user nothing"
    if reason.endswith("."):
        return f"the reason is put into a sentence and should not end in a full stop: {reason!r}"
    try:
        solve(game, solver, max_steps=1)
    except UnsupportedGame as error:
        return None if reason in str(error) else f"solve raised without the reason: {error}"
    return f"solve took a game of which unsupported said: {reason}"


# -- exemptions ----------------------------------------------------------------------------------


def _checked_exemptions(exempt: Mapping[str, str]) -> dict[str, str]:
    known = [_title(law) for law in LAWS]
    titles = {law.replace("_", " "): reason for law, reason in exempt.items()}
    for title, reason in titles.items():
        if title not in known:
            raise UnknownName.of("law", title, known)
        if not reason.strip():
            raise InvalidInput(f"The exemption from {title!r} needs a reason.")
    return titles


def _check_exemptions(exempt: Mapping[str, str], report: Conformance) -> None:
    used = {s.law for s in report.skipped if s.reason == exempt.get(s.law)}
    for title in exempt.keys() - used:
        raise AssertionError(
            f"{report.solver} keeps the law {title!r} on every game: drop its exemption."
        )
