"""How far is a GAN from equilibrium while it trains? Proved from below and from above."""

import argparse
from pathlib import Path

import torch
from torch import nn

import eqgan
from eqgan import data, plots, solvers
from eqgan.gan import objectives, spectral_norm
from eqgan.gan.networks import mlp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture")
    parser.add_argument("--steps", type=int, default=800, help="training steps")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.random.manual_seed(0)  # the modules draw their first weights from it

    # The generator's samples lie in a box, and the critic is 1-Lipschitz: both can be bounded.
    gan = eqgan.games.GAN(
        generator=nn.Sequential(*mlp([2, 64, 64, 2]), nn.Tanh()),
        discriminator=spectral_norm(mlp([2, 64, 64, 1], nn.LeakyReLU)),
        data=data.ring(5000, radius=0.7, std=0.02).samples,
        noise_dim=2,
        objective=objectives.Wasserstein(),
        batch_size=128,
        holdout=data.ring(500, radius=0.7, std=0.02, seed=1).samples,
    )
    # What is proved is proved of one set of held-out samples, not of a sample's expectation.
    fixed = eqgan.games.FixedGAN.draw(gan, 500)
    oracle = eqgan.BoundOracle(search=eqgan.GradientOracle(steps=60, restarts=1))

    rows = []

    def certify(progress: eqgan.Progress) -> None:
        proof = eqgan.certify(fixed, progress.profile, oracle)
        low, high = proof.nash_conv_lower, proof.nash_conv_upper
        print(f"step {progress.step:4}: {low:.3f} <= NashConv <= {high:.3f}; {proof.search}")
        rows.append({"step": progress.step, "nash_conv": low, "nash_conv_upper": high})

    run = eqgan.solve(
        gan,
        solvers.Extragradient(eqgan.Adam(1e-3, betas=(0.5, 0.9))),
        max_steps=options.steps,
        check_every=max(20, options.steps // 8),
        callbacks=[certify],
    )
    print(eqgan.certify(fixed, run.profile, oracle))
    plots.gap(eqgan.Trace(rows), against="step").savefig(options.out / "gap_during_training.png")


if __name__ == "__main__":
    main()
