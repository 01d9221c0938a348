"""A time limit that long steps keep too: the loop sets it, arithmetic without end in sight asks.

A step is pure and knows of no clock. Where one may take minutes, it calls `check` between pieces of
its work; what it has done by then is given up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from eqgan.errors import EqganError

_END: ContextVar[float] = ContextVar("_END", default=math.inf)


class TimeIsUp(EqganError, TimeoutError):
    """The time limit came within a step; `solve` turns it into a status."""


@contextmanager
def deadline(end: float) -> Iterator[None]:
    """Let `check` raise within this block once `time.perf_counter()` has passed `end`.

    Args:
        end: Seconds on that clock; an earlier end set around the block holds too.

    Example:
        >>> with deadline(time.perf_counter() + 60):
        ...     check()
    """
    before = _END.set(min(end, _END.get()))
    try:
        yield
    finally:
        _END.reset(before)


def check() -> None:
    """Raise `TimeIsUp` if a deadline was set and has passed."""
    if time.perf_counter() > _END.get():
        raise TimeIsUp("The time limit came within a step.")
