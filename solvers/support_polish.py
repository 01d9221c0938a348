"""Support polish: jump from a good guess of the supports to the equilibrium on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import scipy.linalg
import torch
from torch import Tensor

from eqgan.game import Game
from eqgan.games.matrix import MatrixGame, needs_table
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.solver import Solver
from eqgan.solvers.regret_matching import RegretMatchingPlus
from eqgan.whole import as_whole


def indifferent(payoffs: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor] | None:
    r"""Return strategies on given supports that make the rival indifferent on its own.

    Solves :math:`A_{RC}\, y_C = v \mathbf 1, \sum y_C = 1` and its twin for the row player in least
    squares; negative probabilities are dropped. Nothing is proved: measure the gap of the result.

    Args:
        payoffs: One game, `(m, n)`, float64.
        rows: Which rows the row player may use, `(m,)` booleans.
        columns: Which columns the column player may use, `(n,)` booleans.

    Returns:
        The strategies `(m,)` and `(n,)`, or ``None`` where a support is empty or no strategy is
        left.

    Example:
        >>> a = torch.tensor([[3.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
        >>> both = torch.tensor([True, True])
        >>> x, y = indifferent(a, both, both)
        >>> [round(p, 12) for p in x.tolist()]
        [0.25, 0.75]
    """
    if not bool(rows.any() & columns.any()):
        return None
    block = payoffs[rows][:, columns]
    y_c, x_r = _equalizer(block), _equalizer(block.mT)
    if not bool(torch.isfinite(y_c).all() & torch.isfinite(x_r).all()):
        return None
    x, y = torch.zeros_like(payoffs[:, 0]), torch.zeros_like(payoffs[0])
    x[rows], y[columns] = x_r, y_c
    return x, y


def _equalizer(block: Tensor) -> Tensor:
    """Return p >= 0 on the columns with sum 1 that brings all rows of `block` near one value."""
    k, n = block.shape
    system = block.new_zeros(k + 1, n + 1)
    system[:k, :n], system[:k, n], system[k, :n] = block, -1.0, 1.0
    right = block.new_zeros(k + 1, 1)
    right[k] = 1.0
    # Degenerate games have dependent rows: the driver must reveal the rank. That of torch reads
    # memory that it never set (its pivots), and gives other answers to the same question.
    solution = scipy.linalg.lstsq(
        system.cpu().numpy(), right.cpu().numpy(), lapack_driver="gelsy", check_finite=False
    )[0]
    weights: Tensor = torch.as_tensor(solution[:n, 0], device=block.device).clamp_min(0)
    return weights / weights.sum()


@dataclass(frozen=True)
class PolishState:
    """The wrapped solver's memory, the best proposal and its gaps `(*batch)`, steps and looks."""

    inner: Any
    best: Profile
    gap: Tensor
    steps: int
    looks: int


@dataclass(frozen=True)
class SupportPolish(Solver[PolishState]):
    """Every so often solve the indifference equations on the supports that a solver has found.

    A first-order method finds the supports of an equilibrium long before its probabilities. What
    comes out is proposed only where its exact gap is smaller, game by game in a batch.

    Args:
        solver: The solver whose proposals are polished.
        every: Steps between polishes.
        threshold: An action belongs to the support if its probability exceeds this share of the
            uniform one.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.random_game("normal", (30, 30))
        >>> run = eqgan.solve(game, SupportPolish(every=100), max_steps=2000, tol=1e-10)
        >>> run.status.name
        'CONVERGED'
    """

    solver: Solver[Any] = field(default_factory=RegretMatchingPlus)
    every: int = 100
    threshold: float = 1e-2

    def __post_init__(self) -> None:
        super().__post_init__()
        as_whole("every", self.every, 1)
        as_real("threshold", self.threshold, "[0, 1)")

    def evaluations(self, game: Game) -> float:
        """Return what a step of the wrapped solver costs, and its share of looks at two gaps."""
        return self.solver.evaluations(game) + 2.0 / self.every

    def spent(self, game: Game, state: PolishState, steps: int) -> float:
        """Return what the wrapped solver and the looks at gaps spent."""
        return self.solver.spent(game, state.inner, steps) + 2 * state.looks

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless `game` is a matrix game that the wrapped solver takes."""
        if not isinstance(game, MatrixGame):
            return "only a MatrixGame has supports to polish"
        return needs_table(game) or self.solver.unsupported(game)

    def init(self, game: Game, z: Profile) -> PolishState:
        """Return the start as the best so far."""
        return PolishState(self.solver.init(game, z), z, _gap(game, z), 0, 0)

    def step(
        self, game: Game, z: Profile, state: PolishState, rng: torch.Generator
    ) -> tuple[Profile, PolishState]:
        """Step the wrapped solver; keep what is better, its proposal or that one polished."""
        z, inner = self.solver.step(game, z, state.inner, rng)
        best, gap, looks = state.best, state.gap, state.looks
        if (state.steps + 1) % self.every == 0 or self.solver.finished(inner):
            looks += 1
            proposal = self.solver.output(z, inner)
            rows, columns = (s > self.threshold / s.shape[-1] for s in proposal.leaves())
            for candidate in (proposal, polished(game, proposal, rows, columns)):
                new = _gap(game, candidate)
                smaller = (new < gap).unsqueeze(-1)
                best = best.map(lambda old, c, s=smaller: torch.where(s, c, old), candidate)
                gap = torch.minimum(new, gap)
        return z, PolishState(inner, best, gap, state.steps + 1, looks)

    def output(self, z: Profile, state: PolishState) -> Profile:
        """Return the best proposal so far."""
        return state.best

    def finished(self, state: PolishState) -> bool:
        """Return whether the wrapped solver has finished."""
        return self.solver.finished(state.inner)


def polished(game: Game, z: Profile, rows: Tensor, columns: Tensor) -> Profile:
    """Return `z` with the strategies of every game of a batch polished where that is possible."""
    assert isinstance(game, MatrixGame)
    payoffs, (x, y) = game.payoff_matrix, (leaf.clone() for leaf in z.leaves())
    m, n = payoffs.shape[-2:]
    flat = zip(
        payoffs.reshape(-1, m, n),
        x.view(-1, m),
        y.view(-1, n),
        rows.reshape(-1, m),
        columns.reshape(-1, n),
        strict=True,
    )
    for a, x_k, y_k, rows_k, columns_k in flat:
        pair = indifferent(a.double(), rows_k, columns_k)
        if pair is not None:
            x_k.copy_(pair[0])
            y_k.copy_(pair[1])
    return Profile((x, y))


def _gap(game: Game, z: Profile) -> Tensor:
    known = game.regrets(z)
    assert known is not None
    return known[0].sum(0)
