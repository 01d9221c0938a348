"""Data: known modes, digits, and files that may be damaged or hostile."""

import gzip
import math
import re
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eqgan import data
from eqgan.data.given import as_data
from eqgan.errors import InvalidInput, UnreadableFile
from eqgan.gan.metrics import modes

torch.set_num_threads(1)

FASHION = Path(__file__).resolve().parents[2] / "shared" / "data" / "fashion-mnist"
TRAIN_IMAGES = "train-images-idx3-ubyte"
CODES = {0x08: "B", 0x09: "b", 0x0B: "h", 0x0C: "i", 0x0D: "f", 0x0E: "d"}
DTYPES = {
    0x08: torch.uint8,
    0x09: torch.int8,
    0x0B: torch.int16,
    0x0C: torch.int32,
    0x0D: torch.float32,
    0x0E: torch.float64,
}


def idx_bytes(shape, numbers, code=0x08):
    header = bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    return header + struct.pack(f">{len(numbers)}{CODES[code]}", *numbers)


def write(folder, payload, name="file"):
    path = folder / name
    path.write_bytes(gzip.compress(payload) if name.endswith(".gz") else payload)
    return path


# -- mixtures ------------------------------------------------------------------------------------


def test_a_ring_has_its_means_on_the_circle_and_its_samples_near_them():
    mixture = data.ring(20_000, modes=8, radius=2.0, std=0.05, seed=3)
    assert mixture.samples.shape == (20_000, 2)
    assert mixture.samples.dtype == mixture.means.dtype == torch.float32
    torch.testing.assert_close(mixture.means.norm(dim=1), torch.full((8,), 2.0))
    found = modes(mixture.samples, mixture.means, mixture.std, share=0.1)
    assert found.captured == 8
    # Within 3 sigma of a Gaussian in the plane: 1 - exp(-9/2).
    assert found.high_quality == pytest.approx(0.98889, abs=0.003)


def test_the_grid_is_pacgans():
    mixture = data.grid(25_000)
    axis = [-4.0, -2.0, 0.0, 2.0, 4.0]
    assert sorted(mixture.means.tolist()) == [[x, y] for x in axis for y in axis]
    assert mixture.std == 0.05
    assert modes(mixture.samples, mixture.means, mixture.std, share=0.02).captured == 25


@pytest.mark.parametrize(
    "make", [data.ring, data.grid, lambda n, seed: data.gaussians(n, [0, 9], 1.0, seed)]
)
def test_equal_seeds_give_equal_bits_and_the_global_generator_is_left_alone(make):
    before = torch.random.get_rng_state()
    first, again, other = make(50, seed=1), make(50, seed=1), make(50, seed=2)
    assert torch.equal(first.samples, again.samples)
    assert not torch.equal(first.samples, other.samples)
    assert torch.equal(before, torch.random.get_rng_state())


def test_one_mode_is_allowed():
    assert data.ring(3, modes=1).means.tolist() == [[1.0, 0.0]]
    assert data.grid(3, side=1).means.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (data.ring, {"n": 0}),
        (data.ring, {"n": 1.5}),
        (data.ring, {"n": 5, "modes": 0}),
        (data.ring, {"n": 5, "std": float("nan")}),
        (data.ring, {"n": 5, "radius": -1.0}),
        (data.grid, {"n": 5, "side": 0}),
        (data.grid, {"n": 5, "spacing": float("inf")}),
    ],
)
def test_senseless_mixtures_are_refused(make, wrong):
    name = list(wrong)[-1]
    with pytest.raises(InvalidInput, match=f"^{name} should be"):
        make(**wrong)


def test_gaussians_on_a_line():
    mixture = data.gaussians(50_000, [-3.0, 0.0, 5.0], std=0.1, seed=1)
    assert mixture.samples.shape == (50_000, 1)
    assert mixture.means.tolist() == [[-3.0], [0.0], [5.0]]
    found = modes(*mixture, share=0.3)
    assert found.captured == 3
    # Within 3 sigma of a Gaussian on the line: erf(3 / sqrt 2).
    assert found.high_quality == pytest.approx(0.99730, abs=0.001)


