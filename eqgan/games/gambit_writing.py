"""Matrix games as Gambit's files of strategic games (``.nfg``); `eqgan.games.gambit` reads them."""

from __future__ import annotations

import re
from fractions import Fraction

from eqgan.errors import InvalidInput
from eqgan.games.gambit import LARGEST
from eqgan.games.matrix import MatrixGame


def nfg_text(game: MatrixGame) -> str:
    r"""Return a game as Gambit reads it, in the form that lists payoffs.

    Args:
        game: One matrix game. Payoffs that floats would round are written as fractions, others in
            the shortest decimals that read back as the same float.

    Returns:
        The text of the file.

    Raises:
        InvalidInput: A batch of games.

    Example:
        >>> print(nfg_text(MatrixGame([[1, 0.5]], constant=1, name="halves")), end="")
        NFG 1 R "halves" { "row" "column" } { 1 2 }
        <BLANKLINE>
        1 0
        0.5 0.5
    """
    if game.batch_shape:
        raise InvalidInput(
            f"An .nfg file holds one game; got a batch of shape {game.batch_shape}. Save it as "
            ".json, .npy or .npz."
        )
    m, n = game.payoffs.shape
    constant = Fraction(game.constant)
    table = game.payoff_matrix.double().tolist()
    exact = table if game.entries is None else game.rationals()
    players = " ".join(map(_quoted, game.players))
    strategies = f"{m} {n}"
    if game.actions is not None:
        strategies = " ".join(f"{{ {' '.join(map(_quoted, names))} }}" for names in game.actions)
    lines = [f"NFG 1 R {_quoted(game.name or '')} {{ {players} }} {{ {strategies} }}\n"]
    for j in range(n):
        for i in range(m):
            # Fractions have no negative zero, floats do.
            payoff = _written(exact[i][j] or table[i][j])
            lines.append(f"{payoff} {_rest(payoff, constant, game.entries is None)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # Gambit takes a backslash as it is, unless a quote follows; a pair of them stands for one.
    escaped = re.sub(r'\\(?=[\\"]|\Z)', r"\\\\", text)
    return '"' + escaped.replace('"', '\\"') + '"'


def _rest(payoff: str, constant: Fraction, decimal: bool) -> str:
    """Return what the second player receives, exactly."""
    if not constant and payoff.strip("-0."):
        # No arithmetic: a million fractions take half a minute.
        return payoff.removeprefix("-") if payoff.startswith("-") else f"-{payoff}"
    rest = constant - Fraction(payoff)
    return _decimal(rest) if decimal else str(rest)


def _decimal(number: Fraction) -> str:
    """Return the shortest decimals if they are exact, else the fraction."""
    if abs(number) <= LARGEST and Fraction(_written(float(number))) == number:
        return _written(float(number))
    return _written(number)


def _written(number: float | Fraction) -> str:
    if isinstance(number, Fraction):
        try:
            return str(number)
        except ValueError as error:
            raise InvalidInput(
                "An .nfg file cannot hold a payoff of thousands of digits."
            ) from error
    # Whole numbers are written out, so that they stay what they are exactly; -0.0 stays a decimal.
    plain = number.is_integer() and abs(number) < 1e22 and repr(number) != "-0.0"
    # Gambit reads no plus sign in an exponent.
    return str(int(number)) if plain else repr(number).replace("e+", "e")
