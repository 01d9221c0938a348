"""Ten thousand small matrix games in one call, and single games, beside compiled peers.

Ours is the whole public call: the game is made, checked, solved, and every game's gap is measured.
A peer is a Python loop over its own function, compiled and warmed up; it measures no gaps. All run
in one process and in turn, so that the ratios hold when the machine's speed drifts. Run with
``make bench``; peers that are not installed are skipped.
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

GAMES = 10_000
ACCURACY = 1e-12
SINGLE = ("pivoting", "linear_program", "interior_point")


def payoffs(games: int, n: int) -> torch.Tensor:
    return eqgan.games.random_game("normal", (games, n, n)).payoff_matrix


def public_call(a: torch.Tensor, solver: str) -> eqgan.Result:
    return eqgan.solve(eqgan.games.MatrixGame(a), solver, tol=ACCURACY)


def quantecon_minmax() -> Callable[[np.ndarray], Any]:
    module = pytest.importorskip("quantecon.optimize.minmax", reason="quantecon is not installed")
    module.minmax(np.eye(2))  # it is compiled at the first call
    found: Callable[[np.ndarray], Any] = module.minmax
    return found


def nashpy_linear_program() -> Callable[[np.ndarray], Any]:
    nashpy = pytest.importorskip("nashpy", reason="nashpy is not installed")
    return lambda a: nashpy.Game(a).linear_program()


def highs_direct() -> Callable[[np.ndarray], Any]:
    """The linear program of the row player, column by column, without SciPy between."""
    highspy = pytest.importorskip("highspy", reason="highspy is not installed")

    def solve(a: np.ndarray) -> Any:
        m, n = a.shape
        h = highspy.Highs()
        h.setOptionValue("output_flag", False)
        h.setOptionValue("presolve", "off")
        inf = highspy.kHighsInf
        h.addVars(m + 1, np.append(np.zeros(m), -inf), np.full(m + 1, inf))
        h.changeColCost(m, -1.0)
        every = np.arange(m + 1, dtype=np.int32)
        for j in range(n):
            h.addRow(0.0, inf, m + 1, every, np.append(a[:, j], -1.0))
        h.addRow(1.0, 1.0, m, every[:m], np.ones(m))
        h.run()
        return h.getSolution()

    return solve


PEERS = {
    "quantecon minmax": quantecon_minmax,
    "nashpy linear_program": nashpy_linear_program,
    "highspy": highs_direct,
}


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("n", [3, 9, 20])
def test_batch_beside_a_loop(n: int, peer: str, capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    solve_one = PEERS[peer]()
    a = payoffs(GAMES, n)
    some = a.numpy() if peer.startswith("quantecon") else a[:100].numpy()

    def loop() -> None:
        for game in some:
            solve_one(game)

    worst = (
        public_call(a, "pivoting").certificate.nash_conv / eqgan.games.MatrixGame(a).payoff_range
    )
    assert float(worst.max()) <= ACCURACY
    pairs = [
        (seconds(lambda: public_call(a, "pivoting")) / GAMES, seconds(loop) / len(some))
        for _ in range(9)
    ]
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(t / o for o, t in pairs)
    with capsys.disabled():
        print(
            f"\n{GAMES} games of {n} x {n}: pivoting {1e6 * ours:.2f} us a game (worst gap "
            f"{float(worst.max()):.1e} of the range), {peer} {1e6 * theirs:.2f} us, "
            f"{ratio:.2f} times as long"
        )


@pytest.mark.parametrize("n", [3, 10, 30, 50, 100, 200, 400])
def test_single_games(n: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Where one method overtakes another: medians over ten games of each size."""
    torch.set_num_threads(1)
    games = payoffs(10, n)
    calls: dict[str, Callable[[torch.Tensor], Any]] = {
        name: lambda a, name=name: public_call(a, name) for name in SINGLE
    }
    absent = []
    for peer, found in PEERS.items():
        try:
            solve_one = found()
        except pytest.skip.Exception as skipped:
            absent.append(str(skipped))
        else:
            calls[peer] = lambda a, solve_one=solve_one: solve_one(a.numpy())
    calls["pivoting"](games[0]), calls["interior_point"](games[0])
    times = [{name: seconds(lambda: call(a)) for name, call in calls.items()} for a in games]  # noqa: B023
    line = ", ".join(
        f"{name} {1e3 * statistics.median(t[name] for t in times):.3f}" for name in calls
    )
    with capsys.disabled():
        print(f"\none game of {n} x {n}, ms: {line} {'; '.join(absent)}")


@pytest.mark.parametrize("n", [3, 9, 20])
def test_batch_time(n: int, benchmark) -> None:  # type: ignore[no-untyped-def]
    torch.set_num_threads(1)
    benchmark(public_call, payoffs(GAMES, n), "pivoting")
