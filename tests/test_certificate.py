import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import eqgan
from eqgan import (
    Constant,
    ExactOracle,
    GradientOracle,
    GridOracle,
    LinearOracle,
    Profile,
    certify,
    default_oracle,
)
from eqgan.certificate import payoff_of, residual
from eqgan.games import (
    GAN,
    Bilinear,
    ContinuousGame,
    DiracGAN,
    FiniteGAN,
    MatrixGame,
    Mixed,
    NeuralGame,
    Quadratic,
)
from eqgan.report import worded_gap


def test_pure_against_pure_in_rock_paper_scissors() -> None:
    certificate = certify(eqgan.games.rock_paper_scissors(), ([1, 0, 0], [1, 0, 0]))
    assert certificate.exact
    assert certificate.regrets == {"row": 1.0, "column": 1.0}
    assert (certificate.nash_conv, certificate.epsilon, certificate.exploitability) == (
        2.0,
        1.0,
        1.0,
    )


def test_definitions_on_unequal_regrets() -> None:
    # Row plays the first action, column the second: row could gain 3, column 1.
    certificate = certify(MatrixGame([[0, 1], [2, 4]]), ([1, 0], [0, 1]))
    assert certificate.regrets == {"row": 3.0, "column": 1.0}
    assert (certificate.nash_conv, certificate.epsilon, certificate.exploitability) == (
        4.0,
        3.0,
        2.0,
    )
    assert certificate.nash_conv_upper == 4.0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 8))
def test_no_profile_has_a_negative_gap_and_brute_force_agrees(seed: int, m: int, n: int) -> None:
    game = eqgan.games.random_game("integer", (m, n), seed)
    x, y = z = game.random(game.generator(seed))
    certificate = certify(game, z)
    a = game.payoff_matrix
    value = float(x @ a @ y)
    best_row = max(float(a[i] @ y) for i in range(m))
    best_column = min(float(x @ a[:, j]) for j in range(n))
    assert certificate.nash_conv >= 0
    assert certificate.nash_conv == pytest.approx(best_row - best_column, abs=1e-12)
    assert float(certificate.value) == pytest.approx(value, abs=1e-12)


def test_every_oracle_agrees_on_a_matrix_game() -> None:
    game = eqgan.games.random_game("normal", (4, 6))
    z = game.random(game.generator(0))
    exact = certify(game, z).nash_conv
    for oracle in (ExactOracle(), LinearOracle()):
        certificate = certify(game, z, oracle)
        assert certificate.exact
        assert certificate.nash_conv == pytest.approx(exact, abs=1e-12)
    found = certify(game, z, GradientOracle(steps=300, rule=Constant(1.0)))
    assert not found.exact
    assert found.nash_conv_upper == math.inf
    assert 0.99 * exact < found.nash_conv <= exact + 1e-12


def test_batches_have_tensors_and_equal_single_games() -> None:
    game = eqgan.games.random_game("uniform", (5, 3, 4))
    z = game.random(game.generator(0))
    certificate = certify(game, z)
    assert isinstance(certificate.nash_conv, torch.Tensor)
    for k in range(5):
        single = certify(MatrixGame(game.payoff_matrix[k]), tuple(s[k] for s in z))
        assert float(certificate.nash_conv[k]) == pytest.approx(single.nash_conv, abs=1e-12)
        assert float(certificate.epsilon[k]) == pytest.approx(single.epsilon, abs=1e-12)


def test_float32_games_are_measured_in_float64() -> None:
    a = torch.tensor([[1.0, 1.0], [1.0, 1.0 + 2**-20]])
    certificate = certify(MatrixGame(a), (torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])))
    assert certificate.value.dtype == torch.float64
    assert certificate.nash_conv == 2**-20


def test_float32_blocks_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    a = torch.randn(17, 5, generator=torch.Generator().manual_seed(0))
    small, wide = MatrixGame(a), MatrixGame(a.double())
    z = wide.random(wide.generator(0))
    monkeypatch.setattr("eqgan.games.payoffs.BLOCK", 15)
    torch.testing.assert_close(small.regrets(z)[0], wide.regrets(z)[0], rtol=1e-14, atol=1e-14)


