"""One test for each fact that theory or a printed table states about a solver."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

import eqgan
from eqgan import Constant, Profile
from eqgan.certificate import residual
from eqgan.games import DiracGAN, MatrixGame, Mixed, random_game, rock_paper_scissors
from eqgan.games.catalog import available_games, named_game
from eqgan.gan.networks import mlp
from eqgan.solvers import (
    AlternatingGradient,
    Averaged,
    BestSoFar,
    Extragradient,
    FictitiousPlay,
    LinearProgram,
    MixGan,
    MovingAverage,
    MultiplicativeWeights,
    OptimisticGradient,
    OptimisticMultiplicativeWeights,
    RegretMatching,
    RegretMatchingPlus,
    SimultaneousGradient,
    best_so_far,
)
from eqgan.solvers.support_polish import indifferent
from eqgan.testing import standard_games

START = ([0.6, 0.3, 0.1], [0.2, 0.2, 0.6])


def path(game: eqgan.Game, solver: eqgan.Solver[Any], z: Profile, steps: int) -> list[Profile]:
    """Return the iterates, the start included."""
    rng, state, iterates = game.generator(0), solver.init(game, z), [z]
    for _ in range(steps):
        z, state = solver.step(game, z, state, rng)
        iterates.append(z)
    return iterates


def on_xy(solver: eqgan.Solver[Any], steps: int) -> list[Profile]:
    """Return the iterates on f = xy from (1, 0.5)."""
    game = eqgan.games.Bilinear([[1.0]])
    return path(game, solver, game.as_profile(([1.0], [0.5])), steps)


def norms(iterates: list[Profile]) -> list[float]:
    return [float(z.norm()) for z in iterates]


def gap(game: eqgan.Game, solver: Any, steps: int, **options: Any) -> float:
    result = eqgan.solve(game, solver, max_steps=steps, tol=0, check_every=steps, **options)
    nash_conv = result.certificate.nash_conv
    assert isinstance(nash_conv, float)
    return nash_conv


# -- contraction on f = xy -------------------------------------------------------------------------

ETAS = (0.01, 0.1, 0.3, 0.5)


@pytest.mark.parametrize("eta", ETAS)
def test_simultaneous_steps_expand_by_the_root_of_one_plus_eta_squared(eta: float) -> None:
    for before, after in pairwise(norms(on_xy(SimultaneousGradient(Constant(eta)), 50))):
        assert after / before == pytest.approx(math.sqrt(1 + eta**2), rel=1e-9)


@pytest.mark.parametrize("eta", ETAS)
def test_extragradient_contracts_by_its_formula(eta: float) -> None:
    for before, after in pairwise(norms(on_xy(Extragradient(Constant(eta)), 50))):
        assert after / before == pytest.approx(math.sqrt(1 - eta**2 + eta**4), rel=1e-9)


@pytest.mark.parametrize("eta", [0.1, 0.3, 0.45])
def test_optimistic_steps_contract_by_their_formula_in_the_end(eta: float) -> None:
    iterates = norms(on_xy(OptimisticGradient(Constant(eta)), 300))
    rho = math.sqrt((1 + math.sqrt(1 - 4 * eta**2)) / 2)
    for before, after in pairwise(iterates[200:]):
        assert after / before == pytest.approx(rho, rel=1e-9)


@pytest.mark.parametrize("eta", [*ETAS, 1.5])
def test_alternating_steps_circle_for_ever(eta: float) -> None:
    def invariant(z: Profile) -> float:
        x, y = (float(s) for s in z.leaves())
        return x * x + y * y - eta * x * y

    iterates = on_xy(AlternatingGradient(Constant(eta)), 1000)
    for z in iterates:
        assert invariant(z) == pytest.approx(invariant(iterates[0]), rel=1e-9)


def test_averages_of_extragradient_converge_and_of_simultaneous_steps_diverge() -> None:
    game = eqgan.games.Bilinear([[1.0]])
    ends = {
        inner: float(eqgan.solve(game, Averaged(inner), max_steps=2000).profile.norm())
        for inner in (Extragradient(Constant(0.1)), SimultaneousGradient(Constant(0.1)))
    }
    assert ends[Extragradient(Constant(0.1))] < 0.02
    assert ends[SimultaneousGradient(Constant(0.1))] > 1.0


# -- Dirac-GAN -------------------------------------------------------------------------------------

DIRAC = {
    DiracGAN(): "3.097 1.421 1.845 0.122 0.117",
    DiracGAN("non_saturating"): "0.640 0.284 0.139 0.0479 0.0464",
    DiracGAN("wasserstein", "zero_centred", 0.3): "9.1e-3 2.7e-7 3e-34 1.0e-11 4.8e-12",
    DiracGAN("minimax", "r1", 0.3): "2.643e-6 2.301e-7 9e-34 3.4e-8 3.4e-8",
    DiracGAN("minimax", "r1", 1.0): "9.5e-22 7.5e-17 5.1e-12 1.3e-19 1.2e-19",
}
STEP = Constant(0.2)
DIRAC_SOLVERS = (
    SimultaneousGradient(STEP),
    AlternatingGradient(STEP),
    AlternatingGradient(STEP, steps=(1, 5)),
    Extragradient(STEP),
    OptimisticGradient(STEP),
)


@pytest.mark.parametrize("game", DIRAC, ids=repr)
def test_the_dirac_gan_table(game: DiracGAN) -> None:
    """The final norm after 500 steps of 0.2 from (1, 1), to the digits that are printed."""
    for solver, printed in zip(DIRAC_SOLVERS, DIRAC[game].split(), strict=True):
        end = eqgan.solve(game, solver, max_steps=500, tol=0, check_every=500).last.norm()
        digits = len(printed.split("e")[0].replace(".", "").lstrip("0"))
        assert float(f"{float(end):.{digits - 1}e}") == float(printed), solver


@pytest.mark.parametrize("gamma", [0.3, 1.0])
def test_the_jacobian_of_the_r1_dirac_gan_has_the_known_eigenvalues(gamma: float) -> None:
    game = DiracGAN(regulariser="r1", gamma=gamma)
    zero = game.as_profile(([0.0], [0.0]))
    columns = [
        torch.cat(game.jvp(zero, game.as_profile(v)).leaves())
        for v in (([1.0], [0.0]), ([0.0], [1.0]))
    ]
    # The operator is minus the vector field whose eigenvalues are printed.
    eigenvalues = torch.linalg.eigvals(-torch.stack(columns, 1))
    root = torch.sqrt(torch.tensor(gamma**2 / 4 - 1 / 4, dtype=torch.complex128))
    for known in (-gamma / 2 + root, -gamma / 2 - root):
        assert float((eigenvalues - known).abs().min()) < 1e-7


# -- matrix games ----------------------------------------------------------------------------------


def test_the_linear_program_solves_rock_paper_scissors_exactly() -> None:
    result = eqgan.solve(rock_paper_scissors(), LinearProgram())
    assert result.certificate.exact
    assert result.certificate.nash_conv <= 1e-12
    for strategy in result.profile.leaves():
        assert float((strategy - 1 / 3).abs().max()) <= 1e-12


@pytest.mark.parametrize(
    "solver", [OptimisticGradient(), OptimisticMultiplicativeWeights(), Extragradient()]
)
def test_last_iterates_of_optimistic_methods_converge(solver: eqgan.Solver[Any]) -> None:
    result = eqgan.solve(rock_paper_scissors(), solver, init=START, tol=1e-9)
    assert result.status is eqgan.Status.CONVERGED
    assert eqgan.certify(result.game, result.last).nash_conv < 1e-6


@pytest.mark.parametrize("family", ["uniform", "normal", "integer"])
@pytest.mark.parametrize(("m", "n"), [(2, 2), (3, 7), (10, 10)])
def test_the_average_of_multiplicative_weights_keeps_its_bound(family: str, m: int, n: int) -> None:
    games, steps = random_game(family, (100, m, n), seed=m), 400
    result = eqgan.solve(games, MultiplicativeWeights(horizon=steps), max_steps=steps, tol=0)
    bound = 2 * games.payoff_range * math.sqrt(math.log(max(m, n)) / (2 * steps))
    gaps = result.certificate.nash_conv
    assert isinstance(gaps, Tensor)
    assert gaps.shape == (100,)
    assert bool((gaps <= bound).all())
    assert bool((gaps > 0.02 * bound).any())


@pytest.mark.parametrize("solver", [RegretMatching(), RegretMatchingPlus()])
def test_regret_matching_keeps_its_bound(solver: eqgan.Solver[Any]) -> None:
    """Each player's average regret is at most range * sqrt(n / T)."""
    games, steps = random_game("integer", (100, 5, 5), seed=3), 500
    gaps = eqgan.solve(games, solver, max_steps=steps, tol=0).certificate.nash_conv
    assert isinstance(gaps, Tensor)
    assert bool((gaps <= 2 * games.payoff_range * math.sqrt(5 / steps)).all())


