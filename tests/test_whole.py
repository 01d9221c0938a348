"""Whole numbers: every argument that counts something takes the same ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import eqgan
from eqgan import games, solvers
from eqgan.data import Streamed, digits, ring
from eqgan.gan import Quality
from eqgan.gan.metrics import kernel_distance
from eqgan.whole import is_whole

torch.set_num_threads(1)

DATA = torch.randn(20, 2)
PENNIES = games.matching_pennies()


def gan(**options: Any) -> games.GAN:
    return games.GAN(nn.Linear(2, 2), nn.Linear(2, 1), DATA, **{"noise_dim": 2, **options})


COUNTS: dict[str, Callable[[Any], Any]] = {
    "alternating steps": lambda n: solvers.AlternatingGradient(steps=(1, n)),
    "averaging": lambda n: solvers.Averaged(power=n),
    "batch size": lambda n: gan(batch_size=n),
    "blotto": lambda n: games.Blotto(3, (5, n)),
    "box": lambda n: eqgan.Box((n,), -1, 1),
    "certify batches": lambda n: eqgan.certify(PENNIES, ([1, 0], [1, 0]), batches=n),
    "certify seed": lambda n: eqgan.certify(PENNIES, ([1, 0], [1, 0]), seed=n),
    "check_every": lambda n: eqgan.solve(PENNIES, check_every=n),
    "colonel blotto": lambda n: games.colonel_blotto(n, 3),
    "compare": lambda n: eqgan.compare(["matching_pennies"], ["pivoting"], evaluations=n),
    "consensus": lambda n: solvers.CompetitiveGradient(iterations=n),
    "digits": lambda n: digits(size=n),
    "dims": lambda n: games.ContinuousGame(torch.multiply, dims=(n, n)),
    "fixed": lambda n: games.FixedGAN.draw(gan(), n),
    "follow the ridge": lambda n: solvers.FollowTheRidge(iterations=n),
    "generator": lambda n: PENNIES.generator(n),
    "grid": lambda n: eqgan.GridOracle(rounds=n),
    "horizon": lambda n: solvers.MultiplicativeWeights(horizon=n),
    "kernel distance": lambda n: kernel_distance(DATA, DATA, subsets=n),
    "lookahead": lambda n: solvers.Lookahead(k=n),
    "matrix free": lambda n: games.MatrixFree((n, 1), lambda y: y, lambda x: x),
    "max_steps": lambda n: eqgan.solve(PENNIES, max_steps=n),
    "mixed": lambda n: games.Mixed(gan(), (1, n)),
    "mlp": lambda n: eqgan.gan.networks.mlp([2, n]),
    "noise_dim": lambda n: gan().generate(gan().initial(gan().generator(0)), 2, chunk=n),
    "proximal point": lambda n: solvers.ProximalPoint(iterations=n),
    "quality": lambda n: Quality(DATA, every=n),
    "random game": lambda n: games.random_game("integer", (2, n)),
    "restarted": lambda n: solvers.Restarted(every=n),
    "restarts": lambda n: eqgan.GradientOracle(restarts=n),
    "ring": lambda n: ring(n),
    "seed of a game": lambda n: games.tournament(3, seed=n),
    "seed of data": lambda n: ring(5, seed=n),
    "seed of quality": lambda n: Quality(DATA, seed=n),
    "seed of solve": lambda n: eqgan.solve(PENNIES, seed=n),
    "seeds": lambda n: eqgan.compare(["matching_pennies"], ["pivoting"], seeds=[n]),
    "strongly monotone": lambda n: games.strongly_monotone(n),
    "streamed": lambda n: Streamed(torch.utils.data.TensorDataset(DATA), workers=n),
    "support polish": lambda n: solvers.SupportPolish(every=n),
    "tournament": lambda n: games.tournament(n),
    "unrolled": lambda n: solvers.Unrolled(k=n),
}


@pytest.mark.parametrize("name", COUNTS)
def test_pythons_and_numpys_whole_numbers_and_no_others(name: str) -> None:
    for number in (1, np.int64(1), np.uint8(1)):
        COUNTS[name](number)
    for other in (True, np.True_, 1.0, np.float64(1), "1", 1j, torch.ones(1).long()):
        with pytest.raises(eqgan.InvalidInput):
            COUNTS[name](other)


def test_numbers_of_more_than_64_bits_count_nothing() -> None:
    assert [is_whole(n) for n in (-(2**63), 2**63 - 1, 2**63)] == [True, True, False]
    with pytest.raises(eqgan.InvalidInput, match="n should be a whole number >= 1; got 1e"):
        ring(1e30)  # type: ignore[arg-type]


def test_a_run_by_a_solver_with_numpys_numbers_is_the_same_run(tmp_path: Any) -> None:
    options: dict[str, Any] = dict(max_steps=4, checkpoint=tmp_path / "run.ckpt", resume=True)
    first = eqgan.solve(PENNIES, solvers.Lookahead(k=np.int64(3)), **options)
    again = eqgan.solve(PENNIES, solvers.Lookahead(k=3), **options)
    assert first.profile.equal(again.profile)
