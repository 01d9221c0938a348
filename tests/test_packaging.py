"""What is shipped: one top-level package, with the solvers inside."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def run(code: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel from a copy: setuptools writes build folders beside the sources."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("eqgan", "solvers"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    build = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source],
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    (file,) = out.glob("*.whl")
    return zipfile.ZipFile(file)


def test_packages_match_the_folders() -> None:
    folders = [p.parent for p in (ROOT / "eqgan").rglob("__init__.py")]
    core = {".".join(f.relative_to(ROOT).parts) for f in folders if f.name != "solvers"}
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == core | {"eqgan.solvers"}
    assert PYPROJECT["tool"]["setuptools"]["package-dir"] == {"eqgan.solvers": "solvers"}


def test_the_link_for_editors_leads_to_the_solvers() -> None:
    link = ROOT / "eqgan" / "solvers"
    assert link.is_symlink()
    assert link.readlink() == Path("../solvers")


def test_the_wheel_holds_eqgan_and_nothing_beside_it(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"eqgan"}


def test_the_wheel_holds_every_module_and_the_type_markers(wheel: zipfile.ZipFile) -> None:
    sources = {
        p.relative_to(ROOT).as_posix()
        for p in (ROOT / "eqgan").rglob("*.py")
        if p.relative_to(ROOT).parts[1] != "solvers"
    }
    sources |= {f"eqgan/solvers/{p.name}" for p in (ROOT / "solvers").glob("*.py")}
    assert len(sources) > 30
    shipped = {name for name in wheel.namelist() if name.endswith(".py")}
    assert shipped == sources
    assert {"eqgan/py.typed", "eqgan/solvers/py.typed"} <= set(wheel.namelist())


def test_the_wheel_works_away_from_the_sources(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path / "site")
    code = (
        "import eqgan; r = eqgan.solve(eqgan.games.rock_paper_scissors(), 'linear_program');"
        "print(eqgan.__file__, eqgan.solvers.__file__, r.status.name, r.certificate.nash_conv)"
    )
    result = run(code, tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert result.returncode == 0, result.stderr
    package, solvers, status, gap = result.stdout.split()
    assert Path(package) == tmp_path / "site" / "eqgan" / "__init__.py"
    assert Path(solvers) == tmp_path / "site" / "eqgan" / "solvers" / "__init__.py"
    assert status == "CONVERGED"
    assert float(gap) <= 1e-12


def test_the_solvers_folder_is_no_package_of_its_own() -> None:
    result = run("import solvers", ROOT)
    assert result.returncode != 0
    assert "ImportError: Import the solvers as eqgan.solvers" in result.stderr


def test_a_users_own_solvers_module_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "solvers.py").write_text("MINE = 1\n")
    result = run("import eqgan.solvers, solvers; print(solvers.MINE)", tmp_path)
    assert result.stdout.strip() == "1", result.stderr


def test_every_pin_is_exact_and_public() -> None:
    lines = (ROOT / "tests" / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert pins["torch"] == "2.13.0"
    assert not [line for line in lines if "://" in line or "+" in line]
    extras = PYPROJECT["project"]["optional-dependencies"]
    needed = PYPROJECT["project"]["dependencies"] + extras["dev"] + extras["data"]
    names = {requirement.split(">=")[0].lower() for requirement in needed}
    assert not names - {name.lower() for name in pins}
