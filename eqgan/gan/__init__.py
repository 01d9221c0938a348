"""What only GANs need: objectives, networks, spectral norm, quality, one network for a mixture."""

from eqgan.gan import ceilings, classifier, metrics, networks, objectives, resnet
from eqgan.gan.box_maximum import BoxMaximum, box_maximum
from eqgan.gan.pure import SelectedGenerator, to_pure
from eqgan.gan.quality import Quality
from eqgan.gan.spectral import spectral_norm

__all__ = [
    "BoxMaximum",
    "Quality",
    "SelectedGenerator",
    "box_maximum",
    "ceilings",
    "classifier",
    "metrics",
    "networks",
    "objectives",
    "resnet",
    "spectral_norm",
    "to_pure",
]
