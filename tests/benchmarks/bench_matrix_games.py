"""One matrix game at a time: the library beside other implementations, on one thread.

The gap of every answer is verified in float64 after projection. Peers that are not installed are
skipped with a message; what they do at first use (compiling) is not timed. Run with ``make bench``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import eqgan
from eqgan.games import MatrixGame, random_game

Pair = tuple[np.ndarray, np.ndarray]
FAMILIES = ["uniform", "normal", "integer", "low_rank", "sparse", "badly_scaled", "skew"]


def quantecon_minmax(a: np.ndarray) -> Pair:
    from quantecon.optimize import minmax

    _, x, y = minmax(a)
    return x, y


def quantecon_lemke_howson(a: np.ndarray) -> Pair:
    from quantecon.game_theory import NormalFormGame, Player, lemke_howson

    found: Pair = lemke_howson(NormalFormGame((Player(a), Player(-a.T))), max_iter=10**7)
    return found


def highs(a: np.ndarray) -> Pair:
    """One linear program, both strategies, as scipy's wrapper calls HiGHS."""
    from eqgan.solvers.linear_program import solve_game

    return solve_game(a)


def nashpy(a: np.ndarray) -> Pair:
    import nashpy

    x, y = nashpy.Game(a).linear_program()
    return x, y


def ours(a: np.ndarray, solver: str = "auto") -> Pair:
    x, y = eqgan.solve(MatrixGame(a), solver, tol=1e-9).profile
    return x.numpy(), y.numpy()  # type: ignore[union-attr]


PEERS: dict[str, Callable[[np.ndarray], Pair]] = {
    "QuantEcon minmax": quantecon_minmax,
    "QuantEcon Lemke-Howson": quantecon_lemke_howson,
    "HiGHS, one LP": highs,
    "Nashpy": nashpy,
}


def relative_gap(a: np.ndarray, pair: Pair) -> float:
    x, y = (np.maximum(s, 0) / np.maximum(s, 0).sum() for s in pair)
    return float(((a @ y).max() - (x @ a).min()) / np.ptp(a))


def timed(solve: Callable[[np.ndarray], Pair], games: list[np.ndarray]) -> tuple[float, float]:
    """Return the median of the seconds, and the worst relative gap."""
    seconds, gaps = [], []
    for a in games:
        start = time.perf_counter()
        pair = solve(a)
        seconds.append(time.perf_counter() - start)
        gaps.append(relative_gap(a, pair))
    return statistics.median(seconds), max(gaps)


def table(title: str, games: list[np.ndarray], peers: list[str]) -> list[str]:
    """Time the library and its peers in turn; return the lines to print."""
    torch.set_num_threads(1)
    small = np.random.default_rng(1).random((5, 5))
    ours(small)
    mine, gap = timed(ours, games)
    lines = [f"{title}: eqgan {1e3 * mine:9.3f} ms, relative gap {gap:.1e}"]
    for name in peers:
        try:
            PEERS[name](small)
        except ImportError as error:
            lines.append(f"    {name}: skipped, {error.name} is not installed")
            continue
        theirs, gap = timed(PEERS[name], games)
        ratio = theirs / mine
        lines.append(f"    {name:24} {1e3 * theirs:9.3f} ms, {ratio:6.2f} x ours, gap {gap:.1e}")
    return lines


@pytest.mark.parametrize("family", ["uniform", "normal"])
@pytest.mark.parametrize("n", [3, 10, 30, 100, 200, 1000])
def test_one_game(n: int, family: str, capsys: pytest.CaptureFixture[str]) -> None:
    count = 1 if n == 1000 else 20
    games = [random_game(family, (n, n), seed=k).payoff_matrix.numpy() for k in range(count)]
    # Nashpy's two programs take minutes at 1000 x 1000; one of HiGHS stands for them.
    peers = [name for name in PEERS if n <= 100 or name != "Nashpy"]
    if n == 200:
        games = games[:5]
    with capsys.disabled():
        print("\n" + "\n".join(table(f"{n} x {n} {family}", games, peers)))


@pytest.mark.parametrize("family", FAMILIES)
def test_auto_beside_every_solver(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What `auto` takes, beside the best of the library's own solvers, to 1e-9 at n = 300."""
    torch.set_num_threads(1)
    game = random_game(family, (300, 300), seed=0)
    a = game.payoff_matrix.numpy()
    exact = ["interior_point", "linear_program", "pivoting"]
    first_order: list[Any] = [
        eqgan.solvers.SupportPolish(eqgan.solvers.HalpernPdhg()),
        eqgan.solvers.SupportPolish(eqgan.solvers.Pdhg()),
        eqgan.solvers.SupportPolish(eqgan.solvers.PredictiveRegretMatchingPlus()),
    ]
    lines = []
    for solver in ["auto", *exact, *first_order]:
        runs = [
            eqgan.solve(MatrixGame(a), solver, tol=1e-9, max_steps=50_000, time_limit=20.0)
            for _ in range(3)
        ]
        name = solver if isinstance(solver, str) else type(solver.solver).__name__ + " polished"
        seconds = min(run.seconds for run in runs)
        lines.append((seconds, name, runs[0]))
    best = min(seconds for seconds, name, run in lines if run.converged and name != "auto")
    with capsys.disabled():
        print(f"\n{family} 300 x 300, to 1e-9:")
        for seconds, name, run in lines:
            print(
                f"    {name:40} {1e3 * seconds:9.1f} ms, {seconds / best:7.2f} x the best, "
                f"{run.status.name}, gap {run.certificate.nash_conv:.1e}"
            )


def test_api_overhead(benchmark) -> None:  # type: ignore[no-untyped-def]
    """A 3 x 3 game through the whole public call: under a millisecond."""
    torch.set_num_threads(1)
    a = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.5]])
    benchmark(lambda: eqgan.solve(MatrixGame(a)))
