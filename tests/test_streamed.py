"""Data that are read when they are drawn: the same run as with data in memory, bit for bit."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from test_gan import ring, seeded
from torch.utils.data import Dataset, TensorDataset

import eqgan
from eqgan.data import Streamed, given
from eqgan.games import GAN, FixedGAN, Mixed
from eqgan.gan.networks import mlp
from eqgan.gan.objectives import ObjectiveLike, Wasserstein

torch.set_num_threads(1)
SAMPLES = ring()[0][:500]


class Slow(Dataset[tuple[torch.Tensor, int]]):
    """Pairs of a sample and a label; writes down who reads what."""

    def __init__(self) -> None:
        self.read: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(SAMPLES)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        self.read.append((index, threading.current_thread().name))
        return SAMPLES[index], 3


def gan(data: Any, objective: ObjectiveLike = "minimax", **options: Any) -> GAN:
    networks = seeded(lambda: (mlp([2, 8, 2]), mlp([2, 8, 1])))
    return GAN(*networks, data, 2, objective, batch_size=16, **options)


@pytest.mark.parametrize("solver", ["extragradient", "consensus"])
@pytest.mark.parametrize("objective", ["minimax", Wasserstein(penalty=1.0)], ids=str)
def test_streamed_and_held_data_give_equal_runs(solver: str, objective: ObjectiveLike) -> None:
    held, streamed = gan(SAMPLES, objective), gan(Streamed(Slow()), objective)
    assert isinstance(streamed.data, Streamed)
    runs = [eqgan.solve(game, solver, max_steps=6, seed=3) for game in (held, streamed)]
    assert runs[0].profile.equal(runs[1].profile)
    oracle = eqgan.GradientOracle(steps=3, restarts=1)
    gaps = [eqgan.certify(run.game, run.profile, oracle).nash_conv_lower for run in runs]
    assert gaps[0] == gaps[1]
    fixed = [FixedGAN.draw(run.game, 20).data for run in runs]
    assert torch.equal(*fixed)
    mixtures = [
        eqgan.solve(Mixed(game, (2, 2)), "mix_gan", max_steps=3) for game in (held, streamed)
    ]
    assert mixtures[0].profile.equal(mixtures[1].profile)


def test_a_resumed_run_draws_the_same_samples(tmp_path: Path) -> None:
    file = tmp_path / "run.ckpt"
    whole = eqgan.solve(gan(Streamed(Slow())), max_steps=9, check_every=3)
    eqgan.solve(gan(Streamed(Slow())), max_steps=6, check_every=3, checkpoint=file)
    copied = pickle.loads(pickle.dumps(gan(Streamed(Slow()))))
    rest = eqgan.solve(copied, max_steps=9, check_every=3, checkpoint=file, resume=True)
    assert rest.profile.equal(whole.profile)
    other = Streamed(TensorDataset(SAMPLES.flip(0)))
    with pytest.raises(eqgan.CheckpointError, match="written by another run"):
        eqgan.solve(gan(other), max_steps=9, check_every=3, checkpoint=file, resume=True)


def test_the_next_batch_is_read_meanwhile_by_several_threads() -> None:
    dataset = Slow()
    game = gan(Streamed(dataset, workers=2))
    rng = game.generator(0)
    first = game.sample(rng)
    assert isinstance(game.data, Streamed)
    assert game.data.expected is not None
    coming, parts = game.data.expected
    ahead = torch.stack([sample for part in parts for sample in part.result()])
    dataset.read.clear()
    second = game.sample(rng)
    assert torch.equal(second.real, ahead)
    assert torch.equal(second.real, SAMPLES[coming])
    assert not torch.equal(first.real, second.real)
    _, parts = game.data.expected
    assert all(part.result() for part in parts)
    # No more was read than the batch after it.
    assert len(dataset.read) == game.batch_size
    assert all(name.startswith("eqgan-data") for _, name in dataset.read)
    assert torch.equal(game.sample(game.generator(0)).real, first.real)


def test_datasets_are_held_where_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch.equal(gan(Slow()).data, SAMPLES)  # type: ignore[arg-type]
    size = SAMPLES.numel() * SAMPLES.element_size()
    monkeypatch.setattr(given, "capacity", lambda device: 2 * size - 1)
    for data in (Slow(), SAMPLES):
        game = gan(data, holdout=data)
        assert isinstance(game.data, Streamed)
        assert isinstance(game.holdout, Streamed)
        assert torch.equal(game.held_out_sample(game.generator(1)).real, gan_sample(1))
    monkeypatch.setattr(given, "capacity", lambda device: 2 * size)
    assert isinstance(gan(Slow()).data, torch.Tensor)
    monkeypatch.undo()
    assert given.capacity(torch.device("cpu")) > 1e8


def gan_sample(seed: int) -> torch.Tensor:
    held = gan(SAMPLES)
    return held.sample(held.generator(seed)).real


class Bad(Slow):
    """Fails in one way at one index."""

    def __init__(self, sample: Any) -> None:
        super().__init__()
        self.sample = sample

    def __getitem__(self, index: int) -> Any:
        return self.sample() if callable(self.sample) else SAMPLES[0] if index else self.sample


WRONG = {
    "random": (lambda: Streamed(Bad(lambda: torch.randn(2))), "another sample each time"),
    "bytes": (lambda: Streamed(Bad(torch.zeros(2).byte())), "sample 0 is torch.uint8"),
    "nan": (lambda: Streamed(Bad(torch.tensor([0.0, float("nan")]))), "sample 0 holds NaN"),
    "ragged": (lambda: Streamed(Bad(torch.zeros(3))), "of shape (3,) like the first"),
    "nothing": (lambda: Streamed(3), "this one fails at 0"),
    "no workers": (lambda: Streamed(Slow(), workers=0), "workers should be a whole number"),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_clear_sentence(case: str) -> None:
    call, said = WRONG[case]
    with pytest.raises(eqgan.InvalidInput) as told:
        call()
    assert said in str(told.value)
    assert "\n" not in str(told.value)
