"""The rules of the tree: who may import whom, and where things are found."""

from __future__ import annotations

import ast
import graphlib
import importlib
import inspect
import pkgutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

import eqgan
import eqgan.solvers

ROOT = Path(__file__).parents[1]

LAYERS = [
    {
        "errors",
        "profile",
        "checkpoint",
        "threads",
        "deadline",
        "whole",
        "real",
        "stacks",
        "paths",
        "randomness",
        "allocator",
    },
    {"spaces", "products", "polytope", "flows", "hypersimplex", "linearisation"},
    {"game"},
    {"games", "gan", "rules", "response", "search", "oracle", "bounds", "data"},
    {"certificate", "exact", "counting"},
    {"solver"},
    {"result", "registry", "progress", "fingerprint"},
    {"loop", "memory"},
    {"run", "recorder"},
    {
        "compare",
        "comparison",
        "behaviour",
        "bars",
        "callbacks",
        "canvas",
        "curves",
        "heatmap",
        "networks",
        "plots",
        "report",
        "study",
        "study_games",
        "tables",
        "terminal",
        "training",
        "trajectories",
        "laws",
        "testing",
    },
    {"demo", "cli", ""},
    {"__main__"},
]
"""Modules from the bottom up; each may import its own layer (without cycles) and those below it.

The empty name is `eqgan` itself, which re-exports everything.
"""
CORE = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "eqgan").rglob("*.py")
    if path.relative_to(ROOT / "eqgan").parts[0] != "solvers"
)
SOLVERS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "solvers").glob("*.py"))
EVERYTHING = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("eqgan", "solvers", "examples", "tests")
    for path in (ROOT / folder).rglob("*.py")
)


def parsed(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"), file)


def imports(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Yield (module, name) of every import that runs; those for type checkers alone do not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import: {ast.unparse(node)}"
            yield from ((node.module or "", alias.name) for alias in node.names)
        else:
            yield from imports(node)


def targets(file: str) -> set[str]:
    """Return the modules of eqgan that a file imports, as dotted names below `eqgan`."""
    found = set()
    for module, name in imports(parsed(file)):
        if module == "eqgan" or module.startswith("eqgan."):
            full = f"{module}.{name}" if name and is_module(f"{module}.{name}") else module
            found.add(full.removeprefix("eqgan").removeprefix("."))
    return found


def is_module(dotted: str) -> bool:
    path = ROOT / dotted.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def name_of(file: str) -> str:
    return (
        file.removesuffix(".py").removesuffix("/__init__").removeprefix("eqgan").strip("/")
    ).replace("/", ".")


def layer_of(module: str) -> int:
    top = module.split(".")[0]
    found = [i for i, layer in enumerate(LAYERS) if top in layer]
    assert found, f"eqgan.{module} has no place in LAYERS: say what it may import"
    return found[0]


def test_modules_import_only_what_is_below_them() -> None:
    above = {
        (file, target)
        for file in CORE
        for target in targets(file)
        if layer_of(target) > layer_of(name_of(file))
    }
    assert not above


def test_imports_have_no_cycles() -> None:
    graph = {name_of(file): targets(file) for file in CORE}
    # A package's own __init__ re-exports its modules, and `eqgan` everything.
    for package in ("", "games", "gan"):
        graph.pop(package)
    list(graphlib.TopologicalSorter(graph).static_order())


def test_the_core_never_imports_solvers() -> None:
    assert not {
        (file, target) for file in CORE for target in targets(file) if target.startswith("solvers")
    }


def test_importing_eqgan_loads_neither_solvers_nor_what_only_some_need() -> None:
    heavy = ["eqgan.solvers", "cvxpy", "matplotlib", "scipy", "pandas", "sklearn", "rich", "joblib"]
    heavy.append("PIL")
    code = f"import eqgan, sys; eqgan.solve; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_nobody_imports_private_names() -> None:
    private = {
        (file, f"{module}.{name}")
        for file in CORE + SOLVERS
        for module, name in imports(parsed(file))
        if module.startswith("eqgan") and "._" in f"{module}.{name}"
    }
    assert not private


def test_solvers_touch_no_private_attribute_of_others() -> None:
    foreign = {
        (file, ast.unparse(node))
        for file in SOLVERS
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and ast.unparse(node.value) not in ("self", "cls", "super()")
    }
    assert not foreign


def test_solvers_import_nothing_above_the_contract() -> None:
    """A solver is moved by the loop: it knows nothing of runs, tables and reports."""
    above = {
        (file, target)
        for file in SOLVERS
        for target in targets(file)
        if not target.startswith("solvers") and layer_of(target) > layer_of("solver")
    }
    assert not above


def test_generators_are_seeded_in_one_place() -> None:
    """Elsewhere only the global generator is, lent to modules that initialise themselves."""
    elsewhere = {
        (file, ast.unparse(node))
        for file in CORE + SOLVERS
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Attribute) and node.attr == "manual_seed"
        if ast.unparse(node.value) != "torch.random" and file != "eqgan/randomness.py"
    }
    assert not elsewhere


# -- solvers and their names -----------------------------------------------------------------------


def concrete_solvers() -> dict[str, type[Any]]:
    """Return every solver class that a module of `eqgan.solvers` defines, by its class name."""
    found = {}
    for info in pkgutil.iter_modules(eqgan.solvers.__path__):
        module = importlib.import_module(f"eqgan.solvers.{info.name}")
        for name, member in inspect.getmembers(module, inspect.isclass):
            if issubclass(member, eqgan.Solver) and member.__module__ == module.__name__:
                found[name] = member
    return {n: c for n, c in found.items() if not inspect.isabstract(c) and n[0] != "_"}


def table() -> dict[str, str]:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    entries: dict[str, str] = pyproject["project"]["entry-points"]["eqgan.solvers"]
    return entries


def test_every_solver_is_in_the_entry_point_table_and_exported() -> None:
    classes = concrete_solvers()
    assert len(classes) >= 14
    assert set(table().values()) == {f"{c.__module__}:{n}" for n, c in classes.items()}
    assert set(eqgan.solvers.__all__) == set(classes)
    for name, cls in classes.items():
        assert getattr(eqgan.solvers, name) is cls


def test_solvers_are_registered_under_the_snake_case_of_their_class() -> None:
    for name, value in table().items():
        assert "".join(part.capitalize() for part in name.split("_")) == value.split(":")[1]
    assert list(table()) == sorted(table())


def test_the_installed_entry_points_are_those_of_pyproject() -> None:
    installed = {
        entry.name: entry.value
        for entry in entry_points(group="eqgan.solvers")
        if entry.dist is not None and entry.dist.name == "eqgan"
    }
    assert installed == table(), "pyproject.toml changed since it was installed: `make setup`"


# -- files -----------------------------------------------------------------------------------------


def test_files_are_short_and_named_for_what_they_hold() -> None:
    lengths = {
        file: len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in EVERYTHING
    }
    assert not {file: length for file, length in lengths.items() if length > 400}
    drawers = {"utils", "util", "helpers", "misc", "common"}
    assert not [file for file in EVERYTHING if drawers & set(Path(file).with_suffix("").parts)]


def test_the_top_level_is_short() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if tracked.returncode:
        pytest.skip("this is no git checkout (an unpacked archive)")
    folders = {line.split("/")[0] for line in tracked.stdout.splitlines() if "/" in line}
    visible = {folder for folder in folders if not folder.startswith(".")}
    assert visible == {"eqgan", "solvers", "examples", "tests"}
