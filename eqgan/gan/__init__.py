"""What only GANs need: objectives, networks, spectral norm, quality, one network for a mixture."""

from eqgan.gan import classifier, metrics, networks, objectives, resnet
from eqgan.gan.pure import Pure, SelectedGenerator, to_pure
from eqgan.gan.quality import Quality
from eqgan.gan.spectral import spectral_norm

__all__ = [
    "Pure",
    "Quality",
    "SelectedGenerator",
    "classifier",
    "metrics",
    "networks",
    "objectives",
    "resnet",
    "spectral_norm",
    "to_pure",
]