def test_a_strategy_off_by_rounding_is_projected_before_it_is_measured() -> None:
    game = eqgan.games.rock_paper_scissors()
    third = [0.333333, 0.333333, 0.333333]
    assert certify(game, (third, third)).nash_conv == pytest.approx(0.0, abs=1e-15)


def test_each_game_gets_its_strongest_oracle() -> None:
    games = {
        eqgan.games.rock_paper_scissors(): ExactOracle,
        FiniteGAN([0.5, 0.5]): ExactOracle,
        Bilinear([[1.0]]): LinearOracle,
        DiracGAN(): GridOracle,
        Quadratic(torch.eye(3), torch.eye(3)): GradientOracle,
        Mixed(DiracGAN(), (2, 2)): GridOracle,
        Mixed(Quadratic(torch.eye(3), torch.eye(3)), (2, 2)): GradientOracle,
    }
    for game, kind in games.items():
        assert isinstance(default_oracle(game), kind)


def test_restarts_find_what_a_stationary_start_hides() -> None:
    """A dead network is a stationary point and no equilibrium: the naive gap is a false zero."""

    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Parameter(torch.zeros(1))
            self.outer = nn.Parameter(torch.zeros(1))

        def forward(self) -> torch.Tensor:
            return self.inner * self.outer

    def payoff(x, y, batch):  # type: ignore[no-untyped-def]
        return ((x() - 1.0) ** 2 - (y() - 1.0) ** 2).sum()

    game = NeuralGame(Dead(), Dead(), payoff)
    z = game.initial(game.generator(0))
    rule = Constant(0.1)
    naive = certify(game, z, GradientOracle(steps=300, restarts=0, rule=rule)).nash_conv
    perturbed = certify(game, z, GradientOracle(steps=3000, restarts=3, rule=rule)).nash_conv
    assert naive == 0.0
    assert perturbed == pytest.approx(2.0, abs=1e-3)


def test_common_random_numbers_make_equal_seeds_equal() -> None:
    game = NeuralGame(
        nn.Linear(1, 1),
        nn.Linear(1, 1),
        lambda g, d, h: (d(h + 1) - d(g(h))).tanh().mean(),
        sample=lambda rng: torch.randn(16, 1, generator=rng),
    )
    z = game.initial(game.generator(0))
    oracle = GradientOracle(steps=10, restarts=1)
    first, second, other = (certify(game, z, oracle, seed=s) for s in (0, 0, 1))
    assert repr(first) == repr(second) != repr(other)
    assert first.stderr > 0
    # One batch says nothing about its error, and torch's warning does not reach the caller.
    assert math.isnan(certify(game, z, oracle, batches=1).stderr)  # type: ignore[arg-type]


def test_a_gap_of_a_mixture_counts_the_whole_mixture() -> None:
    mix = Mixed(DiracGAN("wasserstein", "r1", 1.0), (2, 1))
    atoms = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    z = Profile(
        ({"weights": half, "atoms": atoms}, {"weights": one, "atoms": torch.zeros(1, 1).double()})
    )
    # The mixture of +1 and -1 leaves a linear critic nothing to gain, and any theta pays 0.
    assert certify(mix, z, GradientOracle(steps=50)).nash_conv == pytest.approx(0.0, abs=1e-9)
    single = z.replace(0, {"weights": torch.tensor([1.0, 0.0]).double(), "atoms": atoms})
    # Against theta = 1 alone the critic gains max psi - psi^2 / 2 = 1/2.
    gap = certify(mix, single, GradientOracle(steps=500, rule=Constant(0.1))).nash_conv
    assert gap == pytest.approx(0.5, abs=1e-3)


