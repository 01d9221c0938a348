"""The table that `compare` returns: rows, their summary over seeds, and ways to show them."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from eqgan.result import Status, Trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Group

Key: TypeAlias = tuple[str, str, int]
"""Label of the game, label of the solver, seed."""

BOUND_NOTE = "`>=`: only a lower bound on the gap is known; it proves no equilibrium."


@dataclass(frozen=True)
class Row:
    """One run of one solver on one game from one start.

    Attributes:
        game: Label of the game.
        solver: Label of the solver.
        seed: Seed of the start and of the run.
        status: Name of the run's `Status`, ``"UNSUPPORTED"`` (the solver cannot take the game) or
            ``"ERROR"`` (it raised).
        behaviour: ``converged``, ``converging``, ``circling``, ``diverging``, ``stalled`` or
            ``undecided`` (see `behaviour`); ``unsupported`` or ``error`` without a run.
        nash_conv: NashConv of the proposed profile in payoff units, the worst game's for a batch;
            for a run that diverged, of the last finite profile. NaN where it was not measured.
        exact: Whether `nash_conv` is exact; otherwise it is a lower bound, which proves nothing.
        distance: Euclidean distance to `game.equilibrium`, NaN where none is known. Where there
            are several equilibria it need not go to zero.
        evaluations: Joint gradients evaluated.
        steps: Solver steps taken.
        seconds: Wall-clock time of the run, with its checks.
        message: Why the run ended, as a sentence.
    """

    game: str
    solver: str
    seed: int
    status: str
    behaviour: str
    nash_conv: float
    exact: bool
    distance: float
    evaluations: float
    steps: int
    seconds: float
    message: str


@dataclass(frozen=True)
class Summary:
    """The runs of one solver on one game, over all seeds.

    Attributes:
        game: Label of the game.
        solver: Label of the solver.
        runs: Number of seeds.
        behaviour: The runs' behaviour, with counts where they differ.
        converged: Share of the runs whose behaviour is ``converged``, in [0, 1].
        nash_conv: Median NashConv; a run that diverged counts as infinite. NaN if never measured.
        worst: Largest NashConv, counted the same way.
        exact: Whether all those gaps are exact; otherwise they are lower bounds.
        distance: Median distance to the known equilibrium, NaN where none is known.
        evaluations: Median number of joint gradients.
        seconds: Median wall-clock time.
        message: What the first failed run says; empty when none failed.
    """

    game: str
    solver: str
    runs: int
    behaviour: str
    converged: float
    nash_conv: float
    worst: float
    exact: bool
    distance: float
    evaluations: float
    seconds: float
    message: str


@dataclass(frozen=True, repr=False)
class Comparison:
    """What `compare` found.

    Attributes:
        rows: One row for each game, solver and seed, in the order they were given.
        traces: What was measured on the way, by (game, solver, seed); an empty trace where there
            was no run. Beside the columns of `solve` a trace holds ``moved``, the distance between
            the proposals of this check and the last, relative to the norm, and ``distance`` where
            an equilibrium is known.
    """

    rows: Sequence[Row]
    traces: Mapping[Key, Trace]

    def summary(self) -> list[Summary]:
        """Return one line for each game and solver, aggregated over the seeds."""
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            groups.setdefault((row.game, row.solver), []).append(row)
        return [_summarise(rows) for rows in groups.values()]

    def to_markdown(self, *, by_seed: bool = False) -> str:
        """Return a Markdown table, with the failures' reasons under it.

        Args:
            by_seed: One line a run; by default one a game and solver, aggregated over seeds.
        """
        cells, notes = self._cells(by_seed)
        return "\n".join([markdown_table(cells), *(f"\n{note}" for note in notes)])

    def to_csv(self) -> str:
        """Return every row as CSV text with a header."""
        text = io.StringIO()
        names = [field.name for field in dataclasses.fields(Row)]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(dataclasses.asdict, self.rows))
        return text.getvalue()

    def to_frame(self) -> Any:
        """Return every row as a pandas DataFrame.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "to_frame needs pandas: run `pip install pandas`, or take to_csv() instead.",
                name="pandas",
            ) from error
        return pandas.DataFrame([dataclasses.asdict(row) for row in self.rows])

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the gap against gradient evaluations: a panel a game, a line a solver.

        Thin lines are the seeds, the thick one their median. Where gaps are only lower bounds the
        axis says so.

        Args:
            path: Where to write the picture, if anywhere; the suffix gives the format.

        Returns:
            A matplotlib figure.
        """
        from eqgan import plots

        panels: dict[str, dict[str, list[Trace]]] = {}
        for row in self.rows:
            trace = self.traces[row.game, row.solver, row.seed]
            if len(trace):
                panels.setdefault(row.game, {}).setdefault(row.solver, []).append(trace)
        figure = plots.gaps(panels)
        if path is not None:
            figure.savefig(path)
        return figure

    def __repr__(self) -> str:
        games, solvers, seeds = (
            len({getattr(row, name) for row in self.rows}) for name in ("game", "solver", "seed")
        )
        counts = Counter(row.behaviour for row in self.rows)
        found = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        return f"Comparison({games} games x {solvers} solvers x {seeds} seeds: {found})"

    def __rich__(self) -> Group:
        """Return the aggregated tables for a terminal, one a game."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.markup import escape
        from rich.table import Table

        cells, notes = self._cells(by_seed=False)
        shown = ("solver", "behaviour", "NashConv", "distance", "evaluations")
        tables: dict[str, Table] = {}
        for line in cells:
            title = escape(line["game"])
            if title not in tables:
                table = tables[title] = Table(
                    title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False
                )
                table.add_column("solver", overflow="fold")
                table.add_column("behaviour", min_width=12)
                for name in shown[2:]:
                    table.add_column(name, justify="right", overflow="fold")
            tables[title].add_row(*(escape(line[name]) for name in shown))
        return Group(*tables.values(), *map(escape, notes))

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def _cells(self, by_seed: bool) -> tuple[list[dict[str, str]], list[str]]:
        lines: Sequence[Row | Summary] = self.rows if by_seed else self.summary()
        cells = [_row_cells(x) if isinstance(x, Row) else _summary_cells(x) for x in lines]
        bounded = any(not x.exact and not math.isnan(x.nash_conv) for x in lines)
        return cells, [BOUND_NOTE] * bounded + self._failures()

    def _failures(self) -> list[str]:
        """Return one sentence for each reason why a solver failed, with the games it befell."""
        games: dict[tuple[str, str], list[str]] = {}
        for row in self.rows:
            if row.status in ("UNSUPPORTED", "ERROR"):
                games.setdefault((row.solver, row.message), []).append(row.game)
        return [
            f"{solver} on {', '.join(dict.fromkeys(names))}: {message}"
            for (solver, message), names in games.items()
        ]


