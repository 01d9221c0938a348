"""Data to train on: mixtures of Gaussians with known modes, and small images.

Everything comes from a seed, from scikit-learn, or from files on the disk: nothing is downloaded.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from eqgan.errors import InvalidInput, UnreadableFile

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

TRAIN_IMAGES = "train-images-idx3-ubyte"


class GaussianMixture(NamedTuple):
    """Samples of a mixture of equal Gaussians whose modes are known.

    Attributes:
        samples: `(n, 2)`, float32.
        means: `(K, 2)`, float32, one row a mode.
        std: Standard deviation of each mode, in the samples' units.
    """

    samples: Tensor
    means: Tensor
    std: float


def ring(
    n: int, modes: int = 8, radius: float = 1.0, std: float = 0.01, seed: int = 0
) -> GaussianMixture:
    """Return samples of Gaussians whose means stand on a circle.

    The usual test for mode collapse: a generator that has not collapsed reaches every mode.

    Args:
        n: How many samples, each from a mode drawn at random.
        modes: How many modes, evenly spaced.
        radius: Radius of the circle.
        std: Standard deviation of each mode; 0.01 is PacGAN's.
        seed: Seed of the samples.

    Returns:
        The samples, with their means and standard deviation.

    Raises:
        InvalidInput: Counts below 1, or lengths that are not finite and > 0.

    References:
        Lin et al. 2018, arXiv:1712.04086 (PacGAN).

    Example:
        >>> data = ring(100)
        >>> data.samples.shape, data.means.shape, data.std
        (torch.Size([100, 2]), torch.Size([8, 2]), 0.01)
    """
    _check_mixture(n, modes=modes, radius=radius, std=std)
    angle = 2 * math.pi * torch.arange(modes, dtype=torch.float64) / modes
    return _sampled(n, radius * torch.stack((angle.cos(), angle.sin()), dim=1), std, seed)


def grid(
    n: int, side: int = 5, spacing: float = 2.0, std: float = 0.05, seed: int = 0
) -> GaussianMixture:
    """Return samples of Gaussians whose means stand on a square grid around the origin.

    With the defaults these are PacGAN's 25 modes at {-4, -2, 0, 2, 4} x {-4, -2, 0, 2, 4}.

    Args:
        n: How many samples, each from a mode drawn at random.
        side: Modes along each side.
        spacing: Distance between neighbours.
        std: Standard deviation of each mode.
        seed: Seed of the samples.

    Returns:
        The samples, with their means and standard deviation.

    Raises:
        InvalidInput: Counts below 1, or lengths that are not finite and > 0.

    References:
        Lin et al. 2018, arXiv:1712.04086 (PacGAN).

    Example:
        >>> grid(10).means[0]
        tensor([-4., -4.])
    """
    _check_mixture(n, side=side, spacing=spacing, std=std)
    axis = spacing * (torch.arange(side, dtype=torch.float64) - (side - 1) / 2)
    return _sampled(n, torch.cartesian_prod(axis, axis).reshape(-1, 2), std, seed)


def _check_mixture(n: int, **sizes: float) -> None:
    for name, size in {"n": n, **sizes}.items():
        counted = name in ("n", "modes", "side")
        if counted and not (isinstance(size, int) and size >= 1):
            raise InvalidInput(f"{name} should be a whole number >= 1; got {size!r}.")
        if not (isinstance(size, int | float | np.number) and 0 < size < math.inf):
            raise InvalidInput(f"{name} should be a finite number > 0; got {size!r}.")


def _sampled(n: int, means: Tensor, std: float, seed: int) -> GaussianMixture:
    rng = torch.Generator().manual_seed(seed)
    means = means.float()
    drawn = means[torch.randint(len(means), (n,), generator=rng)]
    return GaussianMixture(drawn + std * torch.randn(n, 2, generator=rng), means, std)


def digits(size: int = 8) -> Tensor:
    """Return scikit-learn's handwritten digits, which come with the package.

    Args:
        size: Side of the images; other sides than 8 are interpolated.

    Returns:
        Shape `(1797, 1, size, size)`, float32, from -1 (paper) to 1 (ink).

    Raises:
        InvalidInput: scikit-learn is not installed, or a side below 1.

    Example:
        >>> images = digits()
        >>> images.shape, float(images.min()), float(images.max())
        (torch.Size([1797, 1, 8, 8]), -1.0, 1.0)
    """
    if not (isinstance(size, int) and size >= 1):
        raise InvalidInput(f"size should be a whole number >= 1; got {size!r}.")
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise InvalidInput(
            "The digits come with scikit-learn, which is not installed: pip install 'eqgan[data]'."
        ) from error
    ink = torch.as_tensor(load_digits().images, dtype=torch.float32)[:, None]
    images = ink / 8 - 1
    if size != 8:
        images = interpolate(images, (size, size), mode="bilinear", antialias=size < 8)
    return images.clamp(-1, 1)


def images(folder: str | Path) -> Tensor:
    """Return the training images of a folder in MNIST's format.

    Args:
        folder: Holds ``train-images-idx3-ubyte`` or ``train-images-idx3-ubyte.gz``, as MNIST and
            Fashion-MNIST are distributed.

    Returns:
        Shape `(N, 1, height, width)` (28 x 28 for those two), float32, from -1 to 1.

    Raises:
        UnreadableFile: No such file in the folder, or one that holds no grey images.

    Example:
        >>> images("no/such/folder")
        Traceback (most recent call last):
        ...
        eqgan.errors.UnreadableFile: no/such/folder should hold train-images-idx3-ubyte or \
train-images-idx3-ubyte.gz; it holds neither. Point to a folder in MNIST's format.
    """
    candidates = [Path(folder) / TRAIN_IMAGES, Path(folder) / f"{TRAIN_IMAGES}.gz"]
    path = next((c for c in candidates if c.is_file()), None)
    if path is None:
        raise UnreadableFile(
            f"{folder} should hold {TRAIN_IMAGES} or {TRAIN_IMAGES}.gz; it holds neither. Point to "
            "a folder in MNIST's format."
        )
    pixels = idx(path)
    if pixels.dtype != torch.uint8 or pixels.dim() != 3 or 0 in pixels.shape:
        raise UnreadableFile(
            f"{path} should hold grey images, bytes of shape (N, height, width); it holds "
            f"{str(pixels.dtype).removeprefix('torch.')} of shape {tuple(pixels.shape)}."
        )
    return pixels[:, None].float().div_(127.5).sub_(1)


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
    path = Path(path)
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
