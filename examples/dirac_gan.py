"""Who converges on the smallest GAN, and who circles?

In Dirac-GAN the data are one point, the generator is a point and the critic a slope. Started at
(1, 1), each method takes 150 steps of rate 0.2 towards the only equilibrium, the origin.
"""

import argparse
from pathlib import Path

import torch

import eqgan
from eqgan.solvers import AlternatingGradient, Extragradient, SimultaneousGradient


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    rule = eqgan.Constant(0.2)
    plain, regularised = eqgan.games.DiracGAN(), eqgan.games.DiracGAN(regulariser="r1")
    trials = {
        "simultaneous": (plain, SimultaneousGradient(rule)),
        "alternating": (plain, AlternatingGradient(rule)),
        "extragradient": (plain, Extragradient(rule)),
        "simultaneous, R1": (regularised, SimultaneousGradient(rule)),
    }
    paths = {}
    for label, (game, solver) in trials.items():
        points: list[torch.Tensor] = []
        run = eqgan.solve(
            game, solver, max_steps=150, check_every=1,
            callbacks=[lambda progress, to=points: to.append(torch.cat(list(progress.profile)))],
        )  # fmt: skip
        paths[label] = torch.stack(points)
        start, end = float(points[0].norm()), float(run.last.norm())
        print(f"{label:18} distance to the equilibrium {start:.3f} -> {end:.3f}")
    eqgan.plots.trajectories(paths).savefig(out / "dirac_gan.png")
    print(f"picture: {out / 'dirac_gan.png'}")


if __name__ == "__main__":
    main()
