"""Maxima of networks over boxes: never below a sample, and tight where the truth is known."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

import eqgan
from eqgan.gan import spectral_norm
from eqgan.gan.box_maximum import box_maximum
from eqgan.gan.networks import mlp

ACTIVATIONS = [
    nn.ReLU,
    nn.LeakyReLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.Softplus,
    lambda: nn.LeakyReLU(-0.5),
    lambda: nn.LeakyReLU(1.5),
    lambda: nn.Softplus(beta=3.0, threshold=2.0),
    lambda: nn.Softplus(beta=-3.0, threshold=0.5),
]


def random_network(seed: int, sizes: list[int], activation: object, scale: float) -> nn.Module:
    rng = torch.Generator().manual_seed(seed)
    network = mlp(sizes, activation).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=rng))
    return network


def largest_sampled(network: nn.Module, low: Tensor, high: Tensor, seed: int) -> float:
    rng = torch.Generator().manual_seed(seed)
    shares = torch.rand(20_000, len(low), generator=rng, dtype=torch.float64)
    corners = torch.tensor(list(itertools.product((0.0, 1.0), repeat=len(low)))).double()
    with torch.no_grad():
        return float(network(low + (high - low) * torch.cat((shares, corners))).max())


@given(
    st.integers(0, 10**6),
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(0, 2),
    st.sampled_from(range(len(ACTIVATIONS))),
    st.sampled_from([0.3, 1.0, 4.0]),
    st.sampled_from([1, 40, 4000]),
)
def test_no_sample_is_above_what_is_proved(
    seed: int, inputs: int, width: int, hidden: int, kind: int, scale: float, budget: int
) -> None:
    sizes = [inputs, *[width] * hidden, 1]
    network = random_network(seed, sizes, ACTIVATIONS[kind], scale)
    ends = torch.randn(2, inputs, generator=torch.Generator().manual_seed(seed)).double()
    low, high = ends.amin(0), ends.amax(0)
    result = box_maximum(network, low, high, budget=budget)
    assert largest_sampled(network, low, high, seed) <= result.proved
    assert result.found <= result.proved
    assert bool(((low <= result.point) & (result.point <= high)).all())
    with torch.no_grad():
        assert float(network(result.point[None])) == pytest.approx(result.found, abs=1e-12)


def vertices(network: nn.Sequential, low: float, high: float) -> Tensor:
    """Return where lines meet on which a network of one hidden ReLU layer may bend, in a box."""
    hidden = network[0]
    assert isinstance(hidden, nn.Linear)
    normals = torch.cat((hidden.weight.detach(), torch.eye(2).double().repeat(2, 1)))
    offsets = torch.cat((-hidden.bias.detach(), torch.tensor([low, low, high, high]).double()))
    points = [
        torch.linalg.solve(normals[[i, j]], offsets[[i, j]])
        for i, j in itertools.combinations(range(len(normals)), 2)
        if float(torch.linalg.det(normals[[i, j]]).abs()) > 1e-9
    ]
    inside = [p for p in points if bool(((low - 1e-9 <= p) & (p <= high + 1e-9)).all())]
    return torch.stack(inside)


@given(st.integers(0, 10**6), st.integers(1, 8))
def test_piecewise_linear_maxima_are_those_at_the_vertices(seed: int, width: int) -> None:
    network = random_network(seed, [2, width, 1], nn.ReLU, 2.0)
    with torch.no_grad():
        truth = float(network(vertices(network, -1.0, 1.5)).max())  # type: ignore[arg-type]
    result = box_maximum(network, [-1.0, -1.0], [1.5, 1.5], tolerance=1e-4)
    assert result.boxes < 100_000
    assert truth - 1e-4 <= result.found <= truth + 1e-9
    assert truth - 1e-9 <= result.proved <= truth + 1e-4


# Not the last two: torch's softplus has a jump there, which is counted everywhere.
@pytest.mark.parametrize("kind", range(len(ACTIVATIONS) - 2))
def test_both_ends_meet_on_networks_of_a_useful_size(kind: int) -> None:
    network = random_network(kind, [2, 32, 32, 1], ACTIVATIONS[kind], 0.3)
    result = box_maximum(network, [-1.0, -1.0], [1.0, 1.0], tolerance=1e-3)
    assert result.proved - result.found <= 1e-3
    assert result.boxes < 20_000


def test_what_is_proved_gets_no_worse_with_more_boxes() -> None:
    network = random_network(0, [3, 16, 16, 1], nn.Tanh, 0.6)
    ends = [box_maximum(network, [-1.0] * 3, [1.0] * 3, budget=n) for n in (1, 10, 100, 10_000)]
    proved = [end.proved for end in ends]
    assert proved == sorted(proved, reverse=True)
    assert proved[0] > proved[-1]


def test_divided_weights_are_bounded_as_they_play_and_stay_divided() -> None:
    network = spectral_norm(random_network(1, [2, 8, 1], nn.ReLU, 5.0))
    low, high = torch.full((2,), -1.0).double(), torch.full((2,), 1.0).double()
    result = box_maximum(network, low, high)
    sampled = largest_sampled(network, low, high, 0)
    assert sampled <= result.proved <= sampled + 0.01


def test_a_point_is_a_box_too() -> None:
    network = random_network(2, [2, 8, 1], nn.Tanh, 1.0)
    point = torch.tensor([[0.3, -0.2]]).double()
    result = box_maximum(network, point[0], point[0])
    assert float(network(point).detach()) == pytest.approx(result.proved, abs=1e-12)


@pytest.mark.parametrize("width", [1e-12, 1e-6, 1.0])
@pytest.mark.parametrize("kind", range(len(ACTIVATIONS)))
def test_deep_networks_on_tiny_boxes_far_from_zero(kind: int, width: float) -> None:
    """Rounding is counted: nothing that floating point finds is above the proof."""
    for seed in range(4):
        network = random_network(seed, [2, *[8] * 8, 1], ACTIVATIONS[kind], 0.7)
        middle = 1e4 * torch.randn(2, generator=torch.Generator().manual_seed(seed)).double()
        low, high = middle - width, middle + width
        result = box_maximum(network, low, high, tolerance=1e-9, budget=[1, 100, 1000][seed % 3])
        assert largest_sampled(network, low, high, seed) <= result.proved


def test_weights_that_overflow_prove_nothing() -> None:
    network = nn.Sequential(nn.Linear(2, 1), nn.Tanh(), nn.Linear(1, 1)).double()
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), (-1.7e308, 0.0, 1.0, 0.0), strict=True):
            parameter.fill_(value)
    result = box_maximum(network, [-1.0, -1.0], [1.0, 1.0], budget=10)
    assert result.found == 1.0
    assert result.proved == math.inf


class Odd(nn.ReLU):
    """A subclass that computes something else."""

    def forward(self, x: Tensor) -> Tensor:
        return x.square()


class Crooked(nn.Identity):
    """No identity."""

    def forward(self, x: Tensor) -> Tensor:
        return x.square()


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (nn.Sequential(nn.Conv1d(1, 1, 1)), "for a Conv1d; networks of Linear"),
        (nn.Sequential(nn.Linear(2, 2), Odd(), nn.Linear(2, 1)), "for a Odd"),
        (nn.Sequential(nn.Linear(2, 2), Crooked(), nn.Linear(2, 1)), "for a Crooked"),
        (nn.Sequential(nn.Flatten(0), nn.Linear(2, 1)), "for a Flatten"),
        (nn.Sequential(nn.Linear(1, 1), nn.Flatten()), "Linear of 1 inputs gets 2"),
        (nn.Linear(2, 3), "one output"),
        (nn.ReLU(), "one output"),
    ],
)
def test_networks_without_bounds_are_refused(network: nn.Module, sentence: str) -> None:
    with pytest.raises(eqgan.UnsupportedGame, match=sentence):
        box_maximum(network, [0.0, 0.0], [1.0, 1.0])


def test_a_hook_may_compute_anything() -> None:
    layer = nn.Linear(2, 1)
    layer.register_forward_hook(lambda module, inputs, output: 10 * output)
    with pytest.raises(eqgan.UnsupportedGame, match="with hooks"):
        box_maximum(nn.Sequential(layer), [0.0, 0.0], [1.0, 1.0])


def test_a_forward_of_its_own_may_compute_anything() -> None:
    layer = nn.Linear(2, 1)
    layer.forward = lambda x: 10 * x  # type: ignore[method-assign,assignment]
    with pytest.raises(eqgan.UnsupportedGame, match="forward of its own"):
        box_maximum(nn.Sequential(layer), [0.0, 0.0], [1.0, 1.0])


def test_bounds_that_are_no_box_are_refused() -> None:
    layer = nn.Linear(2, 1)
    for low, high in (([0.0], [1.0, 1.0]), ([2.0, 0.0], [1.0, 1.0]), ([0.0, 0.0], [1.0, 1e400])):
        with pytest.raises(eqgan.InvalidInput, match="ends of a box"):
            box_maximum(layer, low, high)
    with pytest.raises(eqgan.InvalidInput, match="tolerance should be a finite number > 0"):
        box_maximum(layer, [0.0, 0.0], [1.0, 1.0], tolerance=0.0)
    with pytest.raises(eqgan.InvalidInput, match=r"torch\.nn\.Module"):
        box_maximum(lambda x: x, [0.0], [1.0])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("last", "low", "high"),
    [(nn.Tanh(), -1.0, 1.0), (nn.Sigmoid(), 0.0, 1.0), (nn.Hardtanh(-0.5, 0.25), -0.5, 0.25)],
    ids=lambda value: type(value).__name__,
)
def test_the_last_layer_says_where_samples_lie(last: nn.Module, low: float, high: float) -> None:
    data = torch.rand(20, 2, generator=torch.Generator().manual_seed(0))
    gan = eqgan.games.GAN(nn.Sequential(nn.Linear(2, 2), last), nn.Linear(2, 1), data, 2)
    game = eqgan.games.FixedGAN.draw(gan, 20)
    z = game.initial(game.generator(0)).replace(1, torch.tensor([2.0, -1.0, 0.5]).double())
    search = eqgan.GradientOracle(steps=1, restarts=0)
    proof = eqgan.certify(game, z, eqgan.BoundOracle(search))
    # The discriminator 2 a - b + 1/2 says most at (high, low).
    real = game.data @ torch.tensor([2.0, -1.0]).double() + 0.5
    floor = logsigmoid(real).mean() + logsigmoid(torch.tensor(-(2 * high - low + 0.5)))
    for end in (proof.lower, proof.upper):
        assert float(end[0]) == pytest.approx(float(game.payoff(z) - floor), abs=1e-6)
