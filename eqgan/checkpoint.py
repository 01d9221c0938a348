"""Checkpoints: one safetensors file, tensors beside a JSON description, no code.

The JSON lives in the file's header and mirrors the saved tree; a tensor is a reference into the
file. Classes are never named in the file: dataclasses are rebuilt from a template that the reader
supplies, so loading cannot run anything. Files are replaced atomically: a crash while writing
leaves the previous checkpoint whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from eqgan.errors import CheckpointError
from eqgan.paths import as_path
from eqgan.profile import Profile

FORMAT = 2

UNREADABLE = (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError)
"""What reading a file that is no checkpoint raises."""


def save(path: str | Path, tree: Any) -> None:
    """Write a tree of tensors, numbers, strings, containers and dataclasses, atomically.

    Args:
        path: The file; its folder must exist.
        tree: What to keep.

    Raises:
        CheckpointError: The file cannot be written; a previous one is left as it was.
    """
    tensors: dict[str, Tensor] = {}
    encoded = _encode(tree, tensors)
    document = {"format": FORMAT, "tree": encoded, "checksum": _checksum(encoded, tensors)}
    payload = safetensors.torch.save(tensors, {"eqgan": json.dumps(document)})
    try:
        write_atomically(as_path("path", path), payload)
    except OSError as error:
        raise CheckpointError(
            f"Cannot write the checkpoint {path}: {error.strerror}. What was saved there before is "
            "as it was."
        ) from error


def write_atomically(path: Path, payload: bytes) -> None:
    """Write `payload` beside `path`, flush it to the disk, and move it into place."""
    # One name for all attempts: what a killed one leaves behind is overwritten, and not heaped up.
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def load(path: str | Path, template: Any, device: torch.device | str = "cpu") -> Any:
    """Read a tree that `save` wrote.

    Args:
        path: The file.
        template: A tree that holds the dataclasses and profiles of the saved one in the same
            places; its values are ignored.
        device: Where the tensors go.

    Returns:
        The tree.

    Raises:
        CheckpointError: The file is missing, damaged, or of another structure.
    """
    try:
        with safetensors.safe_open(str(path), framework="pt", device=str(device)) as file:
            header = dict(json.loads((file.metadata() or {})["eqgan"]))
            # A copy lies where torch aligns it: products round by how their operands are aligned.
            tensors = {n: file.get_tensor(n).clone() for n in file.keys()}  # noqa: SIM118
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    if header.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has checkpoint format {header.get('format')}; this version reads {FORMAT}. "
            "Delete it to start afresh."
        )
    if header.get("checksum") != _checksum(header.get("tree"), tensors):
        raise CheckpointError(
            f"{path} is damaged: its contents do not match their checksum. Restore it from a copy, "
            "or delete it to start afresh."
        )
    try:
        tree = _decode(header["tree"], template, tensors)
        if isinstance(template, Mapping) and tree.keys() != template.keys():
            raise KeyError(*(template.keys() ^ tree.keys()))
        return tree
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path} holds another structure than this run needs: it belongs to another game, "
            "solver or version. Delete it, or resume the run that wrote it."
        ) from error


def number(path: str | Path, name: str) -> int:
    """Return one whole number of a saved mapping; nothing else is read.

    Args:
        path: The file.
        name: The number's key.

    Raises:
        CheckpointError: The file is missing or damaged, or holds no such number.
    """
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {})["eqgan"])
        return int(dict(header["tree"]["mapping"])[name])
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str | Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} is not a readable checkpoint ({error}); delete it to start afresh."
    )


def _checksum(encoded: Any, tensors: Mapping[str, Tensor]) -> int:
    """Return a checksum of all that a file keeps: a flipped bit must not pass for a result."""
    checksum = zlib.crc32(json.dumps(encoded).encode())
    for name in sorted(tensors):
        stored = tensors[name].detach().cpu().reshape(-1)
        checksum = zlib.crc32(stored.view(torch.uint8).numpy().data, checksum)
    return checksum


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # Tensors may share memory, which safetensors refuses; a copy never does.
        tensors[name] = value.detach().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, Profile):
        return {"profile": [_encode(s, tensors) for s in value]}
    if dataclasses.is_dataclass(value):
        fields = [f.name for f in dataclasses.fields(value)]
        return {"fields": {f: _encode(getattr(value, f), tensors) for f in fields}}
    if isinstance(value, Mapping):
        return {"mapping": [[k, _encode(v, tensors)] for k, v in value.items()]}
    if isinstance(value, tuple | list):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_encode(v, tensors) for v in value]}
    raise CheckpointError(
        f"A solver's state may hold tensors, numbers, strings, containers and dataclasses; "
        f"got {type(value).__name__}."
    )


def _decode(node: Any, template: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(node, dict):
        return node
    ((kind, body),) = node.items()
    if kind == "tensor":
        return tensors[body]
    if kind == "float":
        return float.fromhex(body)
    if kind == "profile":
        return Profile(_decode(s, None, tensors) for s in body)
    if kind == "fields":
        return type(template)(
            **{f: _decode(v, getattr(template, f), tensors) for f, v in body.items()}
        )
    if kind == "mapping":
        known = template if isinstance(template, Mapping) else {}
        return {k: _decode(v, known.get(k), tensors) for k, v in body}
    known_items = template if isinstance(template, tuple | list) else []
    items = [
        _decode(v, known_items[i] if i < len(known_items) else None, tensors)
        for i, v in enumerate(body)
    ]
    return tuple(items) if kind == "tuple" else items
