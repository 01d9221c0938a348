"""Matrix games in files: CSV, JSON, NumPy's formats and Gambit's.

Payoffs are the *row* player's, one row an action of the row player. CSV and ``.npy`` hold the
payoffs alone; ``.npz`` keeps the constant sum as well, JSON what else is known about the game, and
``.nfg`` names, constant and fractions. Nothing that is read can run code.
"""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from eqgan.checkpoint import write_atomically
from eqgan.data.idx_files import DEFLATE_RATIO
from eqgan.errors import EqganError, InvalidInput, UnreadableFile
from eqgan.games.gambit import parse_nfg
from eqgan.games.gambit_writing import nfg_text
from eqgan.games.matrix import MatrixGame
from eqgan.paths import as_path
from eqgan.real import is_real


def load(path: str | Path) -> MatrixGame:
    r"""Read a matrix game.

    Args:
        path: A ``.csv`` file (one line an action of the row player, numbers separated by commas;
            empty lines and lines that start with ``#`` are skipped), a ``.json`` file (nested
            lists, or an object with ``payoffs`` and perhaps ``name``, ``value``, ``equilibrium``,
            ``constant`` and ``actions``), a ``.npy`` file, a ``.npz`` file (its array ``payoffs``,
            or its only one, and perhaps ``constant``), or an ``.nfg`` file of Gambit's (two
            players, payoffs of constant sum).

    Returns:
        The game, named after the file unless the file names it. ``.npy`` and ``.npz`` keep their
        dtype, the others give float64. The numbers of an ``.nfg`` file are kept exactly too, as
        `rationals` returns them.

    Raises:
        InvalidInput: An extension that is not one of these.
        UnreadableFile: A file that is missing, damaged, or holds no payoffs of a matrix game.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "pennies.csv"
        >>> _ = path.write_text("1,-1\n-1,1\n")
        >>> load(path)
        MatrixGame(pennies: 2 x 2, payoffs from -1 to 1)
    """
    path = as_path("A game's file", path)
    reader = READERS[_extension(path)]
    try:
        return reader(path)
    except OSError as error:
        raise UnreadableFile(f"Cannot read {path}: {error.strerror or error}.") from error


def save(game: MatrixGame, path: str | Path) -> None:
    """Write a matrix game, in the format that the extension names, replacing the file atomically.

    Args:
        game: The game. CSV and ``.nfg`` take no batch of games.
        path: Ends in ``.csv``, ``.json``, ``.npy``, ``.npz`` or ``.nfg``; its folder must exist.

    Raises:
        InvalidInput: Another extension, a game that is no `MatrixGame` or does not fit the format,
            or a path that cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "game.json"
        >>> save(MatrixGame([[3, 0], [0, 1]], value=0.75), path)
        >>> load(path).value
        0.75
    """
    path = as_path("A game's file", path)
    if not isinstance(game, MatrixGame):
        raise InvalidInput(f"save writes a MatrixGame; got {type(game).__name__}.")
    payload = WRITERS[_extension(path)](game)
    try:
        write_atomically(path, payload)
    except OSError as error:
        raise InvalidInput(f"Cannot write {path}: {error.strerror or error}.") from error


def _extension(path: Path) -> str:
    extension = path.suffix.lower()
    if extension not in READERS:
        raise InvalidInput(
            f"A matrix game's file should end in {', '.join(READERS)}; got {str(path)!r}."
        )
    return extension


def _game(path: Path, payoffs: Any, **known: Any) -> MatrixGame:
    known["name"] = known.get("name") or path.stem
    try:
        return MatrixGame(payoffs, **known)
    except EqganError as error:
        raise UnreadableFile(f"{path} holds no matrix game: {error}") from error


# -- CSV -----------------------------------------------------------------------------------------


def _read_csv(path: Path) -> MatrixGame:
    rows: list[list[float]] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        try:
            for cells in lines:
                if not any(cell.strip() for cell in cells) or cells[0].lstrip().startswith("#"):
                    continue
                rows.append(_numbers(path, lines.line_num, cells))
                if len(rows[-1]) != len(rows[0]):
                    raise UnreadableFile(
                        f"{path}, line {lines.line_num}: every line should have as many numbers as "
                        f"the first, {len(rows[0])}; this one has {len(rows[-1])}."
                    )
        except UnicodeDecodeError as error:
            raise UnreadableFile(
                f"{path}, after line {lines.line_num}: expected text in UTF-8; got other bytes."
            ) from error
        except csv.Error as error:
            raise UnreadableFile(f"{path}, line {lines.line_num}: {error}.") from error
    if not rows:
        raise UnreadableFile(f"{path} should hold lines of numbers; it holds none.")
    return _game(path, rows)


def _numbers(path: Path, line: int, cells: list[str]) -> list[float]:
    numbers = []
    for cell in cells:
        try:
            # Python reads 1_000 and the digits of every script as numbers; no one else does.
            number = float(cell) if cell.isascii() and "_" not in cell else math.nan
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            short = cell if len(cell) <= 40 else cell[:37] + "..."
            raise UnreadableFile(
                f"{path}, line {line}: expected finite numbers separated by commas; got {short!r}."
            )
        numbers.append(number)
    return numbers


def _write_csv(game: MatrixGame) -> bytes:
    if game.batch_shape:
        raise InvalidInput(
            f"CSV holds one game; got a batch of shape {game.batch_shape}. Save it as .json, .npy "
            "or .npz."
        )
    # Python prints the shortest decimals that read back as the same bits.
    lines = (",".join(map(repr, row)) for row in game.payoff_matrix.double().tolist())
    return "".join(f"{line}\n" for line in lines).encode()


