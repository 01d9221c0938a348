"""Regret matching and regret matching+."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqgan.game import Game
from eqgan.profile import Profile, Strategy
from eqgan.solver import Solver
from eqgan.solvers.multiplicative_weights import only_linear_simplices


@dataclass(frozen=True)
class RegretState:
    """Summed regrets of every action, the weighted sum of strategies, the weights' sum, steps."""

    regrets: Profile
    total: Profile
    weight: float
    steps: int


@dataclass(frozen=True)
class RegretMatching(Solver[RegretState]):
    r"""Play every action in proportion to how much it is regretted; proposes the average.

    .. math:: R_{t+1} = R_t + \langle \ell_t, x_t\rangle \mathbf 1 - \ell_t, \qquad
        x_{t+1} \propto \max(R_{t+1}, 0)

    No parameters and no scale: the average's gap falls like :math:`1/\sqrt{T}`.

    References:
        Hart and Mas-Colell 2000.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.MatrixGame([[2, -1], [-1, 1]])
        >>> eqgan.solve(game, RegretMatching(), max_steps=1000).certificate.nash_conv < 0.1
        True
    """

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless the players mix finitely many actions."""
        return only_linear_simplices(game)

    def init(self, game: Game, z: Profile) -> RegretState:
        """Return no regrets."""
        zero = z.map(torch.zeros_like)
        return RegretState(zero, zero, 0.0, 0)

    def step(
        self, game: Game, z: Profile, state: RegretState, rng: torch.Generator
    ) -> tuple[Profile, RegretState]:
        """Observe the costs at `z` and match the regrets."""
        costs = game.operator(z, game.sample(rng))
        regrets = state.regrets.map(lambda r, x, c: r + _advantages(x, c), z, costs)
        z_next = z.map(_match, regrets)
        return z_next, RegretState(regrets, state.total + z, state.weight + 1, state.steps + 1)

    def output(self, z: Profile, state: RegretState) -> Profile:
        """Return the average strategies."""
        return state.total * (1.0 / state.weight) if state.weight else z


@dataclass(frozen=True)
class RegretMatchingPlus(RegretMatching):
    r"""Regret matching that forgets negative regrets, in alternation; proposes the linear average.

    .. math:: R_{t+1} = \max(R_t + \langle \ell_t, x_t\rangle \mathbf 1 - \ell_t,\, 0), \qquad
        x_{t+1} \propto R_{t+1}, \qquad \bar x_T \propto \sum_t t\, x_t

    The players move in turn, the second against the first one's new strategy. Far faster than
    regret matching in practice; the baseline of poker solvers.

    References:
        Tammelin 2014, arXiv:1407.5042.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.MatrixGame([[2, -1], [-1, 1]])
        >>> run = eqgan.solve(game, RegretMatchingPlus(), max_steps=1000)
        >>> run.certificate.nash_conv < 0.005
        True
    """

    def step(
        self, game: Game, z: Profile, state: RegretState, rng: torch.Generator
    ) -> tuple[Profile, RegretState]:
        """Let the players observe and match in turn."""
        regrets = state.regrets
        batch = game.sample(rng)
        for player in range(len(z)):
            cost = game.gradient(z, player, batch)
            grown = _tensor(regrets[player]) + _advantages(_tensor(z[player]), _tensor(cost))
            regrets = regrets.replace(player, grown.clamp_min(0))
            z = z.replace(player, _match(_tensor(z[player]), grown))
        weight = state.steps + 1
        total = state.total.add(z, alpha=weight)
        return z, RegretState(regrets, total, state.weight + weight, state.steps + 1)


def _tensor(strategy: Strategy) -> Tensor:
    assert isinstance(strategy, Tensor)
    return strategy


def _advantages(x: Tensor, costs: Tensor) -> Tensor:
    return (x * costs).sum(-1, keepdim=True) - costs


def _match(x: Tensor, regrets: Tensor) -> Tensor:
    positive = regrets.clamp_min(0)
    total = positive.sum(-1, keepdim=True)
    # Nothing is regretted: the strategy is a best response and stays.
    return torch.where(total > 0, positive / total, x)
