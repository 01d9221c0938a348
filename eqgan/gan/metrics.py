"""Quality of generated samples."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from eqgan.errors import InvalidInput


class Modes(NamedTuple):
    """How well samples cover a mixture of Gaussians.

    Attributes:
        captured: Modes with a sufficient share of high-quality samples.
        high_quality: Share of the samples that lie within 3 sigma of a mean, in [0, 1].
        reverse_kl: KL divergence, in nats, of the high-quality samples' distribution over modes
            to the uniform one; infinite when no sample is of high quality.
    """

    captured: int
    high_quality: float
    reverse_kl: float


def modes(samples: Tensor, means: Tensor, std: float, share: float = 0.0) -> Modes:
    """Count the modes of a mixture of equal Gaussians that the samples capture.

    A sample is of high quality when it lies within three standard deviations of the nearest mean;
    a mode is captured when more than `share` of all samples are of high quality and nearest to it.

    Args:
        samples: `(N, d)`.
        means: `(K, d)`, one row a mode.
        std: Standard deviation of each mode, in the samples' units.
        share: Threshold in [0, 1); 0 counts a mode with a single sample, as PacGAN does.

    References:
        Lin et al. 2018, arXiv:1712.04086 (PacGAN).

    Example:
        >>> means = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
        >>> modes(torch.tensor([[0.0, 0.01], [0.5, 0.0]]), means, std=0.01)
        Modes(captured=1, high_quality=0.5, reverse_kl=0.6931471805599453)
    """
    if samples.dim() != 2 or means.dim() != 2 or samples.shape[1] != means.shape[1]:
        raise InvalidInput(
            "modes expects samples (N, d) and means (K, d); got "
            f"{tuple(samples.shape)} and {tuple(means.shape)}."
        )
    if len(samples) == 0 or not std > 0 or not 0 <= share < 1:
        raise InvalidInput("modes needs samples, std > 0 and share in [0, 1).")
    distances, nearest = torch.cdist(samples.double(), means.double().to(samples.device)).min(dim=1)
    good = distances <= 3 * std
    counts = torch.bincount(nearest[good], minlength=len(means)).double()
    captured = int((counts > share * len(samples)).sum())
    if counts.sum() == 0:
        return Modes(0, 0.0, float("inf"))
    p = counts / counts.sum()
    reverse_kl = float(torch.special.xlogy(p, p * len(means)).sum())
    return Modes(captured, float(good.double().mean()), reverse_kl)
