"""Objectives at their best discriminators are the divergences that they are named for."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from test_gan import ring, ring_gan, seeded
from torch import Tensor, nn

import eqgan
from eqgan.games import GAN, Mixed
from eqgan.games.gan import GanBatch
from eqgan.gan.networks import mlp
from eqgan.gan.objectives import (
    FDivergence,
    GeneralizedLossSensitive,
    Hinge,
    JensenShannon,
    LeastSquares,
    LossSensitive,
    Measured,
    Minimax,
    NonSaturating,
    Objective,
    Wasserstein,
    as_objective,
)

P, Q = (torch.tensor(p, dtype=torch.float64) for p in ([0.2, 0.5, 0.3], [0.6, 0.1, 0.3]))


def expected(objective: Objective, output: Tensor) -> Tensor:
    """Return the payoff of a table of outputs against p and q, by ten equal samples of each."""
    real = output.repeat_interleave((10 * P).round().long())
    fake = output.repeat_interleave((10 * Q).round().long())
    return objective.payoff(real, fake)


def best(objective: Objective) -> Tensor:
    """Return the payoff of the best table, found by Newton-like search from zero."""
    output = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([output], max_iter=500, tolerance_grad=1e-14, tolerance_change=0)

    def loss() -> Tensor:
        search.zero_grad()
        value = -expected(objective, output)
        value.backward()
        return value

    search.step(loss)  # type: ignore[arg-type]
    return expected(objective, output).detach()


def kl(p: Tensor, q: Tensor) -> float:
    return float((p * (p / q).log()).sum())


def js(weight: float) -> float:
    middle = weight * P + (1 - weight) * Q
    return weight * kl(P, middle) + (1 - weight) * kl(Q, middle)


DIVERGENCES: dict[str, float] = {
    "kl": kl(P, Q),
    "reverse_kl": kl(Q, P),
    "pearson": float(((P - Q) ** 2 / Q).sum()),
    "hellinger": float(((P.sqrt() - Q.sqrt()) ** 2).sum()),
}


@pytest.mark.parametrize("kind", DIVERGENCES)
def test_f_divergences(kind: str) -> None:
    assert float(best(FDivergence(kind))) == pytest.approx(DIVERGENCES[kind], abs=1e-9)  # type: ignore[arg-type]


U, SIGN = P / Q, (P - Q).sign()
OPTIMAL: dict[str, tuple[Objective, Tensor, float]] = {
    "log": (Minimax(), U.log(), 2 * js(0.5) - 2 * math.log(2)),
    "non_saturating": (NonSaturating(), U.log(), 2 * js(0.5) - 2 * math.log(2)),
    "least_squares": (LeastSquares(), P / (P + Q), -0.5 * float((P * Q / (P + Q)).sum())),
    "hinge": (Hinge(), SIGN, -2 * float(torch.minimum(P, Q).sum())),
    "kl": (FDivergence("kl"), 1 + U.log(), DIVERGENCES["kl"]),
    "reverse_kl": (FDivergence("reverse_kl"), U.log(), DIVERGENCES["reverse_kl"]),
    "pearson": (FDivergence("pearson"), 2 * (U - 1), DIVERGENCES["pearson"]),
    "hellinger": (FDivergence("hellinger"), U.log() / 2, DIVERGENCES["hellinger"]),
}


@pytest.mark.parametrize("name", OPTIMAL)
def test_known_optimal_discriminators(name: str) -> None:
    """Each reaches the known optimum, and no table beside it is better."""
    objective, output, value = OPTIMAL[name]
    assert float(expected(objective, output)) == pytest.approx(value, abs=1e-12)
    assert float(best(objective)) == pytest.approx(value, abs=1e-9)
    rng = torch.Generator().manual_seed(0)
    for scale in (1e-3, 0.1, 1.0):
        beside = output + scale * torch.randn(3, generator=rng, dtype=torch.float64)
        assert float(expected(objective, beside)) < value


@pytest.mark.parametrize("delta", [0.5, 0.1, 1e-3])
def test_bounded_log_at_its_best(delta: float) -> None:
    """phi(D) = log a and phi(1 - D) = log(1 + delta - a), so a = (1 + delta) p / (p + q)."""
    a = ((1 + delta) * P / (P + Q)).clamp(delta, 1)
    value = float((P * a.log() + Q * (1 + delta - a).log()).sum())
    d = (a - delta) / (1 - delta)
    found = float(expected(Measured("bounded_log", delta), d.logit(1e-15)))
    assert found == pytest.approx(value, abs=1e-9)
    rng = torch.Generator().manual_seed(0)
    for _ in range(20):
        beside = d.logit(1e-15) + torch.randn(3, generator=rng, dtype=torch.float64)
        assert float(expected(Measured("bounded_log", delta), beside)) <= value + 1e-12


def sigmoid(output: float) -> float:
    return 1 / (1 + math.exp(-output))


LOSSES: dict[str, tuple[Objective, Callable[[float], float]]] = {
    "minimax": (Minimax(), lambda d: math.log(1 - sigmoid(d))),
    "non_saturating": (NonSaturating(), lambda d: -math.log(sigmoid(d))),
    "least_squares": (LeastSquares(), lambda d: 0.5 * (d - 1) ** 2),
    "hinge": (Hinge(), lambda d: -d),
    "wasserstein": (Wasserstein(), lambda d: -d),
    "loss_sensitive": (LossSensitive(), lambda d: -d),
}


@pytest.mark.parametrize("name", LOSSES)
def test_generators_descend_the_mean_of_the_published_loss(name: str) -> None:
    objective, loss = LOSSES[name]
    fake = torch.tensor([[0.3, -2.0, 1.5], [0.0, 4.0, -1.0]], dtype=torch.float64)
    means = [sum(map(loss, row)) / len(row) for row in fake.tolist()]
    assert objective.generator_loss(fake).tolist() == pytest.approx(means, abs=1e-14)


@pytest.mark.parametrize("critic", [Wasserstein(), LossSensitive(), GeneralizedLossSensitive()])
def test_payoffs_of_critics_are_differences_of_means(critic: Objective) -> None:
    real, fake = torch.tensor([[1.0, 2.0, 6.0], [0.0, 0.0, 3.0]]), torch.tensor([[0.5], [-2.0]])
    assert critic.payoff(real, fake.expand(2, 4)).tolist() == [2.5, 3.0]


def test_plain_names_of_critics_keep_them_within_a_tenth() -> None:
    assert as_objective("wasserstein") == Wasserstein(clip=0.1)
    assert as_objective("loss_sensitive") == LossSensitive(clip=0.1)


def test_total_variation_is_a_limit() -> None:
    """Its best discriminator is a sign, which the tanh only nears."""
    signs = 20 * (P - Q).sign()
    found = float(expected(FDivergence("total_variation"), signs))
    assert found == pytest.approx(0.5 * float((P - Q).abs().sum()), abs=1e-12)


@pytest.mark.parametrize("weight", [0.2, 0.5, 0.9])
def test_weighted_jensen_shannon(weight: float) -> None:
    entropy = -weight * math.log(weight) - (1 - weight) * math.log(1 - weight)
    found = float(best(JensenShannon(weight)))
    assert found == pytest.approx(js(weight) - entropy, abs=1e-10)
    tight = torch.log(weight * P / ((1 - weight) * Q))
    assert float(expected(JensenShannon(weight), tight)) == pytest.approx(found, abs=1e-10)


def test_log_measure_is_the_original_gan() -> None:
    output = torch.tensor([0.3, -2.0, 1.0]).double()
    assert torch.equal(expected(Measured("log"), output), expected(Minimax(), output))
    assert float(best(Measured("log"))) == pytest.approx(2 * js(0.5) - 2 * math.log(2), abs=1e-10)


@pytest.mark.parametrize("delta", [0.5, 0.01])
def test_bounded_log_stays_in_its_range(delta: float) -> None:
    objective = Measured("bounded_log", delta)
    wrong = torch.tensor([1e4])
    assert float(objective.payoff(-wrong, wrong)) == pytest.approx(2 * math.log(delta), rel=1e-5)
    assert float(objective.payoff(wrong, -wrong)) == pytest.approx(0.0, abs=1e-6)


def test_identity_measure_is_total_variation() -> None:
    """A critic in [0, 1] sees at most the total variation: 1 + TV."""
    signs = 40 * (P - Q).sign()
    found = float(expected(Measured("identity"), signs))
    assert found == pytest.approx(1 + 0.5 * float((P - Q).abs().sum()), abs=1e-12)


@pytest.mark.parametrize("make", [Minimax, NonSaturating, Wasserstein])
def test_r1_of_a_linear_discriminator_is_exact(make: Callable[..., Objective]) -> None:
    critic = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[3.0, 4.0]]))
    gan = GAN(nn.Linear(2, 2), critic, ring()[0], 2, objective=make(r1=0.3))
    z, batch = gan.initial(gan.generator(0)), gan.sample(gan.generator(1))
    assert batch.blend is None
    with torch.no_grad():
        paid = float(gan.cost(z, 1, batch) + gan.payoff(z, batch))
    assert paid == pytest.approx(0.3 / 2 * 25.0, rel=1e-5)
    # The generator descends its part of the payoff, as without a penalty.
    plain = GAN(nn.Linear(2, 2), critic, ring()[0], 2, objective=make())
    z = gan.initial(gan.generator(0))
    assert torch.allclose(gan.gradient(z, 0, batch), plain.gradient(z, 0, batch))  # type: ignore[arg-type]


def test_penalties_add_up() -> None:
    gan = ring_gan(Wasserstein(penalty=2.0, r1=0.5))
    z, batch = gan.initial(gan.generator(0)), gan.sample(gan.generator(1))
    with torch.no_grad():
        both, one, other = (
            ring_gan(o).cost(z, 1, batch)
            for o in (gan.objective, Wasserstein(penalty=2.0), Wasserstein(r1=0.5))
        )
        payoff = gan.payoff(z, batch)
    assert torch.allclose(both + payoff, one + payoff + other + payoff, rtol=1e-4)


def test_r1_in_a_mixture_is_the_mean_of_its_pairs() -> None:
    gan = ring_gan(Minimax(r1=0.5))
    mix = Mixed(gan, (2, 3))
    z, batch = mix.random(mix.generator(0)), mix.sample(mix.generator(1))
    xs, ys = z[0]["atoms"], z[1]["atoms"]  # type: ignore[index,call-overload]
    pairs = [gan.losses(eqgan.Profile((x, y)), batch) for x in xs for y in ys]
    for player in (0, 1):
        mean = torch.stack([losses[player] for losses in pairs]).mean()
        assert torch.allclose(mix.losses(z, batch)[player], mean, rtol=1e-4)
    assert eqgan.solve(mix, "mix_gan", max_steps=3).steps == 3


def test_r1_under_second_order_methods() -> None:
    run = eqgan.solve(ring_gan(NonSaturating(r1=0.1)), "consensus", max_steps=3)
    assert run.profile.is_finite()


# -- margins -------------------------------------------------------------------------------------


def linear_critic(objective: Objective) -> tuple[GAN, eqgan.Profile, GanBatch]:
    """Return L(x) = -(3 x_1 + 4 x_2), a generator, and one batch."""
    critic = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[3.0, 4.0]]))
    gan = GAN(nn.Linear(2, 2), critic, ring()[0], 2, objective=objective, batch_size=32)
    return gan, gan.initial(gan.generator(0)), gan.sample(gan.generator(1))


@pytest.mark.parametrize(
    ("objective", "own", "weight", "slope"),
    [
        (LossSensitive(weight=0.7), 1.0, 0.7, 0.0),
        (GeneralizedLossSensitive(), 0.0, 1.0, 0.0),
        (GeneralizedLossSensitive(slope=0.2), 0.0, 1.0, 0.2),
        (GeneralizedLossSensitive(slope=-1.0), 0.0, 1.0, -1.0),
    ],
)
def test_loss_sensitive_losses_are_their_sums(
    objective: Objective, own: float, weight: float, slope: float
) -> None:
    gan, z, batch = linear_critic(objective)
    fake = gan.make(z[0], batch.noise)
    direction = torch.tensor([3.0, 4.0])
    paid = 0.0
    for x, y in zip(batch.real, fake, strict=True):
        on_real, on_fake = -float(direction @ x), -float(direction @ y)
        missed = float((x - y).abs().sum()) + on_real - on_fake
        paid += own * on_real + weight * max(missed, slope * missed)
    generator, discriminator = (loss.detach() for loss in gan.losses(z, batch))
    assert float(discriminator) == pytest.approx(paid / 32, rel=1e-5)
    assert float(generator) == pytest.approx(-float((fake @ direction).mean()), rel=1e-5)
    assert float(gan.cost(z, 1, batch).detach()) == float(discriminator)


def test_slope_one_is_the_wasserstein_critic() -> None:
    gan, z, batch = linear_critic(GeneralizedLossSensitive(slope=1.0))
    plain = linear_critic(Wasserstein())[0]
    for player in (0, 1):
        assert torch.allclose(gan.gradient(z, player, batch), plain.gradient(z, player, batch))  # type: ignore[arg-type]


def test_margins_that_are_kept_cost_nothing() -> None:
    """Data at 0, fakes at 3: a loss of 3 there keeps the margin, one of 2 misses it by 1."""
    real, apart = torch.zeros(4), torch.full((4,), 3.0)
    margin = GeneralizedLossSensitive()
    assert float(margin.discriminator_loss(real, torch.full((4,), -3.0), apart)) == 0.0
    assert float(margin.discriminator_loss(real, torch.full((4,), -5.0), apart)) == 0.0
    assert float(margin.discriminator_loss(real, torch.full((4,), -2.0), apart)) == 1.0


class Shift(nn.Module):
    """Moves its noise to a place that it learns."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.tensor([2.0, -1.0]))

    def forward(self, noise: Tensor) -> Tensor:
        return self.place + noise


