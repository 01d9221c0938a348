"""Gradient searches: what they find, whether they had finished, and on what it is measured."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import eqgan
from eqgan import Constant, GradientOracle, Oracle, Profile, Response, certify
from eqgan.games import GAN, ContinuousGame, DiracGAN, Mixed, NeuralGame
from eqgan.response import Curve


class Ridge(eqgan.ZeroSumGame):
    r"""A stationary point at zero that is no equilibrium: both players sit on a hilltop.

    .. math:: f(x, y) = x^4/4 - x^2/2 + x y - y^4/4 + y^2/2

    At (0, 0) both gradients vanish. Against y = 0 the minimiser gets -1/4 at x = 1 or -1, against
    x = 0 the maximiser 1/4: the gap is exactly 1/2.
    """

    spaces = (eqgan.Euclidean((1,)), eqgan.Euclidean((1,)))
    lipschitz = 10.0

    def payoff(self, z: Profile, batch: object = None) -> Tensor:
        x, y = z
        return (x**4 / 4 - x**2 / 2 + x * y - y**4 / 4 + y**2 / 2).sum(-1)


def test_a_stationary_point_that_is_no_equilibrium_gets_its_true_gap() -> None:
    origin = ([0.0], [0.0])
    naive = certify(Ridge(), origin, GradientOracle(restarts=0))
    perturbed = certify(Ridge(), origin, GradientOracle(restarts=2))
    assert naive.nash_conv == 0.0
    assert perturbed.nash_conv == pytest.approx(0.5, abs=1e-6)
    assert perturbed.nash_conv <= 0.5


def test_what_seems_stationary_is_searched_as_often_as_the_steps_have_paid_for() -> None:
    game = Ridge()
    game.spaces = (eqgan.Euclidean((3,)), eqgan.Euclidean((3,)))  # too many for a grid
    price = GradientOracle().evaluations
    solver = eqgan.solvers.SimultaneousGradient(Constant(1e-6))
    near, steps = [0.01] * 3, int(1.5 * price)
    run = eqgan.solve(game, solver, init=(near, near), max_steps=steps, tol=0.2, check_every=50)
    assert max(run.trace.column("residual")) < 0.2
    gaps = run.trace.column("nash_conv")
    looked = [row["step"] for row, gap in zip(run.trace, gaps, strict=True) if not math.isnan(gap)]
    assert looked == [0, -(-price // 50) * 50, steps]
    assert run.certificate.nash_conv == pytest.approx(1.5, abs=0.1)
    assert "stationary, but no equilibrium: deviations gain 1." in run.message


class Climb(eqgan.Solver[int]):
    """From the hilltop to the valley in three steps, and no further."""

    def init(self, game: eqgan.Game, z: Profile) -> int:
        return 0

    def step(
        self, game: eqgan.Game, z: Profile, state: int, rng: torch.Generator
    ) -> tuple[Profile, int]:
        return (z.replace(0, torch.ones(3)) if state == 2 else z), state + 1

    def finished(self, state: int) -> bool:
        return state == 3


def test_where_the_method_ends_what_seems_stationary_is_searched() -> None:
    class Valleys(Ridge):
        """x pays x^4/4 - x^2/2, least at 1 and -1, and y its square."""

        spaces = (eqgan.Euclidean((3,)), eqgan.Euclidean((3,)))

        def payoff(self, z: Profile, batch: object = None) -> Tensor:
            x, y = z
            return (x**4 / 4 - x**2 / 2 - y**2).sum(-1)

    run = eqgan.solve(Valleys(), Climb(), init=([0.0] * 3, [0.0] * 3), check_every=1)
    assert "nash_conv" in run.trace[0]
    assert (run.status, run.steps) == (eqgan.Status.CONVERGED, 3)


def hills(x: Tensor, y: Tensor) -> Tensor:
    """The toy game of Sidheekh et al. 2021: flat at (0, 0), where the maximiser is in a valley."""
    return (-0.01 * (x**2 + y**2)).exp() * ((0.3 * x**2 + y) ** 2 + (0.5 * y**2 + x) ** 2)


@pytest.mark.parametrize("seed", range(3))
def test_the_flat_point_of_the_perturbed_gap_paper_gets_its_true_gap(seed: int) -> None:
    r"""Against y = 0 no x pays less than 0; against x = 0, f = (s + s^2/4) e^{-s/100}, s = y^2.

    It is largest where s^2/400 - 0.49 s = 1.
    """
    s = (0.49 + math.sqrt(0.49**2 + 0.01)) / 0.005
    gap = (s + s**2 / 4) * math.exp(-s / 100)
    game, origin = ContinuousGame(hills, (-20.0, 20.0), (-20.0, 20.0)), ([0.0], [0.0])
    z = game.as_profile(origin)
    assert max(float(leaf.abs().max()) for leaf in game.operator(z).leaves()) == 0
    naive = certify(game, origin, GradientOracle(restarts=0), seed=seed)
    perturbed = certify(game, origin, GradientOracle(steps=600, restarts=2), seed=seed)
    grid = certify(game, origin)
    assert naive.nash_conv == 0.0
    assert gap == pytest.approx(1380.5543, abs=1e-4)
    for found in (perturbed, grid):
        assert found.regrets["minimizer"] == 0.0
        assert gap - 0.01 < found.regrets["maximizer"] <= gap + 1e-9


def test_curves_say_whether_searches_had_stopped_improving() -> None:
    origin = ([0.0], [0.0])
    short = certify(Ridge(), origin, GradientOracle(steps=8, rule=Constant(0.05)))
    long = certify(Ridge(), origin, GradientOracle(steps=800, rule=Constant(0.05)))
    assert short.search == "still improving for player 0 and player 1"
    assert long.search == "had stopped improving"
    assert short.search in repr(short)
    assert certify(eqgan.games.rock_paper_scissors(), ([1, 0, 0], [1, 0, 0])).search == ""
    curve = long.curves[0]
    assert curve is not None
    assert curve.steps == tuple(range(0, 801, 100))
    assert curve.gains.shape == (3, 9)
    assert bool((curve.gains.diff(dim=1) >= 0).all())
    assert float(curve.gains[:, -1].max()) == pytest.approx(float(long.lower[0]), abs=1e-12)


def test_a_search_improves_while_its_last_quarter_brings_a_twentieth_of_its_gain() -> None:
    def improving(*gains: list[Any]) -> bool:
        return Curve((0, 25, 50, 75, 100), torch.tensor(gains, dtype=torch.float64)).improving

    assert improving([0.0, 20.0, 60.0, 94.0, 100.0])
    assert not improving([0.0, 20.0, 60.0, 95.0, 100.0])
    assert not improving([0.0, 20.0, 60.0, 94.0, 100.0], [0.0, 99.0, 99.0, 99.0, 99.0])
    assert not improving([0.0, 0.0, 0.0, 0.0, 0.0])
    # A batch of two games, of which one goes on.
    assert improving([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 2.0]])


def test_a_budget_is_spent_only_while_it_helps() -> None:
    rule = Constant(0.05)
    origin = ([0.0], [0.0])
    once = certify(Ridge(), origin, GradientOracle(steps=20, rule=rule))
    more = certify(Ridge(), origin, GradientOracle(steps=20, rule=rule, budget=10_000))
    assert once.search != more.search == "had stopped improving"
    assert once.nash_conv < more.nash_conv == pytest.approx(0.5, abs=0.02)
    assert all(curve is not None and curve.steps[-1] < 1000 for curve in more.curves)
    tight = certify(Ridge(), origin, GradientOracle(steps=20, rule=rule, budget=30))
    assert tight.curves[0] is not None
    assert tight.curves[0].steps[-1] == 30
    assert GradientOracle(steps=20, restarts=2, budget=50).evaluations == 150


def test_warm_starts_go_on_where_an_earlier_search_ended() -> None:
    rule = Constant(0.05)
    origin = ([0.0], [0.0])
    cold = certify(Ridge(), origin, GradientOracle(steps=20, rule=rule))
    warm = certify(
        Ridge(), origin, GradientOracle(steps=20, restarts=0, rule=rule, warm=cold.deviations)
    )
    assert cold.nash_conv < warm.nash_conv <= 0.5
    mix = Mixed(DiracGAN("wasserstein", "r1", 1.0), (2, 1))
    z = mix.random(mix.generator(0))
    short = GradientOracle(steps=3, restarts=0)
    first = certify(mix, z, short)
    again = certify(mix, z, GradientOracle(steps=3, restarts=0, warm=first.deviations))
    assert again.nash_conv >= first.nash_conv


def test_a_warm_start_of_another_game_is_refused() -> None:
    with pytest.raises(eqgan.InvalidInput, match=r"player 0 should have shapes \[\(1,\)\]"):
        certify(Ridge(), ([0.0], [0.0]), GradientOracle(warm=Profile((torch.zeros(2),))))
    with pytest.raises(eqgan.InvalidInput, match="warm should be a Profile"):
        GradientOracle(warm=[1.0])  # type: ignore[arg-type]
    with pytest.raises(eqgan.InvalidInput, match="budget >= steps"):
        GradientOracle(steps=100, budget=50)


def test_a_search_keeps_the_best_point_that_it_passed() -> None:
    """A step too long overshoots in the end; what was found on the way still counts."""
    origin = ([0.0], [0.0])
    found = certify(Ridge(), origin, GradientOracle(steps=100, rule=Constant(1.2)))
    assert found.nash_conv > 0.2


class Fixed(Oracle):
    """Deviates to given strategies, so that only the samples differ between seeds."""

    how = "given deviations"

    def __init__(self, deviations: tuple[Tensor, Tensor]) -> None:
        self.deviations = deviations

    def respond(self, game: eqgan.Game, z: Profile, player: int, rng: torch.Generator) -> Response:
        return Response(game, z.replace(player, self.deviations[player]))


def test_the_standard_error_covers_the_true_gap_as_often_as_it_should() -> None:
    game = NeuralGame(
        nn.Linear(1, 1),
        nn.Linear(1, 1),
        lambda x, y, h: (y(1 + 2 * h) - y(x(h))).mean(),
        sample=lambda rng: torch.randn(16, 1, generator=rng),
    )
    # Slope and bias: E y(1 + 2h) - E y(x(h)) = w_y (1 - b_x).
    z = (torch.tensor([0.5, 0.0]), torch.tensor([1.0, 0.0]))
    oracle = Fixed((torch.tensor([0.1, 0.6]), torch.tensor([1.5, 0.0])))
    truth = 0.6 + 0.5
    # The streams of small neighbouring seeds are alike; these are far apart.
    proofs = [certify(game, z, oracle, seed=10**6 + 7919 * seed) for seed in range(400)]
    away = torch.tensor([(p.nash_conv - truth) / p.stderr for p in proofs])
    # Student's t with 15 degrees of freedom; the shares have standard errors 0.024 and 0.012.
    assert abs(float((away.abs() < 1).double().mean()) - 0.667) < 0.07
    assert abs(float((away.abs() < 2).double().mean()) - 0.936) < 0.036
    assert abs(float(away.mean())) < 0.2


def test_a_certificate_on_samples_is_their_arithmetic() -> None:
    """Of the game above: of a batch with mean m the gains are 0.6 - 0.4 m and 0.5 + 0.75 m."""
    game = NeuralGame(
        nn.Linear(1, 1).double(),
        nn.Linear(1, 1).double(),
        lambda x, y, h: (y(1 + 2 * h) - y(x(h))).mean(),
        sample=lambda rng: torch.randn(16, 1, generator=rng, dtype=torch.float64),
    )
    z = tuple(torch.tensor(s, dtype=torch.float64) for s in ([0.5, 0.0], [1.0, 0.0]))
    oracle = Fixed(tuple(torch.tensor(s).double() for s in ([0.1, 0.6], [1.5, 0.0])))  # type: ignore[arg-type]
    proof = certify(game, z, oracle, seed=3, batches=5)
    rng = game.generator(3)
    m = torch.stack([game.sample(rng).mean() for _ in range(5)])
    assert float(proof.value) == pytest.approx(1 + 1.5 * float(m.mean()), abs=1e-12)
    gains = [0.6 - 0.4 * float(m.mean()), 0.5 + 0.75 * float(m.mean())]
    assert proof.lower.tolist() == pytest.approx(gains, abs=1e-7)
    assert proof.stderr == pytest.approx(0.35 * float(m.std()) / math.sqrt(5), abs=1e-7)
    assert proof.nash_conv_upper == math.inf


class Memory(nn.Module):
    """A discriminator that is sure of one value of the data: a spike of height w at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.height = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.height.tanh() * (x.abs() < 1e-3) + 0 * x