def markdown_table(rows: Sequence[Mapping[str, object]]) -> str:
    r"""Return rows that share their keys as a Markdown table.

    Args:
        rows: At least one row; the first gives the header.

    Example:
        >>> print(markdown_table([{"game": "a|b", "gap": 0.5}]))
        | game | gap |
        | --- | --- |
        | a\|b | 0.5 |
    """
    head = list(rows[0])
    lines: list[list[object]] = [
        [*head],
        ["---"] * len(head),
        *([row[name] for name in head] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)


def _escaped(cell: object) -> str:
    return str(cell).replace("|", "\\|").replace("\n", " ")


# -- tables ------------------------------------------------------------------------------------


def _summarise(rows: Sequence[Row]) -> Summary:
    counts = Counter(row.behaviour for row in rows)
    names = [name if len(counts) == 1 else f"{name} {n}" for name, n in counts.most_common()]
    measured = [row for row in rows if not math.isnan(row.nash_conv)]
    gaps = [math.inf if row.status == Status.DIVERGED.name else row.nash_conv for row in measured]
    failures = [row.message for row in rows if row.status in ("UNSUPPORTED", "ERROR")]
    return Summary(
        game=rows[0].game,
        solver=rows[0].solver,
        runs=len(rows),
        behaviour=", ".join(names),
        converged=counts["converged"] / len(rows),
        nash_conv=_median(gaps),
        worst=max(gaps, default=math.nan),
        exact=bool(measured) and all(row.exact for row in measured),
        distance=_median([row.distance for row in rows if not math.isnan(row.distance)]),
        evaluations=_median([row.evaluations for row in rows]),
        seconds=_median([row.seconds for row in rows]),
        message=failures[0] if failures else "",
    )


def _median(numbers: Sequence[float]) -> float:
    return statistics.median(numbers) if numbers else math.nan


def _row_cells(row: Row) -> dict[str, str]:
    return {
        "game": row.game,
        "solver": row.solver,
        "seed": str(row.seed),
        "status": row.status,
        "behaviour": row.behaviour,
        "NashConv": _gap_cell(row.nash_conv, row.exact),
        "distance": _cell(row.distance),
        "evaluations": f"{row.evaluations:.0f}",
        "seconds": _cell(row.seconds),
    }


def _summary_cells(line: Summary) -> dict[str, str]:
    return {
        "game": line.game,
        "solver": line.solver,
        "behaviour": line.behaviour,
        "converged": f"{round(line.converged * line.runs)}/{line.runs}",
        "NashConv": _gap_cell(line.nash_conv, line.exact),
        "worst": _gap_cell(line.worst, line.exact),
        "distance": _cell(line.distance),
        "evaluations": f"{line.evaluations:.0f}",
        "seconds": _cell(line.seconds),
    }


def _gap_cell(gap: float, exact: bool) -> str:
    # A run that blew up has no bound worth the sign.
    return _cell(gap) if exact or not math.isfinite(gap) else f">= {_cell(gap)}"


def _cell(number: float) -> str:
    return "-" if math.isnan(number) else f"{number:.3g}"
