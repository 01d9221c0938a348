"""Newton's method for quantal response equilibria, from hot to cold."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqgan.game import Game
from eqgan.games.quantal import QuantalResponse
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.solver import Solver

CLOSE = 0.5
"""Largest error of a log-weight at which Newton's method has a temperature well in hand."""

GROWTH = 2.0
"""Most that a log-weight may grow by in a step: what grows soon matters; what shrinks, less."""


@dataclass(frozen=True)
class NewtonState:
    """The unknowns (u, s, v, w), `(*batch, m + n + 2)`, and the temperature, `(*batch, 1)`."""

    unknowns: Tensor
    temperature: Tensor


@dataclass(frozen=True)
class QuantalNewton(Solver[NewtonState]):
    r"""Follow the logit equilibrium from a high temperature down to the game's.

    In the log-weights :math:`u = \log x`, :math:`s = \log y` the equilibrium is

    .. math::
        u = (A e^s - v) / \lambda, \quad s = (w - A^\top e^u) / \lambda, \quad
        \textstyle\sum_i e^{u_i} = \sum_j e^{s_j} = 1,

    linear but for the exponentials. Newton steps on both players at once stay good where the
    temperature is low and soft best responses are all but discontinuous. It begins at the payoffs'
    scale and falls by `cooling` whenever the equations are nearly solved.

    A step solves one dense system of m + n + 2 equations.

    Args:
        cooling: The factor by which the temperature falls, in (0, 1).

    References:
        Turocy 2005 (tracing logit equilibria by their temperature).

    Example:
        >>> import eqgan
        >>> base = eqgan.games.random_game("normal", (30, 20))
        >>> game = eqgan.games.QuantalResponse(base, temperature=0.01)
        >>> run = eqgan.solve(game, QuantalNewton(), tol=1e-10, check_every=1)
        >>> run.status.name, run.steps < 30
        ('CONVERGED', True)
    """

    cooling: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        as_real("cooling", self.cooling, "(0, 1)")

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless `game` asks for the quantal response to a table of payoffs."""
        if not isinstance(game, QuantalResponse):
            return "it finds logit equilibria: wrap the game as eqgan.games.QuantalResponse"
        if not game.game.payoffs.tabular:
            return f"{game.game.payoffs} is known by its products only; try 'extragradient'"
        return None

    def init(self, game: Game, z: Profile) -> NewtonState:
        """Return the log-weights of `z`, and a temperature at which they are as good as any."""
        assert isinstance(game, QuantalResponse)
        x, y = z.leaves()
        scale = torch.as_tensor(game.scale, dtype=x.dtype, device=x.device)
        hot = scale.expand(game.batch_shape).clamp_min(game.temperature).unsqueeze(-1)
        values = game.game.payoff(z).unsqueeze(-1)
        logs = [p.clamp_min(torch.finfo(p.dtype).eps).log() for p in (x, y)]
        return NewtonState(torch.cat((*logs, values, values), -1), hot)

    def step(
        self, game: Game, z: Profile, state: NewtonState, rng: torch.Generator
    ) -> tuple[Profile, NewtonState]:
        """Cool if it is time to, and take one Newton step."""
        assert isinstance(game, QuantalResponse)
        a = game.game.payoff_matrix
        (m, n), unknowns = a.shape[-2:], state.unknowns
        solved = errors(a, state).abs().amax(-1, keepdim=True) <= CLOSE
        cooler = (self.cooling * state.temperature).clamp_min(game.temperature)
        state = NewtonState(unknowns, torch.where(solved, cooler, state.temperature))
        right = -errors(a, state).unsqueeze(-1)
        move: Tensor = torch.linalg.solve(jacobian(a, state), right).squeeze(-1)
        growth = move[..., : m + n].amax(-1, keepdim=True)
        unknowns = unknowns + (GROWTH / growth.clamp_min(GROWTH)) * move
        u, s, _ = torch.split(unknowns, [m, n, 2], -1)
        profile = Profile((torch.softmax(u, -1), torch.softmax(s, -1)))
        return profile, NewtonState(unknowns, state.temperature)


def errors(a: Tensor, state: NewtonState) -> Tensor:
    """Return left less right side of every equation, `(*batch, m + n + 2)`."""
    m, n = a.shape[-2:]
    u, s, v, w = torch.split(state.unknowns, [m, n, 1, 1], -1)
    x, y, t = u.exp(), s.exp(), state.temperature
    gains, costs = (a @ y.unsqueeze(-1)).squeeze(-1), (a.mT @ x.unsqueeze(-1)).squeeze(-1)
    sums = [p.sum(-1, keepdim=True) - 1 for p in (x, y)]
    return torch.cat((u - (gains - v) / t, s - (w - costs) / t, *sums), -1)


def jacobian(a: Tensor, state: NewtonState) -> Tensor:
    """Return the derivatives of `errors`, `(*batch, m + n + 2, m + n + 2)`."""
    m, n = a.shape[-2:]
    u, s, _ = torch.split(state.unknowns, [m, n, 2], -1)
    x, y, cold = u.exp(), s.exp(), 1 / state.temperature
    j = torch.eye(m + n + 2, dtype=a.dtype, device=a.device).expand(*a.shape[:-2], -1, -1).clone()
    j[..., :m, m : m + n] = -a * (y * cold).unsqueeze(-2)
    j[..., m : m + n, :m] = a.mT * (x * cold).unsqueeze(-2)
    j[..., :m, m + n], j[..., m : m + n, m + n + 1] = cold, -cold
    j[..., m + n, :m], j[..., m + n + 1, m : m + n] = x, y
    j[..., m + n, m + n] = j[..., m + n + 1, m + n + 1] = 0
    return j
