"""Quality of generated samples."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.randomness import seeded
from eqgan.real import as_real
from eqgan.whole import as_whole, is_whole


class Modes(NamedTuple):
    """How well samples cover a mixture of Gaussians.

    Attributes:
        captured: Modes with a sufficient share of high-quality samples.
        high_quality: Share of the samples that lie within 3 sigma of a mean, in [0, 1].
        reverse_kl: KL divergence, in nats, of the high-quality samples' distribution over modes
            to the uniform one; infinite when no sample is of high quality.
    """

    captured: int
    high_quality: float
    reverse_kl: float


def modes(samples: Tensor, means: Tensor, std: float, share: float = 0.0) -> Modes:
    """Count the modes of a mixture of equal Gaussians that the samples capture.

    A sample is of high quality when it lies within three standard deviations of the nearest mean;
    a mode is captured when more than `share` of all samples are of high quality and nearest to it.

    Args:
        samples: `(N, d)`.
        means: `(K, d)`, one row a mode.
        std: Standard deviation of each mode, in the samples' units.
        share: Threshold in [0, 1); 0 counts a mode with a single sample, as PacGAN does.

    Raises:
        InvalidInput: Shapes that do not go together, no sample or no mean, entries that are not
            finite, or a `std` or `share` out of range.

    References:
        Lin et al. 2018, arXiv:1712.04086 (PacGAN).

    Example:
        >>> means = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
        >>> modes(torch.tensor([[0.0, 0.01], [0.5, 0.0]]), means, std=0.01)
        Modes(captured=1, high_quality=0.5, reverse_kl=0.6931471805599453)
    """
    if not (_is_matrix(samples) and _is_matrix(means) and samples.shape[1] == means.shape[1]):
        raise InvalidInput(
            "modes expects tensors, samples (N, d) and means (K, d); got "
            f"{_shape(samples)} and {_shape(means)}."
        )
    if len(samples) == 0 or len(means) == 0:
        raise InvalidInput(
            f"modes needs a sample and a mean at least; got {len(samples)} and {len(means)}."
        )
    if not bool(torch.isfinite(samples).all() & torch.isfinite(means).all()):
        raise InvalidInput("Samples and means should be finite; got NaN or infinite entries.")
    as_real("std", std, "(0, inf)")
    as_real("share", share, "[0, 1)")
    distances, nearest = torch.cdist(samples.double(), means.double().to(samples.device)).min(dim=1)
    good = distances <= 3 * std
    counts = torch.bincount(nearest[good], minlength=len(means)).double()
    captured = int((counts > share * len(samples)).sum())
    if counts.sum() == 0:
        return Modes(0, 0.0, float("inf"))
    p = counts / counts.sum()
    reverse_kl = float(torch.special.xlogy(p, p * len(means)).sum())
    return Modes(captured, float(good.double().mean()), reverse_kl)


class Estimate(NamedTuple):
    """A number and its spread over splits or subsets."""

    mean: float
    std: float


class Neighbours(NamedTuple):
    """How two sets of samples lie among each other, by balls to the k-th neighbour.

    Attributes:
        precision: Share of generated samples inside some real sample's ball: are they plausible?
        recall: Share of real samples inside some generated one's ball: is everything made?
        density: How many real balls a generated sample lies in, over k; may exceed 1.
        coverage: Share of real samples with a generated one in their ball.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    r"""Return the Fréchet distance between Gaussians fitted to two sets of features.

    .. math:: \lVert m_1 - m_2 \rVert^2 + \mathrm{tr}\big(C_1 + C_2 - 2 (C_1 C_2)^{1/2}\big)

    In float64. With Inception's features this is FID; with those of any network (see
    `eqgan.gan.classifier.train_classifier`) it compares models on the same data, and nothing else.
    It is biased upwards by a term of order 1/N: compare at equal numbers of samples.

    Args:
        real: Features of data, `(N, d)`, N >= 2.
        fake: Features of generated samples, `(M, d)`, M >= 2.

    References:
        Heusel et al. 2017, arXiv:1706.08500.

    Example:
        >>> x = torch.randn(500, 3, dtype=torch.float64)
        >>> round(frechet_distance(x, x + 2.0), 9)  # moved by 2 in each of 3 directions
        12.0
    """
    real, fake = _features(real, fake, least=2)
    m1, m2 = real.mean(0), fake.mean(0)
    # C = R^T R. The roots of the eigenvalues of C1 C2 are the singular values of R1 R2^T, which
    # takes no root of what is zero but for rounding, where there are fewer samples than features.
    r1, r2 = (
        torch.linalg.qr(x - x.mean(0), mode="r").R / (len(x) - 1) ** 0.5 for x in (real, fake)
    )
    common = torch.linalg.svdvals(r1 @ r2.mT).sum()
    distance = (m1 - m2).square().sum() + r1.square().sum() + r2.square().sum() - 2 * common
    return float(distance.clamp_min(0))


