"""A small residual generator and discriminator of pictures."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from eqgan.gan.networks import Norm, check_image, norm_layers, own_weight
from eqgan.whole import as_whole


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut; doubles the side (+1), halves it (-1) or keeps it.

    Args:
        before: Channels of the input.
        after: Channels of the output.
        scale: 1, -1 or 0.
        norm: Before each activation.
        bare: Whether the input is an image, which no activation should cut.
    """

    def __init__(
        self, before: int, after: int, scale: int = 0, norm: Norm = None, bare: bool = False
    ) -> None:
        super().__init__()
        opening: list[nn.Module] = [] if bare else [*norm_layers(norm, before), nn.ReLU()]
        self.scale = scale
        self.opening = nn.Sequential(*opening)
        self.first = nn.Conv2d(before, after, 3, padding=1)
        self.middle = nn.Sequential(*norm_layers(norm, after), nn.ReLU())
        self.second = nn.Conv2d(after, after, 3, padding=1)
        plain = before == after and scale == 0
        self.shortcut = nn.Identity() if plain else nn.Conv2d(before, after, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return pictures `(batch, after, ...)`."""
        opened = self.opening(pictures)
        if self.scale > 0:
            # Growing after the 1 x 1 convolution gives the same, on a quarter of the pixels.
            opened = interpolate(opened, scale_factor=2.0)
        hidden = self.second(self.middle(self.first(opened)))
        beside = pictures
        if self.scale < 0:
            hidden, beside = avg_pool2d(hidden, 2), avg_pool2d(beside, 2)
        beside = self.shortcut(beside)
        if self.scale > 0:
            beside = interpolate(beside, scale_factor=2.0)
        total: Tensor = hidden + beside
        return total


class _SumPool(nn.Module):
    def forward(self, pictures: Tensor) -> Tensor:
        total: Tensor = pictures.sum((2, 3))
        return total


class _ResnetInit(nn.Sequential):
    """A sequence with Glorot's uniform weights, those within residual branches by root 2 larger."""

    def reset_parameters(self) -> None:
        """Draw the weights."""
        inner = {
            id(layer)
            for block in self.modules()
            if isinstance(block, Residual)
            for layer in (block.first, block.second)
        }
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                gain = math.sqrt(2) if id(part) in inner else 1.0
                nn.init.xavier_uniform_(own_weight(part), gain)
                assert part.bias is not None
                nn.init.zeros_(part.bias)
            elif isinstance(part, nn.GroupNorm | nn.BatchNorm2d):
                part.reset_parameters()


def resnet_generator(
    size: int = 32,
    channels: int = 3,
    noise_dim: int = 64,
    width: int = 64,
    norm: Norm = "group",
) -> nn.Sequential:
    """Return a residual generator of square images with values in [-1, 1].

    A quarter of the side first, then two blocks that double it.

    Args:
        size: Side of the images, a multiple of 4.
        channels: Channels of the images.
        noise_dim: Length of the noise.
        width: Channels of every hidden picture, a multiple of 8.
        norm: ``"group"``, ``"batch"`` as published (see `eqgan.gan.networks`), or ``None``.

    Raises:
        InvalidInput: Numbers that make no network.

    References:
        Gulrajani et al. 2017, arXiv:1704.00028; Miyato et al. 2018, arXiv:1802.05957.

    Example:
        >>> import torch
        >>> resnet_generator(width=16)(torch.zeros(2, 64)).shape
        torch.Size([2, 3, 32, 32])
    """
    as_whole("noise_dim", noise_dim, 1)
    check_image(size, channels, width)
    side = size // 4
    network = _ResnetInit(
        nn.Linear(noise_dim, width * side * side),
        nn.Unflatten(1, (width, side, side)),
        Residual(width, width, 1, norm),
        Residual(width, width, 1, norm),
        *norm_layers(norm, width),
        nn.ReLU(),
        nn.Conv2d(width, channels, 3, padding=1),
        nn.Tanh(),
    )
    network.reset_parameters()
    return network


def resnet_discriminator(
    size: int = 32, channels: int = 3, width: int = 64, norm: Norm = None
) -> nn.Sequential:
    """Return a residual discriminator: two blocks that halve the side, one that keeps it, a sum.

    Published with spectral norm, `eqgan.gan.spectral_norm(resnet_discriminator())`, or with a
    gradient penalty, and without any other norm.

    Args:
        size: Side of the images, a multiple of 4.
        channels: Channels of the images.
        width: Channels of every hidden picture, a multiple of 8.
        norm: ``None``, ``"group"``, or ``"batch"`` (see `eqgan.gan.networks`).

    Raises:
        InvalidInput: Numbers that make no network.

    References:
        Gulrajani et al. 2017, arXiv:1704.00028; Miyato et al. 2018, arXiv:1802.05957.

    Example:
        >>> import torch
        >>> resnet_discriminator(width=16)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 1])
    """
    check_image(size, channels, width)
    network = _ResnetInit(
        Residual(channels, width, -1, norm, bare=True),
        Residual(width, width, -1, norm),
        Residual(width, width, 0, norm),
        nn.ReLU(),
        _SumPool(),
        nn.Linear(width, 1),
    )
    network.reset_parameters()
    return network
