"""Distributions that are known: mixtures of equal Gaussians, and a spiral."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.randomness import seeded
from eqgan.real import as_real
from eqgan.whole import as_whole


class GaussianMixture(NamedTuple):
    """Samples of a mixture of equal Gaussians whose modes are known.

    Attributes:
        samples: `(n, d)`, float32.
        means: `(K, d)`, float32, one row a mode.
        std: Standard deviation of each mode, in the samples' units.
    """

    samples: Tensor
    means: Tensor
    std: float


def ring(
    n: int, modes: int = 8, radius: float = 1.0, std: float = 0.01, seed: int = 0
) -> GaussianMixture:
    """Return samples of Gaussians whose means stand on a circle.

    The usual test for mode collapse: a generator that has not collapsed reaches every mode.

    Args:
        n: How many samples, each from a mode drawn at random.
        modes: How many modes, evenly spaced.
        radius: Radius of the circle.
        std: Standard deviation of each mode; 0.01 is PacGAN's.
        seed: Seed of the samples.

    Returns:
        The samples, with their means and standard deviation.

    Raises:
        InvalidInput: Counts below 1, or lengths that are not finite and > 0.

    References:
        Lin et al. 2018, arXiv:1712.04086 (PacGAN).

    Example:
        >>> data = ring(100)
        >>> data.samples.shape, data.means.shape, data.std
        (torch.Size([100, 2]), torch.Size([8, 2]), 0.01)
    """
    _check_mixture(n, modes=modes, radius=radius, std=std)
    angle = 2 * math.pi * torch.arange(modes, dtype=torch.float64) / modes
    return _sampled(n, radius * torch.stack((angle.cos(), angle.sin()), dim=1), std, seed)


def grid(
    n: int, side: int = 5, spacing: float = 2.0, std: float = 0.05, seed: int = 0
) -> GaussianMixture:
    """Return samples of Gaussians whose means stand on a square grid around the origin.

    With the defaults these are PacGAN's 25 modes at {-4, -2, 0, 2, 4} x {-4, -2, 0, 2, 4}.

    Args:
        n: How many samples, each from a mode drawn at random.
        side: Modes along each side.
        spacing: Distance between neighbours.
        std: Standard deviation of each mode.
        seed: Seed of the samples.

    Returns:
        The samples, with their means and standard deviation.

    Raises:
        InvalidInput: Counts below 1, or lengths that are not finite and > 0.

    References:
        Lin et al. 2018, arXiv:1712.04086 (PacGAN).

    Example:
        >>> grid(10).means[0]
        tensor([-4., -4.])
    """
    _check_mixture(n, side=side, spacing=spacing, std=std)
    axis = spacing * (torch.arange(side, dtype=torch.float64) - (side - 1) / 2)
    return _sampled(n, torch.cartesian_prod(axis, axis).reshape(-1, 2), std, seed)


def gaussians(n: int, means: Any, std: float, seed: int = 0) -> GaussianMixture:
    """Return samples of equal Gaussians with given means, on a line or in any dimension.

    Args:
        n: How many samples, each from a mode drawn at random.
        means: `(K,)` numbers, of samples `(n, 1)`, or `(K, d)` vectors.
        std: Standard deviation of each mode.
        seed: Seed of the samples.

    Returns:
        The samples, with their means and standard deviation.

    Raises:
        InvalidInput: Means that are no finite numbers or vectors, or a senseless count or length.

    Example:
        >>> data = gaussians(100, [-2.0, 0.0, 2.0], std=0.1)
        >>> data.samples.shape, data.means.squeeze(1)
        (torch.Size([100, 1]), tensor([-2.,  0.,  2.]))
    """
    _check_mixture(n, std=std)
    wanted = "means should be K finite numbers or K vectors of one length"
    try:
        places = torch.as_tensor(means, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInput(f"{wanted}; got {means!r}.") from error
    if places.dim() not in (1, 2) or 0 in places.shape or not bool(places.isfinite().all()):
        raise InvalidInput(f"{wanted}; got shape {tuple(places.shape)} of {means!r}.")
    return _sampled(n, places.reshape(len(places), -1), std, seed)


def swiss_roll(n: int, radius: float = 1.0, std: float = 0.02, seed: int = 0) -> Tensor:
    r"""Return points around a spiral of one and a half turns: one thin, curved mode.

    The spiral is :math:`r\, \tfrac{t}{4.5 \pi} (\cos t, \sin t)` with t uniform between
    :math:`1.5 \pi` and :math:`4.5 \pi`.

    Args:
        n: How many points.
        radius: r, how far the outer end is from the origin.
        std: Standard deviation of the noise, in the units of the radius.
        seed: Seed of the points.

    Returns:
        Shape `(n, 2)`, float32.

    Raises:
        InvalidInput: A count below 1, or lengths that are not finite and > 0.

    References:
        Gulrajani et al. 2017, arXiv:1704.00028, figure 1 (as a toy for GANs).

    Example:
        >>> swiss_roll(100).shape
        torch.Size([100, 2])
    """
    _check_mixture(n, radius=radius, std=std)
    rng = seeded(seed)
    turn = math.pi * (1.5 + 3 * torch.rand(n, generator=rng))
    spiral = radius / (4.5 * math.pi) * torch.stack((turn * turn.cos(), turn * turn.sin()), dim=1)
    return spiral + std * torch.randn(n, 2, generator=rng)


def _check_mixture(n: int, **sizes: float) -> None:
    for name, size in {"n": n, **sizes}.items():
        counted = name in ("n", "modes", "side")
        if counted:
            as_whole(name, size, 1)
        else:
            as_real(name, size, "(0, inf)")


def _sampled(n: int, means: Tensor, std: float, seed: int) -> GaussianMixture:
    rng = seeded(seed)
    means = means.float()
    drawn = means[torch.randint(len(means), (n,), generator=rng)]
    return GaussianMixture(drawn + std * torch.randn(n, means.shape[1], generator=rng), means, std)
