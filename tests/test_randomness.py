"""Random generators: equal seeds give equal numbers, and what is no generator gets a sentence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import eqgan
from eqgan import games
from eqgan.randomness import seeded

torch.set_num_threads(1)

GAN = games.GAN(nn.Linear(2, 2), nn.Linear(2, 1), torch.zeros(10, 2), noise_dim=2)
GAMES = {
    "matrix": games.matching_pennies(),
    "smooth": games.DiracGAN(),
    "gan": GAN,
    "fixed": games.FixedGAN.draw(GAN, 5),
    "mixture": games.Mixed(GAN, (2, 2)),
}


@pytest.mark.parametrize("name", GAMES)
def test_random_starts_want_a_generator_and_no_seed(name: str) -> None:
    game = GAMES[name]
    assert game.random(game.generator(0)).equal(game.random(seeded(0)))
    for wrong in (0, None, "a", True):
        with pytest.raises(eqgan.InvalidInput, match=r"such as game.generator\(0\) makes; got"):
            game.random(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["gan", "mixture"])
def test_samples_want_a_generator_and_no_seed(name: str) -> None:
    game: Any = GAMES[name]
    for draw in (game.sample, game.held_out_sample):
        with pytest.raises(eqgan.InvalidInput, match=r"rng should be a torch\.Generator"):
            draw(0)
