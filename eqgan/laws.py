"""The laws that every solver keeps, each a function of a `Trial`: one solver on one game.

A law returns when it holds, raises `AssertionError` when it does not, and `NotApplicable` with a
reason when it says nothing about the pair. `eqgan.testing` runs them on games of every kind.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from eqgan import checkpoint
from eqgan.counting import counted
from eqgan.game import Game
from eqgan.games import MatrixGame
from eqgan.games.network import Network
from eqgan.games.payoffs import Payoffs
from eqgan.profile import Profile
from eqgan.run import solve
from eqgan.solver import Solver
from eqgan.spaces import Simplex


class NotApplicable(Exception):
    """Raised by a law that says nothing about a solver on a game, with the reason."""


# -- one solver on one game --------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """Where a run stands: profile, memory, and the state of its random generator."""

    z: Profile
    state: Any
    rng: Tensor


@dataclass(frozen=True)
class Trial:
    """One solver on one game.

    Attributes:
        solver: The solver.
        game: A game that it accepts.
        steps: Length of its runs.
        seed: Seed of its runs.
    """

    solver: Solver[Any]
    game: Game
    steps: int
    seed: int

    def generator(self) -> torch.Generator:
        """Return the generator of a fresh run."""
        return self.game.generator(self.seed)

    def start(self) -> Moment:
        """Return a random start."""
        rng = self.generator()
        return self.begin(self.game, self.game.random(rng), rng)

    def begin(self, game: Game, z: Profile, rng: torch.Generator) -> Moment:
        """Return the moment before the first step from `z`."""
        return Moment(z, self.solver.init(game, z), rng.get_state())

    def step(self, now: Moment, game: Game | None = None) -> Moment:
        """Return the moment after one more step."""
        game = game or self.game
        rng = game.generator(0)
        rng.set_state(now.rng)
        z, state = self.solver.step(game, now.z, now.state, rng)
        return Moment(z, state, rng.get_state())

    def run(self, now: Moment, steps: int, game: Game | None = None) -> list[Moment]:
        """Return this moment and those after each of `steps` steps, fewer if the solver ends."""
        moments = [now]
        while len(moments) <= steps and not self.solver.finished(moments[-1].state):
            moments.append(self.step(moments[-1], game))
        return moments

    @cached_property
    def path(self) -> list[Moment]:
        """The run that laws compare with: a random start and the moments after each step."""
        return self.run(self.start(), self.steps)

    def output(self, now: Moment) -> Profile:
        """Return what the solver proposes at a moment."""
        return self.solver.output(now.z, now.state)

    def profiles(self) -> Iterator[tuple[str, Profile]]:
        """Yield every iterate and every proposal of the path, with a name for messages."""
        for i, now in enumerate(self.path):
            yield f"the iterate after {i} steps", now.z
            yield f"the output after {i} steps", self.output(now)

    @property
    def rounding(self) -> float:
        """How far rounding may put one strategy off its set."""
        return 1e2 * torch.finfo(self.game.dtype).eps

    @property
    def tolerance(self) -> float:
        """How far rounding may carry a run of a few steps."""
        return 1e4 * torch.finfo(self.game.dtype).eps


# -- comparing trees of tensors ----------------------------------------------------------------


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the tensors and plain values inside containers, dataclasses, profiles and games."""
    if isinstance(value, Tensor):
        yield path, value.detach() if value.layout is torch.strided else value.detach().to_dense()
    elif isinstance(value, Profile):
        yield from _leaves(value.strategies, path)
    elif isinstance(value, Mapping):
        for k, v in value.items():
            yield from _leaves(v, f"{path}[{k!r}]")
    elif isinstance(value, list | tuple):
        for i, v in enumerate(value):
            yield from _leaves(v, f"{path}[{i}]")
    elif isinstance(value, nn.Module):
        yield from _leaves(value.state_dict(), path)
    elif isinstance(value, Game | Network | Payoffs):
        yield from _leaves(vars(value), path)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for f in dataclasses.fields(value):
            yield from _leaves(getattr(value, f.name), f"{path}.{f.name}")
    else:
        yield path, value


def _snapshot(value: Any) -> dict[str, Any]:
    """Return a copy of every leaf, by its path."""
    return {k: v.clone() if isinstance(v, Tensor) else v for k, v in _leaves(value)}


