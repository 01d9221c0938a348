"""Payoffs of every kind: the same products and answers, and nothing built that need not be."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
from torch import Tensor

import eqgan
from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.games import LowRank, MatrixFree, MatrixGame
from eqgan.games.payoffs import Dense, Payoffs
from eqgan.games.sparse import Sparse

EXAMPLE = Path(__file__).parents[1] / "examples" / "sharded_game.py"


def drawn(seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    u, v = (torch.randn(n, 3, generator=rng, dtype=dtype) for n in (40, 31))
    return u, v


def held(kind: str, dtype: torch.dtype = torch.float64) -> Payoffs:
    """The same payoffs in each of the ways to hold them."""
    u, v = drawn(dtype=dtype)
    table = u @ v.mT
    if kind == "sparse":
        return Sparse(scipy.sparse.coo_array(table.numpy()))
    if kind == "torch sparse":
        return Sparse(table.to_sparse())
    if kind == "low rank":
        return LowRank(u, v)
    if kind == "matrix-free":
        bounds = (float(table.min()), float(table.max()))
        return MatrixFree(
            (40, 31), lambda y: table @ y, lambda x: table.mT @ x, bounds=bounds, dtype=dtype
        )
    if kind == "blocks":
        return MatrixFree.from_blocks((40, 31), lambda i, j: table[i, j], dtype=dtype)
    return Dense(table)


KINDS = ["dense", "sparse", "torch sparse", "low rank", "matrix-free", "blocks"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_products(kind: str, dtype: torch.dtype) -> None:
    payoffs, table = held(kind, dtype), held("dense", dtype).dense()
    rng = torch.Generator().manual_seed(1)
    y, x = (torch.rand(n, generator=rng, dtype=dtype) for n in (31, 40))
    assert payoffs.shape == (40, 31)
    assert payoffs.dtype == dtype
    torch.testing.assert_close(payoffs.times(y), table @ y)
    torch.testing.assert_close(payoffs.transposed(x), table.mT @ x)
    torch.testing.assert_close(payoffs.columns(torch.tensor([3, 30])), table[:, [3, 30]])
    # Certificates ask in float64 whatever the payoffs are held in.
    wide = payoffs.times(y.double())
    assert wide.dtype == torch.float64
    torch.testing.assert_close(wide, table.double() @ y.double(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_extent_and_norm(kind: str) -> None:
    payoffs, table = held(kind), held("dense").dense()
    centred = table - table.mean(0)
    norm = float(torch.linalg.matrix_norm(centred - centred.mean(1, keepdim=True), 2))
    assert norm <= float(payoffs.centred_norm()) <= 1.02 * norm
    if kind == "blocks":
        assert payoffs.extent() is None
        return
    extent = payoffs.extent()
    assert extent is not None
    low, high = extent
    torch.testing.assert_close(torch.stack((low, high)), torch.stack(torch.aminmax(table)))


@pytest.mark.parametrize(
    "table",
    [
        torch.randn(200, 300, generator=torch.Generator().manual_seed(0)),
        torch.rand(3, 60, 50, generator=torch.Generator().manual_seed(0)).double(),
        torch.ones(50, 60).double() * 1e9,
        torch.arange(50.0)[:, None].double() + torch.arange(60.0),
        torch.diag(torch.logspace(-8, 8, 64)).double(),
    ],
    ids=["normal", "batch", "constant", "additive", "diagonal"],
)
def test_centred_norm_is_a_close_bound(table: Tensor) -> None:
    centred = table - table.mean(-1, keepdim=True)
    exact = torch.linalg.matrix_norm(centred - centred.mean(-2, keepdim=True), 2)
    found = Dense(table).centred_norm()
    noise = 1e-6 * table.abs().amax()
    assert bool((exact <= found + noise).all())
    assert bool((found <= 1.02 * exact + noise).all())


def test_a_sparse_matrix_leaves_zeros_in_the_range() -> None:
    game = MatrixGame(scipy.sparse.csr_matrix(np.array([[2, 0], [3, 4]])))
    assert game.dtype == torch.float64
    assert "from 0 to 4" in repr(game)
    full = MatrixGame(scipy.sparse.csr_matrix(np.array([[2, 1], [3, 4]])))
    assert "from 1 to 4" in repr(full)
    repeated = scipy.sparse.coo_array(([1.0, 1.0], ([0, 0], [1, 1])), shape=(2, 2))
    assert MatrixGame(repeated).payoff_matrix.tolist() == [[0, 2], [0, 0]]


@pytest.mark.parametrize("kind", KINDS)
def test_one_game_however_it_is_held(kind: str) -> None:
    game, dense = MatrixGame(held(kind)), MatrixGame(held("dense"))
    z = dense.random(dense.generator(3))
    ours, theirs = eqgan.certify(game, z), eqgan.certify(dense, z)
    torch.testing.assert_close(ours.lower, theirs.lower)
    torch.testing.assert_close(ours.value, theirs.value)
    for one, other in zip(game.jvp(z, z), dense.jvp(z, z), strict=True):
        torch.testing.assert_close(one, other)
    for one, other in zip(game.vjp(z, z), dense.vjp(z, z), strict=True):
        torch.testing.assert_close(one, other)
    run = eqgan.solve(game, "regret_matching_plus", max_steps=200)
    same = eqgan.solve(dense, "regret_matching_plus", max_steps=200)
    torch.testing.assert_close(run.profile[0], same.profile[0])


def higher_wins(n: int) -> MatrixFree:
    def wins(y: Tensor) -> Tensor:
        below = y.cumsum(0)
        return 2 * below - y - below[-1]

    return MatrixFree((n, n), wins, lambda x: -wins(x), bounds=(-1, 1))


def test_matrix_free_never_builds_the_matrix() -> None:
    """A million actions a player: the matrix would take eight terabytes."""
    game = MatrixGame(higher_wins(1_000_000))
    run = eqgan.solve(game, "regret_matching_plus", max_steps=3)
    assert run.certificate.exact
    assert "1000000 x 1000000" in repr(game)
    top = torch.zeros(1_000_000, dtype=torch.float64)
    top[-1] = 1
    assert eqgan.certify(game, (top, top)).nash_conv == 0


@pytest.mark.parametrize("solver", ["linear_program", "interior_point", "support_polish"])
def test_solvers_that_need_the_table_say_so(solver: str) -> None:
    with pytest.raises(UnsupportedGame, match="known by its products only"):
        eqgan.solve(MatrixGame(higher_wins(10)), solver)


def test_float32_games_need_no_second_copy() -> None:
    """Peak memory of measuring and stepping stays far below that of another copy."""
    script = """
