"""Tables of a TOML file as arguments of what they describe, checked against its signature."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from eqgan.errors import EqganError, InvalidInput, suggestion

Built = TypeVar("Built")

WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
"""What TOML's types are called in messages."""


@dataclass(frozen=True)
class Table:
    """One table of a file.

    Attributes:
        file: The file's name, for messages.
        text: The file's text, in which the lines of messages are looked up.
        path: The table's dotted name; empty for the whole file.
        values: Its keys and values.
    """

    file: str
    text: str
    path: str
    values: Mapping[str, Any]

    # -- messages ----------------------------------------------------------------------------

    def wrong(self, key: str | None, message: str) -> InvalidInput:
        """Return the error of a key, or of the table itself."""
        line = _line(self.text, self.path, key)
        place = f"{self.file}, line {line}" if line else self.file
        what = " ".join(filter(None, [f"[{self.path}]" if self.path else "", key]))
        return InvalidInput(f"{place}: {what} {message.rstrip('.')}.")

    def guarded(self, build: Callable[[], Built]) -> Built:
        """Return what `build` makes; its errors are told with the table's name and line."""
        try:
            return build()
        except (EqganError, TypeError, ValueError, RuntimeError) as error:
            # RuntimeError is what torch raises where memory does not suffice.
            raise self.wrong(None, f"cannot be used: {error}") from error

    def _unknown(self, key: str, known: Iterable[str], kind: str) -> NoReturn:
        raise self.wrong(key, f"is no {kind} here. {suggestion(key, known)}")

    # -- parts -------------------------------------------------------------------------------

    def only(self, *known: str) -> None:
        """Raise unless all keys are known."""
        for key in self.values:
            if key not in known:
                self._unknown(key, known, "key" if self.path else "table")

    def needs(self, *keys: str) -> None:
        """Raise unless these keys are there."""
        for key in keys:
            if key not in self.values:
                kind = "key" if self.path else "table"
                raise self.wrong(None, f"needs the {kind} {key!r}")

    def table(self, key: str) -> Table:
        """Return a table below this one; an empty one if it is not there."""
        value = self.values.get(key, {})
        if not isinstance(value, Mapping):
            raise self.wrong(key, f"should be a table; got {value!r}")
        return replace(self, path=f"{self.path}.{key}" if self.path else key, values=value)

    def named(self, key: str) -> Table:
        """Return a table below this one that has a name; text is short for its name alone."""
        value = self.values.get(key)
        if isinstance(value, str):
            inner = f"{self.path}.{key}" if self.path else key
            return replace(self, path=inner, values={"name": value})
        if not isinstance(value, Mapping):
            raise self.wrong(key, f"should be a name, or a table with one; got {value!r}")
        return self.table(key)

    def name_among(self, known: Iterable[str], kind: str) -> str:
        """Return the table's name, or raise unless it is a known one."""
        names = list(known)
        name = self.values.get("name")
        if name is None:
            raise self.wrong(None, f"needs the key 'name', one of {', '.join(sorted(names))}")
        if name not in names:
            raise self.wrong("name", f"= {name!r} is no {kind}. {suggestion(str(name), names)}")
        return str(name)

    # -- arguments ---------------------------------------------------------------------------

    def call(
        self,
        build: Callable[..., Any],
        parts: Mapping[Any, Callable[[Table], Any]] | None = None,
    ) -> Any:
        """Return what `build` makes of the table's keys.

        Args:
            build: A class or a function.
            parts: For types of arguments that tables describe, what reads them.
        """
        arguments = self.arguments(build, parts=parts)
        return self.guarded(lambda: build(**arguments))

    def arguments(
        self,
        build: Callable[..., Any],
        given: tuple[str, ...] = (),
        besides: tuple[str, ...] = (),
        parts: Mapping[Any, Callable[[Table], Any]] | None = None,
    ) -> dict[str, Any]:
        """Return the table's keys as keyword arguments of `build`, checked against its signature.

        Args:
            build: A class or a function.
            given: Its parameters that do not come from the table.
            besides: Keys of the table that are no parameters, and are left out.
            parts: For types of arguments that tables describe, what reads them.
        """
        parameters = {
            name: parameter
            for name, parameter in inspect.signature(build).parameters.items()
            if name not in (*given, *besides)
        }
        named = () if "name" in parameters else ("name",) if "name" in self.values else ()
        self.only(*parameters, *besides, *named)
        empty = inspect.Parameter.empty
        self.needs(*(name for name, parameter in parameters.items() if parameter.default is empty))
        hints = _hints(build)
        return {
            key: self._argument(key, hints.get(key, Any), parts or {})
            for key in self.values
            if key in parameters
        }

    def _argument(self, key: str, hint: Any, parts: Mapping[Any, Callable[[Table], Any]]) -> Any:
        value, read = self.values[key], _part(hint, parts)
        if read is not None and isinstance(value, str | Mapping):
            return read(self.named(key))
        if _fits(value, hint):
            return tuple(value) if isinstance(value, list) else value
        table = "a table with a name" if read is not None else ""
        wanted = " or ".join(filter(None, [_worded(hint), table])) or "left to the library"
        raise self.wrong(key, f"should be {wanted}; got {value!r}")