@pytest.mark.parametrize("name", ["loss_sensitive", "generalized_loss_sensitive"])
def test_loss_sensitive_gans_find_the_data(name: str) -> None:
    rng = torch.Generator().manual_seed(0)
    critic = seeded(lambda: mlp([2, 16, 1]))
    gan = GAN(Shift(), critic, torch.randn(4000, 2, generator=rng), 2, name, batch_size=64)
    solver = eqgan.solvers.Extragradient(rule=eqgan.Adam(1e-2, betas=(0.5, 0.9)))
    run = eqgan.solve(gan, solver, max_steps=200)
    assert float(run.profile[0].norm()) < math.sqrt(5) / 5  # type: ignore[union-attr]
    oracle = eqgan.GradientOracle(steps=20, restarts=0)
    certificate = eqgan.certify(gan, run.profile, oracle=oracle)
    assert not certificate.exact
    assert math.isfinite(certificate.nash_conv)  # type: ignore[arg-type]


def test_one_sigmoid_is_enough() -> None:
    class Wrapped(nn.Module):
        """As in torch's DCGAN tutorial."""

        def __init__(self) -> None:
            super().__init__()
            self.main = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())

        def forward(self, x: Tensor) -> Tensor:
            return self.main(x)  # type: ignore[no-any-return]

    class Squeezed(Wrapped):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).squeeze(1)

    class GoesOn(Wrapped):
        """Its Sigmoid is the last layer, but not the last word."""

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).logit(1e-6)

    for objective in ("non_saturating", "bounded_log", "jensen_shannon"):
        for ending in (Wrapped(), Squeezed()):
            with pytest.raises(
                eqgan.InvalidInput, match=r"ends in a Sigmoid, and .* leave that layer"
            ):
                GAN(nn.Linear(2, 2), ending, torch.zeros(9, 2), 2, objective)
        GAN(nn.Linear(2, 2), GoesOn(), torch.zeros(9, 2), 2, objective)
    GAN(nn.Linear(2, 2), Wrapped(), torch.zeros(9, 2), 2, "least_squares")


