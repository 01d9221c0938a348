"""Matrix games in files: round trips, and one clear sentence for everything that is wrong."""

import io
import json
import os
import re
import stat
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from eqgan.errors import EqganError, InvalidInput, UnreadableFile
from eqgan.games import MatrixGame, biased_rock_paper_scissors
from eqgan.games.files import load, save

torch.set_num_threads(1)

EXTENSIONS = (".csv", ".json", ".npy", ".npz", ".nfg")
anywhere = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def matrices(width):
    """Finite floats of every magnitude whose range is finite too, in shapes up to 4 x 4."""
    most = 2.0**1022 if width == 8 else 2.0**126
    return arrays.arrays(
        np.dtype(f"f{width}"),
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=4),
        elements=st.floats(-most, most, width=8 * width),
    )


# -- round trips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", [".json", ".nfg"])
def test_the_names_of_actions_are_kept(tmp_path, extension):
    path = tmp_path / f"game{extension}"
    save(MatrixGame([[1, 2]], actions=(["go"], ["left", "right"])), path)
    assert load(path).actions == (("go",), ("left", "right"))
    save(MatrixGame([[1, 2]]), path)
    assert load(path).actions is None


@pytest.mark.parametrize("extension", EXTENSIONS)
@anywhere
@given(payoffs=matrices(8))
@example(payoffs=np.array([[0.1, -0.0, 5e-324, 1e307]]))
def test_what_is_saved_is_loaded_bit_for_bit(tmp_path, extension, payoffs):
    path = tmp_path / f"game{extension}"
    save(MatrixGame(payoffs), path)
    loaded = load(path)
    assert loaded.payoff_matrix.dtype == torch.float64
    assert loaded.payoff_matrix.numpy().tobytes() == payoffs.tobytes()
    assert loaded.name == "game"


@pytest.mark.parametrize("extension", EXTENSIONS)
@anywhere
@given(payoffs=matrices(4))
def test_single_precision_keeps_its_values_and_in_numpys_formats_its_dtype(
    tmp_path, extension, payoffs
):
    path = tmp_path / f"game{extension}"
    save(MatrixGame(payoffs), path)
    loaded = load(path).payoff_matrix
    assert loaded.dtype == (torch.float32 if "np" in extension else torch.float64)
    assert torch.equal(loaded, torch.as_tensor(payoffs).to(loaded.dtype))


@pytest.mark.parametrize("extension", [".json", ".npy", ".npz"])
def test_batches_are_kept(tmp_path, extension):
    payoffs = torch.arange(12.0).reshape(2, 3, 2)
    save(MatrixGame(payoffs), tmp_path / f"b{extension}")
    assert load(tmp_path / f"b{extension}").batch_shape == (2,)


@pytest.mark.parametrize("extension", [".json", ".npz", ".nfg"])
def test_what_both_players_receive_together_is_kept(tmp_path, extension):
    path = tmp_path / f"game{extension}"
    save(MatrixGame([[0.1, 2.0]], constant=2.5), path)
    loaded = load(path)
    assert loaded.constant == 2.5
    assert loaded.payoff_matrix.tolist() == [[0.1, 2.0]]


def test_json_keeps_what_is_known(tmp_path):
    game = biased_rock_paper_scissors()
    save(game, tmp_path / "game.json")
    loaded = load(tmp_path / "game.json")
    assert (loaded.name, loaded.value) == (game.name, game.value)
    assert loaded.equilibrium.equal(game.equilibrium)


