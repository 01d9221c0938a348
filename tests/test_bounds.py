"""Gaps from both sides: lower <= true <= upper, exact where claimed, nothing that is unproved."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

import eqgan
from eqgan import BoundOracle, Constant, GradientOracle, Profile, certify
from eqgan.games import GAN, FiniteGAN, FixedGAN, Mixed
from eqgan.gan import objectives, spectral_norm
from eqgan.gan.networks import mlp

QUICK = BoundOracle(search=GradientOracle(steps=60, restarts=1))


def table_game(
    real: list[int],
    fake: list[int],
    points: int = 4,
    objective: objectives.ObjectiveLike = "minimax",
) -> tuple[FixedGAN, Profile]:
    """Return a game on the corners of a simplex, where a linear discriminator is a table.

    The generator shows corner `fake[i]` for noise i; it can reach all of the unit cube.
    """
    corners = torch.eye(points).double()
    generator = nn.Sequential(nn.Linear(len(fake), points), nn.Hardtanh(0.0, 1.0)).double()
    discriminator = nn.Linear(points, 1).double()
    with torch.no_grad():
        generator[0].weight.copy_(corners[fake].mT)
        generator[0].bias.zero_()
    gan = GAN(generator, discriminator, corners[real], len(fake), objective)
    game = FixedGAN(gan, corners[real], torch.eye(len(fake)))
    return game, game.initial(game.generator(0))


SAMPLES = st.lists(st.integers(0, 3), min_size=1, max_size=6)


def shares(samples: list[int]) -> Tensor:
    return torch.bincount(torch.tensor(samples), minlength=4).double() / len(samples)


@settings(max_examples=25)
@given(SAMPLES, SAMPLES, st.integers(0, 10**6))
def test_lower_true_upper_on_finite_supports(real: list[int], fake: list[int], seed: int) -> None:
    game, z = table_game(real, fake)
    weights = torch.randn(5, generator=torch.Generator().manual_seed(seed)).double()
    z = z.replace(1, weights)
    proof = certify(game, z, QUICK)
    value = float(game.payoff(z))
    p, q = shares(real), shares(fake)
    best = float((torch.xlogy(p, p / (p + q)) + torch.xlogy(q, q / (p + q))).nansum())
    discriminators = best - value
    # The output over the cube is largest where every positive weight counts in full.
    top = weights[:4].relu().sum() + weights[4]
    floor = logsigmoid(weights[:4] + weights[4])[real].mean() + logsigmoid(-top)
    generators = value - float(floor)
    for player, true in enumerate((generators, discriminators)):
        assert float(proof.lower[player]) <= true + 1e-9
        assert float(proof.upper[player]) == pytest.approx(true, abs=2e-3)
        assert float(proof.upper[player]) >= true - 1e-9
    # The generator's best response is in reach: it sits at a corner of the cube.
    assert float(proof.lower[0]) == pytest.approx(generators, abs=1e-9)
    assert not proof.exact or discriminators < 1e-9


@pytest.mark.parametrize("objective", ["minimax", "wasserstein"])
def test_the_interval_of_a_finite_gan_is_a_point(objective: str) -> None:
    game = FiniteGAN([0.2, 0.5, 0.3], objective)  # type: ignore[arg-type]
    for seed in range(5):
        z = game.random(game.generator(seed))
        exact = certify(game, z)
        found = certify(game, z, GradientOracle(steps=300))
        assert exact.exact
        assert exact.nash_conv_lower == exact.nash_conv_upper
        assert found.nash_conv_lower <= exact.nash_conv + 1e-12
        assert found.nash_conv_upper == math.inf


def linear_critic(bias: bool = True) -> FixedGAN:
    rng = torch.Generator().manual_seed(0)
    gan = GAN(
        nn.Sequential(nn.Linear(2, 3), nn.Tanh()),
        nn.Linear(3, 1, bias=bias),
        torch.rand(40, 3, generator=rng),
        2,
        objectives.Wasserstein(clip=0.1),
    )
    return FixedGAN.draw(gan, 40)


def test_a_clipped_linear_critic_is_answered_exactly() -> None:
    game = linear_critic()
    z = game.random(game.generator(1))
    proof = certify(game, z, QUICK)
    difference = game.data.mean(0) - game.make(z[0], game.inputs).mean(0)
    regret = 0.1 * float(difference.abs().sum()) - float(game.payoff(z))
    assert float(proof.lower[1]) == float(proof.upper[1]) == pytest.approx(regret, abs=1e-12)
    # Against a linear critic a corner of the box is best; Tanh comes as near as rounding lets it.
    assert float(proof.upper[0] - proof.lower[0]) < 1e-9


def test_a_linear_critic_in_a_ball_receives_the_norm_of_the_mean_difference() -> None:
    game = linear_critic(bias=False)
    game.spaces = (game.spaces[0], eqgan.Ball(3))
    z = game.as_profile((game.initial(game.generator(0))[0], [0.0, 0.0, 0.0]))
    proof = certify(game, z, QUICK)
    difference = game.data.mean(0) - game.make(z[0], game.inputs).mean(0)
    assert float(proof.lower[1]) == float(proof.upper[1])
    assert float(proof.upper[1]) == pytest.approx(float(difference.norm()), abs=1e-12)


def one_dimensional(critic: nn.Module, objective: objectives.Objective) -> FixedGAN:
    rng = torch.Generator().manual_seed(0)
    generator = nn.Sequential(nn.Linear(1, 1), nn.Tanh())
    gan = GAN(generator, critic, torch.rand(60, 1, generator=rng), 1, objective)
    return FixedGAN.draw(gan, 60)


@pytest.mark.parametrize(
    ("normed", "clip", "constant"), [(True, None, 1.0), (False, 0.1, 0.1 * 0.1 * 4 * 4)]
)
def test_critics_are_bounded_by_the_wasserstein_distance(
    normed: bool, clip: float | None, constant: float
) -> None:
    critic = mlp([1, 16, 1])
    if normed:
        critic = spectral_norm(critic)
    game = one_dimensional(critic, objectives.Wasserstein(clip=clip))
    z = game.random(game.generator(0))
    proof = certify(game, z, QUICK)
    fake = game.make(z[0], game.inputs)
    most = constant * float(wasserstein_distance(game.data[:, 0], fake[:, 0]))
    upper = most - float(game.payoff(z))
    assert float(proof.upper[1]) == pytest.approx(upper, rel=1e-3)
    assert float(proof.upper[1]) >= upper - 1e-9
    hard = certify(game, z, GradientOracle(steps=400, restarts=2))
    assert float(hard.lower[1]) <= float(proof.upper[1])


def test_the_steepest_clipped_critic_reaches_its_bound() -> None:
    game = one_dimensional(mlp([1, 16, 1]), objectives.Wasserstein(clip=0.1))
    # All data lie above all generated samples, which are -1 nearly.
    z = game.random(game.generator(0)).replace(0, torch.tensor([0.0, -3.0]).double())
    steepest = torch.full_like(z[1], 0.1)
    regret = float(game.payoff(z.replace(1, steepest)) - game.payoff(z))
    proof = certify(game, z, QUICK)
    assert "every 0.16-Lipschitz discriminator" in proof.proof
    assert regret == pytest.approx(float(proof.upper[1]), abs=1e-12)


def test_a_trained_ring_gan_is_bounded_from_both_sides() -> None:
    ring = eqgan.data.ring(5000, radius=0.7, std=0.02)
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        generator = nn.Sequential(*mlp([2, 64, 64, 2]), nn.Tanh())
        critic = spectral_norm(mlp([2, 64, 64, 1], nn.LeakyReLU))
    gan = GAN(generator, critic, ring.samples, 2, objectives.Wasserstein(), batch_size=128)
    rule = eqgan.Adam(1e-3, betas=(0.5, 0.9))
    start = gan.initial(gan.generator(0))
    run = eqgan.solve(gan, eqgan.solvers.Extragradient(rule), init=start, max_steps=400)
    game = FixedGAN.draw(gan, 300)
    first = certify(game, start, QUICK)
    last = certify(game, run.profile, QUICK)
    for proof in (first, last):
        assert not proof.exact
        assert 0 < proof.nash_conv_lower < proof.nash_conv_upper < math.inf
        # The generator's side is known to the tolerance.
        assert float(proof.upper[0] - proof.lower[0]) < 2e-3
    # The intervals lie apart: it is proved that training has closed the gap.
    assert last.nash_conv_upper < first.nash_conv_lower
    assert "proved on both sides" in repr(last)
    assert f"{last.nash_conv_lower:.4g} <= NashConv <= {last.nash_conv_upper:.4g}" in repr(last)


def test_the_generators_deviation_is_one_point_in_reach() -> None:
    game, z = table_game([0, 1], [2, 3])
    z = z.replace(1, torch.tensor([1.0, -1.0, 0.5, -2.0, 0.0]).double())
    proof = certify(game, z, QUICK)
    assert proof.deviations is not None
    samples = game.make(proof.deviations[0], game.inputs)
    assert samples.tolist() == [[1.0, 0.0, 1.0, 0.0]] * 2


def refused(generator: nn.Module, discriminator: nn.Module, **options: object) -> str:
    gan = GAN(generator, discriminator, torch.rand(20, 2), 2, **options)  # type: ignore[arg-type]
    game = FixedGAN.draw(gan, 20)
    proof = certify(game, game.initial(game.generator(0)), QUICK)
    assert proof.nash_conv_upper == math.inf
    assert "lower bound, proves no equilibrium" in repr(proof)
    return proof.proof


class Doubled(nn.Tanh):
    """Not what its base class says."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def test_what_is_not_proved_is_not_claimed() -> None:
    bounded = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    plain = mlp([2, 4, 1])
    assert "no Lipschitz constant for all its weights" in refused(
        bounded, plain, objective=objectives.Wasserstein(penalty=1.0)
    )
    assert "not known to lie in a box" in refused(nn.Linear(2, 2), plain)
    assert "not known to lie in a box" in refused(nn.Sequential(nn.Linear(2, 2), Doubled()), plain)
    assert "known for a Doubled" in refused(
        bounded, nn.Sequential(nn.Linear(2, 2), Doubled(), nn.Linear(2, 1))
    )
    assert "may cost the generator more" in refused(bounded, plain, objective="least_squares")
    assert "known for a SiLU" in refused(bounded, mlp([2, 4, 1], nn.SiLU), objective="wasserstein")
    layer = nn.Linear(2, 1)
    layer.register_forward_hook(lambda module, inputs, output: output + 1)
    assert refused(bounded, nn.Sequential(layer)).count("with hooks") == 2


