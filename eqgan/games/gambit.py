r"""Gambit's files of strategic games (``.nfg``): two players, payoffs of constant sum.

A file names the game, its players and their strategies. Then it lists payoffs, the first player's
strategy varying fastest::

    NFG 1 R "Matching pennies" { "row" "column" } { 2 2 }
    1 -1  -1 1  -1 1  1 -1

or outcomes with their payoffs, and after them the number of each cell's outcome (0 pays nothing).
Numbers are written ``2``, ``1/3``, ``0.25`` or ``1e-3``; all are rationals, and are kept as such.

References:
    McKelvey, McLennan and Turocy, Gambit: software tools for game theory (on file formats).
"""

from __future__ import annotations

import functools
import gc
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

from eqgan.errors import InvalidInput

Number: TypeAlias = int | Fraction | float
"""Whole numbers that floats hold too, and fractions; a float is only ever -0.0."""

Cells: TypeAlias = Iterator[tuple[int, Number, Number]]
"""Where each cell stands in the text, and what the two players receive in it."""

NUMBER = re.compile(
    r"[+-]?+(?:[0-9]++/[0-9]++|(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)(?:[eE][+-]?+(?=[0-9])0*+[0-9]{0,3}+)?+)"
)
"""A number; an exponent of more than three digits would fill the memory with zeros.

What a quantifier has taken it never gives back, so that no text takes more than linear time.
"""

