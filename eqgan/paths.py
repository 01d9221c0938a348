"""Paths of files and folders that a user gives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from eqgan.errors import InvalidInput


def as_path(name: str, value: Any) -> Path:
    """Return a path, or raise.

    Args:
        name: What the message calls it.
        value: Text or a path-like object; a number would name an open file.

    Raises:
        InvalidInput: Anything else.

    Example:
        >>> as_path("folder", 5)
        Traceback (most recent call last):
        ...
        eqgan.errors.InvalidInput: folder should be a path; got 5.
    """
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        raise InvalidInput(f"{name} should be a path; got {value!r}.")
    return Path(path)
