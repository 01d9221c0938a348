"""The C library's allocator, which takes memory from the system and gives it back."""

from __future__ import annotations

import functools

import torch


@functools.cache
def keep_freed_memory() -> None:
    """Let each step take the memory that the one before it freed.

    The C library of Linux (glibc) hands freed memory back to the system above a threshold, from
    where every step fetches it anew, zeroed page by page: a tenth of the time of a convolutional
    network's step. It raises the threshold to twice the largest block that it saw freed, up to
    64 MiB for a block of 32 MiB; one that is never written to costs nothing. Elsewhere this does
    nothing.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)
