import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import eqgan
from eqgan import Ball, Box, Euclidean, Product, Simplex, Stacked

SPACES = [
    Euclidean((4,)),
    Simplex(4),
    Simplex(4, "euclidean"),
    Box((4,), -0.5, 2.0),
    Ball(4, 1.5),
    Stacked(Simplex(4), 3),
    Stacked(Ball(4), 2),
]
BOUNDED = [space for space in SPACES if space.bounded]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(space: eqgan.Space, seed: int, batch: tuple[int, ...] = ()) -> torch.Tensor:
    return 2 * torch.randn(batch + space.shape, generator=rng(seed), dtype=torch.float64)


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_projection_is_idempotent_and_nearest(space: eqgan.Space) -> None:
    x = gaussian(space, 0)
    nearest = space.project(x)
    assert space.violation(nearest) < 1e-12
    for seed in range(20):
        other = space.sample(rng(seed), dtype=torch.float64)
        # Every other point of a convex set lies behind the plane through the projection.
        assert float(((x - nearest) * (other - nearest)).sum()) < 1e-9


@pytest.mark.parametrize("space", BOUNDED, ids=repr)
def test_minimizer_is_never_beaten(space: eqgan.Space) -> None:
    g = gaussian(space, 1)
    best = space.minimizer(g)
    assert space.violation(best) < 1e-12
    for seed in range(50):
        other = space.sample(rng(seed), dtype=torch.float64)
        assert float((g * best).sum()) <= float((g * other).sum()) + 1e-12


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_samples_and_centre_lie_in_the_set(space: eqgan.Space) -> None:
    samples = space.sample(rng(), (50,), dtype=torch.float64)
    assert samples.shape == (50, *space.shape)
    assert space.violation(samples) < 1e-12
    assert space.violation(space.center((2,), dtype=torch.float64)) < 1e-12


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_batch_equals_loop(space: eqgan.Space) -> None:
    x, d = space.sample(rng(), (5,), dtype=torch.float64), gaussian(space, 2, (5,))
    for batched, looped in (
        (space.project(d), torch.stack([space.project(v) for v in d])),
        (space.prox(x, d), torch.stack([space.prox(u, v) for u, v in zip(x, d, strict=True)])),
    ):
        torch.testing.assert_close(batched, looped, rtol=0, atol=1e-14)


def test_entropic_prox_minimises_its_objective() -> None:
    x = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    d = torch.tensor([1.0, -0.5, 0.2], dtype=torch.float64)

    def objective(logits):  # type: ignore[no-untyped-def]
        u = torch.softmax(torch.as_tensor(logits), 0)
        return float((d * u).sum() + (u * (u / x).log()).sum())

    best = minimize(objective, [0.0, 0.0, 0.0], tol=1e-12).x
    expected = torch.softmax(torch.as_tensor(best), 0)
    torch.testing.assert_close(Simplex(3).prox(x, d), expected, atol=1e-5, rtol=0)


def test_an_underflowed_action_can_come_back() -> None:
    simplex, x = Simplex(2), torch.tensor([1.0, 0.0], dtype=torch.float64)
    for _ in range(3):
        x = simplex.prox(x, torch.tensor([400.0, 0.0], dtype=torch.float64))
    assert float(x[1]) > 0.99


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
def test_simplex_projection_of_anything_is_a_distribution(values: list[float]) -> None:
    x = Simplex(len(values)).project(torch.tensor(values, dtype=torch.float64))
    assert float(x.min()) >= 0
    assert math.isclose(float(x.sum()), 1.0, abs_tol=1e-9)


def test_product_acts_part_by_part() -> None:
    space = Product({"weights": Simplex(2), "atoms": Euclidean((2, 3))})
    z = space.sample(rng(), dtype=torch.float64)
    d = {"weights": torch.zeros(2), "atoms": torch.ones(2, 3)}
    moved = space.prox(z, d)
    torch.testing.assert_close(moved["weights"], z["weights"])
    torch.testing.assert_close(moved["atoms"], z["atoms"] - 1)
    assert not space.bounded


@pytest.mark.parametrize(
    "build",
    [
        lambda: Simplex(0),
        lambda: Euclidean(0),
        lambda: Box((2.5,)),
        lambda: Simplex(3, "hyperbolic"),
        lambda: Box((1,), 2.0, 1.0),
        lambda: Box((1,), 0.0, math.inf),
        lambda: Ball(2, 0.0),
    ],
)
def test_impossible_sets_are_refused(build) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(eqgan.InvalidInput, match="got"):
        build()


def test_linear_minimisation_on_an_unbounded_set_is_refused() -> None:
    with pytest.raises(eqgan.UnsupportedGame, match="unbounded"):
        Euclidean((2,)).minimizer(torch.ones(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e4, 1e8, 1e30])
def test_simplex_projection_of_large_entries_stays_in_the_set(
    scale: float, dtype: torch.dtype
) -> None:
    x = scale * torch.tensor([1.0, 0.25, -3.0], dtype=dtype)
    assert Simplex(3).project(x).tolist() == [1.0, 0.0, 0.0]
    many = scale + torch.rand(100, generator=rng(), dtype=dtype)
    assert float(Simplex(100).project(many).sum()) == pytest.approx(1.0, abs=1e-5)


def test_a_number_is_a_shape() -> None:
    assert Euclidean(3) == Euclidean((3,))
    assert Box(2).center().shape == (2,)


def test_corners_of_a_box_are_its_own_in_double_precision() -> None:
    g = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64)
    assert Box((3,), -0.1, 0.3).minimizer(g).tolist() == [-0.1, 0.3, 0.5 * (-0.1 + 0.3)]
