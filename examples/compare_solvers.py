"""Which solver should I use on games that rotate?

Plain gradients circle where each player chases the other. Every method gets the same number of
gradient evaluations and the same random starts on four such games.
"""

import argparse
from pathlib import Path

import rich
import torch

import eqgan

SOLVERS = ["simultaneous_gradient", "alternating_gradient", "extragradient", "optimistic_gradient"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture")
    parser.add_argument("--seeds", type=int, default=5, help="random starts on each game")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    games = {
        "f = xy": eqgan.games.Bilinear([[1.0]]),
        "Dirac-GAN": eqgan.games.DiracGAN(),
        "Dirac-GAN with R1": eqgan.games.DiracGAN(regulariser="r1"),
        "rock/paper/scissors": eqgan.games.rock_paper_scissors(),
    }
    table = eqgan.compare(games, SOLVERS, seeds=range(options.seeds), evaluations=1000)
    rich.print(table)

    solved = {name: 0 for name in SOLVERS}
    for row in table.rows:
        solved[row.solver] += row.behaviour == "converged"
    runs = len(table.rows) // len(SOLVERS)
    for name, count in sorted(solved.items(), key=lambda item: -item[1]):
        print(f"{name:24} converged in {count} of {runs} runs")
    table.plot(options.out / "compare_solvers.png")
    print(f"picture: {options.out / 'compare_solvers.png'}")


if __name__ == "__main__":
    main()
