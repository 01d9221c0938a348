"""Pictures of how strategies move: on the simplex of three actions, and in the plane."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from eqgan.bars import action_names, probabilities
from eqgan.canvas import (
    COLOURS,
    GREY,
    LETTER,
    LINE,
    Array,
    as_points,
    explain,
    figure_of,
    grid_of,
    letters,
    wrapped,
)
from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.exact.optimal_face import OptimalFace
from eqgan.game import Game
from eqgan.recorder import Recorder
from eqgan.spaces import Simplex

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(0.75)]])
"""Where the three actions lie in the plane."""


def simplex_trajectory(paths: Recorder | Mapping[str, Recorder]) -> Figure:
    """Draw how the strategies of a game with three actions move, in a triangle a player.

    Args:
        paths: What a `Recorder` kept of a run, or several by label: runs of one game, drawn over
            each other. Give `solve` a small `check_every`: what happens between checks is not seen.

    Returns:
        The figure: paths run from light to dark, from a circle to a dot. Black marks what is
        optimal, computed in rational arithmetic for matrix games: a star if that is one strategy,
        a line or an area if there are more. Players with another number of actions are left out.

    Raises:
        UnsupportedGame: No player mixes three actions, or the game is a batch.
        InvalidInput: Nothing was recorded, runs of different games, or more than eight.

    Example:
        >>> import eqgan
        >>> path = eqgan.Recorder()
        >>> run = eqgan.solve(
        ...     eqgan.games.rock_paper_scissors(), "alternating_gradient", max_steps=100,
        ...     init=([0.5, 0.3, 0.2], [0.2, 0.2, 0.6]), check_every=1, callbacks=[path],
        ... )
        >>> len(simplex_trajectory({"alternating": path}).axes)
        2
    """
    runs = paths if isinstance(paths, Mapping) else {"": paths}
    game = _only_game(runs)
    spaces = enumerate(game.spaces)
    players = [i for i, space in spaces if isinstance(space, Simplex) and space.n == 3]
    if not players or game.batch_shape:
        raise UnsupportedGame(
            f"simplex_trajectory draws one game with three actions a player; got {game!r}."
        )
    names = [action_names(game, player, 3) for player in players]
    side = max(4.2, 0.8 + 2 * LETTER * max(map(letters, names)))
    height = side + 0.1 * len(runs)  # the legend's share
    figure, panels = figure_of(1, len(players), side * len(players), height)
    for axes, player, actions in zip(panels, players, names, strict=True):
        _draw_triangle(axes, actions)
        for (label, run), colour in zip(runs.items(), COLOURS, strict=False):
            mixes = np.stack([probabilities(z[player], game) for z in run.profiles])
            _draw_path(axes, mixes @ CORNERS, colour, wrapped(label, 2 * LINE))
        _draw_optimal(axes, _optimal(game, player) @ CORNERS)
        axes.set_title(game.players[player], pad=12 + 10 * actions[2].count("\n"))
    explain(figure, panels)
    return figure


def _only_game(runs: Mapping[str, Recorder]) -> Game:
    """Return the game of which all these are runs."""
    games = []
    for label, run in runs.items():
        if not isinstance(run, Recorder) or run.game is None:
            raise InvalidInput(
                "simplex_trajectory draws what an eqgan.Recorder kept: pass one to solve, as in "
                f"callbacks=[path]; got {run!r}{f' for {label!r}' if label else ''}."
            )
        games.append(run.game)
    if len(games) > len(COLOURS):
        raise InvalidInput(
            f"simplex_trajectory tells up to {len(COLOURS)} runs apart; got {len(games)}."
        )
    if not games or any(game is not games[0] for game in games):
        raise InvalidInput(
            "simplex_trajectory draws runs of one game, the same object for all; got "
            f"{', '.join(map(repr, games)) or 'none'}."
        )
    return games[0]


def _optimal(game: Game, player: int) -> Array:
    """Return the vertices of the player's set of optimal strategies, as far as it is known."""
    try:
        face = OptimalFace(game)
        return np.array((face.rows, face.columns)[player], dtype=np.float64)
    except UnsupportedGame:
        if game.equilibrium is None:
            return np.empty((0, 3))
        return probabilities(game.equilibrium[player], game)[None]


