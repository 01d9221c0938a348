"""A third party's solver, found by its name through the entry-point group and held to the laws."""

from __future__ import annotations

from pathlib import Path

import pytest

import eqgan
from eqgan.testing import check_solver

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that examples/own_solver.py was installed as a distribution of its own."""
    info = tmp_path / "own_solver-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-solver\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[eqgan.solvers]\ngolden_ratio = own_solver:GoldenRatio\nno_solver = own_solver:dataclass\n"
    )
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.syspath_prepend(tmp_path)


def test_the_example_stays_short() -> None:
    assert len((EXAMPLES / "own_solver.py").read_text().splitlines()) < 40


def test_it_is_unknown_before_it_is_installed() -> None:
    assert "golden_ratio" not in eqgan.available_solvers()
    with pytest.raises(eqgan.UnknownName, match="golden_ratio"):
        eqgan.solve(eqgan.games.rock_paper_scissors(), "golden_ratio")


@pytest.mark.usefixtures("installed")
def test_it_is_found_by_name_beside_the_builtin_solvers() -> None:
    assert {"golden_ratio", "extragradient"} <= set(eqgan.available_solvers())
    result = eqgan.solve(eqgan.games.biased_rock_paper_scissors(), "golden_ratio")
    assert type(result.solver).__name__ == "GoldenRatio"
    assert result.status is eqgan.Status.CONVERGED


@pytest.mark.usefixtures("installed")
def test_it_keeps_every_law_on_every_kind_of_game() -> None:
    report = check_solver("golden_ratio")
    assert not report.refused
    assert all(skipped.reason for skipped in report.skipped)


@pytest.mark.usefixtures("installed")
def test_an_entry_point_that_is_no_solver_is_explained() -> None:
    with pytest.raises(eqgan.InvalidInput, match=r"no_solver = 'own_solver:dataclass'"):
        eqgan.solve(eqgan.games.rock_paper_scissors(), "no_solver")
