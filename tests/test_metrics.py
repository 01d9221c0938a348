"""Quality of samples: closed forms, known scores, and another library's numbers."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import eqgan
from eqgan import data
from eqgan.gan.classifier import train_classifier
from eqgan.gan.metrics import classifier_score, frechet_distance, kernel_distance, modes, neighbours

FASHION = Path(__file__).parents[2] / "shared" / "data" / "fashion-mnist"


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=rng, dtype=torch.float64)


def whitened(x: torch.Tensor) -> torch.Tensor:
    """Return the samples moved so that their mean is 0 and their covariance I, to rounding."""
    x = x - x.mean(0)
    return x @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.mT))).mT


def test_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    x, y = whitened(normal(300, 4)), whitened(normal(200, 4, seed=1))
    a, b = normal(4, 4, seed=2), normal(4, 4, seed=3)
    shift = torch.tensor([1.0, 0.0, -2.0, 0.5]).double()
    c1, c2 = a @ a.mT, b @ b.mT
    eigenvalues = torch.linalg.eigvals(c1 @ c2).real.clamp_min(0)
    closed = shift.square().sum() + c1.trace() + c2.trace() - 2 * eigenvalues.sqrt().sum()
    found = frechet_distance(x @ a.mT, y @ b.mT + shift)
    assert found == pytest.approx(float(closed), rel=1e-9)
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(x, y) == pytest.approx(0.0, abs=1e-9)


def test_frechet_distance_of_flat_features() -> None:
    """More dimensions than samples, and features that never vary."""
    x = normal(10, 50)
    assert frechet_distance(x, x + 1) == pytest.approx(50.0, rel=1e-12)
    # A root of eigenvalues that are zero but for rounding would add some 1e-8 each.
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-12)
    constant = torch.ones(5, 3)
    assert frechet_distance(constant, 3 * constant) == pytest.approx(12.0)
    assert frechet_distance(constant[:, :1], 3 * constant[:, :1]) == pytest.approx(4.0)


def test_kernel_distance_is_unbiased() -> None:
    """Between halves of one distribution it averages to zero; by its definition it is a sum."""
    values = [
        kernel_distance(normal(60, 3, seed=k), normal(60, 3, seed=100 + k), subsets=1).mean
        for k in range(100)
    ]
    mean = sum(values) / len(values)
    error = math.sqrt(sum((v - mean) ** 2 for v in values)) / len(values)
    assert abs(mean) < 4 * error
    assert min(values) < 0 < max(values)
    x, y = normal(7, 2), normal(7, 2, seed=1) + 1
    kernel = lambda p, q: (float(p @ q) / 2 + 1) ** 3  # noqa: E731
    pairs = [(i, j) for i in range(7) for j in range(7)]
    within = sum(kernel(s[i], s[j]) for s in (x, y) for i, j in pairs if i != j) / 42
    across = sum(kernel(x[i], y[j]) for i, j in pairs) / 49
    assert kernel_distance(x, y, subsets=1).mean == pytest.approx(within - 2 * across)


@pytest.mark.parametrize("scale", [10.0, 1e3, 1e30])
def test_classifier_score_of_sure_and_of_helpless_classifiers(scale: float) -> None:
    sure = scale * torch.eye(10).repeat(50, 1)
    assert classifier_score(sure).mean == pytest.approx(10.0, rel=1e-2)
    assert classifier_score(sure, splits=1).std == 0
    one_class = torch.zeros(100, 10)
    one_class[:, 3] = scale
    assert classifier_score(one_class).mean == pytest.approx(1.0)


def test_true_data_score_what_three_sigmas_hold() -> None:
    """98.889 % of a 2-D Gaussian lies within three sigma of its mean, 99.730 % of a 1-D one."""
    for d, share in ((2, 1 - math.exp(-4.5)), (1, math.erf(3 / math.sqrt(2)))):
        found = modes(normal(200_000, d), torch.zeros(1, d), std=1.0).high_quality
        assert found == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 200_000))


def test_neighbours_know_collapse_from_noise() -> None:
    real = normal(500, 2)
    same = neighbours(real, normal(500, 2, seed=1))
    collapsed = neighbours(real, 0.01 * normal(500, 2, seed=1))
    spread = neighbours(real, 30 * normal(500, 2, seed=1))
    assert min(same.precision, same.recall, same.coverage) > 0.85
    assert same.density == pytest.approx(1.0, abs=0.15)
    assert collapsed.precision > 0.95
    assert collapsed.recall < 0.05
    assert collapsed.coverage < 0.2
    assert spread.precision < 0.05
    itself = neighbours(real, real)
    assert (itself.precision, itself.recall, itself.coverage) == (1.0, 1.0, 1.0)
    # k neighbours and itself: every real ball holds k + 1 of these samples.
    assert itself.density == pytest.approx(6 / 5)


class Same(torch.nn.Module):
    """Features that are the samples themselves."""

    num_features = 6

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


def another_librarys(module: str) -> Any:
    return pytest.importorskip(f"torchmetrics.image.{module}", reason="no torchmetrics installed")


@pytest.mark.filterwarnings("ignore:Metric `.*` will save all extracted features")
def test_distances_agree_with_another_library() -> None:
    frechet = another_librarys("fid").FrechetInceptionDistance
    kernel = another_librarys("kid").KernelInceptionDistance
    real, fake = normal(300, 6), 1.3 * normal(300, 6, seed=1) + 0.2
    fid = frechet(feature=Same(), input_img_size=(1, 2, 3)).set_dtype(torch.float64)
    # All samples in one subset, so that chance has no part in it.
    kid = kernel(feature=Same(), subsets=1, subset_size=300)
    for metric in (fid, kid):
        metric.update(real.reshape(-1, 1, 2, 3), real=True)
        metric.update(fake.reshape(-1, 1, 2, 3), real=False)
    assert frechet_distance(real, fake) == pytest.approx(float(fid.compute()), rel=1e-9)
    assert kernel_distance(real, fake).mean == pytest.approx(float(kid.compute()[0]), rel=1e-9)


@pytest.mark.filterwarnings("ignore:Metric `.*` will save all extracted features")
@pytest.mark.filterwarnings("ignore:std.*degrees of freedom")
def test_classifier_score_agrees_with_another_library() -> None:
    score = another_librarys("inception").InceptionScore(feature=Same(), splits=1)
    logits = 5 * normal(300, 6)
    score.update(logits.reshape(-1, 1, 2, 3))
    ours = classifier_score(logits, splits=1).mean
    assert ours == pytest.approx(float(score.compute()[0]), rel=1e-9)


def test_kernel_distance_of_subsets_is_their_mean_and_spread() -> None:
    real, fake = normal(300, 3), normal(200, 3, seed=1) + 0.5
    whole = kernel_distance(real[:200], fake)
    assert whole.std == 0
    parts = kernel_distance(real, fake, subsets=200, size=50)
    assert parts.mean == pytest.approx(whole.mean, abs=0.1 * whole.mean + parts.std)
    assert parts.std > 0
    assert parts == kernel_distance(real, fake, subsets=200, size=50)
    assert parts != kernel_distance(real, fake, subsets=200, size=50, seed=1)


def test_neighbours_are_their_definition() -> None:
    real, fake, k = normal(30, 2), 0.8 * normal(25, 2, seed=1) + 0.3, 3

    def radius(points: torch.Tensor, i: int) -> float:
        return sorted(float((points[i] - p).norm()) for p in points)[k]

    real_balls, fake_balls = ([radius(s, i) for i in range(len(s))] for s in (real, fake))
    apart = [[float((x - y).norm()) for y in fake] for x in real]
    n, m = len(real), len(fake)
    hits = sum(apart[i][j] <= real_balls[i] for i in range(n) for j in range(m))
    found = neighbours(real, fake, k)
    assert found.density == pytest.approx(hits / (k * m))
    plausible = sum(any(apart[i][j] <= real_balls[i] for i in range(n)) for j in range(m))
    assert found.precision == pytest.approx(plausible / m)
    made = sum(any(apart[i][j] <= fake_balls[j] for j in range(m)) for i in range(n))
    assert found.recall == pytest.approx(made / n)
    covered = sum(min(apart[i]) <= real_balls[i] for i in range(n))
    assert found.coverage == pytest.approx(covered / n)


def test_a_classifier_learns_digits_and_scores_them() -> None:
    sklearn = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    images = data.digits(8)
    labels = torch.as_tensor(sklearn.load_digits().target)
    rest = torch.arange(len(images)) % 5 != 0
    before = torch.get_rng_state()
    model = train_classifier(images[rest], labels[rest], epochs=20)
    assert torch.equal(before, torch.get_rng_state())
    assert model.accuracy(images[~rest], labels[~rest]) > 0.93
    noise = torch.rand(images[~rest].shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    known = model.features(images[rest])
    assert known.shape == (int(rest.sum()), 64)
    near, far = (frechet_distance(known, model.features(x)) for x in (images[~rest], noise))
    assert near < far / 10
    with torch.no_grad():
        assert classifier_score(model(images[~rest])).mean > classifier_score(model(noise)).mean
    again = train_classifier(images[rest], labels[rest], epochs=20)
    assert all(map(torch.equal, model.parameters(), again.parameters()))


@pytest.mark.skipif(not FASHION.is_dir(), reason="Fashion-MNIST is not beside the project")
def test_a_classifier_learns_clothes() -> None:
    """On the official split; at most a minute of one thread's time."""
    torch.set_num_threads(1)
    started = time.process_time()
    model = train_classifier(data.images(FASHION), data.labels(FASHION), epochs=2)
    assert time.process_time() - started < 60
    accuracy = model.accuracy(data.images(FASHION, split="test"), data.labels(FASHION, "test"))
    assert accuracy > 0.88


