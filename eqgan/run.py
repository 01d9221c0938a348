"""`solve`: the one call that runs every solver on every game."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from eqgan.allocator import keep_freed_memory
from eqgan.certificate import check_oracle
from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.game import Game
from eqgan.loop import Callback, Run
from eqgan.memory import explains_shortage
from eqgan.oracle import Oracle
from eqgan.paths import as_path
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.registry import as_solver
from eqgan.result import Result
from eqgan.solver import Solver
from eqgan.spaces import Space
from eqgan.whole import as_whole


# Solving needs gradients, wherever the caller has turned them off; this turns them on.
@torch.inference_mode(False)
@explains_shortage
def solve(
    game: Game,
    solver: str | Solver[Any] = "auto",
    *,
    init: Profile | Sequence[Any] | None = None,
    state: Any = None,
    max_steps: int = 10_000,
    tol: float = 1e-6,
    oracle: Oracle | None = None,
    check_every: int | None = None,
    callbacks: Sequence[Callback] = (),
    time_limit: float | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Result:
    """Run a solver on a game until an equilibrium is proved, or a limit comes.

    The run ends CONVERGED when the certificate proves a NashConv of at most `tol * game.scale`, for
    every game of a batch. Where only a
    lower bound is to be had and losses are exact, it ends CONVERGED when that bound and the
    natural residual are at most `tol`, and `message` says that this is a stationary point.
    Stochastic games (networks) never end CONVERGED: nothing is proved on the way.

    Args:
        game: The game.
        solver: A registered name, ``"auto"`` (the game recommends one), or a `Solver` instance.
        init: Where to start; by default `game.initial`.
        state: A solver's memory to go on from, with `init` the profile that belongs to it.
        max_steps: Most solver steps.
        tol: Gap at which to stop, relative to `game.scale`; 0 to run on. The scale is half the
            range of a matrix game's payoffs, as if they lay in [-1, 1], and 1 for other games.
        oracle: How gaps are measured; by default the strongest that serves the game, during the
            run if it is cheap. An oracle given here runs at every check, whatever it costs.
        check_every: Steps between checks; by default a hundredth of `max_steps`.
        callbacks: Called after each check with a `Progress`; returned numbers join the trace.
        time_limit: Wall-clock limit in seconds, looked at between steps, and within those of
            ``"rational"``; other direct methods take one step, however long.
        seed: Seed of samples and restarts; equal seeds give equal bits.
        device: Move the game first; ``"auto"`` takes a GPU when there is one.
        checkpoint: File that the run is saved to.
        checkpoint_every: Steps between saves; by default every check.
        resume: Go on from `checkpoint` if it exists, bit-equal to an unbroken run.
        progress: Show a progress bar on the terminal.

    Returns:
        The result. Its `certificate` says how far `profile` is from equilibrium.

    Raises:
        InvalidInput: Arguments that make no sense, or a start that does not fit the game.
        UnknownName: No such solver.
        UnsupportedGame: The solver cannot take this game; the message says why.
        CheckpointError: The checkpoint is damaged or belongs to another run.
        OutOfMemory: The run needs more than there is; the message says how many atoms of a mixture
            would fit.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.MatrixGame([[2, -1], [-1, 1]])
        >>> result = eqgan.solve(game)
        >>> result.status.name, round(result.value, 6), result.certificate.exact
        ('CONVERGED', 0.2, True)
    """
    if not isinstance(game, Game):
        raise InvalidInput(
            f"solve expects a game, such as eqgan.games.MatrixGame(A); got {type(game).__name__}."
        )
    _check_spaces(game)
    seed, max_steps = as_whole("seed", seed, 0), as_whole("max_steps", max_steps, 0)
    _check_limits(tol, check_every, time_limit, checkpoint, checkpoint_every, resume)
    check_oracle(oracle, game)
    _check_callbacks(callbacks)
    start = None if init is None else game.as_profile(init, "init")
    if device is not None:
        game = game.to(_as_device(device))
    method = as_solver(solver, game)
    reason = method.unsupported(game)
    if reason is not None:
        raise UnsupportedGame(f"{type(method).__name__} cannot take this game: {reason}.")
    keep_freed_memory()
    rng = game.generator(seed)
    z = game.initial(rng) if start is None else start.to(game.device)
    game.check_losses(z)
    run = Run(
        game=game,
        solver=method,
        z=z,
        state=_memory(method.init(game, z), state, method),
        rng=rng,
        seed=seed,
        max_steps=max_steps,
        tol=tol,
        oracle=oracle,
        check_every=check_every or max(1, max_steps // 100),
        callbacks=list(callbacks),
        time_limit=math.inf if time_limit is None else time_limit,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        checkpoint_every=checkpoint_every or check_every or max(1, max_steps // 100),
    )
    if resume and run.checkpoint is not None and run.checkpoint.exists():
        run.restore()
    if progress:
        from eqgan.progress import progress_bar

        with progress_bar(type(method).__name__, max_steps) as callback:
            run.callbacks.append(callback)
            return run.finish(run.loop())
    return run.finish(run.loop())


def _memory(fresh: Any, given: Any, method: Solver[Any]) -> Any:
    """Return the memory to begin with: the one given, if it is of the method's kind."""
    if given is None:
        return fresh
    if type(given) is not type(fresh):
        raise InvalidInput(
            f"state should be {type(method).__name__}'s own memory, a {type(fresh).__name__}, such "
            f"as the .state of an earlier result by it; got a {type(given).__name__}."
        )
    return given


