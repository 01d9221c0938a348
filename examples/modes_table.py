"""Which method captures the modes of PacGAN's ring and grid, and from how near?

Two single GANs, one trained by PacGAN's rule and one by the mixtures' own, against MIX+GAN (five
small generators and five discriminators, as many parameters in all as a single GAN) and against a
smaller generator for each mode, all before one discriminator, which sees four times the batch for
half as many steps again. All see the same data and meet the same judge. Rows are kept as they come:
an interrupted table goes on.
"""

import argparse
import csv
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from scipy.stats import wilcoxon
from torch import Tensor, nn

import eqgan
from eqgan import data, solvers
from eqgan.certificate import payoff_of
from eqgan.gan.metrics import modes
from eqgan.gan.networks import mlp
from eqgan.profile import Profile
from eqgan.rules import Cosine

CASES = {"ring": data.ring, "grid": data.grid}
MODES = {"ring": 8, "grid": 25}
STEPS = {"ring": 2_000, "grid": 4_000}
PUBLISHED = {"ring": "6.3 ± 0.5 | 98.2", "grid": "17.3 ± 0.8 | 94.8"}
COLUMNS = ("captured", "high_quality", "reverse_kl", "distance")
POINTS, SAMPLES = 100_000, 2_500  # PacGAN's
PLAIN, ONE, MIX = "plain GAN", "one GAN, trained as MIX", "MIX (T = 5)"


class Maxout(nn.Module):
    """The largest of five linear functions, for each output."""

    def __init__(self, inputs: int, outputs: int, pieces: int = 5) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs * pieces)
        self.shape = (outputs, pieces)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maxima."""
        largest: Tensor = self.linear(x).unflatten(-1, self.shape).amax(-1)
        return largest


def critic(width: int) -> nn.Sequential:
    """Return PacGAN's discriminator, three maxout layers, at another width."""
    layers = [Maxout(2, width), Maxout(width, width), Maxout(width, width)]
    return nn.Sequential(*layers, nn.Linear(width, 1))


class Method(NamedTuple):
    """How many networks play, how wide they are, and what trains them for how long."""

    sizes: dict[str, tuple[int, int]]
    widths: tuple[int, int]
    solver: Callable[[int], Any]
    batch_size: int = 64
    longer: float = 1.0

    def generator(self) -> nn.Sequential:
        """Return PacGAN's generator, two layers of ReLU, at this width."""
        return mlp([2, self.widths[0], self.widths[0], 2])


def published(steps: int) -> Any:
    """Return simultaneous Adam as PacGAN's, at ten times its rate for want of steps."""
    return solvers.MixGan(eqgan.Adam(1e-3, betas=(0.8, 0.999)))


def averaged(steps: int, critic_rate: float = 3e-3, entropy: float = 0.1) -> Any:
    """Return MIX+GAN with faster critics, rates that fall to zero, and averaged parameters."""

    def adam(rate: float) -> eqgan.Adam:
        return eqgan.Adam(Cosine(rate, steps), betas=(0.5, 0.9))

    rule = eqgan.PerPlayer(adam(1e-3), adam(critic_rate))
    mix = solvers.MixGan(rule, entropy, weight_rule=adam(1e-3))
    return solvers.MovingAverage(mix, decay=0.99)


def uniform(steps: int) -> Any:
    """Return the same with equal rates, and weights that stay equal: each mode needs its own."""
    return averaged(steps, critic_rate=1e-3, entropy=2.0)


# A mixture of one generator and one discriminator is the plain GAN, bit for bit.
ALONE, FIVE = ({case: (t, t) for case in CASES} for t in (1, 5))
MANY = {case: (count, 1) for case, count in MODES.items()}
METHODS = {
    PLAIN: Method(ALONE, (147, 55), published, batch_size=100),
    ONE: Method(ALONE, (147, 55), averaged),
    MIX: Method(FIVE, (64, 24), averaged),
    "many on one": Method(MANY, (24, 64), uniform, batch_size=256, longer=1.5),
}


def trained(case: str, method: Method, steps: int, seed: int) -> tuple[eqgan.games.Mixed, Profile]:
    """Return the game and what the method proposes after so many steps."""
    gan = eqgan.games.GAN(
        method.generator(),
        critic(method.widths[1]),
        CASES[case](POINTS, seed=seed).samples,
        noise_dim=2,
        objective="non_saturating",
        batch_size=method.batch_size,
    )
    game = eqgan.games.Mixed(gan, method.sizes[case])
    start = game.random(game.generator(seed))
    run = eqgan.solve(game, method.solver(steps), init=start, max_steps=steps, seed=seed)
    return game, run.profile


