"""The command line: ``eqgan solve``, ``train``, ``compare``, ``demo``, ``solvers`` and ``games``.

Tables and messages are for people; ``--json`` prints one strictly valid JSON document and nothing
else. Exit codes are for scripts and stand in ``eqgan --help``.
"""

from __future__ import annotations

import contextlib
import functools
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eqgan.terminal import print_json, print_result, print_table, result_document, table_of

if TYPE_CHECKING:
    from eqgan.compare import Comparison
    from eqgan.game import Game
    from eqgan.recorder import Recorder
    from eqgan.result import Result

OK, UNFINISHED, MISUSE = 0, 1, 2

EXACT = "rational"
"""The solver that answers in fractions."""

COMPARISON_WIDTH = 116
"""Columns that a comparison needs to show every number whole."""

SEEDS = click.IntRange(0, 2**63 - 1)
"""What torch takes as a seed."""

MANY = 200
"""Numbers in a profile, up to which one thread is fastest."""

Command = TypeVar("Command", bound=Callable[..., Any])


def one_line_errors(command: Command) -> Command:
    """Make `command` report an `EqganError` as one line on standard error, with exit code 2."""

    @functools.wraps(command)
    def guarded(*args: Any, **options: Any) -> Any:
        from eqgan.errors import EqganError

        try:
            return command(*args, **options)
        except EqganError as error:
            click.echo(f"Error: {' '.join(str(error).split())}", err=True)
            sys.exit(MISUSE)

    return guarded  # type: ignore[return-value]


@click.group()
@click.version_option(package_name="eqgan", prog_name="eqgan")
def main() -> None:
    """Equilibrium solvers for two-player games, from rock/paper/scissors to GANs.

    \b
    Exit codes:
      0  the tolerance was reached, or the command did what it was asked
         (train: all steps were taken)
      1  the run ended without reaching the tolerance (step limit, time limit,
         stopped, diverged; train: before all steps were taken)
      2  wrong usage, or an input that cannot be used; one line says why
    """  # noqa: D301  (click wants the character \\b, which keeps it from joining lines)


# -- solve ---------------------------------------------------------------------------------------


@main.command()
@click.argument("game")
@click.option("--solver", default="auto", help="A name from `eqgan solvers`, or auto.")
@click.option("--exact", is_flag=True, help="Value and strategies as fractions, proved.")
@click.option(
    "--tol",
    default=1e-6,
    show_default=True,
    help="Gap at which to stop, relative to half the payoffs' range; 0 to run on.",
)
@click.option("--max-steps", default=10_000, show_default=True, help="Most solver steps.")
@click.option("--seed", default=0, show_default=True, type=SEEDS, help="Of samples and restarts.")
@click.option("--time-limit", type=float, help="Wall-clock limit in seconds.")
@click.option("--device", help="cpu, cuda, or auto (a GPU when there is one).")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="File the run is saved to.")
@click.option("--resume", is_flag=True, help="Go on from --checkpoint if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="A picture of the answer (.png, .pdf, .svg); or a folder, for every picture that suits "
    "the run. The paths of three actions show every step, so the run is checked after each.",
)
@click.option("--progress/--no-progress", default=None, help="A bar on standard error.")
@one_line_errors
def solve(game: str, exact: bool, as_json: bool, plot: Path | None, **options: Any) -> None:
    """Solve GAME: a name from `eqgan games`, or a file (.nfg, .csv, .json, .npy, .npz)."""
    import eqgan
    from eqgan.report import make_folder
    from eqgan.threads import one_thread

    if exact:
        options["solver"] = _rational(options["solver"])
    if options["resume"] and options["checkpoint"] is None:
        raise click.BadParameter("--resume goes on from a file: add --checkpoint FILE.")
    _check_device(options["device"])
    folder = plot is not None and (plot.is_dir() or not plot.suffix)
    _check_picture(None if folder else plot)
    if options["progress"] is None:
        options["progress"] = sys.stderr.isatty() and not as_json
    players, path = _game(game), eqgan.Recorder()
    if plot is not None and folder:
        make_folder(plot)
        if not players.batch_shape and _three_actions(players):
            options |= {"callbacks": [path], "check_every": 1}
    with contextlib.nullcontext() if _is_large(players) else one_thread():
        result = eqgan.solve(players, **options)
    drawn = [] if plot is None else _draw(result, path, plot, folder)
    if as_json:
        print_json(result_document(game, result))
    else:
        print_result(game, result, drawn)
    if plot is not None and not drawn:
        raise eqgan.InvalidInput(
            "No picture shows this run: its strategies are not the probabilities of one game's "
            "actions, and it did not measure more than one gap."
        )
    sys.exit(OK if result.status is eqgan.Status.CONVERGED else UNFINISHED)


