"""Gaps against what they cost: the pictures of runs and comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from eqgan.canvas import GREY, Array, figure_of, grid_of, styles_of
from eqgan.errors import InvalidInput
from eqgan.result import Result, Trace

Run: TypeAlias = Result | Trace
"""One run, or what was measured during it."""

Curve: TypeAlias = list[tuple[float, float]]
"""Pairs of (what was spent, gap)."""

Cost: TypeAlias = Literal["evaluations", "step", "seconds"]
"""A column of the trace: what gaps are drawn against."""

Runs: TypeAlias = Run | Sequence[Run]
"""A run, or one for each seed."""

COSTS = {"evaluations": "gradient evaluations", "step": "steps", "seconds": "seconds"}

BOUND: dict[str, Any] = {"marker": "^", "markerfacecolor": "white", "markersize": 6}
"""How lower bounds are marked: the gap is there or higher up."""

CROWD = 5
"""With more labels the legend stands beside the lines, not among them."""

GUIDES = {"$1/\\sqrt{t}$": -0.5, "$1/t$": -1.0}
"""Rates of convergence, as slopes of straight lines where both axes are logarithmic."""

ROUNDING = 1e-6
"""Bounds that differ by less than this fraction are drawn as one line."""

FLOOR = 1e-17
"""Gaps below this are drawn at it: a logarithmic axis has no zero."""


def gap(
    runs: Run | Mapping[str, Runs],
    horizontal: Literal["linear", "log"] = "linear",
    against: Cost = "evaluations",
) -> Figure:
    """Draw NashConv against what it cost, on a logarithmic axis.

    Args:
        runs: A result (or its trace), or results by label; several under one label are drawn thin,
            with their median over them. A dot marks where a run ended. A method that evaluates no
            gradients is a horizontal line with its gap beside it; where that is far below the
            others the line lies at the foot of the picture.
        horizontal: ``"log"`` makes that axis logarithmic too, and draws the slopes of the common
            rates of convergence; starts, at 0, are left out.
        against: Gradient ``"evaluations"``, solver steps (``"step"``), or wall-clock ``"seconds"``.

    Returns:
        The figure. Lower bounds bear triangles that point up, exact gaps do not; the axis says it
        too. Where an upper bound is proved that differs, the range between both is shaded.

    Raises:
        InvalidInput: No gap was measured, or another kind of axis.

    Example:
        >>> import eqgan
        >>> run = eqgan.solve(eqgan.games.rock_paper_scissors(), "fictitious_play", max_steps=100)
        >>> gap(run).axes[0].get_ylabel()
        'NashConv'
    """
    if horizontal not in ("linear", "log"):
        raise InvalidInput(f"horizontal should be 'linear' or 'log'; got {horizontal!r}.")
    if against not in COSTS:
        raise InvalidInput(f"against should be one of {', '.join(COSTS)}; got {against!r}.")
    traces = _as_traces(runs)
    if not any(_gaps_of(trace, against) for group in traces.values() for trace in group):
        raise InvalidInput(
            "None of the runs measured a gap: pass an oracle to solve, such as "
            "eqgan.GradientOracle()."
        )
    figure, (axes,) = figure_of(1, 1, 6.4, 4.2)
    styles = dict(zip(traces, styles_of(len(traces)), strict=True))
    bounds = _draw_gaps(axes, traces, styles, against)
    if horizontal == "log":
        _compare_rates(axes, traces, against)
    if bounds:
        _explain_bounds(axes)
    if len(traces) > CROWD:
        figure.set_size_inches(9.6, max(4.2, 0.5 + 0.21 * len(traces)))
        figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    elif bounds or len(traces) > 1 or "" not in traces:
        axes.legend(frameon=False, fontsize=9)
    return figure


def gaps(panels: Mapping[str, Mapping[str, Runs]]) -> Figure:
    """Draw NashConv against gradient evaluations in several panels that share their legend.

    Args:
        panels: For each title the runs by label, as `gap` takes them; a label has the same colour
            in every panel. A panel in which no gap was measured says so.

    Returns:
        The figure.

    Raises:
        InvalidInput: No panels.
    """
    if not panels:
        raise InvalidInput("There is nothing to draw: no run took place.")
    labels = list(dict.fromkeys(label for runs in panels.values() for label in runs))
    styles = dict(zip(labels, styles_of(len(labels)), strict=True))
    rows, columns = grid_of(len(panels))
    figure, all_axes = figure_of(rows, columns, max(4.0 * columns, 5.6), 3.3 * rows + 0.6)
    bounds = False
    for axes, (title, runs) in zip(all_axes, panels.items(), strict=False):
        axes.set_title(title)
        bounds |= _draw_gaps(axes, _as_traces(runs), styles, "evaluations")
    for axes in all_axes[len(panels) :]:
        axes.remove()
    keys = [
        all_axes[0].plot([], [], color=colour, linestyle=dash, label=label)[0]
        for label, (colour, dash) in styles.items()
    ]
    if bounds:
        keys.append(_explain_bounds(all_axes[0]))
    figure.legend(handles=keys, loc="outside lower center", ncols=columns, frameon=False)
    return figure


def _as_traces(runs: Run | Mapping[str, Runs]) -> dict[str, list[Trace]]:
    groups = runs if isinstance(runs, Mapping) else {"": runs}
    traces = {}
    for label, group in groups.items():
        members = [group] if isinstance(group, Result | Trace) else group
        listed = isinstance(members, Sequence) and len(members) > 0
        if not listed or not all(isinstance(run, Result | Trace) for run in members):
            raise InvalidInput(
                "gap draws results of solve, or a mapping of labels to them; got "
                f"{group!r}{f' for {label!r}' if label else ''}."
            )
        traces[label] = [run.trace if isinstance(run, Result) else run for run in members]
    return traces


def _gaps_of(trace: Trace, against: Cost) -> Curve:
    """Return (what was spent, gap) at every check that measured one."""
    return [
        (row[against], max(row["nash_conv"], FLOOR))
        for row in trace
        if math.isfinite(row.get("nash_conv", math.nan))
    ]


def _draw_gaps(
    axes: Axes,
    traces: Mapping[str, Sequence[Trace]],
    styles: Mapping[str, tuple[str, Any]],
    against: Cost,
) -> bool:
    """Draw all gaps; say whether any is but a lower bound."""
    measured = {k: [t for t in group if _gaps_of(t, against)] for k, group in traces.items()}
    bounds = [_is_bound(trace) for group in measured.values() for trace in group]
    curves = {
        k: [_gaps_of(trace, against) for trace in group] for k, group in measured.items() if group
    }
    direct = {k: group for k, group in curves.items() if all(x == 0 for c in group for x, _ in c)}
    lowest = [y for k, group in curves.items() if k not in direct for c in group for _, y in c]
    for label, group in curves.items():
        if label in direct:
            _draw_level(axes, label, group, styles[label], min(lowest, default=FLOOR) / 10)
        else:
            bound = any(map(_is_bound, measured[label]))
            _draw_group(axes, label, group, styles[label], bound)
    shaded = [
        _draw_range(axes, group, styles[label][0], against) for label, group in measured.items()
    ]
    axes.set_xlabel(COSTS[against])
    axes.set_ylabel(_gap_label(bounds) + (" (shaded: to its upper bound)" if any(shaded) else ""))
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    if bounds:
        _scale(axes)
    else:
        axes.text(0.5, 0.5, "gap not measured", ha="center", transform=axes.transAxes, color=GREY)
    return any(bounds)


def _explain_bounds(axes: Axes) -> Line2D:
    """Return the legend's entry for lower bounds."""
    looks = {"color": GREY, "linestyle": "", "label": "lower bound", **BOUND}
    return axes.plot([], [], **looks)[0]