WRONG = {
    "kind": (lambda: FDivergence("kullback"), "No f-divergence is called 'kullback'"),  # type: ignore[arg-type]
    "phi": (lambda: Measured("logarithm"), "Did you mean 'log'"),  # type: ignore[arg-type]
    "delta": (lambda: Measured(delta=1.0), r"delta should be a number in \(0, 1\)"),
    "weight": (lambda: JensenShannon(1.0), r"weight should be a number in \(0, 1\)"),
    "r1": (lambda: Minimax(r1=-1.0), "r1 should be a finite number >= 0"),
    "clip": (lambda: LossSensitive(clip=0.0), "clip should be a finite number > 0"),
    "worded": (lambda: Wasserstein("gp"), "clip should be a finite number > 0; got 'gp'"),  # type: ignore[arg-type]
    "endless clip": (lambda: Wasserstein(clip=math.inf), "clip should be a finite number"),
    "no weight": (lambda: NonSaturating(r1=None), "r1 should be a finite number >= 0; got None"),  # type: ignore[arg-type]
    "worded share": (lambda: JensenShannon("half"), r"weight should be a number in .*; got 'half'"),  # type: ignore[arg-type]
    "worded slope": (lambda: GeneralizedLossSensitive(slope="steep"), "slope should be a number"),  # type: ignore[arg-type]
    "class": (lambda: as_objective(Hinge), r"an instance such as .*Hinge\(\); got <class"),  # type: ignore[arg-type]
    "slope": (
        lambda: GeneralizedLossSensitive(slope=1.5),
        r"slope should be a number in \(-inf, 1\]",
    ),
    "infinite": (lambda: Wasserstein(penalty=math.inf), "penalty should be a finite number"),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_clear_sentence(case: str) -> None:
    make, said = WRONG[case]
    with pytest.raises(eqgan.EqganError, match=said):
        make()
