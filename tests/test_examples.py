"""Every script of examples/ runs through, in a small setting where it offers one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
QUICK = {"--steps": "20", "--epochs": "1", "--seeds": "1", "--samples": "64"}
"""Options that make a script quick, passed to those that have them."""


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_example(script: Path, tmp_path: Path) -> None:
    source = script.read_text(encoding="utf-8")
    command = [sys.executable, str(script)]
    for option, value in {**QUICK, "--out": str(tmp_path / "out")}.items():
        if f'"{option}"' in source:
            command += [option, value]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip(), "an example says what it found"
    assert "Warning" not in result.stderr, result.stderr


def test_there_are_examples() -> None:
    assert "own_solver" in {path.stem for path in EXAMPLES}
