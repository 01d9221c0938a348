"""The type that networks compute in: their parameters' own, or bfloat16 where that is asked for."""

from __future__ import annotations

import logging

import torch

from eqgan.errors import InvalidInput

LOG = logging.getLogger("eqgan")

OLDER = ("AVX2", "NO AVX")
"""Instruction sets of processors whose convolutions have no fast way through bfloat16."""


def autocast_type(precision: str, dtype: torch.dtype, device: torch.device) -> torch.dtype | None:
    """Return what `torch.autocast` should compute in, ``None`` for the parameters' own type.

    A processor without instructions for bfloat16 computes in it many times more slowly than in
    float32, and nothing in torch says so: the log does.

    Args:
        precision: ``"float32"`` or ``"bfloat16"``.
        dtype: The type of the networks' parameters.
        device: Where they are.

    Raises:
        InvalidInput: Another precision, or bfloat16 of networks that are not float32.

    Example:
        >>> autocast_type("float32", torch.float64, torch.device("cpu")) is None
        True
    """
    if precision not in ("float32", "bfloat16"):
        raise InvalidInput(f"precision should be 'float32' or 'bfloat16'; got {precision!r}.")
    if precision == "float32":
        return None
    if dtype is not torch.float32:
        raise InvalidInput(
            f"precision='bfloat16' needs networks of float32; got {dtype}. Call .float() on them."
        )
    if device.type == "cpu" and torch.backends.cpu.get_cpu_capability() in OLDER:
        LOG.warning(
            "precision='bfloat16': this processor has no instructions for it, and convolutions "
            "take many times as long as in float32."
        )
    return torch.bfloat16
