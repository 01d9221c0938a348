"""Laws of small random matrix games with many ties, held against the linear program."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import eqgan
from eqgan.games import MatrixGame
from eqgan.solvers import LinearProgram

SIZES = st.integers(1, 8)


@st.composite
def payoffs(draw: st.DrawFn, least: int = -3, most: int = 3) -> np.ndarray:
    """Return an integer matrix up to 8 x 8; few values, so that ties and dominance abound."""
    m, n = draw(SIZES), draw(SIZES)
    rows = st.lists(st.integers(least, most), min_size=n, max_size=n)
    return np.array(draw(st.lists(rows, min_size=m, max_size=m)), dtype=float)


@st.composite
def mixed_strategy(draw: st.DrawFn, n: int) -> np.ndarray:
    weights = draw(st.lists(st.integers(0, 5), min_size=n, max_size=n).filter(any))
    return np.array(weights, dtype=float) / sum(weights)


def solved(a: np.ndarray) -> eqgan.Result:
    """Return the program's answer; without tolerance, so that no start is good enough already."""
    return eqgan.solve(MatrixGame(a), LinearProgram(), tol=0)


def value(a: np.ndarray) -> float:
    result = solved(a)
    assert isinstance(result.value, float)
    return result.value


@given(st.data())
def test_no_profile_has_a_negative_gap(data: st.DataObject) -> None:
    a = data.draw(payoffs())
    x, y = (data.draw(mixed_strategy(n)) for n in a.shape)
    game = MatrixGame(a)
    found = game.regrets(game.as_profile((x, y)))
    assert found is not None
    regrets, worth = found
    assert bool((regrets >= -1e-14).all())
    proof = eqgan.certify(game, (x, y))
    assert proof.exact
    assert proof.nash_conv >= 0
    # The value lies between what each player can secure: inside [worth - r_y, worth + r_x].
    lower, upper = float(worth - regrets[1]), float(worth + regrets[0])
    assert lower - 1e-9 <= value(a) <= upper + 1e-9
    assert np.isclose(proof.nash_conv, (a @ y).max() - (x @ a).min(), atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 3), (9, 5), (19, 21), (20, 20), (40, 30)])
def test_regrets_of_a_batch_are_those_of_its_games(m: int, n: int, dtype: torch.dtype) -> None:
    """Matrices below and above the size from which torch asks BLAS; a profile with gradients."""
    rng = torch.Generator().manual_seed(m)
    a = torch.randn(2, 5, m, n, generator=rng, dtype=dtype)
    x, y = (torch.rand(2, 5, k, generator=rng, dtype=dtype).softmax(-1) for k in (m, n))
    together = MatrixGame(a).regrets(eqgan.Profile((x, y)).attached())
    for batch in np.ndindex(2, 5):
        alone = MatrixGame(a[batch]).regrets(eqgan.Profile((x[batch], y[batch])))
        for ours, theirs in zip(together, alone, strict=True):
            assert torch.allclose(ours[..., *batch], theirs, rtol=0, atol=1e-14)


@given(payoffs())
def test_the_linear_program_leaves_no_gap(a: np.ndarray) -> None:
    assert solved(a).certificate.nash_conv <= 1e-9 * np.ptp(a)


@given(payoffs(), st.integers(-1000, 1000), st.sampled_from([1e-12, 1e-3, 7.0, 1e19]))
def test_shift_and_scale_move_the_value_along(a: np.ndarray, shift: int, scale: float) -> None:
    assert np.isclose(value(a + shift), value(a) + shift, rtol=0, atol=1e-9)
    assert np.isclose(value(a * scale), value(a) * scale, rtol=0, atol=1e-9 * scale)
    assert solved(a * scale).certificate.nash_conv <= 1e-9 * scale * np.ptp(a)


@given(payoffs())
def test_exchanging_the_players_changes_the_sign(a: np.ndarray) -> None:
    assert np.isclose(value(-a.T), -value(a), rtol=0, atol=1e-9)


@given(st.data())
def test_the_order_and_the_repetition_of_actions_do_not_matter(data: st.DataObject) -> None:
    a = data.draw(payoffs())
    rows = data.draw(st.permutations(range(a.shape[0])))
    columns = data.draw(st.permutations(range(a.shape[1])))
    again = a[[*rows, rows[0]]][:, columns]
    assert np.isclose(value(again), value(a), rtol=0, atol=1e-9)


@given(payoffs())
def test_the_certificate_of_a_batch_is_that_of_its_games(a: np.ndarray) -> None:
    batch = MatrixGame(np.stack([a, -2 * a, a + 1]))
    proof = eqgan.certify(batch, batch.initial(batch.generator(0)))
    alone = [
        eqgan.certify(game, game.initial(game.generator(0))).nash_conv
        for game in map(MatrixGame, (a, -2 * a, a + 1))
    ]
    assert torch.allclose(
        torch.as_tensor(proof.nash_conv), torch.tensor(alone).double(), atol=1e-12
    )
