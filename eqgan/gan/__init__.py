"""What only GANs need: objectives, networks, spectral norm, quality, one network for a mixture."""

from eqgan.gan import classifier, metrics, networks, objectives, resnet
from eqgan.gan.pure import Pure, SelectedGenerator, to_pure
from eqgan.gan.spectral import spectral_norm

__all__ = [
    "Pure",
    "SelectedGenerator",
    "classifier",
    "metrics",
    "networks",
    "objectives",
    "resnet",
    "spectral_norm",
    "to_pure",
]
