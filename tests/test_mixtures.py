"""Games without pure equilibria, and the solvers of their mixtures."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from test_gan import ring_gan
from torch import Tensor, nn

import eqgan
from eqgan.games import GAN, ContinuousGame, MatrixGame, Mixed
from eqgan.games.mixed import select
from eqgan.gan.networks import mlp
from eqgan.solvers import DoubleOracle, FictitiousPlay, ParticleMirrorProx, SimultaneousGradient

HIDE = ContinuousGame(lambda x, y: (x - y) ** 2)
"""The maximiser hides at either end with equal odds; the minimiser waits in the middle: value 1."""

FREE = (-float("inf"), float("inf"))
POLYNOMIAL = ContinuousGame(lambda x, y: 5 * x * y - 2 * x**2 - 2 * x * y**2 - y)
"""The minimiser mixes both ends, -1 with 0.4: value -2, which the grid below confirms."""


def value_on_a_grid(game: ContinuousGame, points: int = 201) -> float:
    """Return the value of the game between `points` actions a player, by linear programming."""
    t = torch.linspace(-1, 1, points, dtype=torch.float64)
    result = eqgan.solve(MatrixGame(-game.f(t[:, None], t)))
    assert isinstance(result.value, float)
    return -result.value


@pytest.mark.parametrize(("game", "value"), [(HIDE, 1.0), (POLYNOMIAL, -2.0)])
@pytest.mark.parametrize(
    "solver",
    [
        ParticleMirrorProx(rule=eqgan.Constant(0.1)),
        ParticleMirrorProx(rule=eqgan.Constant(0.05), weight_rule=eqgan.Constant(0.2)),
        DoubleOracle(epsilon=1e-5),
    ],
)
def test_mixed_equilibria_are_found(game: ContinuousGame, value: float, solver: Any) -> None:
    assert value_on_a_grid(game) == pytest.approx(value, abs=1e-4)
    run = eqgan.solve(Mixed(game, (4, 4)), solver, max_steps=500, tol=1e-4)
    assert run.certificate.nash_conv < 1e-3  # type: ignore[operator]
    assert run.value == pytest.approx(value, abs=1e-3)


def test_no_pure_equilibrium_of_hide_and_seek() -> None:
    """The minimiser could pay 0, the maximiser get (1 + |x|)^2: together they gain that much."""
    for x in torch.linspace(-1, 1, 9):
        for y in torch.linspace(-1, 1, 9):
            assert eqgan.certify(HIDE, ([x], [y])).nash_conv >= 1 - 1e-3  # type: ignore[operator]


def test_grids_certify_mixtures() -> None:
    """The minimiser against both ends pays least in the middle; the grid sees it exactly."""
    mix = Mixed(HIDE, (1, 2))
    ends = {"weights": [0.5, 0.5], "atoms": [[-1.0], [1.0]]}
    corner = {"weights": [1.0], "atoms": [[1.0]]}
    certificate = eqgan.certify(mix, (corner, ends))
    # It pays 2 and could pay 1; the maximiser gets 2 and could get 4.
    assert certificate.regrets == {"minimizer": pytest.approx(1.0), "maximizer": pytest.approx(2.0)}
    assert not certificate.exact


@pytest.mark.parametrize("game", [HIDE, POLYNOMIAL])
def test_the_proposal_of_double_oracle_never_gets_worse(game: ContinuousGame) -> None:
    run = eqgan.solve(Mixed(game, (8, 8)), "double_oracle", max_steps=20, tol=0, check_every=1)
    gaps = run.trace.column("nash_conv")[1:]
    assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(gaps))
    assert gaps[-1] < 2e-3
    assert len(run.state.atoms[0]) <= 8
    assert run.steps < 20  # neither response gained more than epsilon


def test_the_table_between_atoms_is_that_of_the_game() -> None:
    """Rows and columns that are added, and those that are thrown out, leave the right costs."""
    mix = Mixed(POLYNOMIAL, (2, 3))
    run = eqgan.solve(mix, "double_oracle", max_steps=6, tol=0)
    xs, ys = run.state.atoms.leaves()
    assert len(xs) <= 2
    assert len(ys) <= 3
    assert torch.allclose(run.state.costs, POLYNOMIAL.f(xs, ys.T))


def test_double_oracle_over_networks_remembers_what_gains() -> None:
    mix = Mixed(ring_gan(), (3, 3))
    solver = DoubleOracle(oracle=eqgan.GradientOracle(steps=10, restarts=0))
    run = eqgan.solve(mix, solver, max_steps=4)
    state = run.state
    assert state.costs.shape == tuple(len(leaf) for leaf in state.atoms.leaves())
    assert 1 < len(state.atoms.leaves()[0]) <= 3
    samples, rng = [], mix.generator(state.seed)
    for _ in range(16):
        samples.append(mix.sample(rng))
    table = torch.stack([mix.base.pair_payoffs(*state.atoms, b) for b in samples]).mean(0)
    assert torch.allclose(state.costs, table.double(), atol=1e-6)
    assert 0 <= state.gap < torch.inf


@pytest.mark.parametrize("smoothing", [0.0, 0.8])
def test_proposals_answer_for_every_response_found_since(smoothing: float) -> None:
    """What a player is said to pay is what it pays against the worst atom ever remembered."""
    mix = Mixed(POLYNOMIAL, (40, 40))
    solver = DoubleOracle(smoothing, epsilon=1e-6)
    rng = mix.generator(0)
    z = mix.initial(rng)
    state = solver.init(mix, z)
    for _ in range(12):
        z, state = solver.step(mix, z, state, rng)
        (a, b), (mine, theirs) = select(z, "weights"), select(z, "atoms")
        xs, ys = state.atoms.leaves()
        assert state.paid[0] >= float((a @ POLYNOMIAL.f(mine, ys.T)).max()) - 1e-9
        assert state.paid[1] >= float((-POLYNOMIAL.f(xs, theirs.T) @ b).max()) - 1e-9
    assert state.gap < 0.05


@pytest.mark.parametrize(("game", "room"), [(HIDE, 2), (POLYNOMIAL, 2), (POLYNOMIAL, 3)])
def test_mixtures_that_are_proposed_outlive_their_atoms(game: ContinuousGame, room: int) -> None:
    """With room for hardly more atoms than equilibria need, the best mixtures are not lost."""
    mix = Mixed(game, (room, room))
    run = eqgan.solve(mix, DoubleOracle(epsilon=1e-6), max_steps=30, tol=0, check_every=1)
    gaps = run.trace.column("nash_conv")[1:]
    assert all(later <= earlier + 1e-6 for earlier, later in itertools.pairwise(gaps))
    assert gaps[-1] < 1e-5
    assert max(run.state.costs.shape) == room


def test_atoms_that_are_never_played_are_not_faced() -> None:
    """They change no certificate."""
    mix, small = Mixed(HIDE, (3, 4)), Mixed(HIDE, (2, 2))
    few = (
        {"weights": [0.3, 0.7], "atoms": [[0.2], [-0.4]]},
        {"weights": [0.5, 0.5], "atoms": [[-1.0], [0.6]]},
    )
    many = (
        {"weights": [0.3, 0.0, 0.7], "atoms": [[0.2], [1.0], [-0.4]]},
        {"weights": [0.0, 0.5, 0.5, 0.0], "atoms": [[0.3], [-1.0], [0.6], [0.9]]},
    )
    expected = eqgan.certify(small, few).regrets
    assert eqgan.certify(mix, many).regrets == pytest.approx(expected, rel=1e-12)
    game, z = mix.deviations(mix.as_profile(many), 0)
    assert game.sizes == (1, 2)  # type: ignore[attr-defined]
    assert z[1]["atoms"].flatten().tolist() == [-1.0, 0.6]  # type: ignore[index,call-overload]
    # The search sets out from the likeliest of its own.
    assert z[0]["atoms"].flatten().tolist() == [-0.4]  # type: ignore[index,call-overload]


def gap_against(mix: Mixed, z: eqgan.Profile, xs: Tensor, ys: Tensor) -> float:
    """Return what the better of these deviations gain of each player: a lower bound on the gap."""
    rng = mix.generator(1)
    (a, b), (mine, theirs) = select(z, "weights"), select(z, "atoms")
    with torch.no_grad():
        batches = [mix.sample(rng) for _ in range(64)]
        upper = torch.stack([a @ mix.base.pair_payoffs(mine, ys, s) for s in batches]).mean(0).max()
        lower = torch.stack([mix.base.pair_payoffs(xs, theirs, s) @ b for s in batches]).mean(0)
    return float(upper - lower.min())


@pytest.mark.slow
def test_double_oracle_brings_a_ring_gan_closer_than_training_on() -> None:
    """Every pair of responses lowers the gap, against all deviations that a judge found of any."""
    torch.set_num_threads(1)
    ring = eqgan.data.ring(20_000, std=0.05)
    modules = (mlp([2, 32, 32, 2], nn.Tanh), mlp([2, 64, 64, 1], nn.Tanh))
    gan = GAN(*modules, ring.samples, noise_dim=2, batch_size=128)
    plain = SimultaneousGradient(eqgan.Adam(1e-3, betas=(0.5, 0.9)))
    judge = eqgan.GradientOracle(steps=300, restarts=1)
    solver = DoubleOracle(oracle=eqgan.GradientOracle(steps=200, restarts=1), epsilon=0.0)
    start = eqgan.solve(gan, plain, init=gan.random(gan.generator(0)), max_steps=1800).last
    mix = Mixed(gan, (7, 7))
    rng = mix.generator(0)
    z = mix.uniform([start] * 7)
    state, path = solver.init(mix, z), [z]
    for _ in range(6):
        z, state = solver.step(mix, z, state, rng)
        path.append(z)
    proofs = [eqgan.certify(mix, z, judge) for z in path]
    found = [select(proof.deviations, "atoms") for proof in proofs]
    xs, ys = (torch.cat([z.leaves()[player] for z in found]) for player in (0, 1))
    gaps = [gap_against(mix, z, xs, ys) for z in path]
    steps = int(6 * solver.evaluations(mix))
    trained = eqgan.certify(gan, eqgan.solve(gan, plain, init=start, max_steps=steps).last, judge)
    print("double oracle", gaps, [p.nash_conv for p in proofs], "training on", trained.nash_conv)
    for earlier, later in itertools.pairwise(gaps):
        # The first pair responds to the start itself, which stays the best until the second.
        assert later <= earlier + float(proofs[0].stderr)
    assert gaps[-1] < 0.75 * gaps[0]
    assert gaps[-1] < float(trained.nash_conv)


def test_light_atoms_move_as_fast_as_heavy_ones() -> None:
    mix = Mixed(HIDE, (2, 1))
    start = (
        {"weights": [0.999, 0.001], "atoms": [[0.5], [0.5]]},
        {"weights": [1.0], "atoms": [[1.0]]},
    )
    run = eqgan.solve(
        mix, ParticleMirrorProx(rule=eqgan.Constant(0.1)), init=start, max_steps=1, tol=0
    )
    strategy = run.last[0]
    assert not isinstance(strategy, Tensor)
    heavy, light = strategy["atoms"].flatten().tolist()
    assert heavy == pytest.approx(light)
    assert heavy > 0.5


def test_fictitious_play_searches_grids_where_it_can() -> None:
    evaluations = FictitiousPlay().evaluations
    assert evaluations(Mixed(HIDE, (2, 2))) == 0
    assert evaluations(Mixed(ring_gan(), (2, 2))) == 50
    asked = FictitiousPlay(eqgan.GradientOracle(steps=7, restarts=1))
    assert asked.evaluations(Mixed(ring_gan(), (2, 2))) == 14
    with pytest.raises(eqgan.EqganError, match="a grid takes at most 2"):
        eqgan.solve(Mixed(ring_gan(), (2, 2)), FictitiousPlay(eqgan.GridOracle()), max_steps=1)


def ring_pair() -> tuple[Mixed, eqgan.Profile]:
    mix = Mixed(ring_gan(), (2, 2))
    return mix, mix.initial(mix.generator(0))


def table_of_one() -> Tensor:
    mix, _ = ring_pair()
    return mix.payoff_table(mix.base.initial(mix.generator(0)), mix.sample(mix.generator(0)))


def unwilling(x: Tensor, y: Tensor) -> Tensor:
    raise AssertionError


WRONG = {
    "how many": (lambda: (lambda mix, z: mix.generate(z, -1))(*ring_pair()), "n should be a whole"),
    "half a sample": (lambda: (lambda mix, z: mix.generate(z, 2.5))(*ring_pair()), "n should be a"),  # type: ignore[arg-type]
    "no batch": (
        lambda: (lambda mix, z: mix.payoff_table(z))(*ring_pair()),
        "those of a batch.*got NoneType",
    ),
    "no batch of losses": (
        lambda: (lambda mix, z: mix.losses(z))(*ring_pair()),
        "those of a batch.*got NoneType",
    ),
    "arrays": (
        lambda: Mixed(HIDE, (2, 2)).payoff_table(
            [{"weights": np.ones(2) / 2, "atoms": np.zeros((2, 1))}] * 2  # type: ignore[arg-type]
        ),
        "A mixture's atoms should be a tensor; got ndarray. mixed.as_profile",
    ),
    "weights": (
        lambda: Mixed(HIDE, (1, 1)).as_profile([{"weights": [0.9], "atoms": [[0.0]]}] * 2),
        r"strategy of minimizer\['weights'\] is off its set Simplex\(n=1.* by 0.1; project",
    ),
    "no mixture's profile": (table_of_one, "A strategy of a mixture is .* got a tensor of shape"),
    "a mixture's profile": (
        lambda: (lambda mix, z: mix.base.payoff(z, mix.sample(mix.generator(0))))(*ring_pair()),
        "plays one vector of .* parameters; got a mixture's strategy",
    ),
    "no function": (lambda: ContinuousGame(3), "f should be a function"),  # type: ignore[arg-type]
    "upside down": (lambda: ContinuousGame(lambda x, y: x, (1.0, -1.0)), "low <= high"),
    "one number": (lambda: ContinuousGame(lambda x, y: x, 1.0), "min_box should be a pair"),  # type: ignore[arg-type]
    "infinite": (
        lambda: ContinuousGame(lambda x, y: x, max_box=(0, float("inf"))),
        "max_box should",
    ),
    "a vector": (
        lambda: ContinuousGame(lambda x, y: x * y, dims=(2, 2)),
        r"0-dimensional tensor, when x and y are a vector \(2,\) and a vector \(2,\); got \(2,\)",
    ),
    "one variable": (
        lambda: ContinuousGame(lambda x: x),  # type: ignore[misc,arg-type]
        "f should take x and y, a number and a number, .*raised TypeError.*takes 1 positional",
    ),
    "a bare assertion": (lambda: ContinuousGame(unwilling), r"it raised AssertionError\(\)\.$"),
    "ends of every entry": (
        lambda: ContinuousGame(lambda x, y: x @ y, (np.zeros(2), np.ones(2)), dims=(2, 2)),  # type: ignore[arg-type]
        r"min_box should be a pair of finite numbers, low and high, .* got \(array",
    ),
    "a float": (lambda: ContinuousGame(lambda x, y: 1.0), "got float"),  # type: ignore[arg-type,return-value]
    "in place": (lambda: ContinuousGame(lambda x, y: x.mul_(y)), "leave x and y as they are"),
    "noise": (
        lambda: ContinuousGame(lambda x, y: x + torch.randn(())),
        "the same number each time",
    ),
    "noise that multiplies": (
        lambda: ContinuousGame(lambda x, y: x * y * torch.randn(())),
        "the same number each time",
    ),
    "dims": (lambda: ContinuousGame(lambda x, y: x, dims=1), "dims should be two"),  # type: ignore[arg-type]
    "lipschitz": (lambda: ContinuousGame(lambda x, y: x, lipschitz=0.0), "lipschitz should be"),
    "epsilon": (lambda: DoubleOracle(epsilon=-1.0), "epsilon should be"),
    "no mixture": (lambda: eqgan.solve(HIDE, "particle_mirror_prox"), "wrap the game as"),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_clear_sentence(case: str) -> None:
    make, said = WRONG[case]
    with pytest.raises(eqgan.EqganError, match=said):
        make()


def test_vectors() -> None:
    """More entries a player: x chases y in a square, which is two games of hide and seek."""
    game = ContinuousGame(lambda x, y: ((x - y) ** 2).sum(), dims=(2, 2))
    solver = ParticleMirrorProx(rule=eqgan.Constant(0.1))
    run = eqgan.solve(Mixed(game, (3, 6)), solver, max_steps=500, tol=1e-3)
    assert run.value == pytest.approx(2.0, abs=1e-2)
    assert "[-1, 1]^2 x [-1, 1]^2" in repr(game)


SEEK_ZEROS = (
    "consensus symplectic_gradient competitive_gradient adaptive_competitive_gradient lola "
    "follow_the_ridge unrolled"
)


@pytest.mark.parametrize("solver", SEEK_ZEROS.split())
def test_without_bounds_any_solver_serves(solver: str) -> None:
    saddle = ContinuousGame(lambda x, y: (x - 2) ** 2 / 2 + (x - 2) * y - y**2 / 2, FREE, FREE)
    run = eqgan.solve(saddle, solver, max_steps=2000)
    torch.testing.assert_close(run.profile[0], torch.tensor([2.0]).double(), rtol=0, atol=1e-5)
    torch.testing.assert_close(run.profile[1], torch.tensor([0.0]).double(), rtol=0, atol=1e-5)


def test_bounds_that_one_player_lacks() -> None:
    half = ContinuousGame(lambda x, y: (x * y).sum(), FREE, (0, 1), dims=(2, 2))
    assert repr(half) == "ContinuousGame(R^2 x [0, 1]^2)"
    start = half.initial(half.generator(0))
    assert start.equal(eqgan.Profile([torch.ones(2).double(), torch.full((2,), 0.5).double()]))
    with pytest.raises(eqgan.UnsupportedGame, match=r"maximizer's set Box.*sets without bounds"):
        eqgan.solve(half, "consensus")


@pytest.mark.parametrize("number", [0.5, np.float32(0.5), torch.tensor(0.5)])
def test_a_number_is_a_strategy_of_one_entry(number: Any) -> None:
    assert HIDE.as_profile((number, [0.5])).equal(HIDE.as_profile(([0.5], number)))
    with pytest.raises(eqgan.InvalidInput, match=r"trailing shape \(2,\).*got \(\)"):
        ContinuousGame(lambda x, y: (x * y).sum(), dims=(2, 2)).as_profile((number, number))


def test_default_steps_follow_the_curvature() -> None:
    assert HIDE.lipschitz == pytest.approx(4.0)
    assert ContinuousGame(lambda x, y: x * y, lipschitz=3.0).lipschitz == 3.0
    assert ContinuousGame(lambda x, y: x + y).lipschitz is None
    assert ContinuousGame(lambda x, y: (x - y).abs()).lipschitz is None
    run = eqgan.solve(Mixed(HIDE, (2, 3)), "particle_mirror_prox", tol=1e-3)
    assert run.certificate.nash_conv < 1e-3  # type: ignore[operator]
    saddle = ContinuousGame(lambda x, y: x**2 + 3 * x * y - y**2)
    assert eqgan.solve(saddle, tol=1e-6).certificate.nash_conv < 1e-6  # type: ignore[operator]


def test_payoffs_that_branch_are_mixed_pair_by_pair() -> None:
    """torch cannot ask for all pairs at once what is said with an if."""
    bent = ContinuousGame(lambda x, y: (x - y) ** 2 if x > y else (y - x) ** 2)
    z = Mixed(HIDE, (2, 3)).random(HIDE.generator(0))
    for game in (HIDE, bent):
        mix = Mixed(game, (2, 3))
        assert torch.equal(mix.payoff_table(z), Mixed(HIDE, (2, 3)).payoff_table(z))
        assert mix.operator(z).equal(Mixed(HIDE, (2, 3)).operator(z))


class Branching(nn.Linear):
    """Looks at its weights with an if, as no transform of torch's can."""

    def forward(self, x: Tensor) -> Tensor:
        output = super().forward(x)
        return output if bool(self.weight.isfinite().all()) else -output


@pytest.mark.parametrize(("device", "penalty"), [("cpu", 10.0), ("elsewhere", 0.0)])
def test_networks_that_branch_play_in_mixtures(device: str, penalty: float) -> None:
    """With a penalty on the processor, and without one as on a GPU, where networks run at once."""
    objective = eqgan.gan.objectives.Wasserstein(penalty=penalty)
    critic, plain = Branching(2, 1), nn.Linear(2, 1)
    plain.load_state_dict(critic.state_dict())
    data, generator, losses = torch.randn(50, 2), nn.Linear(2, 2), []
    for discriminator in (critic, plain):
        gan = GAN(generator, discriminator, data, 2, objective)
        mix = Mixed(gan, (2, 3))
        z, batch = mix.random(mix.generator(0)), mix.sample(mix.generator(1))
        if device == "elsewhere":
            gan.device = SimpleNamespace(type=device)  # type: ignore[assignment]
        xs, ys = select(z, "atoms")
        losses.append(torch.stack(gan.pair_losses(xs, ys, batch)))
    torch.testing.assert_close(*losses)
