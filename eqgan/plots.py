"""Pictures: gaps, strategies, trajectories and samples.

Every function returns a matplotlib `Figure` of its own, drawn without a display and without
touching pyplot's global state; ``figure.savefig("gap.png")`` writes it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from eqgan.bars import strategies
from eqgan.canvas import (
    COLOURS,
    GREY,
    Array,
    as_array,
    as_points,
    as_result,
    blank_figure,
    figure_of,
)
from eqgan.curves import gap, gaps
from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.heatmap import payoff_matrix
from eqgan.networks import network
from eqgan.recorder import Recorder
from eqgan.result import Result
from eqgan.trajectories import simplex_trajectory, trajectories

__all__ = [
    "gap",
    "gaps",
    "image_grid",
    "network",
    "payoff_matrix",
    "pictures",
    "samples_2d",
    "simplex_trajectory",
    "strategies",
    "trajectories",
]

# -- every picture of a run ----------------------------------------------------------------------


def pictures(result: Result, path: Recorder | None = None) -> dict[str, Figure]:
    """Draw every picture that shows a run.

    Args:
        result: The outcome of `solve`.
        path: What a `Recorder` kept of the run, if one did.

    Returns:
        The figures by the names of the functions that draw them: of ``"payoff_matrix"``,
        ``"strategies"``, ``"network"``, ``"simplex_trajectory"`` and ``"gap"``, in this order,
        those that suit the game and the run. What is left of one check alone is no curve.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.oneill()
        >>> list(pictures(eqgan.solve(game, "regret_matching")))
        ['payoff_matrix', 'strategies', 'gap']
        >>> list(pictures(eqgan.solve(game, "linear_program")))
        ['payoff_matrix', 'strategies']
    """
    label = type(as_result(result).solver).__name__
    draw: dict[str, Callable[[], Figure]] = {
        "payoff_matrix": lambda: payoff_matrix(result),
        "strategies": lambda: strategies(result),
        "network": lambda: network(result),
    }
    if path is not None and len(path.profiles) > 1:
        draw["simplex_trajectory"] = lambda: simplex_trajectory({label: path})
    if len(result.trace) > 1:
        draw["gap"] = lambda: gap({label: result})
    figures = {}
    for name, picture in draw.items():
        # Each says itself what it cannot show.
        with contextlib.suppress(InvalidInput, UnsupportedGame):
            figures[name] = picture()
    return figures


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
