"""The demo and its report: complete, honest about bounds, and repeatable."""

import re
import struct
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

import eqgan
from eqgan import demo
from eqgan.errors import InvalidInput, UnreadableFile
from eqgan.report import Report

torch.set_num_threads(1)

FASHION = Path(__file__).resolve().parents[2] / "shared" / "data" / "fashion-mnist"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The quick demo's output."""
    pytest.importorskip("sklearn")
    out = tmp_path_factory.mktemp("demo") / "new" / "out"
    assert demo.run_demo(out, quick=True) == out / "report.md"
    return out


def rows(text, column):
    """Return the cells of every table that has the column."""
    cells = []
    for table in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE):
        head, _, *body = (line.strip("| ").split(" | ") for line in table.splitlines())
        if column in head:
            cells += [line[head.index(column)] for line in body]
    return cells


def test_every_picture_is_in_the_report_and_every_one_there_is_a_picture(folder):
    shown = re.findall(r"\]\((\S+\.png)\)", (folder / "report.md").read_text())
    assert len(shown) == len(set(shown)) >= 9
    assert {path.name for path in folder.iterdir()} == {"report.md", *shown}
    for name in shown:
        payload = (folder / name).read_bytes()
        assert payload.startswith(PNG)
        width, height = struct.unpack(">2I", payload[16:24])
        assert min(width, height) > 200


def test_ctrl_c_ends_the_demo_and_leaves_no_report(tmp_path, monkeypatch):
    def interrupted(run):
        raise KeyboardInterrupt

    monkeypatch.setattr("eqgan.loop.Run.advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        demo.run_demo(tmp_path, quick=True)
    assert not (tmp_path / "report.md").exists()


def test_every_solver_that_can_take_a_matrix_game_is_in_the_table(folder):
    game = eqgan.games.rock_paper_scissors()
    able = {
        name
        for name in eqgan.available_solvers()
        if eqgan.solver_class(name)().unsupported(game) is None
    }
    assert able <= set(rows((folder / "report.md").read_text(), "solver"))
    assert "mix_gan" not in able


def test_every_gap_says_whether_it_is_exact_or_a_lower_bound(folder):
    gaps = rows((folder / "report.md").read_text(), "NashConv")
    assert len(gaps) >= 20
    number = r"\d[\d.e+-]*"
    for cell in gaps:
        assert re.fullmatch(
            rf"{number} \(exact\)|>= {number}( ± {number})? \(lower bound\)", cell
        ), cell
    assert any("exact" in cell for cell in gaps)
    assert any("lower bound" in cell for cell in gaps)


def test_the_number_of_threads_is_put_back(tmp_path, monkeypatch):
    seen = []
    nothing = lambda report, effort, *rest: seen.append(torch.get_num_threads())  # noqa: E731
    for study in ("rock_paper_scissors", "dirac_gan", "ring", "pictures"):
        monkeypatch.setattr(demo, study, nothing)
    torch.set_num_threads(2)
    try:
        demo.run_demo(tmp_path, data=tiny_images(tmp_path / "data"), quick=True)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert seen == [1, 1, 1, 1]


def tiny_images(folder, side=8, count=12):
    """Write random images in MNIST's format; return their folder."""
    folder.mkdir()
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count * side * side,), generator=rng).tolist()
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", count, side, side)
    (folder / "train-images-idx3-ubyte").write_bytes(header + bytes(pixels))
    return folder


def test_equal_seeds_give_equal_gaps_whatever_the_global_generator_does(tmp_path):
    images = eqgan.data.images(tiny_images(tmp_path / "data"))
    found = []
    for _ in range(2):
        # Building networks moves torch's global generator; the results must not notice.
        report = Report(tmp_path / "out", "images")
        demo.pictures(report, demo.QUICK, images)
        found.append(rows(report.save().read_text(), "NashConv"))
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_a_folder_without_images_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UnreadableFile, match=r"neither train-.*-ubyte nor any picture"):
        demo.run_demo(tmp_path / "out", data=tmp_path, quick=True)
    with pytest.raises(InvalidInput, match=r"multiple of 4; got 7 x 7"):
        demo.run_demo(tmp_path / "out", data=tiny_images(tmp_path / "odd", side=7), quick=True)
    assert not (tmp_path / "out").exists()


def test_coloured_pictures_serve_too():
    rng = torch.Generator().manual_seed(0)
    game = demo.image_gan(2 * torch.rand(20, 3, 8, 8, generator=rng) - 1, width=8)
    assert eqgan.solve(game, max_steps=1).profile.is_finite()


@pytest.mark.skipif(not FASHION.is_dir(), reason=f"Fashion-MNIST is not at {FASHION}")
def test_real_images_of_28_pixels_are_trained_on(tmp_path):
    images = eqgan.data.images(FASHION)[:500]
    report = Report(tmp_path, "images")
    demo.pictures(report, demo.QUICK, images)
    assert "500 images of 28 x 28 pixels" in report.save().read_text()
    assert (tmp_path / "images_generated.png").read_bytes().startswith(PNG)


# -- reports -------------------------------------------------------------------------------------


def test_a_report_is_written_in_the_order_of_its_blocks(tmp_path):
    report = Report(tmp_path, "A title")
    report.heading("Part")
    report.text("Several\n  lines.")
    report.table([{"a": "x|y", "b": 1}, {"a": "two\nlines", "b": 2}])
    path = report.figure(Figure(figsize=(1, 1)), "empty", "Nothing")
    assert path == tmp_path / "empty.png"
    assert path.read_bytes().startswith(PNG)
    assert report.save().read_text() == (
        "# A title\n\n## Part\n\nSeveral lines.\n\n"
        "| a | b |\n| --- | --- |\n| x\\|y | 1 |\n| two lines | 2 |\n\n"
        "![Nothing](empty.png)\n\n*Nothing*\n"
    )


def test_a_gallery_shows_pictures_side_by_side(tmp_path):
    report = Report(tmp_path, "Two")
    report.gallery({name: (name, Figure(figsize=(1, 1))) for name in ("left", "right")})
    assert "| ![left](left.png) | ![right](right.png) |" in report.save().read_text()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InvalidInput, match="Cannot make the folder"):
        Report(tmp_path / "file" / "out", "title")


def test_a_failed_write_leaves_the_old_report(tmp_path, monkeypatch):
    Report(tmp_path, "old").save()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InvalidInput, match="No space left"):
        Report(tmp_path, "new").save()
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    assert (tmp_path / "report.md").read_text() == "# old\n"
