"""How should I play rock/paper/scissors when the stakes differ, and do learners get there?

The linear program gives the exact answer. Gradient steps in alternation circle around it for ever,
while optimistic ones come in.
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

    game = eqgan.games.MatrixGame(STAKES)
    exact = eqgan.solve(game)
    mix = ", ".join(f"{a} {p:.4f}" for a, p in zip(ACTIONS, exact.profile[0], strict=True))
    print(f"play {mix}; the game is worth {exact.value:z.4f}")
    print(exact.certificate)
    eqgan.plots.payoff_matrix(game, exact.profile, ACTIONS).savefig(out / "stakes.png")

    known = eqgan.games.MatrixGame(STAKES, equilibrium=tuple(exact.profile))
    start = ([0.1, 0.6, 0.3], [0.6, 0.2, 0.2])
    for name in ("alternating_gradient", "optimistic_gradient"):
        path = []
        run = eqgan.solve(
            known, name, init=start, max_steps=400, check_every=1,
            callbacks=[lambda progress, path=path: path.append(progress.profile)],
        )  # fmt: skip
        print(f"{name:24} {run.status.name:10} gap {run.certificate.nash_conv:.3g}")
        eqgan.plots.simplex_trajectory(known, path, ACTIONS).savefig(out / f"{name}.png")
    print(f"pictures: {out}")


if __name__ == "__main__":
    main()
