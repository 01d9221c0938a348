"""What only GANs need: objectives, networks, quality, and one network for a mixture."""

from eqgan.gan import classifier, metrics, networks, objectives
from eqgan.gan.pure import Pure, SelectedGenerator, to_pure

__all__ = [
    "Pure",
    "SelectedGenerator",
    "classifier",
    "metrics",
    "networks",
    "objectives",
    "to_pure",
]
