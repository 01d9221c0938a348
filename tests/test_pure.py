"""One network that plays a mixture: gates, total variation, and a classifier that cannot tell."""

from __future__ import annotations

import math

import pytest
import torch
from test_gan import ring_gan
from torch import nn

import eqgan
from eqgan.games import GAN, Mixed
from eqgan.gan import to_pure
from eqgan.gan.networks import mlp
from eqgan.gan.pure import SelectedGenerator

WEIGHTS = [0.5, 0.0, 0.2, 0.3]


def mixture(squashed: bool, seed: int = 0) -> tuple[Mixed, eqgan.Profile]:
    generator = mlp([2, 16, 2], nn.Tanh)
    if squashed:
        generator.append(nn.Tanh())
    gan = GAN(generator, mlp([2, 8, 1]), torch.randn(64, 2), noise_dim=2)
    mix = Mixed(gan, (4, 1))
    z = mix.random(mix.generator(seed))
    mine = {**z[0], "weights": torch.tensor(WEIGHTS)}  # type: ignore[dict-item]
    return mix, z.replace(0, mine)


def noise(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))


def test_gates_sum_to_one_and_open_as_often_as_they_should() -> None:
    mix, z = mixture(squashed=True)
    pure = to_pure(mix, z, delta=1e-3)
    s = noise(100_000)[:, -1]
    gates = pure.gates(s)
    assert torch.allclose(gates.sum(1), torch.ones(len(s)), atol=1e-6)
    assert float(gates.min()) >= 0
    assert torch.allclose(gates.mean(0), torch.tensor([0.5, 0.2, 0.3]), atol=0.01)


@pytest.mark.parametrize("delta", [0.3, 0.03])
def test_total_variation_is_within_the_bound(delta: float) -> None:
    """It is at most the odds of a ramp, where samples are no generator's."""
    mix, z = mixture(squashed=True)
    pure = to_pure(mix, z, delta=delta)
    gates = pure.gates(noise(200_000)[:, -1])
    ramps = float((gates.amax(1) < 1).float().mean())
    assert pure.total_variation == pytest.approx(2 * delta / math.sqrt(2 * math.pi))
    assert 0.3 * pure.total_variation < ramps <= pure.total_variation


def test_gates_and_what_they_let_through_are_the_formulas() -> None:
    generators = [nn.Sequential(nn.Linear(1, 4), nn.Unflatten(1, (1, 2, 2))) for _ in range(2)]
    pure = SelectedGenerator(generators, torch.tensor([0.5, 0.5]), 1, 0.5, 0.3, False)
    s = torch.tensor([-0.75, -0.5, -0.25, 0.0, 0.25])
    gates = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.0, 1.0]])
    torch.testing.assert_close(pure.gates(s), gates)
    h = torch.linspace(-1, 1, 5)[:, None]
    expected = torch.zeros(5, 1, 2, 2)
    for generator, gate in zip(generators, gates.unbind(1), strict=True):
        made, shut = generator(h), 0.3 * (1 - gate).view(5, 1, 1, 1)
        expected += (made - shut).clamp_min(0) - (-made - shut).clamp_min(0)
    torch.testing.assert_close(pure(torch.cat((h, s[:, None]), 1)), expected)


@pytest.mark.parametrize(
    ("last", "reach"),
    [
        (nn.Tanh(), 1.0),
        (nn.Sigmoid(), 1.0),
        (nn.Softsign(), 1.0),
        (nn.Hardtanh(-1.0, 0.5), 1.0),
        (nn.Hardtanh(-2.0, 1.0), 4.0),
        (nn.Identity(), 6.0),
    ],
    ids=str,
)
def test_the_reach_is_one_behind_a_squashing_layer_else_twice_the_largest_entry(
    last: nn.Module, reach: float
) -> None:
    gan = GAN(nn.Sequential(nn.Linear(1, 1), last), nn.Linear(1, 1), torch.randn(9, 1), 1)
    mix = Mixed(gan, (2, 1))
    z = mix.initial(mix.generator(0))
    atoms = torch.tensor([[0.0, -3.0], [0.0, 1.0]])  # They always make -3 and 1, then squash them.
    pure = to_pure(mix, z.replace(0, {**z[0], "atoms": atoms}))  # type: ignore[dict-item]
    assert pure.reach == reach
    assert pure.proved is (reach == 1.0)


def test_no_law_differs_by_more_than_one() -> None:
    mix, z = mixture(squashed=True)
    assert to_pure(mix, z, delta=10.0).total_variation == 1.0


