r"""Regret matching, regret matching+ and predictive regret matching+.

One family with three switches. Whether negative regrets are forgotten, and whether the next costs
are predicted, tells the classes apart; `alternating` and `average` are fields of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.game import Game
from eqgan.profile import Profile, Strategy
from eqgan.solver import Solver
from eqgan.solvers.multiplicative_weights import only_linear_simplices

Average: TypeAlias = Literal["uniform", "linear", "quadratic", "last"]
"""Which mean of the iterates is proposed: the t-th counts as 1, t, t squared, or only the last."""

POWERS = {"uniform": 0, "linear": 1, "quadratic": 2}


@dataclass(frozen=True)
class RegretState:
    """Regrets of every action, the weighted sum of strategies, the weights' sum, steps."""

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

    Args:
        alternating: Whether the players move in turn, the second against the first one's new
            strategy.
        average: Which mean of the iterates is proposed.

    References:
        Hart and Mas-Colell 2000.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.MatrixGame([[2, -1], [-1, 1]])
        >>> eqgan.solve(game, RegretMatching(), max_steps=1000).certificate.nash_conv < 0.1
        True
    """

    alternating: bool = False
    average: Average = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.average not in (*POWERS, "last"):
            raise InvalidInput(
                f"average should be one of {', '.join(POWERS)} and last; got {self.average!r}."
            )

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
        """Let the players observe and match, at once or in turn."""
        batch = game.sample(rng)
        regrets, played = state.regrets, z
        costs = None if self.alternating else game.operator(z, batch)
        for player in range(len(z)):
            cost = game.gradient(played, player, batch) if costs is None else costs[player]
            grown, x = self._respond(regrets[player], z[player], cost)
            regrets, played = regrets.replace(player, grown), played.replace(player, x)
        # In turn, what is averaged is what the second player has seen.
        observed = played if self.alternating else z
        weight = float((state.steps + 1) ** POWERS.get(self.average, 0))
        total = state.total.add(observed, alpha=weight)
        return played, RegretState(regrets, total, state.weight + weight, state.steps + 1)

    def _respond(self, regret: Strategy, x: Strategy, cost: Strategy) -> tuple[Tensor, Tensor]:
        """Return the new regrets and the next strategy of one player."""
        regret, x, cost = _tensors(regret, x, cost)
        regret = regret + _advantages(x, cost)
        return regret, _match(x, regret)

    def output(self, z: Profile, state: RegretState) -> Profile:
        """Return the average strategies, or the last ones."""
        if self.average == "last" or not state.weight:
            return z
        return state.total * (1.0 / state.weight)


@dataclass(frozen=True)
class RegretMatchingPlus(RegretMatching):
    r"""Regret matching that forgets negative regrets; proposes the linear average.

    .. math:: R_{t+1} = \max(R_t + \langle \ell_t, x_t\rangle \mathbf 1 - \ell_t,\, 0), \qquad
        x_{t+1} \propto R_{t+1}, \qquad \bar x_T \propto \sum_t t\, x_t

    Far faster than regret matching in practice, above all in alternation; the baseline of poker
    solvers.

    Args:
        alternating: Whether the players move in turn, the second against the first one's new
            strategy.
        average: Which mean of the iterates is proposed.

    References:
        Tammelin 2014, arXiv:1407.5042.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.MatrixGame([[2, -1], [-1, 1]])
        >>> run = eqgan.solve(game, RegretMatchingPlus(), max_steps=1000)
        >>> run.certificate.nash_conv < 0.005
        True
    """

    alternating: bool = True
    average: Average = "linear"

    def _respond(self, regret: Strategy, x: Strategy, cost: Strategy) -> tuple[Tensor, Tensor]:
        regret, x, cost = _tensors(regret, x, cost)
        regret = (regret + _advantages(x, cost)).clamp_min(0)
        return regret, _match(x, regret)


@dataclass(frozen=True)
class PredictiveRegretMatchingPlus(RegretMatching):
    r"""Regret matching+ that counts the last costs once more before it plays.

    .. math:: R_{t+1} = \max(R_t + \langle \ell_t, x_t\rangle \mathbf 1 - \ell_t,\, 0), \qquad
        x_{t+1} \propto \max\big(R_{t+1} + \langle \ell_t, \hat x\rangle \mathbf 1 - \ell_t,\,
        0\big), \quad \hat x \propto R_{t+1}

    Much faster than regret matching+ where the costs change little from step to step, as on games
    of low rank. The norm of the regrets acts as the inverse of a step size, and may fall. With
    `increasing` it may not: regrets that would be shorter than before are raised by the constant
    that restores their length. That invariant is what IREG-PRM+ is built on, whose average is
    proved to have a gap of order 1/T; in its details that method may differ from this one.

    Args:
        alternating: Whether the players move in turn, the second against the first one's new
            strategy.
        average: Which mean of the iterates is proposed.
        increasing: Whether the length of the regrets is kept from falling.

    References:
        Farina, Kroer and Sandholm 2021, arXiv:2007.14358; Zhang, Anagnostides and Sandholm 2025,
        arXiv:2510.04407 (regrets of nondecreasing norm).

    Example:
        >>> import eqgan
        >>> game = eqgan.games.random_game("low_rank", (50, 50))
        >>> eqgan.solve(game, PredictiveRegretMatchingPlus(), max_steps=1000).status.name
        'CONVERGED'
    """

    alternating: bool = True
    average: Average = "quadratic"
    increasing: bool = False

    def _respond(self, regret: Strategy, x: Strategy, cost: Strategy) -> tuple[Tensor, Tensor]:
        regret, x, cost = _tensors(regret, x, cost)
        regret = self._clipped(regret + _advantages(x, cost), regret)
        ahead = regret + _advantages(_match(x, regret), cost)
        return regret, _match(x, self._clipped(ahead, regret))

    def _clipped(self, regret: Tensor, before: Tensor) -> Tensor:
        if not self.increasing:
            return regret.clamp_min(0)
        return lengthened(regret, torch.linalg.vector_norm(before, dim=-1, keepdim=True))


def lengthened(regret: Tensor, length: Tensor) -> Tensor:
    r"""Return :math:`\max(R + c \mathbf 1, 0)` for the smallest c >= 0 that makes it long enough.

    Args:
        regret: R, `(*batch, n)`.
        length: The least Euclidean length, `(*batch, 1)`.

    Example:
        >>> lengthened(torch.tensor([3.0, -5.0]), torch.tensor([4.0]))
        tensor([4., 0.])
        >>> lengthened(torch.tensor([3.0, -5.0]), torch.tensor([2.0]))
        tensor([3., 0.])
    """
    ordered = regret.sort(dim=-1, descending=True).values
    k = torch.arange(1, regret.shape[-1] + 1, dtype=regret.dtype, device=regret.device)
    sums, squares = ordered.cumsum(-1), (ordered * ordered).cumsum(-1)
    # If the k largest end up positive, k c^2 + 2 c sums + squares = length^2.
    raised = ((sums * sums - k * (squares - length * length)).sqrt() - sums) / k
    # Only for too large a k does the smallest of them not; then c is too small, or not real.
    raised = torch.where(ordered + raised >= 0, raised, torch.inf).amin(-1, keepdim=True)
    return (regret + raised.clamp_min(0)).clamp_min(0)


def _tensors(*strategies: Strategy) -> tuple[Tensor, ...]:
    assert all(isinstance(s, Tensor) for s in strategies)
    return strategies  # type: ignore[return-value]


def _advantages(x: Tensor, costs: Tensor) -> Tensor:
    return (x * costs).sum(-1, keepdim=True) - costs


def _match(x: Tensor, regrets: Tensor) -> Tensor:
    positive = regrets.clamp_min(0)
    total = positive.sum(-1, keepdim=True)
    # Nothing is regretted: the strategy is a best response and stays.
    return torch.where(total > 0, positive / total, x)
