"""What studies train, and how samples are measured: ``[game]``, ``[mixture]``, ``[quality]``."""

from __future__ import annotations

import math
from collections.abc import Callable
from inspect import signature
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from eqgan import data as datasets
from eqgan.errors import InvalidInput
from eqgan.games import GAN, Mixed
from eqgan.gan.classifier import ImageClassifier, train_classifier
from eqgan.gan.networks import dcgan_discriminator, dcgan_generator, mlp
from eqgan.gan.objectives import OBJECTIVES, Objective, as_objective
from eqgan.gan.quality import Quality
from eqgan.gan.resnet import resnet_discriminator, resnet_generator
from eqgan.gan.spectral import spectral_norm as normed
from eqgan.tables import Table

PLAYERS = ("generator", "discriminator")

Data: TypeAlias = Tensor | datasets.GaussianMixture

DATA: dict[str, Callable[..., Any]] = {
    "ring": datasets.ring,
    "grid": datasets.grid,
    "gaussians": datasets.gaussians,
    "swiss_roll": datasets.swiss_roll,
    "digits": datasets.digits,
    "images": datasets.images,
}
"""What ``[game.data]`` and ``[game.holdout]`` can name."""

LABELS: dict[str, Callable[..., Tensor]] = {
    "digits": datasets.digit_labels,
    "images": datasets.labels,
}
"""Where the labels of data are, where there are some."""

MODES = {"samples": 2000, "share": 0.01}
"""How modes are counted where ``[quality]`` does not say."""

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "leaky_relu": nn.LeakyReLU,
}


def read_gan(table: Table) -> tuple[GAN, Data]:
    """Return the GAN of `[game]`, and what its generator is to imitate."""
    besides = ("data", "holdout", "networks")
    options = table.arguments(GAN, given=PLAYERS, besides=besides, parts={Objective: _objective})
    table.needs("data", "networks")
    pair = table.named("networks")
    build = NETWORKS[pair.name_among(NETWORKS, "pair of networks")]
    known = {"shape": None, "noise_dim": options["noise_dim"]}
    widths = pair.arguments(build, given=tuple(known))
    data = _data(table.named("data"))
    samples = _samples(data)
    if "holdout" in table.values:
        if table.values["holdout"] == table.values["data"]:
            raise table.wrong("holdout", "is the data themselves: choose another seed or split")
        options["holdout"] = _samples(_data(table.named("holdout")))
    known["shape"] = tuple(samples.shape[1:])
    generator, discriminator = pair.guarded(lambda: build(**known, **widths))
    game: GAN = table.guarded(lambda: GAN(generator, discriminator, samples, **options))
    return game, data


def _objective(table: Table) -> Objective:
    name = table.name_among(OBJECTIVES, "objective")
    if table.values.keys() == {"name"}:
        return as_objective(name)
    objective: Objective = table.call(OBJECTIVES[name])
    return objective


def _data(table: Table) -> Data:
    data: Data = table.call(DATA[table.name_among(DATA, "data")])
    return data


def _samples(data: Data) -> Tensor:
    return data.samples if isinstance(data, datasets.GaussianMixture) else data


def read_mixture(game: GAN, table: Table) -> Mixed:
    """Return the mixture of `[mixture]`."""

    def sized(generators: int, discriminators: int) -> Mixed:
        return Mixed(game, (generators, discriminators))

    mixed: Mixed = table.call(sized)
    return mixed


def _mlps(
    shape: tuple[int, ...],
    noise_dim: int,
    hidden: tuple[int, ...] = (128, 128),
    activation: Literal["relu", "tanh", "leaky_relu"] = "relu",
) -> tuple[nn.Module, nn.Module]:
    """Return multi-layer perceptrons, which see samples as vectors."""
    length, kind = math.prod(shape), ACTIVATIONS[activation]
    generator = nn.Sequential(mlp([noise_dim, *hidden, length], kind), nn.Unflatten(1, shape))
    return generator, nn.Sequential(nn.Flatten(), mlp([length, *hidden, 1], kind))