def _as_device(device: torch.device | str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    wanted = f"device should be 'cpu', 'cuda' or 'auto'; got {device!r}."
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InvalidInput(wanted) from error
    if found.type not in ("cpu", "cuda"):
        raise InvalidInput(wanted)
    if found.type == "cuda" and not torch.cuda.is_available():
        raise InvalidInput(f"device={str(device)!r}, but torch sees no GPU here; use 'auto'.")
    return found


def _check_spaces(game: Game) -> None:
    spaces = getattr(game, "spaces", None)
    several = isinstance(spaces, Sequence) and len(spaces) == len(game.players)
    if not (several and all(isinstance(space, Space) for space in spaces or ())):
        raise InvalidInput(
            f"{type(game).__name__} should set spaces, the strategies of {len(game.players)} "
            f"players, such as (eqgan.Simplex(3), eqgan.Box((2,), -1, 1)); got {spaces!r}."
        )


def _check_limits(
    tol: float,
    check_every: int | None,
    time_limit: float | None,
    checkpoint: str | Path | None,
    checkpoint_every: int | None,
    resume: bool,
) -> None:
    for name, count in (("check_every", check_every), ("checkpoint_every", checkpoint_every)):
        if count is not None:
            as_whole(name, count, 1)
    check_ends(tol, time_limit)
    if checkpoint is None and (resume or checkpoint_every):
        raise InvalidInput("resume and checkpoint_every need a file: pass checkpoint='run.ckpt'.")
    if checkpoint is not None:
        _check_file(checkpoint)


def check_ends(tol: Any, time_limit: Any) -> None:
    """Raise `InvalidInput` unless a run can end by this tolerance and this time."""
    as_real("tol", tol, "[0, inf)")
    if time_limit is not None:
        as_real("time_limit", time_limit, "(0, inf]")


def _check_callbacks(callbacks: Any) -> None:
    listed = isinstance(callbacks, Sequence)
    if not (listed and all(map(callable, callbacks))):
        raise InvalidInput(
            f"callbacks should be a list of functions that take a Progress; got {callbacks!r}."
        )


def _check_file(checkpoint: Any) -> None:
    path = as_path("checkpoint", checkpoint)
    if path.is_dir():
        raise InvalidInput(f"checkpoint should be a file; {str(checkpoint)!r} is a folder.")
    if path.exists() and not path.is_file():
        raise InvalidInput(
            f"checkpoint should be a file; {str(checkpoint)!r} is a device or the like, which "
            "saving would replace."
        )
    if not path.absolute().parent.is_dir():
        raise InvalidInput(f"The folder of checkpoint={str(checkpoint)!r} does not exist.")
