"""Pictures: digits that come with scikit-learn, and folders of files, with their labels."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from eqgan.data.idx_files import idx
from eqgan.errors import InvalidInput, UnreadableFile, reason
from eqgan.paths import as_path
from eqgan.whole import as_whole

if TYPE_CHECKING:
    from PIL import Image

SPLITS = {"train": "train", "test": "t10k"}
"""How MNIST's files of each split begin."""

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp"}


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
    size = as_whole("size", size, 1)
    ink = torch.as_tensor(_load_digits().images, dtype=torch.float32)[:, None]
    return _scaled(ink / 8 - 1, size)


def digit_labels() -> Tensor:
    """Return what the `digits` are: 0 to 9, int64, `(1797,)`.

    Raises:
        InvalidInput: scikit-learn is not installed.

    Example:
        >>> digit_labels()[:12]
        tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
    """
    return torch.as_tensor(_load_digits().target).long()


def images(folder: str | Path, size: int | None = None, split: str = "train") -> Tensor:
    """Return the images of a folder: in MNIST's format, or one picture a file.

    Pictures are sought in the folder and all below it, and come in the order of their paths; hidden
    files (macOS leaves ``._cat.png`` beside ``cat.png``) are passed over. They
    are grey if all of them are, else of three colours; transparent parts are white.

    Args:
        folder: Holds ``train-images-idx3-ubyte`` or ``train-images-idx3-ubyte.gz``, as MNIST and
            Fashion-MNIST are distributed; or pictures (PNG, JPEG and others that Pillow reads).
        size: Side of the images. Pictures are cropped to their middle square and scaled; ``None``
            leaves them as they are, and then they must be of one size.
        split: ``"train"`` or ``"test"``, of a folder in MNIST's format. For pictures, give the
            folder of the split that you want.

    Returns:
        Shape `(N, channels, height, width)` (1 x 28 x 28 for those two), float32, from -1 to 1.

    Raises:
        UnreadableFile: No such file in the folder, or one that is damaged or holds no images.
        InvalidInput: Pictures of different sizes and no `size`; a split that there is not.

    Example:
        >>> images("no/such/folder")
        Traceback (most recent call last):
        ...
        eqgan.errors.UnreadableFile: no/such/folder should be a folder of pictures or in MNIST's \
format; there is no such folder.
    """
    size = None if size is None else as_whole("size", size, 1)
    path = _idx_file(folder, split, "images-idx3-ubyte")
    if path is None:
        return _read(_pictures(folder, split), size)
    pixels = idx(path)
    if pixels.dtype != torch.uint8 or pixels.dim() != 3 or 0 in pixels.shape:
        raise UnreadableFile(
            f"{path} should hold grey images, bytes of shape (N, height, width); it holds "
            f"{str(pixels.dtype).removeprefix('torch.')} of shape {tuple(pixels.shape)}."
        )
    grey = pixels[:, None].float().div_(127.5).sub_(1)
    return grey if size is None else _scaled(grey, size)


def labels(folder: str | Path, split: str = "train") -> Tensor:
    """Return the labels of the images that `images` returns for this folder.

    Args:
        folder: In MNIST's format; or a folder with one folder of pictures a class, whose labels
            count those in the order of their names.
        split: As for `images`.

    Returns:
        Shape `(N,)`, int64, from 0.

    Raises:
        UnreadableFile: No labels in the folder.
        InvalidInput: A split that there is not.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("cat", "dog"):
        ...     (folder / name).mkdir()
        ...     Image.new("L", (4, 4)).save(folder / name / "one.png")
        >>> images(folder).shape, labels(folder)
        (torch.Size([2, 1, 4, 4]), tensor([0, 1]))
    """
    path = _idx_file(folder, split, "labels-idx1-ubyte")
    if path is not None:
        found = idx(path)
        if found.is_floating_point() or found.dim() != 1:
            raise UnreadableFile(
                f"{path} should hold whole labels of shape (N,); it holds {found.dtype} of shape "
                f"{tuple(found.shape)}."
            )
        return found.long()
    inner = [file.relative_to(folder).parts for file in _pictures(folder, split)]
    if any(len(parts) == 1 for parts in inner):
        raise UnreadableFile(
            f"{folder} should hold one folder of pictures a class to have labels; "
            f"{next(parts[0] for parts in inner if len(parts) == 1)} is in none."
        )
    classes = sorted({parts[0] for parts in inner})
    return torch.tensor([classes.index(parts[0]) for parts in inner])


