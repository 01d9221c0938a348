"""Quality of generated samples in the trace of a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from eqgan.data import GaussianMixture, Streamed
from eqgan.data.given import Data
from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.gan.metrics import (
    Modes,
    Neighbours,
    classifier_score,
    frechet_distance,
    kernel_distance,
    modes,
    neighbours,
)
from eqgan.randomness import seeded
from eqgan.real import as_real
from eqgan.whole import as_seed, as_whole

if TYPE_CHECKING:
    from eqgan.loop import Progress

DISTANCES = ("frechet", "kernel", *Neighbours._fields)
SCORE = "classifier_score"
SPREAD = "spread"
COLUMNS = (*Modes._fields, *DISTANCES, SCORE, SPREAD)
"""All that `Quality` may measure."""

COLLAPSED = 1e-3
"""Samples of less than this share of the data's variance are nearly one point."""

SUBSETS = 10
"""Of the kernel distance, where there is more than one."""

CHANGING = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)
"""Layers that draw numbers, or look at the rest of a batch, unless they are told to evaluate."""

LEAST = 10
"""Samples, for five neighbours and for ten parts of a score."""


class Quality:
    r"""A callback of `solve` that measures what the generator makes, for the trace.

    Against a `GaussianMixture` the columns are ``captured``, ``high_quality`` and ``reverse_kl``
    (see `eqgan.gan.metrics.modes`). Against samples they are ``frechet``, ``kernel``,
    ``precision``, ``recall``, ``density`` and ``coverage``, all in features and over equally many
    real and generated samples. A classifier adds ``classifier_score``. ``spread`` is the samples'
    total variance as a share of the data's, :math:`\mathrm{tr}\, C_f / \mathrm{tr}\, C_r`: 0 of a
    generator that has collapsed to one point. About 1 does not say that nothing is missing.

    Samples, features or logits that are not finite are measured as NaN: the run goes on to say
    what became of it.

    Args:
        reference: A `GaussianMixture`, or real samples `(N, *data)`, held or streamed.
        features: Maps samples to features `(N, d)`, such as ``ImageClassifier.features``; the
            samples' own entries if ``None``. Called without a graph.
        classifier: Maps samples to logits `(N, classes)`.
        samples: How many are generated each time, and compared with as many real ones.
        every: Solver steps between measurements, which are taken at the first check of the run
            (``check_every``) at or after each multiple, and at the last step.
        seed: Seed of the noise, the same each time, and of the choice of real samples.
        share: Share of the samples that captures a mode of a `GaussianMixture`.
        prefix: Put before the columns' names: of two callbacks that measure the same, one has it.

    Raises:
        InvalidInput: Nothing to compare with, or numbers that make no measurement.
        UnsupportedGame: When called by a run of a game that generates no samples.

    Example:
        >>> import eqgan
        >>> from torch import nn
        >>> data = eqgan.data.ring(500)
        >>> gan = eqgan.games.GAN(nn.Linear(2, 2), nn.Linear(2, 1), data.samples, noise_dim=2)
        >>> quality = Quality(data, every=10)
        >>> run = eqgan.solve(gan, max_steps=20, check_every=5, callbacks=[quality])
        >>> [math.isnan(share) for share in run.trace.column("high_quality")]
        [False, True, False, True, False]
    """

    def __init__(
        self,
        reference: GaussianMixture | Data,
        features: Callable[[Tensor], Tensor] | None = None,
        classifier: Callable[[Tensor], Tensor] | None = None,
        *,
        samples: int = 1000,
        every: int = 1,
        seed: int = 0,
        share: float = 0.0,
        prefix: str = "",
    ) -> None:
        self.samples, self.every = as_whole("samples", samples, LEAST), as_whole("every", every, 1)
        if any(f is not None and not callable(f) for f in (features, classifier)):
            raise InvalidInput("features and classifier should be functions of samples, or None.")
        _check_evaluates(features, "features")
        _check_evaluates(classifier, "classifier")
        if features is not None and isinstance(reference, GaussianMixture):
            raise InvalidInput(
                "Modes of a GaussianMixture are counted in the samples themselves: leave out "
                "features, or compare with its samples, Quality(mixture.samples, features)."
            )
        self.features, self.classifier = features, classifier
        self.seed = as_seed(seed)
        self.share = as_real("share", share, "[0, 1)")
        self.known: Tensor | None = None
        self.mixture = reference if isinstance(reference, GaussianMixture) else None
        self.columns = list(Modes._fields if self.mixture else DISTANCES)
        if classifier is not None:
            self.columns.append(SCORE)
        self.columns.append(SPREAD)
        if not isinstance(prefix, str):
            raise InvalidInput(f"prefix should be text, such as 'train_'; got {prefix!r}.")
        self.prefix = prefix
        if isinstance(reference, GaussianMixture):
            centres = reference.means.double().var(0, correction=0).sum()
            self.variance = float(centres) + reference.means.shape[1] * reference.std**2
        else:
            self.real = _chosen(reference, self.samples, self.seed)
            self.samples = len(self.real)
            self.variance = _variance(self.real)

    def __call__(self, progress: Progress) -> dict[str, float] | None:
        """Return the numbers of what the solver proposes, when it is time to."""
        if not progress.due(self.every) and progress.step != progress.max_steps:
            return None
        generate = getattr(progress.game, "generate", None)
        if generate is None:
            raise UnsupportedGame(
                "Quality measures what a GAN, or a mixture of them, generates; got "
                f"{type(progress.game).__name__}."
            )
        numbers = self.measure(generate(progress.profile, self.samples, seed=self.seed))
        return {self.prefix + name: number for name, number in numbers.items()}

    @torch.no_grad()
    def measure(self, fake: Tensor) -> dict[str, float]:
        """Return the numbers for generated samples, `(N, *data)`, wherever they come from."""
        seen = fake if self.mixture else self._seen(fake)
        if not bool(torch.isfinite(seen).all()):
            return dict.fromkeys(self.columns, math.nan)
        if self.mixture:
            numbers = modes(seen, self.mixture.means, self.mixture.std, self.share)._asdict()
        else:
            if self.known is None:
                self.known = self._seen(self.real.to(fake.device))
            kernel = kernel_distance(self.known, seen, subsets=SUBSETS, seed=self.seed)
            numbers = {
                "frechet": frechet_distance(self.known, seen),
                "kernel": kernel.mean,
                **neighbours(self.known, seen)._asdict(),
            }
        if self.classifier is not None:
            logits = self.classifier(fake)
            broken = isinstance(logits, Tensor) and not bool(torch.isfinite(logits).all())
            numbers[SCORE] = math.nan if broken else classifier_score(logits).mean
        numbers[SPREAD] = _variance(fake) / self.variance if self.variance else math.nan
        return numbers

    def _seen(self, samples: Tensor) -> Tensor:
        seen = samples if self.features is None else self.features(samples)
        if not isinstance(seen, Tensor) or seen.dim() < 2 or len(seen) != len(samples):
            got = tuple(seen.shape) if isinstance(seen, Tensor) else type(seen).__name__
            raise InvalidInput(
                f"features should map {len(samples)} samples to a tensor ({len(samples)}, d); "
                f"got {got}."
            )
        return seen.flatten(1)


