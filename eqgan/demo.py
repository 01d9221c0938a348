"""The demo: four games, one call.

Rock/paper/scissors, the smallest GAN, a GAN on a ring of Gaussians and a GAN on images are solved
by the same `eqgan.solve`, and measured by the same certificates. Every number in the report is
computed when the demo runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn

import eqgan
from eqgan import data as datasets
from eqgan.behaviour import Motion, behaviour
from eqgan.errors import InvalidInput
from eqgan.games import GAN, Mixed
from eqgan.gan.networks import dcgan_discriminator, dcgan_generator, mlp
from eqgan.loop import Callback
from eqgan.randomness import seeded
from eqgan.report import Report, worded, worded_gap
from eqgan.threads import one_thread

SEED = 0
ADAM = (0.5, 0.9)
"""Adam's betas for GANs."""

SHARE = 0.01
"""Share of the samples that captures a mode."""

DRAWN = (
    "simultaneous_gradient",
    "alternating_gradient",
    "fictitious_play",
    "regret_matching",
    "regret_matching_plus",
    "predictive_regret_matching_plus",
    "extragradient",
    "optimistic_gradient",
)
"""Solvers whose gaps are drawn; more lines than colours cannot be told apart."""

ORACLE = eqgan.GradientOracle(steps=100, restarts=1)


@dataclass(frozen=True)
class Effort:
    """How long the studies take.

    Attributes:
        matrix_steps: Steps of each solver on rock/paper/scissors.
        dirac_evaluations: Joint gradients of each solver on the Dirac-GAN.
        ring_evaluations: Joint gradients of each solver on the ring.
        mix_evaluations: Joint gradients of MIX+GAN there, each of all its networks at once.
        image_steps: Steps on images of 16 x 16 pixels; fewer on larger ones.
        image_width: Channels of the image networks.
        oracle: Measures the gaps between networks.
    """

    matrix_steps: int = 1000
    dirac_evaluations: int = 500
    ring_evaluations: int = 4000
    mix_evaluations: int = 1300
    image_steps: int = 2500
    image_width: int = 16
    oracle: eqgan.GradientOracle = ORACLE


QUICK = Effort(60, 60, 20, 10, 8, 8, eqgan.GradientOracle(steps=3, restarts=1))


def run_demo(folder: str | Path, data: str | Path | None = None, quick: bool = False) -> Path:
    """Run the four studies and write a report with pictures.

    Args:
        folder: Where the report goes; it is made if it does not exist.
        data: A folder in MNIST's format to train on; scikit-learn's digits if not given.
        quick: Hardly train: a few seconds in all.

    Returns:
        The path of the report.

    Raises:
        InvalidInput: A folder that cannot be written to, or scikit-learn is needed and missing.
        UnreadableFile: `data` holds no images.
    """
    began = time.perf_counter()
    effort = QUICK if quick else Effort()
    # Read the images first: a wrong folder should not cost the time of the other studies.
    images = datasets.digits(16) if data is None else datasets.images(data)
    if images.shape[2] != images.shape[3] or images.shape[2] % 4:
        raise InvalidInput(
            "The demo's networks make square images whose side is a multiple of 4; got "
            f"{images.shape[2]} x {images.shape[3]} pixels."
        )
    report = Report(folder, "EQGAN demo")
    studies: dict[str, Callable[[Report, Effort], None]] = {
        "Rock/paper/scissors": rock_paper_scissors,
        "Dirac-GAN": dirac_gan,
        "A ring of eight Gaussians": ring,
        "Images": lambda report, effort: pictures(report, effort, images),
    }
    console = Console(stderr=True)
    report.text(
        "Four games, solved by the same call, `eqgan.solve(game, solver)`. A certificate says how "
        "far a profile is from equilibrium: NashConv, also called duality gap, is what the players "
        "could gain in all by deviating. It is exact where every deviation was looked at; where "
        "deviations were searched it is a lower bound (>=), which proves no equilibrium."
    )
    with one_thread():
        for title, study in studies.items():
            console.print(f"{title} ...", highlight=False)
            report.heading(title)
            study(report, effort)
    report.text(
        f"Made by eqgan {_version()} with torch {torch.__version__} in "
        f"{time.perf_counter() - began:.0f} seconds, every run with seed {SEED}."
    )
    return report.save()


def _version() -> str:
    from importlib.metadata import version

    return version("eqgan")


# -- rock/paper/scissors -------------------------------------------------------------------------


