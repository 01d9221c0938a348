"""Real numbers that a user gives: Python's and NumPy's, but neither truths nor text."""

from __future__ import annotations

import functools
from typing import Any, TypeGuard

import numpy as np

from eqgan.errors import InvalidInput

NUMBERS = (int, float, np.integer, np.floating)

EVERYWHERE = "(-inf, inf)"

WORDS = {
    EVERYWHERE: "a finite number",
    "(0, inf)": "a finite number > 0",
    "[0, inf)": "a finite number >= 0",
    "(0, inf]": "a number > 0",
}
"""What messages call an interval; others are called by their ends."""


def is_real(value: Any, interval: str = EVERYWHERE) -> TypeGuard[float]:
    """Return whether a value is a number in an interval.

    Args:
        value: What came.
        interval: Both ends, as in ``"[0, 1)"``: a round bracket leaves its end out.

    Example:
        >>> [is_real(x, "[0, 1)") for x in (0, 0.5, 1, float("nan"), True, "0.5", None)]
        [True, True, False, False, False, False, False]
    """
    if isinstance(value, bool) or not isinstance(value, NUMBERS):
        return False
    try:
        number = float(value)
    except OverflowError:
        return False
    low, high, ends = _parts(interval)
    return low < number < high or number in ends


@functools.cache
def _parts(interval: str) -> tuple[float, float, tuple[float, ...]]:
    """Return where an interval begins and stops, and which of these belong to it."""
    low, high = map(float, interval[1:-1].split(","))
    return low, high, (low,) * (interval[0] == "[") + (high,) * (interval[-1] == "]")


def as_real(name: str, value: Any, interval: str = EVERYWHERE) -> float:
    """Return a number in an interval as Python's own, or raise.

    Args:
        name: What the message calls it.
        value: What came.
        interval: Both ends, as in ``"[0, 1)"``.

    Raises:
        InvalidInput: Anything else.

    Example:
        >>> as_real("rate", -1, "(0, inf)")
        Traceback (most recent call last):
        ...
        eqgan.errors.InvalidInput: rate should be a finite number > 0; got -1.
        >>> as_real("share", "a", "[0, 1)")
        Traceback (most recent call last):
        ...
        eqgan.errors.InvalidInput: share should be a number in [0, 1); got 'a'.
    """
    if not is_real(value, interval):
        wanted = WORDS.get(interval, f"a number in {interval}")
        # A tensor or an array of no dimension looks like a number.
        alike = not isinstance(value, NUMBERS) and getattr(value, "ndim", None) == 0
        advice = f"; pass float({name})" if alike else ""
        raise InvalidInput(f"{name} should be {wanted}; got {value!r}{advice}.")
    return float(value)