@pytest.mark.parametrize("mixed", [False, True])
def test_gaps_on_held_out_data_do_not_reward_learning_the_data_by_heart(mixed: bool) -> None:
    train, other = torch.zeros(50, 1), torch.ones(50, 1)

    def gap(**held_out: Tensor) -> float:
        gan = GAN(nn.Linear(1, 1), Memory(), train, 1, "hinge", batch_size=64, **held_out)
        game = Mixed(gan, (1, 1)) if mixed else gan
        z = game.initial(game.generator(0))
        proof = certify(game, z, GradientOracle(steps=100, restarts=0, rule=Constant(0.5)))
        return proof.regrets["discriminator"]

    by_heart = gap()
    assert 0.9 < by_heart <= 1.0
    assert gap(holdout=train) == pytest.approx(by_heart, abs=0.05)
    assert gap(holdout=other) < 1e-3


def test_held_out_data_should_be_like_the_data() -> None:
    with pytest.raises(eqgan.InvalidInput, match=r"like the data, of shape \(2,\); got \(3,\)"):
        GAN(nn.Linear(1, 2), nn.Linear(2, 1), torch.zeros(5, 2), 1, holdout=torch.zeros(5, 3))


def test_a_player_to_whom_all_is_the_same_gains_nothing() -> None:
    game = eqgan.games.ContinuousGame(lambda x, y: x**2)
    certificate = eqgan.certify(game, ([0.5], [0.0]), GradientOracle(steps=100))
    assert certificate.regrets["maximizer"] == 0
    assert certificate.nash_conv == pytest.approx(0.25, abs=1e-4)


def test_a_function_that_loses_a_gradient_is_told() -> None:
    """NumPy and math read numbers, and autograd does not see it."""

    def lost(x: Tensor, y: Tensor) -> Tensor:
        return math.sin(float(x.detach())) * y

    game = ContinuousGame(lost)
    told = r"f changes with x, and passes no gradient to it"
    for played in (game, Mixed(game, (1, 1))):
        assert told in eqgan.solve(played, "extragradient", max_steps=2).message
    for kept in (lambda x, y: torch.sin(x) * y, lambda x, y: y**2, lambda x, y: 1.0 - y):
        assert not ContinuousGame(kept).note
    with torch.inference_mode():
        assert told in ContinuousGame(lost).note
    nothing = ContinuousGame(lambda x, y: torch.tensor(float(x.detach() * y.detach())).double())
    with pytest.raises(eqgan.UnsupportedGame, match=r"no gradients: torch's functions do not lead"):
        eqgan.solve(nothing, "extragradient", max_steps=2)