def rock_paper_scissors(report: Report, effort: Effort) -> None:
    """Solve a matrix game with every solver that can take it."""
    game = eqgan.games.rock_paper_scissors()
    begin = ([0.6, 0.3, 0.1], [0.2, 0.2, 0.6])
    runs: dict[str, eqgan.Result] = {}
    paths: dict[str, eqgan.Recorder] = {}
    for name in eqgan.available_solvers():
        if eqgan.solver_class(name)().unsupported(game) is not None:
            continue
        runs[name], paths[name] = followed(game, name, init=begin, max_steps=effort.matrix_steps)
    report.text(
        f"Every solver that can take a matrix game, from the start {begin}, for at most "
        f"{effort.matrix_steps} steps. The value is {game.value:g}, the only equilibrium uniform."
    )
    report.table([_run_row(name, run) for name, run in runs.items()])
    matrix = eqgan.plots.payoff_matrix(runs["rational"])
    report.figure(matrix, "rock_paper_scissors_matrix", "The payoffs, and the equilibrium")
    falls = eqgan.plots.gap({name: runs[name] for name in DRAWN}, "log")
    report.figure(falls, "rock_paper_scissors_gap", f"How {len(DRAWN)} of the exact gaps fall")
    few = ("simultaneous_gradient", "regret_matching", "optimistic_gradient")
    picture = eqgan.plots.simplex_trajectory({name: paths[name] for name in few})
    report.figure(picture, "rock_paper_scissors_paths", "Who leaves, who nears, who arrives")


def _run_row(name: str, run: eqgan.Result) -> dict[str, object]:
    return {
        "solver": name,
        "status": run.status.name,
        "NashConv": worded_gap(run.certificate),
        "steps": run.steps,
        "evaluations": f"{run.evaluations:g}",
        "seconds": f"{run.seconds:.2f}",
    }


def followed(
    game: eqgan.Game, solver: str | eqgan.Solver[Any], **options: Any
) -> tuple[eqgan.Result, eqgan.Recorder]:
    """Return a run with the path of its proposals, and with what `behaviour` reads in its trace."""
    path = eqgan.Recorder()
    callbacks: list[Callback] = [Motion(game), path]
    run = eqgan.solve(game, solver, check_every=1, callbacks=callbacks, seed=SEED, **options)
    return whole(run), path


def whole(run: eqgan.Result) -> eqgan.Result:
    """Return `run`; pass on a Ctrl-C that `solve` turned into a result, which is none to report."""
    if run.status is eqgan.Status.STOPPED:
        raise KeyboardInterrupt
    return run


# -- Dirac-GAN -----------------------------------------------------------------------------------


def dirac_gan(report: Report, effort: Effort) -> None:
    """Show who converges and who circles on the smallest GAN."""
    rule = eqgan.Constant(0.3)
    plain, penalised = eqgan.games.DiracGAN(), eqgan.games.DiracGAN(regulariser="r1", gamma=0.3)
    simultaneous = eqgan.solvers.SimultaneousGradient(rule)
    alternating = eqgan.solvers.AlternatingGradient(rule)
    cases: dict[str, tuple[eqgan.Game, eqgan.Solver[Any]]] = {
        "simultaneous gradient": (plain, simultaneous),
        "alternating gradient": (plain, alternating),
        "extragradient": (plain, eqgan.solvers.Extragradient(rule)),
        "optimistic gradient": (plain, eqgan.solvers.OptimisticGradient(rule)),
        "averaged alternating": (plain, eqgan.solvers.Averaged(alternating)),
        "simultaneous, R1 penalty": (penalised, simultaneous),
    }
    paths, rows = {}, []
    for label, (game, solver) in cases.items():
        steps = effort.dirac_evaluations // int(solver.evaluations(game))
        run, path = followed(game, solver, max_steps=steps)
        paths[label] = torch.stack([torch.cat(z.leaves()) for z in path.profiles])
        distances = run.trace.column("distance")
        rows.append(
            {
                "solver": label,
                "distance to equilibrium": f"{distances[0]:.3g} -> {distances[-1]:.3g}",
                "verdict": behaviour(run.trace, run.status, monotone=game.monotone),
                "NashConv": worded_gap(run.certificate),
                "steps": run.steps,
                "evaluations": f"{run.evaluations:g}",
            }
        )
    report.text(
        "The data are one point, the generator one number, the discriminator one slope; the only "
        f"equilibrium is the origin. All start at (1, 1) with steps of {rule.rate} times the "
        f"gradient, for at most {effort.dirac_evaluations} joint gradients. The verdict is read "
        f"off the distances. How deviations were sought: {run.certificate.how}; a lower bound."
    )
    report.table(rows)
    report.figure(eqgan.plots.trajectories(paths), "dirac_gan", "Who converges, and who circles")


# -- ring ----------------------------------------------------------------------------------------


