"""Networks for examples, demos and tests; any `nn.Module` plays as well.

Pictures need normalised activations. GroupNorm is the default, since it makes of each sample what
it would alone. BatchNorm couples the samples of a batch: what a generator makes depends on how many
are made at once, a discriminator sees real and fake batches through different statistics, no
gradient penalty is a penalty per sample, and mixtures refuse discriminators that have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

from torch import nn
from torch.nn.utils import parametrize

from eqgan.errors import InvalidInput, UnknownName
from eqgan.whole import as_whole, is_whole


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
    if not (listed and all(is_whole(n, 1) for n in sizes)):
        raise InvalidInput(f"mlp needs a list of at least two sizes >= 1; got {sizes!r}.")
    if not callable(activation):
        raise InvalidInput(f"activation should be a module's class, nn.ReLU; got {activation!r}.")
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


class _DcganInit(nn.Sequential):
    """A sequence that is initialised as DCGAN's: every weight N(0, 0.02), no bias.

    BatchNorm's factors are N(1, 0.02), as in DCGAN; GroupNorm's are 1.
    """

    def reset_parameters(self) -> None:
        """Draw the weights."""
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.normal_(own_weight(part), 0.0, 0.02)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)
            elif isinstance(part, nn.GroupNorm | nn.BatchNorm2d):
                part.reset_parameters()
                if isinstance(part, nn.BatchNorm2d):
                    nn.init.normal_(part.weight, 1.0, 0.02)


Norm: TypeAlias = Literal["group", "batch"] | None


def norm_layers(norm: Norm, channels: int) -> list[nn.Module]:
    """Return the layer that normalises so many channels, in a list, or an empty one for ``None``.

    Raises:
        UnknownName: Neither ``"group"`` nor ``"batch"`` nor ``None``.
    """
    if norm is None:
        return []
    if norm not in ("group", "batch"):
        raise UnknownName.of("norm (besides None)", norm, ("group", "batch"))
    return [nn.GroupNorm(8, channels) if norm == "group" else nn.BatchNorm2d(channels)]


def own_weight(layer: nn.Module) -> nn.Parameter:
    """Return the parameter behind a layer's weight, which spectral norm computes from it."""
    computed = parametrize.is_parametrized(layer, "weight")
    return layer.get_parameter("parametrizations.weight.original" if computed else "weight")


def check_image(size: int, channels: int, width: int) -> None:
    """Raise `InvalidInput` unless pictures of this size can be halved twice and normalised."""
    numbers = (size, channels, width)
    whole = all(is_whole(n, 1) for n in numbers)
    if not whole or size < 8 or size % 4 or width % 8:
        raise InvalidInput(
            "Networks of pictures have a side that is a multiple of 4, at least 8, at least one "
            "channel, and a width that is a multiple of 8; got "
            f"size={size!r}, channels={channels!r}, width={width!r}."
        )


def dcgan_generator(
    size: int = 28,
    channels: int = 1,
    noise_dim: int = 64,
    width: int = 32,
    norm: Norm = "group",
) -> nn.Sequential:
    """Return a DCGAN generator of square images with values in [-1, 1].

    Transposed convolutions with stride 2, normalisation, ReLU, tanh at the end.

    Args:
        size: Side of the images, a multiple of 4.
        channels: Channels of the images.
        noise_dim: Length of the noise.
        width: Channels of the widest hidden picture is twice this.
        norm: ``"group"``, ``"batch"`` as published (with the limits above), or ``None``.

    Raises:
        InvalidInput: Numbers that make no network.

    References:
        Radford et al. 2016, arXiv:1511.06434.

    Example:
        >>> import torch
        >>> dcgan_generator(size=28)(torch.zeros(2, 64)).shape
        torch.Size([2, 1, 28, 28])
    """
    as_whole("noise_dim", noise_dim, 1)
    check_image(size, channels, width)
    side = size // 4
    network = _DcganInit(
        nn.Linear(noise_dim, 2 * width * side * side),
        nn.Unflatten(1, (2 * width, side, side)),
        *norm_layers(norm, 2 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
        *norm_layers(norm, width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
        nn.Tanh(),
    )
    network.reset_parameters()
    return network


def dcgan_discriminator(
    size: int = 28, channels: int = 1, width: int = 32, norm: Norm = "group"
) -> nn.Sequential:
    """Return a DCGAN discriminator: strided convolutions, LeakyReLU 0.2, one number a sample.

    Args:
        size: Side of the images, a multiple of 4.
        channels: Channels of the images.
        width: Channels of the first hidden picture.
        norm: ``"group"``, ``"batch"`` as published (with the limits above), or ``None``, which
            `eqgan.gan.spectral_norm` and penalties on gradients go well with.

    Raises:
        InvalidInput: Numbers that make no network.

    References:
        Radford et al. 2016, arXiv:1511.06434.

    Example:
        >>> import torch
        >>> dcgan_discriminator(size=28)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 1])
    """
    check_image(size, channels, width)
    side = size // 4
    network = _DcganInit(
        nn.Conv2d(channels, width, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
        *norm_layers(norm, 2 * width),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(2 * width * side * side, 1),
    )
    network.reset_parameters()
    return network
