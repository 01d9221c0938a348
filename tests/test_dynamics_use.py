"""The dynamics in use: on networks and scalars, with rules, and misused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

import eqgan
from eqgan import Constant, Profile
from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.games import Bilinear, DiracGAN, MatrixGame
from eqgan.solvers import (
    AdaptiveCompetitiveGradient,
    AlternatingGradient,
    AnchoredExtragradient,
    CompetitiveGradient,
    Consensus,
    Extragradient,
    FollowTheRidge,
    Lola,
    Lookahead,
    NegativeMomentum,
    ParticleMirrorProx,
    ProximalPoint,
    SymplecticGradient,
    Unrolled,
)
from eqgan.testing import standard_games

Solver = eqgan.Solver[Any]

FAMILY: tuple[type[Solver], ...] = (
    AdaptiveCompetitiveGradient,
    AnchoredExtragradient,
    CompetitiveGradient,
    Consensus,
    FollowTheRidge,
    Lola,
    Lookahead,
    NegativeMomentum,
    ProximalPoint,
    SymplecticGradient,
    Unrolled,
)


def path(game: eqgan.Game, solver: Solver, z: Profile, steps: int) -> list[Profile]:
    """Return the iterates, the start included."""
    rng, state, iterates = game.generator(0), solver.init(game, z), [z]
    for _ in range(steps):
        z, state = solver.step(game, z, state, rng)
        iterates.append(z)
    return iterates


# -- networks ------------------------------------------------------------------------------------


def tiny_gan(objective: str = "minimax") -> eqgan.games.GAN:
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        networks = [
            nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, out)).double() for out in (2, 1)
        ]
    data = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    return eqgan.games.GAN(*networks, data, 2, objective, batch_size=16)


@pytest.mark.parametrize("objective", ["minimax", "non_saturating"])
def test_unrolled_gradients_are_those_through_steps_written_by_hand(objective: str) -> None:
    game, k, rate = tiny_gan(objective), 4, 0.3
    z = game.random(game.generator(3))
    batch = game.sample(game.generator(0))

    def scores(y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        critic = game.player(1, y)
        return critic(batch.real), critic(game.player(0, x)(batch.noise))

    def payoff(real: Tensor, fake: Tensor) -> Tensor:
        return logsigmoid(real).mean() + logsigmoid(-fake).mean()

    x, y = z.attached()
    ahead, first = y, None
    for _ in range(k):
        slope = torch.autograd.grad(payoff(*scores(ahead, x)), ahead, create_graph=True)[0]
        first = slope if first is None else first
        ahead = ahead + rate * slope
    real, fake = scores(ahead, x)
    loss = payoff(real, fake) if objective == "minimax" else -logsigmoid(fake).mean()
    total = torch.autograd.grad(loss, x)[0]
    moved = path(game, Unrolled(Constant(1.0), k, rate), z, 1)[1] - z
    torch.testing.assert_close(moved[0], -total, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(moved[1], first, rtol=1e-10, atol=1e-14)
    # A graph cut between the steps, the classic mistake, gives another gradient.
    cut = torch.autograd.grad(payoff(*scores(ahead.detach(), x)), x)[0]
    assert float((total - cut).norm()) > 1e-3 * float(total.norm())


TRAINED = [(solver, "minimax") for solver in FAMILY] + [
    (solver, "non_saturating")
    for solver in FAMILY
    if solver not in (CompetitiveGradient, AdaptiveCompetitiveGradient)
]


@pytest.mark.parametrize(("solver", "objective"), TRAINED)
def test_a_few_steps_train_a_tiny_gan(solver: type[Solver], objective: str) -> None:
    game = tiny_gan(objective)
    run = eqgan.solve(game, solver(), max_steps=5, seed=0)
    assert run.status is eqgan.Status.MAX_STEPS
    start = game.initial(game.generator(0))
    batch = game.sample(game.generator(1))
    before, after = (game.losses(z, batch) for z in (start, run.profile))
    assert all(bool(torch.isfinite(loss)) for loss in after)
    assert all(float(a) != float(b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    "solver",
    [
        CompetitiveGradient(),
        Consensus(),
        FollowTheRidge(),
        Lola(),
        ProximalPoint(),
        SymplecticGradient(),
        Unrolled(),
    ],
    ids=lambda solver: type(solver).__name__,
)
def test_one_batch_serves_all_products_of_a_step(solver: Solver) -> None:
    drawn = []

    class Counted(eqgan.games.GAN):
        def sample(self, rng: torch.Generator) -> Any:
            drawn.append(None)
            return super().sample(rng)

    base = tiny_gan()
    game = Counted(*base.modules(base.initial(base.generator(0))), base.data, 2, batch_size=8)
    path(game, solver, game.initial(game.generator(0)), 3)
    assert len(drawn) == 3


@pytest.mark.parametrize("kind", sorted(standard_games()))
def test_losses_facing_a_rival_are_the_losses(kind: str) -> None:
    game = standard_games()[kind]
    rng = game.generator(0)
    z, other = game.random(rng), game.random(rng)
    batch = game.sample(rng)
    for player in (0, 1):
        facing = game.facing(z, player, batch)(other[player])
        whole = game.losses(z.replace(player, other[player]), batch)
        assert all(map(torch.equal, facing, whole))


# -- scalars, rules, and misuse --------------------------------------------------------------------


class Scalars(eqgan.ZeroSumGame):
    """f = x^2 / 4 + xy - y^2 / 4 of two numbers without dimensions."""

    spaces = (eqgan.Euclidean(()), eqgan.Euclidean(()))
    lipschitz = 1.2

    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        x, y = z.leaves()
        return 0.25 * x * x + x * y - 0.25 * y * y


@pytest.mark.parametrize("solver", FAMILY)
def test_scalars_work(solver: type[Solver]) -> None:
    game = Scalars()
    z = Profile(torch.tensor(v, dtype=torch.float64) for v in (1.0, 0.5))
    method: Any = solver(rate=0.1) if solver is AdaptiveCompetitiveGradient else solver()
    iterates = path(game, method, z, 300)
    assert all(leaf.shape == () for leaf in iterates[-1].leaves())
    assert float(iterates[-1].norm()) < 0.1


@pytest.mark.parametrize(
    "solver", [s for s in FAMILY if "rule" in s.__dataclass_fields__], ids=lambda s: s.__name__
)
def test_rules_of_all_kinds_work(solver: Any) -> None:
    game = DiracGAN()
    adam = eqgan.Adam(0.02, betas=(0.5, 0.9))
    for rule in (adam, eqgan.PerPlayer(Constant(0.1), adam), Constant(eqgan.InverseSqrt(0.3))):
        iterates = path(game, solver(rule=rule), game.initial(game.generator(0)), 50)
        assert iterates[-1].is_finite()
        assert not iterates[-1].equal(iterates[0])


@pytest.mark.parametrize("steps", [(2, 3), [2, 3]])
def test_in_turn_every_player_steps_as_often_and_as_far_as_is_its_own(steps: Any) -> None:
    rule = eqgan.PerPlayer(Constant(0.1), eqgan.Adam(0.5))
    solver = AlternatingGradient(rule, steps)
    game = Bilinear([[1.0]])
    x, y = path(game, solver, game.as_profile(([1.0], [1.0])), 1)[1].leaves()
    assert float(x) == pytest.approx(1 - 2 * 0.1)
    # Against a gradient that stays as it is Adam goes by its rate.
    assert float(y) == pytest.approx(1 + 3 * 0.5, abs=1e-6)
    assert solver.evaluations(game) == 2.5  # 5 gradients of one player


@pytest.mark.parametrize(("iterations", "products"), [(1, 2), (2, 3), (20, 4)])
def test_competitive_steps_cost_what_is_told(iterations: int, products: int) -> None:
    """The linear system has as many unknowns as the first player: three, here."""
    game = eqgan.games.Quadratic([[1.0, -0.4], [0.3, 0.6], [-0.7, 0.2]], torch.eye(3))
    solver = CompetitiveGradient(1e-15, iterations=iterations, rate=0.5)
    assert solver.evaluations(game) == 1 + 2 * products
    rng = game.generator(0)
    z = game.random(rng)
    state = solver.init(game, z)
    for taken in (1, 2, 3):
        z, state = solver.step(game, z, state, rng)
        assert solver.spent(game, state, taken) == taken * (1 + 2 * products)


def test_leaders_and_followers_cost_what_is_told() -> None:
    """A player's gradient is half a joint one, half a product with the Jacobian a whole one."""
    game = eqgan.games.Quadratic([[1.0, -0.4], [0.3, 0.6], [-0.7, 0.2]], torch.eye(3))
    # Three gradients of the follower, one of the leader, and back through three steps.
    assert Unrolled(k=3).evaluations(game) == 4 * 0.5 + 3
    # The operator, two half products, and two more for each of the follower's parameters.
    assert FollowTheRidge(follower=1).evaluations(game) == 1 + 2 + 2 * 2
    assert FollowTheRidge(follower=0).evaluations(game) == 1 + 2 + 2 * 3
    assert FollowTheRidge(follower=0, iterations=1).evaluations(game) == 1 + 2 + 2


