"""The quality of samples in the trace: which numbers, when, and what of broken generators."""

from __future__ import annotations

import math

import pytest
import torch
from test_gan import ring, ring_gan
from torch import Tensor, nn

import eqgan
from eqgan.data import GaussianMixture
from eqgan.games import GAN, Mixed
from eqgan.gan import Quality
from eqgan.gan.metrics import classifier_score, frechet_distance, kernel_distance, modes, neighbours

torch.set_num_threads(1)
DATA = GaussianMixture(*ring(), 0.02)


def test_columns_are_the_metrics_of_what_was_proposed() -> None:
    gan = ring_gan()
    quality = Quality(DATA, samples=300, seed=3)
    run = eqgan.solve(gan, max_steps=4, check_every=2, callbacks=[quality])
    found = modes(gan.generate(run.profile, 300, seed=3), DATA.means, DATA.std)
    assert {name: run.trace[-1][name] for name in found._fields} == found._asdict()
    assert len(run.trace.column("captured")) == 3


def test_distances_in_features_and_scores() -> None:
    gan = ring_gan()
    features = lambda x: torch.cat((x, x.square()), 1)  # noqa: E731
    quality = Quality(gan.data, features, lambda x: 9 * x, samples=200)
    run = eqgan.solve(gan, max_steps=2, check_every=1, callbacks=[quality])
    fake = gan.generate(run.profile, 200)
    rows = torch.randperm(len(gan.data), generator=torch.Generator().manual_seed(0))[:200]
    known, seen = features(gan.data[rows]), features(fake)
    expected = {
        "frechet": frechet_distance(known, seen),
        "kernel": kernel_distance(known, seen).mean,
        **neighbours(known, seen)._asdict(),
        "classifier_score": classifier_score(9 * fake).mean,
    }
    assert {name: run.trace[-1][name] for name in expected} == pytest.approx(expected)
    assert quality.columns == [*expected, "spread"]
    assert quality.measure(gan.data[rows])["frechet"] == pytest.approx(0.0, abs=1e-6)


def test_data_score_better_than_noise() -> None:
    quality = Quality(DATA.samples[:2000])
    noise = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    data, other = quality.measure(DATA.samples[2000:3000]), quality.measure(noise)
    assert data["frechet"] < other["frechet"] / 10
    assert data["kernel"] < other["kernel"] / 10
    assert data["precision"] > 0.9 > 0.3 > other["precision"]
    assert data["coverage"] > 0.9 > 0.3 > other["coverage"]


def test_cadence_counts_steps_and_the_last_is_measured() -> None:
    run = eqgan.solve(
        ring_gan(), max_steps=10, check_every=2, callbacks=[Quality(DATA, every=4, samples=50)]
    )
    measured = [row["step"] for row in run.trace if "captured" in row]
    assert measured == [0, 4, 8, 10]


def test_measuring_does_not_change_the_run() -> None:
    runs = [
        eqgan.solve(ring_gan(), max_steps=6, check_every=2, callbacks=callbacks)
        for callbacks in ([], [Quality(DATA, samples=50)])
    ]
    assert runs[0].profile.equal(runs[1].profile)


def test_mixtures_are_measured_too() -> None:
    mix = Mixed(ring_gan(), (2, 2))
    run = eqgan.solve(mix, "mix_gan", max_steps=2, callbacks=[Quality(DATA, samples=50)])
    assert 0 <= run.trace[-1]["high_quality"] <= 1


def test_the_spread_tells_a_generator_that_makes_one_point() -> None:
    for reference in (DATA, DATA.samples):
        quality = Quality(reference, samples=2000)
        assert quality.measure(DATA.samples[:2000])["spread"] == pytest.approx(1, abs=0.1)
        assert quality.measure(DATA.samples[:2000] / 2)["spread"] == pytest.approx(0.25, abs=0.03)
        point = DATA.samples[:1] + 1e-3 * DATA.samples[:2000]
        assert quality.measure(point)["spread"] < 1e-5
    constant = Quality(torch.ones(50, 2), features=lambda x: x + torch.randn_like(x))
    assert math.isnan(constant.measure(torch.ones(50, 2))["spread"])


def test_broken_generators_are_measured_as_nan() -> None:
    for reference in (DATA, DATA.samples):
        quality = Quality(reference, classifier=lambda x: x)
        for bad in (math.nan, math.inf):
            numbers = quality.measure(torch.full((50, 2), bad))
            assert list(numbers) == quality.columns
            assert all(math.isnan(number) for number in numbers.values())
    overflow = Quality(DATA.samples, features=lambda x: x * 1e30 * 1e30)
    assert math.isnan(overflow.measure(torch.ones(50, 2))["frechet"])
    helpless = Quality(torch.zeros(50, 2), classifier=lambda x: x * math.nan, samples=50)
    numbers = helpless.measure(torch.ones(50, 2))
    assert math.isnan(numbers["classifier_score"])
    assert numbers["frechet"] == 2


