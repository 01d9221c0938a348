"""Rules: how an operator value becomes a step.

A rule turns a gradient into a displacement `d`; the strategy set then takes the step,
``prox(x, d)``. Rules are pure: they return a new state and never change the one they were given.

Rates may be numbers, schedules (functions of the step number), or, for a batch of games, tensors
of shape `(*batch)`.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.game import Game
from eqgan.profile import Profile
from eqgan.real import as_real, is_real
from eqgan.whole import as_whole

Schedule: TypeAlias = Callable[[int], float]
Rate: TypeAlias = float | Tensor | Schedule


class Rule(ABC):
    """Turns gradients into displacements."""

    @abstractmethod
    def init(self, z: Profile) -> Any:
        """Return the memory before the first step from `z`."""

    @abstractmethod
    def direction(self, g: Profile, state: Any, tick: bool = True) -> tuple[Profile, Any]:
        """Return the displacement for the gradient `g`, and the new memory.

        Args:
            g: The gradient.
            state: The memory.
            tick: Whether schedules go on to their next step. A solver that asks for several
                displacements a step ticks once, so that schedules count solver steps.
        """

    def for_player(self, player: int) -> Rule:
        """Return the rule of one player, which steps a profile of that player alone."""
        return self


def rate_at(rate: Rate, step: int) -> float | Tensor:
    """Return the rate at a step number, counted from 0."""
    return rate(step) if callable(rate) else rate


def scaled(g: Profile, rate: float | Tensor) -> Profile:
    """Return `rate` times `g`; a tensor rate holds one number for each game of a batch."""
    if isinstance(rate, Tensor) and rate.dim():
        return g.map(lambda a: a * rate.reshape(rate.shape + (1,) * (a.dim() - rate.dim())))
    return g.map(lambda a: a * rate)


def _check_rate(rate: Rate) -> None:
    # Reading a tensor's entries would wait for a GPU, at every step that makes a default rule.
    if not (callable(rate) or isinstance(rate, Tensor) or is_real(rate, "(0, inf)")):
        raise InvalidInput(f"rate should be a finite number > 0 or a schedule; got {rate!r}.")


@dataclass(frozen=True)
class Constant(Rule):
    r"""Plain steps, :math:`d = \eta_t g`: gradient descent, or mirror descent on a simplex.

    Args:
        rate: The step size :math:`\eta`, in strategy units per gradient unit.

    Example:
        >>> rule = Constant(0.5)
        >>> d, state = rule.direction(Profile((torch.tensor([2.0]),)), 0)
        >>> d, state
        (Profile([1.0]), 1)
    """

    rate: Rate = 0.1

    def __post_init__(self) -> None:
        _check_rate(self.rate)

    def init(self, z: Profile) -> int:
        """Return the number of steps so far: 0."""
        return 0

    def direction(self, g: Profile, state: int, tick: bool = True) -> tuple[Profile, int]:
        """Return ``rate * g``."""
        return scaled(g, rate_at(self.rate, state)), state + tick


@dataclass(frozen=True)
class AdamState:
    """Adam's memory: schedule steps; moments and numbers of gradients, leaf by leaf."""

    step: int
    means: list[Tensor]
    squares: list[Tensor]
    counts: list[Tensor]


