"""Networks for examples, demos and tests; any `nn.Module` plays as well."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from torch import nn
from torch.nn.utils import parametrize

from eqgan.errors import InvalidInput


def mlp(sizes: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Return a multi-layer perceptron.

    Args:
        sizes: Width of the input, of each hidden layer, and of the output.
        activation: Between the layers.

    Example:
        >>> mlp([2, 8, 1])
        Sequential(
          (0): Linear(in_features=2, out_features=8, bias=True)
          (1): ReLU()
          (2): Linear(in_features=8, out_features=1, bias=True)
        )
    """
    listed = isinstance(sizes, Sequence) and len(sizes) >= 2
    if not (listed and all(isinstance(n, int | np.integer) and n >= 1 for n in sizes)):
        raise InvalidInput(f"mlp needs a list of at least two sizes >= 1; got {sizes!r}.")
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


class _DcganInit(nn.Sequential):
    """A sequence that is initialised as DCGAN's: every weight N(0, 0.02), no bias."""

    def reset_parameters(self) -> None:
        """Draw the weights."""
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.normal_(own_weight(part), 0.0, 0.02)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)
            elif isinstance(part, nn.GroupNorm):
                nn.init.ones_(part.weight)
                nn.init.zeros_(part.bias)


def own_weight(layer: nn.Module) -> nn.Parameter:
    """Return the parameter behind a layer's weight, which spectral norm computes from it."""
    computed = parametrize.is_parametrized(layer, "weight")
    return layer.get_parameter("parametrizations.weight.original" if computed else "weight")


def _check_image(size: int, width: int) -> None:
    if size < 8 or size % 4 or width < 8 or width % 8:
        raise InvalidInput(
            "DCGAN makes square images whose side is a multiple of 4, at least 8, with a width "
            f"that is a multiple of 8; got size={size}, width={width}."
        )


def dcgan_generator(
    size: int = 28, channels: int = 1, noise_dim: int = 64, width: int = 32
) -> nn.Sequential:
    """Return a DCGAN generator of square images with values in [-1, 1].

    Transposed convolutions with stride 2, GroupNorm in place of BatchNorm, ReLU, tanh at the end.

    Args:
        size: Side of the images, a multiple of 4.
        channels: Channels of the images.
        noise_dim: Length of the noise.
        width: Channels of the widest hidden picture is twice this.

    References:
        Radford et al. 2016, arXiv:1511.06434.

    Example:
        >>> import torch
        >>> dcgan_generator(size=28)(torch.zeros(2, 64)).shape
        torch.Size([2, 1, 28, 28])
    """
    _check_image(size, width)
    side = size // 4
    network = _DcganInit(
        nn.Linear(noise_dim, 2 * width * side * side),
        nn.Unflatten(1, (2 * width, side, side)),
        nn.GroupNorm(8, 2 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
        nn.GroupNorm(8, width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
        nn.Tanh(),
    )
    network.reset_parameters()
    return network


def dcgan_discriminator(size: int = 28, channels: int = 1, width: int = 32) -> nn.Sequential:
    """Return a DCGAN discriminator: strided convolutions, LeakyReLU 0.2, one number a sample.

    Args:
        size: Side of the images, a multiple of 4.
        channels: Channels of the images.
        width: Channels of the first hidden picture.

    References:
        Radford et al. 2016, arXiv:1511.06434.

    Example:
        >>> import torch
        >>> dcgan_discriminator(size=28)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 1])
    """
    _check_image(size, width)
    side = size // 4
    network = _DcganInit(
        nn.Conv2d(channels, width, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
        nn.GroupNorm(8, 2 * width),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(2 * width * side * side, 1),
    )
    network.reset_parameters()
    return network
