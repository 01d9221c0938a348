"""Spectral norm: the true largest singular value, its derivatives, and no hidden state."""

from __future__ import annotations

import pytest
import torch
from test_gan import ring, seeded
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, vmap

import eqgan
from eqgan.games import GAN, Mixed
from eqgan.gan import spectral_norm
from eqgan.gan.networks import dcgan_discriminator, dcgan_generator, mlp
from eqgan.gan.objectives import Minimax, Wasserstein
from eqgan.gan.spectral import largest_singular_value

torch.set_num_threads(1)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def top(weight: torch.Tensor, outputs: int = 0) -> float:
    return float(torch.linalg.matrix_norm(weight.detach().movedim(outputs, 0).flatten(1), 2))


def normed_gan(objective=None) -> GAN:  # type: ignore[no-untyped-def]
    networks = seeded(lambda: (mlp([2, 16, 16, 2]), spectral_norm(mlp([2, 16, 16, 1]))))
    return GAN(*networks, ring()[0], 2, objective=objective or Wasserstein(), batch_size=32)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (16, 16), (64, 300), (130, 130)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_largest_singular_value(shape: tuple[int, int], dtype: torch.dtype) -> None:
    for seed in range(3):
        matrix = normal(*shape, seed=seed).to(dtype)
        found = float(largest_singular_value(matrix))
        assert found == pytest.approx(top(matrix), rel=1e-5)


def test_singular_values_that_lie_close_cannot_fool_it() -> None:
    """The worst case for power iterations: many values just below the largest."""
    n = 200
    basis = torch.linalg.qr(normal(n, n)).Q
    for gap in (0.0, 1e-6, 1e-4, 1e-3, 1e-2):
        values = torch.full((n,), 1 - gap, dtype=torch.float64)
        values[0] = 1.0
        found = float(largest_singular_value(basis * values @ basis.mT))
        assert 1 - 1e-3 < found <= 1 + 1e-9


def test_many_equal_singular_values_do_not_underflow() -> None:
    assert float(largest_singular_value(torch.eye(600))) == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_scale_does_not_matter(scale: float) -> None:
    matrix = normal(6, 9).float()
    found = float(largest_singular_value(scale * matrix))
    assert found == pytest.approx(scale * top(matrix), rel=1e-5)


def test_a_weight_of_zeros_stays_zero() -> None:
    layer = spectral_norm(nn.Linear(3, 2))
    with torch.no_grad():
        layer.parametrizations["weight"].original.zero_()  # type: ignore[index,union-attr,operator]
    assert torch.equal(layer.weight, torch.zeros(2, 3))
    layer(torch.ones(1, 3)).sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in layer.parameters())  # type: ignore[arg-type]


def test_derivatives_are_exact_at_every_order() -> None:
    matrix = normal(3, 5).requires_grad_()

    def slope(m: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(largest_singular_value(m), m, create_graph=True)[0]

    assert gradcheck(largest_singular_value, matrix)
    assert gradgradcheck(largest_singular_value, matrix)
    assert gradgradcheck(slope, matrix)


def test_batches_equal_the_loop() -> None:
    stack = normal(4, 5, 3)
    for function in (largest_singular_value, grad(largest_singular_value)):
        looped = torch.stack([function(matrix) for matrix in stack])
        torch.testing.assert_close(vmap(function)(stack), looped)


@pytest.mark.parametrize(
    ("layer", "outputs"),
    [
        (nn.Linear(7, 5), 0),
        (nn.Conv2d(3, 8, 3), 0),
        (nn.Conv1d(3, 8, 3), 0),
        (nn.ConvTranspose2d(3, 8, 3), 1),
    ],
)
def test_every_weight_has_norm_one(layer: nn.Module, outputs: int) -> None:
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    normed = spectral_norm(nn.Sequential(layer, nn.Flatten()))[0]  # type: ignore[index]
    assert top(normed.weight, outputs) == pytest.approx(1.0, abs=1e-5)
    assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())


def test_a_critic_of_linear_layers_is_1_lipschitz_and_stays_so() -> None:
    gan = normed_gan()
    solver = eqgan.solvers.Extragradient(rule=eqgan.Adam(1e-2))
    run = eqgan.solve(gan, solver, max_steps=50)
    critic = gan.modules(run.profile)[1]
    x, y = 3 * normal(500, 2).float(), 3 * normal(500, 2, seed=1).float()
    with torch.no_grad():
        slopes = (critic(x) - critic(y)).abs().squeeze(1) / (x - y).norm(dim=1)
    assert 0.1 < float(slopes.max()) <= 1 + 1e-3