def test_the_last_iterate_of_multiplicative_weights_circles() -> None:
    result = eqgan.solve(
        rock_paper_scissors(), MultiplicativeWeights(), init=START, max_steps=4000, tol=0
    )
    last = eqgan.certify(result.game, result.last)
    assert result.certificate.nash_conv < 0.05
    assert last.nash_conv > 0.3


def test_fictitious_play_falls_like_the_root_of_time() -> None:
    counts = (100, 1000, 10_000)
    start = ([1, 0, 0], [1, 0, 0])
    gaps = [gap(rock_paper_scissors(), FictitiousPlay(), n, init=start) for n in counts]
    for n, measured in zip(counts, gaps, strict=True):
        # The constant depends on how ties are broken; the printed 0.1, .03, .0094 have 1, .95, .94.
        assert 0.6 <= measured * math.sqrt(n) <= 1.5
    slope = math.log(gaps[-1] / gaps[0]) / math.log(counts[-1] / counts[0])
    assert slope == pytest.approx(-0.5, abs=0.04)


# -- mixtures --------------------------------------------------------------------------------------


class Frozen(eqgan.ZeroSumGame):
    """The payoff of two numbers is their product, and no gradient moves them."""

    spaces = (eqgan.Euclidean((1,)), eqgan.Euclidean((1,)))

    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        x, y = z.leaves()
        return (x.detach() * y.detach()).sum(-1)