def test_gaussians_in_space():
    mixture = data.gaussians(10, torch.eye(4), std=1e-3)
    assert mixture.samples.shape == (10, 4)
    assert modes(*mixture).captured > 1


@pytest.mark.parametrize(
    "means", [[], 3.0, [[1.0], [1.0, 2.0]], "mean", [float("nan")], torch.zeros(2, 2, 2), [[]]]
)
def test_senseless_means_are_refused(means):
    with pytest.raises(InvalidInput, match=r"^means should be K finite numbers"):
        data.gaussians(5, means, std=1.0)


def test_the_swiss_roll_is_a_spiral():
    points = data.swiss_roll(2000, radius=3.0, std=1e-5).double()
    radius, angle = points.norm(dim=1), torch.atan2(points[:, 1], points[:, 0])
    assert 1.0 - 1e-3 < float(radius.min()) < 1.05
    assert 2.95 < float(radius.max()) < 3.0 + 1e-3
    # The angle is the turn, which the radius counts.
    turn = radius / 3.0 * 4.5 * math.pi
    assert float(((turn - angle + math.pi) % (2 * math.pi) - math.pi).abs().max()) < 1e-3


# -- digits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [8, 16, 4])
def test_digits_have_the_side_and_the_range_that_was_asked_for(size):
    pytest.importorskip("sklearn")
    images = data.digits(size)
    assert images.shape == (1797, 1, size, size)
    assert images.dtype == torch.float32
    assert -1 <= float(images.min()) < -0.9
    assert 0.6 < float(images.max()) <= 1


def test_interpolated_digits_keep_their_brightness():
    pytest.importorskip("sklearn")
    small, large = data.digits(8), data.digits(16)
    torch.testing.assert_close(small.mean((1, 2, 3)), large.mean((1, 2, 3)), atol=0.05, rtol=0)


def test_digits_without_scikit_learn_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InvalidInput, match=r"pip install 'eqgan\[data\]'"):
        data.digits()


@pytest.mark.parametrize("size", [0, -8, 8.0])
def test_digits_of_no_size_are_refused(size):
    with pytest.raises(InvalidInput, match=r"^size should be"):
        data.digits(size)


# -- idx files -----------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(CODES)),
    st.lists(st.integers(0, 4), min_size=1, max_size=4),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_what_is_written_is_read(tmp_path_factory, code, shape, zipped, random):
    numbers = [random.randint(0, 100) for _ in range(int(torch.tensor(shape).prod()))]
    folder = tmp_path_factory.mktemp("idx")
    path = write(folder, idx_bytes(shape, numbers, code), "a.gz" if zipped else "a")
    tensor = data.idx(path)
    assert tensor.dtype == DTYPES[code]
    assert tensor.shape == tuple(shape)
    assert tensor.flatten().tolist() == numbers


def test_negative_and_fractional_numbers_are_read(tmp_path):
    assert data.idx(write(tmp_path, idx_bytes([2], [-7, 300], 0x0B))).tolist() == [-7, 300]
    assert data.idx(write(tmp_path, idx_bytes([1], [0.5], 0x0D))).tolist() == [0.5]


def test_tensors_from_files_may_be_changed(tmp_path):
    tensor = data.idx(write(tmp_path, idx_bytes([2], [1, 2])))
    tensor += 1
    assert tensor.tolist() == [2, 3]


GOOD = idx_bytes([2, 3], range(6))


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "it starts with nothing"),
        (b"\0\0", "it starts with 00 00"),
        (b"\x89PNG\r\n\x1a\n", "it starts with 89 50 4e 47"),
        (b"\0\0\x0a" + GOOD[3:], "a type code from 08 to 0E"),
        (b"\0\0\x08\0", "its header says 0"),
        (b"\0\0\x08\xff" + GOOD[4:], "its header says 255"),
        (GOOD[:9], "ends within its header"),
        (GOOD[:-1], "6 bytes of data"),
        (GOOD + b"x", "more follow"),
    ],
)
@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_damaged_files_get_one_sentence(tmp_path, payload, said, name):
    path = write(tmp_path, payload, name)
    with pytest.raises(UnreadableFile, match=said) as caught:
        data.idx(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_a_lying_header_allocates_nothing(tmp_path, name):
    header = bytes([0, 0, 0x0E, 3]) + b"\xff" * 12
    path = write(tmp_path, header + bytes(2000), name)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFile, match="should hold"):
            data.idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4e6


