"""What a run did: did it converge, circle, diverge or stall?

The verdict is read off the run's trace. `Motion` adds to a trace what the verdict needs beyond the
columns of `eqgan.solve`.
"""

from __future__ import annotations

import math
import statistics

import torch

from eqgan.game import Game
from eqgan.loop import Progress
from eqgan.profile import Profile
from eqgan.result import Status, Trace

ROUNDING = 1e-12
"""A measure of this size counts as zero."""

FEWEST = 8
"""With fewer measurements no trend is read from a trace."""

STANDING = 0.1
"""A proposal that moves less than this in all, relative to its norm, stands still."""


def behaviour(trace: Trace, status: Status, *, monotone: bool = False) -> str:
    """Say what a run did, from its trace.

    The measure is the gap where it is exact. Elsewhere it is the natural residual on monotone
    games, whose zeros are equilibria, and the distance to the known equilibrium on others (the
    residual where none is known): a lower bound on the gap may shrink without anything converging.

    - ``diverging``: status DIVERGED, or the measure grows;
    - ``converged``: status CONVERGED (at a stationary point, where nothing more is proved), or a
      last measure below 1e-12;
    - ``converging``: the measure shrinks;
    - ``circling``: it does neither, and the proposal moves;
    - ``stalled``: it does neither, and the proposal stands still (over the later window it moves
      less than a tenth of its norm in all);
    - ``undecided``: fewer than eight measurements, or nothing to measure.

    Whether it shrinks or grows is read off two windows: the first quarter of the measurements is
    dropped and the rest is halved. A mean that is below 4/5 of the earlier window's shrinks (so
    :math:`t^{-1/4}` still counts), one above 5/4 grows.

    Args:
        trace: The run's trace, with the columns that `Motion` adds.
        status: How the run ended.
        monotone: Whether the game is (`game.monotone`).

    Returns:
        One of the words above.

    Example:
        >>> rows = [{"nash_conv": 0.5, "nash_conv_upper": 0.5, "moved": 1.0}] * 20
        >>> behaviour(Trace(rows), Status.MAX_STEPS)
        'circling'
    """
    if status is Status.DIVERGED:
        return "diverging"
    if status is Status.CONVERGED:
        return "converged"
    sizes = _measurements(trace, monotone)
    if sizes and sizes[-1] <= ROUNDING:
        return "converged"
    if len(sizes) < FEWEST:
        return "undecided"
    settled = sizes[len(sizes) // 4 :]
    half = len(settled) // 2
    early, late = statistics.fmean(settled[:half]), statistics.fmean(settled[half:])
    if not late <= 1.25 * early or math.isinf(late):
        return "diverging"
    if late < 0.8 * early:
        return "converging"
    path = sum(row.get("moved", 0.0) for row in trace[-half:])
    return "circling" if path > STANDING else "stalled"


def _measurements(trace: Trace, monotone: bool) -> list[float]:
    """Return the measure at every check that has one: gap, residual or distance."""
    columns = trace.columns
    if len(trace) and math.isfinite(trace[-1].get("nash_conv_upper", math.inf)):
        name = "nash_conv"
    elif "residual" in columns and (monotone or "distance" not in columns):
        name = "residual"
    elif "distance" in columns:
        name = "distance"
    else:
        return []
    return [size for size in trace.column(name) if size == size]


class Motion:
    """A callback of `solve` that adds to each row what `behaviour` reads.

    ``moved`` is how far the proposal moved since the last check, relative to its norm, and
    ``distance`` how far it is from the game's known equilibrium, if one is known.

    Args:
        game: The game that is solved.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.Bilinear([[1.0]])
        >>> run = eqgan.solve(game, "alternating_gradient", callbacks=[Motion(game)])
        >>> behaviour(run.trace, run.status, monotone=game.monotone)
        'circling'
    """

    def __init__(self, game: Game) -> None:
        self.game = game
        self.last: Profile | None = None

    def __call__(self, progress: Progress) -> dict[str, float]:
        """Return the numbers of this check."""
        z, numbers = progress.profile, {}
        if self.last is not None:
            norm = max(float(z.norm()), torch.finfo(self.game.dtype).tiny)
            numbers["moved"] = float((z - self.last).norm()) / norm
        if self.game.equilibrium is not None:
            numbers["distance"] = float((z - self.game.equilibrium).norm())
        self.last = z
        return numbers
