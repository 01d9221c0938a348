"""Double oracle: solve a small game, ask both players for a better strategy, and extend it.

This file plays games whose costs are linear; `eqgan.solvers.mixture_oracle` plays mixtures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eqgan.game import Game, ZeroSumGame
from eqgan.games.highs import solve_game
from eqgan.games.matrix import MatrixGame
from eqgan.games.matrix_free import MatrixFree
from eqgan.games.mixed import Mixed
from eqgan.oracle import GradientOracle, Oracle, cost_gradient, default_oracle
from eqgan.profile import Profile, Strategy
from eqgan.real import as_real
from eqgan.solver import Solver
from eqgan.solvers.mixture_oracle import MixtureOracleState, advance, begin

SAME = 1e-9
"""Strategies no further apart than this in any entry are one strategy."""

ROUNDING = 1e3
"""Gains below so many units in the last place of the game's scale are rounding."""

LAST_PLACES = 8.0
"""And so are those below this many in the last place of the largest payoff."""


@dataclass(frozen=True)
class DoubleOracleState:
    """The small game, and what is proved of the large one.

    Attributes:
        strategies: Each player's start and the responses found, `(K, *shape)` and `(L, *shape)`.
        weights: How likely the proposal plays each, `(K,)` and `(L,)`, float64.
        table: What player 0 receives for each pair of them, `(K, L)`, float64.
        lower: What player 0 receives at least under the proposal.
        upper: What player 1 pays at most under the proposal.
        done: Whether neither player knows a better strategy.
    """

    strategies: Profile
    weights: Profile
    table: Tensor
    lower: float
    upper: float
    done: bool


@dataclass(frozen=True)
class DoubleOracle(Solver[DoubleOracleState | MixtureOracleState]):
    r"""Best responses to the equilibrium of the game between the best responses found so far.

    .. math::
        (x_t, y_t) = \mathrm{Nash}(X_t \times Y_t), \qquad
        X_{t+1} = X_t \cup \{\mathrm{BR}(y_t)\}, \quad Y_{t+1} = Y_t \cup \{\mathrm{BR}(x_t)\}

    For sets with so many vertices that nobody can list them (paths of a network, deployments of an
    army, polytopes) but whose linear minimisation is quick. Each response bounds the value, from
    below or from above; the strategies with the best bounds are proposed, so that the gap never
    grows. It ends when neither player can do better, on polytopes after finitely many steps.

    The state holds the support: ``result.state.strategies[i]`` played with probabilities
    ``result.state.weights[i]``.

    On `Mixed(game, (K, L))`, mixtures of networks among them, responses are searched: by default on
    a grid where that is possible, else by gradients from two starts. Each is trained against the
    rival's whole mixture and remembered as an atom if it gains `epsilon` more than any known one,
    in place of the least likely one when there is no room; the game between the atoms is solved
    exactly, on samples that are the same for every pair. Each player proposes the mixture that pays
    least against the worst response found since, so a bound that later responses disprove is
    raised. It ends when no response is worth an atom, which proves nothing better than that this
    search found nothing.

    Args:
        smoothing: How much of the proposal is mixed into the strategies that are responded to; 0 is
            the classic method. Some of it keeps responses from jumping about: by default 0.3, which
            saves half the steps or more on networks of paths; on mixtures 0.7 where responses are
            trained, for those to an equilibrium of few discriminators are generators of few modes,
            and 0 otherwise. Mixtures then want room to spare beyond the atoms that they play.
        oracle: How responses to mixtures are searched.
        epsilon: Gain below which a response to a mixture is not worth an atom, in payoff units.

    References:
        McMahan, Gordon, Blum 2003, Planning in the presence of cost functions controlled by an
        adversary; Bosansky et al. 2014 (JAIR); Wentges 1997 (smoothing);
        Oliehoek et al. 2018, arXiv:1806.07268, and Aung et al. 2022, arXiv:2102.08577 (networks).

    Example:
        >>> import eqgan
        >>> game = eqgan.games.random_game("low_rank", (500, 400))
        >>> run = eqgan.solve(game, DoubleOracle(), tol=1e-9)
        >>> run.status.name, max(run.state.table.shape) < 50
        ('CONVERGED', True)
    """

    smoothing: float | None = None
    oracle: Oracle | None = None
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        as_real("epsilon", self.epsilon, "[0, inf)")
        if self.smoothing is not None:
            as_real("smoothing", self.smoothing, "[0, 1)")

    def evaluations(self, game: Game) -> float:
        """Return 2 (one for the responses, one for their row and column), or what searches cost."""
        return self._searcher(game).evaluations if isinstance(game, Mixed) else 2.0

    def _searcher(self, game: Mixed) -> Oracle:
        strongest = self.oracle or default_oracle(game)
        if self.oracle is None and isinstance(strongest, GradientOracle):
            return GradientOracle(steps=100, restarts=1)
        return strongest

    def _share(self, game: Game) -> float:
        if self.smoothing is not None:
            return self.smoothing
        if isinstance(game, Mixed):
            return 0.7 if isinstance(self._searcher(game), GradientOracle) else 0.0
        return 0.3

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless `game` is a mixture, or has linear costs on bounded sets."""
        if isinstance(game, Mixed):
            return None if self.oracle is None else self.oracle.unsupported(game)
        if game.batch_shape:
            return "it solves one game at a time, not a batch"
        if not isinstance(game, ZeroSumGame) or game.stochastic or not game.linear:
            return "it needs a zero-sum payoff that is affine in each player's strategy"
        if not all(space.bounded and isinstance(space.shape, tuple) for space in game.spaces):
            return "a linear best response exists only on bounded sets (Simplex, Polytope, Box)"
        return None

    def init(self, game: Game, z: Profile) -> DoubleOracleState | MixtureOracleState:
        """Return the small game in which both players only know the start."""
        if isinstance(game, Mixed):
            return begin(game, z)
        table = torch.full((1, 1), _received(game, z), dtype=torch.float64, device=game.device)
        once = Profile(table.new_ones(1) for _ in z)
        alone = z.map(lambda leaf: leaf[None].to(_working(game), copy=True))
        return DoubleOracleState(alone, once, table, -math.inf, math.inf, False)

    def step(
        self,
        game: Game,
        z: Profile,
        state: DoubleOracleState | MixtureOracleState,
        rng: torch.Generator,
    ) -> tuple[Profile, DoubleOracleState | MixtureOracleState]:
        """Respond to the small game's equilibrium, smoothed, and exactly if that brings nothing."""
        if isinstance(state, MixtureOracleState):
            assert isinstance(game, Mixed)
            oracle = self._searcher(game)
            state = advance(game, state, oracle, self._share(game), self.epsilon, rng)
            return state.best, state
        known = state.table.shape
        nash = Profile(
            torch.as_tensor(w).to(state.table) for w in solve_game(state.table.cpu().numpy())
        )
        for share in dict.fromkeys((self._share(game), 0.0)):
            state = _answered(game, state, nash.lerp(state.weights, share), share == 0, rng)
            if state.table.shape != known:
                break
        else:
            state = replace(state, done=True)
        mixtures = state.strategies.map(_mixture, state.weights)
        return mixtures.map(lambda leaf: leaf.to(game.dtype)), state

    def finished(self, state: DoubleOracleState | MixtureOracleState) -> bool:
        """Return whether neither player knows a better strategy."""
        return state.done


