"""Comparisons: paired starts, equal cost, and whatever goes wrong is a row."""

from __future__ import annotations

import dataclasses
import math
import sys
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from test_run import Deaf, Poisoned, fragile

import eqgan
from eqgan import Comparison, InvalidInput, Profile, UnknownName
from eqgan.compare import compare
from eqgan.solvers import Extragradient, LinearProgram, SimultaneousGradient

GRADIENTS = ["simultaneous_gradient", "alternating_gradient", "extragradient"]


@dataclass(frozen=True)
class Faulty(eqgan.Solver[int]):
    """A third party's solver that raises at its third step."""

    def init(self, game: eqgan.Game, z: Profile) -> int:
        return 0

    def step(
        self, game: eqgan.Game, z: Profile, state: int, rng: torch.Generator
    ) -> tuple[Profile, int]:
        if state == 2:
            raise ZeroDivisionError("a bug\nof two lines")
        return z, state + 1


@dataclass(frozen=True)
class NoCost(Faulty):
    """A solver that cannot even say what a step costs."""

    def evaluations(self, game: eqgan.Game) -> float:
        raise RuntimeError("no idea")


@dataclass(frozen=True)
class Recorder(eqgan.Solver[None]):
    """Stays where it is, so that its last profile is its start."""

    cost: float = 1.0

    def init(self, game: eqgan.Game, z: Profile) -> None:
        return None

    def step(
        self, game: eqgan.Game, z: Profile, state: None, rng: torch.Generator
    ) -> tuple[Profile, None]:
        return z, None

    def evaluations(self, game: eqgan.Game) -> float:
        return self.cost


def rotation() -> eqgan.Game:
    return eqgan.games.Bilinear([[1.0]])


def timeless(table: Comparison) -> list[str]:
    """Rows without their seconds, as text: NaN equals NaN there."""
    return [repr(dataclasses.replace(row, seconds=0.0)) for row in table.rows]


# -- laws ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["random", "initial"])
def test_every_solver_starts_at_the_same_profile(start: Any) -> None:
    game = eqgan.games.strongly_monotone(3)
    table = compare({"g": game}, GRADIENTS, seeds=range(3), evaluations=50, start=start)
    begins = {key: trace[0]["distance"] for key, trace in table.traces.items()}
    for seed in range(3):
        rng = game.generator(seed)
        z = game.random(rng) if start == "random" else game.initial(rng)
        assert {begins["g", name, seed] for name in GRADIENTS} == {float(z.norm())}
    assert len(set(begins.values())) == (3 if start == "random" else 1)


def test_a_row_is_the_run_that_solve_makes() -> None:
    game = eqgan.games.random_game(shape=(4, 6), seed=3)
    row = compare({"g": game}, ["extragradient"], seeds=[7], evaluations=300).rows[0]
    start = game.random(game.generator(7))
    run = eqgan.solve(game, "extragradient", init=start, max_steps=150, seed=7)
    assert (row.status, row.steps, row.evaluations) == ("MAX_STEPS", 150, 300.0)
    assert row.nash_conv == run.certificate.nash_conv
    assert row.exact


def test_runs_cost_the_same_number_of_gradients() -> None:
    solvers = {"one": Recorder(1.0), "two": Recorder(2.0), "half": Recorder(0.5), "7": Recorder(7)}
    table = compare({"g": rotation()}, solvers, evaluations=100)
    steps = {row.solver: row.steps for row in table.rows}
    assert steps == {"one": 100, "two": 50, "half": 200, "7": 14}
    assert all(93 < row.evaluations <= 100 for row in table.rows)


def test_a_direct_method_takes_one_step() -> None:
    row = compare(["oneill"], [LinearProgram()], evaluations=10).rows[0]
    assert (row.solver, row.steps, row.evaluations) == ("LinearProgram", 1, 0.0)
    assert (row.status, row.behaviour) == ("CONVERGED", "converged")
    assert row.distance < 1e-9


