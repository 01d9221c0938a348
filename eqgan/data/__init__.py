"""Data to train on: distributions that are known, and pictures.

Everything comes from a seed, from scikit-learn, or from files on the disk: nothing is downloaded.
"""

from eqgan.data.idx_files import idx
from eqgan.data.mixtures import GaussianMixture, gaussians, grid, ring, swiss_roll
from eqgan.data.pictures import digit_labels, digits, images, labels
from eqgan.data.streamed import Streamed

__all__ = [
    "GaussianMixture",
    "Streamed",
    "digit_labels",
    "digits",
    "gaussians",
    "grid",
    "idx",
    "images",
    "labels",
    "ring",
    "swiss_roll",
]