def ring(report: Report, effort: Effort) -> None:
    """Train GANs on a mixture whose modes are known, and count them."""
    mixture = datasets.ring(20_000, std=0.02, seed=SEED)
    generator, discriminator = mlp([2, 128, 128, 2], nn.Tanh), mlp([2, 128, 128, 1], nn.Tanh)
    game = GAN(generator, discriminator, mixture.samples, noise_dim=2, batch_size=128)
    rule = eqgan.Adam(1e-3, betas=ADAM)
    single, mixed = effort.ring_evaluations, effort.mix_evaluations
    cases: dict[str, tuple[GAN | Mixed, eqgan.Solver[Any], int]] = {
        "simultaneous gradient": (game, eqgan.solvers.SimultaneousGradient(rule), single),
        "extragradient": (game, eqgan.solvers.Extragradient(rule), single),
        "MIX+GAN, 3 x 3": (Mixed(game, (3, 3)), eqgan.solvers.MixGan(rule), mixed),
    }
    rows = [{"solver": "before training", **_ring_row(game, start(game), mixture, effort)}]
    shown = {}
    for label, (players, solver, evaluations) in cases.items():
        run = whole(
            eqgan.solve(
                players,
                solver,
                init=start(players),
                max_steps=int(evaluations // solver.evaluations(players)),
                seed=SEED,
                progress=True,
            )
        )
        row = _ring_row(players, run.profile, mixture, effort)
        cost = {"evaluations": f"{run.evaluations:g}", "seconds": f"{run.seconds:.1f}"}
        rows.append({"solver": label, **row, **cost})
        samples = players.generate(run.profile, 2000, seed=SEED)
        name = "ring_" + label.split()[0].lower().replace("+", "_").rstrip(",")
        shown[label] = (name, eqgan.plots.samples_2d(mixture.samples[:2000], samples))
    report.text(
        f"Eight Gaussians of standard deviation {mixture.std:g} on the unit circle; both networks "
        "have two hidden layers of 128 units, the objective is the minimax one, the rule Adam with "
        f"rate {rule.rate:g} and betas {ADAM}. A sample is of high quality within 3 standard "
        f"deviations of a mean, and a mode is captured by more than {SHARE:.0%} of 2,000 samples "
        "that are. Evaluations are joint gradients; one of MIX+GAN moves three generators and "
        "three discriminators and looks at their nine pairs, so it costs more and gets fewer. The "
        f"gap is measured by {effort.oracle.how}, the same seeds for all: a lower bound."
    )
    report.table(rows)
    report.gallery(shown)


def start(game: eqgan.Game) -> eqgan.Profile:
    """Return newly initialised networks, whatever torch's global generator did before."""
    return game.random(game.generator(SEED))


def _ring_row(
    players: GAN | Mixed, z: eqgan.Profile, mixture: datasets.GaussianMixture, effort: Effort
) -> dict[str, object]:
    samples = players.generate(z, 2000, seed=SEED)
    found = eqgan.gan.metrics.modes(samples, mixture.means, mixture.std, share=SHARE)
    return {
        "modes": f"{found.captured} of {len(mixture.means)}",
        "high quality": f"{found.high_quality:.1%}",
        "reverse KL": f"{found.reverse_kl:.3f}",
        "NashConv": worded_gap(eqgan.certify(players, z, effort.oracle, seed=SEED)),
        "evaluations": "0",
        "seconds": "0",
    }


# -- images --------------------------------------------------------------------------------------


def pictures(report: Report, effort: Effort, images: Tensor) -> None:
    """Train a GAN on images and show its samples beside real ones."""
    game, side = image_gan(images, effort.image_width), images.shape[-1]
    rule = eqgan.Adam(1e-3, betas=ADAM)
    solver = eqgan.solvers.MovingAverage(eqgan.solvers.OptimisticGradient(rule), decay=0.995)
    # A step costs in proportion to the pixels.
    steps = max(1, effort.image_steps * 16**2 // max(side, 16) ** 2)
    run = whole(
        eqgan.solve(game, solver, init=start(game), max_steps=steps, seed=SEED, progress=True)
    )
    report.text(
        f"A DCGAN on {len(images):,} images of {side} x {side} pixels: {run.steps} steps of "
        f"optimistic gradient with Adam, rate {rule.rate:g}, in {run.seconds:.0f} seconds. The "
        "generator follows the non-saturating loss; gaps are of the payoff. Samples and gap after "
        "training are those of the moving average of both networks. How deviations were sought: "
        f"{effort.oracle.how}; a lower bound."
    )
    profiles = {"before training": start(game), "after training": run.profile}
    report.table([_image_row(game, when, z, effort) for when, z in profiles.items()])
    rng = seeded(SEED)
    real = images[torch.randperm(len(images), generator=rng)[:64]]
    fake = game.generate(run.profile, 64, seed=SEED)
    report.gallery(
        {
            "real": ("images_real", eqgan.plots.image_grid(real)),
            "generated": ("images_generated", eqgan.plots.image_grid(fake)),
        }
    )


def image_gan(images: Tensor, width: int) -> GAN:
    """Return a DCGAN on square images `(N, channels, side, side)`."""
    channels, side = images.shape[1], images.shape[3]
    return GAN(
        dcgan_generator(side, channels, noise_dim=32, width=width),
        dcgan_discriminator(side, channels, width=width),
        images,
        noise_dim=32,
        objective="non_saturating",
        batch_size=64,
    )


def _image_row(game: GAN, when: str, z: eqgan.Profile, effort: Effort) -> dict[str, object]:
    proof = eqgan.certify(game, z, effort.oracle, seed=SEED)
    return {
        "networks": when,
        "value": worded(proof.value),
        **{f"regret of {who}": f">= {worded(regret)}" for who, regret in proof.regrets.items()},
        "NashConv": worded_gap(proof),
    }
