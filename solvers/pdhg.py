r"""Primal-dual hybrid gradient with adaptive restarts, averaged and Halpern-anchored.

Both players take projected steps, the second against the first one's extrapolated answer:

.. math::
    T(x, y): \quad x^+ = \Pi(x + \tfrac{\eta}{\omega} A y), \qquad
    y^+ = \Pi(y - \eta\omega\, A^\top (2x^+ - x))

with :math:`\eta = 1 / \lVert PAP \rVert_2` (strategies differ by vectors that sum to zero, so the
norm of the doubly centred payoffs is what matters) and a weight :math:`\omega` that restarts tune.
An iteration costs one product :math:`A y` and one :math:`A^\top x`. A *point* is one tensor
:math:`(x, y, A y, A^\top x)` of shape `(*batch, 2(m + n))`: linear combinations of iterates carry
their products along, so gaps on the way are free.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import repeat

import torch
from torch import Tensor

from eqgan.game import Game
from eqgan.games.matrix import MatrixGame
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.solver import Solver

HEAVIEST = 3.0
"""The weight lies between this and its inverse."""


@dataclass(frozen=True)
class Epoch:
    r"""What lies between two restarts: points, and numbers of shape `(*batch, 1)`.

    Attributes:
        start: Where the epoch began.
        point: Where the next step begins (for Halpern's method a point off the sets).
        origin: Where the next epoch would begin.
        best: The point on the sets with the smallest gap so far, which is proposed.
        least: Its gap.
        total: The sum of the epoch's iterates.
        weight: :math:`\omega`.
        rate: :math:`\eta`.
        first: The measure of progress (gap or residual) at the start of the epoch.
        last: The same at the step before.
        length: Steps in this epoch.
        steps: Steps in all.
    """

    start: Tensor
    point: Tensor
    origin: Tensor
    best: Tensor
    least: Tensor
    total: Tensor
    weight: Tensor
    rate: Tensor
    first: Tensor
    last: Tensor
    length: Tensor
    steps: Tensor


@dataclass(frozen=True)
class Pdhg(Solver[Epoch]):
    r"""Primal-dual steps from restart to restart; proposes the best of iterates and averages.

    An epoch ends, and the next begins at the last or the average iterate, whichever has the smaller
    gap, when that gap has fallen to `sufficient` of what it was, or to `necessary` of it and begins
    to rise, or when the epoch has lasted for `longest` of all steps.

    Args:
        sufficient: Progress that ends an epoch at once, in (0, 1).
        necessary: Progress that ends an epoch which gets no further, in (`sufficient`, 1).
        longest: Longest epoch, as a share of all steps so far.

    References:
        Chambolle and Pock 2011; Applegate et al. 2023, arXiv:2105.12715 (restarts), and 2021,
        arXiv:2106.04756 (weights).

    Example:
        >>> import eqgan
        >>> game = eqgan.games.random_game("normal", (20, 20))
        >>> eqgan.solve(game, Pdhg(), tol=1e-4).status.name
        'CONVERGED'
    """

    sufficient: float = 0.2
    necessary: float = 0.8
    longest: float = 0.36

    def __post_init__(self) -> None:
        super().__post_init__()
        as_real("necessary", self.necessary, "(0, 1)")
        as_real("sufficient", self.sufficient, f"(0, {self.necessary})")
        as_real("longest", self.longest, "(0, 1)")

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless `game` is a matrix game."""
        if isinstance(game, MatrixGame):
            return None
        return "it needs a MatrixGame; for other games try extragradient"

    def init(self, game: Game, z: Profile) -> Epoch:
        """Return the first epoch, begun at `z`."""
        assert isinstance(game, MatrixGame)
        x, y = z.leaves()
        point = torch.cat((x, y, game.payoffs.times(y), game.payoffs.transposed(x)), -1)
        norm = game.payoffs.centred_norm().to(x.dtype).unsqueeze(-1)
        # Where the norm is zero the products are constant, and no step leads anywhere.
        rate = torch.where(norm > 0, 1 / norm, 1.0)
        return _begun(game, point, torch.ones_like(rate), rate, torch.zeros_like(rate))

    def step(
        self, game: Game, z: Profile, state: Epoch, rng: torch.Generator
    ) -> tuple[Profile, Epoch]:
        """Take a primal-dual step, and restart where it is time to."""
        image = _image(game, state)
        length, total = state.length + 1, state.total + image
        average = total / length
        now, mean = _gap(game, image), _gap(game, average)
        origin = torch.where(mean < now, average, image)
        epoch = replace(state, point=image, origin=origin, total=total, length=length)
        return self._next(game, epoch, torch.minimum(now, mean))

    def _next(self, game: Game, epoch: Epoch, progress: Tensor) -> tuple[Profile, Epoch]:
        """Return the best so far, and the epoch, begun afresh where it is time to."""
        steps = epoch.steps + 1
        ends = (
            (progress <= self.sufficient * epoch.first)
            | ((progress <= self.necessary * epoch.first) & (progress > epoch.last))
            | (epoch.length >= self.longest * steps)
        )
        gap = _gap(game, epoch.origin)
        best = torch.where(gap < epoch.least, epoch.origin, epoch.best)
        least = torch.minimum(gap, epoch.least)
        epoch = replace(epoch, best=best, least=least, last=progress, steps=steps)
        # To ask whether any game restarts would be to wait for a GPU.
        if ends.device.type != "cpu" or bool(ends.any()):
            weight = _tuned(game, epoch)
            fresh = _begun(game, epoch.origin, weight, epoch.rate, steps)
            fresh = replace(fresh, best=best, least=least)
            epoch = _merged(ends, fresh, epoch)
        x, y, _, _ = _parts(game, best)
        return Profile((x, y)), epoch


@dataclass(frozen=True)
class HalpernPdhg(Pdhg):
    r"""Primal-dual steps with reflection, anchored at the last restart; proposes the best image.

    .. math::
        z_{k+1} = \tfrac{k+1}{k+2} \big(2 T(z_k) - z_k\big) + \tfrac{1}{k+2} z_0

    An epoch ends by the residual :math:`\lVert z_k - T(z_k) \rVert` in the norm of the method, as
    `Pdhg`'s does by the gap. The fastest of the first-order methods on most dense games.

    Args:
        sufficient: Progress that ends an epoch at once, in (0, 1).
        necessary: Progress that ends an epoch which gets no further, in (`sufficient`, 1).
        longest: Longest epoch, as a share of all steps so far. The defaults need a sixth fewer
            steps on random games than the usual 0.2, 0.8 and 0.36.

    References:
        Lu and Yang 2024, arXiv:2407.16144.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.random_game("normal", (20, 20))
        >>> eqgan.solve(game, HalpernPdhg(), tol=1e-6).status.name
        'CONVERGED'
    """

    sufficient: float = 0.1
    necessary: float = 0.8
    longest: float = 0.6

    def step(
        self, game: Game, z: Profile, state: Epoch, rng: torch.Generator
    ) -> tuple[Profile, Epoch]:
        """Take a reflected step towards the anchor, and restart where it is time to."""
        image = _image(game, state)
        residual = _distance(game, state, image)
        length = state.length + 1
        reflected = state.point.lerp(image, 2.0)
        # The first step from an anchor tells how far the anchor was from a fixed point.
        begins = state.length == 0
        epoch = replace(
            state,
            point=reflected.lerp(state.start, 1 / (length + 1)),
            origin=image,
            first=torch.where(begins, residual, state.first),
            last=torch.where(begins, residual, state.last),
            length=length,
        )
        return self._next(game, epoch, residual)


def _begun(game: Game, point: Tensor, weight: Tensor, rate: Tensor, steps: Tensor) -> Epoch:
    gap = _gap(game, point)
    return Epoch(
        start=point,
        point=point,
        origin=point,
        best=point,
        least=gap,
        total=torch.zeros_like(point),
        weight=weight,
        rate=rate,
        first=gap,
        last=torch.full_like(rate, torch.inf),
        length=torch.zeros_like(rate),
        steps=steps,
    )


def _parts(game: Game, point: Tensor) -> tuple[Tensor, ...]:
    assert isinstance(game, MatrixGame)
    m, n = game.payoffs.shape[-2:]
    return torch.split(point, [m, n, m, n], -1)


def _gap(game: Game, point: Tensor) -> Tensor:
    _, _, gains, costs = _parts(game, point)
    return gains.amax(-1, keepdim=True) - costs.amin(-1, keepdim=True)


def _image(game: Game, epoch: Epoch) -> Tensor:
    r"""Return :math:`T` of the epoch's point."""
    assert isinstance(game, MatrixGame)
    x, y, gains, costs = _parts(game, epoch.point)
    x = game.spaces[0].project(torch.addcmul(x, gains, epoch.rate / epoch.weight))
    seen = game.payoffs.transposed(x)
    ahead = torch.lerp(costs, seen, 2.0)
    y = game.spaces[1].project(torch.addcmul(y, ahead, epoch.rate * epoch.weight, value=-1))
    return torch.cat((x, y, game.payoffs.times(y), seen), -1)


def _distance(game: Game, epoch: Epoch, image: Tensor) -> Tensor:
    r"""Return :math:`\lVert T(z) - z \rVert` in the norm in which T does not expand."""
    dx, dy, _, dcosts = _parts(game, image - epoch.point)
    own = epoch.weight * _inner(dx, dx) + _inner(dy, dy) / epoch.weight
    return (own + 2 * epoch.rate * _inner(dy, dcosts)).clamp_min(0).sqrt()


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1, keepdim=True)


def _tuned(game: Game, epoch: Epoch) -> Tensor:
    """Return the weight, moved half way to the ratio of the players' ways since the restart.

    Strategies of both players are of one size, so far from 1 it is but noise, and kept from there.
    """
    dx, dy, _, _ = _parts(game, epoch.origin - epoch.start)
    ratio = (_inner(dy, dy) / _inner(dx, dx)).sqrt()
    moved = (ratio > 0) & (ratio < torch.inf)
    weight = torch.where(moved, (epoch.weight * ratio).sqrt(), epoch.weight)
    return weight.clamp(1 / HEAVIEST, HEAVIEST)


def _merged(which: Tensor, yes: Epoch, no: Epoch) -> Epoch:
    """Return one epoch or the other, game by game."""
    return Epoch(*map(torch.where, repeat(which), vars(yes).values(), vars(no).values()))