def _variance(samples: Tensor) -> float:
    """Return the sum of the variances of all entries of a sample."""
    return float(samples.double().flatten(1).var(0).sum())


def _check_evaluates(function: Callable[[Tensor], Tensor] | None, name: str) -> None:
    """Raise if a function is, or belongs to, a network whose answers change from call to call."""
    network = function if isinstance(function, nn.Module) else getattr(function, "__self__", None)
    if not isinstance(network, nn.Module):
        return
    for part in network.modules():
        # Dropout with a probability of zero drops nothing.
        if isinstance(part, CHANGING) and part.training and getattr(part, "p", 1) > 0:
            raise InvalidInput(
                f"{name} should answer the same each time; its {type(part).__name__} is in "
                "training mode. Call .eval() on the network."
            )


def _chosen(reference: Data, samples: int, seed: int) -> Tensor:
    known = isinstance(reference, Tensor | Streamed)
    if not known or len(reference.shape) < 2 or len(reference) < LEAST:
        got = tuple(reference.shape) if known else type(reference).__name__
        raise InvalidInput(
            "Quality compares with a GaussianMixture, such as eqgan.data.ring(1000), or with at "
            f"least {LEAST} real samples, a tensor (N, *data); got {got}."
        )
    rng = seeded(seed)
    rows = torch.randperm(len(reference), generator=rng)[:samples]
    chosen = reference.index_select(0, rows.to(reference.device)).detach()
    if not (chosen.is_floating_point() and bool(torch.isfinite(chosen).all())):
        raise InvalidInput(
            "Quality's real samples should be finite floating numbers on the generator's scale; "
            f"got {chosen.dtype}{' with NaN or infinite entries' * chosen.is_floating_point()}. "
            "Images of bytes become data.float() / 127.5 - 1 for a generator that ends in tanh."
        )
    return chosen
