import math
import re
from pathlib import Path

import pytest
import torch

import eqgan
from eqgan import Constant, Profile
from eqgan.gan.networks import mlp
from eqgan.solvers import (
    Averaged,
    BestSoFar,
    CompetitiveGradient,
    Extragradient,
    FollowTheRidge,
    InteriorPoint,
    MixGan,
    OptimisticGradient,
    Pivoting,
    ProximalPoint,
    Restarted,
    SimultaneousGradient,
)

START = ([0.6, 0.3, 0.1], [0.2, 0.2, 0.6])


def tiny_gan() -> eqgan.games.GAN:
    rng = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        networks = mlp([2, 8, 2]), mlp([2, 8, 1])
    return eqgan.games.GAN(*networks, torch.randn(64, 2, generator=rng), 2, batch_size=16)


def rps() -> eqgan.games.MatrixGame:
    return eqgan.games.rock_paper_scissors()


def test_the_public_contract() -> None:
    game = eqgan.games.MatrixGame([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    result = eqgan.solve(game)
    x, y = result.profile
    assert x.shape == y.shape == (3,)
    assert result.value == pytest.approx(0.0, abs=1e-12)
    certificate = result.certificate
    assert all(
        isinstance(n, float)
        for n in (certificate.nash_conv, certificate.epsilon, certificate.exploitability)
    )
    assert certificate.exact
    assert result.status is eqgan.Status.CONVERGED
    assert {"step", "evaluations", "seconds", "nash_conv"} <= set(result.trace[-1])
    assert game.payoff_matrix.shape == (3, 3)
    assert eqgan.certify(game, (x, y)).nash_conv == pytest.approx(0.0, abs=1e-12)


def test_converged_means_proved() -> None:
    result = eqgan.solve(rps(), "optimistic_gradient", init=START, max_steps=2000, tol=1e-6)
    assert result.status is eqgan.Status.CONVERGED
    assert result.certificate.nash_conv_upper <= 1e-6
    assert "proved" in result.message


def test_a_lower_bound_converges_only_to_a_stationary_point() -> None:
    result = eqgan.solve(eqgan.games.DiracGAN(), Extragradient(rule=Constant(0.5)), max_steps=3000)
    assert result.status is eqgan.Status.CONVERGED
    assert not result.certificate.exact
    assert "stationary point, maybe no equilibrium" in result.message
    assert "lower bound" in repr(result)


def test_step_limit_is_exact() -> None:
    result = eqgan.solve(rps(), SimultaneousGradient(), init=START, max_steps=37, tol=0)
    assert (result.status, result.steps) == (eqgan.Status.MAX_STEPS, 37)
    assert result.trace[0]["step"] == 0
    assert result.trace[-1]["step"] == 37


def test_time_limit() -> None:
    result = eqgan.solve(
        rps(), SimultaneousGradient(), init=START, max_steps=10**9, tol=0, time_limit=0.05
    )
    assert result.status is eqgan.Status.TIME_LIMIT
    assert result.seconds < 5
    assert result.trace[-1]["step"] == result.steps


def test_divergence_is_a_status_with_the_last_good_profile() -> None:
    game = eqgan.games.Bilinear([[1.0]])
    result = eqgan.solve(game, SimultaneousGradient(rule=Constant(3.0)), max_steps=5000)
    assert result.status is eqgan.Status.DIVERGED
    assert result.profile.is_finite()
    assert math.isfinite(result.certificate.nash_conv)


class Explosive(eqgan.ZeroSumGame):
    """Its payoff is NaN a little way from the start."""

    spaces = (eqgan.Euclidean((1,)), eqgan.Euclidean((1,)))
    lipschitz = 1.0

    def payoff(self, z: Profile, batch: object = None) -> torch.Tensor:
        x, y = z
        return ((0.5 - x).sqrt() * y).sum(-1)


def test_nan_never_passes_silently() -> None:
    result = eqgan.solve(Explosive(), "simultaneous_gradient", init=([0.0], [-5.0]), max_steps=50)
    assert result.status is eqgan.Status.DIVERGED
    assert result.profile.is_finite()


class Deaf(torch.nn.Module):
    """A discriminator whose output is NaN, without a gradient, once its weight has grown."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        lost = self.linear.weight.abs() > 1.0
        return torch.where(lost, torch.nan, self.linear(samples))


class Poisoned(torch.nn.Linear):
    """A discriminator whose output is NaN, with its gradient, once its weight has grown."""

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return super().forward(samples) + (1.0 - self.weight.abs()).sqrt().sum()


def fragile(critic: torch.nn.Module) -> eqgan.games.GAN:
    """Return a GAN whose critic's weights grow."""
    generator = torch.nn.Linear(1, 1)
    with torch.no_grad():
        for parameter in (*generator.parameters(), *critic.parameters()):
            parameter.fill_(0.5)
    data = torch.full((8, 1), 3.0)
    gan = eqgan.games.GAN(generator, critic, data, 1, objective="wasserstein", batch_size=8)
    gan.spaces = tuple(eqgan.Euclidean((2,)) for _ in range(2))  # not clipped
    return gan


@pytest.mark.parametrize(
    ("discriminator", "rate", "why"),
    [
        (Deaf, 0.05, "payoff is not a number"),
        (lambda: Poisoned(1, 1), 0.05, "blew up|not a number"),
        (lambda: torch.nn.Linear(1, 1), 1e9, "blew up"),
    ],
    ids=["NaN", "NaN gradient", "exploding gradient"],
)
def test_gans_that_break_keep_the_last_good_profile(discriminator, rate, why) -> None:  # type: ignore[no-untyped-def]
    gan = fragile(discriminator())
    seen: list[Profile] = []
    run = eqgan.solve(
        gan,
        SimultaneousGradient(rule=Constant(rate)),
        max_steps=60,
        check_every=2,
        callbacks=[lambda progress: seen.append(progress.profile)],
    )
    assert run.status is eqgan.Status.DIVERGED
    assert re.search(why, run.message)
    assert f"the last good one, of step {run.trace[-1]['step']:.0f}" in run.message
    assert run.profile.equal(seen[-1])
    assert math.isfinite(run.value)
    assert all(math.isfinite(row["value"]) for row in run.trace)


def test_callbacks_see_every_row_so_far() -> None:
    steps: list[list[float]] = []
    eqgan.solve(
        rps(),
        SimultaneousGradient(),
        init=START,
        max_steps=20,
        check_every=10,
        callbacks=[lambda progress: steps.append([row["step"] for row in progress.rows])],
    )
    assert steps == [[0], [0, 10], [0, 10, 20]]


def test_callbacks_add_columns_and_stop() -> None:
    def watch(progress: eqgan.Progress) -> dict[str, float]:
        if progress.step >= 20:
            progress.stop()
        return {"first": float(progress.profile[0][0])}

    result = eqgan.solve(
        rps(), SimultaneousGradient(), init=START, max_steps=100, check_every=10, callbacks=[watch]
    )
    assert (result.status, result.steps) == (eqgan.Status.STOPPED, 20)
    assert len(result.trace.column("first")) == 3


def test_ctrl_c_returns_the_result_so_far(tmp_path: Path) -> None:
    def interrupt(progress: eqgan.Progress) -> None:
        if progress.step == 30:
            raise KeyboardInterrupt

    result = eqgan.solve(
        rps(),
        SimultaneousGradient(),
        init=START,
        max_steps=100,
        check_every=10,
        callbacks=[interrupt],
        checkpoint=tmp_path / "run.ckpt",
    )
    assert (result.status, result.steps) == (eqgan.Status.STOPPED, 30)
    assert (tmp_path / "run.ckpt").exists()


def test_equal_seeds_give_equal_bits_and_other_seeds_do_not() -> None:
    runs = [eqgan.solve(tiny_gan(), "extragradient", max_steps=20, seed=s) for s in (1, 1, 2)]
    assert runs[0].profile.equal(runs[1].profile)
    assert not runs[0].profile.equal(runs[2].profile)


@pytest.mark.parametrize(
    "solver",
    [
        ProximalPoint(),
        Averaged(CompetitiveGradient(rate=0.1)),
        Restarted(ProximalPoint(), every=3),
        BestSoFar(FollowTheRidge(), every=4),
    ],
    ids=lambda solver: type(solver).__name__,
)
def test_a_run_tells_what_itself_evaluated(solver: eqgan.Solver) -> None:  # type: ignore[type-arg]
    game = rps() if isinstance(solver, Restarted) else eqgan.games.strongly_monotone(2)
    start = game.random(game.generator(0))

    def run(steps: int, **after: object) -> eqgan.Result:
        return eqgan.solve(game, solver, max_steps=steps, tol=0, **({"init": start} | after))

    first = run(12)
    second = run(12, init=first.last, state=first.state)
    assert 0 < first.evaluations < 12 * solver.evaluations(game)
    assert first.evaluations + second.evaluations == pytest.approx(run(24).evaluations)


def test_a_resumed_run_tells_what_the_unbroken_one_evaluated(tmp_path: Path) -> None:
    """Even if the memory that the run began with is not handed in again."""
    game, file = eqgan.games.strongly_monotone(2), tmp_path / "run.ckpt"

    def run(steps: int, **options: object) -> eqgan.Result:
        return eqgan.solve(
            game, ProximalPoint(), max_steps=steps, tol=0, check_every=5, checkpoint=file, **options
        )

    first = eqgan.solve(game, ProximalPoint(), max_steps=10, tol=0)
    after = {"init": first.last, "state": first.state}
    whole = run(20, **after)
    run(10, **after)
    resumed = run(20, resume=True)
    assert resumed.evaluations == whole.evaluations
    for row, other in zip(resumed.trace, whole.trace, strict=True):
        assert row["evaluations"] == other["evaluations"]


def test_a_run_goes_on_from_its_state() -> None:
    solver = OptimisticGradient(rule=Constant(0.1))
    whole = eqgan.solve(rps(), solver, init=START, max_steps=20, tol=0)
    half = eqgan.solve(rps(), solver, init=START, max_steps=10, tol=0)
    rest = eqgan.solve(rps(), solver, init=half.last, state=half.state, max_steps=10, tol=0)
    for a, b in zip(whole.last.leaves(), rest.last.leaves(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


def test_the_global_generator_is_untouched() -> None:
    before = torch.random.get_rng_state()
    mix = eqgan.games.Mixed(tiny_gan(), (2, 2))
    eqgan.certify(
        mix,
        eqgan.solve(mix, "mix_gan", max_steps=3).profile,
        oracle=eqgan.GradientOracle(steps=2, restarts=1),
    )
    assert torch.equal(before, torch.random.get_rng_state())


def test_expensive_certificates_are_only_made_when_asked_for() -> None:
    result = eqgan.solve(tiny_gan(), "extragradient", max_steps=3)
    assert "nash_conv" not in result.trace.columns
    assert "not measured yet" in repr(result)
    oracle = eqgan.GradientOracle(steps=3, restarts=0)
    measured = eqgan.solve(tiny_gan(), "extragradient", max_steps=3, oracle=oracle)
    assert measured.trace[-1]["nash_conv"] == measured.certificate.nash_conv > 0


def test_auto_takes_the_games_recommendation() -> None:
    assert isinstance(eqgan.solve(rps()).solver, Pivoting)
    large = eqgan.games.random_game("uniform", (301, 301))
    assert isinstance(eqgan.solve(large).solver, InteriorPoint)
    mix = eqgan.games.Mixed(eqgan.games.DiracGAN(), (2, 2))
    assert isinstance(eqgan.solve(mix, max_steps=1).solver, MixGan)


def test_a_flat_place_far_from_equilibrium_is_not_converged() -> None:
    # The discriminator is so sure that nobody feels a gradient; the generator could gain a lot.
    result = eqgan.solve(
        eqgan.games.DiracGAN(), SimultaneousGradient(), init=([4.0], [4.0]), max_steps=50
    )
    assert result.trace[-1]["residual"] <= 1e-6
    assert result.status is eqgan.Status.MAX_STEPS
    assert "stationary, but no equilibrium: deviations gain" in result.message


class Wanderer(SimultaneousGradient):
    """A solver whose proposal is off the simplex."""

    def output(self, z: Profile, state: object) -> Profile:
        return 1.5 * z


def test_proposals_are_projected_before_they_are_measured() -> None:
    result = eqgan.solve(rps(), Wanderer(), init=START, max_steps=5, tol=0)
    assert all(float(s.sum()) == pytest.approx(1.0) for s in result.profile)
    assert result.certificate.nash_conv == pytest.approx(
        eqgan.certify(rps(), result.profile).nash_conv
    )


def test_a_stationary_start_is_looked_at_before_it_is_called_converged() -> None:
    class Saddle(eqgan.ZeroSumGame):
        """Both players would rather be anywhere but at the origin, where no gradient says so."""

        spaces = (eqgan.Ball(3), eqgan.Ball(3))
        lipschitz = 2.0

        def payoff(self, z: Profile, batch: object = None) -> torch.Tensor:
            x, y = z
            return (y**2).sum(-1) - (x**2).sum(-1)

    result = eqgan.solve(Saddle(), max_steps=20)
    assert result.status is eqgan.Status.MAX_STEPS
    assert result.certificate.nash_conv > 1.9


def test_a_direct_method_runs_even_from_a_good_start() -> None:
    game = eqgan.games.MatrixGame([[5e-7, 1e-7], [2e-7, 3e-7]])
    result = eqgan.solve(game)
    assert result.steps == 1
    assert result.value == pytest.approx(2.6e-7, rel=1e-9)


def test_callbacks_give_numbers_of_any_kind(tmp_path: Path) -> None:
    import numpy as np

    run = eqgan.solve(
        rps(),
        SimultaneousGradient(),
        init=START,
        max_steps=4,
        checkpoint=tmp_path / "run.ckpt",
        callbacks=[lambda progress: {"x": np.float32(0.5), "y": torch.tensor(2)}],
    )
    assert run.trace[-1]["x"] == 0.5
    assert type(run.trace[-1]["y"]) is float


def test_a_proposal_that_has_not_moved_is_not_measured_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []
    measure = eqgan.loop.measure

    def counted(*args: object, **options: object) -> eqgan.Certificate:
        calls.append(1)
        return measure(*args, **options)

    monkeypatch.setattr("eqgan.loop.measure", counted)
    far = ([4.0], [4.0])
    still = SimultaneousGradient(rule=Constant(1e-300))
    eqgan.solve(eqgan.games.DiracGAN(), still, init=far, max_steps=50)
    assert len(calls) == 1
    eqgan.solve(rps(), SimultaneousGradient(), init=START, max_steps=50, tol=0)
    assert len(calls) == 1 + 51


@pytest.mark.parametrize("switch", [torch.no_grad, torch.inference_mode])
def test_gradients_that_the_caller_turned_off_are_no_hindrance(switch) -> None:  # type: ignore[no-untyped-def]
    oracle = eqgan.GradientOracle(steps=2, restarts=0)
    wanted = eqgan.solve(tiny_gan(), "extragradient", max_steps=3)
    with switch():
        run = eqgan.solve(tiny_gan(), "extragradient", max_steps=3)
        assert run.profile.equal(wanted.profile)
        assert run.certificate.nash_conv == wanted.certificate.nash_conv
        assert eqgan.certify(eqgan.games.DiracGAN(), ([1.0], [1.0]), oracle).nash_conv > 0
        assert not torch.is_grad_enabled()
