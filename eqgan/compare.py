"""Compare solvers on games, at equal numbers of gradient evaluations and from the same starts.

A step of one method may cost two gradients and a step of another none, so steps are no fair
currency; joint gradient evaluations are. For one seed every solver starts from the same random
profile, because the conventional start is often the equilibrium itself. Whatever happens to a run
(it diverges, circles, the solver cannot take the game or fails) is a row of the table: no run ends
the others.
"""

from __future__ import annotations

import math
import operator
import pickle
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from eqgan.behaviour import Motion, behaviour
from eqgan.certificate import Certificate, certify, check_oracle
from eqgan.comparison import Comparison, Row, markdown_table
from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.game import Game
from eqgan.games.catalog import named_game
from eqgan.oracle import Oracle
from eqgan.registry import as_solver
from eqgan.result import Result, Status, Trace
from eqgan.run import check_ends, solve
from eqgan.solver import Solver
from eqgan.threads import one_thread
from eqgan.whole import as_whole, is_whole

__all__ = ["Comparison", "Row", "behaviour", "compare", "markdown_table"]

Games: TypeAlias = Mapping[str, Game | str] | Sequence[str]
"""Games by label, or names of the catalog."""

Solvers: TypeAlias = Mapping[str, Solver[Any] | str] | Sequence[Solver[Any] | str]
"""Solvers (instances or registered names) by label, or a list of them."""

GAMES_WANTED = (
    "games should be a mapping of labels to games, such as {'dirac': eqgan.games.DiracGAN()}, or a "
    "list of catalog names"
)


def compare(
    games: Games,
    solvers: Solvers,
    *,
    seeds: Iterable[int] = range(1),
    evaluations: int = 2000,
    start: Literal["random", "initial"] = "random",
    tol: float = 1e-6,
    oracle: Oracle | None = None,
    checks: int = 100,
    time_limit: float | None = None,
    n_jobs: int | None = None,
    progress: bool = False,
) -> Comparison:
    """Run every solver on every game, from the same starts and for equal numbers of gradients.

    Each run may take ``evaluations // solver.evaluations(game)`` steps; a direct method, which
    evaluates no gradients, takes one. A method whose inner loops end early gets no more steps for
    it; its row tells what it evaluated. Runs end early when the tolerance is reached. Equal
    arguments give equal rows but for `seconds`, whatever `n_jobs` is.

    Args:
        games: Games by label, or a list of catalog names.
        solvers: Registered names or `Solver` instances, listed or by label. A listed name is its
            own label; an instance is called by its class.
        seeds: One run for each; the seed makes the start and the samples.
        evaluations: Joint gradients that each run may evaluate.
        start: ``"random"``, `game.random` with a generator seeded by each seed, or ``"initial"``,
            the game's conventional start (there seeds matter only to stochastic games).
        tol: Gap, relative to `game.scale`, at which a run has converged.
        oracle: Measures the gap at the end of every run where it is not exactly known. By default
            gaps are measured where that is cheap (during the runs too); networks, whose gap takes
            a search by gradients, stay unmeasured until you pass one, such as
            ``eqgan.GradientOracle()``.
        checks: How often, about, each run is measured.
        time_limit: Wall-clock limit of each run in seconds; such runs depend on the machine.
        n_jobs: Processes, as joblib counts them (-1: one a core). By default one, or what
            `joblib.parallel_config` says. A process takes seconds to start; every run uses one
            thread.
        progress: Show a progress bar on standard error.

    Returns:
        The table and the traces.

    Raises:
        InvalidInput: Arguments that make no sense, before anything runs.
        UnknownName: No such game or solver, before anything runs.

    Example:
        >>> import eqgan
        >>> games = {"f = xy": eqgan.games.Bilinear([[1.0]])}
        >>> table = compare(games, ["simultaneous_gradient", "extragradient"], seeds=range(3))
        >>> [(line.solver, line.behaviour) for line in table.summary()]
        [('simultaneous_gradient', 'diverging'), ('extragradient', 'converged')]
    """
    _check_options(evaluations, start, tol, oracle, checks, time_limit, n_jobs)
    named_seeds = _as_seeds(seeds)
    labelled_games = _label_games(games)
    labelled_solvers = _label_solvers(solvers)
    tasks = [
        _Task(g, s, seed, game, as_solver(solver, game), evaluations, start, tol, oracle, checks,
              time_limit)
        for g, game in labelled_games.items()
        for s, solver in labelled_solvers.items()
        for seed in named_seeds
    ]  # fmt: skip
    _check_budget(tasks)
    outcomes = sorted(_outcomes(tasks, n_jobs, progress), key=operator.itemgetter(0))
    return Comparison(
        rows=[row for _, row, _ in outcomes],
        traces={(row.game, row.solver, row.seed): trace for _, row, trace in outcomes},
    )


