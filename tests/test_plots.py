"""Pictures: each holds what it should, says what is a bound, and needs no display."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import eqgan
from eqgan import InvalidInput, Trace, UnsupportedGame, plots

ACTIONS = ["rock", "paper", "scissors"]
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


def test_rows_without_a_gap_are_left_out() -> None:
    rows = [{"evaluations": 0.0, "value": 1.0}, *trace([0.5, 0.2])]
    figure = plots.gap({"a": Trace(rows)})
    assert labelled(figure)["a"].get_ydata().tolist() == [0.5, 0.2]


def test_many_labels_stand_beside_the_lines(tmp_path: Path) -> None:
    figure = drawn(plots.gap({str(i): trace([1, 0.5]) for i in range(12)}), tmp_path)
    assert figure.axes[0].get_legend() is None
    looks = {(x.get_color(), x.get_linestyle()) for x in labelled(figure).values()}
    assert len(figure.legends[0].get_texts()) == len(looks) == 12


def test_panels_share_colours_and_one_legend(tmp_path: Path) -> None:
    panels = {
        "first": {"a": trace([1, 0.5]), "b": trace([1, 0.1])},
        "second": {"b": [trace([1, 0.2], bound=True), trace([2, 0.2], bound=True)]},
        "third": {"a": Trace([{"evaluations": 0.0, "value": 1.0}])},
    }
    figure = drawn(plots.gaps(panels), tmp_path)
    assert [axes.get_title() for axes in figure.axes] == ["first", "second", "third"]
    assert labelled(figure, 0)["b"].get_color() == labelled(figure, 1)["b"].get_color()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    assert [text.get_text() for text in figure.axes[2].texts] == ["gap not measured"]
    assert figure.axes[1].get_ylabel() == "NashConv, lower bound"


@pytest.mark.parametrize("count", range(1, 8))
def test_there_are_no_empty_panels(count: int) -> None:
    panels = {str(i): {"a": trace([1, 0.5])} for i in range(count)}
    assert len(plots.gaps(panels).axes) == count


# -- strategies ------------------------------------------------------------------------------------


def test_bars_are_the_strategies_and_ticks_the_equilibrium(tmp_path: Path) -> None:
    game = eqgan.games.biased_rock_paper_scissors()
    run = eqgan.solve(game, "extragradient", init=START, max_steps=5)
    figure = drawn(plots.strategies(run, ACTIONS), tmp_path)
    for player, axes in enumerate(figure.axes):
        assert [bar.get_height() for bar in axes.patches] == run.profile[player].tolist()
        assert axes.get_title() == game.players[player]
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ACTIONS
        (ticks,) = [c for c in axes.collections if isinstance(c, LineCollection)]
        assert [s[0][1] for s in ticks.get_segments()] == pytest.approx([1 / 2, 1 / 6, 1 / 3])


def test_many_actions_are_not_all_named(tmp_path: Path) -> None:
    run = eqgan.solve(eqgan.games.random_game(shape=(50, 30)))
    figure = drawn(plots.strategies(run), tmp_path)
    assert len(figure.axes[0].patches) == 50
    assert len(figure.axes[0].get_xticklabels()) < 15
    assert not figure.legends


def test_the_weights_of_a_mixture_are_bars() -> None:
    mix = eqgan.games.Mixed(eqgan.games.DiracGAN(), (3, 2))
    run = eqgan.solve(mix, max_steps=2)
    assert [len(axes.patches) for axes in plots.strategies(run).axes] == [3, 2]


@pytest.mark.parametrize(
    "game",
    [eqgan.games.DiracGAN(), eqgan.games.random_game(shape=(2, 3, 3))],
    ids=["plane", "batch"],
)
def test_only_mixed_strategies_of_one_game_have_bars(game: eqgan.Game) -> None:
    with pytest.raises(UnsupportedGame, match="Only mixed strategies of one game"):
        plots.strategies(eqgan.solve(game, "extragradient", max_steps=1))


def test_a_matrix_with_its_equilibrium_on_the_margins(tmp_path: Path) -> None:
    game = eqgan.games.biased_rock_paper_scissors()
    assert game.equilibrium is not None
    figure = drawn(plots.payoff_matrix(game, game.equilibrium, ACTIONS), tmp_path)
    heat, top, left = figure.axes[:3]
    assert np.array_equal(np.asarray(heat.images[0].get_array()), game.payoff_matrix.numpy())
    assert [bar.get_height() for bar in top.patches] == pytest.approx([1 / 2, 1 / 6, 1 / 3])
    assert [bar.get_width() for bar in left.patches] == pytest.approx([1 / 2, 1 / 6, 1 / 3])
    assert [text.get_text() for text in heat.texts] == [
        f"{n}" for n in (0, -2, 1, 2, 0, -3, -1, 3, 0)
    ]
    assert [tick.get_text() for tick in heat.get_yticklabels()] == ACTIONS
    assert figure.axes[3].get_ylabel() == "payoff to row (white: 0, at this profile)"


def test_a_large_matrix_is_drawn_without_numbers(tmp_path: Path) -> None:
    game = eqgan.games.random_game(shape=(20, 30))
    figure = drawn(plots.payoff_matrix(game, game.initial(game.generator(0))), tmp_path)
    assert not any(axes.texts for axes in figure.axes)
    low, high = figure.axes[0].images[0].get_clim()
    value = float(game.payoff_matrix.mean())
    assert (low + high) / 2 == pytest.approx(value)


def test_a_constant_matrix_can_be_drawn(tmp_path: Path) -> None:
    drawn(plots.payoff_matrix(eqgan.games.MatrixGame([[2.0]]), ([1.0], [1.0])), tmp_path)


def test_only_a_matrix_game_is_a_matrix() -> None:
    dirac, batch = eqgan.games.DiracGAN(), eqgan.games.random_game(shape=(2, 3, 3))
    for game in (dirac, batch):
        with pytest.raises(UnsupportedGame, match="draws one MatrixGame"):
            plots.payoff_matrix(game, game.initial(game.generator(0)))


# -- paths -----------------------------------------------------------------------------------------


def corners(game: eqgan.Game) -> list[eqgan.Profile]:
    eye = torch.eye(3, dtype=torch.float64)
    return [game.as_profile((eye[i], eye[2 - i])) for i in range(3)]


def test_corners_of_the_simplex_are_corners_of_the_triangle(tmp_path: Path) -> None:
    game = eqgan.games.rock_paper_scissors()
    figure = drawn(plots.simplex_trajectory(game, iter(corners(game)), ACTIONS), tmp_path)
    assert len(figure.axes) == 2
    (path,) = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    top = (0.5, np.sqrt(0.75))
    assert np.allclose(path.get_segments(), [[(0, 0), (1, 0)], [(1, 0), top]])
    assert [text.get_text() for text in figure.axes[0].texts] == ACTIONS
    star = labelled(figure)["equilibrium"]
    assert np.allclose(star.get_xydata(), [(0.5, np.sqrt(0.75) / 3)])


def test_only_players_with_three_actions_get_a_triangle() -> None:
    game = eqgan.games.random_game(shape=(3, 5))
    figure = plots.simplex_trajectory(game, [game.initial(game.generator(0))])
    assert [axes.get_title() for axes in figure.axes] == ["row"]
    assert "equilibrium" not in labelled(figure)


def test_triangles_need_three_actions_and_a_profile() -> None:
    game = eqgan.games.oneill()
    with pytest.raises(UnsupportedGame, match="three actions"):
        plots.simplex_trajectory(game, [game.initial(game.generator(0))])
    with pytest.raises(InvalidInput, match="at least one profile"):
        plots.simplex_trajectory(eqgan.games.rock_paper_scissors(), [])


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


# -- all -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runs", [{}, {"a": []}, {"a": "text"}, {"a": Trace([{"step": 0.0}])}])
def test_a_gap_needs_something_measured(runs: Any) -> None:
    with pytest.raises(InvalidInput):
        plots.gap(runs)


def test_pyplot_is_never_loaded(tmp_path: Path) -> None:
    """It would pick a display, and keep every figure alive."""
    code = (
        "import sys; from eqgan import plots\n"
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
