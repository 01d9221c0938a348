"""Users' modules as players: flat vectors, fresh starts, hidden state, threads, devices."""

import math
import warnings
from collections.abc import Callable

import pytest
import torch
import torch.utils.checkpoint
from test_gan import ring, ring_gan
from torch import Tensor, nn

import eqgan
from eqgan.games import GAN, DiracGAN, FiniteGAN, Mixed, NeuralGame
from eqgan.games.network import Network
from eqgan.gan import spectral_norm
from eqgan.gan.networks import dcgan_discriminator, dcgan_generator, mlp


def test_a_flat_vector_runs_the_users_module() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.second = nn.Linear(3, 3)
            self.second.weight = self.first.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(x).relu())

    for module in (Tied(), mlp([3, 5, 3]), nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))):
        network = eqgan.games.Network(module)
        x = torch.randn(7, 3)
        assert network.size == sum(p.numel() for p in module.parameters())
        assert torch.equal(network(network.vector(), x), module(x))
        shifted = network.vector() + 0.1
        assert torch.equal(network(shifted, x), network.to_module(shifted)(x))
        assert torch.equal(network(network.vector(), x), module(x))


def test_fresh_starts_differ_by_seed_and_are_the_modules_own() -> None:
    network = eqgan.games.Network(dcgan_generator(size=8, width=8, noise_dim=4))
    a, b, c = (network.fresh(torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    weights = network.split(a)["4.weight"]
    assert float(weights.std()) == pytest.approx(0.02, rel=0.15)


def test_dcgan_shapes_and_initialisation() -> None:
    for size, channels in ((8, 1), (28, 1), (32, 3)):
        generator = dcgan_generator(size, channels, noise_dim=16, width=16)
        discriminator = dcgan_discriminator(size, channels, width=16)
        images = generator(torch.randn(2, 16)).detach()
        assert images.shape == (2, channels, size, size)
        assert float(images.abs().max()) <= 1
        assert discriminator(images).shape == (2, 1)


def test_moved_games_leave_nothing_behind() -> None:
    """`to` must reach data, networks and mixtures; the meta device stands in for a GPU."""
    for game in (ring_gan(), Mixed(ring_gan(), (2, 2)), FiniteGAN([0.5, 0.5])):
        moved = game.to("meta")
        assert moved.device.type == "meta"
        assert game.device.type == "cpu"
    gan = ring_gan().to("meta")
    assert gan.data.device.type == "meta"
    assert all(p.device.type == "meta" for n in gan.networks for p in n.module.parameters())
    assert gan.networks[0].places[0][1] is not ring_gan().networks[0].places[0][1]


def linear_gan(generator: nn.Module, discriminator: nn.Module | None = None) -> GAN:
    return GAN(generator, discriminator or nn.Linear(2, 1), ring()[0], 2, batch_size=16)


def test_frozen_parameters_stay_frozen() -> None:
    generator = mlp([2, 4, 2])
    generator[0].requires_grad_(False)
    gan = linear_gan(generator)
    run = eqgan.solve(gan, "simultaneous_gradient", max_steps=5)
    trained, _ = gan.modules(run.profile)
    assert torch.equal(trained[0].weight, generator[0].weight)
    assert not trained[0].weight.requires_grad
    assert not torch.equal(trained[2].weight, generator[2].weight)
    assert gan.networks[0].size == sum(p.numel() for p in generator[2].parameters())


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, 2, bias=False)),
        lambda: nn.utils.parametrizations.orthogonal(nn.Linear(2, 2, bias=False)),
        lambda: Bare(),
    ],
)
def test_atoms_of_a_mixture_start_apart(build) -> None:  # type: ignore[no-untyped-def]
    mix = Mixed(linear_gan(build()), (3, 1))
    atoms = mix.initial(mix.generator(0))[0]["atoms"]
    noise = torch.ones(4, 2)
    outputs = [mix.base.networks[0](atom, noise) for atom in atoms]
    assert not torch.allclose(outputs[0], outputs[1])
    assert not torch.allclose(outputs[1], outputs[2])


