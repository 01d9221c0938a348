"""Games too large to factorise at once, and what a GPU does with the largest: ``make bench``.

A step of a first-order method is compared with the two bare products of the same arrays, in turn
and in one process; its answer's gap is verified in float64.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import pytest
import torch

import eqgan
from eqgan.games import MatrixGame, random_game

FIRST_ORDER = ["halpern_pdhg", "pdhg", "regret_matching_plus", "predictive_regret_matching_plus"]
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


def uniform(n: int, dtype: torch.dtype, device: str = "cpu") -> torch.Tensor:
    rng = torch.Generator(device).manual_seed(0)
    return torch.rand(n, n, dtype=dtype, generator=rng, device=device)


def wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def step_over_products(a: torch.Tensor, name: str, pairs: int = 15) -> tuple[float, float]:
    """Return the seconds of a step, and the median ratio to the two products next to it."""
    game, solver = MatrixGame(a), eqgan.solver_class(name)()
    rng = game.generator(0)
    z = game.initial(rng)
    state = solver.init(game, z)
    x, y = (leaf.clone() for leaf in z.leaves())
    steps, ratios = [], []
    for _ in range(pairs):
        wait(a.device.type)
        start = time.perf_counter()
        z, state = solver.step(game, z, state, rng)
        wait(a.device.type)
        middle = time.perf_counter()
        _ = a @ y, a.mT @ x
        wait(a.device.type)
        steps.append(middle - start)
        ratios.append((middle - start) / (time.perf_counter() - middle))
    return statistics.median(steps), statistics.median(ratios)


def report(capsys: pytest.CaptureFixture[str], *lines: str) -> None:
    with capsys.disabled():
        print("\n" + "\n".join(lines))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_5000_by_5000(dtype: torch.dtype, capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    a = uniform(5000, dtype)
    lines = [f"5000 x 5000 uniform, {dtype}, to a gap of 1e-4 of the range:"]
    for name in FIRST_ORDER:
        step, ratio = step_over_products(a, name)
        # `tol` is relative to half the range.
        run = eqgan.solve(MatrixGame(a), name, tol=2e-4, check_every=10, time_limit=120.0)
        lines.append(
            f"    {name:34} {1e3 * step:7.2f} ms a step, {ratio:5.2f} x two products; "
            f"{run.status.name} in {run.steps} steps, {run.seconds:.2f} s, "
            f"gap {run.certificate.nash_conv:.1e}"
        )
    report(capsys, *lines)


@CUDA
@pytest.mark.parametrize(("count", "n"), [(1_000_000, 3), (10_000, 100)])
def test_batches_on_a_gpu(count: int, n: int, capsys: pytest.CaptureFixture[str]) -> None:
    game = random_game("normal", (count, n, n)).to("cuda")
    eqgan.solve(random_game("normal", (100, n, n)).to("cuda"), tol=1e-9)
    wait("cuda")
    start = time.perf_counter()
    run = eqgan.solve(game, tol=1e-9)
    worst = (run.certificate.nash_conv / game.payoff_range).max()  # type: ignore[operator]
    seconds = time.perf_counter() - start
    report(
        capsys,
        f"{count} games of {n} x {n} on {torch.cuda.get_device_name()}: {seconds:.3f} s, "
        f"{1e6 * seconds / count:.3f} us a game, worst gap {float(worst):.1e} of the range",
    )


@CUDA
def test_interior_point_on_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    game = MatrixGame(uniform(10_000, torch.float64, "cuda"))
    eqgan.solve(MatrixGame(uniform(200, torch.float64, "cuda")), "interior_point")
    start = time.perf_counter()
    run = eqgan.solve(game, "interior_point", tol=2e-9)
    report(
        capsys,
        f"10,000 x 10,000 by interior points on {torch.cuda.get_device_name()}: "
        f"{time.perf_counter() - start:.2f} s, {run.steps} steps, {run.status.name}, gap "
        f"{run.certificate.nash_conv:.1e}",
    )


@CUDA
def test_first_order_on_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    a = uniform(30_000, torch.float32, "cuda")
    into: Any = torch.empty_like(a)
    for _ in range(2):
        wait("cuda")
        start = time.perf_counter()
        into.copy_(a)
        wait("cuda")
        copy = 2 * a.numel() * 4 / (time.perf_counter() - start)
    del into
    step, ratio = step_over_products(a, "halpern_pdhg")
    read = 2 * a.numel() * 4 / step
    start = time.perf_counter()
    run = eqgan.solve(MatrixGame(a), "halpern_pdhg", tol=2e-4, check_every=20)
    report(
        capsys,
        f"30,000 x 30,000 float32 on {torch.cuda.get_device_name()}: {1e3 * step:.2f} ms a step "
        f"({ratio:.2f} x two products), {read / 1e9:.0f} GB/s where a copy moves "
        f"{copy / 1e9:.0f} GB/s; 1e-4 of the range after {run.steps} steps and "
        f"{time.perf_counter() - start:.2f} s",
    )
