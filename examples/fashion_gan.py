"""What do plain gradients, extragradient and a mixture make of small pictures at equal cost?

Clothes of a folder in MNIST's format, such as Fashion-MNIST; scikit-learn's digits without one.
Distances are between features of a small classifier that is trained here on the labels: they
compare the rows with one another, and with no number from elsewhere. Every row costs as many
gradients of one generator and one discriminator; a mixture of three spends three a step.

    python examples/fashion_gan.py --data fashion-mnist
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import eqgan
from eqgan import data, plots, solvers
from eqgan.gan import Quality
from eqgan.gan.classifier import train_classifier
from eqgan.gan.networks import dcgan_discriminator, dcgan_generator

NOISE = 64
SHOWN = ("frechet", "classifier_score", "precision", "recall", "coverage")


def pictures(folder: Path | None) -> list[tuple[Tensor, Tensor]]:
    """Return images with their labels: those to train on, and held-out ones."""
    if folder is not None:
        return [(data.images(folder, split=s), data.labels(folder, s)) for s in ("train", "test")]
    rows = torch.randperm(1797, generator=torch.Generator().manual_seed(0)).split(1297)
    return [(data.digits(16)[part], data.digit_labels()[part]) for part in rows]


def tell(name: str, found: dict[str, float], more: str = "") -> None:
    numbers = "  ".join(f"{column} {found[column]:.3g}" for column in SHOWN)
    print(f"{name:14} {numbers}{more}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder in MNIST's format; digits if not given")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the pictures")
    parser.add_argument("--steps", type=int, default=10_000, help="gradient evaluations of a row")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    (images, labels), (held_out, theirs) = pictures(options.data)
    side = images.shape[-1]
    gan = eqgan.games.GAN(
        dcgan_generator(side, noise_dim=NOISE, width=32),
        dcgan_discriminator(side, width=32),
        images,
        noise_dim=NOISE,
        objective="non_saturating",
        batch_size=32,
    )
    classifier = train_classifier(images, labels, epochs=3 if options.data else 20)
    print(f"classifier: {classifier.accuracy(held_out, theirs):.1%} of held-out images are right")
    # Half of the held-out images is what samples are compared with, half says what is possible.
    known, others = held_out[::2], held_out[1::2]
    quality = Quality(known, classifier.features, classifier, samples=len(others))
    start = gan.random(gan.generator(0))
    tell("real images", quality.measure(others))
    tell("untrained", quality.measure(gan.generate(start, quality.samples)))
    plots.image_grid(held_out[:64]).savefig(options.out / "fashion_real.png")

    mix = eqgan.games.Mixed(gan, (3, 3))
    rule = eqgan.Adam(1e-3, betas=(0.5, 0.9))
    rows: dict[str, tuple[Any, eqgan.Solver[Any], int]] = {
        "plain": (gan, solvers.SimultaneousGradient(rule), 1),
        "extragradient": (gan, solvers.Extragradient(rule), 1),
        "mixture": (mix, solvers.MixGan(rule), 3),
    }
    for name, (game, method, players) in rows.items():
        solver = solvers.MovingAverage(method, decay=0.995)
        steps = max(1, int(options.steps / (players * solver.evaluations(game))))
        init, began = game.random(game.generator(0)), time.process_time()
        run = eqgan.solve(
            game, solver, init=init, max_steps=steps, device=options.device, progress=True
        )
        seconds = time.process_time() - began
        samples = run.game.generate(run.profile, quality.samples, seed=1).cpu()
        tell(name, quality.measure(samples), f"  ({steps} steps, {seconds:.0f} s)")
        plots.image_grid(samples[:64]).savefig(options.out / f"fashion_{name}.png")


if __name__ == "__main__":
    main()