def _load_digits() -> Any:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise InvalidInput(
            "The digits come with scikit-learn, which is not installed: pip install 'eqgan[data]'."
        ) from error
    return load_digits()


def _idx_file(folder: str | Path, split: str, rest: str) -> Path | None:
    if split not in SPLITS:
        raise InvalidInput(f"split should be 'train' or 'test'; got {split!r}.")
    name = f"{SPLITS[split]}-{rest}"
    folder = as_path("folder", folder)
    candidates = (folder / name, folder / f"{name}.gz")
    return next((c for c in candidates if c.is_file()), None)


def _pictures(folder: str | Path, split: str) -> list[Path]:
    wanted = f"{folder} should be a folder of pictures or in MNIST's format"
    if not Path(folder).is_dir():
        raise UnreadableFile(f"{wanted}; there is no such folder.")
    files = sorted(
        file
        for file in Path(folder).rglob("*")
        if file.suffix.lower() in SUFFIXES and file.is_file() and file.name[0] != "."
    )
    if split != "train" or not files:
        raise UnreadableFile(
            f"{wanted}; it holds neither {SPLITS[split]}-*-ubyte nor "
            f"{'a split of its pictures: give the folder of one' if files else 'any picture'}."
        )
    return files


def _read(files: list[Path], size: int | None) -> Tensor:
    from PIL import Image, ImageOps

    pixels: list[Tensor] = []
    for file in files:
        picture = _decoded(file)
        if size is not None:
            picture = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
        shape = (picture.height, picture.width, -1)
        pixels.append(torch.from_numpy(np.array(picture)).reshape(shape).movedim(2, 0))
        if pixels[-1].shape[1:] != pixels[0].shape[1:]:
            raise InvalidInput(
                f"Pictures should be of one size; {files[0]} has (height, width) "
                f"{tuple(pixels[0].shape[1:])} and {file} {tuple(pixels[-1].shape[1:])}. Pass "
                "size=, and they are cropped and scaled."
            )
    channels = max(len(p) for p in pixels)
    stacked = torch.stack([p.expand(channels, -1, -1) for p in pixels])
    return stacked.float().div_(127.5).sub_(1)


def _decoded(file: Path) -> Image.Image:
    """Return a picture upright, on white, grey if it is or else of three colours."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            # A photograph's odd notes do no harm; a header that asks for too much memory does.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as picture:
                deep, grey = picture.mode[0] in "IF", picture.mode in ("1", "L", "LA")
                upright = ImageOps.exif_transpose(picture)
                if upright.has_transparency_data:
                    white = Image.new("RGBA", upright.size, "white")
                    upright = Image.alpha_composite(white, upright.convert("RGBA"))
                pixels = upright.convert("L" if grey else "RGB")
    except Exception as error:
        # Whatever a decoder raises on bytes that it did not expect.
        raise UnreadableFile(
            f"{file} should be a picture that Pillow reads: {reason(error).rstrip('.')}."
        ) from error
    if deep:
        raise UnreadableFile(f"{file} should have 8 bits a channel; it has 16 or 32.")
    return pixels


def _scaled(pictures: Tensor, size: int) -> Tensor:
    if tuple(pictures.shape[2:]) == (size, size):
        return pictures
    shrinks = size < max(pictures.shape[2:])
    scaled = interpolate(pictures, (size, size), mode="bilinear", antialias=shrinks)
    return scaled.clamp(-1, 1)