@dataclass(frozen=True)
class Adam(Rule):
    r"""Adam, :math:`d = \eta\,\hat m / (\sqrt{\hat v} + \epsilon)`.

    All leaves of a profile move in one fused torch kernel.

    Args:
        rate: The step size :math:`\eta`.
        betas: Decay of the two moments. For GANs (0.5, 0.9) or (0.5, 0.999) are usual.
        eps: Added to the denominator.

    References:
        Kingma and Ba 2015, arXiv:1412.6980.

    Example:
        >>> rule = Adam(0.1)
        >>> z = Profile((torch.zeros(1),))
        >>> d, _ = rule.direction(Profile((torch.tensor([3.0]),)), rule.init(z))
        >>> d
        Profile([0.1])
    """

    rate: float | Schedule = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        pair = isinstance(self.betas, tuple) and len(self.betas) == 2
        if not pair or not all(is_real(b, "[0, 1)") for b in self.betas):
            raise InvalidInput(f"betas should be two numbers in [0, 1); got {self.betas!r}.")
        if isinstance(self.rate, Tensor):
            raise InvalidInput("Adam takes one rate for all games; a tensor is for Constant.")
        as_real("eps", self.eps, "(0, inf)")

    def init(self, z: Profile) -> AdamState:
        """Return zero moments."""
        leaves = z.leaves()
        return AdamState(
            0,
            [torch.zeros_like(leaf) for leaf in leaves],
            [torch.zeros_like(leaf) for leaf in leaves],
            [torch.zeros((), dtype=torch.float32, device=leaf.device) for leaf in leaves],
        )

    def direction(
        self, g: Profile, state: AdamState, tick: bool = True
    ) -> tuple[Profile, AdamState]:
        """Return Adam's displacement."""
        new = AdamState(
            state.step + tick,
            [m.clone() for m in state.means],
            [v.clone() for v in state.squares],
            [c + 1 for c in state.counts],
        )
        gradients = g.leaves()
        # Adam on zeros with a negative rate leaves exactly the displacement behind.
        steps = [torch.zeros_like(leaf) for leaf in gradients]
        # The kernel behind `torch.optim.Adam(fused=True)`, whose wrapping takes longer than it.
        torch._fused_adam_(
            steps,
            gradients,
            new.means,
            new.squares,
            [],
            new.counts,
            lr=-float(rate_at(self.rate, state.step)),
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=0.0,
            eps=self.eps,
            amsgrad=False,
            maximize=False,
        )
        return g.with_leaves(steps), new


@dataclass(frozen=True)
class TorchOptimizer(Rule):
    """Any `torch.optim` optimizer as a rule.

    The optimizer runs on a zero vector, so what it leaves behind is its displacement. Optimizers
    that read the parameters themselves have no such form: LBFGS and weight decay are refused.

    Args:
        kind: The class, for example `torch.optim.RMSprop`.
        options: Its keyword arguments, `lr` among them.

    Example:
        >>> rule = TorchOptimizer(torch.optim.SGD, {"lr": 0.1, "momentum": 0.9})
        >>> g = Profile((torch.ones(1),))
        >>> d, state = rule.direction(g, rule.init(g))
        >>> d, state = rule.direction(g, state)
        >>> d
        Profile([0.19])
    """

    kind: type[torch.optim.Optimizer]
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            optimizer = self.kind([torch.zeros(1, requires_grad=True)], **self.options)
        except (TypeError, ValueError) as error:
            raise InvalidInput(
                f"TorchOptimizer({self.kind!r}, {self.options}) cannot be built: {error}."
            ) from error
        if isinstance(optimizer, torch.optim.LBFGS):
            raise InvalidInput("LBFGS searches along lines, and a rule sees only one gradient.")
        if isinstance(optimizer, torch.optim.SparseAdam):
            raise InvalidInput("SparseAdam takes sparse gradients, and those of games are dense.")
        if isinstance(optimizer, torch.optim.Adafactor):
            raise InvalidInput("Adafactor scales its steps by the parameters, which no rule sees.")
        if any(g.get("weight_decay") or g.get("lambd") for g in optimizer.param_groups):
            raise InvalidInput(
                "A rule cannot decay weights, for it never sees the parameters; pass "
                f"weight_decay=0 (ASGD: lambd=0) to {self.kind.__name__}, and put penalties into "
                "the payoff."
            )

    def init(self, z: Profile) -> dict[str, Any]:
        """Return the optimizer's empty memory."""
        return {}

    def direction(
        self, g: Profile, state: dict[str, Any], tick: bool = True
    ) -> tuple[Profile, dict[str, Any]]:
        """Return the optimizer's displacement."""
        leaves = [torch.zeros_like(leaf, requires_grad=True) for leaf in g.leaves()]
        for leaf, gradient in zip(leaves, g.leaves(), strict=True):
            leaf.grad = gradient
        optimizer = self.kind(leaves, **self.options)
        if state:
            memory = {int(k): _copied(v) for k, v in state.items()}
            full = optimizer.state_dict()
            optimizer.load_state_dict({**full, "state": memory})
        optimizer.step()
        memory = optimizer.state_dict()["state"]
        new = {str(k): v for k, v in memory.items()}
        return g.with_leaves([-leaf.detach() for leaf in leaves]), new


def _copied(value: dict[str, Any]) -> dict[str, Any]:
    return {k: v.clone() if isinstance(v, Tensor) else v for k, v in value.items()}