def test_the_value_of_two_losses_is_what_the_first_player_pays() -> None:
    class Two(eqgan.Game):
        """x pays 2xy + 1, y pays 5y."""

        spaces = (eqgan.Euclidean((1,)), eqgan.Euclidean((1,)))
        dtype = torch.float32
        linear = True

        def losses(self, z: Profile, batch: object = None) -> tuple[torch.Tensor, torch.Tensor]:
            x, y = z.leaves()
            return (2 * x * y + 1).sum(-1), (5 * y).sum(-1)

    game = Two()
    z = game.as_profile(([3.0], [4.0]))
    certificate = certify(game, z)
    assert certificate.value == payoff_of(game, z) == 25.0
    assert certificate.lower.tolist() == pytest.approx([8.0, 5.0])
    # In float64, whatever the game computes in.
    assert certificate.value.dtype == certificate.lower.dtype == torch.float64


def test_payoffs_are_means_over_held_out_samples() -> None:
    data, holdout = torch.zeros(20, 1), torch.ones(20, 1)
    gan = GAN(nn.Linear(1, 1), nn.Linear(1, 1), data, 1, "wasserstein", holdout=holdout)
    # The critic tells a tenth of what it sees, the generator passes its noise on.
    z = gan.as_profile(([1.0, 0.0], [0.1, 0.0]))
    rng, noise = gan.generator(3), []
    for _ in range(4):
        noise.append(gan.held_out_sample(rng).noise)
    assert float(payoff_of(gan, z, seed=3, batches=4)) == pytest.approx(
        0.1 * (1 - float(torch.cat(noise).mean())), abs=1e-6
    )


def test_the_residual_is_the_longest_entry_of_a_step_back_onto_the_sets() -> None:
    # F = (y1 - 4 y2, -x, 4 x) = (5, 2, -8).
    free = Bilinear([[1.0, -4.0]])
    assert residual(free, free.as_profile(([-2.0], [1.0, -1.0]))) == 8.0
    # x may fall by 1/4 only, and y is as large as it may be.
    game = ContinuousGame(lambda x, y: 2 * x + 3 * y)
    assert residual(game, game.as_profile((-0.75, 1.0))) == 0.25
    assert residual(game, game.as_profile((-1.0, 1.0))) == 0.0


def test_jacobian_products_of_a_quadratic_are_its_jacobian() -> None:
    rng = torch.Generator().manual_seed(0)
    a, b, c = (torch.randn(3, 3, generator=rng).double() for _ in range(3))
    game = Quadratic(a, b + b.mT, c + c.mT)
    z, v = game.random(rng), game.random(rng)
    flat = torch.cat(v.leaves())
    torch.testing.assert_close(torch.cat(game.jvp(z, v).leaves()), game.jacobian @ flat)
    torch.testing.assert_close(torch.cat(game.vjp(z, v).leaves()), game.jacobian.mT @ flat)


def test_closed_form_operators_are_the_autograd_ones() -> None:
    games = [
        eqgan.games.random_game("normal", (3, 4)),
        eqgan.games.random_game("normal", (2, 3, 4)),
        Quadratic(torch.ones(2, 3), torch.eye(2), torch.eye(3)),
    ]
    for game in games:
        z = game.random(game.generator(0))
        closed, generic = game.operator(z), eqgan.ZeroSumGame.operator(game, z)
        for a, b in zip(closed.leaves(), generic.leaves(), strict=True):
            torch.testing.assert_close(a, b)


def test_a_batch_of_smooth_games_is_searched_game_by_game() -> None:
    class Squares(eqgan.ZeroSumGame):
        """Three games at once: x pays (x - target)^2, y pays y^2."""

        spaces = (eqgan.Euclidean((1,)), eqgan.Euclidean((1,)))
        batch_shape = (3,)
        lipschitz = 2.0
        targets = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)

        def payoff(self, z: Profile, batch: object = None) -> torch.Tensor:
            x, y = z
            return (x.squeeze(-1) - self.targets) ** 2 - y.squeeze(-1) ** 2

    game = Squares()
    zeros = torch.zeros(3, 1)
    certificate = certify(game, (zeros, zeros))
    torch.testing.assert_close(certificate.nash_conv, game.targets**2)
    run = eqgan.solve(game, "extragradient", init=(zeros, zeros), max_steps=300)
    torch.testing.assert_close(run.profile[0].squeeze(-1), game.targets, atol=1e-6, rtol=0)


