"""Studies: what a TOML file says is checked against what it describes, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_data import idx_bytes, write

import eqgan
from eqgan.games import GAN, Mixed
from eqgan.study import read_study

RING = """\
[game]
data = { name = "ring", n = 500, std = 0.02 }
networks = { name = "mlp", hidden = [8, 8], activation = "tanh" }
noise_dim = 2
objective = "non_saturating"
batch_size = 16

[solver]
name = "extragradient"

[solver.rule]
name = "adam"
rate = 2e-3
betas = [0.5, 0.9]

[run]
steps = 20
seed = 3

[measure]
steps = 3
restarts = 0

[samples]
every = 10
"""

SOLVER = RING[RING.index('"extragradient"') : RING.index("[run]")]


def written(folder: Path, text: str) -> Path:
    path = folder / "study.toml"
    path.write_text(text)
    return path


def test_a_study_says_what_code_says(tmp_path: Path) -> None:
    study = read_study(written(tmp_path, RING))
    assert isinstance(study.game, GAN)
    assert (study.game.batch_size, study.game.noise_dim) == (16, 2)
    assert study.game.objective == eqgan.gan.objectives.NonSaturating()
    assert study.solver == eqgan.solvers.Extragradient(eqgan.Adam(2e-3, betas=(0.5, 0.9)))
    assert (study.settings.steps, study.settings.seed) == (20, 3)
    assert study.oracle == eqgan.GradientOracle(steps=3, restarts=0)
    assert torch.equal(study.game.data, eqgan.data.ring(500, std=0.02).samples)


def test_solvers_nest_and_players_have_rules_of_their_own(tmp_path: Path) -> None:
    start = RING.index("[solver]")
    text = (
        RING[:start]
        + """\
