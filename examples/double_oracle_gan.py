"""Does remembering best responses bring a GAN closer to equilibrium than training it on?"""

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
    parser.add_argument("--steps", type=int, default=1800, help="steps of the GAN both start from")
    parser.add_argument("--pairs", type=int, default=8, help="pairs of best responses to add")
    parser.add_argument("--seed", type=int, default=0, help="seed of its first networks")
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
    search = max(options.steps // 9, 1)
    oracle = eqgan.GradientOracle(steps=search, restarts=1)
    # The judge looks longer, and from starts of its own.
    judge = eqgan.GradientOracle(steps=3 * search // 2, restarts=1)
    plain = solvers.SimultaneousGradient(eqgan.Adam(1e-3, betas=(0.5, 0.9)))
    # A pair is accepted if a search as long as the judge's finds clearly less to gain than before.
    remembering = solvers.BestSoFar(
        solvers.DoubleOracle(oracle=oracle, epsilon=0.0), every=1, oracle=judge, margin=2.0
    )

    fresh = gan.random(gan.generator(options.seed))
    start = eqgan.solve(gan, plain, init=fresh, max_steps=options.steps).last
    pairs, atoms = options.pairs, options.pairs + 1
    mix = eqgan.games.Mixed(gan, (atoms, atoms))
    each = int(remembering.evaluations(mix))
    runs = {
        "training on": (gan, plain, start, pairs * each, each),
        "double oracle": (mix, remembering, mix.uniform([start] * atoms), pairs, 1),
    }
    results = {}
    for name, (game, solver, init, steps, every) in runs.items():
        run = eqgan.solve(
            game, solver, init=init, max_steps=steps, tol=0, oracle=judge, check_every=every
        )
        fake = game.generate(run.profile, 2000)
        found = modes(fake, ring.means, ring.std)
        print(f"{name}: {found.captured} of 8 modes, {found.high_quality:.1%} high quality")
        gaps = run.trace.column("nash_conv")
        print(f"  gap at least, every {each} gradients: {', '.join(f'{g:.3f}' for g in gaps)}")
        print(f"  {run.certificate}")
        plots.samples_2d(ring.samples[:2000], fake).savefig(
            options.out / f"double_oracle_{name.split()[0]}.png"
        )
        results[name] = run
    plots.gap(results).savefig(options.out / "double_oracle_gap.png")


if __name__ == "__main__":
    main()
