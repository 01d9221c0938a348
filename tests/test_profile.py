import numpy as np
import torch

import eqgan
from eqgan import Profile


def pair() -> Profile:
    return Profile((torch.tensor([1.0, 2.0]), {"w": torch.tensor([3.0]), "a": torch.tensor([4.0])}))


def test_arithmetic_is_that_of_one_vector() -> None:
    z = pair()
    flat = torch.tensor([1.0, 2.0, 3.0, 4.0])
    for profile, vector in (
        (z + z, flat + flat),
        (z - 0.5 * z, 0.5 * flat),
        (-z, -flat),
        (z.add(z, alpha=-2.0), -flat),
        (z.lerp(3 * z, 0.25), 1.5 * flat),
    ):
        assert torch.equal(torch.cat(profile.leaves()), vector)
    assert float(z.dot(2 * z)) == 60.0
    assert float(z.norm()) == float(flat.norm())


def test_operations_leave_their_inputs_alone() -> None:
    z, before = pair(), pair()
    _ = z + z, 2 * z, z.clone(), z.attached(), z.replace(0, torch.zeros(2))
    assert z.equal(before)


def test_clone_shares_no_memory() -> None:
    z = pair()
    copy = z.clone()
    copy.leaves()[0].zero_()
    assert float(z.leaves()[0].sum()) == 3.0


def test_unpacks_and_replaces() -> None:
    x, _ = z = pair()
    assert torch.equal(x, z[0])
    assert torch.equal(z.replace(0, torch.zeros(2))[0], torch.zeros(2))
    assert torch.equal(z[0], torch.tensor([1.0, 2.0]))


def test_finite() -> None:
    assert pair().is_finite()
    assert not (pair() * float("inf")).is_finite()


def test_repr_shows_small_strategies_and_shapes_of_large_ones() -> None:
    assert repr(Profile((torch.ones(2), torch.ones(9)))) == "Profile([1.0, 1.0], <float32 (9,)>)"


def test_a_start_that_may_not_be_written_to_serves() -> None:
    """Torch warns of such memory, and warnings are errors here; else it does so only once."""
    start = np.full(2, 0.5)
    start.flags.writeable = False
    game = eqgan.games.matching_pennies()
    torch.set_warn_always(True)
    try:
        assert game.as_profile((start, start)).equal(game.initial(game.generator(0)))
    finally:
        torch.set_warn_always(False)
