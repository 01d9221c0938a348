"""Objectives whose discriminator holds data and fakes apart by the distance between them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import relu

from eqgan.gan.objective import Objective
from eqgan.real import as_real


@dataclass(frozen=True)
class LossSensitive(Objective):
    r"""A loss :math:`L = -D` that is smaller on data than on fakes by a margin, their distance.

    The discriminator descends :math:`E\, L(x) + \lambda E (\Delta(x, G(h)) + L(x) - L(G(h)))_+`,
    with :math:`\Delta` the l1 distance of samples, and the generator :math:`E\, L(G(h))`. The
    payoff is :math:`E\, L(G(h)) - E\, L(x)`. Certificates measure what each player pays, so the
    regrets are those of these two losses.

    Only differences of L are held by the margin, so the first term falls for ever as all of L does:
    keep the discriminator bounded by `clip`, as the plain name ``"loss_sensitive"`` does.

    Args:
        weight: :math:`\lambda`, at least 0.
        clip: Keep every parameter of the discriminator within ±clip.

    References:
        Qi 2017, arXiv:1701.06264.

    Example:
        >>> import torch
        >>> real, fake, apart = (torch.tensor([x]) for x in (1.0, 0.5, 2.0))
        >>> float(LossSensitive(weight=3.0).discriminator_loss(real, fake, apart))  # -1 + 3 * 1.5
        3.5
    """

    weight: float = 1.0
    clip: float | None = None

    zero_sum = False
    margins = True

    def __post_init__(self) -> None:
        as_real("weight", self.weight, "[0, inf)")
        if self.clip is not None:
            as_real("clip", self.clip, "(0, inf)")

    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return by how much fakes lose more than data."""
        return real.mean(-1) - fake.mean(-1)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return the loss of the fakes."""
        return -fake.mean(-1)

    def discriminator_loss(self, real: Tensor, fake: Tensor, apart: Tensor) -> Tensor:
        """Return the loss of the data, and by how much margins are missed."""
        return -real.mean(-1) + self.weight * relu(apart + fake - real).mean(-1)


@dataclass(frozen=True)
class GeneralizedLossSensitive(LossSensitive):
    r"""Margins alone, missed or exceeded: :math:`E\, C(\Delta(x, G(h)) + L(x) - L(G(h)))`.

    :math:`C(a) = \max(a, \nu a)`. With :math:`\nu = 0` it is the margin of `LossSensitive`; with
    :math:`\nu = 1` the critic's gradient is the Wasserstein GAN's; with :math:`\nu = -1`
    differences of L are to equal distances. Above 0 the discriminator must be kept bounded.

    Args:
        slope: :math:`\nu`, at most 1.
        clip: Keep every parameter of the discriminator within ±clip.

    References:
        Qi 2017, arXiv:1701.06264, appendix D.
    """

    weight: float = field(default=1.0, init=False, repr=False)
    slope: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        as_real("slope", self.slope, "(-inf, 1]")

    def discriminator_loss(self, real: Tensor, fake: Tensor, apart: Tensor) -> Tensor:
        """Return by how much margins are missed, less a share of what exceeds them."""
        missed = apart + fake - real
        return torch.maximum(missed, self.slope * missed).mean(-1)
