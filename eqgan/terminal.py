"""What the command line prints of a result: a table for people, a JSON document for scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from eqgan.certificate import Certificate
    from eqgan.result import Result
    from eqgan.spaces import Space

SHOWN_ACTIONS = 12
"""Probabilities of a strategy that are printed; ``--json`` has them all."""

SHOWN_DIGITS = 40
"""Characters of a fraction that are printed; ``--json`` has them all."""

PLAYED = 1e-9
"""An action of a large game counts as played from this probability on."""

# -- JSON ----------------------------------------------------------------------------------------


def result_document(name: str, result: Result) -> dict[str, Any]:
    """Return the JSON document of a run of the game called `name`."""
    document = run_document(name, result)
    document["strategies"] = dict(zip(result.game.players, result.profile, strict=True))
    fractions = _fractions(result)
    if fractions is not None:
        value: Any = result.value
        strategies = {player: [*map(_digits, mix)] for player, mix in fractions.items()}
        document["exact"] = {"value": _digits(value), "strategies": strategies}
    return document


def run_document(name: str, result: Result, measured: bool = True) -> dict[str, Any]:
    """Return what the JSON document of a run says beside its strategies.

    Args:
        name: What the game is called.
        result: The run.
        measured: Whether to measure its certificate; ``None`` stands in its place if not.
    """
    return {
        "game": name,
        "solver": type(result.solver).__name__,
        "status": result.status.name,
        "message": result.message,
        "converged": result.status.name == "CONVERGED",
        "seed": result.seed,
        "steps": result.steps,
        "evaluations": result.evaluations,
        "seconds": result.seconds,
        "value": result.value,
        "certificate": _certificate_document(result.certificate) if measured else None,
    }


def _certificate_document(proof: Certificate) -> dict[str, Any]:
    return {
        "exact": proof.exact,
        "nash_conv": proof.nash_conv,
        "nash_conv_upper": proof.nash_conv_upper,
        "epsilon": proof.epsilon,
        "exploitability": proof.exploitability,
        "stderr": proof.stderr,
        "regrets": proof.regrets,
        "how": proof.how,
    }


def to_json(document: Any) -> str:
    """Return a document as strictly valid JSON."""
    return json.dumps(_plain(document), indent=2, allow_nan=False)


def print_json(document: Any) -> None:
    """Print a document as strictly valid JSON."""
    click.echo(to_json(document))


def _plain(value: Any) -> Any:
    """Return `value` as JSON can hold it: tensors as lists, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Fraction):
        return float(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


def _digits(number: Fraction) -> str:
    """Return all digits of a fraction; of very long ones Python's own `str` refuses to."""
    top, bottom = Decimal(number.numerator), Decimal(number.denominator)
    return f"{top:f}" if bottom == 1 else f"{top:f}/{bottom:f}"


def _fractions(result: Result) -> dict[str, Sequence[Fraction]] | None:
    """Return every player's strategy in fractions, if the run found it so."""
    answer: Any = result
    if not isinstance(answer.value, Fraction):
        return None
    return dict(zip(result.game.players, answer.exact_profile, strict=True))


# -- tables --------------------------------------------------------------------------------------


def print_result(name: str, result: Result, drawn: Sequence[Path] = ()) -> None:
    """Print a run of the game called `name`, and where its pictures were drawn."""
    from eqgan.report import worded, worded_gap

    value: Any = result.value
    fractions = _fractions(result)
    table = table_of(f"{name} by {type(result.solver).__name__}", "", "")
    table.add_row("status", result.status.name)
    table.add_row("", result.message)
    table.add_row("value", worded(value) if fractions is None else _exactly(value))
    table.add_row("NashConv", worded_gap(result.certificate))
    for player, regret in result.certificate.regrets.items():
        sign = "" if result.certificate.exact else ">= "
        table.add_row(f"regret of {player}", sign + worded(regret))
    table.add_row("measured by", result.certificate.how)
    table.add_row("steps", f"{result.steps} ({result.evaluations:g} gradient evaluations)")
    table.add_row("seconds", f"{result.seconds:.3g}")
    for i, player in enumerate(result.game.players):
        if fractions is not None:
            table.add_row(player, _mixture(fractions[player]))
        else:
            table.add_row(player, _strategy(result.profile[i], result.game.spaces[i]))
    for path in drawn:
        table.add_row("picture", str(path))
    print_table(table)


def _exactly(number: Fraction) -> str:
    """Return a fraction, and the decimals of one that is no whole number."""
    text = _digits(number)
    if number.denominator == 1:
        return text
    if len(text) > SHOWN_DIGITS:
        return f"{float(number):.12g} (--json prints the fraction)"
    return f"{text} = {float(number):.12g}"


def _strategy(strategy: Any, space: Space[Any] | None = None) -> str:
    from eqgan.spaces import Simplex

    if isinstance(strategy, Mapping):
        return "; ".join(f"{k}: {_strategy(v)}" for k, v in strategy.items())
    if strategy.dim() != 1:
        return f"shape {tuple(strategy.shape)}; --json prints it"
    numbers = strategy.tolist()
    if isinstance(space, Simplex):
        return _mixture(numbers)
    head = ", ".join(f"{number:.4g}" for number in numbers[:SHOWN_ACTIONS])
    more = len(numbers) - SHOWN_ACTIONS
    return head + (f", ... and {more} more (--json prints all)" if more > 0 else "")


def _mixture(mix: Sequence[float | Fraction]) -> str:
    """Return the probabilities of a few actions, or of those that are played of many."""
    if len(mix) <= SHOWN_ACTIONS:
        return ", ".join(map(_share, mix))
    played = [i for i, p in enumerate(mix) if p > (0 if isinstance(p, Fraction) else PLAYED)]
    likeliest = sorted(sorted(played, key=lambda i: -mix[i])[:SHOWN_ACTIONS])
    head = ", ".join(f"{i}: {_share(mix[i])}" for i in likeliest)
    more = len(played) - len(likeliest)
    tail = f", ... and {more} less likely (--json prints all)" if more else ""
    return f"{len(played)} of {len(mix)} actions, numbered from 0; {head}{tail}"


def _share(probability: float | Fraction) -> str:
    if isinstance(probability, Fraction) and len(_digits(probability)) <= SHOWN_DIGITS:
        return _digits(probability)
    return f"{float(probability):.4g}"


def table_of(title: str, *columns: str) -> Table:
    """Return an empty table with that title and those columns."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), show_header=any(columns), title_justify="left")
    for column in columns:
        # Long words are folded, never cut: a cut number is a wrong number.
        table.add_column(column, overflow="fold")
    return table


def print_table(table: Table) -> None:
    """Print a table to the terminal."""
    from rich.console import Console

    # Markup and highlighting would read brackets in names as commands.
    Console(markup=False, highlight=False).print(table)
