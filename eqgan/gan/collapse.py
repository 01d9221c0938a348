r"""When a generator has collapsed: it makes one point of every noise, where the data are many.

Little of a ReLU network's gradient is left then, and a run that goes on tells nothing. One *mode*
is no collapse: generators pass from mode to mode, and come back.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from eqgan.data.given import Data
from eqgan.profile import Profile

POINT = 1e-8
"""Samples of less than this share of the data's variance are one point: a ten-thousandth wide."""

PROBES = 16
"""Samples of each generator that are looked at."""

SHOWN = 256
"""Data that are looked at, at most: they may have to be read from a disk."""


def some(data: Data) -> Tensor:
    """Return data from everywhere, at most `SHOWN`.

    Example:
        >>> some(torch.zeros(5000, 2)).shape
        torch.Size([256, 2])
    """
    rows = torch.linspace(0, len(data) - 1, min(len(data), SHOWN), dtype=torch.float64).long()
    return data.index_select(0, rows.to(data.device))


def total_variance(samples: Tensor, weights: Tensor) -> float:
    r"""Return the trace of a mixture's covariance, :math:`E \lVert X - E X \rVert^2`.

    Args:
        samples: Equally many of each generator, `(K, n, *data)`.
        weights: How likely each generator is, `(K,)`.

    Example:
        >>> import torch
        >>> points = torch.tensor([[[0.0], [0.0]], [[2.0], [2.0]]])
        >>> total_variance(points, torch.tensor([0.5, 0.5]))
        1.0
    """
    points = samples.double().flatten(2)
    points = points - points[0, 0]  # so that equal ones have a variance of 0, rounding and all
    share = weights.double()[:, None, None] / points.shape[1]
    mean = (share * points).sum((0, 1))
    return float((share * (points - mean).square()).sum())


def collapse(spread: Callable[[Profile], float], z: Profile, before: Profile) -> str:
    """Return a sentence if what `z` makes is one point, and what `before` makes is not.

    Args:
        spread: Returns the samples' variance as a share of the data's.
        z: A profile.
        before: An earlier one, looked at only where `z` makes one point.

    Example:
        >>> wide, point = Profile([torch.tensor([0.7])]), Profile([torch.tensor([1e-9])])
        >>> collapse(lambda z: float(z[0]), point, wide)
        'the generator has collapsed to one point'
        >>> collapse(lambda z: float(z[0]), point, point)
        ''
    """
    collapsed = spread(z) < POINT <= spread(before)
    return "the generator has collapsed to one point" if collapsed else ""
