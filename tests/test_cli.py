"""The command line: exit codes, JSON and one-line errors for scripts, tables for people."""

import csv
import io
import json
import re
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import EntryPoint, version

import pytest
import torch
from click.testing import CliRunner

import eqgan
from eqgan import registry
from eqgan.cli import main
from eqgan.games import MatrixGame, available_games, files

torch.set_num_threads(1)

PNG = b"\x89PNG\r\n\x1a\n"


def run(*words):
    """Run a command in this process."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def strict_json(text):
    """Parse JSON as a parser that knows no NaN and no Infinity does."""

    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


# -- the command itself --------------------------------------------------------------------------


def test_help_documents_the_exit_codes():
    text = run("--help").stdout
    assert re.search(r"\n +0 +the tolerance was reached", text)
    assert re.search(r"\n +1 +the run ended without reaching the tolerance", text)
    assert re.search(r"\n +2 +wrong usage", text)


def test_the_version_is_the_packages():
    assert run("--version").stdout == f"eqgan, version {version('eqgan')}\n"


def test_it_is_installed_as_a_command_of_its_own_process():
    script = "from eqgan.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, "solve", "oneill", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert strict_json(done.stdout)["value"] == pytest.approx(-0.2)


# -- solve ---------------------------------------------------------------------------------------


def test_a_solved_game_is_reported_with_its_exact_gap():
    done = run("solve", "rock_paper_scissors", "--solver", "linear_program")
    assert done.exit_code == 0
    assert "CONVERGED" in done.stdout
    assert "(exact)" in done.stdout
    assert done.stdout.count("0.3333, 0.3333, 0.3333") == 2


def test_a_lower_bound_is_called_one():
    done = run("solve", "dirac_gan", "--max-steps", "20")
    assert done.exit_code == 1
    assert re.search(r"NashConv +│ >= [\d.]+ \(lower bound\)", done.stdout)
    assert "(exact)" not in done.stdout


def test_json_is_strict_complete_and_alone():
    done = run("solve", "biased_rock_paper_scissors", "--json")
    assert done.exit_code == 0
    assert done.stderr == ""
    found = strict_json(done.stdout)
    assert found["status"] == "CONVERGED"
    assert found["converged"] is True
    assert found["certificate"]["exact"] is True
    assert found["certificate"]["nash_conv"] == pytest.approx(0, abs=1e-9)
    assert found["strategies"]["row"] == pytest.approx([1 / 2, 1 / 6, 1 / 3])
    assert found["strategies"]["column"] == pytest.approx([1 / 2, 1 / 6, 1 / 3])
    assert set(found["certificate"]["regrets"]) == {"row", "column"}


def test_json_says_null_where_nothing_is_proved():
    found = strict_json(run("solve", "dirac_gan", "--max-steps", "5", "--json").stdout)
    assert found["certificate"]["exact"] is False
    assert found["certificate"]["nash_conv_upper"] is None
    assert found["certificate"]["nash_conv"] > 0


@pytest.mark.parametrize(
    ("status", "options"),
    [
        ("CONVERGED", ["rock_paper_scissors"]),
        ("MAX_STEPS", ["oneill", "--solver", "fictitious_play", "--max-steps", "3"]),
        ("TIME_LIMIT", ["oneill", "--solver", "fictitious_play", "--tol", "0",
                        "--time-limit", "0.01", "--max-steps", "10000000"]),
        ("DIVERGED", ["bilinear", "--solver", "simultaneous_gradient", "--max-steps", "2000"]),
    ],
)  # fmt: skip
def test_exit_codes_tell_whether_the_tolerance_was_reached(status, options):
    done = run("solve", *options, "--json")
    assert strict_json(done.stdout)["status"] == status
    assert done.exit_code == (0 if status == "CONVERGED" else 1)


def test_a_diverged_run_still_prints_strict_json_and_a_table():
    options = ["bilinear", "--solver", "simultaneous_gradient", "--max-steps", "2000"]
    found = strict_json(run("solve", *options, "--json").stdout)
    assert all(abs(v[0]) < 1e12 for v in found["strategies"].values())
    assert "DIVERGED" in run("solve", *options).stdout


@pytest.mark.parametrize("extension", [".csv", ".json", ".npy", ".npz", ".nfg"])
def test_games_are_read_from_files(tmp_path, extension):
    path = tmp_path / f"game{extension}"
    files.save(MatrixGame([[3.0, 0.0], [0.0, 1.0]]), path)
    found = strict_json(run("solve", path, "--json").stdout)
    assert found["value"] == pytest.approx(0.75)
    assert found["strategies"]["row"] == pytest.approx([0.25, 0.75])


def test_a_batch_in_a_file_is_solved_as_one(tmp_path):
    path = tmp_path / "batch.npy"
    files.save(MatrixGame([[[3.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]]), path)
    found = strict_json(run("solve", path, "--json").stdout)
    assert found["value"] == pytest.approx([0.75, 1.0])
    assert len(found["strategies"]["row"]) == 2
    assert "(2 games)" in run("solve", path).stdout


def test_only_what_is_played_of_many_actions_is_in_the_table_and_all_in_json(tmp_path):
    path = tmp_path / "wide.csv"
    files.save(eqgan.games.random_game("normal", (2, 40)), path)
    shown = " ".join(run("solve", path).stdout.replace("│", " ").split())
    assert "2 of 40 actions, numbered from 0; " in shown
    assert len(strict_json(run("solve", path, "--json").stdout)["strategies"]["column"]) == 40


def test_the_likeliest_of_very_many_played_actions_are_shown(tmp_path):
    files.save(MatrixGame(torch.eye(30).double() * -1), tmp_path / "eye.npy")
    shown = " ".join(run("solve", tmp_path / "eye.npy").stdout.replace("│", " ").split())
    assert "30 of 30 actions, numbered from 0; 0: 0.03333, " in shown
    assert ", ... and 18 less likely (--json prints all)" in shown


def test_a_game_is_solved_in_fractions(tmp_path):
    (tmp_path / "game.nfg").write_text('NFG 1 R "" {"a" "b"} {2 2} 3 -3 0 0 0 0 1/3 -1/3')
    done = run("solve", tmp_path / "game.nfg", "--exact")
    assert done.exit_code == 0
    assert re.search(r"value +│ 3/10 = 0.3 ", done.stdout)
    assert done.stdout.count("1/10, 9/10") == 2
    found = strict_json(run("solve", tmp_path / "game.nfg", "--exact", "--json").stdout)
    assert found["value"] == 0.3
    assert found["exact"] == {
        "value": "3/10",
        "strategies": {"row": ["1/10", "9/10"], "column": ["1/10", "9/10"]},
    }


def test_fractions_of_any_length_are_whole_in_json_and_decimals_in_the_table(tmp_path):
    # Of a diagonal game 1 / value is the sum of 1 / payoff; here it has more digits than Python
    # likes to print.
    payoffs = [Fraction(10**1500 + k + 1, 10**1500 + k) for k in (1, 3, 7)]
    value = 1 / sum(1 / payoff for payoff in payoffs)
    diagonal = [[a if i == j else 0 for j in range(3)] for i, a in enumerate(payoffs)]
    files.save(MatrixGame(diagonal), tmp_path / "long.nfg")
    options = ["solve", tmp_path / "long.nfg", "--exact"]
    found = strict_json(run(*options, "--json").stdout)
    top, bottom = found["exact"]["value"].split("/")
    assert len(top) > 4300
    assert Decimal(top) == Decimal(value.numerator)
    assert Decimal(bottom) == Decimal(value.denominator)
    shown = run(*options).stdout
    assert re.search(r"value +│ 0\.333333333333 \(--json prints the fraction\)", shown)


def test_a_run_resumes_where_its_checkpoint_left_it(tmp_path):
    common = ["solve", "oneill", "--solver", "regret_matching", "--json", "--seed", "3"]
    saved = ["--checkpoint", tmp_path / "run.ckpt"]
    whole = strict_json(run(*common, "--max-steps", "60").stdout)
    first = strict_json(run(*common, *saved, "--max-steps", "25").stdout)
    rest = strict_json(run(*common, *saved, "--resume", "--max-steps", "60").stdout)
    assert first["steps"] == 25
    assert rest["steps"] == 60
    assert rest["strategies"] == whole["strategies"] != first["strategies"]


def test_a_picture_of_the_answer_is_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("eqgan.cli._save", lambda figure, path: drawn.append((figure, path)))
    done = run("solve", "rock_paper_scissors", "--plot", tmp_path / "a.svg")
    ((figure, path),) = drawn
    assert path == tmp_path / "a.svg"
    assert figure.get_suptitle().startswith("rock_paper_scissors\nvalue 0 ")
    assert "a.svg" in done.stdout.replace("\n", "")
    run("solve", "dirac_gan", "--plot", tmp_path / "b.png", "--max-steps", "20")
    assert drawn[-1][0].axes[0].get_ylabel() == "NashConv, lower bound"


def test_every_picture_of_a_run_is_drawn_into_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "game.csv").write_text("0,-2,1\n2,0,-3\n-1,3,0\n")
    done = run("solve", "game.csv", "--solver", "optimistic_gradient", "--plot", "new/out")
    names = ["payoff_matrix", "strategies", "simplex_trajectory", "gap"]
    files = [f"new/out/{name}.png" for name in names]
    assert re.findall(r"picture +│ (\S+)", done.stdout) == files
    assert all((tmp_path / file).read_bytes().startswith(PNG) for file in files)
    assert len(list((tmp_path / "new" / "out").iterdir())) == 4


def test_every_step_is_on_the_paths_of_three_actions_and_others_are_not_kept(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr("eqgan.plots.pictures", lambda result, path: kept.append(path) or {})
    options = ["--solver", "fictitious_play", "--max-steps", "300", "--plot", tmp_path]
    for game in ("random_uniform", "biased_rock_paper_scissors", "oneill"):
        run("solve", game, *options)
    assert [path.steps for path in kept] == [[], list(range(301)), []]


def test_a_run_that_no_picture_shows_is_printed_all_the_same(tmp_path):
    files.save(MatrixGame([[[3.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]]), tmp_path / "b.npy")
    done = run("solve", tmp_path / "b.npy", "--plot", tmp_path / "b.png", "--json")
    assert done.exit_code == 2
    assert strict_json(done.stdout)["value"] == pytest.approx([0.75, 1.0])
    assert done.stderr.startswith("Error: No picture shows this run: ")
    assert not (tmp_path / "b.png").exists()


def test_progress_never_reaches_standard_output():
    done = run("solve", "oneill", "--solver", "fictitious_play", "--max-steps", "50",
               "--json", "--progress")  # fmt: skip
    assert strict_json(done.stdout)["steps"] == 50


# -- misuse --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["solve", "rock_paper_scisors"], "Did you mean 'rock_paper_scissors'?"),
        (["solve", "oneill", "--solver", "extragradint"], "Did you mean 'extragradient'?"),
        (["solve", "absent.csv"], "Cannot read absent.csv"),
        (["solve", "game.xlsx"], ".csv, .json, .npy, .npz"),
        (["solve", "ragged.csv"], "ragged.csv, line 2"),
        (["solve", "general.nfg"], "general.nfg, line 2, column 5: expected a game of constant"),
        (["solve", "dirac_gan", "--exact"], "cannot take this game"),
        (["solve", "dirac_gan", "--solver", "linear_program"], "cannot take this game"),
        (["solve", "oneill", "--tol", "-1"], "tol should be"),
        (["solve", "oneill", "--max-steps", "-3"], "max_steps should be"),
        (["solve", "oneill", "--time-limit", "0"], "time_limit should be"),
        (["solve", "oneill", "--checkpoint", "broken.ckpt", "--resume"], "not a readable checkp"),
        (["solve", "oneill", "--checkpoint", "no/such/run.ckpt"], "does not exist"),
        (["solve", "oneill", "--plot", "ragged.csv/out"], "Cannot make the folder ragged.csv/out"),
        (["compare", "oneill", "nothing"], "No game is called 'nothing'"),
        (["compare", "oneill", "--solvers", "averaged,nothing"], "No solver is called 'nothing'"),
        (["compare", "oneill", "--evaluations", "0"], "evaluations should be"),
        (["demo", "--data", "absent"], "absent should be a folder of pictures"),
    ],
)
def test_wrong_inputs_get_one_line_and_exit_code_2(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ragged.csv").write_text("1,2\n3\n")
    (tmp_path / "general.nfg").write_text('NFG 1 R "" {"a" "b"} {2 1}\n1 1 0 1')
    (tmp_path / "broken.ckpt").write_bytes(b"junk")
    done = run(*words)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["solve"], "Missing argument"),
        (["solve", "oneill", "--resume"], "add --checkpoint FILE"),
        (["solve", "oneill", "--seed", "x"], "is not a valid integer"),
        (["solve", "oneill", "--seed", str(2**70)], "is not in the range"),
        (["solve", "oneill", "--device", "toaster"], "expected cpu, cuda or auto"),
        (["solve", "oneill", "--plot", "a.txt"], "a picture ends in .png"),
        (["solve", "oneill", "--plot", "no/such/a.png"], "does not exist"),
        (["solve", "oneill", "--exact", "--solver", "extragradient"], "--exact solves with"),
        (["compare"], "Missing argument"),
        (["compare", "oneill", "--seeds", "0"], "is not in the range"),
        (["nothing"], "No such command"),
    ],
)
def test_wrong_usage_gets_clicks_message_and_exit_code_2(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    done = run("solve", "oneill", "--device", "cuda")
    assert done.exit_code == 2
    assert "no CUDA device" in done.stderr
    assert run("solve", "oneill", "--device", "auto").exit_code == 0


# -- compare -------------------------------------------------------------------------------------

SMALL = ["--solvers", "extragradient,simultaneous_gradient", "--seeds", "2", "--evaluations", "200"]


def test_a_comparison_prints_a_table_whose_bounds_are_called_bounds():
    done = run("compare", "bilinear", "oneill", *SMALL)
    assert done.exit_code == 0
    for word in ("bilinear", "oneill", "extragradient", "simultaneous_gradient", ">="):
        assert word in done.stdout
    assert "…" not in done.stdout
    assert "only a lower bound" in done.stdout


def test_a_comparison_in_csv_has_a_line_for_every_run():
    rows = list(csv.DictReader(io.StringIO(run("compare", "oneill", *SMALL, "--csv").stdout)))
    assert len(rows) == 4
    assert {row["seed"] for row in rows} == {"0", "1"}
    assert {row["exact"] for row in rows} == {"True"}


def test_a_comparison_in_json_is_strict():
    found = strict_json(run("compare", "bilinear", *SMALL, "--json").stdout)
    assert len(found["rows"]) == 4
    verdicts = {line["solver"]: line["behaviour"] for line in found["summary"]}
    assert verdicts == {"extragradient": "converging", "simultaneous_gradient": "diverging"}


def test_a_comparison_in_markdown_is_a_table():
    lines = run("compare", "oneill", *SMALL, "--markdown").stdout.splitlines()
    assert lines[0].startswith("| game | solver |")
    assert sum(line.startswith("| oneill |") for line in lines) == 2


def test_by_default_all_solvers_that_can_take_a_game_are_compared(tmp_path):
    files.save(MatrixGame([[1.0, 0.0], [0.0, 2.0]]), tmp_path / "game.json")
    options = ["--seeds", "1", "--evaluations", "60", "--json"]
    found = strict_json(run("compare", tmp_path / "game.json", *options).stdout)
    solvers = {row["solver"] for row in found["rows"]}
    assert {"linear_program", "regret_matching", "extragradient"} <= solvers
    assert "mix_gan" not in solvers
    assert {row["status"] for row in found["rows"]} <= {"CONVERGED", "MAX_STEPS"}


def test_a_comparison_is_drawn(tmp_path):
    assert run("compare", "bilinear", *SMALL, "--plot", tmp_path / "c.png").exit_code == 0
    assert (tmp_path / "c.png").read_bytes().startswith(PNG)


# -- lists ---------------------------------------------------------------------------------------


def test_all_solvers_are_listed_with_what_they_do():
    text = run("solvers").stdout
    for name in eqgan.available_solvers():
        assert name in text
    assert "Look one step ahead" in text
    assert ":math:" not in text


def test_a_broken_plug_in_does_not_hide_the_others(monkeypatch):
    broken = EntryPoint("broken", "no.such.module:Thing", registry.GROUP)
    found = [*registry.entry_points(group=registry.GROUP), broken]
    monkeypatch.setattr(registry, "entry_points", lambda group: found)
    text = run("solvers").stdout
    assert "No module named" in text
    assert "Look one step ahead" in text


def test_all_games_are_listed_with_their_values():
    text = run("games").stdout
    for name in available_games():
        assert name in text
    assert re.search(r"oneill +│.*│ -0.2", text)
    assert re.search(r"random_uniform +│[^│]*│ +│", text)
