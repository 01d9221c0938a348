"""The end of memory, and what to do about it: smaller games, or fewer atoms of a mixture.

For a mixture the advice is the number of atoms that would fit. It is found by trying, not by a
model of what torch allocates: fewer atoms take two steps, with as many profiles and memories alive
as a run holds.
"""

from __future__ import annotations

import functools
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch

from eqgan.errors import EqganError, OutOfMemory
from eqgan.game import Game
from eqgan.games.mixed import Mixed
from eqgan.registry import as_solver

P = ParamSpec("P")
T = TypeVar("T")

SIGNS = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")
"""What the messages of torch's allocators say."""

LIMIT = threading.RLock()
"""Address space is limited for all threads: another would take this limit for the user's."""


def explains_shortage(solve: Callable[P, T]) -> Callable[P, T]:
    """Make a function of (game, solver, ...) raise `OutOfMemory`, with advice, when memory ends."""

    @functools.wraps(solve)
    def explained(*args: P.args, **options: P.kwargs) -> T:
        try:
            return solve(*args, **options)
        except (RuntimeError, MemoryError) as error:
            shortage = _shortage(error)
            if not shortage:
                raise
        # Only now are the tensors gone that the error's traceback kept alive.
        gc.collect()
        given: dict[str, Any] = dict(zip(("game", "solver"), args, strict=False)) | options
        raise OutOfMemory(f"{given['game']!r} ran out of memory ({shortage}). {_advice(given)}")

    return explained


def _shortage(error: Exception) -> str:
    """Return what an error says of memory, or nothing if it is of something else."""
    text = next(iter(str(error).splitlines()), "")
    told = isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        sign in text.lower() for sign in SIGNS
    )
    if not told or isinstance(error, EqganError):
        return ""
    _, colon, after = text.partition("DefaultCPUAllocator: ")
    return (after if colon else text).strip().rstrip(".") or "no more could be had"


def _advice(given: dict[str, Any]) -> str:
    game, solver = given["game"], given.get("solver", "auto")
    if given.get("device") not in (None, "auto"):
        game = game.to(given["device"])
    if not isinstance(game, Mixed) or max(game.sizes) == 1:
        return "A smaller batch, smaller networks or float32 need less."
    fits, too_many = 0, max(game.sizes)
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if _fits(_smaller(game, middle), solver):
            fits = middle
        else:
            too_many = middle
    if not fits:
        return "Not even one atom a player fits: a smaller batch or smaller networks need less."
    return f"T = {fits} fits, by two steps of it: Mixed(game, {_smaller(game, fits).sizes})."


def _smaller(game: Mixed, count: int) -> Mixed:
    return Mixed(game.base, (min(game.sizes[0], count), min(game.sizes[1], count)))


def _fits(game: Game, solver: Any) -> bool:
    """Return whether two steps can be taken while the profile that a run may go back to is kept."""
    try:
        method, rng = as_solver(solver, game), game.generator(0)
        with _at_most_what_is_free() if game.device.type == "cpu" else nullcontext():
            start = game.initial(rng)
            kept = start, method.init(game, start)
            method.step(game, *method.step(game, *kept, rng), rng)
        return True
    except (RuntimeError, MemoryError) as error:
        if not _shortage(error):
            raise
        return False
    finally:
        if game.device.type == "cuda":
            torch.cuda.empty_cache()


@contextmanager
def _at_most_what_is_free() -> Iterator[None]:
    """Have Linux refuse what it lacks: it promises more, and kills whoever uses it."""
    if sys.platform != "linux":
        yield
        return
    import resource

    with LIMIT:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = pages * resource.getpagesize() + _free()
        if soft != resource.RLIM_INFINITY:
            most = min(most, soft)
        try:
            resource.setrlimit(resource.RLIMIT_AS, (most, hard))
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _free(system: Path = Path("/")) -> int:
    """Return the bytes that Linux could still give this process."""
    memory = _table(system / "proc/meminfo")
    free = 1024 * memory.get("MemAvailable:", memory["MemFree:"])
    group = system / "sys/fs/cgroup"
    try:
        used, most = (int((group / f"memory.{name}").read_text()) for name in ("current", "max"))
        # Files that were read are counted as used; Linux drops what it keeps of them when asked.
        kept = _table(group / "memory.stat")["inactive_file"]
        return min(free, max(0, most - used + kept))
    except (OSError, ValueError):  # No limit of a container, or "max": none is set.
        return free


def _table(path: Path) -> dict[str, int]:
    lines = map(str.split, path.read_text().splitlines())
    return {name: int(number) for name, number, *_ in lines}
