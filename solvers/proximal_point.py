"""The proximal point method: implicit steps, solved by an inner loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from eqgan.game import Game, prox
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.rules import Rule, default_rule
from eqgan.solver import Solver
from eqgan.whole import as_whole


@dataclass(frozen=True)
class ProximalState:
    """The rule's memory, and the gradients so far."""

    memory: Any
    gradients: int


@dataclass(frozen=True)
class ProximalPoint(Solver[ProximalState]):
    r"""Step with the gradient of where the step ends.

    .. math:: z_{t+1} = \mathrm{prox}_{z_t}(\eta F(z_{t+1}))

    The reference that extragradient and optimistic gradient approximate by one gradient more, or
    by none: it converges on every monotone game with every :math:`\eta`. The inner loop repeats
    :math:`w \leftarrow w + \theta\,(\mathrm{prox}_{z_t}(\eta F(w)) - w)`, from
    :math:`\theta = 1`, and halves :math:`\theta` whenever the difference grows. It contracts by
    :math:`\eta L` while that is below 1; with larger steps it still converges, slowly. One batch
    serves the whole step; a rule with memory, such as Adam, counts it as one gradient.

    Args:
        rule: How gradients become steps; by default `eqgan.default_rule` of the game.
        tolerance: Stop the inner loop when the difference is at most this share of the first one,
            which is the length of an explicit step.
        iterations: Gradients of the inner loop at most.

    References:
        Martinet 1970; Rockafellar 1976, Monotone operators and the proximal point algorithm.

    Example:
        >>> import eqgan
        >>> run = eqgan.solve(
        ...     eqgan.games.Bilinear([[1.0]]), ProximalPoint(eqgan.Constant(0.5)),
        ...     init=([1.0], [1.0]), max_steps=1,
        ... )
        >>> run.profile
        Profile([0.4], [1.2])
    """

    rule: Rule | None = None
    tolerance: float = 1e-6
    iterations: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        as_real("tolerance", self.tolerance, "[0, 1)")
        as_whole("iterations", self.iterations, 1)

    def evaluations(self, game: Game) -> float:
        """Return the inner loop's limit; it may need fewer."""
        return float(self.iterations)

    def spent(self, game: Game, state: ProximalState, steps: int) -> float:
        """Return the gradients of all inner loops."""
        return float(state.gradients)

    def unsupported(self, game: Game) -> str | None:
        """Return a reason for a batch, whose games would need inner loops of their own."""
        if game.batch_shape:
            return f"its inner loop serves one game; this is a batch of {game.batch_shape}"
        return None

    def init(self, game: Game, z: Profile) -> ProximalState:
        """Return the rule's memory."""
        return ProximalState((self.rule or default_rule(game)).init(z), 0)

    def step(
        self, game: Game, z: Profile, state: ProximalState, rng: torch.Generator
    ) -> tuple[Profile, ProximalState]:
        """Take one step."""
        rule, batch = self.rule or default_rule(game), game.sample(rng)
        w, memory, theta, first, before = z, state.memory, 1.0, None, float("inf")
        gradients = 0
        while gradients < self.iterations:
            d, memory = rule.direction(game.operator(w, batch), state.memory)
            gradients += 1
            difference = prox(game, z, d) - w
            size = float(difference.norm())
            # A convex combination of points of the sets.
            theta = theta if size < before else theta / 2
            w, before = w.add(difference, theta), size
            first = size if first is None else first
            if size <= self.tolerance * first:
                break
        return w, ProximalState(memory, state.gradients + gradients)
