"""Every extreme ray of a polyhedral cone, by the double description method.

References:
    Motzkin, Raiffa, Thompson, Thrall 1953; Fukuda and Prodon 1996, Double description method
    revisited.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from eqgan.exact.lifting import Integers

MOST = 500
"""Rays on the way beyond which the search is given up: its cost grows with their cube."""


class _Ray(NamedTuple):
    """A ray, and the set of inequalities that it satisfies with equality, as bits."""

    direction: Integers
    tight: int


def extreme_rays(inequalities: Integers) -> list[Integers] | None:
    r"""Return the extreme rays of :math:`\{t \ge 0 : G t \ge 0\}`.

    The cone starts as the orthant. Each inequality keeps the rays on its good side and adds, for
    every edge that it cuts, the ray at the cut.

    Args:
        inequalities: G, integers, `(k, q)`.

    Returns:
        Integer vectors `(q,)` without a common divisor, or ``None`` where more than `MOST` rays
        are met on the way.

    Example:
        >>> extreme_rays(np.array([[2, -1]], dtype=object))
        [array([1, 0], dtype=object), array([1, 2], dtype=object)]
    """
    q = inequalities.shape[1]
    orthant = np.eye(q, dtype=int).astype(object)
    rays = [_Ray(e, (1 << q) - 1 - (1 << i)) for i, e in enumerate(orthant)]
    for bit, g in enumerate(inequalities, start=q):
        rays = _cut(rays, g, 1 << bit, q)
        if len(rays) > MOST:
            return None
    return [ray.direction for ray in rays]


def _cut(rays: list[_Ray], g: Integers, bit: int, q: int) -> list[_Ray]:
    """Return the rays of the cone's part in which g t is not negative."""
    sides = [int(g @ ray.direction) for ray in rays]
    kept = [
        _Ray(ray.direction, ray.tight | bit) if side == 0 else ray
        for ray, side in zip(rays, sides, strict=True)
        if side >= 0
    ]
    for good, above in zip(rays, sides, strict=True):
        for bad, below in zip(rays, sides, strict=True):
            if above > 0 > below and _adjacent(good, bad, rays, q):
                at_cut = above * bad.direction - below * good.direction
                kept.append(_Ray(at_cut // math.gcd(*at_cut), (good.tight & bad.tight) | bit))
    return kept


def _adjacent(a: _Ray, b: _Ray, rays: list[_Ray], q: int) -> bool:
    """Return whether two rays span an edge: no third one is on all that both are on."""
    common = a.tight & b.tight
    if common.bit_count() < q - 2:
        return False
    return sum(ray.tight & common == common for ray in rays) == 2
