"""Best-response oracles: how much could one player gain by deviating?

Exact oracles here; a grid for one or two dimensions; gradient search is in `eqgan.search`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eqgan.errors import UnsupportedGame
from eqgan.game import Game
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.response import Curve, Oracle, Response
from eqgan.search import GradientOracle, cost_gradient
from eqgan.spaces import Box, Euclidean, Space
from eqgan.stacks import over_stack
from eqgan.whole import as_whole

__all__ = [
    "Curve",
    "ExactOracle",
    "GradientOracle",
    "GridOracle",
    "LinearOracle",
    "Oracle",
    "Response",
    "cost_gradient",
    "default_oracle",
]


@dataclass(frozen=True)
class ExactOracle(Oracle):
    """The best response that the game knows in closed form."""

    cheap = True
    how = "best responses in closed form"

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless the game overrides `best_response`."""
        if type(game).best_response is Game.best_response:
            return f"{type(game).__name__} knows no best response in closed form"
        return None

    def respond(self, game: Game, z: Profile, player: int, rng: torch.Generator) -> Response:
        """Return the game's own best response."""
        strategy = game.best_response(z, player)
        if strategy is None:
            raise UnsupportedGame(
                f"{type(game).__name__}.best_response returned None for {game.players[player]}."
            )
        return Response.best(game, z.replace(player, strategy), player)


@dataclass(frozen=True)
class LinearOracle(Oracle):
    r"""Linear minimisation: :math:`\arg\min_u \langle \nabla_i \ell_i(z), u \rangle`.

    Exact where each cost is affine in the player's own strategy and the sets are bounded. On
    unbounded sets it looks at deviations no longer than `radius` and proves a lower bound.

    Args:
        radius: Longest deviation considered on an unbounded set, in strategy units.
    """

    radius: float = 1.0
    cheap = True

    def __post_init__(self) -> None:
        as_real("radius", self.radius, "(0, inf)")

    @property
    def how(self) -> str:
        """How deviations were sought."""
        return f"linear minimisation, deviations up to {self.radius:g} on unbounded sets"

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless every cost is affine in the player's own strategy."""
        if game.stochastic:
            return "one sample's linear minimum is not that of the expectation"
        if game.linear:
            return None
        return f"the costs of {type(game).__name__} are not affine in each player's own strategy"

    def respond(self, game: Game, z: Profile, player: int, rng: torch.Generator) -> Response:
        """Return the vertex (or the far end of the ball) that the gradient points away from."""
        # The gradient of what the player pays: its training signal may be something else.
        g = cost_gradient(game, z, player, None)
        space = game.spaces[player]
        if space.bounded:
            return Response.best(game, z.replace(player, space.minimizer(g)), player)
        assert isinstance(g, Tensor)
        here = z[player]
        assert isinstance(here, Tensor)
        dims = tuple(range(-len(space.shape), 0))
        length = torch.linalg.vector_norm(g, dim=dims, keepdim=True)
        step = torch.where(length > 0, self.radius * g / length, torch.zeros_like(g))
        return Response(game, z.replace(player, here - step))


@dataclass(frozen=True)
class GridOracle(Oracle):
    """A grid over a player's strategy, refined around its best point; for 1 or 2 dimensions.

    Args:
        points: Points along each dimension.
        radius: On an unbounded set there are two grids, around zero and around the present
            strategy; this is their half-width, in strategy units.
        rounds: How often the grid is laid again around the best point, ten times finer.
    """

    points: int = 61
    radius: float = 2.0
    rounds: int = 3
    cheap = True

    def __post_init__(self) -> None:
        as_whole("points", self.points, 2)
        as_whole("rounds", self.rounds, 1)
        as_real("radius", self.radius, "(0, inf)")

    @property
    def how(self) -> str:
        """How deviations were sought."""
        reach = f"within ±{self.radius:g} of zero and of the profile if unbounded"
        return f"grid of {self.points} points a dimension, {reach}"

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless every player has one or two real parameters."""
        if game.batch_shape:
            return "grids search one game at a time, not a batch"
        for player, name in enumerate(game.players):
            space = game.pure_space(player)
            if not isinstance(space, Box | Euclidean) or len(space.shape) != 1:
                return f"{name} has no plain vector of parameters to lay a grid over"
            if space.shape[0] > 2:
                return f"{name} has {space.shape[0]} parameters; a grid takes at most 2"
        return None

    def respond(self, game: Game, z: Profile, player: int, rng: torch.Generator) -> Response:
        """Return the best grid point (or the present strategy, if that is better)."""
        space = game.pure_space(player)
        batch = game.sample(rng)
        game, z = game.deviations(z, player)
        # Of a mixture the last leaf is its one atom.
        best = Profile((z[player],)).leaves()[-1].reshape(space.shape)
        for low, high in self._ranges(space, best):
            middle, half = 0.5 * (low + high), 0.5 * (high - low)
            for _ in range(self.rounds):
                grid = (middle + half * self._lattice(best)).clamp(low, high)
                candidates = torch.cat((best[None], grid))
                best = candidates[_costs(game, z, player, candidates, batch).argmin()]
                middle, half = best, half / 10
        return Response(game, z.replace(player, game.pure(best)))

    def _ranges(self, space: Space[Any], here: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return the ends of every grid: the box, or what lies around zero and around `here`."""
        if isinstance(space, Box):
            return [(torch.full_like(here, space.low), torch.full_like(here, space.high))]
        middles = torch.zeros_like(here), here
        return [(middle - self.radius, middle + self.radius) for middle in middles]

    def _lattice(self, like: Tensor) -> Tensor:
        axis = torch.linspace(-1, 1, self.points, dtype=like.dtype, device=like.device)
        return torch.cartesian_prod(*[axis] * len(like)).reshape(-1, len(like))


def _costs(game: Game, z: Profile, player: int, candidates: Tensor, batch: Any) -> Tensor:
    def cost(strategy: Tensor) -> Tensor:
        return game.cost(z.replace(player, game.pure(strategy)), player, batch)

    with torch.no_grad():
        costs: Tensor = over_stack(cost, candidates)
    # A payoff may be undefined somewhere on a grid; that is no deviation.
    return costs.nan_to_num(nan=math.inf, posinf=math.inf, neginf=-math.inf)


def default_oracle(game: Game) -> Oracle:
    """Return the strongest oracle that serves `game`: exact, linear, grid, else gradient."""
    for oracle in (ExactOracle(), LinearOracle(), GridOracle()):
        if oracle.unsupported(game) is None:
            return oracle
    return GradientOracle()
