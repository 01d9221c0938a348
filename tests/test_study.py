"""Studies: what a TOML file says is checked against what it describes, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

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
        ("[game]", "[game", r"is no TOML file: .*line 1"),
        ("noise_dim = 2", "", r"line 1: \[game\] needs the key 'noise_dim'"),
        ("restarts = 0", "restarts = -1", r"\[measure\] cannot be used: .*restarts >= 0"),
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


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(eqgan.UnreadableFile, match="Cannot read the study"):
        read_study(tmp_path / "none.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(eqgan.UnreadableFile, match="no TOML file"):
        read_study(binary)


def test_dcgans_want_square_images(tmp_path: Path) -> None:
    text = RING.replace('"mlp", hidden = [8, 8], activation = "tanh"', '"dcgan"')
    with pytest.raises(eqgan.InvalidInput, match=r"\[game.networks\].*square images.*\(2,\)"):
        read_study(written(tmp_path, text))
