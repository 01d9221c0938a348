"""The command as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import eqgan
from eqgan import cli


def test_small_games_are_solved_on_one_thread(tmp_path: Path) -> None:
    np.save(tmp_path / "large.npy", np.eye(150))
    script = """
import click, torch, eqgan.run
from eqgan import cli
torch.set_num_threads(2)
solve = eqgan.run.solve
def spied(*args, **options):
    print("threads", torch.get_num_threads())
    return solve(*args, **options)
eqgan.solve = spied
cli.main()
"""
    for game, count in (("oneill", 1), (str(tmp_path / "large.npy"), 2)):
        command = [sys.executable, "-c", script, "solve", game]
        done = subprocess.run(command, capture_output=True, text=True)
        assert f"threads {count}" in done.stdout


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