@pytest.mark.parametrize("squashed", [True, False])
def test_an_open_gate_lets_its_generator_through(squashed: bool) -> None:
    mix, z = mixture(squashed)
    pure = to_pure(mix, z)
    assert pure.proved is squashed
    assert isinstance(mix.base, GAN)
    inputs = noise(2000)
    gates, made = pure.gates(inputs[:, -1]), pure(inputs)
    atoms = z[0]["atoms"][torch.tensor(WEIGHTS) > 0]  # type: ignore[index,call-overload]
    for k, atom in enumerate(atoms):
        rows = gates[:, k] == 1
        assert rows.sum() > 100
        expected = mix.base.make(atom, inputs[rows, :-1])
        assert torch.allclose(made[rows], expected, atol=1e-5)


def accuracy(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Return how often a classifier that was trained on half of the samples is right on the rest.

    Of as many fair coins the standard error is 0.0056.
    """
    samples = torch.cat((ours, theirs))
    labels = torch.arange(len(samples)) < len(ours)
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(0))
    samples, labels = samples[order], labels[order].float()
    half = len(samples) // 2
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        judge = mlp([2, 64, 64, 1])
    optimizer = torch.optim.Adam(judge.parameters(), 3e-3)
    for _ in range(10):
        for some in torch.arange(half).split(200):
            loss = nn.functional.binary_cross_entropy_with_logits(
                judge(samples[some])[:, 0], labels[some]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        right = (judge(samples[half:])[:, 0] > 0) == (labels[half:] > 0.5)
    return float(right.float().mean())


@pytest.mark.parametrize("seed", range(3))
def test_a_classifier_cannot_tell_it_from_the_mixture(seed: int) -> None:
    """But it tells it from the same generators in other proportions: it would see a difference."""
    mix, z = mixture(squashed=True, seed=seed)
    pure = to_pure(mix, z, delta=1e-3)
    with torch.no_grad():
        ours = pure(noise(8000, seed))
    assert abs(accuracy(ours, mix.generate(z, 8000, seed=seed + 1)) - 0.5) < 0.02
    other = {**z[0], "weights": torch.tensor([0.2, 0.0, 0.3, 0.5])}  # type: ignore[dict-item]
    assert accuracy(ours, mix.generate(z.replace(0, other), 8000, seed=seed + 1)) > 0.55


def test_one_generator_is_itself() -> None:
    mix, z = mixture(squashed=False)
    alone = z.replace(0, {**z[0], "weights": torch.tensor([0.0, 0.0, 1.0, 0.0])})  # type: ignore[dict-item]
    pure = to_pure(mix, alone)
    assert pure.total_variation == 0
    inputs = noise(50)
    expected = mix.base.make(z[0]["atoms"][2], inputs[:, :-1])  # type: ignore[attr-defined,index,call-overload]
    assert torch.allclose(pure(inputs), expected)


def test_wrong_inputs_get_a_sentence() -> None:
    mix, z = mixture(squashed=True)
    with pytest.raises(eqgan.EqganError, match="takes a mixture of GANs"):
        to_pure(ring_gan(), z)  # type: ignore[arg-type]
    numbers = eqgan.games.Mixed(eqgan.games.ContinuousGame(lambda x, y: x * y), (2, 2))
    with pytest.raises(eqgan.EqganError, match=r"takes a mixture of GANs.*got Mixed\(Continuous"):
        to_pure(numbers, z)
    with pytest.raises(eqgan.EqganError, match="delta should be"):
        to_pure(mix, z, delta=0.0)
    with pytest.raises(eqgan.EqganError, match="2 strategies"):
        to_pure(mix, [z[0]])  # type: ignore[arg-type]


def test_a_state_dict_carries_all_that_the_samples_depend_on() -> None:
    wide, narrow = (
        to_pure(*mixture(squashed=False, seed=seed), delta=d) for seed, d in [(0, 0.5), (1, 0.1)]
    )
    assert wide.reach != narrow.reach
    narrow.load_state_dict(wide.state_dict())
    h = noise(1000)
    assert torch.equal(narrow(h), wide(h))
    assert (narrow.delta, narrow.reach, narrow.proved) == (0.5, wide.reach, False)
    assert narrow.total_variation == wide.total_variation


@pytest.mark.parametrize("shape", [(5, 2), (5, 4), (3,)])
def test_noise_without_the_selector_is_told(shape: tuple[int, ...]) -> None:
    pure = to_pure(*mixture(squashed=True))
    with pytest.raises(eqgan.InvalidInput, match=r"takes noise \(batch, 3\), one column more"):
        pure(torch.zeros(shape))
