"""Which solver finds more modes of a ring of Gaussians, at equal gradient evaluations?"""

import argparse
from pathlib import Path

import torch
from torch import nn

import eqgan
from eqgan import data, plots, solvers
from eqgan.gan.metrics import modes
from eqgan.gan.networks import mlp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the pictures")
    parser.add_argument(
        "--steps", type=int, default=4000, help="gradient evaluations of each solver"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    ring = data.ring(20_000, std=0.02)
    gan = eqgan.games.GAN(
        generator=mlp([2, 128, 128, 2], nn.Tanh),
        discriminator=mlp([2, 128, 128, 1], nn.Tanh),
        data=ring.samples,
        noise_dim=2,
        batch_size=128,
    )
    start = gan.random(gan.generator(0))
    rule = eqgan.Adam(1e-3, betas=(0.5, 0.9))
    for solver in (solvers.SimultaneousGradient(rule), solvers.Extragradient(rule)):
        steps = int(options.steps // solver.evaluations(gan))
        run = eqgan.solve(gan, solver, init=start, max_steps=steps, progress=True)
        fake = gan.generate(run.profile, 2000)
        found = modes(fake, ring.means, ring.std)
        # A search for deviations proves a lower bound on the gap, never an equilibrium.
        proof = eqgan.certify(gan, run.profile, eqgan.GradientOracle(steps=100, restarts=1))
        name = type(solver).__name__
        print(f"{name}: {found.captured} of 8 modes, {found.high_quality:.1%} high quality")
        print(f"  {proof}")
        plots.samples_2d(ring.samples[:2000], fake).savefig(options.out / f"ring_gan_{name}.png")


if __name__ == "__main__":
    main()