def _rational(solver: str) -> str:
    """Return the solver that `--exact` asks for."""
    if solver not in ("auto", EXACT):
        raise click.BadParameter(f"--exact solves with {EXACT!r}; leave out --solver {solver}.")
    return EXACT


def _game(spec: str) -> Game:
    """Return the game for a catalog's name or a file's path."""
    from eqgan.games import available_games, named_game
    from eqgan.games.files import load

    looks_like_path = bool(Path(spec).suffix) or len(Path(spec).parts) > 1 or Path(spec).exists()
    return load(spec) if looks_like_path and spec not in available_games() else named_game(spec)


def _is_large(game: Game) -> bool:
    """Say whether torch's threads help more than they get into each other's way."""
    shapes = (space.shape for space in game.spaces)
    parts = (s.values() if isinstance(s, Mapping) else [s] for s in shapes)
    return math.prod(game.batch_shape) * sum(map(math.prod, chain(*parts))) > MANY


def _check_device(device: str | None) -> None:
    import torch

    if device in (None, "auto"):
        return
    try:
        kind = torch.device(str(device)).type
    except RuntimeError:
        kind = "unknown"
    if kind not in ("cpu", "cuda"):
        raise click.BadParameter(f"expected cpu, cuda or auto; got {device!r}.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise click.BadParameter("torch sees no CUDA device here; use --device cpu.")


def _check_picture(path: Path | None) -> None:
    """Refuse a picture that cannot be written before the work, not after it."""
    known = (".png", ".pdf", ".svg")
    if path is None:
        return
    if path.suffix.lower() not in known:
        raise click.BadParameter(f"a picture ends in {', '.join(known)}; got {path.name!r}.")
    if not path.absolute().parent.is_dir():
        raise click.BadParameter(f"the folder {str(path.parent)!r} does not exist.")


def _three_actions(game: Game) -> bool:
    """Say whether a player's mixed strategies are points of a triangle."""
    from eqgan.spaces import Simplex

    return any(isinstance(space, Simplex) and space.n == 3 for space in game.spaces)


def _draw(result: Result, path: Recorder, where: Path, folder: bool) -> list[Path]:
    """Draw all pictures of a run into a folder, or the first into a file; return their paths."""
    from eqgan import plots

    figures = plots.pictures(result, path)
    files = [where / f"{name}.png" for name in figures] if folder else [where][: len(figures)]
    for file, figure in zip(files, figures.values(), strict=False):
        _save(figure, file)
    return files


def _save(figure: Any, path: Path) -> None:
    from eqgan.errors import InvalidInput

    try:
        figure.savefig(path)
    except OSError as error:
        raise InvalidInput(f"Cannot write {path}: {error.strerror}.") from error


# -- train -----------------------------------------------------------------------------------------


@main.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder that the run is kept in; out/ and the study's name by default.",
)
@click.option("--resume", is_flag=True, help="Go on with the run in the folder, if there is one.")
@click.option("--progress/--no-progress", default=None, help="A bar on standard error.")
@one_line_errors
def train(study: Path, out: Path | None, resume: bool, progress: bool | None) -> None:
    """Train the GAN that STUDY, a TOML file, describes; the README shows one.

    Ctrl-C saves the run; --resume goes on from there.
    """
    from eqgan.result import Status
    from eqgan.training import outcome, train

    folder = out or Path("out") / study.stem
    shown = sys.stderr.isatty() if progress is None else progress
    result = train(study, folder, resume=resume, progress=shown)
    table = table_of(study.stem, "", "")
    for name, text in outcome(result).items():
        table.add_row(name, text)
    print_table(table)
    stopped = result.status is Status.STOPPED
    read = "--resume goes on" if stopped else f"read {folder / 'report.md'}"
    click.echo(f"The run is in {folder}; {read}.")
    done = result.status in (Status.MAX_STEPS, Status.CONVERGED)
    sys.exit(OK if done else UNFINISHED)


