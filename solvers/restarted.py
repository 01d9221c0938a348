"""A wrapper that starts another solver afresh from its own proposal whenever that has improved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from eqgan.game import Game
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.solver import Solver
from eqgan.solvers.mirror_prox import MirrorProx
from eqgan.whole import as_whole


@dataclass(frozen=True)
class RestartState:
    """Where a run stands.

    Attributes:
        inner: The wrapped solver's memory.
        gap: The gap at the last restart.
        steps: Steps so far.
        begun: The step of the last restart.
        spent: Joint gradients that the wrapped solver had evaluated by then.
    """

    inner: Any
    gap: float
    steps: int
    begun: int
    spent: float


@dataclass(frozen=True)
class Restarted(Solver[RestartState]):
    r"""Start another solver afresh from its proposal each time the gap has shrunk enough.

    An average remembers its bad beginnings; started again from where it has got to, it forgets
    them. On matrix games, whose gap grows linearly away from the equilibria, a method whose average
    has a gap of :math:`O(1/T)` gets a linear rate. `Pdhg` and `HalpernPdhg` have restarts of their
    own, which are finer.

    Args:
        solver: The solver that is restarted.
        shrink: Restart when the gap is at most this share of that at the last restart, in (0, 1).
        every: Steps between looks at the gap.

    References:
        Gilpin, Peña and Sandholm 2012; Applegate et al. 2023, arXiv:2105.12715.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.random_game("low_rank", (50, 50))
        >>> eqgan.solve(game, Restarted(MirrorProx()), tol=1e-5).status.name
        'CONVERGED'
    """

    solver: Solver[Any] = field(default_factory=MirrorProx)
    shrink: float = 0.5
    every: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        as_real("shrink", self.shrink, "(0, 1)")
        as_whole("every", self.every, 1)

    def evaluations(self, game: Game) -> float:
        """Return what a step of the wrapped solver costs, and its share of a look at the gap."""
        return self.solver.evaluations(game) + 1.0 / self.every

    def spent(self, game: Game, state: RestartState, steps: int) -> float:
        """Return what the wrapped solver and the looks at gaps spent."""
        since = self.solver.spent(game, state.inner, state.steps - state.begun)
        return state.spent + since + state.steps // self.every

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless gaps are exact and cheap, or the wrapped solver's reason."""
        if game.regrets(game.initial(game.generator(0))) is None:
            return "restarts look at the exact gap, which is known in closed form for matrix games"
        if game.batch_shape:
            return "the games of a batch want their restarts at different times: solve them alone"
        return self.solver.unsupported(game)

    def init(self, game: Game, z: Profile) -> RestartState:
        """Return the wrapped solver's memory."""
        return RestartState(self.solver.init(game, z), _gap(game, z), 0, 0, 0.0)

    def step(
        self, game: Game, z: Profile, state: RestartState, rng: torch.Generator
    ) -> tuple[Profile, RestartState]:
        """Step the wrapped solver; every so often see whether to start afresh."""
        z, inner = self.solver.step(game, z, state.inner, rng)
        gap, steps, begun, spent = state.gap, state.steps + 1, state.begun, state.spent
        if steps % self.every == 0:
            proposal = self.solver.output(z, inner)
            reached = _gap(game, proposal)
            if reached <= self.shrink * gap:
                spent += self.solver.spent(game, inner, steps - begun)
                z, inner, gap = proposal, self.solver.init(game, proposal), reached
                begun = steps
        return z, RestartState(inner, gap, steps, begun, spent)

    def output(self, z: Profile, state: RestartState) -> Profile:
        """Return the wrapped solver's proposal."""
        return self.solver.output(z, state.inner)

    def finished(self, state: RestartState) -> bool:
        """Return whether the wrapped solver has finished."""
        return self.solver.finished(state.inner)


def _gap(game: Game, z: Profile) -> float:
    known = game.regrets(z)
    assert known is not None
    return float(known[0].sum())