def test_float32_strategies_do_not_cheapen_the_gap_of_large_payoffs() -> None:
    rng = torch.Generator().manual_seed(0)
    game = MatrixGame(torch.rand(20, 20, generator=rng) + 1e4)
    z = game.as_profile(game.random(rng))
    x, y = (s.double() / s.double().sum() for s in z)
    a = game.payoff_matrix.double()
    exact = float((a @ y).max() - (x @ a).min())
    assert float(game.regrets(z)[0].sum()) == pytest.approx(exact, abs=1e-9)


def test_mixtures_over_matrix_games_are_exact() -> None:
    mix = Mixed(eqgan.games.rock_paper_scissors(), (3, 2))
    z = mix.random(mix.generator(0))
    mean = tuple(s["weights"] @ s["atoms"] for s in z)
    certificate = certify(mix, z)
    assert certificate.exact
    assert certificate.nash_conv == pytest.approx(certify(mix.base, mean).nash_conv)


def test_semidefinite_curvatures_are_monotone_in_spite_of_rounding() -> None:
    rng = torch.Generator().manual_seed(0)
    for _ in range(20):
        v = torch.randn(3, 2, generator=rng, dtype=torch.float64)
        assert Quadratic(torch.ones(3, 3), v @ v.mT, v @ v.mT).monotone
    assert not Quadratic([[1.0]], [[-1e-3]]).monotone


def test_a_certificate_prints_the_worst_game_and_both_of_its_ends() -> None:
    def printed(lower: object, upper: object, stderr: object) -> str:
        ends = (torch.tensor(e, dtype=torch.float64) for e in (lower, upper))
        noise = torch.tensor(stderr)
        return repr(eqgan.Certificate(*ends, value=noise, nash_conv_stderr=noise, how="by hand"))

    batch = [[1.0, 2.0], [0.5, 3.0]]
    assert printed(batch, batch, [0.0, 0.0]) == (
        "Certificate(NashConv = 5 (worst of 2 games); exact: by hand)"
    )
    assert printed(batch, [[1.0, 2.0], [4.0, 7.0]], [0.0, 0.0]) == (
        "Certificate(5 <= NashConv <= 9 (worst of 2 games); proved on both sides: by hand)"
    )
    assert printed([1.0, 2.0], [math.inf, 2.0], 0.25) == (
        "Certificate(NashConv >= 3 ± 0.25; lower bound, proves no equilibrium: by hand)"
    )


def test_a_payoff_that_is_no_number_bounds_nothing() -> None:
    game = ContinuousGame(lambda x, y: x.log() * y, (0.5, 2.0))
    assert certify(game, (1.0, 0.5)).nash_conv == pytest.approx(math.log(2) / 2)
    beyond = ContinuousGame(lambda x, y: x.log() * y, (-2.0, 2.0))
    nothing = certify(beyond, (-1.0, 0.5))
    assert repr(nothing).startswith(
        "Certificate(NashConv is unknown; payoffs are not numbers here: grid of 61 points"
    )
    assert worded_gap(nothing) == "unknown: payoffs are not numbers here"


def test_grids_without_bounds_look_around_the_profile_too() -> None:
    free = (-math.inf, math.inf)
    far = eqgan.games.ContinuousGame(lambda x, y: (x - 100) ** 2 - (y + 50) ** 2, free, free)
    assert certify(far, (101.0, -51.0)).nash_conv == pytest.approx(2.0, abs=1e-4)
    # Of (x - 100)^2 from 0 on, 2 is as far as is looked; of (y + 50)^2, -2.
    assert certify(far, (0.0, 0.0)).nash_conv == pytest.approx(100**2 - 98**2 + 50**2 - 48**2)


def test_points_of_a_grid_where_the_payoff_is_no_number_are_no_deviations() -> None:
    root = eqgan.games.ContinuousGame(lambda x, y: x * y.sqrt() - y, max_box=(-2.0, 2.0))
    # From (1, 1), x = -1 gains 2; of y the best is 1/4, which gains (1/2 - 1/4) - (1 - 1).
    assert certify(root, (1.0, 1.0)).nash_conv == pytest.approx(2.25, abs=1e-6)