import resource, torch, eqgan
torch.set_num_threads(1)
n = 8000
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
eqgan.solve(eqgan.games.MatrixGame(torch.rand(50, 50)), "regret_matching_plus", max_steps=3)
table = torch.empty(n, n).uniform_()
before = peak()
game = eqgan.games.MatrixGame(table)
eqgan.solve(game, "regret_matching_plus", max_steps=3)
print((peak() - before) / (table.numel() * 4))
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert float(result.stdout) < 0.3  # of a copy of the payoffs


WIDE = torch.ones(3, 2, dtype=torch.float64)

WRONG = {
    "a shape of three": lambda: MatrixFree((1, 2, 3), lambda y: y, lambda x: x),  # type: ignore[arg-type]
    "no transpose": lambda: MatrixFree((3, 3), lambda y: y * torch.arange(3), lambda x: x),
    "a wrong length": lambda: MatrixFree((3, 2), lambda y: y, lambda x: x[:2]),
    "a wrong dtype": lambda: MatrixFree((3, 3), lambda y: y.float(), lambda x: x),
    "no tensor": lambda: MatrixFree((3, 3), lambda y: 0, lambda x: x),  # type: ignore[arg-type, return-value]
    "NaN": lambda: MatrixFree((3, 3), lambda y: y * torch.nan, lambda x: x),
    "bounds upside down": lambda: MatrixFree((3, 3), lambda y: y, lambda x: x, bounds=(1, 0)),
    "ranks that differ": lambda: LowRank(torch.ones(3, 2), torch.ones(3, 1)),
    "a vector": lambda: LowRank(torch.ones(3), torch.ones(3)),
    "whole numbers": lambda: LowRank(torch.ones(3, 1).int(), torch.ones(3, 1).int()),
    "text for factors": lambda: LowRank("u", "v"),
    "ragged factors": lambda: LowRank([[1.0, 2.0], [3.0]], [[1.0]]),
    "factors whose product overflows": lambda: LowRank(1e200 * WIDE, 1e200 * WIDE),
    "no functions": lambda: MatrixFree((3, 3), 1, 2),  # type: ignore[arg-type]
    "bounds that are text": lambda: MatrixFree((3, 3), abs, abs, bounds="ab"),  # type: ignore[arg-type]
    "bounds too far apart": lambda: MatrixFree((3, 3), abs, abs, bounds=(-1e308, 1e308)),
    "no pair of sizes": lambda: MatrixFree.from_blocks(5, torch.add),  # type: ignore[arg-type]
    "blocks of a wrong shape": lambda: MatrixFree.from_blocks((3, 2), lambda i, j: i.double()),
    "complex sparse payoffs": lambda: Sparse(scipy.sparse.csr_array([[1j, 2]])),
    "complex sparse tensors": lambda: Sparse(torch.eye(2, dtype=torch.complex64).to_sparse()),
    "a batch of sparse payoffs": lambda: MatrixGame(torch.ones(2, 3, 3).to_sparse()),
    "a sparse vector": lambda: MatrixGame(scipy.sparse.coo_array([1.0, 2.0])),
    "a sparse game without rows": lambda: MatrixGame(scipy.sparse.csr_array((0, 4))),
    "a sparse range that overflows": lambda: MatrixGame(
        scipy.sparse.csr_array([[1e308, 0], [0, -1e308]])
    ),
    "masked payoffs": lambda: MatrixGame(np.ma.masked_equal([[1.0, 2.0]], 2.0)),
    "payoffs without values": lambda: MatrixGame(torch.zeros(2, 2, device="meta")),
    "a value that is none": lambda: MatrixGame([[1]], value="a"),  # type: ignore[arg-type]
    "infinite factors": lambda: LowRank(torch.ones(3, 1) / 0, torch.ones(3, 1)),
    "infinite entries": lambda: Sparse(scipy.sparse.csr_array([[np.inf, 0.0]])),
    "complex entries": lambda: Sparse(torch.eye(2, dtype=torch.complex64).to_sparse()),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_payoffs_are_refused_in_one_sentence(case: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        WRONG[case]()
    assert re.search(r"expect|should|returned", str(caught.value))
    assert "\n" not in str(caught.value)


def test_sparse_half_precision_is_held_in_float64_like_dense() -> None:
    game = MatrixGame(torch.eye(3).half().to_sparse())
    assert game.dtype == torch.float64
    assert eqgan.solve(game).value == pytest.approx(1 / 3)


def test_two_processes_equal_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows spread over two gloo processes give the run of one process, to rounding."""
    command = [str(EXAMPLE), "--size", "101", "--steps", "300"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    result = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert "101 x 101, Sharded" in result.stdout
    assert "each process holds 5,050 of 10,201" in result.stdout
    monkeypatch.setattr(sys, "argv", command)
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    outputs = capsys.readouterr().out, result.stdout
    values = [re.search(r"after \d+ steps, value \S+", text) for text in outputs]
    assert values[0] is not None
    assert values[1] is not None
    assert values[0].group() == values[1].group()


IN_TIME = """
import datetime, gc, torch, eqgan
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard
torch.set_num_threads(1)
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=20))
rows = torch.randn(60, 40, generator=torch.Generator().manual_seed(dist.get_rank()))
game = eqgan.games.MatrixGame(DTensor.from_local(rows, init_device_mesh("cpu", (2,)), [Shard(0)]))
options = dict(time_limit=0.05, tol=0, max_steps=10**6, check_every=10**5)
runs = [eqgan.solve(game, "regret_matching_plus", **options) for _ in range(25)]
assert {run.status for run in runs} == {eqgan.Status.TIME_LIMIT}
dist.barrier()
del game, runs
gc.collect()
dist.destroy_process_group()
"""


def test_processes_agree_that_the_time_is_up(tmp_path: Path) -> None:
    """Each has a clock of its own; whoever stopped alone left the other waiting for ever."""
    script = tmp_path / "in_time.py"
    script.write_text(IN_TIME)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    result = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", str(script)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr


def test_low_rank_payoffs_are_looked_through_a_block_at_a_time() -> None:
    """Whoever prints such a game must not pay for the table."""
    script = """
import resource, torch, eqgan
torch.set_num_threads(1)
n = 12_000
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
repr(eqgan.games.MatrixGame(eqgan.games.LowRank(torch.rand(50, 2), torch.rand(50, 2))))
u, v = torch.rand(n, 2), torch.rand(n, 2)
before = peak()
repr(eqgan.games.MatrixGame(eqgan.games.LowRank(u, v)))
print((peak() - before) / (n * n * 4))
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert float(result.stdout) < 0.1  # of the table


def test_a_low_rank_game_of_a_million_actions_is_bounded_and_multiplied() -> None:
    rng = torch.Generator().manual_seed(0)
    u, v = (torch.randn(10**6, 2, generator=rng) for _ in range(2))
    game = MatrixGame(LowRank(u, v))
    low, high = LowRank(u, v).extent()
    sample = u[:1000] @ v[:1000].mT
    assert low <= sample.min()
    assert sample.max() <= high
    assert high - low <= 10 * (sample.max() - sample.min())
    assert eqgan.solve(game, max_steps=3).certificate.exact