def test_rows_do_not_depend_on_the_number_of_processes() -> None:
    games = {"rps": eqgan.games.rock_paper_scissors(), "dirac": eqgan.games.DiracGAN()}
    solvers = {"eg": Extragradient(), "lp": "linear_program", "faulty": Faulty()}
    alone = compare(games, solvers, seeds=[1, 5], evaluations=60)
    together = compare(games, solvers, seeds=[1, 5], evaluations=60, n_jobs=2, progress=True)
    assert timeless(alone) == timeless(together)
    assert list(alone.traces) == list(together.traces)


def test_the_callers_number_of_threads_is_kept() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        compare(["bilinear"], ["extragradient"], evaluations=4)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_rows_come_in_the_order_of_the_arguments() -> None:
    table = compare(["bilinear", "blotto"], GRADIENTS[:2], seeds=[4, 2], evaluations=5)
    keys = [(row.game, row.solver, row.seed) for row in table.rows]
    assert keys == list(table.traces)
    assert keys == [
        (g, s, n) for g in ("bilinear", "blotto") for s in GRADIENTS[:2] for n in (4, 2)
    ]


# -- what can happen to a run ----------------------------------------------------------------------


def test_textbook_verdicts_on_a_rotation() -> None:
    table = compare({"xy": rotation()}, GRADIENTS, seeds=range(3))
    verdicts = {line.solver: (line.behaviour, line.converged) for line in table.summary()}
    assert verdicts == {
        "simultaneous_gradient": ("diverging", 0.0),
        "alternating_gradient": ("circling", 0.0),
        "extragradient": ("converged", 1.0),
    }


def test_a_diverged_run_is_a_row_that_counts_as_infinitely_bad() -> None:
    table = compare({"xy": rotation()}, ["simultaneous_gradient"], evaluations=2000)
    (row,), (line,) = table.rows, table.summary()
    assert row.status == "DIVERGED"
    assert "blew up" in row.message
    assert math.isfinite(row.nash_conv)
    assert line.nash_conv == line.worst == math.inf


def test_an_unsupported_game_is_a_row() -> None:
    row = compare(["dirac_gan"], ["linear_program"]).rows[0]
    assert (row.status, row.behaviour, row.steps) == ("UNSUPPORTED", "unsupported", 0)
    assert "only a MatrixGame is a linear program" in row.message
    assert math.isnan(row.nash_conv)
    assert not row.exact


@pytest.mark.parametrize(
    ("solver", "message"),
    [(Faulty(), "ZeroDivisionError: a bug of two lines"), (NoCost(), "RuntimeError: no idea")],
)
def test_a_failing_solver_is_a_row_and_the_others_run(
    solver: eqgan.Solver[Any], message: str
) -> None:
    table = compare(["bilinear"], {"bad": solver, "good": Extragradient()})
    bad, good = table.rows
    assert (bad.status, bad.behaviour, bad.message) == ("ERROR", "error", message)
    assert good.status == "CONVERGED"
    assert len(table.traces["bilinear", "bad", 0]) == 0
    assert f"bad on bilinear: {message}" in table.to_markdown()


def test_ctrl_c_ends_the_whole_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Recorder, "step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        compare({"g": rotation()}, [Recorder()])


# -- certificates ----------------------------------------------------------------------------------


