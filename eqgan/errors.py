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
        """Build the error for `name`, with the closest known name, and all or the near ones."""
        names, name = sorted(known), str(name)
        asked = name.lower().replace("-", "_")
        close = [other for other in names if initials(other) == asked]
        close = close or difflib.get_close_matches(asked, names, n=1)
        close = close or [
            n for n in names if asked and (n.startswith(asked) or asked.startswith(n))
        ]
        hint = f" Did you mean {close[0]!r}?" if close else ""
        listed = f"Known: {', '.join(names)}"
        if len(names) > LISTED and close:
            near = difflib.get_close_matches(asked, names, n=LISTED // 3, cutoff=0.0)
            listed = f"Known, of {len(names)}: {', '.join(near)}, ..."
        return cls(f"No {kind} is called {name!r}.{hint} {listed}.")


def initials(name: str) -> str:
    """Return the first letters of a name's words: ``rps`` of ``rock_paper_scissors``."""
    return "".join(word[0] for word in name.split("_") if word)


class UnreadableFile(InvalidInput):
    """A file whose contents are not what its reader expects."""


class CheckpointError(EqganError, RuntimeError):
    """A checkpoint that is damaged, or that belongs to another run."""


class OutOfMemory(EqganError, MemoryError):
    """A run needs more memory than there is."""
