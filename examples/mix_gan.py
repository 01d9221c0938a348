"""Does a mixture of small generators leave fewer samples between the modes than one of them?"""

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
    parser.add_argument("--steps", type=int, default=1500, help="steps of each solver")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    ring = data.ring(20_000, std=0.05)
    gan = eqgan.games.GAN(
        generator=mlp([2, 32, 32, 2], nn.Tanh),
        discriminator=mlp([2, 64, 64, 1], nn.Tanh),
        data=ring.samples,
        noise_dim=2,
        batch_size=128,
    )
    rule = eqgan.Adam(1e-3, betas=(0.5, 0.9))
    games = {"one": gan, "mixture": eqgan.games.Mixed(gan, (4, 4))}
    methods = {"one": solvers.SimultaneousGradient(rule), "mixture": solvers.MixGan(rule)}
    for name, game in games.items():
        start = game.random(game.generator(0))
        run = eqgan.solve(game, methods[name], init=start, max_steps=options.steps, progress=True)
        fake = game.generate(run.profile, 2000)
        found = modes(fake, ring.means, ring.std)
        print(f"{name}: {found.captured} of 8 modes, {found.high_quality:.1%} high quality")
        if name == "mixture":
            print(f"  played with probabilities {run.profile[0]['weights'].tolist()}")
        plots.samples_2d(ring.samples[:2000], fake).savefig(options.out / f"mix_gan_{name}.png")


if __name__ == "__main__":
    main()