@pytest.mark.parametrize(
    "normed",
    [spectral_norm, lambda net: weight_norm_all(net), lambda net: net],
    ids=["spectral norm", "weight norm", "plain"],
)
def test_a_fresh_start_does_not_depend_on_how_the_module_was_built(normed) -> None:  # type: ignore[no-untyped-def]
    """It is the layers' own initialisation, whatever their weights are divided by."""
    drawn, plain = [], linear_gan(nn.Linear(2, 2), mlp([2, 9, 1])).networks[1]
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.random.manual_seed(seed)
            network = linear_gan(nn.Linear(2, 2), normed(mlp([2, 9, 1]))).networks[1]
        drawn.append(network.to_module(network.fresh(torch.Generator().manual_seed(7))))
    expected = plain.to_module(plain.fresh(torch.Generator().manual_seed(7)))
    x = torch.randn(20, 2)
    assert torch.equal(drawn[0](x), drawn[1](x))
    for k in (0, 2):
        assert torch.equal(drawn[0][k].bias, expected[k].bias)
        weight, own = drawn[0][k].weight, expected[k].weight
        scale = torch.linalg.matrix_norm(own, 2) if normed is spectral_norm else 1.0
        torch.testing.assert_close(weight, own / scale)


def weight_norm_all(network: nn.Sequential) -> nn.Sequential:
    return nn.Sequential(
        *(
            nn.utils.parametrizations.weight_norm(part) if isinstance(part, nn.Linear) else part
            for part in network
        )
    )


class Bare(nn.Module):
    """A module with parameters that nothing initialises."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return h * self.scale


class Noisy(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(super().forward(x), 0.5)


def test_hidden_state_and_randomness_are_refused_and_eval_helps() -> None:
    spectral = nn.utils.parametrizations.spectral_norm(nn.Linear(2, 8))
    spectral = nn.Sequential(spectral, nn.Linear(8, 1))
    for discriminator in (spectral, Noisy(2, 1)):
        with pytest.raises(eqgan.InvalidInput, match=r"hidden state or randomness.*\.eval\(\)"):
            linear_gan(nn.Linear(2, 2), discriminator)
    gan = linear_gan(nn.Linear(2, 2), spectral.eval())
    runs = [eqgan.solve(gan, "extragradient", max_steps=3).profile for _ in range(2)]
    assert runs[0].equal(runs[1])


class Cut(nn.Linear):
    """Leaves torch's graph."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.detach()).detach()


