"""Solver names, found through the entry-point group ``eqgan.solvers``.

The library's own solvers are registered the same way as a third party's. Names are listed without
importing anything; a solver is imported when it is asked for.
"""

from __future__ import annotations

import functools
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from eqgan.errors import InvalidInput, UnknownName
from eqgan.game import Game
from eqgan.solver import Solver

GROUP = "eqgan.solvers"


def available_solvers() -> tuple[str, ...]:
    """Return the names of all registered solvers, sorted.

    Example:
        >>> "extragradient" in available_solvers()
        True
    """
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def solver_class(name: str) -> type[Solver[Any]]:
    """Import and return the solver class registered as `name`.

    Raises:
        UnknownName: Nobody registered `name`; the closest registered one is named.
        InvalidInput: The entry point does not lead to a `Solver`.
    """
    if not isinstance(name, str):
        raise InvalidInput(f"A solver's name should be text; got {name!r}.")
    return _loaded(name)


@functools.cache
def _loaded(name: str) -> type[Solver[Any]]:
    found: dict[str, EntryPoint] = {e.name: e for e in entry_points(group=GROUP)}
    if name not in found:
        raise UnknownName.of("solver", name, ["auto", *found])
    loaded = found[name].load()
    if not (isinstance(loaded, type) and issubclass(loaded, Solver)):
        raise InvalidInput(
            f"The entry point {name} = {found[name].value!r} should lead to a subclass of "
            f"eqgan.Solver; it leads to {loaded!r}."
        )
    return loaded


def as_solver(solver: str | Solver[Any], game: Game) -> Solver[Any]:
    """Return a solver instance for a name, ``"auto"``, or an instance.

    Args:
        solver: A registered name (built with its defaults), ``"auto"``, or a `Solver`.
        game: The game, whose `recommended` solver ``"auto"`` takes.
    """
    if isinstance(solver, Solver):
        return solver
    if isinstance(solver, str):
        return solver_class(game.recommended if solver == "auto" else solver)()
    raise InvalidInput(
        "solver should be a name or a Solver instance, such as "
        f"eqgan.solvers.Extragradient(); got {solver!r}."
    )
