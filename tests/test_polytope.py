"""Strategy sets given by linear constraints: polytopes, unit flows, hypersimplices."""

import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

import eqgan
from eqgan import FlowPolytope, Hypersimplex, Polytope, Simplex

DIAMOND = FlowPolytope([0, 0, 1, 1, 2], [1, 2, 2, 3, 3], 0, 3)
CYCLIC = FlowPolytope([0, 1, 2, 2, 1, 0], [1, 2, 1, 3, 3, 3], 0, 3)
PARALLEL = FlowPolytope([0, 0, 0, 1], [1, 1, 1, 2], 0, 2)
SPACES = [
    Polytope(G=[[1.0, 2.0, 0.5], [-1.0, 1.0, 0.0]], h=[2.0, 0.5], high=1.5),
    Polytope(G=[[1.0, 0.0, 0.0]], h=[0.2], E=[[1.0, 1.0, 1.0]], f=[1.0]),
    Polytope(G=[[1.0, 1.0], [-1.0, 2.0]], h=[1.0, 1.0], low=-2.0),
    Polytope(E=[[1.0, -1.0, 2.0]], f=[0.5], low=[-1.0, 0.0, -math.inf], high=[1.0, 3.0, math.inf]),
    DIAMOND,
    CYCLIC,
    PARALLEL,
    Hypersimplex(5, 2),
    Hypersimplex(4, 1),
    Hypersimplex(4, 4),
]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(space: eqgan.Space, seed: int, batch: tuple[int, ...] = ()) -> torch.Tensor:
    return 2 * torch.randn(batch + space.shape, generator=rng(seed), dtype=torch.float64)


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_projection_is_idempotent_and_nearest(space: eqgan.Space) -> None:
    for seed in range(3):
        x = gaussian(space, seed)
        nearest = space.project(x)
        assert space.violation(nearest) < 1e-11
        torch.testing.assert_close(space.project(nearest), nearest, rtol=0, atol=1e-9)
        # Every other point of a convex set lies behind the plane through the projection.
        others = space.sample(rng(seed), (20,), dtype=torch.float64)
        assert float(((x - nearest) * (others - nearest)).sum(-1).max()) < 1e-9


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_minimizer_is_never_beaten(space: eqgan.Space) -> None:
    g = gaussian(space, 1)
    best = space.minimizer(g)
    assert space.violation(best) < 1e-10
    others = space.sample(rng(2), (50,), dtype=torch.float64)
    assert float((g * best).sum()) <= float((others @ g).min()) + 1e-9


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_samples_and_centre_lie_in_the_set(space: eqgan.Space) -> None:
    samples = space.sample(rng(), (20,), dtype=torch.float64)
    assert samples.shape == (20, *space.shape)
    assert space.violation(samples) < 1e-10
    centre = space.center((2,), dtype=torch.float64)
    assert centre.shape == (2, *space.shape)
    assert space.violation(centre) < 1e-10


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_batch_equals_loop(space: eqgan.Space) -> None:
    x = gaussian(space, 2, (2, 2))
    for function in (space.project, space.minimizer):
        looped = torch.stack([torch.stack([function(v) for v in row]) for row in x])
        torch.testing.assert_close(function(x), looped, rtol=0, atol=1e-9)


def test_projections_agree_with_the_simplex() -> None:
    written = Polytope(E=[[1.0] * 6], f=[1.0])
    for seed in range(5):
        x = gaussian(Simplex(6), seed)
        torch.testing.assert_close(written.project(x), Simplex(6).project(x), rtol=0, atol=1e-12)
        torch.testing.assert_close(
            Hypersimplex(6, 1).project(x), Simplex(6).project(x), rtol=0, atol=1e-14
        )


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=10), st.data())
def test_hypersimplex_projections_add_up(values: list[float], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(values)))
    x = Hypersimplex(len(values), k).project(torch.tensor(values, dtype=torch.float64))
    assert float(x.min()) >= 0
    assert float(x.max()) <= 1
    assert float(x.sum()) == pytest.approx(k, abs=1e-9)


