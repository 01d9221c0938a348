"""How should I play rock/paper/scissors when the stakes differ, and do learners get there?

The exact answer is drawn on the margins of the payoffs. Gradient steps in alternation circle around
it for ever, while optimistic ones come in: one picture shows the paths, another the gaps.
"""

import argparse
from pathlib import Path

import torch

import eqgan

ACTIONS = ["rock", "paper", "scissors"]
STAKES = [[0, -2, 1], [2, 0, -3], [-1, 3, 0]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the pictures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    game = eqgan.games.MatrixGame(STAKES, actions=(ACTIONS, ACTIONS))
    exact = eqgan.solve(game, "rational")
    mix = ", ".join(f"{a} {p}" for a, p in zip(ACTIONS, exact.exact_profile[0], strict=True))
    print(f"play {mix}; the game is worth {exact.value}")
    eqgan.plots.payoff_matrix(exact).savefig(out / "stakes.png")

    start = ([0.1, 0.6, 0.3], [0.6, 0.2, 0.2])
    runs, paths = {}, {}
    for name in ("alternating_gradient", "optimistic_gradient"):
        paths[name] = eqgan.Recorder()
        runs[name] = run = eqgan.solve(
            game, name, init=start, max_steps=400, check_every=1, callbacks=[paths[name]]
        )
        print(f"{name:24} {run.status.name:10} gap {run.certificate.nash_conv:.3g}")
    eqgan.plots.simplex_trajectory(paths).savefig(out / "paths.png")
    eqgan.plots.gap(runs, "log").savefig(out / "gaps.png")
    eqgan.plots.strategies(runs["optimistic_gradient"]).savefig(out / "strategies.png")
    print(f"pictures: {out}")


if __name__ == "__main__":
    main()
