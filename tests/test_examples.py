"""Every script and study of examples/ runs through, in a small setting where it offers one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from eqgan.training import train

FOLDER = Path(__file__).parents[1] / "examples"
EXAMPLES, STUDIES = sorted(FOLDER.glob("*.py")), sorted(FOLDER.glob("*.toml"))
QUICK = {
    "--case": "ring",
    "--epochs": "1",
    "--pairs": "2",
    "--samples": "64",
    "--search": "5",
    "--seeds": "1",
    "--steps": "20",
}
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


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_study(study: Path, tmp_path: Path) -> None:
    shorter = re.sub(r"^steps = \d+$", "steps = 3", study.read_text(encoding="utf-8"), flags=re.M)
    assert shorter.count("steps = 3") >= 1
    (tmp_path / "study.toml").write_text(shorter)
    result = train(tmp_path / "study.toml", tmp_path / "run")
    assert result.steps == 3
    assert result.trace[-1]["frechet"] > 0, "the study measures quality"


def test_there_are_examples() -> None:
    assert "own_solver" in {path.stem for path in EXAMPLES}
    assert STUDIES
