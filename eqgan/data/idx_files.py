"""Files in MNIST's format, which may be damaged or hostile."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from eqgan.errors import UnreadableFile
from eqgan.paths import as_path

IDX_DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
"""The element types of the idx format, by their code."""

MOST_DIMENSIONS = 8
CHUNK = 1 << 20
DEFLATE_RATIO = 1032
"""No deflate stream expands its input by more than this factor."""


def idx(path: str | Path) -> Tensor:
    """Read a file in the idx format of MNIST, plain or compressed by gzip.

    The header is believed only as far as the file bears it out: memory grows with what is really
    there, so a damaged or hostile header cannot ask for more.

    Args:
        path: The file; it is decompressed when its name ends in ``.gz``.

    Returns:
        The array, of the shape and type that the header states (uint8 for images and labels).

    Raises:
        UnreadableFile: A file that is missing, damaged, cut short, or of another format.

    References:
        LeCun, Cortes and Burges, "The MNIST database", section on file formats.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "labels"
        >>> _ = path.write_bytes(bytes([0, 0, 0x08, 1, 0, 0, 0, 3]) + bytes([7, 2, 1]))
        >>> idx(path)
        tensor([7, 2, 1], dtype=torch.uint8)
    """
    path = as_path("path", path)
    zipped = path.suffix == ".gz"
    try:
        stored = path.stat().st_size
        with gzip.open(path, "rb") if zipped else path.open("rb") as file:
            dtype, shape = _header(file, path)  # type: ignore[arg-type]
            size = dtype.itemsize * math.prod(shape)
            if size > stored * (DEFLATE_RATIO if zipped else 1):
                raise _wrong_length(path, shape, size, f"the file has only {stored} bytes")
            payload = _read_exactly(file, path, shape, size)  # type: ignore[arg-type]
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableFile(
            f"{path} should be a readable idx file{' compressed by gzip' * zipped}: {reason}."
        ) from error
    array = np.frombuffer(payload, dtype).reshape(shape)
    return torch.from_numpy(array.astype(dtype.newbyteorder("="), copy=dtype.byteorder == ">"))


def _header(file: BinaryIO, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in IDX_DTYPES:
        raise UnreadableFile(
            f"{path} should start like an idx file (two zero bytes, a type code from 08 to 0E, the "
            f"number of dimensions); it starts with {magic.hex(' ') or 'nothing'}."
        )
    if not 1 <= magic[3] <= MOST_DIMENSIONS:
        raise UnreadableFile(
            f"{path} should have 1 to {MOST_DIMENSIONS} dimensions; its header says {magic[3]}."
        )
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise UnreadableFile(f"{path} ends within its header; download or copy it again.")
    return IDX_DTYPES[magic[2]], tuple(int(n) for n in np.frombuffer(sizes, ">u4"))


def _read_exactly(file: BinaryIO, path: Path, shape: tuple[int, ...], size: int) -> bytearray:
    payload = bytearray()
    # One byte more than needed tells whether the file goes on; chunks keep memory honest.
    while part := file.read(min(CHUNK, size + 1 - len(payload))):
        payload += part
        if len(payload) > size:
            raise _wrong_length(path, shape, size, "more follow")
    if len(payload) < size:
        raise _wrong_length(path, shape, size, f"there are {len(payload)}")
    return payload


def _wrong_length(path: Path, shape: tuple[int, ...], size: int, found: str) -> UnreadableFile:
    return UnreadableFile(
        f"{path} should hold {size} bytes of data, as its header says (shape {shape}); {found}. "
        "Download or copy it again."
    )