class Neighbours(nn.Module):
    """A discriminator that looks at the other samples of its batch: no function of one sample."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x.mean(0).sum().expand(len(x))


@pytest.mark.parametrize(
    "discriminator",
    [
        Neighbours(),
        nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)),
        nn.Sequential(nn.Linear(2, 4), nn.Softmax(0), nn.Linear(4, 1)),
    ],
)
def test_who_looks_at_the_whole_batch_is_no_function_of_a_sample(discriminator: nn.Module) -> None:
    bounded = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    assert "sample by sample" in refused(bounded, discriminator)


def exchanged(discriminator: nn.Module, fake: list[float]) -> tuple[FixedGAN, Profile]:
    """Return a game whose generated samples are the data, in another order."""
    data, noise = (torch.tensor(sorted(fake))[:, None], torch.tensor(fake)[:, None])
    game = FixedGAN(GAN(nn.Linear(1, 1), discriminator, data, 1), data, noise)
    z = game.initial(game.generator(0))
    return game, z.replace(0, torch.tensor([1.0, 0.0]).double())


@pytest.mark.parametrize(
    ("layers", "fake"),
    [
        # Pools over its neighbours in the batch.
        (
            [nn.Unflatten(0, (1, -1)), nn.AvgPool2d((3, 1), 1, (1, 0)), nn.Flatten(0, 1)],
            [0.0, 1.0, 0.0, 1.0, 0.0, 1.0],
        ),
        # Takes the two samples of the batch for two channels of one.
        ([nn.Conv1d(2, 2, 1)], [1.0, 0.0]),
    ],
    ids=["pool", "convolution"],
)
def test_known_layers_that_mix_the_batch_have_no_ceiling(
    layers: list[nn.Module], fake: list[float]
) -> None:
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        game, z = exchanged(nn.Sequential(*layers, *mlp([1, 16, 1], nn.Tanh)), fake)
    proof = certify(game, z, QUICK)
    # No function tells the samples apart; these do, as they look at the batch.
    most = -2 * math.log(2) - float(game.payoff(z))
    hard = certify(game, z, GradientOracle(steps=150, restarts=0, rule=eqgan.Adam(0.05)))
    assert float(hard.lower[1]) > most + 0.1
    assert math.isinf(float(proof.upper[1]))


def test_a_generator_in_a_box_reaches_no_point_beyond_it() -> None:
    gan = GAN(nn.Sequential(nn.Linear(1, 1), nn.Tanh()), nn.Linear(1, 1), torch.rand(20, 1), 1)
    game = FixedGAN.draw(gan, 20)
    game.spaces = (eqgan.Box((2,), -0.1, 0.1), game.spaces[1])
    proof = certify(game, ([0.0, 0.0], [2.0, 0.0]), QUICK)
    assert proof.deviations is not None
    assert game.spaces[0].violation(proof.deviations[0]) == 0
    assert 0 < float(proof.lower[0]) < float(proof.upper[0])


def test_a_game_with_another_payoff_is_refused() -> None:
    class Doubled(FixedGAN):
        def payoff(self, z: Profile, batch: object = None) -> Tensor:
            return 2 * super().payoff(z, batch)

    gan = GAN(nn.Linear(1, 1), nn.Linear(1, 1), torch.rand(20, 1), 1)
    game = Doubled.draw(gan, 20)
    with pytest.raises(eqgan.UnsupportedGame, match="upper bounds are proved on fixed samples"):
        certify(game, game.initial(game.generator(0)), QUICK)


def test_frozen_weights_are_not_clipped() -> None:
    critic = mlp([2, 4, 1])
    with torch.no_grad():
        critic[0].weight.fill_(100.0)
    critic[0].weight.requires_grad_(False)
    bounded = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    assert "no Lipschitz constant" in refused(bounded, critic, objective="wasserstein")


def test_any_network_of_single_samples_has_the_log_ceiling() -> None:
    discriminator = nn.Sequential(
        nn.Unflatten(1, (1, 2)),
        nn.Conv1d(1, 4, 1),
        nn.GroupNorm(2, 4),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(8, 1),
    )
    gan = GAN(nn.Linear(2, 2), discriminator, torch.rand(20, 2), 2)
    game = FixedGAN.draw(gan, 20)
    z = game.initial(game.generator(0))
    proof = certify(game, z, QUICK)
    # Real and generated samples share no point: the best function tells them apart for certain.
    assert float(proof.upper[1]) == pytest.approx(-float(game.payoff(z)), abs=1e-12)
    assert math.isinf(float(proof.upper[0]))
    assert "every discriminator" in proof.proof


def test_bounds_on_samples_that_change_are_refused() -> None:
    gan = GAN(nn.Linear(2, 2), nn.Linear(2, 1), torch.rand(20, 2), 2)
    z = gan.initial(gan.generator(0))
    with pytest.raises(eqgan.UnsupportedGame, match=r"FixedGAN\.draw\(gan, 1000\)"):
        certify(gan, z, BoundOracle())
    for name, wrong in (("tolerance", 0.0), ("budget", 0), ("search", None)):
        with pytest.raises(eqgan.InvalidInput, match=f"{name} should be"):
            BoundOracle(**{name: wrong})  # type: ignore[arg-type]


# -- the game on fixed samples -------------------------------------------------------------------


@pytest.mark.parametrize(
    "objective", ["minimax", "non_saturating", "hinge", objectives.Wasserstein(penalty=2.0)]
)
def test_fixed_samples_make_a_game_like_any_other(objective: object) -> None:
    data, holdout = torch.zeros(30, 2), torch.ones(20, 2)
    gan = GAN(
        nn.Linear(3, 2),
        mlp([2, 4, 1]),
        data,
        3,
        objective,
        holdout=holdout,  # type: ignore[arg-type]
    )
    game = FixedGAN.draw(gan, 1000)
    assert game.data.shape == (20, 2)
    assert bool((game.data == 1).all())
    assert game.dtype is torch.float64
    assert game.stochastic is False
    z = game.as_profile(gan.initial(gan.generator(0)))
    rng = game.generator(0)
    assert torch.equal(game.payoff(z), game.payoff(z, game.sample(rng)))
    assert game.sample(rng).real is game.data
    for given_, own in zip(game.losses(z, game.batch), game.losses(z), strict=True):
        assert torch.equal(given_, own)
    run = eqgan.solve(game, "extragradient", max_steps=5, init=z)
    assert "residual" in run.trace[-1]
    proof = certify(game, run.profile, GradientOracle(steps=20, rule=Constant(0.01)))
    assert proof.stderr == 0.0
    assert float(proof.lower.min()) >= 0
    mix = Mixed(game, (2, 2))
    assert mix.payoff_table(mix.initial(mix.generator(0))).shape == (2, 2)
    assert eqgan.solve(mix, "mix_gan", max_steps=2).steps == 2


def test_fixed_samples_should_fit() -> None:
    gan = GAN(
        nn.Linear(3, 2), nn.Linear(2, 1), torch.rand(9, 2), 3, objectives.Wasserstein(penalty=1.0)
    )
    with pytest.raises(eqgan.InvalidInput, match=r"noise should have shape \(m, 3\)"):
        FixedGAN(gan, gan.data, torch.zeros(4, 2))
    with pytest.raises(eqgan.InvalidInput, match="9 real and 4 fake"):
        FixedGAN(gan, gan.data, torch.zeros(4, 3))
    with pytest.raises(eqgan.InvalidInput, match="expects a plain GAN"):
        FixedGAN(nn.Linear(1, 1), gan.data, torch.zeros(4, 3))  # type: ignore[arg-type]
    with pytest.raises(eqgan.InvalidInput, match="n should be"):
        FixedGAN.draw(gan, 0)


def test_samples_are_drawn_of_gans_alone() -> None:
    with pytest.raises(eqgan.InvalidInput, match="expects a plain GAN; got MatrixGame"):
        eqgan.games.FixedGAN.draw(eqgan.games.matching_pennies(), 5)  # type: ignore[arg-type]
