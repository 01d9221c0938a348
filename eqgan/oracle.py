"""Best-response oracles: how much could one player gain by deviating?

An exact oracle proves a regret. A search (grid, gradient) proves only a lower bound on it: some
deviation was found that gains this much, and there may be better ones.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.game import Game
from eqgan.profile import Profile, Strategy, map_strategy
from eqgan.rules import Adam, Cosine, Rule, default_rule
from eqgan.spaces import Box, Euclidean


@dataclass(frozen=True)
class Response:
    """A deviation of one player.

    Attributes:
        game: The game in which the deviation is to be costed: the one that was asked about, or for
            a mixture the smaller one in which the deviator plays a single atom.
        deviated: The profile after the deviation, in that game.
        exact: Whether no other deviation gains more.
    """

    game: Game
    deviated: Profile
    exact: bool


class Oracle(ABC):
    """Finds deviations.

    Attributes:
        exact: Whether the responses are proved best.
        cheap: Whether a response costs about as much as a few solver steps, so that `solve` may
            certify while it runs.
    """

    exact: bool = False
    cheap: bool = False

    @property
    def evaluations(self) -> float:
        """Joint gradients that the responses of all players cost together; 0 for cheap oracles."""
        return 0.0

    @property
    @abstractmethod
    def how(self) -> str:
        """How deviations were sought, in words for a certificate."""

    def unsupported(self, game: Game) -> str | None:
        """Return why this oracle cannot serve `game`, or ``None``."""
        return None

    @abstractmethod
    def respond(self, game: Game, z: Profile, player: int, rng: torch.Generator) -> Response:
        """Return the best deviation of `player` against `z` that the oracle finds."""


@dataclass(frozen=True)
class ExactOracle(Oracle):
    """The best response that the game knows in closed form."""

    exact = True
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
        return Response(game, z.replace(player, strategy), exact=True)


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
        if not _is_length(self.radius):
            raise InvalidInput(f"radius should be a finite number > 0; got {self.radius!r}.")

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
            return Response(game, z.replace(player, space.minimizer(g)), exact=True)
        assert isinstance(g, Tensor)
        here = z[player]
        assert isinstance(here, Tensor)
        dims = tuple(range(-len(space.shape), 0))
        length = torch.linalg.vector_norm(g, dim=dims, keepdim=True)
        step = torch.where(length > 0, self.radius * g / length, torch.zeros_like(g))
        return Response(game, z.replace(player, here - step), exact=False)


@dataclass(frozen=True)
class GridOracle(Oracle):
    """A grid over a player's strategy, refined around its best point; for 1 or 2 dimensions.

    Args:
        points: Points along each dimension.
        radius: Half-width of the grid around zero on an unbounded set, in strategy units.
        rounds: How often the grid is laid again around the best point, ten times finer.
    """

    points: int = 61
    radius: float = 2.0
    rounds: int = 3
    cheap = True

    def __post_init__(self) -> None:
        whole = all(isinstance(n, int | np.integer) for n in (self.points, self.rounds))
        if not (whole and self.points >= 2 and self.rounds >= 1 and _is_length(self.radius)):
            raise InvalidInput(
                "GridOracle needs points >= 2, rounds >= 1 and radius > 0; got "
                f"points={self.points!r}, rounds={self.rounds!r}, radius={self.radius!r}."
            )

    @property
    def how(self) -> str:
        """How deviations were sought."""
        return f"grid of {self.points} points a dimension, within ±{self.radius:g} if unbounded"

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
        low, high = (
            (space.low, space.high) if isinstance(space, Box) else (-self.radius, self.radius)
        )
        batch = game.sample(rng)
        game, z = game.deviations(z, player)
        # Of a mixture the last leaf is its one atom.
        best = Profile((z[player],)).leaves()[-1].reshape(space.shape)
        middle, half = torch.full_like(best, 0.5 * (low + high)), 0.5 * (high - low)
        for _ in range(self.rounds):
            grid = (middle + half * self._lattice(best)).clamp(low, high)
            candidates = torch.cat((best[None], grid))
            best = candidates[_costs(game, z, player, candidates, batch).argmin()]
            middle, half = best, half / 10
        return Response(game, z.replace(player, game.pure(best)), exact=False)

    def _lattice(self, like: Tensor) -> Tensor:
        axis = torch.linspace(-1, 1, self.points, dtype=like.dtype, device=like.device)
        return torch.cartesian_prod(*[axis] * len(like)).reshape(-1, len(like))


def _is_length(value: object) -> bool:
    return isinstance(value, int | float | np.number) and bool(0 < value < math.inf)


def _costs(game: Game, z: Profile, player: int, candidates: Tensor, batch: Any) -> Tensor:
    def cost(strategy: Tensor) -> Tensor:
        return game.cost(z.replace(player, game.pure(strategy)), player, batch)

    with torch.no_grad():
        try:
            at_once: Tensor = torch.func.vmap(cost)(candidates)
        except RuntimeError:
            # A payoff that branches on its values can only be asked point by point.
            return torch.stack([cost(strategy) for strategy in candidates])
        return at_once


@dataclass(frozen=True)
class GradientOracle(Oracle):
    """Trains one player against the other, from where it stands and from perturbed restarts.

    A search that only starts at the present strategy certifies a false zero at any stationary
    point, hence the restarts. Every start sees the same stream of samples (common random numbers),
    and the winner is chosen on samples of its own.

    Args:
        steps: Gradient steps of each search.
        restarts: Perturbed starts beside the present strategy.
        rule: How gradients become steps; by default `default_rule` where the game knows its
            Lipschitz constant, Adam from 1e-2 on a cosine schedule where it does not.
        selection: Samples on which the searches are compared.

    References:
        Sidheekh et al. 2021, arXiv:2103.12685 (perturbed duality gap).
    """

    steps: int = 200
    restarts: int = 2
    rule: Rule | None = None
    selection: int = 4

    @property
    def evaluations(self) -> float:
        """Joint gradients that the responses of all players cost together."""
        return float(self.steps * (1 + self.restarts))

    def __post_init__(self) -> None:
        counts = (self.steps, 1), (self.restarts, 0), (self.selection, 1)
        if any(not isinstance(count, int | np.integer) or count < least for count, least in counts):
            raise InvalidInput(
                "GradientOracle needs whole numbers steps >= 1, restarts >= 0 and selection >= 1; "
                f"got steps={self.steps!r}, restarts={self.restarts!r}, "
                f"selection={self.selection!r}."
            )
        if self.rule is not None and not isinstance(self.rule, Rule):
            raise InvalidInput(
                f"GradientOracle: rule should be a Rule, such as eqgan.Adam(1e-2); got "
                f"{self.rule!r}."
            )

    @property
    def how(self) -> str:
        """How deviations were sought."""
        return f"gradient search, {self.steps} steps from {1 + self.restarts} starts"

    def respond(self, game: Game, z: Profile, player: int, rng: torch.Generator) -> Response:
        """Return the best end point of all searches, or the present strategy."""
        game, z = game.deviations(z.detach(), player)
        seed = int(torch.randint(2**62, (), generator=rng, device=rng.device))
        starts = [z[player]]
        starts += [game.perturb(z[player], player, rng) for _ in range(self.restarts)]
        ends = [self._search(game, z.replace(player, s), player, seed) for s in starts]
        samples = [game.sample(rng) for _ in range(self.selection if game.stochastic else 1)]
        best = z
        least = _mean_cost(game, z, player, samples)
        for end in ends:
            cost = _mean_cost(game, z.replace(player, end), player, samples)
            # Game by game in a batch; a search that blew up compares false and never wins.
            better = cost < least
            best = best.replace(player, map_strategy(_choose(better), end, best[player]))
            least = torch.where(better, cost, least)
        return Response(game, best, exact=False)

    def _default_rule(self, game: Game) -> Rule:
        # The rival stands still, so a search may take larger steps than training does; the decay
        # lets it settle within its budget in spite of sampling noise.
        return Adam(Cosine(1e-2, self.steps)) if game.lipschitz is None else default_rule(game)

    def _search(self, game: Game, z: Profile, player: int, seed: int) -> Strategy:
        rng = game.generator(seed)
        rule = (self.rule or self._default_rule(game)).for_player(player)
        space = game.spaces[player]
        state: Any = rule.init(Profile((z[player],)))
        for _ in range(self.steps):
            g = cost_gradient(game, z, player, game.sample(rng))
            d, state = rule.direction(Profile((g,)), state)
            z = z.replace(player, space.prox(z[player], d[0]))
        return z[player]


def _mean_cost(game: Game, z: Profile, player: int, samples: list[Any]) -> Tensor:
    with torch.no_grad():
        return torch.stack([game.cost(z, player, batch) for batch in samples]).mean(0)


def _choose(better: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    def choose(new: Tensor, old: Tensor) -> Tensor:
        return torch.where(
            better.reshape(better.shape + (1,) * (new.dim() - better.dim())), new, old
        )

    return choose


def cost_gradient(game: Game, z: Profile, player: int, batch: Any) -> Strategy:
    """Return the gradient of what `player` truly pays in its own strategy."""
    mine = Profile((z[player],)).attached()
    cost = game.cost(z.replace(player, mine[0]), player, batch)
    return mine.with_leaves(torch.autograd.grad(cost.sum(), mine.leaves(), materialize_grads=True))[
        0
    ]


def default_oracle(game: Game) -> Oracle:
    """Return the strongest oracle that serves `game`: exact, linear, grid, else gradient."""
    for oracle in (ExactOracle(), LinearOracle(), GridOracle()):
        if oracle.unsupported(game) is None:
            return oracle
    return GradientOracle()