TOKEN = re.compile(
    rf"""\s*+(?: (?P<text>"[^"\\]*+(?:\\.[^"\\]*+)*+")
              | (?P<mark>[{{}},])
              | (?P<word>{NUMBER.pattern}(?=[\s{{}},"+-]|\Z) | [^\s{{}},"]++)
              | (?P<end>\Z)
              | (?P<open>") )""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
"""What comes next: numbers may touch, as in ``1-1``; the last is a quote that nothing closes."""

SEPARATORS = "\x1c\x1d\x1e\x1f"
"""ASCII characters that `str.split` takes for space, and the format does not."""

WHOLE = re.compile(r"[0-9]{1,18}")
"""A count of strategies, or the number of an outcome."""

LONGEST = 4000
"""Characters of a number; Python itself refuses whole numbers that are little longer."""

LARGEST = int(sys.float_info.max)
"""The largest sum of both payoffs."""

ROUNDING = Fraction(1, 2**50)
"""Decimals may miss the constant by so much of their size, as rounded floats do."""


@dataclass(frozen=True)
class StrategicGame:
    """What a file says.

    Attributes:
        title: The game's name, perhaps empty.
        payoffs: What the first player receives, a list for each strategy of that player.
        constant: What both players together receive in every cell.
        actions: The names of both players' strategies; ``None`` if the file only counts them.
    """

    title: str
    payoffs: list[list[Number]]
    constant: Fraction
    actions: tuple[list[str], list[str]] | None = None


@contextmanager
def _collector_off() -> Iterator[None]:
    # A million fractions hold no cycles, but the collector would go through them again and again.
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_collector_off()
def parse_nfg(text: str) -> StrategicGame:
    r"""Return the game that the text of an ``.nfg`` file describes.

    Args:
        text: The whole file, with payoffs or with outcomes.

    Returns:
        The game, its numbers exact.

    Raises:
        InvalidInput: Text that is no such file (the message gives line and column), another number
            of players than two, or payoffs whose sum is not constant.

    Example:
        >>> game = parse_nfg('NFG 1 R "halves" { "a" "b" } { 1 2 } 1/2 1/2 0.25 0.75')
        >>> game.payoffs, game.constant
        ([[Fraction(1, 2), Fraction(1, 4)]], Fraction(1, 1))
    """
    cursor = _Cursor(text)
    cursor.take("word", "'NFG' (a strategic game of Gambit's)", "NFG")
    cursor.take("word", "version 1 of the format", "1")
    cursor.take("word", "R or D, the kind of numbers", "R", "D")
    title = cursor.take("text", 'a title in quotes, perhaps ""')
    _read_players(cursor)
    m, n, actions = _read_strategies(cursor)
    if cursor.kind == "text":
        cursor.advance()  # what the author says about the game
    payoffs, constant = _read_cells(cursor, m, n)
    if cursor.kind != "end":
        raise cursor.error(f"the end of the file after {m} x {n} cells")
    return StrategicGame(_unquoted(title), payoffs, constant, actions)


class _Cursor:
    """A place in the text; `kind`, `token` and `start` are those of the token that comes next."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.decimals = False
        self.token, self.end = "", 0
        self.advance()

    def advance(self) -> str:
        """Step over a token and return it."""
        taken, found = self.token, TOKEN.match(self.text, self.end)
        assert found is not None
        self.kind = found.lastgroup or ""
        self.token, self.start, self.end = found[self.kind], found.start(self.kind), found.end()
        return taken

    def take(self, kind: str, what: str, *tokens: str) -> str:
        """Return the next token if it is of that kind (and one of these); else raise."""
        if self.kind != kind or (tokens and self.token not in tokens):
            raise self.error(what)
        return self.advance()

    def whole(self, what: str, most: int) -> int:
        """Return a count that is at most so large."""
        if self.kind != "word" or not WHOLE.fullmatch(self.token) or int(self.token) > most:
            raise self.error(what)
        return int(self.advance())

    def number(self, what: str) -> Number:
        """Return a payoff, exactly."""
        token = self.token
        if self.kind != "word" or not NUMBER.fullmatch(token):
            raise self.error(what)
        if len(token) > LONGEST:
            raise self.error(f"a number of at most {LONGEST} characters")
        try:
            number = _exact(token)
        except ZeroDivisionError as error:
            raise self.error("a denominator other than 0") from error
        except OverflowError as error:
            raise self.error("a payoff that a float can hold") from error
        self.decimals = self.decimals or "." in token or "e" in token or "E" in token
        self.advance()
        return number

    def error(self, what: str) -> InvalidInput:
        """Return the error that says what was expected here, and what came."""
        token = self.token if len(self.token) <= 40 else self.token[:37] + "..."
        named = {"end": "the end of the file", "open": "a quote that nothing closes"}
        return self.complaint(f"expected {what}; got {named.get(self.kind, repr(token))}.")

    def complaint(self, sentence: str, start: int | None = None) -> InvalidInput:
        """Return an error about this place, or an earlier one."""
        start = self.start if start is None else start
        line = self.text.count("\n", 0, start) + 1
        column = start - self.text.rfind("\n", 0, start)
        return InvalidInput(f"line {line}, column {column}: {sentence}")


@functools.lru_cache(maxsize=1024)
def _exact(token: str) -> Number:
    """Return the number, from the text of one; the negative zero of decimals is kept."""
    whole, _, decimals = token.partition(".")
    try:
        # Python reads plain decimals itself, but takes twice as long.
        number, plain = Fraction(int(whole + decimals), 10 ** len(decimals)), True
    except ValueError:
        number, plain = Fraction(token), False
    if (len(token) > 300 or not plain) and abs(number) > 2 * LARGEST:
        raise OverflowError
    if not number and token[0] == "-" and not token[1:].isdigit():
        return -0.0
    return int(number) if number.denominator == 1 and abs(number) < 2**53 else number


def _unquoted(token: str) -> str:
    return re.sub(r'\\([\\"])', r"\1", token[1:-1])


def _read_players(cursor: _Cursor) -> None:
    start = cursor.start
    cursor.take("mark", "'{' and the names of the players", "{")
    count = 0
    while cursor.kind == "text":
        cursor.advance()
        count += 1
    cursor.take("mark", "the name of a player in quotes, or '}'", "}")
    if count != 2:
        raise cursor.complaint(
            f"expected two players; got {count}. Only games of two players are read.", start
        )


def _read_strategies(cursor: _Cursor) -> tuple[int, int, tuple[list[str], list[str]] | None]:
    """Return how many strategies each player has, and their names where the file has them."""
    cursor.take("mark", "'{' and the strategies of the players", "{")
    named = cursor.token == "{"
    if named:
        names = _read_names(cursor), _read_names(cursor)
        sizes = len(names[0]), len(names[1])
    else:
        sizes = _read_count(cursor), _read_count(cursor)
    cursor.take("mark", "'}' after the strategies of two players", "}")
    return *sizes, names if named else None


def _read_names(cursor: _Cursor) -> list[str]:
    cursor.take("mark", "'{' and the names of a player's strategies", "{")
    names = [cursor.take("text", "the name of a strategy in quotes")]
    while cursor.kind == "text":
        names.append(cursor.advance())
    cursor.take("mark", "the name of a strategy in quotes, or '}'", "}")
    return [_unquoted(name) for name in names]


def _read_count(cursor: _Cursor) -> int:
    what = "how many strategies a player has, at least 1"
    if not cursor.token.strip("0"):
        raise cursor.error(what)
    return cursor.whole(what, 10**18)


def _read_cells(cursor: _Cursor, m: int, n: int) -> tuple[list[list[Number]], Fraction]:
    """Return what the first player receives, and the sum of both payoffs, the same in all cells."""
    plain = _read_plain_cells(cursor, m, n)
    if plain is not None:
        return plain
    cells = _outcomes(cursor, m, n) if cursor.token == "{" else _payoffs(cursor, m, n)
    columns: list[list[Number]] = []
    constant: Number | None = None
    # The lists grow with what the file holds, never to what its header promises.
    for j in range(n):
        columns.append([])
        for i in range(m):
            start, first, second = next(cells)
            total = (first or 0) + (second or 0)  # not the float -0.0
            constant = total if constant is None else constant
            if total != constant and not (cursor.decimals and _close(first, second, constant)):
                raise cursor.complaint(
                    f"expected a game of constant sum; the payoffs of the first cell add up to "
                    f"{_shown(constant)}, those of cell ({i + 1}, {j + 1}), {_shown(first)} and "
                    f"{_shown(second)}, to {_shown(total)}. Games of general sum cannot be solved "
                    "here.",
                    start,
                )
            columns[-1].append(first)
    assert constant is not None
    if not -LARGEST <= constant <= LARGEST:
        raise cursor.complaint("expected payoffs whose sum a float can hold; these have none.")
    return [list(row) for row in zip(*columns, strict=True)], Fraction(constant)


def _read_plain_cells(
    cursor: _Cursor, m: int, n: int
) -> tuple[list[list[Number]], Fraction] | None:
    """Return the same, several times faster, if nothing but numbers follows that add up; or None.

    Whoever gets None reads number by number, and finds what is wrong and where.
    """
    rest = cursor.text[cursor.start :]
    if not rest.isascii() or any(mark in rest for mark in SEPARATORS):
        return None
    words = rest.split()
    if len(words) != 2 * m * n or len(max(words, key=len)) > LONGEST:
        return None
    cells = list(zip(words[::2], words[1::2], strict=True))
    values: dict[tuple[str, str], Number] = {}
    constant: Number = 0
    for first, second in dict.fromkeys(cells):
        if not (NUMBER.fullmatch(first) and NUMBER.fullmatch(second)):
            return None
        # Numbers that differ in their sign alone are common, and need no adding up.
        mirrored = first == "-" + second or second == "-" + first
        try:
            number = values[first, second] = _exact(first)
            total = 0 if mirrored else (number or 0) + (_exact(second) or 0)
        except (ZeroDivisionError, OverflowError):
            return None
        constant = constant if len(values) > 1 else total
        if total != constant:
            return None
    if not -LARGEST <= constant <= LARGEST:
        return None
    cursor.end = len(cursor.text)
    cursor.advance()
    table = [values[cell] for cell in cells]
    return [table[i::m] for i in range(m)], Fraction(constant)


def _close(first: Number, second: Number, constant: Number) -> bool:
    a, b, c = (Fraction(number) for number in (first, second, constant))
    return abs(a + b - c) <= ROUNDING * max(abs(a), abs(c))


def _shown(number: Number) -> str:
    exact = Fraction(number)
    if exact.denominator < 10**9 and abs(exact.numerator) < 10**18:
        return str(exact)
    return f"{Decimal(exact.numerator) / Decimal(exact.denominator):.6g}"


def _payoffs(cursor: _Cursor, m: int, n: int) -> Cells:
    what = f"{2 * m * n} payoffs ({m} x {n} cells, two players)"
    while True:
        yield cursor.start, cursor.number(what), cursor.number(what)


def _outcomes(cursor: _Cursor, m: int, n: int) -> Cells:
    cursor.advance()
    known: list[tuple[Number, Number]] = [(0, 0)]
    while cursor.token == "{":
        known.append(_read_outcome(cursor))
    cursor.take("mark", "'{' and another outcome, or '}'", "}")
    what = f"{m * n} numbers of outcomes ({m} x {n} cells), each from 0 to {len(known) - 1}"
    while True:
        yield cursor.start, *known[cursor.whole(what, len(known) - 1)]


def _read_outcome(cursor: _Cursor) -> tuple[Number, Number]:
    cursor.advance()
    cursor.take("text", "the name of an outcome in quotes")
    payoffs = []
    for player in ("first", "second"):
        payoffs.append(cursor.number(f"what the {player} player receives"))
        if cursor.token == ",":
            cursor.advance()
    cursor.take("mark", "'}' after the payoffs of two players", "}")
    return payoffs[0], payoffs[1]