def _scale(axes: Axes) -> None:
    """Make the vertical axis logarithmic, with plain numbers where it spans less than a decade."""
    axes.set_yscale("log")
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
    low, high = axes.get_ylim()
    if high < 10 * low:
        for which in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            which(FuncFormatter(lambda y, _: f"{y:g}"))


def _is_bound(trace: Trace) -> bool:
    return any(not math.isfinite(row.get("nash_conv_upper", math.inf)) for row in trace[-1:])


def _gap_label(bounds: Sequence[bool]) -> str:
    if not any(bounds):
        return "NashConv"
    return "NashConv, lower bound" if all(bounds) else "NashConv, some only lower bounds"


def _draw_level(
    axes: Axes, label: str, curves: Sequence[Curve], style: tuple[str, Any], foot: float
) -> None:
    """Draw a direct method as a horizontal line; below `foot`, at the foot with its gap on it."""
    colour, dash = style
    level = float(np.median([curve[-1][1] for curve in curves]))
    shown = max(level, foot)
    axes.axhline(shown, color=colour, linestyle=dash, linewidth=1.8, label=label)
    if level < foot:
        place = axes.get_yaxis_transform()
        axes.text(1.0, foot, f"{level:.0e}", color=colour, transform=place, ha="right", va="bottom")