@dataclass(frozen=True, init=False)
class PerPlayer(Rule):
    """A rule of its own for each player: two learning rates, two optimizers.

    Args:
        *rules: One rule for each player, in the game's order of players.

    References:
        Heusel et al. 2017, arXiv:1706.08500 (two time-scale updates).

    Example:
        >>> PerPlayer(Adam(1e-4), Adam(4e-4)).for_player(1).rate
        0.0004
    """

    rules: tuple[Rule, ...]

    def __init__(self, *rules: Rule) -> None:
        if not rules or not all(isinstance(rule, Rule) for rule in rules):
            raise InvalidInput(
                "PerPlayer takes a rule for each player, such as PerPlayer(Adam(1e-4), "
                f"Adam(4e-4)); got {rules!r}."
            )
        object.__setattr__(self, "rules", rules)

    def init(self, z: Profile) -> tuple[Any, ...]:
        """Return each player's memory."""
        if len(z) != len(self.rules):
            raise InvalidInput(f"PerPlayer has {len(self.rules)} rules for {len(z)} players.")
        return tuple(
            rule.init(Profile((s,))) for rule, s in zip(self.rules, z.strategies, strict=True)
        )

    def direction(
        self, g: Profile, state: tuple[Any, ...], tick: bool = True
    ) -> tuple[Profile, tuple[Any, ...]]:
        """Return each player's displacement by its own rule."""
        moves = [
            rule.direction(Profile((s,)), memory, tick)
            for rule, s, memory in zip(self.rules, g.strategies, state, strict=True)
        ]
        return Profile(d[0] for d, _ in moves), tuple(memory for _, memory in moves)

    def for_player(self, player: int) -> Rule:
        """Return the player's rule."""
        if player >= len(self.rules):
            raise InvalidInput(f"PerPlayer has {len(self.rules)} rules, none for player {player}.")
        return self.rules[player]


@dataclass(frozen=True)
class InverseSqrt:
    r"""The schedule :math:`\eta_t = \eta / \sqrt{t + 1}`.

    Example:
        >>> InverseSqrt(1.0)(3)
        0.5
    """

    rate: float

    def __post_init__(self) -> None:
        as_real("rate", self.rate, "(0, inf)")

    def __call__(self, step: int) -> float:
        """Return the rate at `step`, counted from 0."""
        return self.rate / math.sqrt(step + 1)


@dataclass(frozen=True)
class Cosine:
    r"""The schedule :math:`\eta_t = \frac{\eta}{2} (1 + \cos(\pi t / T))`, 0 from step `T` on.

    Example:
        >>> Cosine(1.0, steps=10)(5)
        0.5
    """

    rate: float
    steps: int

    def __post_init__(self) -> None:
        as_real("rate", self.rate, "(0, inf)")
        as_whole("steps", self.steps, 1)

    def __call__(self, step: int) -> float:
        """Return the rate at `step`, counted from 0."""
        return 0.5 * self.rate * (1.0 + math.cos(math.pi * min(step / self.steps, 1.0)))


def default_rate(game: Game) -> float | Tensor:
    r"""Return the step size that solvers take when none is given.

    :math:`1 / (2L)` where the game knows the Lipschitz constant `L` of its operator (the largest
    step for which optimistic gradient is proved to converge); 0.1 where it does not.

    Args:
        game: The game to be solved.
    """
    lipschitz = game.lipschitz
    if lipschitz is None:
        return 0.1
    if isinstance(lipschitz, Tensor):
        # A game whose payoffs are all equal is solved wherever it starts.
        most = torch.finfo(lipschitz.dtype).max
        return torch.where(lipschitz > 0, 0.5 / lipschitz, 1.0).clamp_max(most)
    return min(0.5 / lipschitz, sys.float_info.max) if lipschitz > 0 else 1.0


def default_rule(game: Game) -> Rule:
    r"""Return the rule that solvers take when none is given.

    `Constant` steps of `default_rate` where the game knows the Lipschitz constant of its operator;
    Adam(1e-3) with betas (0.5, 0.9) where it does not, as for networks.

    Args:
        game: The game to be solved.
    """
    if game.lipschitz is None:
        return Adam(1e-3, betas=(0.5, 0.9))
    return Constant(default_rate(game))
