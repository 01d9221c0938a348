"""Pictures: gaps, strategies, trajectories and samples.

Every function returns a matplotlib `Figure` of its own, drawn without a display and without
touching pyplot's global state; ``figure.savefig("gap.png")`` writes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from eqgan.canvas import (
    COLOURS,
    GREY,
    Array,
    as_array,
    as_points,
    blank_figure,
    explain,
    figure_of,
    grid_of,
)
from eqgan.curves import gap, gaps
from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.game import Game
from eqgan.networks import network
from eqgan.profile import Profile, Strategy
from eqgan.result import Result
from eqgan.spaces import Simplex

__all__ = [
    "gap",
    "gaps",
    "image_grid",
    "network",
    "payoff_matrix",
    "samples_2d",
    "simplex_trajectory",
    "strategies",
    "trajectories",
]

FEW = 8
"""Numbers are written into matrices and bars of up to so many actions."""

# -- strategies --------------------------------------------------------------------------------


def strategies(result: Result, actions: Sequence[str] | None = None) -> Figure:
    """Draw the mixed strategies that a run proposes, as bars; a known equilibrium as ticks.

    Args:
        result: The outcome of `solve` on a game of mixed strategies.
        actions: Names of the actions, the same for every player; numbers by default.

    Returns:
        The figure, one panel a player.

    Raises:
        UnsupportedGame: The strategies are not probabilities, or the game is a batch.

    Example:
        >>> import eqgan
        >>> run = eqgan.solve(eqgan.games.rock_paper_scissors())
        >>> len(strategies(run, ["rock", "paper", "scissors"]).axes)
        2
    """
    game = result.game
    mixes = [_probabilities(s, game) for s in result.profile]
    figure, panels = figure_of(1, len(mixes), 3.6 * len(mixes), 3.0, sharey=True)
    for player, (axes, mix) in enumerate(zip(panels, mixes, strict=True)):
        axes.bar(range(len(mix)), mix, color=COLOURS[player], width=0.7)
        if game.equilibrium is not None:
            known = _probabilities(game.equilibrium[player], game)
            ticks = axes.hlines(known, np.arange(len(mix)) - 0.42, np.arange(len(mix)) + 0.42)
            ticks.set(color="black", linewidth=1.5, label="known equilibrium")
        axes.set_title(game.players[player])
        _name_actions(axes, len(mix), actions)
    panels[0].set_ylabel("probability")
    panels[0].set_ylim(0, 1.05 * max(float(mix.max()) for mix in mixes))
    if game.equilibrium is not None:
        explain(figure, panels[0])
    return figure


def payoff_matrix(
    game: Game, profile: Profile | Sequence[Any], actions: Sequence[str] | None = None
) -> Figure:
    """Draw a matrix game as a heat map, with a profile on its margins.

    Args:
        game: A `MatrixGame`, not a batch.
        profile: A profile of it, as `certify` takes one.
        actions: Names of the actions, if both players have the same; numbers by default.

    Returns:
        The figure: the row player's strategy on the left, the column player's on top.

    Raises:
        UnsupportedGame: The game has no payoff matrix, or is a batch.
        InvalidInput: A profile that does not fit the game.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.rock_paper_scissors()
        >>> figure = payoff_matrix(game, game.equilibrium, ["rock", "paper", "scissors"])
    """
    payoffs = getattr(game, "payoff_matrix", None)
    if not isinstance(payoffs, Tensor) or game.batch_shape:
        raise UnsupportedGame(f"payoff_matrix draws one MatrixGame; got {game!r}.")
    table = as_array(payoffs)
    x, y = (_probabilities(s, game) for s in game.as_profile(profile))
    value = float(x @ table @ y)
    figure = blank_figure(5.6, 5.0)
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 4), height_ratios=(1, 4))
    axes = figure.add_subplot(grid[1, 1])
    # White is what the profile pays: colours tell whom an outcome suits better.
    spread = float(np.abs(table - value).max()) or 1.0
    low, high = value - spread, value + spread
    image = axes.imshow(table, cmap="PuOr", aspect="auto", vmin=low, vmax=high)
    if max(table.shape) <= FEW:
        for (i, j), payoff in np.ndenumerate(table):
            ink = "white" if abs(payoff - value) > 0.6 * spread else "black"
            axes.text(j, i, f"{payoff:.3g}", ha="center", va="center", color=ink)
    top = figure.add_subplot(grid[0, 1], sharex=axes)
    left = figure.add_subplot(grid[1, 0], sharey=axes)
    _draw_margins(top, left, x, y, game.players)
    _name_actions(axes, len(y), actions)
    _name_actions(axes, len(x), actions, vertical=True)
    axes.tick_params(left=False, bottom=False, labelleft=True)
    shown = value if abs(value) > 1e-9 * spread else 0.0
    title = f"payoff to {game.players[0]} (white: {shown:.3g}, at this profile)"
    figure.colorbar(image, ax=[axes, top], label=title, aspect=30)
    return figure


def _draw_margins(top: Axes, left: Axes, x: Array, y: Array, players: Sequence[str]) -> None:
    top.bar(range(len(y)), y, color=COLOURS[1], width=0.7)
    top.set(ylabel=players[1], yticks=[], ylim=(0, 1.25 * y.max()))
    top.tick_params(bottom=False, labelbottom=False)
    top.spines[["top", "left", "right"]].set_visible(False)
    left.barh(range(len(x)), x, color=COLOURS[0], height=0.7)
    left.set(xlabel=players[0], xticks=[], xlim=(1.5 * x.max(), 0))
    left.tick_params(left=False, labelleft=False)
    left.spines[["top", "left", "bottom"]].set_visible(False)
    for index, share in enumerate(y if len(y) <= FEW else ()):
        top.text(index, share, f"{share:.2f}", ha="center", va="bottom", fontsize=8)
    for index, share in enumerate(x if len(x) <= FEW else ()):
        left.text(share, index, f"{share:.2f} ", ha="right", va="center", fontsize=8)


def simplex_trajectory(
    game: Game, profiles: Iterable[Profile], actions: Sequence[str] | None = None
) -> Figure:
    """Draw how the strategies of a game with three actions move, in a triangle a player.

    Args:
        game: The game; players with another number of actions are left out.
        profiles: The profiles in order of time, collected for instance by a callback of `solve`.
        actions: Names of the actions; numbers by default.

    Returns:
        The figure: paths run from light to dark, from a circle to a dot; a star marks a known
        equilibrium.

    Raises:
        UnsupportedGame: No player mixes three actions, or the game is a batch.
        InvalidInput: No profiles.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.rock_paper_scissors()
        >>> path = []
        >>> run = eqgan.solve(
        ...     game, "alternating_gradient", init=([0.5, 0.3, 0.2], [0.2, 0.2, 0.6]),
        ...     max_steps=100, callbacks=[lambda progress: path.append(progress.profile)],
        ... )
        >>> figure = simplex_trajectory(game, path)
    """
    spaces = enumerate(game.spaces)
    players = [i for i, space in spaces if isinstance(space, Simplex) and space.n == 3]
    path = list(profiles)
    if not players or game.batch_shape:
        raise UnsupportedGame(
            f"simplex_trajectory draws one game with three actions a player; got {game!r}."
        )
    if not path:
        raise InvalidInput("simplex_trajectory needs at least one profile; got none.")
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(0.75)]])
    figure, panels = figure_of(1, len(players), 4.0 * len(players), 3.9)
    for axes, player in zip(panels, players, strict=True):
        _draw_triangle(axes, corners, actions or ["0", "1", "2"])
        points = np.stack([_probabilities(z[player], game) for z in path]) @ corners
        _draw_path(axes, points, COLOURS[player])
        if game.equilibrium is not None:
            _star(axes, _probabilities(game.equilibrium[player], game) @ corners)
        axes.set_title(game.players[player])
    explain(figure, panels[0])
    return figure


def _draw_triangle(axes: Axes, corners: Array, actions: Sequence[str]) -> None:
    loop = corners[[0, 1, 2, 0]]
    axes.plot(loop[:, 0], loop[:, 1], color=GREY, linewidth=1.0)
    for corner, action, side in zip(corners, actions, ("top", "top", "bottom"), strict=True):
        offset = -0.03 if side == "top" else 0.03
        axes.text(corner[0], corner[1] + offset, action, ha="center", va=side)
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
            _star(axes, np.asarray(equilibrium, dtype=np.float64))
        axes.set_title(label)
        axes.set_aspect("equal")
        axes.grid(True, color="#dddddd", linewidth=0.6)
    _square(panels[0])
    for axes in panels[len(points) :]:
        axes.remove()
    figure.supxlabel(names[0], fontsize="medium")
    figure.supylabel(names[1], fontsize="medium")
    explain(figure, panels[0], "outside upper center")
    return figure


def _draw_path(axes: Axes, points: Array, colour: str) -> None:
    if len(points) > 1:
        # Older pieces are paler, so that the direction of time can be seen without arrows.
        pieces = list(np.stack((points[:-1], points[1:]), axis=1))
        age = np.linspace(0.25, 1.0, len(pieces))
        axes.add_collection(LineCollection(pieces, colors=colour, alpha=age, linewidths=1.2))
    ends: dict[str, Any] = {"color": colour, "markersize": 7, "zorder": 3}
    axes.plot(*points[0], "o", markerfacecolor="white", label="start", **ends)
    axes.plot(*points[-1], "o", label="end", **ends)
    axes.autoscale_view()


def _square(axes: Axes) -> None:
    """Make both ranges equally long, around their middles."""
    ranges = (axes.get_xlim(), axes.get_ylim())
    half = max(high - low for low, high in ranges) / 2
    (x, y) = (sum(pair) / 2 for pair in ranges)
    axes.set(xlim=(x - half, x + half), ylim=(y - half, y + half))


def _star(axes: Axes, point: Array) -> None:
    # Larger than the dots and under them: neither hides the other.
    looks: dict[str, Any] = {"markersize": 16, "markeredgecolor": "white", "zorder": 2.5}
    axes.plot(*point, "*", color="black", label="equilibrium", **looks)


# -- samples -----------------------------------------------------------------------------------


def samples_2d(real: Any, fake: Any) -> Figure:
    """Draw two-dimensional data and a generator's samples over it.

    Args:
        real: Data, `(n, 2)`.
        fake: Samples, `(m, 2)`.

    Returns:
        The figure.

    Raises:
        InvalidInput: Arrays of another shape.

    Example:
        >>> figure = samples_2d(np.zeros((5, 2)), np.ones((4, 2)))
    """
    data, samples = as_points(real, "real"), as_points(fake, "fake")
    figure, (axes,) = figure_of(1, 1, 4.6, 4.8)
    for points, label, colour in ((data, "data", GREY), (samples, "generated", COLOURS[1])):
        alpha = min(1.0, max(0.25, 150 / max(len(points), 1)))
        axes.plot(*points.T, ".", color=colour, alpha=alpha, markersize=5, label=label)
    axes.set_aspect("equal", adjustable="datalim")
    # More labels than these touch one another where numbers are long.
    axes.locator_params(nbins=6)
    legend = figure.legend(loc="outside lower center", ncols=2, frameon=False)
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1.0)
    return figure


def image_grid(images: Any, columns: int = 8) -> Figure:
    """Draw images side by side in a grid.

    Args:
        images: `(n, height, width)`, or `(n, channels, height, width)` with 1 or 3 channels. Values
            within [0, 1] are shown as they are; anything else is stretched from the smallest to
            the largest of all.
        columns: Images in a row.

    Returns:
        The figure.

    Raises:
        InvalidInput: An array of another shape, or `columns` below 1.

    Example:
        >>> figure = image_grid(np.eye(8)[None].repeat(10, axis=0), columns=5)
    """
    pixels = as_array(images)
    if pixels.ndim == 4 and pixels.shape[1] in (1, 3):
        pixels = np.moveaxis(pixels, 1, -1)
    elif pixels.ndim == 3:
        pixels = pixels[..., None]
    else:
        pixels = np.empty((0, 0, 0, 0))
    if not pixels.size or columns < 1:
        raise InvalidInput(
            "image_grid expects images of shape (n, height, width) or (n, 1 or 3, height, width) "
            f"and columns >= 1; got {tuple(as_array(images).shape)} and columns={columns}."
        )
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > 1:
        pixels = (pixels - low) / (high - low or 1.0)
    tiled = _tile(pixels, min(columns, len(pixels)))
    height, width = tiled.shape[:2]
    wide = 7.0 if columns > 4 else 4.0
    figure = blank_figure(wide, min(wide * height / width, 12.0))
    axes = figure.add_subplot()
    flat = tiled[..., 0] if tiled.shape[-1] == 1 else tiled
    axes.imshow(flat, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    return figure


def _tile(pixels: Array, columns: int) -> Array:
    """Return all images in one, a white line between them."""
    n, height, width, channels = pixels.shape
    rows = math.ceil(n / columns)
    tiled = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, channels))
    for index, image in enumerate(pixels):
        top, left = (index // columns) * (height + 1), (index % columns) * (width + 1)
        tiled[top : top + height, left : left + width] = image
    return tiled


def _name_actions(
    axes: Axes, count: int, actions: Sequence[str] | None, vertical: bool = False
) -> None:
    axis = axes.yaxis if vertical else axes.xaxis
    if actions is not None and len(actions) == count:
        axis.set_ticks(range(count), list(actions))
    elif count <= 12:
        axis.set_ticks(range(count))
    else:
        axis.set_major_locator(MaxNLocator(8, integer=True))


def _probabilities(strategy: Strategy, game: Game) -> Array:
    mix = strategy if isinstance(strategy, Tensor) else strategy.get("weights")
    simplices = all(isinstance(space, Simplex) for space in game.spaces)
    if mix is None or mix.dim() != 1 or not (simplices or not isinstance(strategy, Tensor)):
        raise UnsupportedGame(f"Only mixed strategies of one game can be drawn; got {game!r}.")
    return as_array(mix)
