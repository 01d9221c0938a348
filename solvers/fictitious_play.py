"""Fictitious play, on finite games and over networks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqgan.game import Game
from eqgan.games.mixed import Mixed
from eqgan.oracle import GradientOracle, Oracle, default_oracle
from eqgan.profile import Profile, Strategy
from eqgan.real import as_real
from eqgan.solver import Solver
from eqgan.spaces import Simplex


@dataclass(frozen=True)
class FictitiousState:
    """Summed responses, their summed costs (``None`` over networks), and the number of steps."""

    responses: Profile | None
    costs: Profile | None
    steps: int


@dataclass(frozen=True)
class FictitiousPlay(Solver[FictitiousState]):
    r"""Respond best to the average of everything the rival has played.

    .. math::
        b_t = \mathrm{BR}(\bar y_t), \qquad
        \bar x_{t+1} = \bar x_t + \tfrac{1}{t+1} (b_t - \bar x_t)

    On a matrix game the average strategies converge, slowly: on rock/paper/scissors the gap falls
    about like :math:`T^{-1/2}`. With a `temperature` responses are soft,
    :math:`b_t \propto e^{A \bar y_t / \lambda}`, and play converges to the logit equilibrium
    (see `eqgan.games.QuantalResponse`) instead.

    On `Mixed(game, (K, L))` the best responses are networks trained by `oracle` against the rival's
    mixture; the last K and L of them are kept, with equal weights.

    Args:
        oracle: How the atoms of mixtures are found: by default on a grid where that is possible,
            else by 50 gradient steps. Matrix games respond exactly.
        temperature: :math:`\lambda`, in the units of the payoffs, for smoothed play of matrix
            games; 0 for best responses.

    References:
        Brown 1951; Robinson 1951; Fudenberg and Levine 1995 (smoothed); Ge et al. 2018,
        arXiv:1803.08647 (over networks).

    Example:
        >>> import eqgan
        >>> game = eqgan.games.rock_paper_scissors()
        >>> run = eqgan.solve(game, FictitiousPlay(), init=([1, 0, 0], [1, 0, 0]), max_steps=100)
        >>> 0.05 < run.certificate.nash_conv < 0.2
        True
    """

    oracle: Oracle | None = None
    temperature: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        as_real("temperature", self.temperature, "[0, inf)")

    def evaluations(self, game: Game) -> float:
        """Return one gradient a response on finite games, those of the searches on mixtures."""
        if isinstance(game, Mixed):
            return self._searcher(game).evaluations
        return 1.0

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless averages of strategies are strategies of the game."""
        finite = game.linear and all(isinstance(s, Simplex) for s in game.spaces)
        if isinstance(game, Mixed) and self.temperature:
            return "the atoms of mixtures respond at temperature 0 only"
        if isinstance(game, Mixed) and self.oracle is not None:
            return self.oracle.unsupported(game)
        if finite or isinstance(game, Mixed):
            return None
        return (
            "it plays finite games, or mixtures of strategies: wrap the game as "
            "eqgan.games.Mixed(game, (10, 10))"
        )

    def init(self, game: Game, z: Profile) -> FictitiousState:
        """Return that both expect the rival to play as in `z`, and nobody has responded yet."""
        if isinstance(game, Mixed):
            return FictitiousState(None, None, 0)
        return FictitiousState(z.map(torch.zeros_like), game.operator(z), 0)

    def step(
        self, game: Game, z: Profile, state: FictitiousState, rng: torch.Generator
    ) -> tuple[Profile, FictitiousState]:
        """Let both players respond to the present averages."""
        if isinstance(game, Mixed):
            moved = [self._extended(game, z, player, state.steps, rng) for player in range(2)]
            return Profile(moved), FictitiousState(None, None, state.steps + 1)
        assert state.responses is not None
        assert state.costs is not None
        response = self._responses(game, state.costs, state.steps)
        # Sums, not averages: with whole payoffs they are exact, and so are ties.
        total = state.responses + response
        costs = game.operator(response, game.sample(rng))
        costs = costs + state.costs if state.steps else costs
        return total * (1.0 / (state.steps + 1)), FictitiousState(total, costs, state.steps + 1)

    def _responses(self, game: Game, costs: Profile, steps: int) -> Profile:
        if not self.temperature:
            return Profile(s.minimizer(c) for s, c in zip(game.spaces, costs, strict=True))
        cold = 1.0 / (self.temperature * max(steps, 1))
        return costs.map(lambda c: torch.softmax(-cold * c, -1))

    def _searcher(self, game: Mixed) -> Oracle:
        strongest = self.oracle or default_oracle(game)
        if self.oracle is None and isinstance(strongest, GradientOracle):
            return GradientOracle(steps=50, restarts=0)
        return strongest

    def _extended(
        self, game: Mixed, z: Profile, player: int, steps: int, rng: torch.Generator
    ) -> Strategy:
        response = self._searcher(game).respond(game, z, player, rng).deviated[player]
        mine = z[player]
        assert not isinstance(response, Tensor)
        assert not isinstance(mine, Tensor)
        size = game.sizes[player]
        atoms = mine["atoms"].clone()
        atoms[steps % size] = response["atoms"][0]
        filled = min(steps + 1, size)
        weights = torch.zeros_like(mine["weights"])
        weights[:filled] = 1.0 / filled
        return {"weights": weights, "atoms": atoms}
