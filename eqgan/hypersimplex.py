"""Hypersimplices: the odds with which each of n places belongs to a random set of k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.spaces import Space
from eqgan.whole import is_whole


@dataclass(frozen=True)
class Hypersimplex(Space[Tensor]):
    r"""The set :math:`\{0 \le x \le 1, \sum_i x_i = k\}`, whose vertices are the k-subsets of n.

    A mixed strategy over subsets enters a payoff that adds up over their members only through these
    marginals, and every point of the set is the marginals of some mixture.

    Args:
        n: Number of places.
        k: How many of them are chosen.

    Example:
        >>> pairs = Hypersimplex(4, 2)
        >>> pairs.minimizer(torch.tensor([3.0, 1.0, 2.0, 5.0]))
        tensor([0., 1., 1., 0.])
        >>> pairs.project(torch.tensor([3.0, 1.0, 0.5, 0.0]))
        tensor([1.0000, 0.7500, 0.2500, 0.0000])
    """

    n: int
    k: int
    bounded = True

    def __post_init__(self) -> None:
        if not (is_whole(self.n, 1) and is_whole(self.k, 1, self.n)):
            raise InvalidInput(
                f"A hypersimplex chooses k of n places with 1 <= k <= n; got k={self.k!r}, "
                f"n={self.n!r}."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n,)``."""
        return (self.n,)

    def project(self, x: Tensor) -> Tensor:
        r"""Return :math:`\mathrm{clip}(x - \tau, 0, 1)` with the :math:`\tau` that makes k."""
        x = x - x.amax(-1, keepdim=True)
        # As tau grows an entry stays at 1 until x - 1, then falls until x.
        breaks, order = torch.cat((x - 1, x), -1).sort(-1)
        falling = torch.where(order < self.n, 1, -1).cumsum(-1)
        dropped = (falling[..., :-1] * breaks.diff(dim=-1)).cumsum(-1)
        total = self.n - torch.cat((torch.zeros_like(x[..., :1]), dropped), -1)
        before = ((total > self.k).sum(-1, keepdim=True) - 1).clamp_min(0)
        excess = total.gather(-1, before) - self.k
        tau = breaks.gather(-1, before) + excess / falling.gather(-1, before)
        return (x - tau).clamp(0, 1)

    def minimizer(self, g: Tensor) -> Tensor:
        """Return the k smallest entries as a vertex; the first ones of equals."""
        chosen = g.argsort(dim=-1, stable=True)[..., : self.k]
        return torch.zeros_like(g).scatter_(-1, chosen, 1.0)

    def center(self, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return the odds when every subset is equally likely."""
        return torch.full((*batch, self.n), self.k / self.n, **options)

    def sample(self, rng: torch.Generator, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return projections of Gaussian points."""
        return self.project(torch.randn((*batch, self.n), generator=rng, **options))
