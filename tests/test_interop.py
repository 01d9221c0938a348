"""Games of other libraries: stand-ins for them always, the libraries where they are installed."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from eqgan.errors import InvalidInput
from eqgan.games import MatrixGame, from_object

torch.set_num_threads(1)

A = np.array([[2, 0, 1], [1, 3, -1]])
B = 3 - A
NAMES = (("up", "down"), ("left", "middle", "right"))


class Nashpy:
    payoff_matrices = (A, B)


class QuantEcon:
    payoff_profile_array = np.stack((A, B), -1)


class Pygambit:
    title = "halves"
    players = tuple(
        SimpleNamespace(strategies=[SimpleNamespace(label=name) for name in names])
        for names in NAMES
    )

    def to_arrays(self) -> list[Any]:
        return [np.vectorize(Fraction, otypes=[object])(table) / 3 for table in (A, B)]


class SpielMatrix:
    def row_utilities(self) -> Any:
        return A.astype(float)

    def col_utilities(self) -> Any:
        return B.astype(float)

    def row_action_name(self, row: int) -> str:
        return NAMES[0][row]

    def col_action_name(self, column: int) -> str:
        return NAMES[1][column]

    def get_type(self) -> Any:
        return SimpleNamespace(short_name="matrix_game")


class SpielState:
    def __init__(self, turns: bool) -> None:
        self.turns = turns
        self.played = (0, 0)

    def is_simultaneous_node(self) -> bool:
        return not self.turns

    def legal_actions(self, player: int) -> list[int]:
        return list(range(A.shape[player]))

    def action_to_string(self, player: int, action: int) -> str:
        return NAMES[player][action]

    def clone(self) -> SpielState:
        return SpielState(self.turns)

    def apply_actions(self, actions: list[int]) -> None:
        self.played = (actions[0], actions[1])

    def returns(self) -> list[float]:
        return [float(A[self.played]), float(B[self.played])]


class Spiel:
    def __init__(self, players: int = 2, turns: bool = False) -> None:
        self.players, self.turns = players, turns

    def num_players(self) -> int:
        return self.players

    def max_game_length(self) -> int:
        return 1

    def get_type(self) -> Any:
        return SimpleNamespace(short_name="one_shot")

    def new_initial_state(self) -> SpielState:
        return SpielState(self.turns)


# -- stand-ins ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (Nashpy(), None),
        (QuantEcon(), None),
        (SpielMatrix(), "matrix_game"),
        (Spiel(), "one_shot"),
        ((A, B), None),
        ([A.tolist(), B.tolist()], None),
        ((torch.tensor(A), torch.tensor(B)), None),
        ((A, B.astype(float)), None),
    ],
    ids=lambda other: type(other).__name__,
)
def test_every_library_gives_the_same_game(other: Any, name: str | None) -> None:
    game = from_object(other)
    assert isinstance(game, MatrixGame)
    assert game.payoff_matrix.tolist() == A.tolist()
    assert (game.constant, game.name) == (3, name)


def test_gambits_rationals_stay_exact() -> None:
    game = from_object(Pygambit())
    assert game.rationals() == [[Fraction(x, 3) for x in row] for row in A.tolist()]
    assert (game.constant, game.name) == (1, "halves")


@pytest.mark.parametrize(
    "other", [Pygambit(), SpielMatrix(), Spiel()], ids=lambda other: type(other).__name__
)
def test_actions_keep_their_names(other: Any) -> None:
    assert from_object(other).actions == NAMES


def test_whole_numbers_never_overflow() -> None:
    large = 2**62
    a, b = np.array([[large, 1]]), np.array([[large, 2 * large - 1]])
    assert from_object((a, b)).constant == 2 * large


@given(
    arrays.arrays(np.float64, (2, 3), elements=st.floats(-1e6, 1e6)),
    st.floats(-1e6, 1e6),
)
def test_rounded_sums_are_constant(a: np.ndarray, constant: float) -> None:
    game = from_object((a, constant - a))
    assert game.payoff_matrix.numpy().tobytes() == a.tobytes()
    largest = max(np.abs(a).max(), np.abs(constant - a).max())
    assert abs(game.constant - constant) <= 2e-12 * largest


@given(st.floats(2e-12, 1e6), st.integers(0, 2))
def test_sums_that_differ_by_more_are_refused(miss: float, where: int) -> None:
    a = np.array([[1.0, -1.0, 0.5]])
    b = -a
    b[0, where] += miss
    if max(abs(b[0])) * 1e-12 < miss:
        with pytest.raises(InvalidInput, match="game of constant sum"):
            from_object((a, b))


def test_single_precision_has_its_own_tolerance_and_keeps_its_dtype() -> None:
    a = torch.rand(20, 20, generator=torch.Generator().manual_seed(0)).numpy()
    game = from_object((a, np.float32(0.1) - a))
    assert game.dtype == torch.float32
    assert game.constant == pytest.approx(0.1, rel=1e-5)
    with pytest.raises(InvalidInput, match="game of constant sum"):
        from_object((a, np.float32(0.1) - a * np.float32(1.0001)))


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (([[1, 2]], [[-1, -3]]), r"cell add up to 0, those of cell \(0, 1\), 2 and -3, to -1"),
        (([[0.5, Fraction(1, 3)]], [[0.5, Fraction(1, 3)]]), r"add up to 1, .* to 2/3"),
        (([[1.0]], [[np.nan]]), "column player receives should be finite"),
        (([[np.inf]], [[-np.inf]]), "row player receives should be finite"),
        (([[1e308]], [[1.7e308]]), "game of constant sum"),
        (([[1, 2]],), "two players; got 1"),
        ((A, B, B), "two players; got 3"),
        (SimpleNamespace(payoff_profile_array=np.zeros((2, 2, 2, 3))), "two players; got 3"),
        (Spiel(players=3), "two players; got 3"),
        (Spiel(turns=True), "one_shot takes turns. .*extensive_to_matrix_game"),
        ((A, B.T), r"same shape; got \(2, 3\) and \(3, 2\)"),
        (([1, 2], [-1, -2]), r"row player receives should have shape \(m, n\); got \(2,\)"),
        (([[1]], [["a"]]), "column player receives should be an array of real numbers"),
        (([[1]], [[1j]]), "column player receives should be an array of real numbers"),
        (([[1]], [[None]]), "column player receives should be an array of real numbers"),
        (([[1, 2], [3]], A), "row player receives should be an array of real numbers"),
        (([[Decimal("Infinity")]], [[0]]), "row player receives should be an array of real"),
        ("rock", "pairs (A, B) of arrays; got builtins.str"),
        (None, "got builtins.NoneType"),
        (MatrixGame([[1]]), "got eqgan.games.matrix.MatrixGame"),
    ],
)  # fmt: skip
def test_what_is_no_game_of_constant_sum_is_refused(other: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said.replace("(A, B)", r"\(A, B\)")) as caught:
        from_object(other)
    assert "\n" not in str(caught.value)


# -- the libraries themselves ------------------------------------------------------------------


def test_nashpy_itself() -> None:
    nashpy = pytest.importorskip("nashpy", reason="Nashpy is not installed")
    assert from_object(nashpy.Game(A, B)).payoff_matrix.tolist() == A.tolist()
    assert from_object(nashpy.Game(A)).constant == 0
    with pytest.raises(InvalidInput, match="constant sum"):
        from_object(nashpy.Game(A, A))


def test_quantecon_itself() -> None:
    games = pytest.importorskip("quantecon.game_theory", reason="QuantEcon is not installed")
    game = from_object(games.NormalFormGame((games.Player(A), games.Player(B.T))))
    assert game.payoff_matrix.tolist() == A.tolist()
    assert game.constant == 3
    with pytest.raises(InvalidInput, match="two players; got 3"):
        from_object(games.NormalFormGame((2, 2, 2)))


def test_openspiel_itself() -> None:
    pyspiel = pytest.importorskip("pyspiel", reason="OpenSpiel is not installed")
    game = from_object(pyspiel.load_game("matrix_rps"))
    assert game.payoff_matrix.tolist() == [[0, -1, 1], [1, 0, -1], [-1, 1, 0]]
    assert (game.constant, game.name) == (0, "matrix_rps")
    assert game.actions == (("Rock", "Paper", "Scissors"),) * 2
    blotto = from_object(pyspiel.load_game("blotto(coins=5,fields=3,players=2)"))
    assert blotto.payoff_matrix.shape == (21, 21)
    poker = pyspiel.load_game("kuhn_poker")
    with pytest.raises(InvalidInput, match="kuhn_poker takes turns"):
        from_object(poker)
    assert from_object(pyspiel.extensive_to_matrix_game(poker)).payoff_matrix.shape == (64, 64)
    with pytest.raises(InvalidInput, match="constant sum"):
        from_object(pyspiel.load_game("matrix_pd"))


def test_pygambit_itself() -> None:
    gambit = pytest.importorskip("pygambit", reason="pygambit is not installed")
    game = from_object(gambit.Game.from_arrays(A, B, title="t"))
    assert game.rationals() == A.tolist()
    assert (game.constant, game.name) == (3, "t")
