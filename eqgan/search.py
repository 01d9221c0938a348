"""Best responses by gradient search: lower bounds on regrets, for any differentiable game."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.game import Game
from eqgan.profile import Profile, Strategy, map_strategy
from eqgan.response import Curve, Oracle, Response
from eqgan.rules import Adam, Cosine, Rule, default_rule
from eqgan.whole import is_whole

CHECKS = 8
"""Points of a learning curve in every `steps` of a search."""


@dataclass(frozen=True)
class GradientOracle(Oracle):
    """Trains one player against the other, from where it stands and from perturbed restarts.

    A search that only starts at the present strategy certifies a false zero at any stationary
    point, hence the restarts. Every start sees the same stream of samples (common random numbers),
    and the best point of all is chosen on samples of its own. The certificate says whether the
    searches were still improving when they ended.

    Args:
        steps: Gradient steps of each search.
        restarts: Perturbed starts beside the present strategy.
        rule: How gradients become steps; by default `default_rule` where the game knows its
            Lipschitz constant, Adam from 1e-2 on a cosine schedule where it does not.
        selection: Samples on which the searches are compared.
        budget: The most steps of each search: while the searches improve they go on, `steps` at a
            time, with the rule started anew. ``None`` for `steps`.
        warm: A strategy of each player to start from as well, such as the `deviations` of the
            certificate of an earlier profile.

    References:
        Sidheekh et al. 2021, arXiv:2012.06723 (perturbed duality gap).

    Example:
        >>> import eqgan
        >>> game = eqgan.games.random_game("normal", (3, 4))
        >>> z = game.initial(game.generator(0))
        >>> cold = eqgan.certify(game, z, GradientOracle(steps=2, rule=eqgan.Constant(1.0)))
        >>> oracle = GradientOracle(steps=2, rule=eqgan.Constant(1.0), warm=cold.deviations)
        >>> warm, exact = eqgan.certify(game, z, oracle), eqgan.certify(game, z)
        >>> cold.nash_conv < warm.nash_conv <= exact.nash_conv
        True
    """

    steps: int = 200
    restarts: int = 2
    rule: Rule | None = None
    selection: int = 4
    budget: int | None = None
    warm: Profile | None = field(default=None, repr=False, compare=False)

    @property
    def evaluations(self) -> float:
        """Joint gradients that the responses of all players cost together, at most."""
        return float(self._most * self._starts)

    @property
    def _most(self) -> int:
        return self.steps if self.budget is None else self.budget

    @property
    def _starts(self) -> int:
        return 1 + self.restarts + (self.warm is not None)

    def __post_init__(self) -> None:
        counts = (self.steps, 1), (self.restarts, 0), (self.selection, 1), (self._most, self.steps)
        if any(not is_whole(count, least) for count, least in counts):
            raise InvalidInput(
                "GradientOracle needs whole numbers steps >= 1, restarts >= 0, selection >= 1 and "
                f"budget >= steps; got steps={self.steps!r}, restarts={self.restarts!r}, "
                f"selection={self.selection!r}, budget={self.budget!r}."
            )
        if self.rule is not None and not isinstance(self.rule, Rule):
            raise InvalidInput(
                f"GradientOracle: rule should be a Rule, such as eqgan.Adam(1e-2); got "
                f"{self.rule!r}."
            )
        if self.warm is not None and not isinstance(self.warm, Profile):
            raise InvalidInput(
                "GradientOracle: warm should be a Profile, such as the deviations of a "
                f"certificate; got {type(self.warm).__name__}."
            )

    @property
    def how(self) -> str:
        """How deviations were sought."""
        most = f"{self.steps}" if self._most == self.steps else f"up to {self._most}"
        return f"gradient search, {most} steps from {self._starts} starts"

    def respond(self, game: Game, z: Profile, player: int, rng: torch.Generator) -> Response:
        """Return the best point that any search passed, or the present strategy."""
        game, z = game.deviations(z.detach(), player)
        seed = int(torch.randint(2**62, (), generator=rng, device=rng.device))
        starts = [z[player], *self._warm_start(game, z, player)]
        starts += [game.perturb(z[player], player, rng) for _ in range(self.restarts)]
        samples = [game.sample(rng) for _ in range(self.selection if game.stochastic else 1)]
        here = _mean_cost(game, z, player, samples)
        searches = [_Search(game, z.replace(player, s), player, seed, samples) for s in starts]
        steps = [0]
        while True:
            rule = (self.rule or self._default_rule(game)).for_player(player)
            left = min(self.steps, self._most - steps[-1])
            legs = [left * (k + 1) // CHECKS - left * k // CHECKS for k in range(CHECKS)]
            legs = [leg for leg in legs if leg]
            for search in searches:
                search.train(rule, legs)
            steps += [steps[-1] + done for done in itertools.accumulate(legs)]
            curve = Curve(tuple(steps), torch.stack([here - s.progress() for s in searches]))
            if steps[-1] >= self._most or not curve.improving:
                break
        best, least = z[player], here
        for search in searches:
            # Game by game in a batch; a search that blew up compares false and never wins.
            better = search.least < least
            best = map_strategy(_choose(better), search.best, best)
            least = torch.where(better, search.least, least)
        return Response(game, z.replace(player, best), curve=curve)

    def _warm_start(self, game: Game, z: Profile, player: int) -> list[Strategy]:
        if self.warm is None:
            return []
        mine = Profile((z[player],))
        given = Profile(self.warm.strategies[player : player + 1])
        shapes = [[tuple(leaf.shape) for leaf in p.leaves()] for p in (mine, given)]
        if shapes[0] != shapes[1]:
            raise InvalidInput(
                f"GradientOracle: the warm start of player {player} should have shapes {shapes[0]} "
                f"as its strategy has; got {shapes[1]}."
            )
        pairs = zip(given.detach().leaves(), mine.leaves(), strict=True)
        start = mine.with_leaves([leaf.to(like) for leaf, like in pairs])[0]
        return [game.spaces[player].project(start)]

    def _default_rule(self, game: Game) -> Rule:
        # The rival stands still, so a search may take larger steps than training does; the decay
        # lets it settle within its budget in spite of sampling noise.
        return Adam(Cosine(1e-2, self.steps)) if game.lipschitz is None else default_rule(game)


class _Search:
    """One search: where it is, the best point that it passed, and its costs on the way."""

    def __init__(self, game: Game, z: Profile, player: int, seed: int, samples: list[Any]) -> None:
        self.game, self.z, self.player, self.samples = game, z, player, samples
        self.rng = game.generator(seed)
        self.best, self.least = z[player], self._cost()
        self.costs = [self.least]

    def train(self, rule: Rule, legs: list[int]) -> None:
        """Take so many steps, and look after each leg of them whether they helped."""
        game, player = self.game, self.player
        space = game.spaces[player]
        state: Any = rule.init(Profile((self.z[player],)))
        for leg in legs:
            for _ in range(leg):
                g = cost_gradient(game, self.z, player, game.sample(self.rng))
                d, state = rule.direction(Profile((g,)), state)
                self.z = self.z.replace(player, space.prox(self.z[player], d[0]))
            cost = self._cost()
            better = cost < self.least
            self.best = map_strategy(_choose(better), self.z[player], self.best)
            self.least = torch.where(better, cost, self.least)
            self.costs.append(self.least)

    def progress(self) -> Tensor:
        """Return the least cost so far at each look, `(points, *batch)`."""
        return torch.stack(self.costs)

    def _cost(self) -> Tensor:
        cost = _mean_cost(self.game, self.z, self.player, self.samples)
        return cost.nan_to_num(nan=math.inf, posinf=math.inf, neginf=-math.inf)


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
    cost = game.cost(z.replace(player, mine[0]), player, batch).sum()
    if not cost.requires_grad:  # What the player does is all the same.
        return mine.map(torch.zeros_like).detach()[0]
    return mine.with_leaves(torch.autograd.grad(cost, mine.leaves(), materialize_grads=True))[0]
