"""What tells one game from another when a run is resumed."""

from __future__ import annotations

import dataclasses
import itertools
import re
import zlib
from functools import cached_property
from typing import Any

import numpy as np
import torch

from eqgan.data.streamed import Streamed
from eqgan.game import Game
from eqgan.games.payoffs import Payoffs
from eqgan.spaces import Space

THINNED = 100_000
"""Entries of a tensor, at most about twice, that tell one game from another."""


TOLD = str | int | float | Streamed
"""What a game holds that its `repr` tells apart."""


def described(value: Any) -> str:
    """Return the repr without addresses, and NumPy's whole numbers as plain ones."""
    text = re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    return re.sub(r"np\.u?int\d+\((-?\d+)\)", r"\1", text)


def digest(game: Game | Payoffs | Space[Any]) -> int:
    """Return a checksum of the tensors that a game (and its base) holds, thinned if they are large.

    It tells one game from another when a run is resumed; it need not be more than that.
    """
    checksum = 0
    # What is cached is derived, and comes when it is first asked for.
    given = (v for k, v in vars(game).items() if not _is_cached(type(game), k))
    parts = (v if isinstance(v, tuple) else (v,) for v in given)
    for value in itertools.chain.from_iterable(parts):
        if isinstance(value, Game | Payoffs | Space):
            checksum = zlib.crc32(digest(value).to_bytes(4), checksum)
        elif isinstance(value, TOLD | None) or dataclasses.is_dataclass(value):
            checksum = zlib.crc32(described(value).encode(), checksum)
        elif isinstance(value, np.ndarray) and value.dtype != object:
            checksum = zlib.crc32(np.ascontiguousarray(value).tobytes(), checksum)
        elif isinstance(value, torch.Tensor):
            for part in _strided(value.detach()):
                flat = part.flatten()
                thinned = flat[:: max(1, len(flat) // THINNED)].cpu().double()
                checksum = zlib.crc32(thinned.numpy().tobytes(), checksum)
    return checksum


def _strided(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the dense tensors that make up a tensor; none for layouts that are not known."""
    if tensor.layout is torch.strided:
        return (tensor,)
    if tensor.layout is torch.sparse_csr:
        return tensor.crow_indices(), tensor.col_indices(), tensor.values()
    if tensor.layout is torch.sparse_coo:
        return tensor._indices(), tensor._values()
    return ()


def _is_cached(kind: type, name: str) -> bool:
    return isinstance(getattr(kind, name, None), cached_property)