[mixture]
generators = 2
discriminators = 3
[solver]
name = "moving_average"
decay = 0.9
[solver.solver]
name = "mix_gan"
entropy = 1
[solver.solver.rule.generator]
name = "rmsprop"
lr = 1e-3
[solver.solver.rule.discriminator]
name = "adam"
rate = { name = "cosine", rate = 1e-3, steps = 20 }
[run]
steps = 4
"""
    )
    study = read_study(written(tmp_path, text))
    assert isinstance(study.game, Mixed)
    assert study.game.sizes == (2, 3)
    rule = eqgan.PerPlayer(
        eqgan.TorchOptimizer(torch.optim.RMSprop, {"lr": 1e-3}),
        eqgan.Adam(eqgan.Cosine(1e-3, 20)),
    )
    inner = eqgan.solvers.MixGan(rule=rule, entropy=1)
    assert study.solver == eqgan.solvers.MovingAverage(inner, decay=0.9)


def test_objectives_take_parameters_and_images_dcgans(tmp_path: Path) -> None:
    text = """
        game.data = { name = "digits", size = 8 }
        game.networks = { name = "dcgan", width = 8 }
        game.noise_dim = 4
        game.objective = { name = "wasserstein", penalty = 10 }
        run.steps = 1
    """
    study = read_study(written(tmp_path, text))
    assert study.game.data.shape == (1797, 1, 8, 8)
    assert study.game.objective.penalty == 10
    assert type(study.solver).__name__ == "Extragradient"
    mlps = read_study(written(tmp_path, text.replace('"dcgan", width = 8', '"mlp"')))
    assert mlps.game.generate(mlps.game.initial(torch.Generator()), 3).shape == (3, 1, 8, 8)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("batch_size", "batchsize", r"line 6: \[game\] batchsize is no key.*mean 'batch_size'"),
        ("batch_size = 16", 'batch_size = "16"', r"line 6: \[game\] batch_size .*number; got '16'"),
        ("batch_size = 16", "batch_size = true", r"line 6: .*whole number; got True"),
        ("batch_size = 16", "batch_size = 0", r"line 1: \[game\] .*batch_size .*>= 1; got 0"),
        ("std = 0.02", "sdt = 0.02", r"line 2: \[game.data\] sdt is no key.*mean 'std'"),
        ("n = 500, ", "", r"line 2: \[game.data\] needs the key 'n'"),
        ('name = "ring"', 'name = "rign"', r"\[game.data\] name = 'rign' is no data.*mean 'ring'"),
        ("[8, 8]", "[8, 0]", r"\[game.networks\] cannot be used: .*sizes >= 1"),
        ("[8, 8]", "8", r"\[game.networks\] hidden should be a list, each a whole number; got 8"),
        ('"tanh"', '"tahn"', r"activation should be one of 'relu', .*; got 'tahn'"),
        ("non_saturating", "non_saturated", r"line 5: .*no objective.*mean 'non_saturating'"),
        ('"extragradient"', '"extragradiant"', r"line 9: \[solver\] name = .*mean 'extragradient'"),
        (SOLVER, '"pivoting"\n', r"line 9: \[solver\] name cannot take this game"),
        ('name = "extragradient"', "k = 5", r"line 8: \[solver\] needs the key 'name'"),
        ("rate = 2e-3", 'rate = "fast"', r"line 13: .*rule.rate\] name = 'fast' is no sch"),
        ("rate = 2e-3", "rate = [1]", r"line 13: .*rule\] rate should be a number or a tab"),
        ("rate = 2e-3", "rate = -1", r"line 11: \[solver.rule\] cannot be used: .*> 0.*-1"),
        ("rate = 2e-3", "lr = 2e-3", r"line 13: \[solver.rule\] lr is no key"),
        ("[0.5, 0.9]", "[0.5]", r"line 14: .*betas should be a list of 2: a number, a number"),
        ("[solver.rule]", "[solver.ruel]", r"line 11: \[solver\] ruel is no key.*mean 'rule'"),
        ("steps = 20", "", r"line 16: \[run\] needs the key 'steps'"),
        ("steps = 20", "steps = 2.5", r"line 17: \[run\] steps should be a whole number; got 2.5"),
        ("steps = 20", "steps = 0", r"\[run\] cannot be used: steps should be at least 1; got 0"),
        ("seed = 3", "seed = -3", r"\[run\] cannot be used: seed should be"),
        ("[samples]", "[smaples]", r"line 24: smaples is no table.*mean 'samples'"),
        ("[run]", "[[run]]", r"run should be a table"),
        ('"extragradient"', '"rm"', r"no solver. Did you mean 'regret_matching'\? Known, of \d+: "),
        ("batch_size", "bs", r"no key here. Did you mean 'batch_size'"),
        ("[game]", "[game", r"is no TOML file: .*line 1"),
        ("noise_dim = 2", "", r"line 1: \[game\] needs the key 'noise_dim'"),
        ("restarts = 0", "restarts = -1", r"\[measure\] cannot be used: .*restarts >= 0"),
        ("seed = 3", 'device = "gpu"', r"line 18: \[run\] device should be one of 'cpu', 'cuda'"),
        ("seed = 3", "threads = 100000000", r"\[run\] cannot be used: threads .*at most 1024"),
        ("steps = 20", f"steps = {2**63}", r"\[run\] cannot be used: steps should be less"),
        ("n = 500", "n = 9999999999999", r"line 2: \[game.data\] cannot be used: .*memory"),
        ("std = 0.02", f"seed = {2**64}", r"line 2: \[game.data\] cannot be used: seed should"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(
    old: str, new: str, sentence: str, tmp_path: Path
) -> None:
    assert RING.count(old) >= 1
    path = written(tmp_path, RING.replace(old, new, 1))
    with pytest.raises(eqgan.InvalidInput, match=sentence) as caught:
        read_study(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_solver_of_mixtures_asks_for_the_table_of_one(tmp_path: Path) -> None:
    text = RING[: RING.index("[solver]")] + RING[RING.index("[run]") :]
    for name in ("mix_gan", "double_oracle"):
        path = written(tmp_path, f'{text}\n[solver]\nname = "{name}"\n')
        with pytest.raises(
            eqgan.InvalidInput, match=r"mixtures; add a table \[mixture\]"
        ) as caught:
            read_study(path)
        assert "Mixed" not in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(eqgan.UnreadableFile, match="Cannot read the study"):
        read_study(tmp_path / "none.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(eqgan.UnreadableFile, match="no TOML file"):
        read_study(binary)


def test_a_mark_of_byte_order_is_no_mistake(tmp_path: Path) -> None:
    assert read_study(written(tmp_path, "\ufeff" + RING)).settings.steps == 20


def test_dcgans_want_square_images(tmp_path: Path) -> None:
    text = RING.replace('"mlp", hidden = [8, 8], activation = "tanh"', '"dcgan"')
    with pytest.raises(eqgan.InvalidInput, match=r"\[game.networks\].*square images.*\(2,\)"):
        read_study(written(tmp_path, text))


DIGITS = """\
[game]
data = { name = "digits", size = 8 }
networks = { name = "dcgan", width = 8 }
noise_dim = 4
batch_size = 8
[run]
steps = 2
[quality]
features = { name = "classifier", epochs = 1 }
samples = 40
every = 2
"""


def test_quality_is_that_of_the_library(tmp_path: Path) -> None:
    study = read_study(written(tmp_path, DIGITS))
    images, labels = eqgan.data.digits(8), eqgan.data.digit_labels()
    known = eqgan.gan.classifier.train_classifier(images, labels, epochs=1)
    expected = eqgan.gan.Quality(images, known.features, known, samples=40, every=2)
    assert study.quality is not None
    assert study.quality.every == 2
    assert study.quality.measure(images[:40]) == expected.measure(images[:40])


def test_quality_of_pictures_is_measured_when_asked_for(tmp_path: Path) -> None:
    plain = DIGITS[: DIGITS.index("[quality]")]
    assert read_study(written(tmp_path, plain)).quality is None
    pixels = read_study(written(tmp_path, plain + "[quality]\n")).quality
    assert pixels is not None
    assert (pixels.features, pixels.samples, pixels.every) == (None, 1000, 1)


def test_known_modes_are_counted_with_or_without_a_table(tmp_path: Path) -> None:
    counted = read_study(written(tmp_path, RING)).quality
    assert counted is not None
    assert (counted.samples, counted.share, counted.every) == (2000, 0.01, 1)
    told = read_study(written(tmp_path, RING + "[quality]\nsamples = 50\nevery = 4\n")).quality
    assert told is not None
    assert (told.samples, told.share, told.every) == (50, 0.01, 4)


def test_held_out_data_are_those_that_quality_compares_with(tmp_path: Path) -> None:
    folder = tmp_path / "clothes"
    folder.mkdir()
    rng = torch.Generator().manual_seed(0)
    for split in ("train", "t10k"):
        pixels = torch.randint(256, (30 * 64,), generator=rng).tolist()
        write(folder, idx_bytes((30, 8, 8), pixels), f"{split}-images-idx3-ubyte")
        write(folder, idx_bytes((30,), [0, 1, 2] * 10), f"{split}-labels-idx1-ubyte")
    kind = f'name = "images", folder = "{folder}"'
    text = DIGITS.replace('name = "digits", size = 8', f"{kind}, size = 12")
    text = text.replace(
        "noise_dim", f'holdout = {{ {kind}, size = 12, split = "test" }}\nnoise_dim'
    )
    study = read_study(written(tmp_path, text))
    assert isinstance(study.game, GAN)
    assert study.game.holdout is not None
    assert study.game.holdout.shape == (30, 1, 12, 12)
    assert torch.equal(study.game.holdout, eqgan.data.images(folder, 12, "test"))
    assert study.quality is not None
    rows = {tuple(image.flatten().tolist()) for image in study.quality.real}
    assert rows == {tuple(image.flatten().tolist()) for image in study.game.holdout}
    assert study.quality.measure(study.game.data)["frechet"] > 0


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        ('name = "gaussians", n = 50, means = [-1.0, 1.0], std = 0.1', (50, 1)),
        ('name = "gaussians", n = 50, means = [[0, 1, 2], [3, 4, 5]], std = 0.1', (50, 3)),
        ('name = "swiss_roll", n = 40, std = 0.1, seed = 2', (40, 2)),
        ('name = "grid", n = 30, side = 3', (30, 2)),
    ],
)
def test_all_of_the_librarys_data_can_be_named(
    data: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    text = RING[: RING.index("[samples]")].replace('name = "ring", n = 500, std = 0.02', data)
    study = read_study(written(tmp_path, text))
    assert study.game.data.shape == shape
    assert (study.quality is None) == ("swiss" in data)


@pytest.mark.parametrize("networks", ["dcgan", "resnet"])
@pytest.mark.parametrize("normed", [True, False])
def test_networks_of_pictures_can_have_spectral_norm(
    networks: str, normed: bool, tmp_path: Path
) -> None:
    choice = f'"{networks}", width = 8, spectral_norm = {str(normed).lower()}'
    study = read_study(written(tmp_path, DIGITS.replace('"dcgan", width = 8', choice)))
    layers = [type(layer).__name__ for layer in study.game.networks[1].module.modules()]
    assert any("Parametrized" in name for name in layers) == normed
    kind = "Residual" if networks == "resnet" else "Conv2d"
    assert any(kind in name for name in layers)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("every = 2", "evry = 2", r"line 11: \[quality\] evry is no key.*mean 'every'"),
        ("features = {", "features = 3 #", r"features should be a table with a name; got 3"),
        ("noise", 'holdout = { name = "digits", size = 8 }\nnoise', r"line 4: .*data themselves"),
        ("every = 2", "share = 0.1", r"line 11: \[quality\] share is no key"),
        ("samples = 40", "samples = 4", r"\[quality\] cannot be used: samples .*>= 10; got 4"),
        ('"classifier"', '"inception"', r"line 9: .*features\] name = 'inception' is no features"),
        ("epochs = 1", "epoch = 1", r"line 9: \[quality.features\] epoch is no key.*'epochs'"),
        ("epochs = 1", "epochs = 0", r"line 9: \[quality.features\] .*at least 1; got 0"),
        ("epochs = 1", "epochs = 1.5", r"line 9: .*features\] epochs should be a whole number"),
        ("[quality]", "[qualty]", r"line 8: qualty is no table.*mean 'quality'"),
        ("noise_dim", "holdout = 3\nnoise_dim", r"line 4: \[game\] holdout should be a name"),
        ("noise_dim", 'holdout = "rign"\nnoise_dim', r"line 4: \[game.holdout\] name = 'rign'"),
        ("noise", 'holdout = { name = "digits", size = 9 }\nnoise', r"\[game\] .*holdout should"),
        ('"digits", size = 8', '"ring", n = 9', r"\[quality\] features is no key here"),
        ('"digits", size = 8', '"swiss_roll", n = 99', r"'classifier' needs data with labels"),
        ('"dcgan", width = 8', '"resnet", width = 9', r"\[game.networks\] cannot .*multiple of 8"),
        ('"digits", size = 8', '"images", folder = "no"', r"\[game.data\] .*no such folder"),
    ],
)  # fmt: skip
def test_mistakes_about_data_and_quality(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    text = DIGITS.replace(old, new, 1)
    if "ring" in new or "swiss_roll" in new:
        text = text.replace('"dcgan", width = 8', '"mlp"')
    with pytest.raises(eqgan.InvalidInput, match=sentence):
        read_study(written(tmp_path, text))