# -- arguments ---------------------------------------------------------------------------------


def _check_options(
    evaluations: int,
    start: str,
    tol: float,
    oracle: Oracle | None,
    checks: int,
    time_limit: float | None,
    n_jobs: int | None,
) -> None:
    as_whole("evaluations", evaluations, 1)
    as_whole("checks", checks, 1)
    if start not in ("random", "initial"):
        raise InvalidInput(f"start should be 'random' or 'initial'; got {start!r}.")
    check_ends(tol, time_limit)
    check_oracle(oracle)
    if n_jobs is not None and not (is_whole(n_jobs) and n_jobs != 0):
        raise InvalidInput(
            f"n_jobs should be a number of processes, or -1 for all; got {n_jobs!r}."
        )


def _as_seeds(seeds: Iterable[int]) -> list[int]:
    wanted = "seeds should be distinct whole numbers >= 0, such as range(5)"
    if not isinstance(seeds, Iterable):
        raise InvalidInput(f"{wanted}; got {seeds!r}.")
    found = list(seeds)
    if not (found and all(is_whole(seed, 0) for seed in found)) or len(set(found)) < len(found):
        raise InvalidInput(f"{wanted}; got {found}.")
    return [int(seed) for seed in found]


def _label_games(games: Games) -> dict[str, Game]:
    if isinstance(games, Mapping):
        labelled = {str(k): named_game(v) if isinstance(v, str) else v for k, v in games.items()}
    elif isinstance(games, Sequence) and not isinstance(games, str):
        pairs = [(x, named_game(x)) if isinstance(x, str) else ("", x) for x in games]
        labelled = _distinct("games", pairs)
    else:
        raise InvalidInput(f"{GAMES_WANTED}; got {games!r}.")
    for label, game in labelled.items():
        if not (label and isinstance(game, Game)):
            raise InvalidInput(f"{GAMES_WANTED}; got {game!r}.")
    if not labelled:
        raise InvalidInput("games should hold at least one game; got none.")
    return labelled


def _label_solvers(solvers: Solvers) -> dict[str, Solver[Any] | str]:
    if isinstance(solvers, Mapping):
        labelled = {str(k): v for k, v in solvers.items()}
    elif isinstance(solvers, Sequence) and not isinstance(solvers, str):
        kinds = Counter(type(x) for x in solvers)
        labelled = _distinct("solvers", [(_solver_label(x, kinds), x) for x in solvers])
    else:
        raise InvalidInput(
            "solvers should be a list of names or Solver instances, or a mapping of labels to "
            f"them; got {solvers!r}."
        )
    if not labelled:
        raise InvalidInput("solvers should hold at least one solver; got none.")
    return labelled


def _solver_label(solver: Solver[Any] | str, kinds: Mapping[type, int]) -> str:
    if isinstance(solver, str):
        return solver
    return type(solver).__name__ if kinds[type(solver)] == 1 else repr(solver)


