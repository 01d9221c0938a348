"""Payoff matrices as heat maps, with the strategies on their margins."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from eqgan.bars import action_names, probabilities, share
from eqgan.canvas import (
    COLOURS,
    LETTER,
    LINE,
    Array,
    as_array,
    as_result,
    blank_figure,
    letters,
    wrapped,
)
from eqgan.errors import UnsupportedGame
from eqgan.games import MatrixGame
from eqgan.games.payoffs import Dense
from eqgan.result import Result

NUMBERED = 8
"""Payoffs and probabilities are written into games of up to so many actions."""

NAMED = 30
"""Every action is named in games of up to so many."""

SIDE = 4.8
"""Width and height of a picture in inches, without the names."""


def payoff_matrix(result: Result) -> Figure:
    r"""Draw the payoffs of a matrix game as a heat map, with a run's strategies on its margins.

    White is what the proposed profile pays, so that colours tell whom an outcome suits better.

    Args:
        result: The outcome of `solve` on one `MatrixGame` whose payoffs are held as a table.

    Returns:
        The figure: the row player's strategy on the left, the column player's on top. The title
        says what the profile pays, :math:`x^\top A y`, and its NashConv, which is as far as the
        game's value may be from that. Small games bear the payoffs as numbers, large ones not even
        names.

    Raises:
        UnsupportedGame: Another game, a batch, or payoffs that are sparse or known by products.

    Example:
        >>> import eqgan
        >>> run = eqgan.solve(eqgan.games.MatrixGame([[2, -1], [-1, 1]]), "rational")
        >>> payoff_matrix(run).get_suptitle()
        'value 1/5, exactly'
    """
    game = as_result(result).game
    if not isinstance(game, MatrixGame) or game.batch_shape:
        raise UnsupportedGame(f"payoff_matrix draws one MatrixGame; got {game!r}.")
    if not isinstance(game.payoffs, Dense):
        raise UnsupportedGame(
            f"payoff_matrix draws payoffs that are held as a table; got {game.payoffs}, whose "
            "strategies eqgan.plots.strategies draws."
        )
    table = as_array(game.payoff_matrix)
    x, y = (probabilities(strategy, game) for strategy in result.profile)
    names = [action_names(game, player, n) for player, n in enumerate(table.shape)]
    figure, axes, top, left = _layout(names)
    paid = float(result.value)
    spread = float(np.abs(table - paid).max()) or 1.0
    image = axes.imshow(table, cmap="PuOr", aspect="auto", interpolation="nearest")
    image.set_clim(paid - spread, paid + spread)
    if max(table.shape) <= NUMBERED:
        _write_payoffs(axes, table, paid, spread)
    _draw_margins(top, left, x, y, game.players)
    _name(axes, names)
    shown = paid if abs(paid) > 1e-9 * spread else 0.0
    label = f"payoff to {game.players[0]} (white: {shown:.3g}, at this profile)"
    figure.colorbar(image, ax=[axes, top], label=label, aspect=30)
    title = _worth(result, shown)
    figure.suptitle(f"{wrapped(game.name, 2 * LINE)}\n{title}" if game.name else title)
    return figure


def _worth(result: Result, paid: float) -> str:
    """Say what the game is worth, or what the profile pays where no equilibrium is proved."""
    if isinstance(result.value, Fraction) and len(str(result.value)) < LINE:
        return f"value {result.value}, exactly"
    what = "value" if result.converged else "no equilibrium; it pays"
    return f"{what} {paid:.4g} (NashConv {float(result.certificate.nash_conv):.1g})"


def _layout(names: list[list[str]]) -> tuple[Figure, Axes, Axes, Axes]:
    """Return a figure with room for the names, and its axes: the matrix, over it, left of it."""
    beside, below = (letters(words) * LETTER if len(words) <= NAMED else 0.0 for words in names)
    figure = blank_figure(SIDE + 1.0 + beside, SIDE + (below if _upright(names[1]) else 0.0))
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 4), height_ratios=(1, 4))
    axes = figure.add_subplot(grid[1, 1])
    top = figure.add_subplot(grid[0, 1], sharex=axes)
    return figure, axes, top, figure.add_subplot(grid[1, 0], sharey=axes)


def _write_payoffs(axes: Axes, table: Array, paid: float, spread: float) -> None:
    # As many decimals as tell the payoffs apart, the same for all.
    largest = float(np.abs(table).max()) or 1.0
    decimals = max(0, 2 - math.floor(math.log10(largest)))
    texts = [f"{round(payoff, decimals):z.6g}" for payoff in table.ravel().tolist()]
    size = min(10.0, 310 / (table.shape[1] * letters(texts)))
    for (i, j), text in zip(np.ndindex(table.shape), texts, strict=True):
        ink = "white" if abs(table[i, j] - paid) > 0.6 * spread else "black"
        axes.text(j, i, text, ha="center", va="center", color=ink, fontsize=size)


def _draw_margins(top: Axes, left: Axes, x: Array, y: Array, players: tuple[str, ...]) -> None:
    top.bar(range(len(y)), y, color=COLOURS[1], width=_thickness(y))
    top.set(ylabel=players[1], yticks=[], ylim=(0, 1.25 * y.max()))
    top.tick_params(bottom=False, labelbottom=False)
    top.spines[["top", "left", "right"]].set_visible(False)
    left.barh(range(len(x)), x, color=COLOURS[0], height=_thickness(x))
    left.set(xlabel=players[0], xticks=[], xlim=(1.5 * x.max(), 0))
    left.tick_params(left=False, labelleft=False)
    left.spines[["top", "left", "bottom"]].set_visible(False)
    for index, p in enumerate(y if len(y) <= NUMBERED else ()):
        top.text(index, p, share(p), ha="center", va="bottom", fontsize=8)
    for index, p in enumerate(x if len(x) <= NUMBERED else ()):
        left.text(p, index, f"{share(p)} ", ha="right", va="center", fontsize=8)
    # Bars that are thicker than an action would make room for themselves.
    top.set_xlim(-0.5, len(y) - 0.5)
    left.set_ylim(len(x) - 0.5, -0.5)


def _thickness(mix: Array) -> float:
    """Return how thick bars are in actions: thinner ones of large games would fade away."""
    return 0.7 if len(mix) <= NAMED else max(1.0, len(mix) / 150)


def _name(axes: Axes, names: list[list[str]]) -> None:
    for axis, words in ((axes.yaxis, names[0]), (axes.xaxis, names[1])):
        if len(words) <= NAMED:
            axis.set_ticks(range(len(words)), words)
        else:
            axis.set_major_locator(MaxNLocator(8, integer=True))
    if len(names[1]) <= NAMED and _upright(names[1]):
        axes.tick_params(axis="x", rotation=90)
    axes.tick_params(left=False, bottom=False, labelleft=True)


def _upright(names: list[str]) -> bool:
    """Say whether names of columns would overlap unless they stand upright."""
    return letters(names) * len(names) * LETTER > 0.7 * SIDE