def small_gan(generator: torch.nn.Module | None = None) -> eqgan.games.GAN:
    rng = torch.Generator().manual_seed(0)
    nets = (generator or torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    return eqgan.games.GAN(*nets, torch.randn(50, 2, generator=rng), noise_dim=2, batch_size=8)


def test_gans_that_break_or_collapse_are_rows_and_the_others_run() -> None:
    point = torch.nn.Linear(2, 2)
    with torch.no_grad():
        point.weight.zero_()
    games = {
        "NaN": fragile(Deaf()),
        "NaN gradient": fragile(Poisoned(1, 1)),
        "exploding": fragile(torch.nn.Linear(1, 1)),
        "collapsed": small_gan(point),
        "gan": small_gan(),
    }
    slow, wild = (SimultaneousGradient(rule=eqgan.Constant(rate)) for rate in (0.05, 1e9))
    table = compare(games, {"slow": slow, "wild": wild}, evaluations=60)
    rows = {(row.game, row.solver): row for row in table.rows}
    assert len(rows) == 10
    for broken in (("NaN", "slow"), ("NaN gradient", "slow"), ("exploding", "wild")):
        assert rows[broken].status == "DIVERGED"
        assert "the profile is the last good one, of step" in rows[broken].message
    for sound in (("collapsed", "slow"), ("gan", "slow")):
        assert (rows[sound].status, rows[sound].steps) == ("MAX_STEPS", 60)


def test_networks_are_measured_only_by_an_oracle_that_was_asked_for() -> None:
    games = {"gan": small_gan(), "rps": eqgan.games.rock_paper_scissors()}
    plain = compare(games, ["extragradient"], evaluations=8)
    assert math.isnan(plain.rows[0].nash_conv)
    assert plain.rows[0].behaviour == "undecided"
    oracle = eqgan.GradientOracle(steps=2, restarts=0)
    asked = compare(games, ["extragradient"], evaluations=8, oracle=oracle)
    assert asked.rows[0].nash_conv >= 0.0
    assert not asked.rows[0].exact
    # A search would only bound what is known exactly.
    assert asked.rows[1].exact
    assert asked.rows[1].nash_conv == plain.rows[1].nash_conv
    assert asked.traces["gan", "extragradient", 0][-1]["nash_conv"] == asked.rows[0].nash_conv


class Distances(eqgan.ZeroSumGame):
    """Three games at once: x pays its squared distance from 0, 1 or 2, y its own from 0."""

    spaces = (eqgan.Euclidean((1,)), eqgan.Euclidean((1,)))
    batch_shape = (3,)
    targets = torch.tensor([0.0, 2.0, 1.0], dtype=torch.float64)

    def payoff(self, z: Profile, batch: object = None) -> torch.Tensor:
        x, y = (s.squeeze(-1) for s in z.leaves())
        return (x - self.targets) ** 2 - y**2


class Halfway(eqgan.Oracle):
    """Goes half of the way that x would gain by; where y is 0, nobody can pay less than 0."""

    how = "half of the way"

    def respond(
        self, game: eqgan.Game, z: Profile, player: int, rng: torch.Generator
    ) -> eqgan.Response:
        half = z if player else Profile((Distances.targets[:, None] / 2, z[1]))
        return eqgan.Response(game, half, torch.zeros(3, dtype=torch.float64))


def test_the_gap_of_many_games_is_that_of_the_worst_and_both_of_its_ends_are_traced() -> None:
    table = compare(
        {"g": Distances()}, [Recorder()], evaluations=2, oracle=Halfway(), start="initial"
    )
    (row,), (trace,) = table.rows, table.traces.values()
    # From 0 to 1 the distance from 2 falls from 4 to 1, and no more than 4 can be gained.
    zero = Distances().initial(torch.Generator())
    gains = eqgan.certify(Distances(), zero, Halfway())
    assert gains.lower.sum(0).tolist() == [0.0, 3.0, 0.75]
    assert (row.nash_conv, row.exact) == (3.0, False)
    assert (trace[-1]["nash_conv"], trace[-1]["nash_conv_upper"]) == (3.0, 4.0)


@pytest.mark.parametrize("oracle", [eqgan.ExactOracle(), eqgan.GridOracle()])
def test_an_oracle_that_cannot_serve_a_game_leaves_its_reason(oracle: eqgan.Oracle) -> None:
    games = {"gan": small_gan()}
    row = compare(games, ["extragradient"], evaluations=4, oracle=oracle).rows[0]
    assert f"{type(oracle).__name__} cannot measure this game" in row.message
    assert row.status == "MAX_STEPS"
    assert math.isnan(row.nash_conv)


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("games", "solvers", "options", "words"),
    [
        ([], ["extragradient"], {}, "at least one game"),
        (["blotto"], [], {}, "at least one solver"),
        (["blotto"], {}, {}, "at least one solver"),
        ("blotto", ["extragradient"], {}, "a list of catalog names; got 'blotto'"),
        (["blotto"], "extragradient", {}, "a list of names or Solver instances"),
        ({"g": 3}, ["extragradient"], {}, "a mapping of labels to games"),
        ([rotation()], ["extragradient"], {}, "a mapping of labels to games"),
        (rotation(), ["extragradient"], {}, "a mapping of labels to games"),
        (["blotto"], [Extragradient], {}, "a name or a Solver instance"),
        (["blotto", "blotto"], ["extragradient"], {}, "2 of the games are called 'blotto'"),
        (["blotto"], ["auto", "auto"], {}, "2 of the solvers are called 'auto'"),
        (["blotto"], [Extragradient(), Extragradient()], {}, "give each a label of its own"),
        (["blotto"], ["extragradient"], {"seeds": []}, "such as range"),
        (["blotto"], ["extragradient"], {"seeds": 3}, r"such as range\(5\); got 3"),
        (["blotto"], ["extragradient"], {"seeds": [[0], [1, 2]]}, "distinct whole numbers"),
        (["blotto"], ["extragradient"], {"seeds": [0, 0]}, "distinct whole numbers"),
        (["blotto"], ["extragradient"], {"seeds": [-1]}, "distinct whole numbers"),
        (["blotto"], ["extragradient"], {"evaluations": 0}, "evaluations should be"),
        (["blotto"], ["extragradient"], {"evaluations": 1}, "pays for no step of extragradient"),
        (["blotto"], ["extragradient"], {"evaluations": 1e3}, "evaluations should be"),
        (["blotto"], ["extragradient"], {"checks": 0}, "checks should be"),
        (["blotto"], ["extragradient"], {"start": "zero"}, "'random' or 'initial'"),
        (["blotto"], ["extragradient"], {"tol": -1.0}, "tol should be"),
        (["blotto"], ["extragradient"], {"tol": math.nan}, "tol should be"),
        (["blotto"], ["extragradient"], {"oracle": "grid"}, "oracle should be"),
        (["blotto"], ["extragradient"], {"time_limit": 0}, "time_limit should be"),
        (["blotto"], ["extragradient"], {"n_jobs": 0}, "n_jobs should be"),
    ],
)
def test_mistakes_are_one_sentence(
    games: Any, solvers: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        compare(games, solvers, **options)
    assert "\n" not in str(caught.value)


def test_wrong_names_get_the_nearest_right_one() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'extragradient'"):
        compare(["blotto"], ["extragradiant"])
    with pytest.raises(UnknownName, match="Did you mean 'blotto'"):
        compare(["bloto"], ["extragradient"])


def test_mistakes_stop_everything_before_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    # `eqgan.compare` is the function; the module of that name stands behind it.
    module = sys.modules["eqgan.compare"]
    monkeypatch.setattr(module, "solve", lambda *_, **__: pytest.fail("a run began"))
    with pytest.raises(UnknownName):
        compare(["blotto"], ["extragradient", "nonsense"])


def test_instances_of_one_class_are_told_apart() -> None:
    rules = [eqgan.Constant(0.1), eqgan.Constant(0.2)]
    table = compare(["bilinear"], [SimultaneousGradient(r) for r in rules], evaluations=5)
    labels = {row.solver for row in table.rows}
    assert labels == {f"SimultaneousGradient(rule=Constant(rate={r}))" for r in (0.1, 0.2)}


def test_what_cannot_be_sent_to_a_process_is_explained() -> None:
    game = rotation()
    game.generator_held = torch.Generator()  # type: ignore[attr-defined]
    game.opened = sys.stdout  # type: ignore[attr-defined]
    game.iterator = (n for n in range(3))  # type: ignore[attr-defined]
    with pytest.raises(InvalidInput, match="n_jobs=1"):
        compare({"g": game}, ["extragradient"], evaluations=4, n_jobs=2, seeds=range(2))
