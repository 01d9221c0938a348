"""Training from a study: the folder tells all, and a run goes on whatever happened to it."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from matplotlib.image import imread
from test_study import DIGITS, RING, written

import eqgan
from eqgan.cli import main
from eqgan.study import read_study
from eqgan.training import load, outcome, train

EQGAN = [sys.executable, "-W", "error", "-c", "from eqgan.cli import main; main()"]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trace.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def same_run(first: Path, second: Path) -> bool:
    """Whether two folders hold the same networks, measurements and pictures, to the last bit."""
    (_, one), (_, two) = load(first), load(second)
    names = sorted(path.name for path in first.glob("*.png"))
    pictures = all((first / n).read_bytes() == (second / n).read_bytes() for n in names)
    same_names = names == sorted(path.name for path in second.glob("*.png"))
    proofs = [json.loads((f / "result.json").read_text())["certificate"] for f in (first, second)]
    return (
        one.equal(two)
        and rows(first) == rows(second)
        and bool(names)
        and same_names
        and pictures
        and proofs[0] == proofs[1]
    )


def test_the_folder_tells_all(tmp_path: Path) -> None:
    path, folder = written(tmp_path, RING), tmp_path / "runs" / "ring"
    result = train(path, folder)
    assert {file.name for file in folder.iterdir()} == {
        "study.toml", "launches.json", "trace.csv", "run.ckpt", "profile.safetensors",
        "result.json", "report.md",
        *(f"samples_{step:08d}.png" for step in (0, 10, 20)),
    }  # fmt: skip
    assert (folder / "study.toml").read_text() == RING
    (launch,) = json.loads((folder / "launches.json").read_text())
    assert launch["torch"] == torch.__version__
    assert (launch["seed"], launch["threads"], launch["eqgan"]) == (3, 1, "0.1.0")
    assert (folder / "trace.csv").read_text() == result.trace.to_csv()
    assert {"value", "captured", "high_quality", "reverse_kl"} <= set(result.trace.columns)
    assert imread(folder / "samples_00000020.png").std() > 0.01
    found = json.loads((folder / "result.json").read_text())
    assert (found["status"], found["steps"]) == ("MAX_STEPS", 20)
    assert found["value"] == pytest.approx(result.value)
    assert found["certificate"]["direction"] == "lower bound"
    assert found["certificate"]["nash_conv"] == result.certificate.nash_conv
    report = (folder / "report.md").read_text()
    assert f">= {result.certificate.nash_conv:.4g}" in report
    assert "(lower bound)" in report
    assert "![step 20](samples_00000020.png)" in report
    game, profile = load(folder)
    assert profile.equal(result.profile)
    assert torch.equal(game.generate(profile, 5), result.game.generate(result.profile, 5))


def test_the_gap_at_every_check(tmp_path: Path) -> None:
    path = written(tmp_path, RING.replace("restarts = 0", "restarts = 0\nevery_check = true"))
    result = train(path, tmp_path / "run")
    assert len(result.trace.column("nash_conv")) == 21
    assert result.trace[-1]["nash_conv"] == result.certificate.nash_conv


def test_quality_is_in_the_trace_the_report_and_on_the_terminal(tmp_path: Path) -> None:
    text = DIGITS.replace("steps = 2", "steps = 4\ncheck_every = 1") + "[measure]\nsteps = 1\n"
    folder = tmp_path / "run"
    done = CliRunner().invoke(main, ["train", str(written(tmp_path, text)), "--out", str(folder)])
    assert (done.exit_code, done.stderr) == (0, "")
    trace = rows(folder)
    assert [bool(row["frechet"]) for row in trace] == [True, False, True, False, True]
    last = {name: float(trace[-1][name]) for name in ("frechet", "coverage", "classifier_score")}
    game, profile = load(folder)
    expected = read_study(folder / "study.toml").quality
    assert expected is not None
    measured = expected.measure(game.generate(profile, 40))
    report = (folder / "report.md").read_text()
    for name, number in last.items():
        # The classifier is trained anew here; where its memory lies, sums may round otherwise.
        assert number == pytest.approx(measured[name])
        assert f"| {name} | {number:.4g} |" in report
        assert name in done.stdout
        assert f"{number:.4g}" in done.stdout


def test_a_measurement_that_the_run_outlived_says_of_which_step_it_is(tmp_path: Path) -> None:
    text = DIGITS.replace("every = 2", "every = 1000")
    text = text.replace("steps = 2", "steps = 1000000\ncheck_every = 1\ntime_limit = 1e-9")
    result = train(written(tmp_path, text + "[measure]\nsteps = 1\n"), tmp_path / "run")
    assert result.steps > 0
    assert result.trace[0]["frechet"] > 0
    assert outcome(result)["frechet"] == f"{result.trace[0]['frechet']:.4g} (at step 0)"


def test_a_collapsed_generator_is_told(tmp_path: Path) -> None:
    path, folder = written(tmp_path, RING), tmp_path / "run"
    result = train(path, folder)
    assert "same of every noise" not in outcome(result)["spread"]
    x, y = result.profile
    assert isinstance(x, torch.Tensor)
    study = read_study(path)
    assert study.quality is not None
    samples = study.game.generate(eqgan.Profile((0 * x, y)), 1000)
    result.trace.rows[-1].update(study.quality.measure(samples))
    assert outcome(result)["spread"] == "0: the generator makes nearly the same of every noise"


def test_samples_that_cannot_be_drawn_are_counted_all_the_same(tmp_path: Path) -> None:
    line = 'name = "gaussians", n = 500, means = [-1, 0, 1], std = 0.1'
    text = RING.replace('name = "ring", n = 500, std = 0.02', line)
    with pytest.raises(eqgan.InvalidInput, match=r"line 24: \[samples\] draws images and points"):
        read_study(written(tmp_path, text))
    path, folder = written(tmp_path, text[: text.index("[samples]")]), tmp_path / "run"
    assert train(path, folder).trace[-1]["captured"] in range(4)
    assert not list(folder.glob("*.png"))


def test_quality_goes_on_bit_equal(tmp_path: Path) -> None:
    text = DIGITS.replace("steps = 2", "steps = 4\ncheck_every = 1") + "[measure]\nsteps = 1\n"
    whole, longer = tmp_path / "whole", tmp_path / "longer"
    train(written(tmp_path, text), whole)
    train(written(tmp_path, text.replace("steps = 4", "steps = 2")), longer)
    train(written(tmp_path, text), longer, resume=True)
    assert same_run(whole, longer)


def test_a_killed_run_is_resumed_bit_equal(tmp_path: Path) -> None:
    text = RING.replace("steps = 20", "steps = 200\ncheck_every = 7\ncheckpoint_every = 5")
    text = text.replace("every = 10", "every = 100")
    path, whole, killed = written(tmp_path, text), tmp_path / "whole", tmp_path / "killed"
    train(path, whole)
    command = [*EQGAN, "train", str(path), "--out", str(killed)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (killed / "run.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert (killed / "run.ckpt").exists()
    assert not (killed / "result.json").exists()
    train(path, killed, resume=True)
    assert same_run(whole, killed)
    assert len(json.loads((killed / "launches.json").read_text())) == 2


def test_a_run_may_be_made_longer(tmp_path: Path) -> None:
    text = RING.replace("steps = 20", "steps = 20\ncheck_every = 5")
    whole, longer = tmp_path / "whole", tmp_path / "longer"
    train(written(tmp_path, text.replace("steps = 20", "steps = 40", 1)), whole)
    train(written(tmp_path, text), longer)
    again = written(tmp_path, text.replace("steps = 20", "steps = 40", 1))
    assert train(again, longer, resume=True).steps == 40
    assert same_run(whole, longer)
    assert (longer / "study.toml").read_text() == again.read_text()


def test_a_run_cannot_be_made_shorter_than_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(written(tmp_path, RING), folder)
    before = {file: file.read_bytes() for file in folder.iterdir()}
    shorter = written(tmp_path, RING.replace("steps = 20", "steps = 10", 1))
    with pytest.raises(eqgan.InvalidInput, match=r"steps is 10, .* has taken 20: ask for 20 or"):
        train(shorter, folder, resume=True)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before
    (folder / "run.ckpt").write_bytes(b"torn")
    with pytest.raises(eqgan.CheckpointError, match="not a readable checkpoint"):
        train(written(tmp_path, RING), folder, resume=True)


def test_a_finished_run_that_is_resumed_is_left_as_it_was(tmp_path: Path) -> None:
    path, folder = written(tmp_path, RING), tmp_path / "run"
    first = train(path, folder)
    again = train(path, folder, resume=True)
    assert again.profile.equal(first.profile)
    assert again.steps == 20


def test_folders_that_hold_something_are_refused(tmp_path: Path) -> None:
    path, folder = written(tmp_path, RING), tmp_path / "run"
    train(path, folder)
    before = {file: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(eqgan.InvalidInput, match=r"not empty: resume .*--resume.*--out"):
        train(path, folder)
    other = written(tmp_path, RING.replace("rate = 2e-3", "rate = 1e-3"))
    with pytest.raises(eqgan.InvalidInput, match=r"\[solver\] rule is .*0.001.*0.002.*may change"):
        train(other, folder, resume=True)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "note.txt").write_text("mine")
    with pytest.raises(eqgan.InvalidInput, match="holds no run to resume"):
        train(path, tmp_path / "notes", resume=True)


def test_a_study_with_a_mistake_leaves_no_folder(tmp_path: Path) -> None:
    path = written(tmp_path, RING.replace("noise_dim", "noise"))
    done = CliRunner().invoke(main, ["train", str(path), "--out", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert "noise is no key here. Did you mean 'noise_dim'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    text = RING.replace("steps = 20", "steps = 1000000\ncheck_every = 10")
    path, folder = written(tmp_path, text), tmp_path / "run"
    command = [*EQGAN, "train", str(path), "--out", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (folder / "samples_00000020.png").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "")
    assert "STOPPED" in out
    assert "--resume goes on" in out
    found = json.loads((folder / "result.json").read_text())
    assert (found["status"], found["certificate"]) == ("STOPPED", None)
    assert found["steps"] >= 20
    shorter = written(tmp_path, text.replace("1000000", str(found["steps"] + 5)))
    assert train(shorter, folder, resume=True).steps == found["steps"] + 5


SMALL_DISK = """
import resource, signal, sys
from eqgan.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write that is too long fails as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
main(sys.argv[1:])
"""


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path: Path) -> None:
    path, folder = written(tmp_path, RING), tmp_path / "run"
    train(path, folder)
    saved = (folder / "run.ckpt").read_bytes()
    assert len(saved) > 4000
    longer = written(tmp_path, RING.replace("steps = 20", "steps = 30").replace("= 10", "= 1000"))
    command = [sys.executable, "-c", SMALL_DISK, "train", str(longer), "--out", str(folder)]
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"Cannot write the checkpoint {folder / 'run.ckpt'}: File too large." in done.stderr
    assert (folder / "run.ckpt").read_bytes() == saved
    assert not list(folder.glob(".*partial"))
    assert train(longer, folder, resume=True).steps == 30


def test_time_limits_and_divergence_have_their_exit_code(tmp_path: Path) -> None:
    path = written(tmp_path, RING.replace("steps = 20", "steps = 1000000\ntime_limit = 0.2"))
    done = CliRunner().invoke(main, ["train", str(path), "--out", str(tmp_path / "slow")])
    assert (done.exit_code, "TIME_LIMIT" in done.stdout) == (1, True)
    start, stop = RING.index('name = "adam"'), RING.index("[run]")
    path = written(tmp_path, RING[:start] + 'name = "sgd"\nlr = 1e30\n' + RING[stop:])
    done = CliRunner().invoke(main, ["train", str(path), "--out", str(tmp_path / "wild")])
    assert done.exit_code == 1
    found = json.loads((tmp_path / "wild" / "result.json").read_text())
    assert found["status"] == "DIVERGED"
    assert "the last good one, of step 0" in found["message"]
    assert load(tmp_path / "wild")[1].is_finite()


def test_studies_by_name_alone_end_up_in_out(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["train", str(written(tmp_path, RING))])
    assert (done.exit_code, done.stderr) == (0, "")
    assert "(lower bound)" in done.stdout
    assert (tmp_path / "out" / "study" / "report.md").exists()


def test_a_start_that_failed_can_be_mended_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"

    def fails(*_: object, **__: object) -> None:
        raise eqgan.UnsupportedGame("no")

    other = written(tmp_path, RING.replace("seed = 3", "seed = 4"))
    with monkeypatch.context() as patched:
        patched.setattr("eqgan.training.solve", fails)
        with pytest.raises(eqgan.UnsupportedGame):
            train(other, folder)
    with pytest.raises(eqgan.CheckpointError, match="has not ended: go on with it"):
        load(folder)
    assert train(written(tmp_path, RING), folder, resume=True).steps == 20
    with pytest.raises(eqgan.InvalidInput, match=r"seed is left out, and .* started it was 3"):
        train(written(tmp_path, RING.replace("seed = 3", "")), folder, resume=True)
    (folder / "launches.json").write_text("[")
    with pytest.raises(eqgan.UnreadableFile, match=r"launches.json is damaged .*delete it"):
        train(written(tmp_path, RING), folder, resume=True)
