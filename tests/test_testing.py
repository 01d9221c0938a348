"""The kit itself: for every law a solver that breaks it, and no other reason to fail."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch

import eqgan
from eqgan import laws
from eqgan.laws import Law
from eqgan.solvers import LinearProgram, SimultaneousGradient
from eqgan.testing import check_solver, standard_games


@dataclass(frozen=True)
class ChangesItsInput(SimultaneousGradient):
    def step(self, game: Any, z: Any, state: Any, rng: Any) -> Any:
        d = game.operator(z, game.sample(rng))
        for leaf, step in zip(z.leaves(), d.leaves(), strict=True):
            leaf.sub_(0.01 * (step - step.mean()))
        return z, state


@dataclass(frozen=True)
class ChangesTheGame(SimultaneousGradient):
    def step(self, game: Any, z: Any, state: Any, rng: Any) -> Any:
        game.payoff_matrix.mul_(0.99)
        return super().step(game, z, state, rng)


@dataclass(frozen=True)
class ChangesItself(SimultaneousGradient):
    memory: list[int] = field(default_factory=list)

    def step(self, game: Any, z: Any, state: Any, rng: Any) -> Any:
        self.memory.append(0)
        return super().step(game, z, state, rng)


@dataclass(frozen=True)
class CostsLess(SimultaneousGradient):
    def evaluations(self, game: Any) -> float:
        return -1.0


@dataclass(frozen=True)
class LooksTwiceForTheCostOfOnce(SimultaneousGradient):
    def step(self, game: Any, z: Any, state: Any, rng: Any) -> Any:
        game.gradient(z, 0, game.sample(rng))
        return super().step(game, z, state, rng)


@dataclass(frozen=True)
class FinishedAtOnce(SimultaneousGradient):
    def finished(self, state: Any) -> bool:
        return True


@dataclass(frozen=True)
class Explodes(SimultaneousGradient):
    def output(self, z: Any, state: Any) -> Any:
        return z * float("inf")


@dataclass(frozen=True)
class LeavesTheSet(SimultaneousGradient):
    def step(self, game: Any, z: Any, state: Any, rng: Any) -> Any:
        return z - 0.1 * game.operator(z, game.sample(rng)), state


@dataclass(frozen=True)
class ForgetsTheDtype(SimultaneousGradient):
    def output(self, z: Any, state: Any) -> Any:
        return z.to(torch.float64)


@dataclass(frozen=True)
class CarriesAGraph(SimultaneousGradient):
    def output(self, z: Any, state: Any) -> Any:
        return z.attached()


@dataclass(frozen=True)
class RemembersElsewhere(SimultaneousGradient):
    """Keeps its memory in the class, where no checkpoint finds it."""

    calls: ClassVar[list[int]] = [0]

    def step(self, game: Any, z: Any, state: Any, rng: Any) -> Any:
        self.calls[0] += 1
        z, state = super().step(game, z, state, rng)
        return z.lerp(game.initial(rng), 0.5 / self.calls[0]), state


@dataclass(frozen=True)
class DrawsFromTheGlobalGenerator(SimultaneousGradient):
    def step(self, game: Any, z: Any, state: Any, rng: Any) -> Any:
        torch.rand(1)
        return super().step(game, z, state, rng)


@dataclass(frozen=True)
class StateThatNoFileHolds(SimultaneousGradient):
    def init(self, game: Any, z: Any) -> Any:
        return [super().init(game, z), 0]

    def step(self, game: Any, z: Any, state: Any, rng: Any) -> Any:
        # The third entry is a dataclass that the template of a fresh run lacks.
        z, inner = super().step(game, z, state[0], rng)
        return z, [inner, state[1] + 1, eqgan.Constant(0.1)]


@dataclass(frozen=True)
class ProposesByTheClock(SimultaneousGradient):
    """Proposes something else whenever it is asked, as one does who averages in `output`."""

    calls: ClassVar[list[int]] = [0]

    def output(self, z: Any, state: Any) -> Any:
        self.calls[0] += 1
        return z.map(lambda leaf: leaf.roll(self.calls[0] % 2, -1))


@dataclass(frozen=True)
class StaysWhereItIs(SimultaneousGradient):
    def step(self, game: Any, z: Any, state: Any, rng: Any) -> Any:
        return z, state


@dataclass(frozen=True)
class LeavesTheEquilibrium(SimultaneousGradient):
    def step(self, game: Any, z: Any, state: Any, rng: Any) -> Any:
        vertex = eqgan.Profile(s.minimizer(x) for s, x in zip(game.spaces, z, strict=True))
        return z.lerp(vertex, 0.1), state


@dataclass(frozen=True)
class MixesTheBatch(SimultaneousGradient):
    def step(self, game: Any, z: Any, state: Any, rng: Any) -> Any:
        z, state = super().step(game, z, state, rng)
        if not game.batch_shape:
            return z, state
        return z.map(lambda leaf: leaf.mean(0, keepdim=True).expand_as(leaf).contiguous()), state


@dataclass
class IsNotFrozen(eqgan.Solver[Any]):
    def init(self, game: Any, z: Any) -> Any:
        return 0

    def step(self, game: Any, z: Any, state: Any, rng: Any) -> Any:
        return z, state


class LacksTheDecorator(SimultaneousGradient):
    pass


@dataclass(frozen=True)
class HoldsALambda(SimultaneousGradient):
    schedule: Any = None


@dataclass(frozen=True)
class RefusesWithoutReason(SimultaneousGradient):
    def unsupported(self, game: Any) -> str | None:
        return "no"


@dataclass(frozen=True)
class RefusesEverything(SimultaneousGradient):
    def unsupported(self, game: Any) -> str | None:
        return "it takes no game of any kind"


BROKEN: dict[type[eqgan.Solver[Any]], Law] = {
    ChangesItsInput: laws.inputs_are_never_changed,
    ChangesTheGame: laws.inputs_are_never_changed,
    ChangesItself: laws.hyper_parameters_stay,
    CostsLess: laws.costs_are_told,
    LooksTwiceForTheCostOfOnce: laws.no_more_is_evaluated_than_told,
    FinishedAtOnce: laws.costs_are_told,
    Explodes: laws.profiles_stay_finite,
    LeavesTheSet: laws.sets_are_kept,
    ForgetsTheDtype: laws.dtype_device_and_shape_are_kept,
    CarriesAGraph: laws.dtype_device_and_shape_are_kept,
    RemembersElsewhere: laws.equal_seeds_give_equal_bits,
    DrawsFromTheGlobalGenerator: laws.equal_seeds_give_equal_bits,
    StateThatNoFileHolds: laws.resuming_changes_nothing,
    ProposesByTheClock: laws.solve_takes_the_same_steps,
    StaysWhereItIs: laws.a_start_off_equilibrium_is_left,
    LeavesTheEquilibrium: laws.a_known_equilibrium_is_a_fixed_point,
    MixesTheBatch: laws.a_batch_equals_its_games_one_by_one,
}


def matrix_games() -> dict[str, eqgan.Game]:
    return {name: game for name, game in standard_games().items() if name.startswith("matrix")}


def test_every_law_can_be_broken() -> None:
    assert set(BROKEN.values()) == set(laws.LAWS)


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_law_is_caught(broken: type[eqgan.Solver[Any]]) -> None:
    caught = 0
    for game in matrix_games().values():
        try:
            BROKEN[broken](laws.Trial(broken(), game, steps=4, seed=0))
        except laws.NotApplicable:
            continue
        except Exception:
            caught += 1
    assert caught


@pytest.mark.parametrize("broken", BROKEN)
def test_the_failure_names_solver_law_and_game(broken: type[eqgan.Solver[Any]]) -> None:
    titles = "|".join(law.__name__.replace("_", " ") for law in laws.LAWS)
    sentence = rf"^{broken.__name__}\(.*\) breaks the law '({titles})' on 'matrix .*': .+\.$"
    with pytest.raises(AssertionError, match=re.compile(sentence, re.DOTALL)):
        check_solver(broken, matrix_games())


@pytest.mark.parametrize(
    ("solver", "sentence"),
    [
        (IsNotFrozen(), r"'is a frozen dataclass': IsNotFrozen is not frozen"),
        (LacksTheDecorator(), r"'is a frozen dataclass': decorate LacksTheDecorator"),
        (HoldsALambda(schedule=lambda step: 0.1), r"'has a useful repr'|'can be pickled'"),
        (HoldsALambda(schedule=object()), r"'has a useful repr': a hyper-parameter has no repr"),
        (RefusesWithoutReason(), r"'unsupported is none or a sentence .* tells the user nothing"),
        (RefusesEverything(), r"accepts none of the games"),
    ],
)
def test_what_a_solver_is_gets_checked(solver: eqgan.Solver[Any], sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_solver(solver, matrix_games())


def test_an_exemption_needs_a_reason_and_a_need() -> None:
    law = "a known equilibrium is a fixed point"
    report = check_solver(LeavesTheEquilibrium, matrix_games(), exempt={law: "it is broken"})
    assert [s.game for s in report.skipped if s.reason == "it is broken"]
    with pytest.raises(AssertionError, match="drop its exemption"):
        check_solver(SimultaneousGradient, matrix_games(), exempt={law: "it is broken"})
    with pytest.raises(eqgan.InvalidInput, match="needs a reason"):
        check_solver(SimultaneousGradient, matrix_games(), exempt={law: ""})
    with pytest.raises(eqgan.UnknownName, match="Did you mean 'sets are kept'"):
        check_solver(SimultaneousGradient, matrix_games(), exempt={"sets_are_kep": "why"})


def test_the_report_lists_what_was_refused_and_skipped() -> None:
    games = standard_games()
    report = check_solver(LinearProgram(), {k: games[k] for k in ("matrix batch", "bilinear")})
    assert report.accepted == ["matrix batch"]
    assert report.refused == {"bilinear": "only a MatrixGame is a linear program"}
    text = str(report)
    assert "refuses bilinear: only a MatrixGame" in text
    assert "(no equilibrium of this game is known) on matrix batch" in text


def test_known_equilibria_of_the_standard_games_are_equilibria(device: torch.device) -> None:
    known = {k: g for k, g in standard_games(device).items() if g.equilibrium is not None}
    assert len(known) >= 8
    for game in known.values():
        assert game.equilibrium is not None
        assert eqgan.certify(game, game.equilibrium).nash_conv <= 1e-12
