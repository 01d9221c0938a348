"""Pictures of matrix games: bars, margins and paths are the numbers, and everything is legible."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

import eqgan
from eqgan import InvalidInput, UnsupportedGame, plots

ACTIONS = ["rock", "paper", "scissors"]
START = ([0.5, 0.3, 0.2], [0.2, 0.2, 0.6])


def drawn(figure: Figure) -> Figure:
    """Return the figure once it has been laid out: some faults only show then."""
    figure.canvas.draw()
    return figure


def labelled(figure: Figure, panel: int = 0) -> dict[str, Any]:
    lines = figure.axes[panel].get_lines()
    return {str(x.get_label()): x for x in lines if not str(x.get_label()).startswith("_")}


# -- strategies ------------------------------------------------------------------------------------


def bars(axes: Any) -> dict[str, float]:
    """Return the lengths of the bars by their labels."""
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    return dict(zip(labels, [bar.get_width() for bar in axes.patches], strict=False))


def test_bars_are_the_strategies_and_ticks_the_equilibrium() -> None:
    game = eqgan.games.biased_rock_paper_scissors()
    run = eqgan.solve(game, "extragradient", init=START, max_steps=5)
    figure = plots.strategies(run)
    for player, axes in enumerate(figure.axes):
        assert bars(axes) == dict(zip(ACTIONS, run.profile[player].tolist(), strict=True))
        assert axes.get_title() == game.players[player]
        (ticks,) = [c for c in axes.collections if isinstance(c, LineCollection)]
        assert [s[0][0] for s in ticks.get_segments()] == pytest.approx([1 / 2, 1 / 6, 1 / 3])
        # The first action is on top.
        assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_of_many_actions_the_likeliest_have_bars_and_the_rest_is_summed() -> None:
    run = eqgan.solve(eqgan.games.random_game("normal", (300, 60)), "regret_matching", max_steps=9)
    figure = plots.strategies(run)
    for strategy, axes in zip(run.profile, figure.axes, strict=True):
        mix = strategy.tolist()
        likeliest = sorted(sorted(range(len(mix)), key=lambda i: -mix[i])[:12])
        shown = [i for i in likeliest if mix[i] > 0]
        assert bars(axes) == {str(i): mix[i] for i in shown}
        assert axes.get_yticklabels()[-1].get_text() == f"{len(mix) - len(shown)} others"
        rest = sum(p for i, p in enumerate(mix) if i not in shown)
        said = axes.texts[-1].get_text().split()
        assert said[1:] == ["in", "all"]
        assert float(said[0]) == pytest.approx(rest, rel=1e-2)
    assert not figure.legends


def test_what_is_not_played_of_many_actions_gets_no_bar() -> None:
    payoffs = torch.zeros(20, 20)
    payoffs[7] = 1.0
    (row, _) = plots.strategies(eqgan.solve(eqgan.games.MatrixGame(payoffs))).axes
    assert bars(row) == {"7": 1.0}
    assert [tick.get_text() for tick in row.get_yticklabels()] == ["7", "19 others"]


def test_the_known_equilibrium_of_many_actions_is_ticked_where_there_are_bars() -> None:
    game = eqgan.games.hadamard(16)
    figure = plots.strategies(eqgan.solve(game, max_steps=0))
    (ticks,) = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    assert [s[0][0] for s in ticks.get_segments()] == pytest.approx([1 / 15] * 12)


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


LONG = ("$5 on the first horse, $10 on all the others", "x" * 200, "", "wait")


def texts_of(figure: Figure) -> list[Any]:
    """Return everything written in a figure, once it has been laid out."""
    drawn(figure)
    hidden = {text for axes in figure.axes if not axes.axison for text in axes.findobj(Text)}
    hidden -= {text for axes in figure.axes for text in (*axes.texts, axes.title)}
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    return [text for text in texts if text not in hidden]


@pytest.mark.parametrize("draw", [plots.strategies, plots.payoff_matrix])
def test_long_names_are_whole_lines_that_neither_overlap_nor_leave_the_picture(draw: Any) -> None:
    payoffs = np.random.default_rng(0).normal(size=(4, 4))
    figure = draw(eqgan.solve(eqgan.games.MatrixGame(payoffs, actions=(LONG, LONG))))
    texts = texts_of(figure)
    boxes = {
        t: t.get_window_extent() for t in texts if t.get_text().startswith((r"\$", "x", "wai"))
    }
    assert len(boxes) == 6
    for text, box in boxes.items():
        assert box.x0 >= figure.bbox.x0
        assert box.y0 >= figure.bbox.y0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other.get_window_extent()) for other in texts if other != text)
    assert r"\$5 on the first horse," + "\n" + r"\$10 on all the others" in [
        text.get_text() for text in boxes
    ]


# -- matrices --------------------------------------------------------------------------------------


def test_a_matrix_with_its_equilibrium_on_the_margins() -> None:
    game = eqgan.games.biased_rock_paper_scissors()
    figure = plots.payoff_matrix(eqgan.solve(game))
    heat, top, left = figure.axes[:3]
    assert np.array_equal(np.asarray(heat.images[0].get_array()), game.payoff_matrix.numpy())
    assert [bar.get_height() for bar in top.patches] == pytest.approx([1 / 2, 1 / 6, 1 / 3])
    assert [bar.get_width() for bar in left.patches] == pytest.approx([1 / 2, 1 / 6, 1 / 3])
    assert [text.get_text() for text in heat.texts] == [
        f"{n}" for n in (0, -2, 1, 2, 0, -3, -1, 3, 0)
    ]
    assert [tick.get_text() for tick in heat.get_yticklabels()] == ACTIONS
    assert [tick.get_text() for tick in heat.get_xticklabels()] == ACTIONS
    assert figure.axes[3].get_ylabel() == "payoff to row (white: 0, at this profile)"
    title = figure.get_suptitle()
    assert title.startswith("biased_rock_paper_scissors\nvalue 0 (NashConv ")


def test_the_title_says_the_value_only_where_it_is_proved() -> None:
    game = eqgan.games.MatrixGame([[2, -1], [-1, 1]])
    assert plots.payoff_matrix(eqgan.solve(game, "rational")).get_suptitle() == "value 1/5, exactly"
    solved = plots.payoff_matrix(eqgan.solve(game)).get_suptitle()
    assert solved.startswith("value 0.2 (NashConv ")
    start = eqgan.solve(game, "regret_matching", init=([1, 0], [1, 0]), max_steps=0)
    title = plots.payoff_matrix(start).get_suptitle()
    assert title == "no equilibrium; it pays 2 (NashConv 3)"


@pytest.mark.parametrize("shape", [(20, 30), (300, 300), (400, 2)])
def test_a_large_matrix_is_drawn_without_numbers(shape: tuple[int, int]) -> None:
    run = eqgan.solve(eqgan.games.random_game(shape=shape))
    figure = drawn(plots.payoff_matrix(run))
    heat, _, left = figure.axes[:3]
    assert not heat.texts
    assert not left.texts
    low, high = heat.images[0].get_clim()
    assert (low + high) / 2 == pytest.approx(float(run.value), abs=1e-9)
    # Margins and matrix share their places to the edge.
    assert heat.get_xlim() == (-0.5, shape[1] - 0.5)
    assert heat.get_ylim() == (shape[0] - 0.5, -0.5)


def test_payoffs_of_any_size_fit_their_cells() -> None:
    payoffs = -1234.567 * np.random.default_rng(0).random((8, 8))
    figure = drawn(plots.payoff_matrix(eqgan.solve(eqgan.games.MatrixGame(payoffs))))
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 64
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert min(text.get_fontsize() for text in figure.axes[0].texts) > 6


@pytest.mark.parametrize(
    "payoffs", [[[2.0]], np.zeros((3, 4)), [[1, 2, 3]], [[1e300, -1e300], [-1e300, 1e300]]]
)
def test_degenerate_matrices_can_be_drawn(payoffs: Any) -> None:
    run = eqgan.solve(eqgan.games.MatrixGame(payoffs))
    matrix, both = drawn(plots.payoff_matrix(run)), drawn(plots.strategies(run))
    assert len(matrix.axes[0].texts) == np.size(payoffs)
    for strategy, axes in zip(run.profile, both.axes, strict=True):
        assert list(bars(axes).values()) == strategy.tolist()


@pytest.mark.parametrize(
    "game",
    [eqgan.games.DiracGAN(), eqgan.games.random_game(shape=(2, 3, 3))],
    ids=["plane", "batch"],
)
def test_only_a_matrix_game_is_a_matrix(game: eqgan.Game) -> None:
    with pytest.raises(UnsupportedGame, match="draws one MatrixGame"):
        plots.payoff_matrix(eqgan.solve(game, max_steps=1))


def test_payoffs_that_are_no_table_are_refused_in_a_sentence() -> None:
    table = torch.eye(3).double()
    free = eqgan.games.MatrixFree((3, 3), lambda y: table @ y, lambda x: x @ table)
    for payoffs, kind in ((table.to_sparse(), "Sparse"), (free, "MatrixFree")):
        run = eqgan.solve(eqgan.games.MatrixGame(payoffs), "regret_matching_plus", max_steps=5)
        with pytest.raises(UnsupportedGame, match=rf"held as a table; got {kind}\(3 x 3"):
            plots.payoff_matrix(run)
        assert len(plots.strategies(run).axes) == 2


# -- paths -----------------------------------------------------------------------------------------


def recorded(game: eqgan.Game, solver: str, **options: Any) -> eqgan.Recorder:
    path = eqgan.Recorder()
    eqgan.solve(game, solver, check_every=1, callbacks=[path], **{"max_steps": 20, **options})
    return path


def corners(game: eqgan.Game) -> eqgan.Recorder:
    """Return a path from corner to corner."""
    path, eye = eqgan.Recorder(), torch.eye(3, dtype=torch.float64)
    for i in range(3):
        path(eqgan.Progress(i, 2, game, game.as_profile((eye[i], eye[2 - i])), {}))
    return path


def test_a_recorder_keeps_every_check_of_one_game() -> None:
    game = eqgan.games.oneill()
    path = eqgan.Recorder()
    run = eqgan.solve(
        game, "regret_matching", max_steps=25, check_every=10, callbacks=[path], tol=0.0
    )
    assert path.steps == [0, 10, 20, 25] == run.trace.column("step")
    assert path.game is game
    assert path.profiles[-1].equal(run.profile)
    assert not path.profiles[0].equal(path.profiles[1])
    with pytest.raises(InvalidInput, match=r"keeps a run of .*oneill.*make another for .*pennies"):
        eqgan.solve(eqgan.games.matching_pennies(), callbacks=[path])


def test_corners_of_the_simplex_are_corners_of_the_triangle() -> None:
    game = eqgan.games.rock_paper_scissors()
    figure = plots.simplex_trajectory(corners(game))
    assert len(figure.axes) == 2
    (path,) = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    top = (0.5, np.sqrt(0.75))
    assert np.allclose(path.get_segments(), [[(0, 0), (1, 0)], [(1, 0), top]])
    assert [text.get_text() for text in figure.axes[0].texts] == ACTIONS
    lines = labelled(figure)
    assert np.allclose(lines["optimal strategy"].get_xydata(), [(0.5, np.sqrt(0.75) / 3)])
    assert np.allclose(lines["start"].get_xydata(), [(0, 0)])
    assert np.allclose(lines["end"].get_xydata(), [top])


def test_runs_are_drawn_over_each_other_in_colours_of_their_own() -> None:
    game = eqgan.games.biased_rock_paper_scissors()
    names = ("alternating_gradient", "optimistic_gradient", "regret_matching")
    paths = {name: recorded(game, name, init=START) for name in names}
    figure = drawn(plots.simplex_trajectory(paths))
    for player, axes in enumerate(figure.axes):
        lines = [c for c in axes.collections if isinstance(c, LineCollection)]
        assert [len(line.get_segments()) for line in lines] == [20, 20, 20]
        assert len({tuple(line.get_colors()[0][:3]) for line in lines}) == 3
        for name, line in zip(names, lines, strict=True):
            end = paths[name].profiles[-1][player].numpy() @ [(0, 0), (1, 0), (0.5, 0.75**0.5)]
            assert np.allclose(line.get_segments()[-1][-1], end)
            assert np.allclose(labelled(figure, player)[f"end of {name}"].get_xydata(), end)
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert said == ["start", *(f"end of {name}" for name in names), "optimal strategy"]


def test_every_optimal_strategy_is_marked_not_one_of_many() -> None:
    # Computed, for the game does not say: the column player may mix 2 with both others equally.
    game = eqgan.games.MatrixGame([[1, -1, 0], [-1, 1, 0]])
    figure = plots.simplex_trajectory(recorded(game, "optimistic_gradient"))
    assert [axes.get_title() for axes in figure.axes] == ["column"]
    (face,) = figure.axes[0].patches
    assert {tuple(np.round(p, 6)) for p in face.get_xy()} == {(0.5, 0.0), (0.5, 0.866025)}
    assert face.get_label() == "optimal strategies"
    assert "optimal strategy" not in labelled(figure)
    every = plots.simplex_trajectory(recorded(eqgan.games.MatrixGame(np.zeros((3, 3))), "averaged"))
    assert [len({*map(tuple, axes.patches[0].get_xy())}) for axes in every.axes] == [3, 3]


def test_optimal_strategies_that_are_not_known_are_not_marked() -> None:
    table = torch.eye(3).double()
    free = eqgan.games.MatrixFree((3, 3), lambda y: table @ y, lambda x: x @ table)
    game = eqgan.games.MatrixGame(free)
    figure = plots.simplex_trajectory(recorded(game, "regret_matching_plus"))
    assert set(labelled(figure)) == {"start", "end"}


def test_only_players_with_three_actions_get_a_triangle() -> None:
    game = eqgan.games.random_game(shape=(3, 5))
    figure = plots.simplex_trajectory(recorded(game, "regret_matching"))
    assert [axes.get_title() for axes in figure.axes] == ["row"]


def test_long_names_stay_in_the_triangles_picture() -> None:
    game = eqgan.games.MatrixGame(np.eye(3), actions=(LONG[:3], LONG[:3]))
    figure = plots.simplex_trajectory(recorded(game, "regret_matching"))
    texts = texts_of(figure)
    corners = [t for t in texts if "$5" in t.get_text() or "xxx" in t.get_text()]
    assert len(corners) == 4
    assert {axes.get_title() for axes in figure.axes} <= {t.get_text() for t in texts}
    for text in corners:
        box = text.get_window_extent()
        assert box.x0 >= figure.bbox.x0
        assert box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other.get_window_extent()) for other in texts if other != text)


def test_triangles_need_three_actions_and_runs_of_one_game() -> None:
    rps = eqgan.games.rock_paper_scissors
    with pytest.raises(UnsupportedGame, match="three actions"):
        plots.simplex_trajectory(recorded(eqgan.games.oneill(), "regret_matching"))
    batch = eqgan.games.random_game(shape=(2, 3, 3))
    with pytest.raises(UnsupportedGame, match="one game with three actions"):
        plots.simplex_trajectory(recorded(batch, "regret_matching"))
    with pytest.raises(InvalidInput, match=r"callbacks=\[path\]; got Recorder\(0 profiles"):
        plots.simplex_trajectory(eqgan.Recorder())
    with pytest.raises(InvalidInput, match=r"an eqgan.Recorder kept: .* got \[\] for 'a'"):
        plots.simplex_trajectory({"a": []})  # type: ignore[dict-item]
    with pytest.raises(InvalidInput, match=r"runs of one game, .*; got none"):
        plots.simplex_trajectory({})
    with pytest.raises(InvalidInput, match="runs of one game, the same object for all"):
        plots.simplex_trajectory({"a": corners(rps()), "b": corners(rps())})
    with pytest.raises(InvalidInput, match="up to 8 runs apart; got 9"):
        plots.simplex_trajectory(dict.fromkeys("abcdefghi", corners(rps())))