def distance(case: str, method: Method, profile: Profile, steps: int) -> float:
    """Return the neural-net distance that a judge finds: 0 if it is fooled, 2 log 2 if never.

    A fresh discriminator learns to tell the generators from data that they did not train on, and is
    measured on data and noise that neither has seen. Judge, samples and seeds are the same for all.
    """
    judged = eqgan.games.GAN(
        method.generator(),
        mlp([2, 128, 128, 1]),
        CASES[case](POINTS, seed=1001).samples,
        noise_dim=2,
        batch_size=256,
        holdout=CASES[case](POINTS, seed=1002).samples,
    )
    trial = eqgan.games.Mixed(judged, (method.sizes[case][0], 1))
    fresh = judged.random(judged.generator(1003))[1]
    judge = eqgan.GradientOracle(steps=steps, restarts=0)
    start = Profile((profile[0], trial.pure(fresh)))
    found = judge.respond(trial, start, 1, trial.generator(1004))
    payoff = payoff_of(found.game, found.deviated, seed=1005, batches=64)
    return float(payoff) + 2 * math.log(2)


def measured(case: str, name: str, steps: int, seed: int) -> dict[str, Any]:
    """Return a row of the file."""
    start = time.process_time()
    method = METHODS[name]
    game, profile = trained(case, method, int(method.longer * steps), seed)
    seconds = time.process_time() - start
    mixture = CASES[case](1)
    found = modes(game.generate(profile, SAMPLES, seed=1000), mixture.means, mixture.std)
    return {
        "method": name,
        "seed": seed,
        **found._asdict(),
        "distance": distance(case, method, profile, max(steps // 8, 1)),
        "seconds": seconds,
    }


def size(case: str, name: str) -> str:
    """Return how many parameters both players' networks have in all, in words."""
    method = METHODS[name]
    networks = method.generator(), critic(method.widths[1])
    counts = [sum(p.numel() for p in network.parameters()) for network in networks]
    return " + ".join(f"{k * n:,}" for k, n in zip(method.sizes[case], counts, strict=True))


def estimate(values: list[float]) -> str:
    """Return mean and standard error in words."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return f"{statistics.fmean(values):.3g}"
    return f"{statistics.fmean(values):.3g} ± {statistics.stdev(values) / len(values) ** 0.5:.2g}"


def report(case: str, rows: list[dict[str, Any]]) -> None:
    """Print a case's table, and the paired test of MIX against one GAN."""
    seeds = len({row["seed"] for row in rows})
    print(f"\n{case}, {MODES[case]} modes, {seeds} seeds, mean ± standard error\n")
    print("| method | parameters | modes | high quality, % | reverse KL | distance | CPU s a run |")
    print("|---|---|---|---|---|---|---|")
    print(f"| published plain GAN | 162,402 + 405,201 | {PUBLISHED[case]} | | | |")
    columns: dict[str, dict[str, list[float]]] = {}
    for name in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == name]
        columns[name] = {c: [float(row[c]) for row in mine] for c in (*COLUMNS, "seconds")}
        columns[name]["high_quality"] = [100 * share for share in columns[name]["high_quality"]]
        cells = [estimate(columns[name][c]) for c in COLUMNS]
        seconds = statistics.fmean(columns[name]["seconds"])
        print(f"| {name} | {size(case, name)} | {' | '.join(cells)} | {seconds:.0f} |")
    one, mix = (columns.get(name) for name in (ONE, MIX))
    if one is None or mix is None or len(one["distance"]) != len(mix["distance"]):
        return
    print(f"\n{MIX} against {ONE}, paired over seeds (Wilcoxon):")
    for column, word in (("captured", "greater"), ("distance", "less")):
        pairs = list(zip(mix[column], one[column], strict=True))
        p = 1.0
        if any(a != b for a, b in pairs):
            p = wilcoxon(*zip(*pairs, strict=True), alternative=word, method="exact").pvalue
        better = sum(a > b if word == "greater" else a < b for a, b in pairs)
        print(f"- {column} {word} in {better} of {len(pairs)}; one-sided p = {p:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the rows")
    parser.add_argument("--case", choices=CASES, nargs="*", default=list(CASES))
    parser.add_argument("--method", choices=METHODS, nargs="*", default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ... of each")
    parser.add_argument("--steps", type=int, help="steps of each method, if not the case's own")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    for case in options.case:
        steps = options.steps or STEPS[case]
        path = options.out / f"modes_{case}_{steps}.csv"
        for seed in range(options.seeds):
            for name in options.method:
                if (name, str(seed)) not in {(row["method"], row["seed"]) for row in kept(path)}:
                    keep(path, measured(case, name, steps, seed))
        rows = [row for row in kept(path) if int(row["seed"]) < options.seeds]
        report(case, [row for name in options.method for row in rows if row["method"] == name])


def kept(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file, none if there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def keep(path: Path, row: dict[str, Any]) -> None:
    """Add a row to a file."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
