"""Data as users hand them in: checked, and held in memory where they fit."""

from __future__ import annotations

import math
import os
import warnings
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from eqgan.data.mixtures import GaussianMixture
from eqgan.data.streamed import Streamed, sample_at
from eqgan.errors import InvalidInput

Data: TypeAlias = Tensor | Streamed
"""Samples `(N, *data)`, held or read when they are drawn; both know `shape` and `index_select`."""

SHARE = 0.5
"""Of a device's memory, what data may take to be held there."""


def as_data(data: Any, device: torch.device, dtype: torch.dtype) -> Data:
    """Return a user's data on `device`; streamed where they would take too much of its memory.

    Raises:
        InvalidInput: No data, or such as no network takes.
    """
    if isinstance(data, Streamed):
        return data.to(device, dtype)
    if isinstance(data, Dataset):
        if _too_large(sample_at(data, 0).numel() * _length(data), device, dtype):
            return Streamed(data).to(device, dtype)
        data = _stacked(data)
    tensor = _as_tensor(data)
    if _too_large(tensor.numel(), device, dtype):
        return Streamed(TensorDataset(tensor)).to(device, dtype)
    return tensor.to(device, dtype)


def _too_large(entries: int, device: torch.device, dtype: torch.dtype) -> bool:
    return entries * dtype.itemsize > SHARE * capacity(device)


def capacity(device: torch.device) -> float:
    """Return the memory of a device in bytes, infinite where nobody says."""
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    if device.type == "cpu":
        with suppress(AttributeError, ValueError):  # Not all systems know these names.
            return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    return math.inf


def _as_tensor(data: Any) -> Tensor:
    if isinstance(data, GaussianMixture):
        raise InvalidInput(
            "data should be samples alone; got a GaussianMixture, which knows its modes too: pass "
            "its .samples."
        )
    if isinstance(data, DataLoader):
        raise InvalidInput(
            "data should be a tensor, an array or a Dataset, of which the game draws its own "
            "batches; got a DataLoader: pass its .dataset, and its batch size to the game."
        )
    try:
        tensor = data if isinstance(data, Tensor) else _shared(np.asarray(data))
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"data should be a tensor, an array or a Dataset; got {type(data).__name__}."
        ) from error
    if tensor.dim() < 2 or len(tensor) == 0:
        raise InvalidInput(
            f"data should have shape (N, *data) with N >= 1; got {tuple(tensor.shape)}. Add a "
            "dimension with data[:, None] if samples are numbers."
        )
    if not tensor.is_floating_point():
        raise InvalidInput(
            f"data should be floating numbers on the generator's scale; got {tensor.dtype}. Images "
            "of bytes become data.float() / 127.5 - 1 for a generator that ends in tanh."
        )
    if not bool(torch.isfinite(tensor).all()):
        raise InvalidInput("data should be finite; got NaN or infinite entries.")
    return tensor.detach()


def _shared(array: np.ndarray[Any, Any]) -> Tensor:
    # Torch warns of memory that may not be written to: a DataFrame's, or a file's that is mapped
    # and may be larger than memory. Nobody writes to it here, and a copy might not fit.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.as_tensor(array)


def _length(data: Any) -> int:
    try:
        return len(data)
    except (TypeError, NotImplementedError) as error:
        raise InvalidInput(
            f"A Dataset should have a length; {type(data).__name__} has none."
        ) from error


def _stacked(data: Any) -> Tensor:
    samples = [sample_at(data, index) for index in range(_length(data))]
    try:
        return torch.stack(samples)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise InvalidInput(
            f"A Dataset should give tensors of one shape; this one does not ({reason})."
        ) from error
