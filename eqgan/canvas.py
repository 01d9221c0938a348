"""What every picture shares: figures without a display, colours, legends and arrays."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.result import Result

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""Okabe and Ito's colours, which colour-blind readers can tell apart, in this order."""

DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
"""Line styles: each runs through all colours before the next is taken."""

GREY = "#666666"

LINE = 24
"""Letters in a line of a name; a longer name takes two."""

LETTER = 0.09
"""Width of a letter in inches."""


def grid_of(count: int) -> tuple[int, int]:
    """Return rows and columns for so many panels: at most three columns, and 2 x 2 for four."""
    columns = 2 if count == 4 else min(3, count)
    return math.ceil(count / columns), columns


def blank_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that size in inches, outside pyplot's state."""
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def figure_of(
    rows: int, columns: int, width: float, height: float, **share: bool
) -> tuple[Figure, list[Axes]]:
    """Return a figure of that size in inches, and its panels row by row."""
    figure = blank_figure(width, height)
    grid = figure.subplots(rows, columns, squeeze=False, **share)  # type: ignore[call-overload]
    panels = list(grid.flat)
    for axes in panels:
        plain(axes)
    return figure, panels


def as_result(result: Any) -> Result:
    """Return what `solve` returned; raise `InvalidInput` on anything else, a game above all."""
    if not isinstance(result, Result):
        raise InvalidInput(
            "This picture is of a run, of what eqgan.solve(game) returned; got "
            f"{type(result).__name__}."
        )
    return result


def plain(axes: Axes) -> None:
    """Take away the frame's top and right."""
    axes.spines[["top", "right"]].set_visible(False)


def styles_of(count: int) -> list[tuple[str, Any]]:
    """Return a colour and a line style for each of `count` lines, all different."""
    size = len(COLOURS)
    return [(COLOURS[i % size], DASHES[i // size % len(DASHES)]) for i in range(count)]


def explain(
    figure: Figure,
    panels: Sequence[Axes],
    where: Literal["outside lower center", "outside upper center"] = "outside lower center",
) -> None:
    """Put one legend of everything that the panels label under (or over) all of them."""
    keys: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            keys.setdefault(label, handle)
    columns = int(figure.get_figwidth() / (0.7 + LETTER * letters(keys)))
    ncols = min(max(1, columns), 3)
    figure.legend(keys.values(), keys, loc=where, ncols=ncols, frameon=False)


def letters(names: Iterable[str]) -> int:
    """Return how many letters the longest line has."""
    return max(len(line) for name in names for line in name.split("\n"))


def as_array(values: Any) -> Array:
    """Return a tensor or array-like as a float64 array."""
    tensor = values if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))
    array: Array = tensor.detach().double().cpu().numpy()
    return array


def as_points(values: Any, what: str) -> Array:
    """Return points in the plane, `(n, 2)`; raise `InvalidInput` on another shape."""
    points = as_array(values)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise InvalidInput(f"{what} should have shape (n, 2); got {points.shape}.")
    return points


def wrapped(name: str, width: int = LINE) -> str:
    """Return a name as it is drawn: in one or two lines, and dollars are dollars."""
    lines = textwrap.wrap(name, width, max_lines=2, placeholder=" ...")
    return "\n".join(lines).replace("$", r"\$")
