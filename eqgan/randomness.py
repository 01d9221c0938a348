"""Random generators: made from seeds, and asked for where random numbers are drawn."""

from __future__ import annotations

from typing import Any

import torch

from eqgan.errors import InvalidInput
from eqgan.whole import as_seed


def seeded(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a random generator.

    Args:
        seed: What it begins from: equal seeds give equal numbers.
        device: Where its numbers are drawn.

    Raises:
        InvalidInput: No whole number, or one that 64 bits do not hold.

    Example:
        >>> torch.rand(1, generator=seeded(5)) == torch.rand(1, generator=seeded(5))
        tensor([True])
    """
    return torch.Generator(device).manual_seed(as_seed(seed))


def check_generator(rng: Any) -> None:
    """Raise `InvalidInput` unless random numbers can be drawn from `rng`."""
    if not isinstance(rng, torch.Generator):
        raise InvalidInput(
            f"rng should be a torch.Generator, such as game.generator(0) makes; got {rng!r}."
        )
