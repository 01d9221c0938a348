from pathlib import Path

import pytest
import torch

import eqgan
from eqgan import Profile
from eqgan.gan.networks import mlp
from eqgan.solvers import SimultaneousGradient


def dying_gan() -> eqgan.games.GAN:
    """Return a GAN whose generator's ReLUs die under Adam at a rate of 0.05."""
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        networks = mlp([2, 32, 32, 2]), mlp([2, 32, 32, 1])
    data = eqgan.data.ring(2000, std=0.02).samples
    return eqgan.games.GAN(*networks, data, 2, "non_saturating", batch_size=64)


def test_a_collapsed_generator_ends_the_run_with_the_last_that_was_none(tmp_path: Path) -> None:
    gan, file = dying_gan(), tmp_path / "run.ckpt"
    solver = SimultaneousGradient(rule=eqgan.Adam(0.05))

    def solved(max_steps: int, resume: bool = False) -> eqgan.Result:
        return eqgan.solve(
            gan,
            solver,
            max_steps=max_steps,
            check_every=10,
            checkpoint=file,
            checkpoint_every=3,
            resume=resume,
        )

    run = solved(400)
    assert run.status is eqgan.Status.DIVERGED
    step = run.trace[-1]["step"]
    assert "the generator has collapsed to one point by step" in run.message
    assert f"the last good one, of step {step:.0f}" in run.message
    assert gan.generate(run.profile, 500).var(0).sum() > 1e-3
    assert solved(int(step)).profile.equal(run.profile)
    # What was saved last had not collapsed either: whoever resumes sees the same end.
    solved(400)
    again = solved(400, resume=True)
    assert (again.status, again.steps) == (run.status, run.steps)
    assert not gan.failure(again.profile, run.profile)


def test_a_mixture_has_collapsed_when_all_of_it_is_one_point() -> None:
    mix = eqgan.games.Mixed(dying_gan(), (2, 1))
    x, y = mix.random(mix.generator(0))
    atoms = x["atoms"]

    def told(atoms: torch.Tensor, weights: list[float]) -> str:
        strategy = {"weights": torch.tensor(weights), "atoms": atoms}
        return mix.failure(Profile((strategy, y)), Profile((x, y)))

    last = mix.base.networks[0].size - 2
    points = 0 * atoms
    points[1, last:] = 1
    assert not told(atoms, [0.5, 0.5])
    assert not told(points, [0.5, 0.5])  # two points
    assert told(points, [1.0, 0.0]) == "the generator has collapsed to one point"
    assert told(0 * atoms, [0.5, 0.5])


def test_a_generator_that_never_made_more_than_one_point_has_not_collapsed() -> None:
    """It may have been made so; its gap says what it is worth."""
    ring = eqgan.data.ring(1000, std=0.02)
    generator = torch.nn.Linear(2, 2)
    with torch.no_grad():
        generator.weight.zero_()
    gan = eqgan.games.GAN(generator, torch.nn.Linear(2, 1), ring.samples, 2)
    run = eqgan.solve(gan, SimultaneousGradient(), max_steps=20)
    assert run.status is eqgan.Status.MAX_STEPS
    found = eqgan.gan.metrics.modes(gan.generate(run.profile, 500), ring.means, ring.std)
    assert found.captured <= 1
    proof = eqgan.certify(gan, run.profile, eqgan.GradientOracle(steps=100, restarts=1))
    assert proof.nash_conv > 10 * proof.stderr > 0


def test_data_of_one_point_are_met_by_one_point() -> None:
    gan = eqgan.games.GAN(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1), torch.ones(50, 2), 2)
    z = gan.initial(gan.generator(0))
    assert not gan.failure(Profile((0 * z[0], z[1])), z)


def test_what_is_spread_is_a_share_of_the_datas_variance() -> None:
    data = torch.tensor([[-100.0], [100.0]]).repeat(50, 1)
    gan = eqgan.games.GAN(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1), data, 1)
    points = torch.tensor([[0.0, 50.0], [0.0, -50.0]])
    for weights, share in (([0.5, 0.5], 0.25), ([0.8, 0.2], 0.16), ([1.0, 0.0], 0.0)):
        found = gan.spread(points, torch.tensor(weights))
        assert found == pytest.approx(share, rel=1e-6)
    # Beside such data a thousandth is no width, as it would be of their own size.
    wide, narrow = (gan.as_profile(([w, 0.0], [0.0, 0.0])) for w in (100.0, 1e-3))
    assert gan.failure(narrow, wide) == "the generator has collapsed to one point"


def test_samples_carry_no_graph() -> None:
    gan = dying_gan()
    z = gan.initial(gan.generator(0)).attached()
    assert not gan.make(z[0], gan.noise(3, gan.generator(0))).requires_grad