WRONG = {
    "no matrix": (lambda: frechet_distance(torch.zeros(5), torch.zeros(5)), "x.flatten"),
    "one sample": (lambda: frechet_distance(torch.zeros(1, 2), torch.zeros(5, 2)), "at least 2"),
    "widths": (
        lambda: kernel_distance(torch.zeros(5, 2), torch.zeros(5, 3)),
        r"\(5, 2\) and \(5, 3\)",
    ),
    "NaN": (lambda: neighbours(torch.full((9, 2), math.nan), torch.zeros(9, 2)), "finite"),
    "few": (lambda: neighbours(torch.zeros(5, 2), torch.zeros(9, 2)), "at least 6"),
    "splits": (lambda: classifier_score(torch.zeros(5, 2)), "1 <= splits <= N"),
    "broken classifier": (lambda: classifier_score(torch.full((20, 3), math.nan)), "finite"),
    "half a split": (lambda: classifier_score(torch.zeros(20, 3), 2.5), "whole number .* 2.5"),  # type: ignore[arg-type]
    "array": (lambda: classifier_score(np.zeros((20, 3))), "tensor .* got ndarray"),  # type: ignore[arg-type]
    "no neighbour": (lambda: neighbours(torch.zeros(9, 2), torch.zeros(9, 2), 0), "k should be"),
    "listed means": (lambda: modes(torch.zeros(9, 2), [[0, 0]], 0.1), "got .9, 2. and list"),  # type: ignore[arg-type]
    "no means": (lambda: modes(torch.zeros(9, 2), torch.zeros(0, 2), 0.1), "got 9 and 0"),
    "no number": (
        lambda: modes(torch.full((9, 2), torch.nan), torch.zeros(3, 2), 0.1),
        "Samples and means should be finite",
    ),
    "worded std": (lambda: modes(torch.zeros(9, 2), torch.zeros(3, 2), "small"), "got 'small'"),  # type: ignore[arg-type]
    "bytes": (
        lambda: train_classifier(torch.zeros(5, 1, 8, 8).byte(), torch.zeros(5).long()),
        "floating numbers .* of torch.uint8",
    ),
    "no images": (
        lambda: train_classifier(torch.zeros(0, 1, 8, 8), torch.zeros(0).long()),
        "at least one",
    ),
    "negative labels": (
        lambda: train_classifier(torch.zeros(5, 1, 8, 8), torch.full((5,), -1)),
        "labels from 0 on; the least is -1",
    ),
    "labels": (
        lambda: train_classifier(torch.zeros(5, 1, 8, 8), torch.zeros(5)),
        "whole labels",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_clear_sentence(case: str) -> None:
    call, said = WRONG[case]
    with pytest.raises(eqgan.EqganError, match=said):
        call()