def _draw_group(
    axes: Axes, label: str, curves: Sequence[Curve], style: tuple[str, Any], bound: bool
) -> None:
    colour, dash = style
    if len(curves) > 1:
        for curve in curves:
            mark = "." if len(curve) == 1 else ""
            axes.plot(*zip(*curve, strict=True), mark, color=colour, linewidth=0.7, alpha=0.4)
    x, y = zip(*_median_curve(curves), strict=True)
    # A fraction spreads the marks evenly over the picture, on logarithmic axes too.
    marks = {"markevery": 0.1, **BOUND} if bound else {}
    axes.plot(x, y, color=colour, linestyle=dash, linewidth=1.8, label=label, **marks)
    axes.plot(x[-1], y[-1], BOUND["marker"] if bound else "o", color=colour, markersize=5)


def _draw_range(axes: Axes, traces: Sequence[Trace], colour: str, against: Cost) -> bool:
    """Shade from what was found to what is proved, where these differ; say whether they do."""
    drawn = False
    for trace in traces:
        rows = [row for row in trace if math.isfinite(row.get("nash_conv_upper", math.nan))]
        low = np.array([row["nash_conv"] for row in rows])
        high = np.array([row["nash_conv_upper"] for row in rows])
        if (high > low * (1 + ROUNDING) + FLOOR).any():
            places = [row[against] for row in rows]
            axes.fill_between(
                places, low.clip(FLOOR), high.clip(FLOOR), color=colour, alpha=0.15, linewidth=0
            )
            drawn = True
    return drawn


def _compare_rates(axes: Axes, traces: Mapping[str, Sequence[Trace]], against: Cost) -> None:
    """Make the horizontal axis logarithmic, and draw the slopes of the common rates."""
    curves = [_gaps_of(trace, against) for group in traces.values() for trace in group]
    points = [(x, y) for curve in curves for x, y in curve if x > 0]
    if not points:
        return
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    height = max(y for _, y in points)
    limits = axes.get_ylim()
    axes.set(xscale="log", xlim=(first / 1.1, last * 1.1))
    for label, slope in GUIDES.items():
        ends = np.array([first, last * 1.1])
        axes.plot(ends, height * (ends / first) ** slope, ":", color=GREY, linewidth=1.0, zorder=1)
        # The label stands beside the axes, or just above the foot where the line leaves there.
        x = min(ends[1], first * (limits[0] / height) ** (1 / slope))
        place, shift = (x, height * (x / first) ** slope), (4, 0 if x == ends[1] else 6)
        axes.annotate(
            label, place, shift, textcoords="offset points", color=GREY, fontsize=8, va="center"
        )
    axes.set_ylim(limits)


def _median_curve(curves: Sequence[Curve]) -> Curve:
    """Return the median over runs; a run that has ended keeps its last gap."""
    grid = sorted({x for curve in curves for x, _ in curve})
    held = np.array([_held(curve, grid) for curve in curves])
    return list(zip(grid, np.median(held, axis=0).tolist(), strict=True))


def _held(curve: Curve, grid: Sequence[float]) -> Array:
    places, values = (np.array(part) for part in zip(*curve, strict=True))
    index = np.searchsorted(places, grid, side="right") - 1
    held: Array = values[index.clip(0)]
    return held