class Recomputed(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        run = torch.utils.checkpoint.checkpoint(super().forward, x, use_reentrant=False)
        assert isinstance(run, torch.Tensor)
        return run


def older_weight_norm(network: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(network)


def starting_from(bias: float, network: nn.Linear) -> nn.Module:
    nn.init.constant_(network.bias, bias)
    return network


UNPLAYABLE = {
    "cut": (lambda: Cut(2, 2), "No gradient reaches the parameters of the generator, so"),
    "recomputed": (lambda: Recomputed(2, 2), "cannot be differentiated .*leave out torch.utils.ch"),
    "compiled": (lambda: torch.compile(nn.Linear(2, 2)), "generator is compiled already .* made"),
    "old norm": (lambda: older_weight_norm(nn.Linear(2, 2)), "copies .*parametrizations can"),
    "infinite": (lambda: starting_from(math.inf, nn.Linear(2, 2)), "finite parameters; bias has"),
}


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("case", UNPLAYABLE)
def test_a_module_that_could_not_learn_or_play_is_refused_at_once(case: str) -> None:
    build, sentence = UNPLAYABLE[case]
    with pytest.raises(eqgan.InvalidInput, match=sentence):
        linear_gan(build(), nn.Linear(2, 1))


@pytest.mark.parametrize("names", [("a",), "ab", 3])
def test_players_are_two_names(names: object) -> None:
    with pytest.raises(eqgan.InvalidInput, match="players should be two names"):
        eqgan.games.NeuralGame(
            nn.Linear(1, 1),
            nn.Linear(1, 1),
            lambda g, d, _: (g(torch.ones(1)) * d(torch.ones(1))).sum(),
            players=names,  # type: ignore[arg-type]
        )


def test_a_player_may_play_no_part_in_the_first_batch() -> None:
    one = torch.ones(1, 1)

    def payoff(g: Callable[..., Tensor], d: Callable[..., Tensor], together: bool) -> Tensor:
        return (g(one) * d(one) if together else g(one) ** 2).mean()

    for first in (True, False):
        batches = iter([first])
        game = eqgan.games.NeuralGame(
            nn.Linear(1, 1),
            nn.Linear(1, 1),
            payoff,
            sample=lambda rng, batches=batches: next(batches, True),
        )
        assert eqgan.solve(game, "extragradient", max_steps=2).steps == 2
    with pytest.raises(eqgan.InvalidInput, match="parameters of the maximizer, so"):
        eqgan.games.NeuralGame(
            nn.Linear(1, 1), nn.Linear(1, 1), lambda g, d, _: (g(one) * d(one).detach()).mean()
        )


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_callers_who_turned_gradients_off_are_served(off) -> None:  # type: ignore[no-untyped-def]
    with off():
        linear_gan(nn.Linear(2, 2), nn.Linear(2, 1))
        eqgan.games.NeuralGame(
            nn.Linear(1, 1),
            nn.Linear(1, 1),
            lambda g, d, h: (d(h + 1) - d(g(h))).mean(),
            sample=lambda rng: torch.randn(8, 1, generator=rng),
        )
        assert eqgan.games.ContinuousGame(lambda x, y: x * y).lipschitz == 1
        images, labels = torch.zeros(9, 1, 8, 8), torch.arange(9) % 2
        eqgan.gan.classifier.train_classifier(images, labels, epochs=1)


def test_two_threads_do_not_disturb_each_other() -> None:
    from concurrent.futures import ThreadPoolExecutor

    gan = ring_gan()
    alone = [eqgan.solve(gan, "extragradient", max_steps=40, seed=s).profile for s in range(3)]
    with ThreadPoolExecutor(3) as pool:
        runs = [
            pool.submit(eqgan.solve, gan, "extragradient", max_steps=40, seed=s) for s in range(3)
        ]
    assert all(run.result().profile.equal(z) for run, z in zip(runs, alone, strict=True))


def test_batch_norm_in_training_mode_says_that_one_sample_is_too_few() -> None:
    gan = linear_gan(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    z = gan.initial(gan.generator(0))
    assert gan.generate(z, 2).shape == (2, 2)
    with pytest.raises(eqgan.InvalidInput, match=r"1 samples at once.*GroupNorm"):
        gan.generate(z, 1)


def test_parameters_of_another_precision_are_not_blamed_on_batch_norm() -> None:
    gan = eqgan.games.GAN(nn.Linear(2, 2), nn.Linear(2, 1), torch.randn(50, 2), 2)
    with pytest.raises(eqgan.InvalidInput, match=r"^The generator's parameters are torch.float64"):
        gan.make(gan.networks[0].vector().double(), torch.randn(3, 2))


def test_the_atoms_of_a_mixture_are_modules() -> None:
    gan = linear_gan(mlp([2, 4, 2]))
    mix = Mixed(gan, (3, 2))
    z = mix.random(mix.generator(0))
    generators, discriminators = mix.modules(z)
    noise = gan.noise(5, gan.generator(1))
    for generator, atom in zip(generators, z[0]["atoms"], strict=True):
        assert torch.equal(generator(noise), gan.make(atom, noise))
    assert len(discriminators) == 2
    with pytest.raises(eqgan.UnsupportedGame, match="Only networks are modules; got DiracGAN"):
        Mixed(DiracGAN(), (2, 2)).modules(z)


def test_batch_norm_in_a_mixture_runs_on_a_whole_batch() -> None:
    """One sample of an atom that is hardly ever drawn would be normalised to nothing."""
    generator = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False))
    mix = eqgan.games.Mixed(linear_gan(generator), (2, 1))
    z = mix.initial(mix.generator(0))
    rare = {"weights": torch.tensor([0.99, 0.01]), "atoms": z[0]["atoms"]}
    few = [mix.generate(z.replace(0, rare), 1, seed=seed) for seed in range(200)]
    spread = torch.cat(few).std(dim=0)
    torch.testing.assert_close(spread, torch.ones(2), rtol=0, atol=0.2)


def test_batch_norm_makes_no_short_last_part_of_its_own() -> None:
    gan = linear_gan(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False)))
    z = gan.initial(gan.generator(0))
    last = gan.generate(z, 66, chunk=64)[-2:]
    assert float((last.abs() - 1).abs().max()) > 0.05
    assert gan.generate(z, 65, chunk=64).shape == (65, 2)