def _distinct(what: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    for label, count in Counter(label for label, _ in pairs).items():
        if count > 1 and label:
            raise InvalidInput(
                f"{count} of the {what} are called {label!r}; give each a label of its own in a "
                "mapping."
            )
    return dict(pairs)


def _check_budget(tasks: Sequence[_Task]) -> None:
    for task in tasks:
        try:
            short = task.method.unsupported(task.problem) is None and task.steps() < 1
            cost = task.method.evaluations(task.problem)
        except Exception:
            continue  # A third party's fault, which becomes that run's row.
        if short:
            raise InvalidInput(
                f"evaluations={task.evaluations} pays for no step of {task.solver} on {task.game}, "
                f"which takes {cost:g}; raise it."
            )


# -- running -----------------------------------------------------------------------------------

Outcome: TypeAlias = tuple[int, Row, Trace]


@dataclass(frozen=True)
class _Task:
    """One run to do: labels and seed, and everything a process needs for it."""

    game: str
    solver: str
    seed: int
    problem: Game
    method: Solver[Any]
    evaluations: int
    start: str
    tol: float
    oracle: Oracle | None
    checks: int
    time_limit: float | None

    def steps(self) -> int:
        cost = self.method.evaluations(self.problem)
        return int(self.evaluations // cost) if cost > 0 else 1


def _outcomes(tasks: Sequence[_Task], n_jobs: int | None, progress: bool) -> Iterator[Outcome]:
    from joblib import Parallel, delayed
    from rich.console import Console
    from rich.progress import track

    # Only the bar needs outcomes one by one, which not every joblib backend can give.
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered" if progress else "list")
    try:
        yield from track(
            parallel(delayed(_run)(index, task) for index, task in enumerate(tasks)),
            description=f"{len(tasks)} runs",
            total=len(tasks),
            console=Console(stderr=True),
            transient=True,
            disable=not progress,
        )
    except pickle.PicklingError as error:
        raise InvalidInput(
            "A game or solver cannot be sent to another process, because it holds something that "
            "cannot be pickled (an open file, a generator); use n_jobs=1."
        ) from error


def _run(index: int, task: _Task) -> Outcome:
    with one_thread():
        try:
            return (index, *_measured(task))
        except UnsupportedGame as error:
            row = _failure(task, "UNSUPPORTED", str(error))
        # Solvers and games are anyone's code: no failure may cost the other runs.
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            row = _failure(task, "ERROR", text)
    return index, row, Trace()


def _failure(task: _Task, status: str, message: str) -> Row:
    return Row(
        game=task.game,
        solver=task.solver,
        seed=task.seed,
        status=status,
        behaviour=status.lower(),
        nash_conv=math.nan,
        exact=False,
        distance=math.nan,
        evaluations=0.0,
        steps=0,
        seconds=0.0,
        message=message,
    )


def _measured(task: _Task) -> tuple[Row, Trace]:
    result = _solved(task)
    if result.status is Status.STOPPED:
        # `solve` turns Ctrl-C into a result; here it should end all runs, not one of many.
        raise KeyboardInterrupt
    proof, note = _certificate(task, result)
    gap, exact = math.nan, False
    if proof is not None:
        gap, exact = float(proof.lower.sum(0).max()), proof.exact
        result.trace[-1].setdefault("nash_conv", gap)
        result.trace[-1].setdefault("nash_conv_upper", float(proof.upper.sum(0).max()))
    monotone = task.problem.monotone
    row = Row(
        game=task.game,
        solver=task.solver,
        seed=task.seed,
        status=result.status.name,
        behaviour=behaviour(result.trace, result.status, monotone=monotone),
        nash_conv=gap,
        exact=exact,
        distance=result.trace[-1].get("distance", math.nan),
        evaluations=result.evaluations,
        steps=result.steps,
        seconds=result.seconds,
        message=result.message + note,
    )
    return row, result.trace


def _solved(task: _Task) -> Result:
    game = task.problem
    rng = game.generator(task.seed)
    begin = game.random(rng) if task.start == "random" else game.initial(rng)
    steps = task.steps()
    return solve(
        game,
        task.method,
        init=begin,
        max_steps=steps,
        tol=task.tol,
        # An odd number: an orbit of even period must not look like standing still.
        check_every=max(1, steps // task.checks) | 1,
        callbacks=[Motion(game)],
        time_limit=task.time_limit,
        seed=task.seed,
    )


def _certificate(task: _Task, result: Result) -> tuple[Certificate | None, str]:
    known = result.known
    settled = known is not None and known.exact
    if task.oracle is None or settled or result.status is Status.DIVERGED:
        return known, ""
    reason = task.oracle.unsupported(task.problem)
    if reason is not None:
        return known, f" ({type(task.oracle).__name__} cannot measure this game: {reason})"
    return certify(task.problem, result.profile, task.oracle, seed=task.seed), ""
