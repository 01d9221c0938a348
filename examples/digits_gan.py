"""What does averaging the networks do for a GAN's pictures?"""

import argparse
from pathlib import Path

import torch

import eqgan
from eqgan import data, plots, solvers
from eqgan.gan.networks import dcgan_discriminator, dcgan_generator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the pictures")
    parser.add_argument("--steps", type=int, default=2500, help="solver steps")
    parser.add_argument("--search", type=int, default=50, help="steps of a best-response search")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    images = data.digits(16)
    gan = eqgan.games.GAN(
        generator=dcgan_generator(16, noise_dim=32, width=16),
        discriminator=dcgan_discriminator(16, width=16),
        data=images,
        noise_dim=32,
        objective="non_saturating",
        batch_size=64,
    )
    gradient = solvers.OptimisticGradient(eqgan.Adam(1e-3, betas=(0.5, 0.9)))
    solver = solvers.MovingAverage(gradient, decay=0.995)
    start = gan.random(gan.generator(0))
    run = eqgan.solve(gan, solver, init=start, max_steps=options.steps, progress=True)
    print(run)
    plots.image_grid(images[:64]).savefig(options.out / "digits_gan_real.png")
    oracle = eqgan.GradientOracle(steps=options.search, restarts=1)
    for name, profile in {"last": run.last, "average": run.profile}.items():
        # A search for deviations proves a lower bound on the gap, never an equilibrium.
        proof = eqgan.certify(gan, profile, oracle)
        print(f"{name}: {proof}")
        plots.image_grid(gan.generate(profile, 64)).savefig(options.out / f"digits_gan_{name}.png")


if __name__ == "__main__":
    main()
