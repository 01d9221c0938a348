"""Wrappers that propose an average of another solver's iterates."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch

from eqgan.game import Game
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.solver import Solver
from eqgan.solvers.simultaneous_gradient import SimultaneousGradient
from eqgan.whole import as_whole


@dataclass(frozen=True)
class AverageState:
    """The wrapped solver's memory, the average, and how many iterates it holds."""

    inner: Any
    average: Profile
    count: int


@dataclass(frozen=True)
class _Average(Solver[AverageState]):
    """What both averages share: `_weight` says what share the newest iterate gets."""

    solver: Solver[Any] = field(default_factory=SimultaneousGradient)

    def evaluations(self, game: Game) -> float:
        """Return what a step of the wrapped solver costs."""
        return self.solver.evaluations(game)

    def spent(self, game: Game, state: AverageState, steps: int) -> float:
        """Return what the wrapped solver spent."""
        return self.solver.spent(game, state.inner, steps)

    def unsupported(self, game: Game) -> str | None:
        """Return the wrapped solver's reason."""
        return self.solver.unsupported(game)

    def init(self, game: Game, z: Profile) -> AverageState:
        """Return the wrapped solver's memory and an average of nothing."""
        return AverageState(self.solver.init(game, z), z, 0)

    def step(
        self, game: Game, z: Profile, state: AverageState, rng: torch.Generator
    ) -> tuple[Profile, AverageState]:
        """Step the wrapped solver and take its new proposal into the average."""
        z, inner = self.solver.step(game, z, state.inner, rng)
        weight = self._weight(state.count + 1)
        average = state.average.lerp(self.solver.output(z, inner), weight)
        return z, AverageState(inner, average, state.count + 1)

    @abstractmethod
    def _weight(self, count: int) -> float: ...

    def output(self, z: Profile, state: AverageState) -> Profile:
        """Return the average."""
        return state.average

    def finished(self, state: AverageState) -> bool:
        """Return whether the wrapped solver has finished."""
        return self.solver.finished(state.inner)


@dataclass(frozen=True)
class Averaged(_Average):
    r"""The average of what another solver proposes: uniform, or with growing weights.

    .. math:: \bar z_T \propto \sum_{t=1}^T t\,(t+1) \cdots (t+p-1)\; z_t

    On convex-concave games averages converge where last iterates circle; with a higher power they
    forget their beginnings sooner. The average of a network's parameters is one network, not a
    mixed strategy: use `Mixed` for those.

    Args:
        solver: The solver whose iterates are averaged.
        power: p: 0 for the uniform average, 1 for the linear, 2 for the quadratic one.

    References:
        Shamir and Zhang 2013, arXiv:1212.1824 (polynomial weights).

    Example:
        >>> import eqgan
        >>> game = eqgan.games.rock_paper_scissors()
        >>> solver = Averaged(eqgan.solvers.SimultaneousGradient(rule=eqgan.Constant(0.02)))
        >>> start = ([0.6, 0.3, 0.1], [0.2, 0.2, 0.6])
        >>> eqgan.solve(game, solver, init=start, max_steps=3000).certificate.nash_conv < 0.05
        True
    """

    power: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        as_whole("power", self.power, 0)

    def _weight(self, count: int) -> float:
        return (self.power + 1) / (self.power + count)


@dataclass(frozen=True)
class MovingAverage(_Average):
    r"""The exponential moving average, :math:`\bar z_t = \beta \bar z_{t-1} + (1 - \beta) z_t`.

    Smooths the circling of GAN training; the common choice for a generator to sample from.

    Args:
        solver: The solver whose iterates are averaged.
        decay: :math:`\beta`, in [0, 1).

    References:
        Yazici et al. 2019, arXiv:1806.04498.

    Example:
        >>> import eqgan
        >>> run = eqgan.solve(eqgan.games.DiracGAN(), MovingAverage(decay=0.9), max_steps=10)
        >>> run.steps
        10
    """

    decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        as_real("decay", self.decay, "[0, 1)")

    def _weight(self, count: int) -> float:
        return 1.0 - self.decay