def _hints(build: Callable[..., Any]) -> dict[str, Any]:
    plain = isinstance(build, type) and not is_dataclass(build)
    try:
        return get_type_hints(build.__init__ if plain else build)
    except NameError:
        # Imported for type checkers alone: the constructor will look at the value.
        return {}


def _options(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the hint alone."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _part(hint: Any, parts: Mapping[Any, Callable[[Table], Any]]) -> Callable[[Table], Any] | None:
    """Return what reads a part of such a type from a table, if something does."""
    kinds = [get_origin(option) or option for option in _options(hint)]
    return next((read for base, read in parts.items() if base in kinds), None)


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value of TOML is of a type."""
    if hint is Any:
        return True
    options = _options(hint)
    if len(options) > 1:
        return any(_fits(value, option) for option in options)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in inner
    if origin in (tuple, list, Sequence):
        if not isinstance(value, list):
            return False
        if origin is tuple and inner[-1:] != (...,):
            return len(value) == len(inner) and all(map(_fits, value, inner))
        return all(_fits(item, inner[0]) for item in value)
    if hint in (int, float):
        numbers = int if hint is int else int | float
        return isinstance(value, numbers) and not isinstance(value, bool)
    return hint in (bool, str, Path) and isinstance(value, str if hint is Path else hint)


def _worded(hint: Any) -> str:
    """Return what a value should be, in words."""
    words = []
    for option in _options(hint):
        origin, inner = get_origin(option), get_args(option)
        if origin is Literal:
            words.append("one of " + ", ".join(map(repr, inner)))
        elif origin is tuple and inner[-1:] != (...,):
            words.append(f"a list of {len(inner)}: " + ", ".join(map(_worded, inner)))
        elif origin in (tuple, list, Sequence):
            words.append(f"a list, each {_worded(inner[0])}")
        elif option in WORDS or option is Path:
            words.append(WORDS.get(option, "a path"))
    return " or ".join(dict.fromkeys(words))


def _line(text: str, path: str, key: str | None) -> int | None:
    """Return the line of a key in a table, or of the table; ``None`` where it is not plain."""
    wanted = [part for part in path.split(".") if part]
    table: list[str] = []
    nearest = None
    for number, line in enumerate(text.splitlines(), start=1):
        head = re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line)
        found = re.match(r"\s*[\"']?([\w.-]+)[\"']?\s*=", line)
        if head:
            place = table = head.group(1).split(".")
        elif found:
            place = [*table, *found.group(1).split(".")]
        else:
            continue
        if place == [*wanted, key]:
            return number
        nearest = number if place == wanted and wanted else nearest
    return nearest
