"""Pictures of strategies on networks: who watches where, and which way the others go."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from eqgan.canvas import COLOURS, as_array, as_result, blank_figure, explain
from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.games import PathInterdiction
from eqgan.result import Result

WIDEST = 9.0
"""Width in points of an edge that is surely used."""

LEAST = 1e-6
"""What is less likely than this is not drawn."""


def network(result: Result, positions: Mapping[Hashable, Sequence[float]] | None = None) -> Figure:
    """Draw both strategies of a `PathInterdiction` on its network.

    Args:
        result: The outcome of `solve` on a `PathInterdiction`.
        positions: Where each node lies in the plane; a spring layout by default.

    Returns:
        The figure: the evader's edges are as wide as they are likely, watched places bear a mark
        whose area is how likely they are watched.

    Raises:
        UnsupportedGame: Another kind of game.
        InvalidInput: A node without a position.

    Example:
        >>> import eqgan, networkx
        >>> grid = networkx.grid_2d_graph(4, 4)
        >>> run = eqgan.solve(eqgan.games.PathInterdiction(grid, (0, 0), (3, 3)))
        >>> figure = network(run, {node: node for node in grid})
    """
    game = as_result(result).game
    if not isinstance(game, PathInterdiction):
        raise UnsupportedGame(f"network draws a PathInterdiction; got {type(game).__name__}.")
    places = _positions(game, positions)
    watched, flow = (as_array(strategy) for strategy in result.profile)
    figure = blank_figure(5.2, 5.0)
    axes = figure.add_subplot()
    segments = np.array([[places[u], places[v]] for u, v in game.arcs])
    axes.add_collection(LineCollection(list(segments), colors="#dddddd", linewidths=1.0, zorder=1))
    used = flow > LEAST
    widths = WIDEST * flow[used]
    axes.add_collection(
        LineCollection(
            list(segments[used]), colors=COLOURS[0], linewidths=widths, alpha=0.6, zorder=2
        )
    )
    _mark(axes, game, places, watched)
    for node, label, mark in ((game.source, "source", "s"), (game.target, "target", "*")):
        axes.plot(*places[node], mark, color="black", markersize=9, zorder=4, label=label)
    axes.plot([], [], color=COLOURS[0], linewidth=4, alpha=0.6, label=game.players[1])
    axes.autoscale()
    axes.set_aspect("equal")
    axes.set_axis_off()
    explain(figure, [axes])
    return figure


def _mark(axes: Axes, game: PathInterdiction, places: dict[Hashable, Any], watched: Any) -> None:
    """Put a mark on every watched place: in the middle of an edge, or on a node."""
    likely = np.flatnonzero(watched > LEAST)
    middles = [
        places[game.places[i]]
        if game.watch == "nodes"
        else np.mean([places[end] for end in game.places[i][:2]], axis=0)
        for i in likely
    ]
    points = np.array(middles).reshape(-1, 2)
    axes.scatter(
        points[:, 0],
        points[:, 1],
        s=20 + 280 * watched[likely],
        color=COLOURS[1],
        zorder=3,
        label=game.players[0],
    )


def _positions(
    game: PathInterdiction, positions: Mapping[Hashable, Sequence[float]] | None
) -> dict[Hashable, Any]:
    import networkx

    nodes = dict.fromkeys(node for arc in game.arcs for node in arc)
    if positions is None:
        positions = networkx.spring_layout(networkx.Graph(list(game.arcs)), seed=0)
    missing = [node for node in nodes if node not in positions]
    if missing:
        raise InvalidInput(
            f"positions should say where each node lies; {missing[0]!r} has no position."
        )
    return {node: np.asarray(positions[node], dtype=np.float64) for node in nodes}