def _same(a: Any, b: Any) -> bool:
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        return type(a) is type(b) and bool(a == b or a != a)
    if (a.dtype, a.device, a.shape) != (b.dtype, b.device, b.shape):
        return False
    return bool(((a == b) | (a.isnan() & b.isnan())).all())


def _assert_same(before: dict[str, Any], after: dict[str, Any], what: str) -> None:
    # Only what was there before counts: a game may remember a constant that it computed.
    for path, value in before.items():
        assert path in after, f"{what}{path} is gone"
        assert _same(value, after[path]), f"{what}{path} was {value} and became {after[path]}"


def _distance(a: Profile, b: Profile) -> float:
    return max(float((p - q).abs().max()) for p, q in zip(a.leaves(), b.leaves(), strict=True))


# -- the laws ----------------------------------------------------------------------------------


def inputs_are_never_changed(trial: Trial) -> None:
    """`init`, `step` and `output` leave game, profile and memory as they were, bit for bit."""
    for now in (trial.path[0], trial.path[len(trial.path) // 2], trial.path[-1]):
        game, moment = _snapshot(trial.game), _snapshot(now)
        if not trial.solver.finished(now.state):
            trial.step(now)
        trial.output(now)
        trial.begin(trial.game, now.z, trial.generator())
        _assert_same(game, _snapshot(trial.game), "the game")
        _assert_same(moment, _snapshot(now), "the input")


def sets_are_kept(trial: Trial) -> None:
    """Iterates and outputs lie in the strategy sets, from the start on."""
    for what, z in trial.profiles():
        for player, space in enumerate(trial.game.spaces):
            miss = space.violation(z[player])
            assert miss <= trial.rounding, f"{what} is off player {player}'s set by {miss:.3g}"


def profiles_stay_finite(trial: Trial) -> None:
    """Iterates and outputs hold no NaN and nothing infinite."""
    for what, z in trial.profiles():
        assert z.is_finite(), f"{what} is {z}"


def dtype_device_and_shape_are_kept(trial: Trial) -> None:
    """Iterates and outputs look like the start, and carry no autograd graph."""
    start = dict(_leaves(trial.path[0].z))
    for what, z in trial.profiles():
        assert not any(leaf.requires_grad for leaf in z.leaves()), f"{what} carries a graph"
        leaves = dict(_leaves(z))
        assert leaves.keys() == start.keys(), f"{what} has parts {list(leaves)}"
        for path, leaf in leaves.items():
            kind, first = ((t.dtype, t.device, tuple(t.shape)) for t in (leaf, start[path]))
            assert kind == first, f"{what}{path} is {kind}, the start {first}"


def equal_seeds_give_equal_bits(trial: Trial) -> None:
    """A second run from the same seed repeats the first, and no global generator is drawn from."""
    before = torch.get_rng_state()
    again = trial.run(trial.start(), trial.steps)
    assert torch.equal(before, torch.get_rng_state()), "torch's global generator was drawn from"
    _assert_same(_snapshot(trial.path), _snapshot(again), "the second run's ")


def resuming_changes_nothing(trial: Trial) -> None:
    """A run saved half way, loaded and continued equals an unbroken one, bit for bit."""
    half = len(trial.path) // 2
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.ckpt"
        checkpoint.save(file, trial.path[half])
        loaded = checkpoint.load(file, trial.start(), trial.game.device)
    resumed = trial.run(dataclasses.replace(loaded, rng=loaded.rng.cpu()), trial.steps - half)
    _assert_same(_snapshot(trial.path[half:]), _snapshot(resumed), "the resumed run's ")


def solve_takes_the_same_steps(trial: Trial) -> None:
    """`eqgan.solve` goes where `init` and `step` go, whatever it measures on the way."""
    result = solve(trial.game, trial.solver, max_steps=trial.steps, tol=0.0, seed=trial.seed)
    rng = trial.generator()
    start = trial.begin(trial.game, trial.game.initial(rng), rng)
    last = trial.run(start, result.steps)[-1]
    assert result.last.equal(last.z), f"solve ended at {result.last}, the steps at {last.z}"
    # What is proposed is projected once more, against the rounding of an average.
    far = _distance(result.profile, trial.output(last))
    assert far <= trial.rounding, f"solve proposes a profile {far:.3g} away from `output`"


def a_start_off_equilibrium_is_left(trial: Trial) -> None:
    """From a random start either the iterates or the proposal move."""
    first, last = trial.path[0], trial.path[-1]
    moved = max(_distance(first.z, last.z), _distance(first.z, trial.output(last)))
    assert moved > 0, f"nothing moved in {len(trial.path) - 1} steps from a random start"


def a_known_equilibrium_is_a_fixed_point(trial: Trial) -> None:
    """Started at the equilibrium, iterates and proposals stay there."""
    known = trial.game.equilibrium
    if known is None:
        raise NotApplicable("no equilibrium of this game is known")
    for now in trial.run(trial.begin(trial.game, known, trial.generator()), trial.steps):
        far = max(_distance(now.z, known), _distance(trial.output(now), known))
        assert far <= max(trial.tolerance, 1e-7), f"a step led {far:.3g} away from it"


def a_batch_equals_its_games_one_by_one(trial: Trial) -> None:
    """Each game of a batch goes where it goes alone."""
    game = trial.game
    if not game.batch_shape:
        raise NotApplicable("the game is no batch")
    if not isinstance(game, MatrixGame):
        raise NotApplicable(f"a batch of {type(game).__name__} cannot be taken apart here")
    first, last = trial.path[0], trial.path[-1]
    for place in itertools.product(*map(range, game.batch_shape)):
        alone = _game_at(game, place)
        start = trial.begin(alone, _at(first.z, place), trial.generator())
        end = trial.run(start, trial.steps, alone)[-1]
        far = max(
            _distance(_at(last.z, place), end.z),
            _distance(_at(trial.output(last), place), trial.output(end)),
        )
        assert far <= trial.tolerance, f"game {place} ends {far:.3g} from where it ends alone"


def _game_at(game: MatrixGame, place: tuple[int, ...]) -> MatrixGame:
    space = game.spaces[0]
    assert isinstance(space, Simplex)
    return MatrixGame(game.payoff_matrix[place], geometry=space.geometry)


def _at(z: Profile, place: tuple[int, ...]) -> Profile:
    return z.map(lambda leaf: leaf[place])


def costs_are_told(trial: Trial) -> None:
    """`evaluations` is a finite number of at least 0, `finished` a bool, False at the start."""
    cost = trial.solver.evaluations(trial.game)
    assert isinstance(cost, int | float), f"evaluations is {cost!r}"
    assert 0 <= cost < math.inf, f"evaluations is {cost!r}"
    flags = [trial.solver.finished(now.state) for now in trial.path]
    assert all(isinstance(flag, bool) for flag in flags), f"finished returns {flags}"
    assert not flags[0], "finished is True before the first step"


def no_more_is_evaluated_than_told(trial: Trial) -> None:
    """A run takes no more joint gradients and Jacobian products than `spent` says.

    And `spent` says no more than `evaluations` for every step.
    """
    game, count = counted(trial.game)
    now = trial.begin(game, trial.path[0].z, trial.generator())
    count.total = 0.0
    moments = trial.run(now, trial.steps, game)
    steps, taken = len(moments) - 1, count.total
    told = trial.solver.spent(trial.game, moments[-1].state, steps)
    assert taken <= told * (1 + 1e-9), f"{steps} steps evaluate {taken:g}, told are {told:g}"
    most = steps * trial.solver.evaluations(trial.game)
    assert told <= most * (1 + 1e-9), f"{steps} steps spend {told:g}, at most {most:g} were told"


def hyper_parameters_stay(trial: Trial) -> None:
    """No step changes the solver."""
    before = _snapshot(trial.solver), repr(trial.solver)
    trial.run(trial.start(), 2)
    _assert_same(before[0], _snapshot(trial.solver), "the solver")
    assert repr(trial.solver) == before[1], f"its repr became {trial.solver!r}"


Law: TypeAlias = Callable[[Trial], None]

LAWS: tuple[Law, ...] = (
    inputs_are_never_changed,
    hyper_parameters_stay,
    costs_are_told,
    no_more_is_evaluated_than_told,
    profiles_stay_finite,
    sets_are_kept,
    dtype_device_and_shape_are_kept,
    equal_seeds_give_equal_bits,
    resuming_changes_nothing,
    solve_takes_the_same_steps,
    a_start_off_equilibrium_is_left,
    a_known_equilibrium_is_a_fixed_point,
    a_batch_equals_its_games_one_by_one,
)
"""The laws of a solver on a game that it accepts."""