def test_saving_replaces_the_file_whole(tmp_path):
    path = tmp_path / "game.csv"
    path.write_text("old")
    save(MatrixGame([[1, 2]]), path)
    assert path.read_text() == "1.0,2.0\n"
    assert os.listdir(tmp_path) == ["game.csv"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


# -- reading what people write -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "1,2\n3,4"),
        ("a.CSV", "# payoffs of the row player\n\n 1 , 2\r\n3e0,+4\r\n\n"),
        ("a.csv", '\ufeff"1","2"\n"3","4"\n'),
        ("a.json", "[[1, 2], [3, 4]]"),
        ("a.json", '{"payoffs": [[1, 2], [3, 4]], "name": null}'),
    ],
)
def test_several_ways_to_write_one_game(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    game = load(str(path))
    assert game.payoff_matrix.tolist() == [[1, 2], [3, 4]]
    assert game.name == "a"


@pytest.mark.parametrize(
    "array", [np.arange(4).reshape(2, 2), np.asfortranarray([[0.0, 1], [2, 3]])]
)
def test_any_array_of_numbers_is_read(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", whatever=array)
    for name in ("a.npy", "a.npz"):
        assert load(tmp_path / name).payoff_matrix.tolist() == [[0, 1], [2, 3]]


def test_the_array_called_payoffs_is_taken(tmp_path):
    np.savez(tmp_path / "a.npz", other=np.zeros(3), payoffs=np.eye(2))
    assert load(tmp_path / "a.npz").payoff_matrix.tolist() == [[1, 0], [0, 1]]


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "should hold lines of numbers; it holds none"),
        ("a.csv", b"# only a remark\n", "it holds none"),
        ("a.csv", b"1,2\n3\n", "line 2: every line should have .* 2; this one has 1"),
        ("a.csv", b"1,2\n\n3,x\n", "line 3: expected finite numbers .*got 'x'"),
        ("a.csv", b"1,2\n3,\n", "line 2: .*got ''"),
        ("a.csv", b"1;2\n", "line 1: .*got '1;2'"),
        ("a.csv", b"1,nan\n", "line 1: .*got 'nan'"),
        ("a.csv", b"1,1e999\n", "line 1: .*got '1e999'"),
        ("a.csv", b"1,2_0\n", "line 1: .*got '2_0'"),
        ("a.csv", b"1,\xd9\xa2\n", "line 1: expected finite numbers"),  # two, in Arabic
        ("a.csv", b"1,2\n\xff\xfe\n", "expected text in UTF-8"),
        ("a.csv", b'1,2\n"3,4\n', "line 2: unexpected end of data"),
        ("a.csv", b"\x00\x01,2\n", "line 1: expected finite numbers"),
        ("a.json", b"", "should hold JSON"),
        ("a.json", b"[[1, 2], [3", "should hold JSON"),
        ("a.json", b"[[1, NaN]]", "it holds NaN"),
        ("a.json", b"[[1, 1e999]]", "holds no matrix game: .*finite"),
        ("a.json", b"[" * 100_000, "should hold JSON"),
        ("a.json", b"\xff\xfe\x00", "should hold JSON"),
        ("a.json", b"[]", "holds no matrix game"),
        ("a.json", b"[[1, 2], [3]]", "holds no matrix game: .*rectangular"),
        ("a.json", b'[["a", "b"]]', "holds no matrix game: .*real numbers"),
        ("a.json", b'[[1, {"a": 2}]]', "holds no matrix game"),
        ("a.json", b"3", "should hold nested lists"),
        ("a.json", b'{"payoffs": [[1]], "payoffs": [[2]]}', "field 'payoffs' more than once"),
        ("a.json", b'{"matrix": [[1]]}', r"got the fields \['matrix'\]"),
        ("a.json", b'{"payoffs": [[1]], "name": 3}', "'name' should be a string"),
        ("a.json", b'{"payoffs": [[1]], "value": "0"}', "'value' should be a finite number"),
        ("a.json", b'{"payoffs": [[1]], "value": 1e999}', "'value' should be a finite number"),
        ("a.json", b'{"payoffs": [[1]], "constant": true}', "'constant' should be a finite number"),
        ("a.json", b'{"payoffs": [[1]], "equilibrium": 3}', "'equilibrium' should be"),
        ("a.json", b'{"payoffs": [[1]], "actions": 3}', "actions should be two lists of names"),
        ("a.json", b'{"payoffs": [[1]], "equilibrium": [[2], [1]]}', "off its set"),
        ("a.npy", b"", "NumPy's format"),
        ("a.npy", b"junk" * 50, "NumPy's format"),
        ("a.npz", b"", "NumPy's format"),
        ("a.npz", b"PK\x03\x04" + b"junk" * 50, "NumPy's format"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_sentence(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=said) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_quoted_of_an_array_stands_on_one_line(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 2), dtype=[("a", float)]))
    with pytest.raises(UnreadableFile, match="array of real numbers") as caught:
        load(tmp_path / "a.npy")
    assert "\n" not in str(caught.value)


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1, None]], dtype=object),
        np.array([["a", "b"]]),
        np.array([[1j]]),
        np.zeros((0, 3)),
        np.zeros((0, 2, 2)),
        np.zeros(3),
        np.array([[np.inf, 0]]),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    ],
    ids=["pickled", "text", "complex", "empty", "no games", "vector", "infinite", "records"],
)
def test_arrays_that_are_no_payoffs_are_refused(tmp_path, array):
    (tmp_path / "a.npy").write_bytes(npy(array))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("payoffs.npy", npy(array))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(UnreadableFile, match=name):
            load(tmp_path / name)


