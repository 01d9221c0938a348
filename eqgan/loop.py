"""The loop: steps, checks, limits and checkpoints, written once for all solvers."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from eqgan import checkpoint as storage
from eqgan.certificate import Certificate, measure, payoff_of, residual
from eqgan.deadline import TimeIsUp, deadline
from eqgan.errors import CheckpointError, InvalidInput
from eqgan.fingerprint import described, digest
from eqgan.game import Game
from eqgan.oracle import Oracle, default_oracle
from eqgan.profile import Profile
from eqgan.result import Result, Status, Trace
from eqgan.solver import Solver

RESERVED = {
    "step",
    "evaluations",
    "seconds",
    "value",
    "nash_conv",
    "nash_conv_upper",
    "residual",
}
"""Columns that the loop fills."""

ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-9}
"""What a solver proposes may miss its sets by this much unprojected."""

BLOWN_UP = 1e10
"""A run has diverged when its norm exceeds this many times that of its start (plus one)."""


@dataclasses.dataclass
class Progress:
    """What a callback sees after each check.

    Attributes:
        step: Solver steps so far.
        max_steps: The limit.
        game: The game.
        profile: What the solver proposes at present.
        row: The trace's newest row.
        stopped: Set by `stop`.
        rows: All rows so far, the newest last; those of a resumed run's first part included.
    """

    step: int
    max_steps: int
    game: Game
    profile: Profile
    row: Mapping[str, float]
    stopped: bool = False
    rows: Sequence[Mapping[str, float]] = ()

    def stop(self) -> None:
        """End the run after this check, with status STOPPED."""
        self.stopped = True

    def due(self, every: int) -> bool:
        """Return whether this is the first check at or after a multiple of `every` steps.

        Example:
            >>> rows = [{"step": 0}, {"step": 90}, {"step": 110}]
            >>> [Progress(r["step"], 200, None, None, r, rows=rows[: i + 1]).due(100)
            ...  for i, r in enumerate(rows)]
            [True, False, True]
        """
        earlier = self.rows[-2]["step"] if len(self.rows) > 1 else -1
        return self.step // every > earlier // every


Callback = Callable[[Progress], Mapping[str, float] | None]
"""Called after each check; numbers that it returns join the trace's row."""