@pytest.mark.parametrize("update", ["logits", "exponentiated"])
@pytest.mark.parametrize("player", [0, 1])
def test_weights_settle_where_the_entropy_balances_the_losses(update: Any, player: int) -> None:
    many = torch.tensor([0.03, -0.02, 0.08, 0.0], dtype=torch.float64)
    one, sizes = torch.ones(1, dtype=torch.float64), ((4, 1), (1, 4))[player]
    game = Mixed(Frozen(), sizes)
    strategies = [
        {"weights": torch.full((k,), 1 / k, dtype=torch.float64), "atoms": a[:, None]}
        for k, a in zip(sizes, (many, one) if player == 0 else (one, many), strict=True)
    ]
    c, losses = 0.1, many if player == 0 else -many
    solver = MixGan(Constant(4.0), entropy=c, update=update)
    w = path(game, solver, Profile(strategies), 600)[-1][player]["weights"]
    mean = w @ losses
    assert float((w - (c / 4) / (c + losses - mean)).abs().max()) < 1e-6
    assert float((w - 0.25).abs().max()) > 0.05


BASES = ("dirac gan", "gan minimax", "gan non-saturating", "gan wasserstein", "neural")


@pytest.mark.parametrize("kind", BASES)
@pytest.mark.parametrize("rule", [None, Constant(0.05), eqgan.Adam(1e-2)])
def test_a_mixture_of_one_is_the_base_game_bit_for_bit(kind: str, rule: Any) -> None:
    base = standard_games()[kind]
    mixed = Mixed(base, (1, 1))
    # By default the rule is the game's; a mixture does not know the base game's constant.
    rule = rule or eqgan.default_rule(mixed)
    alone = eqgan.solve(base, SimultaneousGradient(rule), max_steps=20, tol=0).last
    mixture = eqgan.solve(mixed, MixGan(rule), max_steps=20, tol=0).last
    for mine, other in zip(alone, mixture, strict=True):
        assert torch.equal(mine, other["atoms"][0])
        assert torch.equal(other["weights"], torch.ones(1, **base.options))


# -- wrappers --------------------------------------------------------------------------------------


def test_averaged_proposes_the_mean_of_the_iterates() -> None:
    game, inner = eqgan.games.biased_rock_paper_scissors(), SimultaneousGradient(Constant(0.1))
    z = game.as_profile(START)
    iterates = path(game, inner, z, 25)[1:]
    result = eqgan.solve(game, Averaged(inner), init=START, max_steps=25, tol=0)
    for player in range(2):
        mean = torch.stack([z.leaves()[player] for z in iterates]).mean(0)
        assert torch.allclose(result.profile.leaves()[player], mean, rtol=1e-13, atol=0)
    assert result.last.equal(iterates[-1])


def test_moving_averages_forget_geometrically() -> None:
    game, inner, decay = DiracGAN(), Extragradient(Constant(0.2)), 0.8
    iterates = path(game, inner, game.initial(game.generator(0)), 30)
    expected = iterates[0]
    for z in iterates[1:]:
        expected = decay * expected + (1 - decay) * z
    result = eqgan.solve(game, MovingAverage(inner, decay=decay), max_steps=30, tol=0)
    assert float((result.profile - expected).norm()) < 1e-14
    last = eqgan.solve(game, MovingAverage(inner, decay=0.0), max_steps=30, tol=0)
    assert last.profile.equal(iterates[-1])


