"""bfloat16: networks run in it, everything that is added up and stepped stays float32."""

from __future__ import annotations

import pytest
import torch
from test_gan import seeded
from torch import nn

import eqgan
from eqgan.games import GAN, Mixed
from eqgan.gan.networks import dcgan_discriminator, dcgan_generator
from eqgan.gan.objectives import Minimax, Wasserstein


class Spy(nn.Module):
    """Writes down the types that a convolution computes in."""

    seen: list[torch.dtype]

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        type(self).seen = []

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.inner(samples)
        type(self).seen.append(output.dtype)
        return output


def dcgan(precision: str, objective="non_saturating") -> GAN:  # type: ignore[no-untyped-def]
    networks = seeded(
        lambda: (dcgan_generator(16, noise_dim=8, width=8), dcgan_discriminator(16, width=8))
    )
    data = eqgan.data.digits(16)
    return GAN(*networks, data, 8, objective, batch_size=32, precision=precision)


def test_networks_compute_in_bfloat16_and_all_else_in_float32() -> None:
    conv = nn.Conv2d(1, 4, 3)
    critic = nn.Sequential(Spy(conv), nn.Flatten(), nn.Linear(4 * 14 * 14, 1))
    generator = dcgan_generator(16, noise_dim=8, width=8)
    gan = GAN(generator, critic, eqgan.data.digits(16), 8, precision="bfloat16")
    Spy.seen.clear()
    z, batch = gan.initial(gan.generator(0)), gan.sample(gan.generator(1))
    losses, field = gan.losses(z, batch), gan.operator(z, batch)
    assert Spy.seen
    assert set(Spy.seen) == {torch.bfloat16}
    tensors = [*losses, *field.leaves(), *z.leaves(), gan.generate(z, 3)]
    assert {tensor.dtype for tensor in tensors} == {torch.float32}


@pytest.mark.parametrize(
    "objective", ["minimax", "non_saturating", Wasserstein(penalty=10.0), Minimax(r1=1.0)], ids=str
)
def test_payoffs_and_gradients_are_float32s_up_to_rounding(objective) -> None:  # type: ignore[no-untyped-def]
    exact, rounded = dcgan("float32", objective), dcgan("bfloat16", objective)
    z = exact.initial(exact.generator(0)).map(lambda leaf: 2 * leaf)
    batch = exact.sample(exact.generator(1))
    for mine, theirs in zip(rounded.losses(z, batch), exact.losses(z, batch), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0.02, atol=0.02)
    for ours, truth in zip(rounded.operator(z, batch), exact.operator(z, batch), strict=True):
        cosine = torch.nn.functional.cosine_similarity(ours, truth, dim=0)
        assert float(cosine) > 0.98
        assert not torch.equal(ours, truth)


def test_every_kind_of_step_runs_in_bfloat16() -> None:
    gan = dcgan("bfloat16", "minimax")
    for game, solver in (
        (gan, "consensus"),
        (gan, "extragradient"),
        (Mixed(gan, (2, 2)), "mix_gan"),
    ):
        run = eqgan.solve(game, solver, max_steps=2)
        assert run.profile.is_finite()
        assert run.status is eqgan.Status.MAX_STEPS
    oracle = eqgan.GradientOracle(steps=2, restarts=0)
    assert not eqgan.certify(gan, gan.initial(gan.generator(0)), oracle).exact


def test_a_processor_without_instructions_is_told_of(caplog, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    dcgan("float32")
    assert not caplog.records
    dcgan("bfloat16")
    assert "no instructions for it" in caplog.text


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(eqgan.InvalidInput, match="precision should be 'float32' or 'bfloat16'"):
        dcgan("float16")
    with pytest.raises(eqgan.InvalidInput, match="needs networks of float32"):
        GAN(
            nn.Linear(1, 1).double(),
            nn.Linear(1, 1).double(),
            torch.zeros(3, 1),
            1,
            precision="bfloat16",
        )