def _dcgans(
    shape: tuple[int, ...], noise_dim: int, width: int = 32, spectral_norm: bool = False
) -> tuple[nn.Module, nn.Module]:
    """Return DCGANs for square images; spectral norm takes the place of the critic's GroupNorm."""
    channels, side = _square(shape)
    critic = dcgan_discriminator(side, channels, width, None if spectral_norm else "group")
    generator = dcgan_generator(side, channels, noise_dim, width)
    return generator, normed(critic) if spectral_norm else critic


def _resnets(
    shape: tuple[int, ...], noise_dim: int, width: int = 64, spectral_norm: bool = True
) -> tuple[nn.Module, nn.Module]:
    """Return residual networks for square images, by default with spectral norm as published."""
    channels, side = _square(shape)
    critic = resnet_discriminator(side, channels, width)
    generator = resnet_generator(side, channels, noise_dim, width)
    return generator, normed(critic) if spectral_norm else critic


def _square(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return channels and side, or raise unless samples of this shape are square images."""
    if len(shape) != 3 or shape[1] != shape[2]:
        raise InvalidInput(
            f"dcgan and resnet make square images; the data's samples have shape {shape}."
        )
    return shape[0], shape[1]


NETWORKS: dict[str, Callable[..., tuple[nn.Module, nn.Module]]] = {
    "mlp": _mlps,
    "dcgan": _dcgans,
    "resnet": _resnets,
}
"""What ``[game.networks]`` can name."""


# -- quality -------------------------------------------------------------------------------------


class LabelledFeatures:
    """A classifier of the data's labels, trained where and when it is first asked.

    Reading a study trains nothing. Equal options give equal bits, so a resumed run measures with
    the classifier that it began with.

    Args:
        images: `(N, channels, height, width)`.
        labels: `(N,)`, whole.
        epochs: Passes over the images.
        seed: Seed of the classifier.
    """

    def __init__(self, images: Tensor, labels: Tensor, epochs: int = 3, seed: int = 0) -> None:
        if epochs < 1:
            raise InvalidInput(f"epochs should be at least 1; got {epochs}.")
        if len(images) != len(labels):
            raise InvalidInput(f"There are {len(labels)} labels of {len(images)} images.")
        self.images, self.labels, self.epochs, self.seed = images, labels, epochs, seed
        self.trained: ImageClassifier | None = None

    def __call__(self, samples: Tensor) -> Tensor:
        """Return the features, `(N, 64)`."""
        return self._classifier(samples).features(samples)

    def logits(self, samples: Tensor) -> Tensor:
        """Return the classifier's logits, `(N, classes)`."""
        logits: Tensor = self._classifier(samples)(samples)
        return logits

    def _classifier(self, samples: Tensor) -> ImageClassifier:
        if self.trained is None:
            images = self.images.to(samples.device)
            with torch.enable_grad():
                self.trained = train_classifier(
                    images, self.labels, epochs=self.epochs, seed=self.seed
                )
        return self.trained


def read_quality(root: Table, game: GAN, data: Data) -> Quality | None:
    """Return what `[quality]` says, against held-out data if there are some."""
    table = root.table("quality")
    if isinstance(data, datasets.GaussianMixture):
        given = ("reference", "features", "classifier")
        options = MODES | table.arguments(Quality, given=given)
        return table.guarded(lambda: Quality(data, **options))
    if "quality" not in root.values:
        return None

    def labelled(named: Table) -> LabelledFeatures:
        return _labelled(root.table("game").named("data"), data, named)

    given, parts = ("reference", "classifier", "share"), {Callable: labelled}
    options = table.arguments(Quality, given=given, parts=parts)
    features: LabelledFeatures | None = options.get("features")
    classifier = None if features is None else features.logits
    reference = data if game.holdout is None else game.holdout
    return table.guarded(lambda: Quality(reference, classifier=classifier, **options))


def _labelled(source: Table, images: Tensor, table: Table) -> LabelledFeatures:
    """Return the features of a classifier of the labels of `[game.data]`."""
    table.name_among(["classifier"], "features")
    if source.values["name"] not in LABELS:
        raise table.wrong("name", "= 'classifier' needs data with labels: " + " or ".join(LABELS))
    read = LABELS[source.values["name"]]
    keys = {key: source.values[key] for key in signature(read).parameters if key in source.values}
    labels = table.guarded(lambda: read(**keys))
    options = table.arguments(LabelledFeatures, given=("images", "labels"))
    return table.guarded(lambda: LabelledFeatures(images, labels, **options))