# -- JSON ----------------------------------------------------------------------------------------

FIELDS = ("payoffs", "name", "value", "equilibrium", "constant", "actions")


def _read_json(path: Path) -> MatrixGame:
    try:
        document = json.loads(
            path.read_bytes(), parse_constant=_refuse, object_pairs_hook=_distinct
        )
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"{path} should hold JSON: {error}.") from error
    if isinstance(document, list):
        return _game(path, document)
    if not isinstance(document, dict) or "payoffs" not in document or set(document) - set(FIELDS):
        got = f"the fields {sorted(document)}" if isinstance(document, dict) else repr(document)
        raise UnreadableFile(
            f"{path} should hold nested lists of payoffs, or an object with 'payoffs' and perhaps "
            f"{', '.join(map(repr, FIELDS[1:]))}; got {got[:80]}."
        )
    name, value, equilibrium, constant, actions = map(document.get, FIELDS[1:])
    if not isinstance(name, str | None):
        raise UnreadableFile(f"{path}: 'name' should be a string; got {name!r}.")
    for field, number in (("value", value), ("constant", constant)):
        if number is not None and not is_real(number):
            raise UnreadableFile(f"{path}: {field!r} should be a finite number; got {number!r}.")
    if not isinstance(equilibrium, list | None):
        raise UnreadableFile(f"{path}: 'equilibrium' should be two lists; got {equilibrium!r}.")
    known = {
        "name": name,
        "value": None if value is None else float(value),
        "equilibrium": equilibrium,
        "constant": constant or 0,
        "actions": actions,
    }
    return _game(path, document["payoffs"], **known)


def _refuse(constant: str) -> Any:
    raise ValueError(f"it holds {constant}, which is neither JSON nor a payoff")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Python would keep the last of two fields, other readers the first.
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has the field {twice!r} more than once")
    return found


def _write_json(game: MatrixGame) -> bytes:
    document: dict[str, Any] = {"payoffs": game.payoff_matrix.double().tolist()}
    known: dict[str, Any] = {"name": game.name, "value": game.value}
    known["constant"] = float(game.constant) if game.constant else None
    known["actions"] = game.actions
    if game.equilibrium is not None:
        known["equilibrium"] = [s.tolist() for s in game.equilibrium.leaves()]
    document |= {field: what for field, what in known.items() if what is not None}
    return json.dumps(document, allow_nan=False).encode()


# -- NumPy ---------------------------------------------------------------------------------------


def _read_npy(path: Path) -> MatrixGame:
    # Mapped, so that a header which promises more than the file holds fails before any allocation.
    array = _trusted(path, lambda: np.array(np.load(path, mmap_mode="r", allow_pickle=False)))
    return _game(path, array)


def _read_npz(path: Path) -> MatrixGame:
    payoffs, constant = _trusted(path, lambda: _members(path))
    if constant.shape or constant.dtype.kind not in "iuf":
        raise UnreadableFile(f"{path}: 'constant' should be one number; got {constant!r:.60}.")
    return _game(path, payoffs, constant=constant.item())


def _trusted(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (EqganError, FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:
        # Damaged bytes fail inside NumPy in more ways than can be listed.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableFile(
            f"{path} should hold an array of numbers in NumPy's format: {reason[:200]}"
        ) from error


def _members(path: Path) -> tuple[Any, Any]:
    """Return the arrays of payoffs and of the constant, 0 where there is none."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        others = [name for name in names if name != "constant.npy"]
        name = "payoffs.npy" if "payoffs.npy" in names else others[0] if len(others) == 1 else None
        if name is None:
            raise UnreadableFile(
                f"{path} should hold an array called 'payoffs', or one array; it holds "
                f"{', '.join(n.removesuffix('.npy') for n in names) or 'none'}."
            )
        payoffs = _member(path, archive, name)
        known = "constant.npy" in names and name != "constant.npy"
        return payoffs, _member(path, archive, "constant.npy") if known else np.array(0)


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> Any:
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            header = np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
    if dtype.itemsize * math.prod(shape) > DEFLATE_RATIO * path.stat().st_size:
        raise UnreadableFile(f"{path} cannot hold the array of shape {shape} that it promises.")
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _write_npy(game: MatrixGame) -> bytes:
    file = io.BytesIO()
    np.save(file, game.payoff_matrix.cpu().numpy(), allow_pickle=False)
    return file.getvalue()


def _write_npz(game: MatrixGame) -> bytes:
    file = io.BytesIO()
    arrays: dict[str, Any] = {"payoffs": game.payoff_matrix.cpu().numpy()}
    if game.constant:
        arrays["constant"] = np.array(float(game.constant))
    np.savez_compressed(file, **arrays)
    return file.getvalue()


# -- Gambit --------------------------------------------------------------------------------------


def _read_nfg(path: Path) -> MatrixGame:
    try:
        told = parse_nfg(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{path}: expected text in UTF-8; got other bytes.") from error
    except InvalidInput as error:
        raise UnreadableFile(f"{path}, {error}") from error
    known: dict[str, Any] = {"constant": told.constant, "actions": told.actions}
    return _game(path, told.payoffs, name=told.title, **known)


def _write_nfg(game: MatrixGame) -> bytes:
    try:
        return nfg_text(game).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"The name {game.name!r} cannot be written in UTF-8.") from error


READERS: dict[str, Callable[[Path], MatrixGame]] = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".nfg": _read_nfg,
}

WRITERS: dict[str, Callable[[MatrixGame], bytes]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".npy": _write_npy,
    ".npz": _write_npz,
    ".nfg": _write_nfg,
}
