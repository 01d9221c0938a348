"""Gambit's files: every way to write a game, exact numbers, and a sentence for every fault."""

from __future__ import annotations

import random
import time
from fractions import Fraction
from pathlib import Path
from unittest import mock

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eqgan.errors import InvalidInput, UnreadableFile
from eqgan.games import MatrixGame, gambit, load, oneill, save
from eqgan.games.gambit import StrategicGame, parse_nfg
from eqgan.games.gambit_writing import nfg_text

torch.set_num_threads(1)

HEADER = 'NFG 1 R "g" { "a" "b" } '

PAYOFFS = 'NFG 1 R "pennies" { "row" "column" } { 2 3 }\n\n1 -1 -1 1 -1 1 1 -1 1/3 -1/3 0.25 -.25\n'

OUTCOMES = r"""NFG 1 D "say \"hi\" to a\b"
{ "Player 1" "Player 2" }
{ { "x" "" }
  { "1" "2" "3" } }
"A remark: { 1, 2 } is no payoff"
{
{ "win" 1, -1 }
{ "lose" -1 1 }
{ "third" 1/3, -1/3 }
{ "quarter" 2.5e-1, -25E-2 }
}
1 2 2 1 3 4
"""

WANTED = [[1, -1, Fraction(1, 3)], [-1, 1, Fraction(1, 4)]]

folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "game.nfg"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"), [(PAYOFFS, "pennies"), (OUTCOMES, r'say "hi" to a\b')], ids=["payoff", "outc"]
)
def test_both_forms_are_read_exactly(tmp_path: Path, text: str, name: str) -> None:
    game = load(written(tmp_path, text))
    assert game.rationals() == WANTED
    assert game.payoff_matrix.tolist() == [[1, -1, 1 / 3], [-1, 1, 0.25]]
    assert (game.name, game.constant) == (name, 0)


@pytest.mark.parametrize("text", [PAYOFFS, OUTCOMES])
def test_line_breaks_do_not_matter(text: str) -> None:
    game = parse_nfg(text)
    assert parse_nfg(text.replace("\n", "\r\n")).payoffs == game.payoffs
    assert parse_nfg(text.replace("\n", "\t ") + "\v\f").payoffs == game.payoffs
    assert parse_nfg(text.replace("1 -1", "1-1")).payoffs == game.payoffs
    assert parse_nfg(text.replace(" }", "}").replace("{ ", "{")).payoffs == game.payoffs


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("+7", 7), ("-7", -7), ("007", 7), ("2/6", Fraction(1, 3)), ("-4/2", -2),
        ("1.", 1), (".5", Fraction(1, 2)), ("-.5e+1", -5), ("1E2", 100),
        ("2e0", 2), ("3E-00", 3), ("4e+0001", 40),
        ("0.1", Fraction(1, 10)), ("1e-999", Fraction(1, 10**999)),
        ("123456789012345678901", 123456789012345678901),
    ],
)  # fmt: skip
def test_numbers_are_rationals(written: str, value: Fraction) -> None:
    ((payoff,),) = parse_nfg(f"{HEADER}{{ 1 1 }} {written} 0").payoffs
    assert payoff == value
    assert not isinstance(payoff, float)


WORDS = [
    "0", "-0", "+1", "-1", "1", "-+1", "1-1", "0.5", "-0.5", "-.5", "-0.0", "1/2", "-1/2", "1/0",
    "1e3", "-1e3", "1e999", "1.", "\x1c1", "\u0663", "nan", "1_0", "}", "2", "0.1", "-1e-3",
    "0.30000000000000004",
]  # fmt: skip


def read(text: str) -> str:
    try:
        return repr(parse_nfg(text))
    except InvalidInput as error:
        return str(error)


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3), st.sampled_from(["-", "", " "]))
def test_plain_cells_are_read_as_number_by_number(words: list[str], second: str) -> None:
    cells = " ".join(f"{word} {second}{word}" for word in words)
    for n in (len(words), len(words) + 1, 1):
        text = f"{HEADER}{{ 1 {n} }} {cells}"
        with mock.patch.object(gambit, "_read_plain_cells", return_value=None):
            slowly = read(text)
        assert read(text) == slowly


