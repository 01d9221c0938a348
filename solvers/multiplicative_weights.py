"""Multiplicative weights, plain and optimistic, for mixed strategies on simplices."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eqgan.game import Game
from eqgan.profile import Profile, Strategy
from eqgan.real import as_real
from eqgan.solver import Solver
from eqgan.spaces import LEAST, Simplex
from eqgan.whole import as_whole


@dataclass(frozen=True)
class WeightsState:
    """Logarithmic weights at the start, summed costs, summed strategies, steps."""

    start: Profile
    costs: Profile
    total: Profile
    steps: int


def only_linear_simplices(game: Game) -> str | None:
    """Return a reason unless the players mix finitely many actions with linear costs."""
    if game.linear and all(isinstance(space, Simplex) for space in game.spaces):
        return None
    return (
        "it needs finitely many actions a player and costs linear in the mixed strategies, as in "
        "a MatrixGame; for other games try extragradient, for mixtures of networks mix_gan"
    )


@dataclass(frozen=True)
class MultiplicativeWeights(Solver[WeightsState]):
    r"""Exponential weights on the costs so far; proposes the average strategies.

    .. math:: x_{t} \propto x_0 \exp\Big(-\eta_t \sum_{s<t} \ell_s\Big), \qquad
        \eta_t = \frac{c}{\mathrm{range}} \sqrt{\frac{8 \ln n}{T}}

    With a `horizon` T known in advance (and started from the uniform strategies) the average over
    T steps has a duality gap of at most :math:`2\,\mathrm{range} \sqrt{\ln n / (2T)}`, n being the
    larger number of actions. Without one T is replaced by t + 1. The last iterate circles.

    Args:
        horizon: Number of steps planned; ``None`` for the any-time schedule.
        scale: The factor c.

    References:
        Freund and Schapire 1999; Cesa-Bianchi and Lugosi 2006, section 2.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.MatrixGame([[2, -1], [-1, 1]])
        >>> run = eqgan.solve(game, MultiplicativeWeights(horizon=1000), max_steps=1000)
        >>> run.certificate.nash_conv <= 2 * 3 * (0.6931472 / 2000) ** 0.5
        True
    """

    horizon: int | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.horizon is not None:
            as_whole("horizon", self.horizon, 1)
        as_real("scale", self.scale, "(0, inf)")

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless the players mix finitely many actions for payoffs in a range."""
        reason = only_linear_simplices(game)
        if reason is None and game.payoff_range is None:
            return "its rate follows the payoffs' range: set game.payoff_range"
        return reason

    def init(self, game: Game, z: Profile) -> WeightsState:
        """Return zero costs."""
        zero = z.map(torch.zeros_like)
        logs = z.map(lambda a: a.clamp_min(LEAST[a.dtype]).log())
        return WeightsState(logs, zero, zero, 0)

    def step(
        self, game: Game, z: Profile, state: WeightsState, rng: torch.Generator
    ) -> tuple[Profile, WeightsState]:
        """Observe the costs at `z` and weigh again."""
        last = game.operator(z, game.sample(rng))
        costs = state.costs + last
        z_next = self._weigh(game, state, self._forecast(costs, last), state.steps + 1)
        new = WeightsState(state.start, costs, state.total + z, state.steps + 1)
        return z_next, new

    def _forecast(self, costs: Profile, last: Profile) -> Profile:
        return costs

    def _weigh(self, game: Game, state: WeightsState, costs: Profile, step: int) -> Profile:
        rounds = self.horizon or step + 1
        return Profile(
            _softmin(start, cost, self._rate(game, cost, rounds))
            for start, cost in zip(state.start, costs, strict=True)
        )

    def _rate(self, game: Game, cost: Strategy, rounds: int) -> float | Tensor:
        assert isinstance(cost, Tensor)
        actions = max(cost.shape[-1], 2)
        return self.scale * math.sqrt(8 * math.log(actions) / rounds) / _payoff_range(game)

    def output(self, z: Profile, state: WeightsState) -> Profile:
        """Return the average strategies."""
        return state.total * (1.0 / state.steps) if state.steps else z


@dataclass(frozen=True)
class OptimisticMultiplicativeWeights(MultiplicativeWeights):
    r"""Multiplicative weights that count the last costs twice; proposes the last strategies.

    .. math::
        x_{t+1} \propto x_0 \exp\Big(-\eta \big(\sum_{s \le t} \ell_s + \ell_t\big)\Big),
        \qquad \eta = \frac{c}{\mathrm{range}}

    The last iterate converges, where that of plain multiplicative weights circles; how fast depends
    on the game, and can be slow.

    Args:
        horizon: Not used: the rate is constant.
        scale: The factor c; 1 is the largest for which convergence is proved.

    References:
        Rakhlin and Sridharan 2013, arXiv:1311.1869; Daskalakis and Panageas 2019, arXiv:1807.04252.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.rock_paper_scissors()
        >>> start = ([0.6, 0.3, 0.1], [0.2, 0.2, 0.6])
        >>> run = eqgan.solve(game, OptimisticMultiplicativeWeights(), init=start)
        >>> run.certificate.nash_conv < 1e-6
        True
    """

    def _forecast(self, costs: Profile, last: Profile) -> Profile:
        return costs + last

    def _rate(self, game: Game, cost: Strategy, rounds: int) -> float | Tensor:
        return self.scale / _payoff_range(game)

    def output(self, z: Profile, state: WeightsState) -> Profile:
        """Return the last strategies."""
        return z


def _payoff_range(game: Game) -> float | Tensor:
    """Return the range of the payoffs, 1 where all are equal."""
    found = game.payoff_range
    assert found is not None
    if isinstance(found, Tensor):
        return torch.where(found > 0, found, 1.0)
    return found or 1.0


def _softmin(start: Strategy, cost: Strategy, rate: float | Tensor) -> Tensor:
    assert isinstance(start, Tensor)
    assert isinstance(cost, Tensor)
    if isinstance(rate, Tensor):
        rate = rate.unsqueeze(-1)
    return torch.softmax(start - rate * cost, dim=-1)