def _received(game: Game, z: Profile) -> float:
    """Return what player 0 receives."""
    return -float(game.cost(z, 0))


def _working(game: Game) -> torch.dtype:
    """Return the dtype of the strategies that are responded to.

    Products of a matrix game come in float64, whatever its payoffs are held in; a user's function
    may know one dtype only.
    """
    wide = isinstance(game, MatrixGame) and not isinstance(game.payoffs, MatrixFree)
    return torch.float64 if wide else game.dtype


def _rounding(game: Game, table: Tensor) -> float:
    largest = float(table.abs().max())
    return torch.finfo(_working(game)).eps * (ROUNDING * float(game.scale) + LAST_PLACES * largest)


def _mixture(strategies: Tensor, weights: Tensor) -> Tensor:
    mixed: Tensor = torch.tensordot(weights.to(strategies.dtype), strategies, dims=1)
    return mixed


def _answered(
    game: Game, state: DoubleOracleState, weights: Profile, exactly: bool, rng: torch.Generator
) -> DoubleOracleState:
    """Return the state after both players have responded to the mixtures with these weights."""
    query = state.strategies.map(_mixture, weights)
    oracle = default_oracle(game)
    responses = [oracle.respond(game, query, i, rng).deviated[i] for i in (0, 1)]
    lower = _received(game, query.replace(1, responses[1]))
    upper = _received(game, query.replace(0, responses[0]))
    x, y = weights.leaves()
    value = float(x @ state.table @ y)
    rounding = _rounding(game, state.table)
    # An equilibrium of the small game has the smallest support; it wins unless it is worse.
    slack = rounding if exactly else 0.0
    if lower >= state.lower - slack:
        state = replace(state, weights=state.weights.replace(0, x), lower=lower)
    if upper <= state.upper + slack:
        state = replace(state, weights=state.weights.replace(1, y), upper=upper)
    for player, gain in enumerate((upper - value, value - lower)):
        if gain > rounding:
            state = _extended(game, state, player, responses[player])
    return state


def _extended(
    game: Game, state: DoubleOracleState, player: int, response: Strategy
) -> DoubleOracleState:
    """Return the state with one more strategy and its line of the table, unless it is known."""
    assert isinstance(response, Tensor)
    known, rivals = (state.strategies.leaves()[i] for i in (player, 1 - player))
    line = _line(game, player, response, rivals)
    # Strategies are long and lines short: only those that do alike in the table are compared.
    likeness = (state.table.movedim(player, 0) - line).abs().amax(1)
    alike = known[likeness <= SAME * state.table.abs().max()]
    if bool(((alike - response).abs().flatten(1) <= SAME).all(1).any()):
        return state
    weights = state.weights.leaves()[player]
    return replace(
        state,
        strategies=state.strategies.replace(player, torch.cat((known, response[None]))),
        weights=state.weights.replace(player, torch.cat((weights, weights.new_zeros(1)))),
        table=torch.cat((state.table, line.unsqueeze(player)), player),
    )


def _line(game: Game, player: int, strategy: Strategy, rivals: Tensor) -> Tensor:
    """Return what player 0 receives when `player` meets each of `rivals`, `(K,)`, float64.

    The payoff is affine in the rival's strategy: one value and one gradient tell all.
    """
    z = Profile((strategy, rivals[0]) if player == 0 else (rivals[0], strategy))
    slope = cost_gradient(game, z, 1 - player, None)
    assert isinstance(slope, Tensor)
    costs = rivals.flatten(1).double() @ slope.flatten().double()
    paid = costs - costs[0]
    return _received(game, z) + (paid if player == 0 else -paid)
