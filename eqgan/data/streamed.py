"""Data that stay where they are, on a disk or in an archive, and are read a minibatch at a time."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from eqgan.errors import InvalidInput, reason
from eqgan.whole import as_whole


class Streamed:
    """A map-style dataset too large to hold, whose samples are read when they are drawn.

    A batch is shared by threads, which serve well what waits for a disk or a decoder, and the batch
    that is likely drawn next is read meanwhile. What is drawn follows from the run's seed alone: a
    run with data that are streamed equals one with the same data in memory, bit for bit, and so
    does a resumed one.

    Args:
        dataset: Has a length, and gives floating tensors of one shape, or pairs of one and a label.
            The same index should always give the same sample: random augmentation could not be
            repeated.
        workers: Threads that read.

    Attributes:
        shape: `(N, *data)`.
        device: Where samples go.
        dtype: What samples come in.

    Raises:
        InvalidInput: No such dataset, or one that gives another sample each time.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> streamed = Streamed(TensorDataset(torch.arange(12.0).view(6, 2)), workers=1)
        >>> streamed.index_select(0, torch.tensor([5, 0]))
        tensor([[10., 11.],
                [ 0.,  1.]])
    """

    def __init__(self, dataset: Any, workers: int = 4) -> None:
        workers = as_whole("workers", workers, 1)
        self.dataset, self.workers = dataset, workers
        self.device, self.dtype = torch.device("cpu"), torch.float32
        first = self._sample(0)
        if not torch.equal(first, self._sample(0)):
            raise InvalidInput(
                "dataset[0] gives another sample each time, so no run could be repeated; leave "
                "random augmentation out."
            )
        self.shape: tuple[int, ...] = (len(dataset), *first.shape)
        self.dtype = first.dtype
        ends = torch.stack([first, self._sample(len(dataset) - 1)])
        self.checksum = zlib.crc32(ends.numpy().tobytes())
        self._begin()

    def _begin(self) -> None:
        self.threads: ThreadPoolExecutor | None = None
        self.expected: tuple[Tensor, list[Future[list[Tensor]]]] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Streamed({self.shape}, checksum {self.checksum:08x})"

    def _sample(self, index: int) -> Tensor:
        sample = sample_at(self.dataset, index)
        shape = getattr(self, "shape", (0, *sample.shape))[1:]
        if sample.shape != shape or not sample.is_floating_point():
            raise InvalidInput(
                f"Samples should be floating tensors of shape {tuple(shape)} like the first; "
                f"sample {index} is {sample.dtype} of shape {tuple(sample.shape)}."
            )
        if not bool(torch.isfinite(sample).all()):
            raise InvalidInput(f"Samples should be finite; sample {index} holds NaN or infinities.")
        return sample

    def index_select(self, dim: int, rows: Tensor, coming: Tensor | None = None) -> Tensor:
        """Return the samples at `rows`, `(len(rows), *data)`, as a tensor of data would.

        Args:
            dim: 0; samples have no other order.
            rows: Which samples.
            coming: Rows that are likely asked for next, and are read meanwhile.
        """
        known = self.expected is not None and torch.equal(self.expected[0], rows)
        parts = self.expected[1] if known and self.expected else self._read(rows)
        if coming is not None:
            self.expected = coming, self._read(coming)
        samples = [sample for part in parts for sample in part.result()]
        return torch.stack(samples).to(self.device, self.dtype)

    def _read(self, rows: Tensor) -> list[Future[list[Tensor]]]:
        if self.threads is None:
            self.threads = ThreadPoolExecutor(self.workers, "eqgan-data")
        shares = rows.cpu().chunk(self.workers)
        return [self.threads.submit(self._samples, share.tolist()) for share in shares]

    def _samples(self, rows: Sequence[int]) -> list[Tensor]:
        return [self._sample(row) for row in rows]

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> Streamed:
        """Return the data as they come to another device, or in another type."""
        moved = object.__new__(Streamed)
        moved.__setstate__({**self.__getstate__(), "device": device, "dtype": dtype or self.dtype})
        return moved

    def __getstate__(self) -> dict[str, Any]:
        # Threads, and what they read, stay behind.
        return {k: v for k, v in self.__dict__.items() if k not in ("threads", "expected")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()


def sample_at(dataset: Any, index: int) -> Tensor:
    """Return a dataset's sample without its label.

    Raises:
        InvalidInput: Whatever goes wrong.
    """
    try:
        item = dataset[index]
        return torch.as_tensor(item[0] if isinstance(item, tuple | list) else item).detach()
    except (TypeError, ValueError, KeyError, IndexError, OSError, RuntimeError) as error:
        raise InvalidInput(
            "A Dataset should have a length and give tensors of one shape, or pairs of a tensor "
            f"and a label; this one fails at {index} ({reason(error)})."
        ) from error
