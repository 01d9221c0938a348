"""GANs on a finite support: small enough that best responses, and so gaps, are exact."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from eqgan.errors import InvalidInput
from eqgan.game import ZeroSumGame
from eqgan.profile import Profile, Strategy
from eqgan.real import as_real
from eqgan.spaces import Box, Simplex, Space


class FiniteGAN(ZeroSumGame):
    r"""A GAN whose data live on finitely many points; every gap is exact.

    The generator chooses a distribution q on the points. With the ``"minimax"`` objective the
    discriminator is a table :math:`D \in [\delta, 1 - \delta]^n`, given by its logits, and receives
    :math:`\sum_i p_i \log D_i + q_i \log(1 - D_i)`; its best response is :math:`p/(p+q)`, and the
    payoff there :math:`2\,\mathrm{JS}(p, q) - 2 \log 2`. With ``"wasserstein"`` the points lie on a
    line, the critic is every 1-Lipschitz function on them (given by its slopes in [-1, 1] between
    neighbours), it receives :math:`\sum_i (p_i - q_i) D_i`, and its best response gives the
    Wasserstein-1 distance. The equilibrium is :math:`q = p`.

    Args:
        data: The probabilities p, `(n,)`.
        objective: ``"minimax"`` or ``"wasserstein"``.
        points: Where the data live on the line, `(n,)` increasing; 0, 1, 2, ... if not given.
        floor: :math:`\delta`, which keeps the logits bounded.

    References:
        Goodfellow et al. 2014, arXiv:1406.2661; Arjovsky et al. 2017, arXiv:1701.07875.

    Example:
        >>> import eqgan
        >>> game = FiniteGAN([0.2, 0.8])
        >>> z = game.as_profile(([0.6, 0.4], [0.0, 0.0]))
        >>> best = game.best_response(z, 1)
        >>> table = game.table(best).tolist()
        >>> [round(d, 5) for d in table], round(float(game.payoff(z.replace(1, best))), 7)
        ([0.25, 0.66667], -1.2136851)
    """

    players = ("generator", "discriminator")
    receiver = 1
    monotone = True

    def __init__(
        self,
        data: Any,
        objective: Literal["minimax", "wasserstein"] = "minimax",
        points: Any = None,
        floor: float = 1e-3,
    ) -> None:
        self.data = _distribution(data)
        n = len(self.data)
        if objective not in ("minimax", "wasserstein"):
            raise InvalidInput(
                f"objective should be 'minimax' or 'wasserstein'; got {objective!r}."
            )
        as_real("floor", floor, "(0, 0.5)")
        self.objective = objective
        self.linear = objective == "wasserstein"
        table: Space[Tensor]
        if objective == "minimax":
            most = math.log(1 - floor) - math.log(floor)
            table, self.value = Box((n,), -most, most), -2 * math.log(2)
            # Coupling at most 1, curvature of the logits at most (p + q) / 4.
            self.lipschitz = 1.5
        else:
            self.gaps = _gaps(points, n)
            table, self.value = Box((n - 1,), -1.0, 1.0), 0.0
            self.lipschitz = float(self.gaps.sum())
        self.spaces: tuple[Space[Any], ...] = (Simplex(n), table)
        self.equilibrium = Profile((self.data, torch.zeros(table.shape, **self.options)))

    def __repr__(self) -> str:
        return f"FiniteGAN({self.objective}, {len(self.data)} points)"

    def table(self, strategy: Strategy) -> Tensor:
        """Return the discriminator's value at each point, `(n,)`: a probability, or the critic."""
        assert isinstance(strategy, Tensor)
        if self.objective == "minimax":
            return strategy.sigmoid()
        rises = (strategy * self.gaps).cumsum(-1)
        return torch.cat((torch.zeros_like(rises[..., :1]), rises), -1)

    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        """Return what the discriminator receives."""
        q, d = z
        assert isinstance(q, Tensor)
        assert isinstance(d, Tensor)
        if self.objective == "wasserstein":
            return ((self.data - q) * self.table(d)).sum(-1)
        return (self.data * logsigmoid(d) + q * logsigmoid(-d)).sum(-1)

    def best_response(self, z: Profile, player: int) -> Strategy:
        """Return the best distribution, or the best discriminator, exactly."""
        space = self.spaces[player]
        if player == 1 and self.objective == "minimax":
            q = z[0]
            assert isinstance(q, Tensor)
            # Each logit's payoff is concave: the unconstrained maximum p/(p+q), clipped, is best.
            odds = torch.where(self.data + q > 0, self.data.log() - q.log(), 0.0)
            best: Strategy = space.project(odds)
            return best
        vertex: Strategy = space.minimizer(self.gradient(z, player))
        return vertex


def _distribution(data: Any) -> Tensor:
    try:
        p = torch.as_tensor(data, dtype=torch.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"data should be probabilities (n,); got {data!r}.") from error
    if p.dim() != 1 or len(p) < 2 or not bool((p >= 0).all()) or abs(float(p.sum()) - 1) > 1e-6:
        raise InvalidInput(
            f"data should be at least two probabilities that sum to 1; got {data!r}."
        )
    return p.detach() / p.sum()


def _gaps(points: Any, n: int) -> Tensor:
    places = torch.arange(n) if points is None else torch.as_tensor(points)
    gaps = places.double().diff()
    if places.shape != (n,) or not bool((gaps > 0).all()):
        raise InvalidInput(f"points should be {n} increasing numbers; got {points!r}.")
    return gaps
