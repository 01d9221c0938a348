"""Integer linear systems, null spaces and cones, held against their definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eqgan.exact.double_description import extreme_rays
from eqgan.exact.lifting import (
    PRIMES,
    inverse_modulo,
    nonsingular_block,
    null_space,
    solve_integers,
)


@st.composite
def integers(draw: st.DrawFn, least: int = -4, most: int = 4) -> np.ndarray:
    m, n = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    rows = st.lists(st.integers(least, most), min_size=n, max_size=n)
    return np.array(draw(st.lists(rows, min_size=m, max_size=m)), dtype=object)


@given(integers(), st.data())
def test_linear_systems_are_solved_exactly(matrix: np.ndarray, data: st.DataObject) -> None:
    rows, columns = nonsingular_block(matrix)
    assert len(rows) == len(columns) == np.linalg.matrix_rank(matrix.astype(float))
    big = data.draw(st.sampled_from([1, 10**30]))
    block = matrix[np.ix_(rows, columns)] * big
    right = np.array(data.draw(st.lists(st.integers(-9, 9), min_size=6, max_size=6)), dtype=object)
    right = right[: len(rows)]
    if rows:
        found = solve_integers(block, right, inverse_modulo(block))
        assert (block @ found[:-1] == found[-1] * right).all()
        assert found[-1] > 0
    basis = null_space(matrix)
    assert basis.shape == (matrix.shape[1], matrix.shape[1] - len(rows))
    assert (matrix @ basis == 0).all()


@given(integers())
def test_extreme_rays_span_the_cone(g: np.ndarray) -> None:
    rays = extreme_rays(g)
    assert rays is not None
    q = g.shape[1]
    constraints = np.vstack((np.eye(q, dtype=int).astype(object), g))
    for ray in rays:
        products = constraints @ ray
        assert (products >= 0).all()
        assert math.gcd(*ray) == 1
        # Extreme: the constraints that it meets leave one direction only.
        tight = constraints[products == 0]
        assert np.linalg.matrix_rank(tight.astype(float)) == q - 1 if q > 1 else True
    assert len({tuple(ray) for ray in rays}) == len(rays)
    brute = set()
    for chosen in itertools.combinations(range(len(constraints)), q - 1):
        directions = null_space(constraints[list(chosen)].reshape(-1, q))
        if directions.shape[1] == 1:
            for ray in (directions[:, 0], -directions[:, 0]):
                if (constraints @ ray >= 0).all():
                    brute.add(tuple(ray // math.gcd(*ray)))
    assert {tuple(ray) for ray in rays} == brute


def test_a_prime_that_divides_a_minor_is_replaced() -> None:
    assert nonsingular_block(np.array([[PRIMES[0], 0]])) == ([], [])
    assert null_space(np.array([[PRIMES[0], 0]])).tolist() == [[0], [1]]