def test_best_so_far_proposes_the_smallest_gap_that_it_saw() -> None:
    game, inner = rock_paper_scissors(), SimultaneousGradient(Constant(0.1))
    iterates = path(game, inner, game.as_profile(START), 60)
    seen = [eqgan.certify(game, z).nash_conv for z in iterates[::3]]
    result = eqgan.solve(game, BestSoFar(inner, every=3), init=START, max_steps=60, tol=0)
    # `certify` projects once more, which may move the last bit.
    assert result.certificate.nash_conv == pytest.approx(min(seen), rel=1e-13)
    assert result.certificate.nash_conv < eqgan.certify(game, result.last).nash_conv


@pytest.mark.parametrize(
    ("wrapper", "look"), [(BestSoFar, 1), (eqgan.solvers.SupportPolish, 2)], ids=["best", "polish"]
)
def test_a_look_at_what_finishes_between_looks_is_spent(wrapper: Any, look: int) -> None:
    game, direct = eqgan.games.random_game("normal", (3, 3), seed=0), eqgan.solvers.Pivoting()
    run = eqgan.solve(game, wrapper(direct, every=10))
    assert run.steps == 1
    assert run.evaluations == eqgan.solve(game, direct).evaluations + look


def test_best_so_far_takes_noisy_gaps_for_better_by_its_margin_only() -> None:
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        networks = mlp([2, 8, 2], torch.nn.Tanh), mlp([2, 8, 1], torch.nn.Tanh)
    game = eqgan.games.GAN(*networks, eqgan.data.ring(200).samples, noise_dim=2, batch_size=32)
    look = eqgan.GradientOracle(steps=5, restarts=0)

    def better_by(margin: float) -> list[float]:
        """Return by how many standard errors each accepted gap was lower than the last."""
        inner = SimultaneousGradient(eqgan.Adam(1e-2))
        solver = BestSoFar(inner, every=1, oracle=look, margin=margin)
        rng, z = game.generator(0), game.initial(game.generator(0))
        state, gains = solver.init(game, z), []
        for _ in range(40):
            last = state.gap
            z, state = solver.step(game, z, state, rng)
            if state.gap < last:
                proof = eqgan.certify(game, state.best, look, seed=best_so_far.SEED)
                assert proof.nash_conv == state.gap
                gains.append((last - state.gap) / proof.stderr)
        return gains

    assert min(better_by(0.0)) < 2.0
    clear = better_by(2.0)
    assert len(clear) >= 2
    assert min(clear) > 2.0
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(eqgan.InvalidInput, match="margin should be a finite number >= 0"):
            BestSoFar(margin=wrong)


# -- games that state their answers ----------------------------------------------------------------

CATALOG = {name: named_game(name) for name in available_games()}


@pytest.mark.parametrize("name", [n for n, g in CATALOG.items() if g.equilibrium is not None])
def test_the_equilibrium_that_a_game_states_is_one(name: str) -> None:
    game = CATALOG[name]
    assert game.equilibrium is not None
    assert eqgan.certify(game, game.equilibrium).nash_conv <= 1e-12
    if not isinstance(game, MatrixGame):
        assert residual(game, game.equilibrium) <= 1e-12
    if game.value is not None:
        value = eqgan.certify(game, game.equilibrium).value
        assert float(value) == pytest.approx(game.value, abs=1e-12)


@pytest.mark.parametrize(
    "name", [n for n, g in CATALOG.items() if isinstance(g, MatrixGame) and g.value is not None]
)
def test_the_value_that_a_matrix_game_states_is_that_of_the_linear_program(name: str) -> None:
    result = eqgan.solve(CATALOG[name], LinearProgram())
    assert result.certificate.nash_conv <= 1e-9
    assert result.value == pytest.approx(CATALOG[name].value, abs=1e-9)


def test_support_polish_gives_one_answer_to_one_question():
    payoffs = random_game("normal", (30, 40), seed=1).payoff_matrix
    rows, columns = (torch.ones(n, dtype=torch.bool) for n in payoffs.shape)
    answers = set()
    for size in range(20):
        # What is freed here is what a solver's workspace may be made of.
        junk = [torch.randint(-9, 9, (31 + size,), dtype=torch.int32) for _ in range(20)]
        del junk
        x, y = indifferent(payoffs, rows, columns)
        answers.add((*x.tolist(), *y.tolist()))
    assert len(answers) == 1