def _draw_optimal(axes: Axes, corners: Array) -> None:
    if len(corners) == 1:
        _star(axes, corners[0], "optimal strategy")
    if len(corners) > 1:
        around = corners - corners.mean(axis=0)
        loop = corners[np.argsort(np.arctan2(around[:, 1], around[:, 0]))]
        looks: dict[str, Any] = {"edgecolor": "black", "facecolor": "#00000033", "linewidth": 3.0}
        axes.fill(*loop.T, label="optimal strategies", zorder=0.5, **looks)


def _draw_triangle(axes: Axes, actions: Sequence[str]) -> None:
    loop = CORNERS[[0, 1, 2, 0]]
    axes.plot(loop[:, 0], loop[:, 1], color=GREY, linewidth=1.0, zorder=1)
    # Long names grow away from the middle, but not out of the picture.
    inward = letters(actions[:2]) > LINE // 2
    left, right = ("left", "right") if inward else ("center", "center")
    out = 0.12 if inward else 0.0
    axes.text(-out, -0.03, actions[0], ha=left, va="top")
    axes.text(1 + out, -0.03, actions[1], ha=right, va="top")
    axes.text(CORNERS[2, 0], CORNERS[2, 1] + 0.03, actions[2], ha="center", va="bottom")
    axes.set_aspect("equal")
    axes.set(xlim=(-0.12, 1.12), ylim=(-0.14, 1.0))
    axes.set_axis_off()


# -- trajectories ------------------------------------------------------------------------------


def trajectories(
    paths: Mapping[str, Any],
    equilibrium: Sequence[float] | None = (0.0, 0.0),
    names: tuple[str, str] = (r"generator $\theta$", r"discriminator $\psi$"),
) -> Figure:
    r"""Draw how two parameters move, a panel a path: who converges and who circles.

    Args:
        paths: For each label an array `(steps, 2)` of :math:`(\theta, \psi)`.
        equilibrium: Where to draw a star; ``None`` for nowhere.
        names: What the two parameters are called.

    Returns:
        The figure: paths run from light to dark, from a circle to a dot. Panels share their axes.

    Raises:
        InvalidInput: No paths, or one that is no array of shape `(steps, 2)`.

    Example:
        >>> figure = trajectories({"spiral": [[1.0, 0.0], [0.0, 0.5], [-0.2, 0.0]]})
    """
    points = {label: as_points(path, f"The path {label!r}") for label, path in paths.items()}
    if not points:
        raise InvalidInput("trajectories needs at least one path; got none.")
    rows, columns = grid_of(len(points))
    figure, panels = figure_of(rows, columns, 3.4 * columns, 3.5 * rows, sharex=True, sharey=True)
    for axes, (label, path) in zip(panels, points.items(), strict=False):
        _draw_path(axes, path, COLOURS[0])
        if equilibrium is not None:
            _star(axes, np.asarray(equilibrium, dtype=np.float64), "equilibrium")
        axes.set_title(label)
        axes.set_aspect("equal")
        axes.grid(True, color="#dddddd", linewidth=0.6)
    _square(panels[0])
    for axes in panels[len(points) :]:
        axes.remove()
    figure.supxlabel(names[0], fontsize="medium")
    figure.supylabel(names[1], fontsize="medium")
    explain(figure, panels, "outside upper center")
    return figure


def _draw_path(axes: Axes, points: Array, colour: str, label: str = "") -> None:
    if len(points) > 1:
        # Older pieces are paler, so that the direction of time can be seen without arrows.
        pieces = list(np.stack((points[:-1], points[1:]), axis=1))
        age = np.linspace(0.25, 1.0, len(pieces))
        axes.add_collection(LineCollection(pieces, colors=colour, alpha=age, linewidths=1.2))
    ends: dict[str, Any] = {"color": colour, "markersize": 7, "zorder": 3}
    axes.plot(*points[0], "o", markerfacecolor="white", label="start", **ends)
    axes.plot(*points[-1], "o", label=f"end of {label}" if label else "end", **ends)
    axes.autoscale_view()


def _square(axes: Axes) -> None:
    """Make both ranges equally long, around their middles."""
    ranges = (axes.get_xlim(), axes.get_ylim())
    half = max(high - low for low, high in ranges) / 2
    (x, y) = (sum(pair) / 2 for pair in ranges)
    axes.set(xlim=(x - half, x + half), ylim=(y - half, y + half))


def _star(axes: Axes, point: Array, label: str) -> None:
    # Larger than the dots and under them: neither hides the other.
    looks: dict[str, Any] = {"markersize": 16, "markeredgecolor": "white", "zorder": 2.5}
    axes.plot(*point, "*", color="black", label=label, **looks)