@pytest.mark.parametrize(
    "constant", [np.zeros(2), np.array("a"), np.array(np.nan), np.array(True), np.array(1j)]
)
def test_a_constant_that_is_no_number_is_refused(tmp_path, constant):
    np.savez(tmp_path / "a.npz", payoffs=np.eye(2), constant=constant)
    with pytest.raises(UnreadableFile, match="constant"):
        load(tmp_path / "a.npz")


def test_an_archive_of_several_arrays_must_name_one(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.eye(2), y=np.eye(2))
    with pytest.raises(UnreadableFile, match="it holds x, y"):
        load(tmp_path / "a.npz")


@pytest.mark.parametrize("extension", [".npy", ".npz"])
def test_a_header_that_promises_terabytes_allocates_nothing(tmp_path, extension):
    payload = npy(np.zeros((10, 10))).replace(b"(10, 10), }      ", b"(999999, 999999)}")
    assert b"999999" in payload
    path = tmp_path / f"a{extension}"
    if extension == ".npy":
        path.write_bytes(payload)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("payoffs.npy", payload)
    with pytest.raises(UnreadableFile, match=r"promises|greater than file size"):
        load(path)


@pytest.mark.parametrize("name", ["game.txt", "game", "game.efg", "game.csv.bak"])
def test_other_extensions_are_refused_with_the_known_ones(tmp_path, name):
    (tmp_path / name).write_text("1,2\n")
    for call in (load, lambda path: save(MatrixGame([[1]]), path)):
        with pytest.raises(InvalidInput, match=re.escape(", ".join(EXTENSIONS))):
            call(tmp_path / name)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_missing_files_and_folders_are_refused(tmp_path, extension):
    (tmp_path / f"folder{extension}").mkdir()
    for name in ("absent", "folder"):
        with pytest.raises(UnreadableFile, match=name):
            load(tmp_path / f"{name}{extension}")
    with pytest.raises(InvalidInput, match="No such file or directory"):
        save(MatrixGame([[1]]), tmp_path / "absent" / f"a{extension}")


def test_only_matrix_games_are_saved_and_only_one_in_csv(tmp_path):
    with pytest.raises(InvalidInput, match="save writes a MatrixGame; got list"):
        save([[1]], tmp_path / "a.json")
    for extension, said in ((".csv", "CSV holds one game"), (".nfg", "holds one game")):
        with pytest.raises(InvalidInput, match=said):
            save(MatrixGame(np.zeros((2, 3, 3))), tmp_path / f"a{extension}")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("extension", EXTENSIONS)
@anywhere
@given(draws=st.data())
def test_any_damage_is_either_read_or_refused_in_a_sentence(tmp_path, extension, draws):
    path = tmp_path / f"a{extension}"
    save(MatrixGame([[1.5, -2.0], [0.25, 3.0]], value=1.0), path)
    stored = bytearray(path.read_bytes())
    for _ in range(draws.draw(st.integers(1, 3))):
        stored[draws.draw(st.integers(0, len(stored) - 1))] = draws.draw(st.integers(0, 255))
    path.write_bytes(stored[: draws.draw(st.integers(0, len(stored)))])
    outcome = None
    try:
        outcome = load(path)
    except EqganError as error:
        outcome = error
    if isinstance(outcome, MatrixGame):
        assert bool(torch.isfinite(outcome.payoff_matrix).all())
    else:
        assert isinstance(outcome, UnreadableFile)
        assert "\n" not in str(outcome)


def test_json_that_is_saved_is_strict(tmp_path):
    save(MatrixGame([[1e307, -1e307]]), tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text)["payoffs"] == [[1e307, -1e307]]
