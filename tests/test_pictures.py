"""Folders of images and labels: in MNIST's format, or pictures that may be damaged or hostile."""

import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from test_data import idx_bytes, write

from eqgan import data
from eqgan.errors import InvalidInput, UnreadableFile

torch.set_num_threads(1)


def picture(folder, name, pixels, mode="L"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype="uint8"), mode=mode).save(path)
    return path


def test_grey_pictures_come_in_the_order_of_their_paths(tmp_path):
    picture(tmp_path, "b/2.png", [[51, 0], [0, 0]])
    picture(tmp_path, "a/1.PNG", [[255, 0], [0, 0]])
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    (tmp_path / "a" / "._1.png").write_text("what macOS leaves beside a picture")
    found = data.images(tmp_path)
    assert found.shape == (2, 1, 2, 2)
    torch.testing.assert_close(found[:, 0, 0, 0], torch.tensor([1.0, -0.6]))
    assert data.labels(tmp_path).tolist() == [0, 1]
    assert data.labels(tmp_path).dtype == torch.int64


def test_one_coloured_picture_makes_all_of_them_coloured(tmp_path):
    picture(tmp_path, "1.png", [[255]])
    picture(tmp_path, "2.png", [[[0, 51, 255]]], mode="RGB")
    found = data.images(tmp_path)
    assert found.shape == (2, 3, 1, 1)
    torch.testing.assert_close(found[:, :, 0, 0], torch.tensor([[1.0, 1, 1], [-1, -0.6, 1]]))


def test_what_is_transparent_is_white(tmp_path):
    picture(tmp_path, "1.png", [[[0, 0, 0, 0], [0, 0, 0, 255]]], mode="RGBA")
    found = data.images(tmp_path)
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([1.0, -1.0]))


def test_pictures_are_cropped_to_their_middle_and_scaled(tmp_path):
    wide = np.zeros((8, 16))
    wide[:, 2:14] = 255  # the middle square, and what bicubic weights see beside it
    picture(tmp_path, "wide.png", wide)
    picture(tmp_path, "tall.png", wide.T)
    found = data.images(tmp_path, size=4)
    torch.testing.assert_close(found, torch.ones(2, 1, 4, 4))
    with pytest.raises(InvalidInput, match=r"one size; .*tall.png has .*\(16, 8\).* Pass size="):
        data.images(tmp_path)


def test_photographs_are_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.fromarray(np.zeros((8, 16), dtype="uint8")).save(tmp_path / "1.jpg", exif=exif)
    assert data.images(tmp_path).shape == (1, 1, 16, 8)


def test_mnist_folders_are_scaled_split_and_labelled(tmp_path):
    for split, count in (("train", 3), ("t10k", 2)):
        write(tmp_path, idx_bytes([count, 4, 4], [255] * 16 * count), f"{split}-images-idx3-ubyte")
        write(tmp_path, idx_bytes([count], range(count)), f"{split}-labels-idx1-ubyte.gz")
    torch.testing.assert_close(data.images(tmp_path, 2), torch.ones(3, 1, 2, 2))
    assert data.images(tmp_path, split="test").shape == (2, 1, 4, 4)
    assert data.labels(tmp_path).tolist() == [0, 1, 2]
    assert data.labels(tmp_path, "test").tolist() == [0, 1]


def test_damaged_and_hostile_pictures_get_one_sentence(tmp_path):
    good = picture(tmp_path, "1.png", np.arange(4096).reshape(64, 64) % 256).read_bytes()
    huge = bytearray(good)
    huge[16:24] = struct.pack(">II", 60_000, 60_000)
    huge[29:33] = struct.pack(">I", zlib.crc32(bytes(huge[12:29])))
    for payload in (b"", b"no picture", good[:60], good[: len(good) // 2], bytes(huge)):
        (tmp_path / "1.png").write_bytes(payload)
        with pytest.raises(UnreadableFile, match=r"1\.png should be a picture") as caught:
            data.images(tmp_path)
        assert "\n" not in str(caught.value)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data(), st.sampled_from(["png", "jpg", "bmp", "webp", "ppm"]))
def test_any_damage_to_a_picture_is_read_or_refused(tmp_path, draws, suffix):
    path = tmp_path / f"1.{suffix}"
    for old in tmp_path.iterdir():
        old.unlink()
    Image.fromarray((np.arange(192) % 256).astype("uint8").reshape(8, 8, 3)).save(path)
    stored = bytearray(path.read_bytes())
    for _ in range(draws.draw(st.integers(1, 3))):
        stored[draws.draw(st.integers(0, len(stored) - 1))] = draws.draw(st.integers(0, 255))
    path.write_bytes(bytes(stored[: draws.draw(st.integers(0, len(stored)))]))
    shape, sentence = None, ""
    try:
        shape = data.images(tmp_path, size=4).shape[2:]
    except UnreadableFile as error:
        sentence = str(error)
    assert shape == (4, 4) or ("\n" not in sentence and "should be a picture" in sentence)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda folder: data.images(folder / "absent"), "there is no such folder"),
        (lambda folder: data.images(folder), "neither train-.*-ubyte nor any picture"),
        (lambda folder: data.labels(folder), "nor any picture"),
        (lambda folder: data.images(folder, split="valid"), "'train' or 'test'; got 'valid'"),
        (lambda folder: data.images(folder, size=0), "size should be a whole number"),
    ],
)
def test_folders_without_images_are_refused(tmp_path, call, said):
    with pytest.raises(InvalidInput, match=said):
        call(tmp_path)


def test_pictures_without_what_was_asked_for_are_refused(tmp_path):
    picture(tmp_path, "1.png", [[0]])
    with pytest.raises(UnreadableFile, match=r"one folder of pictures a class .* 1.png is in none"):
        data.labels(tmp_path)
    with pytest.raises(UnreadableFile, match="give the folder of one"):
        data.images(tmp_path, split="test")
    Image.fromarray(np.zeros((1, 1), dtype="uint16")).save(tmp_path / "1.png")
    with pytest.raises(UnreadableFile, match="8 bits a channel"):
        data.images(tmp_path)
