"""The command as a process of its own."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import eqgan
from eqgan import cli


def test_small_games_are_solved_on_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "large.npy", np.eye(150))
    solve, threads = eqgan.solve, []

    def spied(*args: Any, **options: Any) -> Any:
        threads.append(torch.get_num_threads())
        return solve(*args, **options)

    monkeypatch.setattr(eqgan, "solve", spied)
    try:
        for game in ("oneill", str(tmp_path / "large.npy")):
            torch.set_num_threads(2)
            CliRunner().invoke(cli.main, ["solve", game, "--no-progress"])
    finally:
        torch.set_num_threads(1)
    assert threads == [1, 2]


def test_python_m_is_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["eqgan", "solve", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("eqgan", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("Usage: eqgan solve")


def test_a_games_start_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = []
    initial = eqgan.Game.initial

    def counted(game: eqgan.Game, *rest: torch.Generator) -> eqgan.Profile:
        starts.append(game)
        return initial(game, *rest)

    monkeypatch.setattr(eqgan.Game, "initial", counted)
    done = CliRunner().invoke(cli.main, ["solve", "oneill", "--no-progress"])
    assert done.exit_code == 0
    assert len(starts) == 1