def test_plain_cells_are_not_read_number_by_number() -> None:
    text = nfg_text(MatrixGame(torch.randn(5, 4, dtype=torch.float64)))
    with mock.patch.object(gambit, "_payoffs", side_effect=AssertionError):
        assert len(parse_nfg(text).payoffs) == 5
        with pytest.raises(AssertionError):
            parse_nfg(text + "}")


def test_the_first_players_strategy_varies_fastest() -> None:
    assert parse_nfg(HEADER + "{ 2 2 } 1 0 2 -1 3 -2 4 -3").payoffs == [[1, 3], [2, 4]]


def test_outcome_zero_pays_nothing() -> None:
    text = HEADER + '{ 2 1 } { { "" 3 -3 } } 0 1'
    assert parse_nfg(text).payoffs == [[0], [3]]


def test_constant_sums_are_found_in_rationals() -> None:
    game = parse_nfg(HEADER + "{ 1 3 } 1/3 2/3 0.1 0.9 1e-30 0." + "9" * 30)
    assert game.constant == 1
    with pytest.raises(InvalidInput, match="add up to 1, those of cell"):
        parse_nfg(HEADER + "{ 1 2 } 1/3 2/3 333333333333333333/1000000000000000000 2/3")


def test_sums_of_decimals_may_be_rounded_like_floats() -> None:
    rounded = 1 - 0.9000000000000001
    assert Fraction(repr(rounded)) + Fraction("0.9000000000000001") != 1
    text = f"{HEADER}{{ 1 2 }} 1 0 0.9000000000000001 {rounded!r}"
    assert parse_nfg(text).payoffs[0][1] == Fraction("0.9000000000000001")
    with pytest.raises(InvalidInput, match="constant sum"):
        parse_nfg(f"{HEADER}{{ 1 2 }} 1 0 0.9 0.10000000000001")