def test_batch_norm_in_evaluation_mode_keeps_its_statistics() -> None:
    norm = nn.BatchNorm1d(2)
    norm(torch.randn(64, 2) * 3 + 1)
    generator = nn.Sequential(nn.Linear(2, 2), norm).eval()
    gan = linear_gan(generator)
    h = torch.randn(5, 2)
    assert torch.equal(gan.networks[0](gan.networks[0].vector(), h), generator(h))


def test_parts_of_a_vector_are_views_whose_gradients_join_at_every_order() -> None:
    network = Network(mlp([2, 3, 1]))
    vector = network.vector().double().requires_grad_()
    parts = network.parts(vector)
    assert all(part.data_ptr() >= vector.data_ptr() for part in parts)
    value = sum((part**3).sum() for part in parts[1:])
    (slope,) = torch.autograd.grad(value, vector, create_graph=True)
    (curve,) = torch.autograd.grad(slope.sum(), vector)
    used = torch.arange(network.size) >= network.sizes[0]
    torch.testing.assert_close(slope, torch.where(used, 3 * vector**2, 0.0))
    torch.testing.assert_close(curve, torch.where(used, 6 * vector, 0.0))
    stack = torch.stack([vector.detach(), 2 * vector.detach()])
    for k, row in enumerate(network.rows(stack)):
        assert all(map(torch.equal, row, network.parts(stack[k])))
        assert all(map(torch.equal, row, network.split(stack[k]).values()))
        assert all(map(torch.equal, row, [part[k] for part in network.split(stack).values()]))
    scores = torch.func.vmap(lambda v: network(v, torch.ones(4, 2)))(stack.float())
    assert scores.shape == (2, 4, 1)


def test_samples_come_from_the_generator_that_is_given(device: torch.device) -> None:
    def sampled(sample: Callable[..., torch.Tensor]) -> NeuralGame:
        networks = nn.Linear(2, 2).to(device), nn.Linear(2, 1).to(device)
        return NeuralGame(*networks, lambda g, d, x: d(g(x)).mean(), sample)

    assert sampled(lambda rng: torch.randn(8, 2, generator=rng, device=device)).stochastic
    for where in ("cpu", device):
        with pytest.raises(eqgan.InvalidInput, match="sample draws from torch's global generator"):
            sampled(lambda rng, w=where: torch.randn(8, 2, device=w).to(device))
    with pytest.raises(eqgan.InvalidInput, match=r"sample fails, called as sample\(rng\)"):
        sampled(lambda: torch.randn(8, 2))


def test_a_payoff_that_draws_is_told_where_to() -> None:
    def draws(g, d, _):  # type: ignore[no-untyped-def]
        return d(g(torch.randn(8, 2))).mean()

    with pytest.raises(
        eqgan.InvalidInput, match=r"What a payoff draws comes from its sample\(rng\)"
    ):
        NeuralGame(nn.Linear(2, 2), nn.Linear(2, 1), draws)


def test_modules_for_strategies_are_told_how_to_become_vectors() -> None:
    gan = linear_gan(nn.Linear(2, 2))
    z = gan.random(gan.generator(1))
    modules = gan.modules(z)
    with pytest.raises(eqgan.InvalidInput, match=r"strategy of generator .*parameters_to_vector"):
        eqgan.solve(gan, init=modules, max_steps=0)
    vectors = [nn.utils.parameters_to_vector(module.parameters()) for module in modules]
    assert gan.as_profile(vectors).equal(z)
