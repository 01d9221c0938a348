"""What a run returns: status, trace, profile and certificate."""

from __future__ import annotations

import csv
import functools
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, overload

from torch import Tensor

from eqgan.certificate import Certificate, measure, payoff_of
from eqgan.errors import InvalidInput
from eqgan.exact.optimal_face import OptimalFace
from eqgan.game import Game
from eqgan.oracle import Oracle
from eqgan.profile import Profile

if TYPE_CHECKING:
    from eqgan.solver import Solver

LEGIBLE = 10**12
"""An exact value with a smaller numerator and denominator is shown."""


class Status(Enum):
    """Why a run ended; the value is the sentence the user reads."""

    CONVERGED = "the tolerance was reached"
    MAX_STEPS = "the step limit came before the tolerance was reached"
    TIME_LIMIT = "the time limit came before the tolerance was reached"
    STOPPED = "it was stopped from outside (a callback, or Ctrl-C)"
    DIVERGED = "the iterates blew up or collapsed; the profile is the last good one that was seen"


class Trace(Sequence[dict[str, float]]):
    """What was measured during a run, one row (a dict) a check.

    Example:
        >>> trace = Trace([{"step": 0, "nash_conv": 1.0}, {"step": 10, "nash_conv": 0.1}])
        >>> trace.column("nash_conv"), trace[-1]["step"]
        ([1.0, 0.1], 10)
    """

    def __init__(self, rows: Sequence[dict[str, float]] = ()) -> None:
        self.rows = list(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, float]]:
        return iter(self.rows)

    @overload
    def __getitem__(self, index: int) -> dict[str, float]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, float]]: ...
    def __getitem__(self, index: Any) -> dict[str, float] | list[dict[str, float]]:
        if isinstance(index, str):
            raise InvalidInput(
                f"A trace is a sequence of rows; its columns are had by .column({index!r})."
            )
        found: dict[str, float] | list[dict[str, float]] = self.rows[index]
        return found

    def __repr__(self) -> str:
        return f"Trace({len(self)} rows of {', '.join(self.columns)})"

    @property
    def columns(self) -> list[str]:
        """Every column that any row has, in order of appearance."""
        return list(dict.fromkeys(key for row in self.rows for key in row))

    def column(self, name: str) -> list[float]:
        """Return one column, NaN where a row lacks it."""
        if name not in self.columns:
            raise InvalidInput(
                f"The trace has no column {name!r}; it has {', '.join(self.columns)}."
            )
        return [row.get(name, math.nan) for row in self.rows]

    def to_csv(self) -> str:
        """Return the rows as CSV text with a header."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()

    def to_frame(self) -> Any:
        """Return a pandas DataFrame (pandas must be installed)."""
        import pandas

        return pandas.DataFrame(self.rows)


@dataclass(repr=False)
class Result:
    """The outcome of `solve`.

    Attributes:
        game: The game that was solved.
        solver: The solver, with its hyper-parameters.
        profile: What the solver proposes: last iterate, average or mixture, as its rule says.
        last: The last iterate; ``solve(..., init=result.last, state=result.state)`` goes on.
        state: The solver's memory.
        status: Why the run ended.
        message: The status as a sentence about this run.
        trace: What was measured on the way.
        steps: Solver steps taken.
        evaluations: Joint gradients evaluated (one counts both players once).
        seconds: Wall-clock time.
        oracle: The oracle of `certificate`; ``None`` for the strongest that serves the game.
        seed: Seed of the run, and of the certificate.
        tol: The tolerance of the run, relative to `game.scale`.
        known: The certificate, if the run has measured it already.
    """

    game: Game
    solver: Solver[Any]
    profile: Profile
    last: Profile
    state: Any
    status: Status
    message: str
    trace: Trace
    steps: int
    evaluations: float
    seconds: float
    oracle: Oracle | None = None
    seed: int = 0
    tol: float = 0.0
    known: Certificate | None = field(default=None, kw_only=True)

    @functools.cached_property
    def certificate(self) -> Certificate:
        """How far `profile` is from equilibrium.

        Exact and cheap oracles have run already; a search by gradients (networks) is only paid for
        when this is first read.
        """
        if self.known is not None:
            return self.known
        return measure(self.game, self.profile, self.oracle, seed=self.seed)

    @property
    def converged(self) -> bool | Tensor:
        """Whether the certificate proves a gap within the tolerance, game by game for a batch."""
        reached: Tensor = self.certificate.upper.sum(0) <= self.tol * self.game.scale
        return bool(reached) if reached.dim() == 0 else reached

    @functools.cached_property
    def value(self) -> float | Tensor | Fraction:
        """The payoff at `profile`: what the row player, or the discriminator, receives.

        A `fractions.Fraction` where the solver has proved it to be the value of the game.
        """
        exact = self.solver.exact(self.state)
        if exact is not None:
            return exact.value
        value = self.known.value if self.known is not None else payoff_of(self.game, self.profile)
        return float(value) if value.dim() == 0 else value

    @property
    def exact_profile(self) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
        """Both players' strategies as fractions; `profile` holds their floats.

        Raises:
            InvalidInput: The solver computes in floats; ``"rational"`` does not.
        """
        exact, name = self.solver.exact(self.state), type(self.solver).__name__
        if exact is None and self.solver.direct and not self.solver.finished(self.state):
            raise InvalidInput(
                f"The run ended {self.status.name} before {name} had solved the game: there are no "
                "exact strategies. Let it go on for longer, or read .profile."
            )
        if exact is None:
            raise InvalidInput(
                f"{name} left no exact strategies; solve the game with 'rational', or read "
                ".profile."
            )
        return exact.row, exact.column

    @functools.cached_property
    def optimal_face(self) -> OptimalFace:
        """Every equilibrium of the game, whatever the solver: for one matrix game.

        Raises:
            UnsupportedGame: Another game, or a batch of them.
        """
        return OptimalFace(self.game)

    def __repr__(self) -> str:
        gap = repr(self.known) if self.known is not None else "not measured yet: read .certificate"
        if isinstance(self.value, Fraction):
            short = max(abs(self.value.numerator), self.value.denominator) < LEGIBLE
            text = str(self.value) if short else f"a fraction near {float(self.value):.6g}"
            gap = f"value {text}, proved in rational arithmetic\n  {gap}"
        return (
            f"Result({self.status.name} by {type(self.solver).__name__} after {self.steps} steps, "
            f"{self.evaluations:g} evaluations, {self.seconds:.3g} s\n"
            f"  {self.message}\n"
            f"  {gap})"
        )