def test_mixtures_equal_the_loop_of_their_pairs() -> None:
    gan = normed_gan(Minimax(r1=0.5))
    mix = Mixed(gan, (2, 3))
    z, batch = mix.random(mix.generator(0)), mix.sample(mix.generator(1))
    xs, ys = z[0]["atoms"], z[1]["atoms"]  # type: ignore[index,call-overload]
    assert len({tuple(y.tolist()) for y in ys}) == 3
    table = gan.pair_payoffs(xs, ys, batch)
    pairs = [[gan.payoff(eqgan.Profile((x, y)), batch) for y in ys] for x in xs]
    torch.testing.assert_close(table, torch.stack([torch.stack(row) for row in pairs]))
    losses = [gan.losses(eqgan.Profile((x, y)), batch)[1] for x in xs for y in ys]
    torch.testing.assert_close(mix.losses(z, batch)[1], torch.stack(losses).mean())
    stacked = vmap(lambda p: gan.networks[1].run(p.values(), batch.real))(gan.networks[1].split(ys))
    torch.testing.assert_close(stacked, torch.stack([gan.networks[1](y, batch.real) for y in ys]))
    assert eqgan.solve(mix, "mix_gan", max_steps=3).profile.is_finite()


def test_jacobian_products_are_the_operators_differences() -> None:
    gan = normed_gan()
    for network in gan.networks:
        network.module.double()
    networks = [network.to_module(network.vector().double()) for network in gan.networks]
    gan = GAN(*networks, ring()[0].double(), 2, objective=Wasserstein(), batch_size=32)
    z, batch = gan.initial(gan.generator(0)), gan.sample(gan.generator(1))
    direction, step = gan.random(gan.generator(2)), 1e-6
    ahead, behind = (gan.operator(z + sign * step * direction, batch) for sign in (1, -1))
    product = gan.jvp(z, direction, batch)
    for exact, forward, backward in zip(product, ahead, behind, strict=True):
        torch.testing.assert_close(exact, (forward - backward) / (2 * step), rtol=1e-5, atol=1e-7)


def test_fresh_networks_differ_and_keep_their_layers_own_law() -> None:
    networks = seeded(lambda: (dcgan_generator(8, width=8), dcgan_discriminator(8, width=8)))
    gan = GAN(networks[0], spectral_norm(networks[1]), torch.zeros(9, 1, 8, 8), 64, batch_size=2)
    first, second = (gan.networks[1].fresh(gan.generator(seed)) for seed in (1, 2))
    weights = [
        gan.networks[1].split(vector)["2.parametrizations.weight.original"]
        for vector in (first, second)
    ]
    assert not torch.equal(*weights)
    for weight in weights:
        assert float(weight.std()) == pytest.approx(0.02, rel=0.1)


def test_a_player_divides_its_weights_once_and_not_once_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def counted(matrix: torch.Tensor) -> torch.Tensor:
        calls.append(matrix.shape)
        return largest_singular_value(matrix)

    monkeypatch.setattr("eqgan.gan.spectral.largest_singular_value", counted)
    networks = seeded(lambda: (mlp([2, 8, 2]), mlp([2, 8, 8, 1])))
    gan = GAN(networks[0], spectral_norm(networks[1]), ring()[0], 2, batch_size=8)
    z, batch = gan.initial(gan.generator(0)), gan.sample(gan.generator(1))
    calls.clear()
    field = gan.operator(z, batch)
    assert len(calls) == 3
    leaves = z.attached()
    critic = gan.player(1, leaves[1])
    with torch.no_grad():
        critic(batch.real)
    fakes = gan.player(0, leaves[0])(batch.noise)
    # What was computed without a graph is not taken where one is wanted.
    payoff = gan.objective.payoff(critic(batch.real).flatten(), critic(fakes).flatten())
    x, y = torch.autograd.grad(payoff, leaves.leaves())
    assert torch.equal(x, field[0])
    assert torch.equal(-y, field[1])


WRONG = {
    "no module": (lambda: spectral_norm(len), "expects a torch.nn.Module; got builtin"),  # type: ignore[arg-type]
    "no layer": (lambda: spectral_norm(nn.ReLU()), "ReLU has none"),
    "twice": (lambda: spectral_norm(spectral_norm(mlp([2, 3, 1]))), "The weight of 0 is computed"),
    "other": (
        lambda: spectral_norm(nn.utils.parametrizations.weight_norm(nn.Linear(2, 1))),
        "is computed from others already",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_clear_sentence(case: str) -> None:
    call, said = WRONG[case]
    with pytest.raises(eqgan.EqganError, match=said):
        call()
