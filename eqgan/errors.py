"""Every error a user can cause, under one base class.

Each leaf also derives from the builtin that a caller would guess, so ``except ValueError`` works
too. Messages say what was expected, what came, and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LISTED = 24
"""Of more names than this only the nearest are listed, if there is one that was likely meant."""


class EqganError(Exception):
    """Base of every error that this library raises on purpose."""


class InvalidInput(EqganError, ValueError):
    """A value, shape, dtype or device that the callee cannot use."""


class UnsupportedGame(EqganError, TypeError):
    """A solver or an oracle was given a game of a kind that it cannot take."""


class UnknownName(EqganError, LookupError):
    """A solver or game name that nobody registered."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str]) -> UnknownName:
        """Build the error for `name`, which `suggestion` completes."""
        return cls(f"No {kind} is called {str(name)!r}. {suggestion(str(name), known)}.")


def reason(error: Exception) -> str:
    r"""Return the first line of what a user's code, or another library, raised; or its kind.

    Example:
        >>> reason(RuntimeError("no such file\nTraceback ...")), reason(AssertionError())
        ('no such file', 'AssertionError')
    """
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def suggestion(asked: str, known: Iterable[str]) -> str:
    """Say which known name was likely meant, and list all of them, or of many the near ones.

    A name is meant by its initials, by one that is spelled much like it, or by its beginning.

    Args:
        asked: The name that nobody knows.
        known: Those that there are.

    Example:
        >>> suggestion("rps", ["matching_pennies", "rock_paper_scissors"])
        "Did you mean 'rock_paper_scissors'? Known: matching_pennies, rock_paper_scissors"
        >>> suggestion("chess", ["matching_pennies"])
        'Known: matching_pennies'
    """
    names = {_plain(name): name for name in sorted(known)}
    asked = _plain(asked)
    close = [name for name in names if _initials(name) == asked]
    close = close or difflib.get_close_matches(asked, names, n=1)
    close = close or [name for name in names if asked and name.startswith(asked)]
    close = close or [name for name in names if len(name) > 1 and asked.startswith(name)]
    hint = f"Did you mean {names[close[0]]!r}? " if close else ""
    if len(names) > LISTED and close:
        near = difflib.get_close_matches(asked, names, n=LISTED // 3, cutoff=0.0)
        return f"{hint}Known, of {len(names)}: {', '.join(names[name] for name in near)}, ..."
    return f"{hint}Known: {', '.join(names.values())}"


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _initials(name: str) -> str:
    """Return the first letters of a name's words: ``rps`` of ``rock_paper_scissors``."""
    return "".join(word[0] for word in name.split("_") if word)


class UnreadableFile(InvalidInput):
    """A file whose contents are not what its reader expects."""


class CheckpointError(EqganError, RuntimeError):
    """A checkpoint that is damaged, or that belongs to another run."""


class OutOfMemory(EqganError, MemoryError):
    """A run needs more memory than there is."""