@pytest.mark.parametrize("flows", [DIAMOND, CYCLIC, PARALLEL], ids=repr)
def test_shortest_paths_solve_the_linear_program(flows: FlowPolytope) -> None:
    """With lengths of either sign, where a cycle may shorten what a path cannot."""
    for seed in range(10):
        g = gaussian(flows, seed)
        for lengths in (g, g.abs(), g.clamp_min(0)):
            program = linprog(lengths.numpy(), A_eq=flows.E, b_eq=flows.f, bounds=(0, 1))
            found = flows.minimizer(lengths)
            assert float(lengths @ found) == pytest.approx(program.fun, abs=1e-9)
            assert set(found.tolist()) <= {0.0, 1.0}


def test_flows_are_paths_and_their_probabilities() -> None:
    flow = torch.tensor([0.25, 0.75, 0.25, 0.0, 1.0], dtype=torch.float64)
    assert DIAMOND.paths(flow) == [([1, 4], 0.75), ([0, 2, 4], 0.25)]
    # The unit that circles between nodes 1 and 2 gets nowhere.
    circling = torch.tensor([1.0, 0.5, 0.5, 0.0, 1.0, 0.0], dtype=torch.float64)
    assert CYCLIC.paths(circling) == [([0, 4], 1.0)]


@given(st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4))
def test_paths_of_a_flow_make_up_the_flow(shares: list[float]) -> None:
    weights = torch.tensor(shares, dtype=torch.float64) + 1e-3
    weights /= weights.sum()
    costs = torch.eye(5, dtype=torch.float64)[:4]
    flow = weights @ DIAMOND.minimizer(costs)
    again = torch.zeros_like(flow)
    for arcs, share in DIAMOND.paths(flow):
        again[arcs] += share
    torch.testing.assert_close(again, flow, rtol=0, atol=1e-8)


def test_strategies_keep_dtype_and_compiled_programs_stay_behind() -> None:
    space = SPACES[0]
    assert space.project(torch.ones(3)).dtype == torch.float32
    assert space.minimizer(torch.ones(3)).dtype == torch.float32
    copy = pickle.loads(pickle.dumps(space))
    torch.testing.assert_close(copy.project(torch.ones(3)), space.project(torch.ones(3)))


def test_a_nan_is_off_the_set() -> None:
    assert math.isnan(SPACES[0].violation(torch.tensor([math.nan, 0.0, 0.0])))


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Polytope(), "got neither"),
        (lambda: Polytope(G=[[1.0, 1.0]]), "h of shape"),
        (lambda: Polytope(G=[[1.0, 1.0]], h=[1.0, 2.0]), "got"),
        (lambda: Polytope(G=[[1.0, 1.0]], h=[1.0], E=[[1.0]], f=[1.0]), "as many columns"),
        (lambda: Polytope(G=[[1.0, np.nan]], h=[1.0]), "finite"),
        (lambda: Polytope(G="words", h=[1.0]), "numbers"),
        (lambda: Polytope(G=[[1.0, 1.0]], h=[1.0], low=[0.0] * 3), "low should be"),
        (lambda: Polytope(G=[[1.0, 1.0]], h=[1.0], high=math.nan), "NaN"),
        (lambda: Polytope(G=[[1.0, 1.0]], h=[-1.0]), "No point satisfies"),
        (lambda: Polytope(G=[[1.0, -1.0]], h=[1.0]), "unbounded"),
        (lambda: Polytope(G=[[1.0, 1.0]], h=[1.0], low=-math.inf), "unbounded"),
        (lambda: FlowPolytope([0, 2], [1, 3], 0, 3), "No path"),
        (lambda: FlowPolytope([0], [1], 0, 0), "differ"),
        (lambda: FlowPolytope([0], [1, 2], 0, 1), "equally long"),
        (lambda: FlowPolytope([0.5], [1], 0, 1), "node numbers"),
        (lambda: FlowPolytope([], [], 0, 1), "No path"),
        (lambda: Hypersimplex(3, 4), "1 <= k <= n"),
        (lambda: Hypersimplex(3, 0), "1 <= k <= n"),
    ],
)
def test_impossible_sets_are_refused(build, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(eqgan.InvalidInput, match=said):
        build()
