"""One thread for small networks: torch's own threads slow them down and round differently."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch


def one_thread() -> AbstractContextManager[None]:
    """Run a block on one torch thread, and give the others back after it.

    Sums round the same on every machine so, and steps of small games and networks are faster.

    Example:
        >>> with one_thread():
        ...     torch.get_num_threads()
        1
    """
    return threads(1)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run a block on so many torch threads, and go back to as many as before after it.

    Args:
        count: How many.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
