"""Competitive gradient descent: step to the equilibrium of the local game."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from eqgan.game import Game, share_payoff
from eqgan.linearisation import PRODUCT, Linearisation, conjugate_gradient
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.rules import default_rate
from eqgan.solver import Solver, needs_free_parameters
from eqgan.whole import as_whole

Memory = TypeVar("Memory")


@dataclass(frozen=True)
class CompetitiveState(Generic[Memory]):
    """What the learning rates remember, and the steps of all linear solves."""

    memory: Memory
    iterations: int


@dataclass(frozen=True)
class Competitive(Solver[CompetitiveState[Memory]]):
    """Competitive gradient descent with any learning rates: a linear solve by conjugate gradients.

    Args:
        tolerance: Stop the linear solve at this share of the right-hand side's norm.
        iterations: Steps of the linear solve at most.
    """

    tolerance: float = 1e-6
    iterations: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        as_real("tolerance", self.tolerance, "[0, 1)")
        as_whole("iterations", self.iterations, 1)

    @abstractmethod
    def memory(self, z: Profile) -> Memory:
        """Return what the learning rates remember before the first step."""

    @abstractmethod
    def scales(self, game: Game, field: Profile, memory: Memory) -> tuple[Profile, Memory]:
        """Return the learning rate of every parameter."""

    def evaluations(self, game: Game) -> float:
        """Return the operator and all products; the linear solve may need fewer."""
        unknowns: int = math.prod(game.spaces[0].shape)
        return 1.0 + PRODUCT * (1 + min(self.iterations, unknowns))

    def spent(self, game: Game, state: CompetitiveState[Memory], steps: int) -> float:
        """Return the operators and all products."""
        return steps + PRODUCT * (steps + state.iterations)

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless both players train on one payoff without constraints."""
        if not share_payoff(game):
            return (
                "its linear system is symmetric only where both players train on one payoff; "
                "train the generator on the payoff (objective='minimax')"
            )
        return needs_free_parameters(game)

    def init(self, game: Game, z: Profile) -> CompetitiveState[Memory]:
        """Return the memory before the first step."""
        return CompetitiveState(self.memory(z), 0)

    def step(
        self,
        game: Game,
        z: Profile,
        state: CompetitiveState[Memory],
        rng: torch.Generator,
    ) -> tuple[Profile, CompetitiveState[Memory]]:
        """Move to the equilibrium of the local game."""
        here = game.linearise(z, game.sample(rng))
        scales, memory = self.scales(game, here.value, state.memory)
        d, iterations = self._solve(here, scales)
        return z - d, CompetitiveState(memory, state.iterations + iterations)

    def _solve(self, here: Linearisation, scales: Profile) -> tuple[Profile, int]:
        """Solve (P^-1 + J_o) d = F, J_o the Jacobian's blocks off the diagonal; count the steps."""
        first, second = (Profile((s,)) for s in scales)
        f, g = (Profile((s,)) for s in here.value)
        root = first.map(torch.sqrt)

        def across(v: Profile) -> Profile:
            return Profile((here.block(0, 1, v[0]),))

        def back(v: Profile) -> Profile:
            return Profile((here.block(1, 0, v[0]),))

        def schur(u: Profile) -> Profile:
            returned = across(_times(second, back(_times(root, u))))
            return u - _times(root, returned)

        right = _times(root, f - across(_times(second, g)))
        solution, steps = conjugate_gradient(schur, right, self.tolerance, self.iterations)
        d = _times(root, solution)
        return Profile((d[0], _times(second, g - back(d))[0])), steps


def _times(a: Profile, b: Profile) -> Profile:
    """Return the product entry by entry."""
    return a.map(torch.mul, b)


@dataclass(frozen=True)
class CompetitiveGradient(Competitive[None]):
    r"""Step to the equilibrium of the local bilinear game with a quadratic price on moving.

    .. math::
        z_{t+1} = z_t - \eta (I + \eta J_o)^{-1} F(z_t), \qquad
        J_o = \begin{pmatrix} 0 & \nabla_{xy} f \\ -\nabla_{yx} f & 0 \end{pmatrix}

    Each player answers the other's answer. Strong interaction shortens the steps instead of making
    them diverge: on :math:`f = xy` it converges for every :math:`\eta`. It takes no rule, for the
    step size is part of the local game; `AdaptiveCompetitiveGradient` has Adam's scales there.

    Args:
        tolerance: Stop the linear solve at this share of the right-hand side's norm.
        iterations: Steps of the linear solve at most.
        rate: :math:`\eta`; by default `eqgan.default_rate` of the game.

    References:
        Schaefer and Anandkumar 2019, arXiv:1905.12103.

    Example:
        >>> import eqgan
        >>> run = eqgan.solve(eqgan.games.DiracGAN(), CompetitiveGradient(rate=1.0), max_steps=200)
        >>> float(run.last.norm()) < 1e-6
        True
    """

    rate: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate is not None:
            as_real("rate", self.rate, "(0, inf)")

    def memory(self, z: Profile) -> None:
        """Return nothing: the rate is always the same."""

    def scales(self, game: Game, field: Profile, memory: None) -> tuple[Profile, None]:
        """Return the rate for every parameter."""
        rate = float(default_rate(game)) if self.rate is None else self.rate
        return field.map(lambda f: torch.full_like(f, rate)), None