def test_a_byte_order_mark_is_no_token(tmp_path: Path) -> None:
    assert load(written(tmp_path, b"\xef\xbb\xbf" + PAYOFFS.encode())).rationals() == WANTED


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column 1: expected 'NFG' .*; got the end of the file"),
        ("EFG 2 R", "column 1: expected 'NFG' .*; got 'EFG'"),
        ("NFG 2 R", "column 5: expected version 1 of the format; got '2'"),
        ("NFG 1 X", "column 7: expected R or D, the kind of numbers; got 'X'"),
        ("NFG 1 R title", "column 9: expected a title in quotes.*; got 'title'"),
        ('NFG 1 R "title', "column 9: .*; got a quote that nothing closes"),
        ('NFG 1 R "t" {"a"} {1} 1', "expected two players; got 1"),
        ('NFG 1 R "t"\n{"a" "b" "c"} {1 1 1} 1 1 1', "line 2, column 1: .*two players; got 3"),
        ('NFG 1 R "t" { a b } { 1 1 }', "name of a player in quotes, or '}'; got 'a'"),
        (HEADER + "{ 0 2 }", "how many strategies a player has, at least 1; got '0'"),
        (HEADER + "{ -1 2 }", "how many strategies a player has, at least 1; got '-1'"),
        (HEADER + "{ 2 2 2 }", "expected '}' after the strategies of two players; got '2'"),
        (HEADER + '{ {"x"} {} }', "expected the name of a strategy in quotes; got '}'"),
        (HEADER + '{ {"x"} {"y" 3} }', "name of a strategy in quotes, or '}'; got '3'"),
        (HEADER + "{ 1 1 }", "expected 2 payoffs .*; got the end of the file"),
        (HEADER + "{ 2 1 }\n1 -1\n1", "line 3, column 2: expected 4 payoffs .*; got the end"),
        (HEADER + "{ 1 1 } 1 -1 2", "the end of the file after 1 x 1 cells; got '2'"),
        (HEADER + "{ 1 1 } 1, -1", "expected 2 payoffs .*; got ','"),
        (HEADER + "{ 1 1 } one -1", "expected 2 payoffs .*; got 'one'"),
        (HEADER + "{ 1 1 } 1_0 -10", "expected 2 payoffs .*; got '1_0'"),
        (HEADER + "{ 1 1 } nan nan", "expected 2 payoffs .*; got 'nan'"),
        (HEADER + "{ 1 1 } \u0663 0", "expected 2 payoffs .*; got '\u0663'"),
        (HEADER + "{ 1 1 } 1/0 0", "expected a denominator other than 0; got '1/0'"),
        (HEADER + "{ 1 1 } 1e9999 0", "expected 2 payoffs .*; got '1e9999'"),
        (HEADER + "{ 1 1 } 1e999 0", "expected a payoff that a float can hold; got '1e999'"),
        (HEADER + "{ 1 1 } 1e308 1e308", "payoffs whose sum a float can hold"),
        (HEADER + "{ 1 1 } " + "9" * 5000 + " 0", "a number of at most 4000 characters"),
        (HEADER + "{ 2 1 } 1 -1 2 -1", r"column 38: .* add up to 0, those of cell \(2, 1\), 2 and"),
        (HEADER + '{ 1 1 } { "x" 1 -1 } 1', "'{' and another outcome, or '}'; got '\"x\"'"),
        (HEADER + "{ 2 1 } 1 0 1/" + "7" * 3990 + " 1/" + "3" * 3990, "first cell add up to 1, "),
        (HEADER + "{ 2 1 } 0 0 1e308 1.7e308", r"308, to 2.70000e\+308"),
        (HEADER + '{ 1 1 } { { 1 -1 } } 1', "expected the name of an outcome in quotes; got '1'"),
        (HEADER + '{ 1 1 } { { "" 1 } } 1', "what the second player receives; got '}'"),
        (HEADER + '{ 1 1 } { { "" 1 -1 3 } } 1', "'}' after the payoffs of two players; got '3'"),
        (HEADER + '{ 1 1 } { { "" 1 -1 } } 2', "each from 0 to 1; got '2'"),
        (HEADER + '{ 1 1 } { { "" 1 -1 } } -1', "each from 0 to 1; got '-1'"),
        (HEADER + '{ 2 1 } { { "" 1 -1 } } 1', "2 numbers of outcomes .*; got the end"),
        (HEADER + '{ 2 1 } { { "" 1 -1 } } 1 0 0', "the end of the file after 2 x 1 .*; got '0'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_line_and_column(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UnreadableFile, match=said) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}, line ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"game\.nfg: expected text in UTF-8"):
        load(written(tmp_path, PAYOFFS.encode() + b"\xff\xfe"))


@pytest.mark.parametrize(
    "text",
    [
        HEADER + "{ 999999999 999999999 } 1 -1",
        HEADER + f"{{ {'9' * 18} {'9' * 18} }} 1 -1",
        HEADER + '{ 999999999 999999999 } { { "" 1 -1 } } 1 1',
        "{" * 200_000,
        '"' * 200_001,
        'NFG 1 R "' + "\\" * 200_001,
        " " * 1_000_000,
        HEADER + "{ 1 1 } " + "1" * 200_000 + "x",
        HEADER + "{ 1 1 } " + "1" * 200_000 + "/x",
        HEADER + "{ 1 1 } ." + "1" * 200_000 + "ex",
        HEADER + "{ 1 1 } 1e" + "0" * 200_000 + "x",
        HEADER + "{ 1 1 } " + "-" * 200_000,
    ],
)
def test_nothing_that_a_file_promises_costs_time_or_memory(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(InvalidInput):
        parse_nfg(text)
    assert time.perf_counter() - start < 1.0


def damaged(text: str, rng: random.Random) -> bytes:
    """Return a file after some of the accidents that happen to files."""
    stored = bytearray(text.encode())
    for _ in range(rng.randint(1, 4)):
        i, j = sorted(rng.randint(0, len(stored)) for _ in range(2))
        accident = rng.randrange(6)
        if accident == 0:
            del stored[i:]
        elif accident == 1:
            del stored[i : min(j, i + 8)]
        elif accident == 2:
            stored[i:i] = stored[i : min(j, i + 12)]
        elif accident == 3 and i < len(stored):
            stored[i] = rng.randrange(256)
        elif accident == 4:
            stored[i:i] = rng.choice(
                [b"{", b"}", b'"', b"\\", b",", b"/", b"-", b"e9", b"999999999", b"\0", b"1/0 "]
            )
        elif i < len(stored):
            stored[i] ^= 1 << rng.randrange(8)
    return bytes(stored)


def outcome(content: bytes) -> StrategicGame | InvalidInput:
    try:
        return parse_nfg(content.decode("latin-1"))
    except InvalidInput as error:
        return error


def test_thousands_of_damaged_files_are_read_or_refused_in_a_sentence() -> None:
    rng, read, longest = random.Random(0), 0, 0.0
    for trial in range(20_000):
        content = damaged((PAYOFFS, OUTCOMES)[trial % 2], rng)
        start = time.perf_counter()
        found = outcome(content)
        longest = max(longest, time.perf_counter() - start)
        if isinstance(found, StrategicGame):
            # Whatever is read is a whole game, and written anew it is the same one.
            game = MatrixGame(
                found.payoffs, constant=found.constant, actions=found.actions, name=found.title
            )
            assert parse_nfg(nfg_text(game)) == found
            read += 1
        else:
            assert str(found).startswith("line ")
            assert "\n" not in str(found)
    assert 1000 < read < 10_000
    assert longest < 1.0


# -- writing ---------------------------------------------------------------------------------------


def test_a_game_is_written_as_gambit_writes_it() -> None:
    assert nfg_text(MatrixGame([[1, Fraction(1, 3)], [0.5, -2]], name="g")) == (
        'NFG 1 R "g" { "row" "column" } { 2 2 }\n\n1 -1\n1/2 -1/2\n1/3 -1/3\n-2 2\n'
    )


def test_large_floats_are_written_without_a_plus_sign_which_gambit_does_not_read() -> None:
    assert nfg_text(MatrixGame([[1.5e300, 2.5e-300]])).endswith(
        "\n1.5e300 -1.5e300\n2.5e-300 -2.5e-300\n"
    )


@pytest.mark.parametrize(
    ("payoff", "constant", "line"),
    [(0.1, 0, "0.1 -0.1"), (0.1, 1, "0.1 0.9"), (1e-20, 1, f"1e-20 {10**20 - 1}/{10**20}")],
)
def test_what_the_second_player_receives_is_exact(payoff: float, constant: int, line: str) -> None:
    assert nfg_text(MatrixGame([[payoff]], constant=constant)).splitlines()[-1] == line


fractions = st.fractions(max_denominator=10**6) | st.integers(-(10**30), 10**30)


@folder
@given(st.lists(st.tuples(fractions, fractions), min_size=1, max_size=4), fractions)
def test_fractions_and_their_constant_come_back_exactly(
    tmp_path: Path, rows: list[tuple[Fraction, Fraction]], constant: Fraction
) -> None:
    game = MatrixGame([list(row) for row in rows], constant=constant)
    save(game, tmp_path / "a.nfg")
    loaded = load(tmp_path / "a.nfg")
    assert loaded.rationals() == game.rationals()
    assert loaded.constant == constant
    assert torch.equal(loaded.payoff_matrix, game.payoff_matrix)


@folder
@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\\"{}\n\r'), min_size=1))
def test_names_come_back_whatever_they_hold(tmp_path: Path, name: str) -> None:
    save(MatrixGame([[1.0, 0.0]], name=name, actions=([name], ["", name])), tmp_path / "a.nfg")
    assert load(tmp_path / "a.nfg").name == name
    assert load(tmp_path / "a.nfg").actions == ((name,), ("", name))


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be written in UTF-8"):
        save(MatrixGame([[1.0]], name="\udc80"), tmp_path / "a.nfg")


def test_single_payoffs_of_thousands_of_digits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="thousands of digits"):
        save(MatrixGame([[Fraction(1, 10**5000)]]), tmp_path / "a.nfg")
    assert not list(tmp_path.iterdir())


def test_known_games_survive(tmp_path: Path) -> None:
    save(oneill(), tmp_path / "a.nfg")
    assert load(tmp_path / "a.nfg").rationals() == oneill().rationals()


def test_gambit_itself_reads_what_is_written(tmp_path: Path) -> None:
    gambit = pytest.importorskip("pygambit", reason="Gambit's own reader is not installed")
    save(MatrixGame([[1, Fraction(1, 3)]], constant=2, name="g"), tmp_path / "a.nfg")
    game = gambit.read_nfg(str(tmp_path / "a.nfg"))
    assert [[int(p * 3) for p in row] for row in game.to_arrays(dtype=float)[0]] == [[3, 1]]
