"""compile=True: the same gradients, and a run that goes on where no compiler serves it."""

from __future__ import annotations

import logging
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from test_gan import ring, seeded

import eqgan
from eqgan.games import GAN, Bilinear, Mixed
from eqgan.games.compiled import CompiledOperator
from eqgan.gan.networks import mlp
from eqgan.gan.objectives import Minimax, NonSaturating, ObjectiveLike, Wasserstein

torch.set_num_threads(1)


def gan(
    compile: bool = True, objective: ObjectiveLike = "minimax", precision: Any = "float32"
) -> GAN:
    networks = seeded(lambda: (mlp([2, 8, 2]), mlp([2, 8, 1])))
    return GAN(
        *networks, ring()[0], 2, objective, batch_size=16, compile=compile, precision=precision
    )


def broken(*args: Any, **options: Any) -> Any:
    raise FileNotFoundError("no g++ here\nand a long story")


def test_a_broken_compiler_is_said_once_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch, "compile", broken)
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        run = eqgan.solve(gan(), "extragradient", max_steps=5)
    plain = eqgan.solve(gan(compile=False), "extragradient", max_steps=5)
    assert run.profile.equal(plain.profile)
    assert run.message.endswith("torch.compile failed (no g++ here); it ran uncompiled")
    assert [record.name for record in caplog.records] == ["eqgan"]
    assert plain.message.endswith(plain.status.value)


def test_a_game_whose_own_loss_fails_says_that(monkeypatch: pytest.MonkeyPatch) -> None:
    game = gan()

    def fails(z: eqgan.Profile, batch: Any = None) -> Any:
        raise ZeroDivisionError("the user's own")

    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    monkeypatch.setattr(game, "payoff", fails)
    with pytest.raises(ZeroDivisionError, match="the user's own"):
        game.operator(game.initial(game.generator(0)), game.sample(game.generator(0)))


def test_second_derivatives_and_mixtures_say_that_they_ran_uncompiled() -> None:
    run = eqgan.solve(gan(), "consensus", max_steps=2)
    assert "no second derivatives; it ran uncompiled" in run.message
    assert run.profile.equal(eqgan.solve(gan(False), "consensus", max_steps=2).profile)
    mix = eqgan.solve(Mixed(gan(), (2, 2)), "mix_gan", max_steps=2)
    assert mix.message.endswith("this mixture ran uncompiled")


def test_there_is_no_limit_to_the_games_that_one_process_compiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiler = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda f, **options: compiler(f, **{**options, "backend": "eager"})
    )
    for n in range(1, 11):  # torch's own limit is 8
        game, operator = Bilinear(torch.eye(n)), CompiledOperator()
        z = game.random(game.generator(n))
        field = operator(game, z, None)
        assert operator.note == ""
        assert field is not None
        assert field.equal(game.operator(z))


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective", [Minimax(), NonSaturating(r1=1.0), Wasserstein(penalty=10.0)], ids=str
)
def test_compiled_gradients_are_the_gradients_and_runs_resume_to_the_bit(
    objective: ObjectiveLike, tmp_path: Path
) -> None:
    game, plain = gan(objective=objective), gan(False, objective)
    z, batch = game.initial(game.generator(0)), game.sample(game.generator(1))
    for ours, theirs in zip(game.operator(z, batch), plain.operator(z, batch), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert game.note == ""
    solver = eqgan.solvers.SimultaneousGradient(rule=eqgan.Adam(1e-3))
    whole = eqgan.solve(game, solver, max_steps=6, check_every=3)
    file = tmp_path / "run.ckpt"
    eqgan.solve(game, solver, max_steps=3, check_every=3, checkpoint=file)
    again = pickle.loads(pickle.dumps(game))
    rest = eqgan.solve(again, solver, max_steps=6, check_every=3, checkpoint=file, resume=True)
    assert again.note == game.note == ""
    assert rest.profile.equal(whole.profile)
    assert again.compiled is not None
    assert again.compiled.works


@pytest.mark.slow
def test_compiled_networks_keep_their_precision() -> None:
    game, plain, wide = gan(precision="bfloat16"), gan(False, precision="bfloat16"), gan()
    z, batch = game.initial(game.generator(0)), game.sample(game.generator(1))
    triples = zip(*(g.operator(z, batch) for g in (game, plain, wide)), strict=True)
    assert game.note == wide.note == ""
    for ours, theirs, exact in triples:
        torch.testing.assert_close(ours, theirs, rtol=0.05, atol=0.01)
        assert ours.dtype is torch.float32
        assert float((ours - exact).abs().max()) > 1e-4
