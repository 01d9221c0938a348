"""A wrapper that proposes the best profile seen so far."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from eqgan.certificate import measure
from eqgan.game import Game
from eqgan.oracle import Oracle, default_oracle
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.solver import Solver
from eqgan.solvers.optimistic_gradient import OptimisticGradient
from eqgan.whole import as_whole

SEED = 1
"""Of the looks. A run's own certificate takes its seed, so that the choice does not flatter it."""


@dataclass(frozen=True)
class BestState:
    """The wrapped solver's memory, the best proposal and its gap, steps and looks so far."""

    inner: Any
    best: Profile
    gap: float
    steps: int
    looks: int


@dataclass(frozen=True)
class BestSoFar(Solver[BestState]):
    """The proposal with the smallest measured NashConv among those that were looked at.

    A batch is judged by its worst game. Where only lower bounds are to be had (networks), the
    choice is by lower bounds: cheap talk, unless the oracle is strong.

    Args:
        solver: The solver whose proposals are compared.
        every: Steps between looks.
        oracle: How gaps are measured; by default the strongest oracle that serves the game.
        margin: By how many standard errors of its gap a proposal must be better than the best; 0
            suits games without sampling. Of many noisy gaps, the least is low by luck too.

    Raises:
        InvalidInput: `every` is no whole number >= 1, or the margin no number >= 0.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.rock_paper_scissors()
        >>> start = ([0.6, 0.3, 0.1], [0.2, 0.2, 0.6])
        >>> solver = BestSoFar(eqgan.solvers.FictitiousPlay(), every=1)
        >>> gaps = eqgan.solve(game, solver, init=start, max_steps=200).trace.column("nash_conv")
        >>> gaps == sorted(gaps, reverse=True)
        True
    """

    solver: Solver[Any] = field(default_factory=OptimisticGradient)
    every: int = 10
    oracle: Oracle | None = None
    margin: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        as_whole("every", self.every, 1)
        as_real("margin", self.margin, "[0, inf)")

    def evaluations(self, game: Game) -> float:
        """Return what a step of the wrapped solver costs, and its share of a look."""
        return self.solver.evaluations(game) + self._look(game) / self.every

    def spent(self, game: Game, state: BestState, steps: int) -> float:
        """Return what the wrapped solver and the looks at gaps spent."""
        return self.solver.spent(game, state.inner, steps) + state.looks * self._look(game)

    def unsupported(self, game: Game) -> str | None:
        """Return the oracle's reason, or the wrapped solver's."""
        reason = None if self.oracle is None else self.oracle.unsupported(game)
        return reason or self.solver.unsupported(game)

    def init(self, game: Game, z: Profile) -> BestState:
        """Return the start as the best so far."""
        gap, _ = self._gap(game, z)
        return BestState(self.solver.init(game, z), z, gap, 0, 0)

    def step(
        self, game: Game, z: Profile, state: BestState, rng: torch.Generator
    ) -> tuple[Profile, BestState]:
        """Step the wrapped solver; every so often compare its proposal with the best."""
        z, inner = self.solver.step(game, z, state.inner, rng)
        best, gap, looks = state.best, state.gap, state.looks
        if (state.steps + 1) % self.every == 0 or self.solver.finished(inner):
            looks += 1
            proposal = self.solver.output(z, inner)
            new_gap, error = self._gap(game, proposal)
            if new_gap + self.margin * error < gap:
                best, gap = proposal, new_gap
        return z, BestState(inner, best, gap, state.steps + 1, looks)

    def _look(self, game: Game) -> float:
        # Gaps in closed form cost about what the operator does.
        return max(1.0, (self.oracle or default_oracle(game)).evaluations)

    def _gap(self, game: Game, z: Profile) -> tuple[float, float]:
        """Return the gap of the worst game, infinite if there is none, and its standard error."""
        if not z.is_finite():
            return math.inf, 0.0
        found = measure(game, z, self.oracle, seed=SEED)
        gap, error = float(found.lower.sum(0).max()), float(found.nash_conv_stderr.max())
        return (gap, error) if gap == gap else (math.inf, 0.0)

    def output(self, z: Profile, state: BestState) -> Profile:
        """Return the best proposal so far."""
        return state.best

    def finished(self, state: BestState) -> bool:
        """Return whether the wrapped solver has finished."""
        return self.solver.finished(state.inner)