@dataclasses.dataclass
class Run:
    """One run: its inputs, and what changes while it goes on."""

    game: Game
    solver: Solver[Any]
    z: Profile
    state: Any
    rng: torch.Generator
    seed: int
    max_steps: int
    tol: float
    oracle: Oracle | None
    check_every: int
    callbacks: list[Callback]
    time_limit: float
    checkpoint: Path | None
    checkpoint_every: int

    step: int = 0
    rows: list[dict[str, float]] = dataclasses.field(default_factory=list)
    earlier: float = 0.0
    certificate: Certificate | None = None
    message: str = ""
    ending: str = ""
    saved: int | None = None

    def __post_init__(self) -> None:
        self.started = time.perf_counter()
        self.bound = BLOWN_UP * (1.0 + float(self.z.norm()))
        self.good = (self.z, self.state, self.step)
        self.spent_before = self.solver.spent(self.game, self.state, 0)
        self.certified = self.z
        cheap = self.oracle is None and default_oracle(self.game).cheap
        self.certifies = self.oracle is not None or cheap
        scale = self.game.scale
        self.scale = scale.double() if isinstance(scale, torch.Tensor) else scale

    @property
    def seconds(self) -> float:
        """Wall-clock time so far, that of an interrupted run before this one included."""
        return self.earlier + time.perf_counter() - self.started

    @property
    def evaluations(self) -> float:
        """Joint gradients of this run; a memory that was handed in may have counted others."""
        return self.solver.spent(self.game, self.state, self.step) - self.spent_before

    @property
    def measured(self) -> bool:
        """Whether the present profile was checked, and found good."""
        return bool(self.rows) and self.rows[-1]["step"] == self.step

    def loop(self) -> Status:
        """Step until a limit comes; return why it ended."""
        try:
            # A resumed run checks where the unbroken one does; a direct method does not look back.
            looks = self.max_steps == 0 or not self.solver.direct
            status = self.check() if looks and self.step % self.check_every == 0 else None
            while status is None:
                if self.step >= self.max_steps:
                    return Status.MAX_STEPS
                self.advance()
                status = self.after_step()
            return status
        except KeyboardInterrupt:
            return Status.STOPPED
        except TimeIsUp:
            return Status.TIME_LIMIT

    def advance(self) -> None:
        """Take a step; a Ctrl-C before its end leaves the step before it, random state and all.

        So does a time limit that comes within a long step.
        """
        before = self.rng.get_state() if self.checkpoint is not None else None
        try:
            with deadline(self.started + self.time_limit):
                self.z, self.state = self.solver.step(self.game, self.z, self.state, self.rng)
        except (KeyboardInterrupt, TimeIsUp):
            if before is not None:
                self.rng.set_state(before)
            raise
        self.step += 1

    def after_step(self) -> Status | None:
        """Check, save and look at the clock when it is time to; say whether to stop."""
        done = self.solver.finished(self.state)
        status = None
        if done or self.step % self.check_every == 0 or self.step == self.max_steps:
            status = self.check()
        if done and status is None:
            status = Status.MAX_STEPS
            self.ending = "the method can do no more, and the tolerance was not reached"
        saves = self.checkpoint is not None and self.step % self.checkpoint_every == 0
        if saves and status is not Status.DIVERGED:
            self.save()
        if status is None and self.late():
            status = Status.TIME_LIMIT
        return status

    def late(self) -> bool:
        """Return whether the time limit has come; processes that share a game agree on it."""
        if self.time_limit == math.inf:
            return False
        late = time.perf_counter() - self.started > self.time_limit
        game = getattr(self.game, "base", self.game)
        shared = getattr(game, "payoffs", game)
        return bool(shared.agreed(late)) if hasattr(shared, "agreed") else late

    def check(self) -> Status | None:
        """Measure the present profile, tell the callbacks, and say whether to stop."""
        length = float(self.z.norm())
        # A finite length proves finite entries; the squares of finite entries may overflow.
        if not (length <= self.bound and (math.isfinite(length) or self.z.is_finite())):
            return self.diverged("the iterates blew up")
        if failure := self.game.failure(self.z, self.good[0]):
            return self.diverged(failure)
        output = self.output()
        row = {
            "step": self.step,
            "evaluations": self.evaluations,
            "seconds": self.seconds,
        }
        reached = self.measure(output, row)
        if math.isnan(row["value"]):
            return self.diverged("the payoff is not a number")
        self.good = (self.z, self.state, self.step)
        # Only a whole row counts: Ctrl-C may come while it is measured.
        self.rows.append(row)
        report = Progress(self.step, self.max_steps, self.game, output, row, rows=self.rows)
        for callback in self.callbacks:
            row.update(_numbers(callback(report), row))
        if reached:
            return Status.CONVERGED
        return Status.STOPPED if report.stopped else None

    def diverged(self, why: str) -> Status:
        """Go back to the last profile that was seen to be good, and say so."""
        self.z, self.state, step = self.good
        self.ending = f"{why} by step {self.step}; the profile is the last good one, of step {step}"
        self.message = ""
        if self.certifies:
            self.certify(self.output())
        return Status.DIVERGED

    def measure(self, output: Profile, row: dict[str, float], looks: bool = False) -> bool:
        """Fill the row; return whether the tolerance was reached.

        Where certificates are dear, only what `looks` as if it had converged gets one.
        """
        if self.certifies or looks:
            proof = self.certify(output)
            row["value"] = float(proof.value.mean())
            row["nash_conv"] = float(proof.lower.sum(0).max())
            upper = row["nash_conv_upper"] = float(proof.upper.sum(0).max())
            if math.isfinite(upper):
                self.message = f"NashConv is proved to be at most {upper:.3g}"
                return bool((proof.upper.sum(0) <= self.tol * self.scale).all())
        else:
            row["value"] = float(payoff_of(self.game, output, batches=1).mean())
        if self.game.stochastic:
            return False
        still = row["residual"] = residual(self.game, output)
        kind = (
            "an equilibrium" if self.game.monotone else "a stationary point, maybe no equilibrium"
        )
        self.message = f"the residual is {still:.3g} (zero at {kind})"
        if still <= self.tol and not (self.certifies or looks or self.game.monotone):
            # Before a stationary point is called converged, look for a way to gain.
            return self.due(row) and self.measure(output, row, looks=True)
        gain = row.get("nash_conv", 0.0)
        if still <= self.tol < gain:
            self.message = (
                f"the point is stationary, but no equilibrium: deviations gain {gain:.3g}"
            )
        return still <= self.tol and gain <= self.tol

    def due(self, row: dict[str, float]) -> bool:
        """Return whether no check follows, or steps since a certificate cost as much as another."""
        last = next((r["evaluations"] for r in reversed(self.rows) if "nash_conv" in r), -math.inf)
        price = default_oracle(self.game).evaluations
        ends = self.step == self.max_steps or self.solver.finished(self.state)
        return ends or row["evaluations"] - last >= price

    def certify(self, output: Profile) -> Certificate:
        """Return the certificate of a proposal; one that has not moved has it already."""
        if self.certificate is None or not self.certified.equal(output):
            self.certificate = measure(self.game, output, self.oracle, seed=self.seed)
            self.certified = output
        return self.certificate

    def output(self) -> Profile:
        """Return what the solver proposes, on the sets: gaps off them would mean nothing."""
        proposal = self.solver.output(self.z, self.state)
        return Profile(
            s if space.violation(s) <= ROUNDING[self.game.dtype] else space.project(s)
            for space, s in zip(self.game.spaces, proposal, strict=True)
        )

    def finish(self, status: Status) -> Result:
        """Put the result together."""
        measured = self.measured
        # Whoever pressed Ctrl-C does not wait for an oracle; `certificate` will ask it.
        hurried = status is Status.STOPPED and self.oracle is not None
        if not (measured or hurried or status is Status.DIVERGED):
            verdict = self.check()
            if verdict in (Status.CONVERGED, Status.DIVERGED):
                status = verdict
        saved = measured and self.saved == self.step
        if self.checkpoint is not None and status is not Status.DIVERGED and not saved:
            self.save()
        ending = self.ending or status.value
        message = ending + (f": {self.message}" if self.message else "")
        if self.game.note:
            message = f"{message}. {self.game.note}"
        profile = self.output()
        return Result(
            game=self.game,
            solver=self.solver,
            profile=profile,
            last=self.z,
            state=self.state,
            status=status,
            message=message,
            trace=Trace(self.rows),
            steps=self.step,
            evaluations=self.evaluations,
            seconds=self.seconds,
            oracle=self.oracle,
            seed=self.seed,
            tol=self.tol,
            known=self.certificate if self.certified.equal(profile) else None,
        )

    # -- checkpoints -------------------------------------------------------------------------

    def tree(self) -> dict[str, Any]:
        """Return all that a resumed run needs."""
        return {
            "run": self.fingerprint(),
            "z": self.z,
            "state": self.state,
            "rng": self.rng.get_state(),
            "step": self.step,
            "seconds": self.seconds,
            "spent_before": self.spent_before,
            "rows": self.rows,
        }

    def fingerprint(self) -> str:
        """Return what must agree between the run that wrote a checkpoint and the one that reads."""
        shapes = [tuple(leaf.shape) for leaf in self.z.leaves()]
        game = f"{described(self.game)} {self.digest:08x} of {self.game.dtype}"
        return f"{game} {shapes} by {described(self.solver)} with seed {self.seed}"

    @cached_property
    def digest(self) -> int:
        """A checksum of what the game holds."""
        return digest(self.game)

    def save(self) -> None:
        """Write the checkpoint; a run that has broken leaves the last good one as it is."""
        assert self.checkpoint is not None
        if self.measured or (self.z.is_finite() and not self.game.failure(self.z, self.good[0])):
            storage.save(self.checkpoint, self.tree())
            self.saved = self.step

    def restore(self) -> None:
        """Go back to where the checkpoint was written, or raise if it belongs to another run."""
        assert self.checkpoint is not None
        saved = storage.load(self.checkpoint, self.tree(), self.game.device)
        if saved["run"] != self.fingerprint():
            raise CheckpointError(
                f"{self.checkpoint} was written by another run: {saved['run']}; this one is "
                f"{self.fingerprint()}. Resume with the same game, solver, seed and eqgan version."
            )
        self.z, self.state = saved["z"], saved["state"]
        self.rng.set_state(saved["rng"].cpu())
        self.step, self.earlier = saved["step"], saved["seconds"]
        self.spent_before = saved["spent_before"]
        # The row of this very step is measured again by the check that opens the loop.
        self.rows = [row for row in saved["rows"] if row["step"] < self.step]
        self.good = (self.z, self.state, self.step)


def _numbers(returned: Any, row: Mapping[str, float]) -> dict[str, float]:
    wanted = "A callback should return None or a mapping of new names to numbers"
    if returned is None:
        return {}
    if not isinstance(returned, Mapping) or any(not isinstance(name, str) for name in returned):
        raise InvalidInput(f"{wanted}; got {returned!r}.")
    taken = [name for name in returned if name in RESERVED]
    if taken:
        raise InvalidInput(f"{wanted}; {taken[0]!r} is a column of every trace.")
    twice = [name for name in returned if name in row]
    if twice:
        raise InvalidInput(
            f"{wanted}; two of them return {twice[0]!r}. Of two Quality callbacks one takes a "
            "prefix, as in Quality(..., prefix='train_')."
        )
    try:
        return {name: float(number) for name, number in returned.items()}
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{wanted}; got {returned!r}.") from error
