"""Paths: what is none gets one sentence, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import eqgan
from eqgan import callbacks, checkpoint, data, games, study, training
from eqgan.data.idx_files import idx
from eqgan.report import Report

PATHS: dict[str, Callable[[Any], Any]] = {
    "study": study.read_study,
    "trained study": lambda path: training.train(path, "out"),
    "trained into": lambda path: training.train("no/such/study.toml", path),
    "trained before": training.load,
    "game": games.load,
    "game to write": lambda path: games.save(games.matching_pennies(), path),
    "pictures": data.images,
    "labels": data.labels,
    "numbers": idx,
    "report": lambda path: Report(path, "title"),
    "trace": callbacks.TraceFile,
    "samples": lambda path: callbacks.SampleGrids(path, every=1),
    "checkpoint": lambda path: checkpoint.save(path, {}),
    "run": lambda path: eqgan.solve(games.matching_pennies(), checkpoint=path),
}


@pytest.mark.parametrize("name", PATHS)
def test_what_is_no_path_gets_one_sentence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for wrong in (5, True, 2.5, ["a"], b"a", {}):
        with pytest.raises(eqgan.InvalidInput, match="should be a path; got ") as told:
            PATHS[name](wrong)
        assert str(told.value).endswith(f"got {wrong!r}.")
    assert not list(tmp_path.iterdir())