def kernel_distance(
    real: Tensor, fake: Tensor, *, subsets: int = 100, size: int = 1000, seed: int = 0
) -> Estimate:
    r"""Return the unbiased squared MMD with the kernel :math:`(x \cdot y / d + 1)^3` (KID).

    Args:
        real: Features of data, `(N, d)`.
        fake: Features of generated samples, `(M, d)`.
        subsets: How many random subsets the estimate is averaged over.
        size: Samples in each, of both sides; at most what there is. Where all samples of both
            sides fit there is one subset, and no spread.
        seed: Seed of the subsets.

    References:
        Bińkowski et al. 2018, arXiv:1801.01401.

    Example:
        >>> x = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
        >>> near, far = (kernel_distance(x[:200], x[200:] + move).mean for move in (0.0, 1.0))
        >>> abs(near) < 0.05 < far
        True
    """
    real, fake = _features(real, fake, least=2)
    subsets, size = as_whole("subsets", subsets, 1), as_whole("size", size, 2)
    size = min(size, len(real), len(fake))
    if size == len(real) == len(fake):
        subsets = 1  # There is only this one.
    rng = seeded(seed, real.device)
    found = []
    for _ in range(subsets):
        x, y = (s[_shuffled(s, rng)[:size]] for s in (real, fake))
        xx, yy, xy = _cubic(x, x), _cubic(y, y), _cubic(x, y)
        within = (xx.sum() - xx.trace() + yy.sum() - yy.trace()) / (size * (size - 1))
        found.append(within - 2 * xy.mean())
    values = torch.stack(found)
    return Estimate(float(values.mean()), float(values.std(correction=0)))


def _shuffled(samples: Tensor, rng: torch.Generator) -> Tensor:
    return torch.randperm(len(samples), generator=rng, device=samples.device)


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.mT / x.shape[1] + 1) ** 3


def classifier_score(logits: Tensor, splits: int = 10) -> Estimate:
    r"""Return the classifier ("inception") score, :math:`e^{E_x KL(p(y \mid x) \Vert p(y))}`.

    It lies between 1 and the number of classes. It is high where each sample is of one class and
    all classes come up equally often; it sees nothing else.

    Args:
        logits: What a classifier says of generated samples, `(N, classes)`, before the softmax.
        splits: Equal parts whose scores are averaged.

    References:
        Salimans et al. 2016, arXiv:1606.03498.

    Example:
        >>> sure = 1e4 * torch.eye(5).repeat(20, 1)
        >>> round(classifier_score(sure).mean, 6), classifier_score(0 * sure).mean
        (5.0, 1.0)
    """
    if not (_is_matrix(logits) and is_whole(splits, 1, len(logits))):
        raise InvalidInput(
            "classifier_score expects a tensor of logits (N, classes) and a whole number 1 <= "
            f"splits <= N; got {_shape(logits)} and {splits!r}."
        )
    if not bool(torch.isfinite(logits).all()):
        raise InvalidInput("Logits should be finite; got NaN or infinite entries.")
    scores = []
    for part in logits.double().tensor_split(splits):
        log_p = part.log_softmax(1)
        log_marginal = log_p.logsumexp(0) - math.log(len(part))
        # p log p is 0 where p underflows, however saturated the logits are.
        terms = torch.where(log_p.exp() > 0, log_p.exp() * (log_p - log_marginal), 0.0)
        scores.append(terms.sum(1).mean().exp())
    values = torch.stack(scores)
    return Estimate(float(values.mean()), float(values.std(correction=0)))


def neighbours(real: Tensor, fake: Tensor, k: int = 5) -> Neighbours:
    """Return precision and recall, density and coverage, by balls to the k-th nearest neighbour.

    Args:
        real: Features of data, `(N, d)`, N > k.
        fake: Features of generated samples, `(M, d)`, M > k.
        k: Which neighbour of its own kind bounds a sample's ball.

    References:
        Kynkäänniemi et al. 2019, arXiv:1904.06991; Naeem et al. 2020, arXiv:2002.09797.

    Example:
        >>> x = torch.randn(300, 2)
        >>> neighbours(x, x + 100.0)
        Neighbours(precision=0.0, recall=0.0, density=0.0, coverage=0.0)
    """
    k = as_whole("k", k, 1)
    real, fake = _features(real, fake, least=k + 1)
    # A sample is its own nearest neighbour.
    real_radius, fake_radius = (
        torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").kthvalue(k + 1, dim=1).values
        for x in (real, fake)
    )
    apart = torch.cdist(real, fake, compute_mode="donot_use_mm_for_euclid_dist")
    in_real, in_fake = apart <= real_radius[:, None], apart <= fake_radius[None, :]
    return Neighbours(
        precision=float(in_real.any(0).double().mean()),
        recall=float(in_fake.any(1).double().mean()),
        density=float(in_real.double().sum(0).mean()) / k,
        coverage=float((apart.amin(1) <= real_radius).double().mean()),
    )


def _is_matrix(value: object) -> bool:
    return isinstance(value, Tensor) and value.dim() == 2


def _shape(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def _features(real: Tensor, fake: Tensor, least: int) -> tuple[Tensor, Tensor]:
    if not (isinstance(real, Tensor) and isinstance(fake, Tensor)):
        raise InvalidInput(
            f"Features should be tensors; got {type(real).__name__} and {type(fake).__name__}."
        )
    alike = real.dim() == fake.dim() == 2 and real.shape[1] == fake.shape[1]
    if not alike or min(len(real), len(fake)) < least:
        raise InvalidInput(
            f"Features should have shapes (N, d) and (M, d), of at least {least} samples each; "
            f"got {tuple(real.shape)} and {tuple(fake.shape)}. Flatten samples with x.flatten(1)."
        )
    if not bool(torch.isfinite(real).all() & torch.isfinite(fake).all()):
        raise InvalidInput("Features should be finite; got NaN or infinite entries.")
    return real.detach().double(), fake.detach().double().to(real.device)