def test_particles_of_full_weight_take_extragradient_steps() -> None:
    game = Bilinear([[1.0]])
    mix = eqgan.games.Mixed(game, (1, 1))
    start = game.as_profile(([1.0], [0.5]))
    alone = path(game, Extragradient(Constant(0.3)), start, 4)
    moved = path(mix, ParticleMirrorProx(Constant(0.3)), mix.uniform([start]), 4)
    for z, w in zip(alone, moved, strict=True):
        for mine, theirs in zip(z, w, strict=True):
            torch.testing.assert_close(theirs["atoms"][0], mine)  # type: ignore[index,call-overload]


def test_schedules_count_solver_steps() -> None:
    seen: list[int] = []

    def rate(step: int) -> float:
        seen.append(step)
        return 0.1

    for solver in (AnchoredExtragradient, NegativeMomentum, ProximalPoint, Lola, Unrolled):
        seen.clear()
        game: Any = Bilinear([[1.0]])
        method: Any = solver
        path(game, method(rule=Constant(rate)), game.initial(game.generator(0)), 4)
        assert sorted(set(seen)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: AlternatingGradient(steps=()), "steps"),
        (lambda: AlternatingGradient(steps=(0, 1)), "steps"),
        (lambda: NegativeMomentum(beta=0.5), "beta"),
        (lambda: NegativeMomentum(beta=-1.0), "beta"),
        (lambda: Lookahead(k=0), "k"),
        (lambda: Lookahead(k=2.5), "k"),
        (lambda: Lookahead(alpha=0.0), "alpha"),
        (lambda: Lookahead(alpha=1.5), "alpha"),
        (lambda: Lookahead("extragradient"), "solver"),
        (lambda: Consensus(gamma=-1.0), "gamma"),
        (lambda: Consensus(gamma=math.inf), "gamma"),
        (lambda: Consensus(rule=0.1), "rule"),
        (lambda: SymplecticGradient(strength=math.nan), "strength"),
        (lambda: CompetitiveGradient(rate=0.0), "rate"),
        (lambda: CompetitiveGradient(tolerance=1.0), "tolerance"),
        (lambda: CompetitiveGradient(iterations=0), "iterations"),
        (lambda: AdaptiveCompetitiveGradient(rate=-1.0), "rate"),
        (lambda: AdaptiveCompetitiveGradient(beta=1.0), "beta"),
        (lambda: AdaptiveCompetitiveGradient(eps=0.0), "eps"),
        (lambda: Lola(foresight=-0.1), "foresight"),
        (lambda: Lola(shaping=1.5), "shaping"),
        (lambda: Lola(shaping="sos"), "shaping"),
        (lambda: FollowTheRidge(damping=0.0), "damping"),
        (lambda: FollowTheRidge(follower=2), "follower"),
        (lambda: FollowTheRidge(tolerance=-1.0), "tolerance"),
        (lambda: FollowTheRidge(iterations=1.5), "iterations"),
        (lambda: Unrolled(k=0), "k"),
        (lambda: Unrolled(rate=0.0), "rate"),
        (lambda: Unrolled(follower=-1), "follower"),
        (lambda: ProximalPoint(tolerance=1.0), "tolerance"),
        (lambda: ProximalPoint(iterations=0), "iterations"),
    ],
)
def test_wrong_hyper_parameters_are_told_in_a_sentence(make: Callable[[], Any], word: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make()
    message = str(caught.value)
    assert word in message.split(";")[0]
    assert "; got " in message
    assert message.endswith(".")


def test_refusals_name_a_way_out() -> None:
    constrained = MatrixGame([[1.0, -1.0], [-1.0, 1.0]])
    for solver in (Consensus, SymplecticGradient, Lola, FollowTheRidge, CompetitiveGradient):
        with pytest.raises(UnsupportedGame, match="extragradient"):
            eqgan.solve(constrained, solver())
    with pytest.raises(UnsupportedGame, match="one payoff"):
        eqgan.solve(DiracGAN("non_saturating"), CompetitiveGradient())
    polytope = eqgan.Polytope(G=[[1.0, 0.0]], h=[0.6], E=[[1.0, 1.0]], f=[1.0])
    opaque = eqgan.games.ConstrainedGame([[1.0, -1.0], [-1.0, 1.0]], (polytope, polytope))
    with pytest.raises(UnsupportedGame, match="opaque"):
        eqgan.solve(opaque, Unrolled())
