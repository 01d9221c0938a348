"""Competitive gradient descent with Adam-like scales."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from eqgan.game import Game
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.solvers.competitive_gradient import Competitive


@dataclass(frozen=True)
class ScaleState:
    """The mean squares of the gradients, and how many there were."""

    squares: Profile
    count: int


@dataclass(frozen=True)
class AdaptiveCompetitiveGradient(Competitive[ScaleState]):
    r"""Competitive gradient descent with a rate for each parameter (ACGD).

    .. math::
        z_{t+1} = z_t - (P_t^{-1} + J_o)^{-1} F(z_t), \qquad
        P_t = \mathrm{diag}\bigl(\eta / (\sqrt{\hat v_t} + \epsilon)\bigr)

    with :math:`\hat v` Adam's mean of squared gradients. For networks, whose parameters differ in
    scale.

    Args:
        tolerance: Stop the linear solve at this share of the right-hand side's norm.
        iterations: Steps of the linear solve at most.
        rate: :math:`\eta`.
        beta: Decay of the mean square.
        eps: Added to the denominator.

    References:
        Schaefer, Zheng, Anandkumar 2020, arXiv:1910.05852.

    Example:
        >>> import eqgan
        >>> solver = AdaptiveCompetitiveGradient(rate=0.1)
        >>> run = eqgan.solve(eqgan.games.DiracGAN(), solver, max_steps=200)
        >>> float(run.last.norm()) < 0.2
        True
    """

    rate: float = 1e-3
    beta: float = 0.99
    eps: float = 1e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        as_real("rate", self.rate, "(0, inf)")
        as_real("beta", self.beta, "[0, 1)")
        as_real("eps", self.eps, "(0, inf)")

    def memory(self, z: Profile) -> ScaleState:
        """Return zero squares."""
        return ScaleState(z.map(torch.zeros_like), 0)

    def scales(self, game: Game, field: Profile, memory: ScaleState) -> tuple[Profile, ScaleState]:
        """Return the rate over the root of the mean square."""
        squares = memory.squares.lerp(field.map(torch.square), 1.0 - self.beta)
        unbiased = 1.0 - self.beta ** (memory.count + 1)
        scales = squares.map(lambda v: self.rate / ((v / unbiased).sqrt() + self.eps))
        return scales, ScaleState(squares, memory.count + 1)
