"""Pictures: each holds what it should, says what is a bound, and needs no display."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import eqgan
from eqgan import InvalidInput, Trace, plots

START = ([0.5, 0.3, 0.2], [0.2, 0.2, 0.6])


def trace(values: Any, bound: bool = False, every: float = 10.0) -> Trace:
    return Trace(
        [
            {"evaluations": every * i, "nash_conv": v, "nash_conv_upper": np.inf if bound else v}
            for i, v in enumerate(values)
        ]
    )


def drawn(figure: Figure, tmp_path: Path) -> Figure:
    """Return the figure after it was written: some faults only show then."""
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 2000
    return figure


def labelled(figure: Figure, panel: int = 0) -> dict[str, Any]:
    lines = figure.axes[panel].get_lines()
    return {str(x.get_label()): x for x in lines if not str(x.get_label()).startswith("_")}


# -- gaps ------------------------------------------------------------------------------------------


def test_a_line_a_label_on_a_logarithmic_axis(tmp_path: Path) -> None:
    figure = drawn(plots.gap({"a": trace([1, 0.1, 0.01]), "b": trace([1, 0.5])}), tmp_path)
    (axes,) = figure.axes
    lines = labelled(figure)
    assert set(lines) == {"a", "b"}
    assert lines["a"].get_xdata().tolist() == [0, 10, 20]
    assert lines["a"].get_ydata().tolist() == [1, 0.1, 0.01]
    assert axes.get_yscale() == "log"
    assert axes.get_legend() is not None
    assert lines["a"].get_color() != lines["b"].get_color()


def test_one_result_needs_no_legend() -> None:
    run = eqgan.solve(eqgan.games.rock_paper_scissors(), "fictitious_play", max_steps=50)
    figure = plots.gap(run)
    assert figure.axes[0].get_legend() is None
    assert figure.axes[0].get_ylabel() == "NashConv"


@pytest.mark.parametrize(
    ("bounds", "label"),
    [
        ([False, False], "NashConv"),
        ([True, True], "NashConv, lower bound"),
        ([True, False], "NashConv, some only lower bounds"),
    ],
)
def test_the_axis_says_what_is_only_a_bound(bounds: list[bool], label: str) -> None:
    runs = {str(i): trace([1, 0.5], bound) for i, bound in enumerate(bounds)}
    assert plots.gap(runs).axes[0].get_ylabel() == label


def test_seeds_are_thin_and_their_median_is_thick() -> None:
    runs = [trace([1, 0.5, 0.25]), trace([3, 2.0, 1.0]), trace([2.0, 1e-3])]
    figure = plots.gap({"solver": runs})
    median = labelled(figure)["solver"]
    # The third run ended early and keeps its last gap.
    assert median.get_ydata().tolist() == [2, 0.5, 0.25]
    thin = [x for x in figure.axes[0].get_lines() if x.get_linewidth() < 1]
    assert len(thin) == 3


def test_zeros_are_drawn_on_a_logarithmic_axis(tmp_path: Path) -> None:
    figure = drawn(plots.gap({"a": trace([1.0, 0.0, 0.0])}), tmp_path)
    assert labelled(figure)["a"].get_ydata().min() > 0


def test_a_direct_method_is_a_level_with_its_number() -> None:
    runs = {"lp": trace([1.0, 2e-16], every=0), "other": trace([1.0, 1e-3])}
    figure = plots.gap(runs)
    level = labelled(figure)["lp"].get_ydata()
    assert level[0] == level[1] == pytest.approx(1e-4)
    assert "2e-16" in [text.get_text() for text in figure.axes[0].texts]


def test_rates_of_convergence_are_straight_lines_on_two_logarithmic_axes(tmp_path: Path) -> None:
    steps = [
        {"evaluations": x, "nash_conv": 1 / x, "nash_conv_upper": 1 / x} for x in (1.0, 10, 100)
    ]
    start = {"evaluations": 0.0, "nash_conv": 2.0, "nash_conv_upper": 2.0}
    figure = drawn(plots.gap({"a": Trace([start, *steps])}, "log"), tmp_path)
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_xlim()[0] > 0.5
    dotted = [line for line in axes.get_lines() if line.get_linestyle() == ":"]
    slopes = []
    for line in dotted:
        (x0, x1), (y0, y1) = np.log(line.get_xdata()), np.log(line.get_ydata())
        slopes.append((y1 - y0) / (x1 - x0))
    assert slopes == pytest.approx([-0.5, -1])
    assert [text.get_text() for text in axes.texts] == ["$1/\\sqrt{t}$", "$1/t$"]


def test_what_lies_between_a_lower_and_an_upper_bound_is_shaded() -> None:
    between = Trace(
        [{"evaluations": x, "nash_conv": 1 / x, "nash_conv_upper": 3 / x} for x in (1.0, 2.0)]
    )
    figure = plots.gap({"between": between, "exact": trace([1, 0.5])})
    (axes,) = figure.axes
    (shade,) = axes.collections
    assert shade.get_paths()[0].get_extents().get_points().tolist() == [[1, 0.5], [2, 3]]
    assert axes.get_ylabel() == "NashConv (shaded: to its upper bound)"
    assert not plots.gap({"exact": trace([1, 0.5])}).axes[0].collections


def test_an_axis_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'linear' or 'log'; got 'sqrt'"):
        plots.gap({"a": trace([1, 0.5])}, "sqrt")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="one of evaluations, step, seconds; got 'iterations'"):
        plots.gap({"a": trace([1, 0.5])}, against="iterations")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("against", "label"),
    [("evaluations", "gradient evaluations"), ("step", "steps"), ("seconds", "seconds")],
)
def test_gaps_are_drawn_against_what_they_cost(against: Any, label: str, tmp_path: Path) -> None:
    run = eqgan.solve(
        eqgan.games.oneill(), "extragradient", init=([1, 0, 0, 0], [0, 1, 0, 0]), max_steps=20
    )
    figure = drawn(plots.gap({"a": run}, "log", against), tmp_path)
    assert figure.axes[0].get_xlabel() == label
    assert labelled(figure)["a"].get_xdata().tolist() == run.trace.column(against)
    assert run.trace.column("evaluations") != run.trace.column("step")


def test_lower_bounds_are_told_from_exact_gaps_line_by_line(tmp_path: Path) -> None:
    runs = {"exact": trace([1, 0.5]), "bound": [trace([1, 0.6], bound=True), trace([2.0, 0.1])]}
    figure = drawn(plots.gap(runs), tmp_path)
    lines = labelled(figure)
    assert lines["exact"].get_marker() == "None"
    assert lines["bound"].get_marker() == lines["lower bound"].get_marker() == "^"
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["exact", "bound", "lower bound"]
    ends = [x for x in figure.axes[0].get_lines() if len(x.get_xdata()) == 1]
    assert [end.get_marker() for end in ends] == ["o", "^"]
    assert "lower bound" in labelled(plots.gap(trace([1, 0.5], bound=True)))
    assert "lower bound" not in labelled(plots.gap(runs["exact"]))


def test_rows_without_a_gap_are_left_out() -> None:
    rows = [{"evaluations": 0.0, "value": 1.0}, *trace([0.5, 0.2])]
    figure = plots.gap({"a": Trace(rows)})
    assert labelled(figure)["a"].get_ydata().tolist() == [0.5, 0.2]


def test_many_labels_stand_beside_the_lines(tmp_path: Path) -> None:
    figure = drawn(plots.gap({str(i): trace([1, 0.5]) for i in range(12)}), tmp_path)
    assert figure.axes[0].get_legend() is None
    looks = {(x.get_color(), x.get_linestyle()) for x in labelled(figure).values()}
    assert len(figure.legends[0].get_texts()) == len(looks) == 12


def test_the_legend_of_very_many_labels_is_whole(tmp_path: Path) -> None:
    figure = drawn(plots.gap({str(i): trace([1, 0.5]) for i in range(30)}), tmp_path)
    legend = figure.legends[0].get_window_extent()
    assert legend.y0 >= figure.bbox.y0
    assert legend.y1 <= figure.bbox.y1


def test_panels_share_colours_and_one_legend(tmp_path: Path) -> None:
    panels = {
        "first": {"a": trace([1, 0.5]), "b": trace([1, 0.1])},
        "second": {"b": [trace([1, 0.2], bound=True), trace([2, 0.2], bound=True)]},
        "third": {"a": Trace([{"evaluations": 0.0, "value": 1.0}])},
    }
    figure = drawn(plots.gaps(panels), tmp_path)
    assert [axes.get_title() for axes in figure.axes] == ["first", "second", "third"]
    assert labelled(figure, 0)["b"].get_color() == labelled(figure, 1)["b"].get_color()
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert said == ["a", "b", "lower bound"]
    assert [text.get_text() for text in figure.axes[2].texts] == ["gap not measured"]
    assert figure.axes[1].get_ylabel() == "NashConv, lower bound"


@pytest.mark.parametrize("count", range(1, 8))
def test_there_are_no_empty_panels(count: int) -> None:
    panels = {str(i): {"a": trace([1, 0.5])} for i in range(count)}
    assert len(plots.gaps(panels).axes) == count


# -- paths -----------------------------------------------------------------------------------------


def test_a_panel_a_path_with_shared_square_axes(tmp_path: Path) -> None:
    paths = {"in": torch.tensor([[1.0, 1.0], [0.5, 0.0]]), "out": [[1.0, 1.0], [4.0, -1.0]]}
    figure = drawn(plots.trajectories(paths), tmp_path)
    assert [axes.get_title() for axes in figure.axes] == ["in", "out"]
    limits = {(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}
    ((x, y),) = limits
    assert x[1] - x[0] == pytest.approx(y[1] - y[0])
    assert x[0] < 0
    assert x[1] > 4
    assert labelled(figure, 1)["end"].get_xydata().tolist() == [[4.0, -1.0]]
    assert labelled(figure, 1)["equilibrium"].get_xydata().tolist() == [[0.0, 0.0]]


def test_a_path_of_one_point_has_no_pieces(tmp_path: Path) -> None:
    figure = drawn(plots.trajectories({"still": [[1.0, 1.0]]}, equilibrium=None), tmp_path)
    assert set(labelled(figure)) == {"start", "end"}


@pytest.mark.parametrize("path", [[1.0, 2.0], np.zeros((3, 3)), np.zeros((0, 2))])
def test_paths_are_points_in_the_plane(path: Any) -> None:
    with pytest.raises(InvalidInput, match=r"The path 'p' should have shape \(n, 2\)"):
        plots.trajectories({"p": path})


# -- samples ---------------------------------------------------------------------------------------


def test_samples_lie_over_the_data(tmp_path: Path) -> None:
    real, fake = torch.randn(200, 2), np.ones((30, 2))
    figure = drawn(plots.samples_2d(real, fake), tmp_path)
    lines = labelled(figure)
    assert list(lines) == ["data", "generated"]
    assert len(lines["data"].get_xdata()) == 200
    assert lines["generated"].get_xydata().tolist() == fake.tolist()


@pytest.mark.parametrize("shape", [(11, 6, 4), (11, 1, 6, 4), (11, 3, 6, 4)])
def test_a_grid_holds_every_image_in_its_place(shape: tuple[int, ...], tmp_path: Path) -> None:
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    figure = drawn(plots.image_grid(images, columns=4), tmp_path)
    shown = np.asarray(figure.axes[0].images[0].get_array())
    # Three rows of four, one pixel between images; the sixth stands second in the second row.
    assert shown.shape[:2] == (3 * 7 - 1, 4 * 5 - 1)
    sixth = np.moveaxis(images[5].numpy().reshape(-1, 6, 4), 0, -1)
    assert np.allclose(shown[7:13, 5:9].reshape(6, 4, -1), sixth)


def test_images_beyond_the_unit_interval_are_stretched() -> None:
    images = torch.linspace(-1, 1, 8).reshape(2, 2, 2)
    shown = np.asarray(plots.image_grid(images, columns=2).axes[0].images[0].get_array())
    assert shown.min() == 0
    assert shown.max() == 1
    assert shown[0, 1] == pytest.approx(1 / 7)


@pytest.mark.parametrize("shape", [(4,), (4, 4), (5, 2, 4, 4), (0, 4, 4), (1, 1, 1, 4, 4)])
def test_other_shapes_are_no_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="image_grid expects images"):
        plots.image_grid(torch.zeros(shape))
    with pytest.raises(InvalidInput, match="columns=0"):
        plots.image_grid(torch.zeros(2, 4, 4), columns=0)


# -- every picture of a run ------------------------------------------------------------------------


def test_a_run_has_the_pictures_that_suit_it() -> None:
    game, path = eqgan.games.biased_rock_paper_scissors(), eqgan.Recorder()
    run = eqgan.solve(game, "optimistic_gradient", init=START, max_steps=9, callbacks=[path])
    figures = plots.pictures(run, path)
    assert list(figures) == ["payoff_matrix", "strategies", "simplex_trajectory", "gap"]
    assert list(labelled(figures["gap"])) == ["OptimisticGradient"]
    assert list(plots.pictures(run)) == ["payoff_matrix", "strategies", "gap"]
    # One check is no path and no curve.
    path = eqgan.Recorder()
    direct = eqgan.solve(game, callbacks=[path])
    assert list(plots.pictures(direct, path)) == ["payoff_matrix", "strategies"]


def test_other_games_have_other_pictures() -> None:
    dirac = eqgan.solve(eqgan.games.DiracGAN(), max_steps=5)
    assert list(plots.pictures(dirac)) == ["gap"]
    batch = eqgan.games.random_game(shape=(2, 4, 4))
    assert list(plots.pictures(eqgan.solve(batch))) == []
    grid = networkx.grid_2d_graph(3, 3)
    run = eqgan.solve(eqgan.games.PathInterdiction(grid, (0, 0), (2, 2)))
    assert "network" in plots.pictures(run)


# -- all -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runs", [{}, {"a": []}, {"a": "text"}, {"a": Trace([{"step": 0.0}])}])
def test_a_gap_needs_something_measured(runs: Any) -> None:
    with pytest.raises(InvalidInput):
        plots.gap(runs)


def test_pyplot_is_never_loaded(tmp_path: Path) -> None:
    """It would pick a display, and keep every figure alive."""
    code = (
        "import sys; from eqgan import plots\n"
        "import eqgan; run = eqgan.solve(eqgan.games.oneill(), 'regret_matching', max_steps=9)\n"
        "assert list(plots.pictures(run)) == ['payoff_matrix', 'strategies', 'gap']\n"
        "plots.trajectories({'a': [[0., 1.], [1., 0.]]}).savefig(sys.argv[1])\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    path = tmp_path / "figure.svg"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert path.read_text().lstrip().startswith("<?xml")


@pytest.mark.parametrize("reach", [0.96, 1.0, 1.04])
def test_labels_under_samples_stand_apart(reach):
    corners = reach * np.array([[-1.0, -1.0], [1.0, 1.0]])
    figure = plots.samples_2d(corners, corners)
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert all(left.x1 + 5 < right.x0 for left, right in pairwise(boxes))
