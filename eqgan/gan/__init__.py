"""What only GANs need: objectives, networks and quality metrics."""

from eqgan.gan import metrics, networks, objectives

__all__ = ["metrics", "networks", "objectives"]
