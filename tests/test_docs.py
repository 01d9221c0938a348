"""Every example in a docstring and in the README is run."""

from __future__ import annotations

import doctest
import importlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def documented() -> list[str]:
    """Return the modules whose text holds an example."""
    core = [p for p in (ROOT / "eqgan").rglob("*.py") if "solvers" not in p.parent.parts]
    files = sorted(core) + sorted((ROOT / "solvers").glob("*.py"))
    names = []
    for file in files:
        if ">>>" in file.read_text(encoding="utf-8"):
            dotted = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            names.append(dotted.removesuffix(".__init__"))
    return [f"eqgan.{n}" if n.startswith("solvers") else n for n in names]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", documented())
def test_docstrings(name: str) -> None:
    module = importlib.import_module(name)
    examples = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert examples, f"{name} holds >>> that doctest does not see"
    report = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False)
    for example in examples:
        runner.run(example, out=report.write)
    assert not runner.failures, report.getvalue()


def test_solvers_are_all_documented_by_an_example() -> None:
    without = [
        name
        for name in importlib.import_module("eqgan.solvers").__all__
        if ">>>" not in (getattr(importlib.import_module("eqgan.solvers"), name).__doc__ or "")
    ]
    assert not without


@pytest.mark.skipif(not README.exists(), reason="there is no README.md yet")
def test_readme() -> None:
    text = README.read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    assert blocks
    namespace: dict[str, object] = {"__name__": "readme"}
    for block in blocks:
        line = text[: block.start()].count("\n") + 1
        # Padding puts the README's own line numbers into a traceback.
        code = "\n" * line + block.group(1)
        if ">>>" in code:
            runner = doctest.DocTestRunner(verbose=False)
            report = io.StringIO()
            parser = doctest.DocTestParser()
            test = parser.get_doctest(code, namespace, "README.md", str(README), 0)
            runner.run(test, out=report.write, clear_globs=False)
            namespace.update(test.globs)
            assert not runner.failures, report.getvalue()
        else:
            exec(compile(code, str(README), "exec"), namespace)
