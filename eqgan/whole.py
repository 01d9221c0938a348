"""Whole numbers that a user gives: Python's and NumPy's, but neither truths nor floats."""

from __future__ import annotations

import operator
from typing import Any, TypeGuard

import numpy as np
from torch import Tensor

from eqgan.errors import InvalidInput

MOST = 2**63 - 1
"""The largest whole number that NumPy, torch and the files of runs can hold."""


def is_whole(value: Any, least: int = -MOST - 1, most: int = MOST) -> TypeGuard[int]:
    """Return whether a value counts something: a whole number from `least` to `most`.

    Args:
        value: What came.
        least: The smallest number to accept.
        most: The largest.

    Example:
        >>> import numpy as np
        >>> [is_whole(n, 1) for n in (3, np.int32(3), 0, 3.0, True, "3", None)]
        [True, True, False, False, False, False, False]
    """
    if isinstance(value, bool | np.ndarray | Tensor):
        return False
    try:
        return least <= operator.index(value) <= most
    except TypeError:
        return False


def as_whole(name: str, value: Any, least: int) -> int:
    """Return a whole number as Python's own, or raise.

    Args:
        name: What the message calls it.
        value: What came.
        least: The smallest number to accept.

    Raises:
        InvalidInput: Anything else.

    Example:
        >>> as_whole("n", 0, 1)
        Traceback (most recent call last):
        ...
        eqgan.errors.InvalidInput: n should be a whole number >= 1; got 0.
    """
    if not is_whole(value, least):
        raise InvalidInput(f"{name} should be a whole number >= {least}; got {value!r}.")
    return operator.index(value)


def as_seed(value: Any) -> int:
    """Return the seed of a random generator as Python's own number, or raise.

    Args:
        value: What came.

    Raises:
        InvalidInput: No whole number, or one that 64 bits do not hold.
    """
    if not is_whole(value):
        raise InvalidInput(f"seed should be a whole number of at most 64 bits; got {value!r}.")
    return operator.index(value)
