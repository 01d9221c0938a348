"""Players on pictures: shapes, published initialisation, parameter counts, and use in games."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from test_gan import seeded
from torch import nn
from torch.nn.functional import interpolate

import eqgan
from eqgan.games import GAN, Mixed
from eqgan.gan import spectral_norm
from eqgan.gan.networks import dcgan_discriminator, dcgan_generator
from eqgan.gan.objectives import Hinge, NonSaturating
from eqgan.gan.resnet import Residual, resnet_discriminator, resnet_generator

torch.set_num_threads(1)
PAIRS = {
    "dcgan": (dcgan_generator, dcgan_discriminator),
    "resnet": (resnet_generator, resnet_discriminator),
}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("norm", ["group", "batch", None])
@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3), (8, 2)])
def test_shapes_and_range(pair: str, norm, size: int, channels: int) -> None:  # type: ignore[no-untyped-def]
    make, judge = PAIRS[pair]
    generator = seeded(lambda: make(size, channels, noise_dim=10, width=16, norm=norm))
    pictures = generator(torch.randn(3, 10, generator=torch.Generator().manual_seed(0)))
    assert pictures.shape == (3, channels, size, size)
    assert 0 < float(pictures.detach().abs().max()) < 1
    assert judge(size, channels, width=16, norm=norm)(pictures).shape == (3, 1)


def conv(before: int, after: int, side: int) -> int:
    return before * after * side**2 + after


@pytest.mark.parametrize(("size", "channels", "width"), [(28, 1, 32), (32, 3, 64)])
def test_dcgan_parameters_are_counted(size: int, channels: int, width: int) -> None:
    spots, w = (size // 4) ** 2, width
    inner = conv(2 * w, w, 4) + conv(w, channels, 4)
    bare = (64 + 1) * 2 * w * spots + inner
    assert count(dcgan_generator(size, channels, width=w, norm=None)) == bare
    for norm in ("group", "batch"):
        normed = dcgan_generator(size, channels, width=w, norm=norm)  # type: ignore[arg-type]
        assert count(normed) == bare + 2 * (2 * w + w)
    bare = conv(channels, w, 4) + conv(w, 2 * w, 4) + 2 * w * spots + 1
    assert count(dcgan_discriminator(size, channels, w, None)) == bare
    assert count(dcgan_discriminator(size, channels, w)) == bare + 4 * w


def test_resnet_parameters_are_counted() -> None:
    w = 24
    block = 2 * conv(w, w, 3)
    grown = 65 * w * 64 + 2 * (block + conv(w, w, 1)) + conv(w, 3, 3)
    assert count(resnet_generator(width=w, norm=None)) == grown
    assert count(resnet_generator(width=w)) == grown + 5 * 2 * w
    opening = conv(3, w, 3) + conv(w, w, 3) + conv(3, w, 1)
    judged = opening + block + conv(w, w, 1) + block + w + 1
    assert count(resnet_discriminator(width=w)) == judged


@pytest.mark.parametrize("norm", ["group", "batch"])
def test_dcgan_initialisation_is_the_published_one(norm) -> None:  # type: ignore[no-untyped-def]
    for make in (dcgan_generator, dcgan_discriminator):
        network = seeded(lambda make=make: make(32, width=64, norm=norm))
        for part in network:
            if isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                n, weight = part.weight.numel(), part.weight.detach()
                assert abs(float(weight.mean())) < 5 * 0.02 / math.sqrt(n)
                assert float(weight.std()) == pytest.approx(0.02, rel=5 / math.sqrt(2 * n))
                assert not part.bias.detach().any()
            elif isinstance(part, nn.GroupNorm):
                assert torch.equal(part.weight.detach(), torch.ones(part.num_channels))
            elif isinstance(part, nn.BatchNorm2d):
                assert float(part.weight.detach().std()) == pytest.approx(0.02, rel=0.4)
                assert float(part.weight.detach().mean()) == pytest.approx(1.0, abs=0.02)


def test_resnet_initialisation_is_glorots() -> None:
    for network in (seeded(resnet_generator), seeded(resnet_discriminator)):
        inner = {
            id(layer)
            for block in network
            if isinstance(block, Residual)
            for layer in (block.first, block.second)
        }
        for part in network.modules():
            if isinstance(part, nn.Linear | nn.Conv2d):
                fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(part.weight)
                bound = math.sqrt((12 if id(part) in inner else 6) / (fan_in + fan_out))
                largest = float(part.weight.detach().abs().max())
                assert 0.8 * bound < largest <= bound * (1 + 1e-6)
                assert not part.bias.detach().any()  # type: ignore[union-attr]


@pytest.mark.parametrize("scale", [-1, 0, 1])
def test_a_block_whose_branch_is_zero_is_its_shortcut(scale: int) -> None:
    block = seeded(lambda: Residual(8, 16, scale))
    nn.init.zeros_(block.second.weight)
    nn.init.zeros_(block.second.bias)
    pictures = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    sized = {
        -1: lambda: nn.functional.avg_pool2d(pictures, 2),
        0: lambda: pictures,
        1: lambda: interpolate(pictures, scale_factor=2.0),
    }[scale]()
    torch.testing.assert_close(block(pictures), block.shortcut(sized))


@pytest.mark.parametrize("pair", PAIRS)
def test_fresh_networks_are_drawn_alike(pair: str) -> None:
    make, judge = PAIRS[pair]
    networks = seeded(lambda: (make(8, 1, width=16), judge(8, 1, width=16)))
    gan = GAN(*networks, torch.zeros(9, 1, 8, 8), 64, batch_size=2)
    for network in gan.networks:
        first, second = (network.fresh(gan.generator(seed)) for seed in (1, 2))
        assert not torch.equal(first, second)
        assert float(first.std()) == pytest.approx(float(network.start.std()), rel=0.1)


def test_a_residual_gan_with_spectral_norm_plays_in_a_mixture() -> None:
    networks = seeded(
        lambda: (
            resnet_generator(8, 1, noise_dim=4, width=8),
            spectral_norm(resnet_discriminator(8, 1, width=8)),
        )
    )
    gan = GAN(*networks, torch.zeros(20, 1, 8, 8), 4, Hinge(), batch_size=4)
    mix = Mixed(gan, (2, 2))
    run = eqgan.solve(mix, "mix_gan", max_steps=2)
    assert run.profile.is_finite()
    assert mix.generate(run.profile, 5).shape == (5, 1, 8, 8)
    assert eqgan.solve(gan, "consensus", max_steps=2).profile.is_finite()


def test_batch_norm_keeps_its_limits() -> None:
    """It plays, but a discriminator that has it is refused in a mixture, in a sentence."""
    networks = seeded(
        lambda: tuple(
            m(8, 1, width=8, norm="batch") for m in (dcgan_generator, dcgan_discriminator)
        )
    )
    gan = GAN(*networks, torch.zeros(20, 1, 8, 8), 64, NonSaturating(), batch_size=4)
    assert eqgan.solve(gan, "extragradient", max_steps=2).profile.is_finite()
    with pytest.raises(eqgan.EqganError, match="Use GroupNorm"):
        Mixed(gan, (2, 2))


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "size": (lambda: dcgan_generator(30), "size=30"),
    "fraction": (lambda: resnet_discriminator(32.0), "size=32.0"),  # type: ignore[arg-type]
    "channels": (lambda: resnet_generator(32, 0), "channels=0"),
    "width": (lambda: dcgan_discriminator(28, 1, 12), "width=12"),
    "norm": (lambda: resnet_generator(norm="layer"), "No norm"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", WRONG)
def test_one_clear_sentence(case: str) -> None:
    call, said = WRONG[case]
    with pytest.raises(eqgan.EqganError, match=said):
        call()
