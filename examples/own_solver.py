"""Bring your own solver: Malitsky's golden ratio algorithm, arXiv:1803.08832, one gradient a step.

Steps start at a mean of the past: z_bar = ((phi - 1) z + z_bar) / phi, z = prox(z_bar, eta F(z)).
With this in your pyproject.toml, `eqgan.solve(game, "golden_ratio")` finds it:

    [project.entry-points."eqgan.solvers"]
    golden_ratio = "own_solver:GoldenRatio"
"""

from dataclasses import dataclass

import torch

import eqgan


@dataclass(frozen=True)
class GoldenRatio(eqgan.Solver):
    """Converges on monotone games where plain gradients circle, for eta <= phi / (2 L)."""

    rule: eqgan.Rule | None = None

    def init(self, game, z):
        """Return the mean of the past (so far the start) and the rule's memory."""
        return z, (self.rule or eqgan.default_rule(game)).init(z)

    def step(self, game, z, state, rng):
        """Take one step; `prox` keeps the profile in the game's sets."""
        rule, (mean, memory) = self.rule or eqgan.default_rule(game), state
        d, memory = rule.direction(game.operator(z, game.sample(rng)), memory)
        mean = z.lerp(mean, 2 / (1 + 5**0.5))  # 1 / phi
        return eqgan.prox(game, mean, d), (mean, memory)


if __name__ == "__main__":
    torch.set_num_threads(1)  # tiny games: more threads only wait for each other
    print(eqgan.testing.check_solver(GoldenRatio))
    print(eqgan.solve(eqgan.games.biased_rock_paper_scissors(), GoldenRatio()))
