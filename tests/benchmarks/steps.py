"""What the benchmarks of single steps share: the library's side.

`solve` keeps the memory that steps free, for the whole process: loops beside it gain as much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import eqgan
from eqgan.allocator import keep_freed_memory


def step_of(game: eqgan.Game, solver: eqgan.Solver[Any]) -> Callable[[], None]:
    """Return a function that takes one more step of a solver, as `solve` takes it."""
    keep_freed_memory()
    rng = game.generator(0)
    z = game.initial(rng)
    state = solver.init(game, z)

    def step() -> None:
        nonlocal z, state
        z, state = solver.step(game, z, state, rng)

    return step