# -- compare -------------------------------------------------------------------------------------


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="GAMES...")
@click.option("--solvers", help="Names, separated by commas; by default all that take a game.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--evaluations", default=2000, show_default=True, help="Joint gradients a run.")
@click.option("--jobs", default=1, show_default=True, help="Processes, -1 for one a core.")
@click.option("--csv", "form", flag_value="csv", help="Print every run as CSV.")
@click.option("--markdown", "form", flag_value="markdown", help="Print a Markdown table.")
@click.option("--json", "form", flag_value="json", help="Print one JSON document.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the gaps here.")
@click.option("--progress/--no-progress", default=None, help="A bar on standard error.")
@one_line_errors
def compare(
    names: tuple[str, ...],
    solvers: str | None,
    seeds: int,
    evaluations: int,
    jobs: int,
    form: str | None,
    plot: Path | None,
    progress: bool | None,
) -> None:
    """Compare solvers on GAMES (names or files), from the same starts and at equal cost."""
    import eqgan

    _check_picture(plot)
    board = {name: _game(name) for name in names}
    table = eqgan.compare(
        board,
        [name.strip() for name in solvers.split(",")] if solvers else _usable(board.values()),
        seeds=range(seeds),
        evaluations=evaluations,
        n_jobs=jobs,
        progress=sys.stderr.isatty() and form is None if progress is None else progress,
    )
    if plot is not None:
        _save(table.plot(), plot)
    _print_comparison(table, form)


def _usable(board: Iterable[Game]) -> list[str]:
    """Return the names of the solvers that can take at least one of the games."""
    from eqgan.registry import available_solvers, solver_class

    games = list(board)
    return [
        name
        for name in available_solvers()
        if any(solver_class(name)().unsupported(game) is None for game in games)
    ]


def _print_comparison(table: Comparison, form: str | None) -> None:
    from rich.console import Console

    if form == "csv":
        click.echo(table.to_csv(), nl=False)
    elif form == "markdown":
        click.echo(table.to_markdown())
    elif form == "json":
        rows, summary = map(asdict, table.rows), map(asdict, table.summary())
        print_json({"rows": list(rows), "summary": list(summary)})
    else:
        # A narrow terminal would cut numbers; it may wrap the lines instead.
        width = max(Console().width, COMPARISON_WIDTH)
        Console(width=width, highlight=False).print(table)


# -- the lists -----------------------------------------------------------------------------------


@main.command()
@one_line_errors
def solvers() -> None:
    """List the solvers that are installed, other packages' included."""
    from eqgan.registry import available_solvers

    table = table_of("", "solver", "what it does")
    for name in available_solvers():
        table.add_row(name, _first_line(name))
    print_table(table)


def _first_line(name: str) -> str:
    from eqgan.registry import solver_class

    try:
        doc = solver_class(name).__doc__ or "(not documented)"
    except Exception as error:
        # One broken plug-in must not hide the others.
        return f"(cannot be used: {error})"
    return doc.strip().splitlines()[0].split(", :math:")[0].rstrip(".") + "."


@main.command()
@one_line_errors
def games() -> None:
    """List the games that can be named, with their values where known."""
    from eqgan.games import available_games, named_game

    table = table_of("", "name", "game", "known value")
    for name in available_games():
        game = named_game(name)
        table.add_row(name, repr(game), "" if game.value is None else f"{game.value:g}")
    print_table(table)


# -- demo ----------------------------------------------------------------------------------------


@main.command()
@click.option("--out", default="out", show_default=True, type=click.Path(path_type=Path))
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder in MNIST's format, or of pictures."
)
@click.option("--quick", is_flag=True, help="A few seconds: the same studies, hardly trained.")
@one_line_errors
def demo(out: Path, data: Path | None, quick: bool) -> None:
    """Solve four games with one call each, and write a report with pictures."""
    from eqgan.demo import run_demo

    report = run_demo(out, data=data, quick=quick)
    click.echo(f"The report is {report}; its pictures lie beside it.")
