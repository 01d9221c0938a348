"""What `compare` returns: summary, tables, frames and pictures."""

from __future__ import annotations

import csv
import dataclasses
import io
import sys
from typing import Any

import pytest
from rich.console import Console

from eqgan import Comparison, InvalidInput, compare
from eqgan.comparison import markdown_table

SOLVERS = ["simultaneous_gradient", "alternating_gradient", "extragradient", "linear_program"]


@pytest.fixture(scope="module")
def table() -> Comparison:
    games = ["bilinear", "rock_paper_scissors"]
    return compare(games, SOLVERS, seeds=range(3), evaluations=200)


def test_the_summary_is_the_median_over_seeds(table: Comparison) -> None:
    lines = table.summary()
    assert len(lines) == 8
    for line in lines:
        rows = [r for r in table.rows if (r.game, r.solver) == (line.game, line.solver)]
        assert line.runs == len(rows) == 3
        if all(row.status in ("CONVERGED", "MAX_STEPS") for row in rows):
            assert line.nash_conv == sorted(row.nash_conv for row in rows)[1]
            assert line.worst == max(row.nash_conv for row in rows)
            assert line.exact == (line.game == "rock_paper_scissors")


def test_mixed_verdicts_are_counted() -> None:
    rows = [
        dataclasses.replace(compare(["blotto"], ["extragradient"], evaluations=4).rows[0],
                            seed=seed, behaviour=verdict)
        for seed, verdict in enumerate(["stalled", "circling", "circling"])
    ]  # fmt: skip
    line = Comparison(rows, {}).summary()[0]
    assert line.behaviour == "circling 2, stalled 1"


def test_markdown_has_a_line_a_pair_or_a_run(table: Comparison) -> None:
    lines = table.to_markdown().splitlines()
    assert sum(line.startswith("| bilinear") for line in lines) == 4
    runs = table.to_markdown(by_seed=True).splitlines()
    assert sum(line.startswith("| bilinear") for line in runs) == 12
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    reasons = [line for line in lines if "only a MatrixGame" in line]
    assert reasons == [
        "linear_program on bilinear: LinearProgram cannot take this game: only a MatrixGame is a "
        "linear program."
    ]
    assert table._repr_markdown_() == table.to_markdown()


def test_markdown_escapes_what_would_break_the_table() -> None:
    text = markdown_table([{"a": "x|y", "b": "1\n2"}])
    assert text.splitlines()[2] == "| x\\|y | 1 2 |"


def test_csv_and_frame_hold_every_row(table: Comparison) -> None:
    read = list(csv.DictReader(io.StringIO(table.to_csv())))
    frame = table.to_frame()
    assert len(read) == len(frame) == len(table.rows) == 24
    assert [float(row["nash_conv"]) for row in read] == pytest.approx(
        [row.nash_conv for row in table.rows], nan_ok=True
    )
    assert list(frame.columns) == list(read[0])


def test_a_missing_pandas_is_named(table: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match="pip install pandas"):
        table.to_frame()


def test_the_terminal_shows_a_table_a_game(table: Comparison) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table)
    text = console.export_text()
    assert text.count("evaluations") == 2
    assert "simultaneous_gradient" in text
    assert "…" not in text
    assert repr(table).startswith("Comparison(2 games x 4 solvers x 3 seeds: ")


def test_the_plot_has_a_panel_a_game(table: Comparison, tmp_path: Any) -> None:
    figure = table.plot(tmp_path / "gap.png")
    assert (tmp_path / "gap.png").stat().st_size > 10_000
    assert [axes.get_title() for axes in figure.axes] == ["bilinear", "rock_paper_scissors"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["NashConv, lower bound", "NashConv"]


def test_a_plot_of_nothing_says_so() -> None:
    with pytest.raises(InvalidInput, match="no run took place"):
        compare(["bilinear"], ["linear_program"]).plot()


def test_lower_bounds_are_marked_and_exact_gaps_are_not() -> None:
    table = compare(["dirac_gan", "blotto"], ["extragradient"], evaluations=20)
    _, _, dirac, blotto, *rest = table.to_markdown().splitlines()
    assert ">= " in dirac
    assert ">= " not in blotto
    assert any("proves no equilibrium" in line for line in rest)
    only_exact = compare(["blotto"], ["extragradient"], evaluations=20).to_markdown()
    assert ">=" not in only_exact