def test_a_file_that_is_not_compressed_but_called_gz_is_refused(tmp_path):
    path = tmp_path / "labels.gz"
    path.write_bytes(GOOD)
    with pytest.raises(UnreadableFile, match="compressed by gzip"):
        data.idx(path)


def test_missing_files_and_folders_are_refused(tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(UnreadableFile, match=re.escape(str(path))):
            data.idx(path)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data(), st.booleans())
def test_any_damage_is_either_read_or_refused_in_a_sentence(tmp_path, draws, zipped):
    payload = idx_bytes([5, 2], range(10))
    stored = bytearray(gzip.compress(payload, mtime=0) if zipped else payload)
    for _ in range(draws.draw(st.integers(1, 3))):
        stored[draws.draw(st.integers(0, len(stored) - 1))] = draws.draw(st.integers(0, 255))
    cut = draws.draw(st.integers(0, len(stored)))
    path = tmp_path / ("f.gz" if zipped else "f")
    path.write_bytes(bytes(stored[:cut]))
    tensor, sentence = None, ""
    try:
        tensor = data.idx(path)
    except UnreadableFile as error:
        sentence = str(error)
    assert tensor.numel() <= 10 if tensor is not None else sentence.count("\n") == 0 < len(sentence)


# -- image folders -------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_images_of_a_folder_lie_between_minus_one_and_one(tmp_path, suffix):
    write(tmp_path, idx_bytes([2, 1, 3], [0, 255, 51, 0, 0, 0]), TRAIN_IMAGES + suffix)
    images = data.images(tmp_path)
    assert images.shape == (2, 1, 1, 3)
    torch.testing.assert_close(images[0, 0, 0], torch.tensor([-1.0, 1.0, -0.6]))


@pytest.mark.parametrize(
    "payload", [idx_bytes([4], range(4)), idx_bytes([1, 1, 1], [3], 0x0B), idx_bytes([0, 2, 2], [])]
)
def test_a_folder_whose_file_holds_no_images_is_refused(tmp_path, payload):
    write(tmp_path, payload, TRAIN_IMAGES)
    with pytest.raises(UnreadableFile, match="should hold grey images"):
        data.images(tmp_path)


@pytest.mark.skipif(not FASHION.is_dir(), reason=f"Fashion-MNIST is not at {FASHION}")
def test_fashion_mnist_is_read():
    images = data.images(FASHION)
    assert images.shape == (60_000, 1, 28, 28)
    assert (float(images.min()), float(images.max())) == (-1.0, 1.0)
    labels = data.idx(FASHION / "train-labels-idx1-ubyte.gz")
    assert labels.long().bincount().tolist() == [6000] * 10


def test_numbers_of_numpy_are_numbers_and_seeds_are_whole() -> None:
    assert torch.equal(
        data.ring(np.int64(5), seed=np.int64(2)).samples, data.ring(5, seed=2).samples
    )
    for seed in (1.5, "a", None, True, 2**64):
        with pytest.raises(InvalidInput, match="seed should be a whole number"):
            data.swiss_roll(5, seed=seed)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="n should be a whole number"):
        data.ring(True)


def test_an_array_that_may_not_be_written_to_serves_as_data() -> None:
    """What a DataFrame hands out; torch warns of it, and warnings are errors here."""
    fixed = np.ones((3, 2))
    fixed.flags.writeable = False
    torch.set_warn_always(True)  # not only once
    try:
        assert torch.equal(as_data(fixed, torch.device("cpu"), torch.float32), torch.ones(3, 2))
    finally:
        torch.set_warn_always(False)


def test_a_mapped_file_that_may_not_be_written_to_is_not_copied(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", np.ones((3, 2), dtype=np.float32))
    mapped = np.load(tmp_path / "data.npy", mmap_mode="r")
    held = as_data(mapped, torch.device("cpu"), torch.float32)
    assert torch.equal(held, torch.ones(3, 2))
    assert held.data_ptr() == mapped.ctypes.data