def test_a_classifier_of_labelled_images_serves() -> None:
    images = torch.randn(60, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    model = eqgan.gan.classifier.train_classifier(images, torch.arange(60) % 3, epochs=1)

    class Pictures(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.map = nn.Linear(4, 64)

        def forward(self, noise: Tensor) -> Tensor:
            return self.map(noise).reshape(-1, 1, 8, 8)  # type: ignore[no-any-return]

    gan = GAN(Pictures(), nn.Sequential(nn.Flatten(), nn.Linear(64, 1)), images, 4, batch_size=8)
    quality = Quality(images, model.features, model, samples=40)
    row = eqgan.solve(gan, max_steps=1, callbacks=[quality]).trace[-1]
    assert row["frechet"] > 0
    assert 1 <= row["classifier_score"] <= 3


def test_dropout_that_drops_nothing_may_train() -> None:
    idle = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.0))
    assert Quality(DATA.samples, idle).measure(DATA.samples)["frechet"] < 0.1


def test_two_in_one_run_need_a_prefix() -> None:
    """Both measure the spread, of which one would be lost."""
    gan, both = ring_gan(), (DATA, DATA.samples)
    first, second = (Quality(reference, samples=100) for reference in both)
    with pytest.raises(eqgan.InvalidInput, match=r"two of them return 'spread'.*prefix='train_'"):
        eqgan.solve(gan, max_steps=1, callbacks=[first, second])
    named = Quality(DATA.samples, samples=100, prefix="real_")
    row = eqgan.solve(gan, max_steps=1, callbacks=[first, named]).trace[-1]
    samples = gan.generate(eqgan.solve(gan, max_steps=1).profile, 100)
    assert row["spread"] == first.measure(samples)["spread"]
    assert row["real_spread"] == second.measure(samples)["spread"] != row["spread"]


WRONG = {
    "prefix": (lambda: Quality(DATA, prefix=1), "prefix should be text"),  # type: ignore[arg-type]
    "dropout": (
        lambda: Quality(DATA.samples, nn.Sequential(nn.Linear(2, 4), nn.Dropout())),
        r"features should answer the same each time; its Dropout .* Call \.eval\(\)",
    ),
    "batch norm's method": (
        lambda: Quality(DATA, classifier=nn.BatchNorm1d(2).forward),
        "classifier should answer the same each time; its BatchNorm1d",
    ),
    "NaN": (lambda: Quality(torch.full((50, 2), math.nan)), "got torch.float32 with NaN"),
    "bytes": (
        lambda: Quality(torch.zeros(50, 1, 8, 8, dtype=torch.uint8)),
        r"got torch.uint8\. Images of bytes become",
    ),
    "arrays for logits": (
        lambda: Quality(DATA, classifier=lambda x: x.numpy()).measure(torch.zeros(50, 2)),  # type: ignore[arg-type,return-value]
        "tensor of logits .* got ndarray",
    ),
    "reference": (lambda: Quality([1.0]), "compares with a GaussianMixture"),  # type: ignore[arg-type]
    "few": (lambda: Quality(torch.zeros(5, 2)), r"got \(5, 2\)"),
    "features": (lambda: Quality(DATA, features=3), "should be functions of samples"),  # type: ignore[arg-type]
    "samples": (lambda: Quality(DATA, samples=5), "samples should be a whole number >= 10"),
    "share": (lambda: Quality(DATA, share=1.0), r"share should be a number in \[0, 1\); got 1.0"),
    "modes": (lambda: Quality(DATA, features=nn.Identity()), "in the samples themselves"),
    "every": (lambda: Quality(DATA, every=0), "every should be a whole number >= 1"),
    "no GAN": (
        lambda: eqgan.solve(eqgan.games.DiracGAN(), max_steps=1, callbacks=[Quality(DATA)]),
        "Quality measures what a GAN",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_clear_sentence(case: str) -> None:
    call, said = WRONG[case]
    with pytest.raises(eqgan.EqganError, match=said):
        call()


def test_features_are_one_row_a_sample() -> None:
    quality = Quality(DATA.samples[:50], features=Tensor.sum)
    with pytest.raises(eqgan.InvalidInput, match=r"map 50 samples to a tensor \(50, d\); got \(\)"):
        quality.measure(DATA.samples[:50])
