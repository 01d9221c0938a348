"""The contract that every solver keeps.

A solver is a frozen dataclass of hyper-parameters with a pure `step`. Everything else (limits,
certificates, traces, checkpoints, callbacks, divergence) is in `eqgan.run` once, so no solver
repeats it.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import torch

from eqgan.errors import InvalidInput
from eqgan.game import Game
from eqgan.oracle import Oracle
from eqgan.profile import Profile
from eqgan.rules import Rule
from eqgan.spaces import Euclidean

if TYPE_CHECKING:
    from eqgan.exact.equilibrium import ExactEquilibrium

State = TypeVar("State")


class Solver(ABC, Generic[State]):
    """One method: frozen hyper-parameters, `init` and a pure `step`.

    Subclasses are frozen dataclasses. `step` must not change its inputs: the profile, the state
    and the game it gets are the caller's.

    Attributes:
        direct: Whether the method solves rather than improves: it is run even from a start that is
            good enough.
    """

    direct: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check what most solvers hold; a subclass that checks more calls this too."""
        kinds = {"rule": Rule, "weight_rule": Rule, "oracle": Oracle, "solver": Solver}
        shown = {Rule: "eqgan.Constant(0.1)", Oracle: "eqgan.GradientOracle()"}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            kind, value = kinds.get(field.name), getattr(self, field.name)
            if kind is not None and value is not None and not isinstance(value, kind):
                example = shown.get(kind, "eqgan.solvers.Extragradient()")
                raise InvalidInput(
                    f"{type(self).__name__}: {field.name} should be a {kind.__name__}, such as "
                    f"{example}; got {value!r}."
                )

    @abstractmethod
    def init(self, game: Game, z: Profile) -> State:
        """Return the memory before the first step from `z`."""

    @abstractmethod
    def step(
        self, game: Game, z: Profile, state: State, rng: torch.Generator
    ) -> tuple[Profile, State]:
        """Return the next profile and the next memory."""

    def output(self, z: Profile, state: State) -> Profile:
        """Return the profile that the method proposes; by default the last iterate."""
        return z

    def evaluations(self, game: Game) -> float:
        """Return how many joint gradients a step evaluates (one counts both players once).

        Of steps that differ in cost, return the most: comparisons grant steps by it.
        """
        return 1.0

    def spent(self, game: Game, state: State, steps: int) -> float:
        """Return how many joint gradients the `steps` steps that led to `state` evaluated.

        By default each what `evaluations` says; a method that may end a step early counts them.
        """
        return steps * self.evaluations(game)

    def finished(self, state: State) -> bool:
        """Return whether further steps are useless (direct methods)."""
        return False

    def exact(self, state: State) -> ExactEquilibrium | None:
        """Return the equilibrium in fractions, if the method has proved one (see `Rational`)."""
        return None

    def unsupported(self, game: Game) -> str | None:
        """Return why this solver cannot take `game`, worded for the user, or ``None``."""
        return None


def needs_free_parameters(game: Game) -> str | None:
    """Return a reason unless `game` is a single one whose strategies are unconstrained.

    On a set with a boundary an equilibrium need be no zero of the operator. Methods whose steps are
    built from products with the operator's Jacobian seek zeros alone.

    Args:
        game: The game that a solver is asked to take.
    """
    if game.batch_shape:
        return f"it takes one game at a time; this is a batch of {game.batch_shape}"
    for name, space in zip(game.players, game.spaces, strict=True):
        if not isinstance(space, Euclidean):
            return (
                f"it seeks zeros of the gradient, which equilibria on the boundary of {name}'s set "
                f"{space} are not; try 'extragradient', or a game on sets without bounds"
            )
    return None
