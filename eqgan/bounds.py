"""Gaps of GANs from both sides: deviations that were found, and what no deviation gains."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.game import Game
from eqgan.games.fixed_gan import FixedGAN
from eqgan.gan import ceilings
from eqgan.gan.box_maximum import altered, box_maximum, flattened, keeps_batch
from eqgan.gan.objectives import Hinge, JensenShannon, Measured, Minimax, NonSaturating, Wasserstein
from eqgan.gan.spectral import largest_norm
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.response import Oracle, Response
from eqgan.search import GradientOracle, cost_gradient
from eqgan.spaces import Box, Euclidean
from eqgan.whole import as_whole

FALLING = (Minimax, NonSaturating, Wasserstein, Hinge, Measured, JensenShannon)
"""Objectives under which the generator pays less the larger the discriminator's output is."""

INVERSE: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.Tanh: lambda x: x.clamp(-1 + 1e-12, 1 - 1e-12).atanh(),
    nn.Sigmoid: lambda x: x.logit(1e-12),
    nn.Hardtanh: lambda x: x,
}
"""Activations that keep a generator's samples in a box, and what they make a point of it of."""


SINGLE = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.GroupNorm, nn.Flatten, nn.Unflatten),
    *(nn.Identity, nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.Upsample),
    *(nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.SiLU, nn.GELU, nn.ELU),
)
"""Layers that look at the samples of a batch one by one."""

FORWARDS = {layer.forward for layer in SINGLE}
"""And what they compute: a subclass may compute anything, but for a parametrised layer's."""


@dataclass(frozen=True)
class BoundOracle(Oracle):
    r"""Bounds a GAN's gap on fixed samples from below and from above.

    **Generator.** A network that ends in Tanh, Sigmoid or Hardtanh makes samples in a box, so that
    against a discriminator D no generator whatever pays less than one whose every sample is the
    maximum of D over the box. `eqgan.gan.box_maximum` proves that maximum from above by branch and
    bound. From below the generator itself can sit at the point that was found: no weights in the
    last layer, and a bias.

    **Discriminator.** It receives no more than the best function of a class that it is proved to
    lie in (`eqgan.gan.ceilings`), the tightest of these:

    - all functions of a sample, for every network that looks at samples one by one: on finite
      samples the best one is known. It may know them by heart, so the bound is loose where data and
      generated samples share no point;
    - functions of Lipschitz constant L: of layers of `Linear`, `ReLU`, `LeakyReLU`, `Tanh` and
      `Sigmoid` under `eqgan.gan.spectral_norm` (L hardly above 1) or with clipped weights (L the
      product of their largest possible norms). For the Wasserstein payoff it is L times the exact
      Wasserstein-1 distance of the samples;
    - linear functions with a bounded set of weights: the best response itself, and so no gap.

    From below, and for generators that end otherwise, `search` looks for deviations. A side for
    which nothing is proved has an infinite upper bound, and the certificate says why.

    Args:
        search: Finds deviations.
        tolerance: How far apart both ends of the maximum over the box may stay, in units of the
            discriminator's output.
        budget: How many boxes may be bounded before that search ends with what it has proved.

    Example:
        >>> import eqgan
        >>> from eqgan.games import GAN, FixedGAN
        >>> from eqgan.gan import spectral_norm
        >>> rng = torch.Generator().manual_seed(0)
        >>> gan = GAN(
        ...     nn.Sequential(nn.Linear(1, 1), nn.Tanh()),
        ...     spectral_norm(nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))),
        ...     torch.rand(200, 1, generator=rng), noise_dim=1,
        ...     objective=eqgan.gan.objectives.Wasserstein(),
        ... )
        >>> z = gan.random(gan.generator(0))
        >>> proof = eqgan.certify(FixedGAN.draw(gan, 100), z, BoundOracle())
        >>> 0 < proof.nash_conv_lower < proof.nash_conv_upper < 2
        True
    """

    search: Oracle = field(default_factory=GradientOracle)
    tolerance: float = 1e-3
    budget: int = 100_000

    def __post_init__(self) -> None:
        if not isinstance(self.search, Oracle):
            raise InvalidInput(f"BoundOracle: search should be an Oracle; got {self.search!r}.")
        as_real("tolerance", self.tolerance, "(0, inf)")
        as_whole("budget", self.budget, 1)

    @property
    def evaluations(self) -> float:
        """Joint gradients of the searches."""
        return self.search.evaluations

    @property
    def how(self) -> str:
        """How deviations were sought."""
        return self.search.how

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless the game is a GAN on fixed samples."""
        # A subclass may have another payoff.
        if type(game) is FixedGAN:
            return self.search.unsupported(game)
        return (
            "upper bounds are proved on fixed samples, of a GAN without mixtures: certify "
            "eqgan.games.FixedGAN.draw(gan, 1000) at the same profile"
        )

    def respond(self, game: Game, z: Profile, player: int, rng: torch.Generator) -> Response:
        """Return the best deviation found, and the floor of all."""
        assert isinstance(game, FixedGAN)
        z = z.detach()
        try:
            return (self._discriminator if player else self._generator)(game, z, rng)
        except UnsupportedGame as reason:
            found = self.search.respond(game, z, player, rng)
            why = f"no upper bound for the {game.players[player]}: {str(reason).rstrip('.')}"
            return Response(found.game, found.deviated, proof=why, curve=found.curve)

    def _generator(self, game: FixedGAN, z: Profile, rng: torch.Generator) -> Response:
        if type(game.objective) not in FALLING:
            raise UnsupportedGame(
                f"under {type(game.objective).__name__} a larger output of the discriminator may "
                "cost the generator more"
            )
        low, high = _output_box(game.networks[0].module)
        size = game.data[0].numel()
        _, discriminator = game.modules(z)
        top = box_maximum(discriminator, [low] * size, [high] * size, self.tolerance, self.budget)
        real = game.player(1, z[1])(game.data).flatten()
        most = torch.tensor([top.proved]).to(game.data)
        floor = game.objective.payoff(real, most)
        proof = f"every generator into [{low:g}, {high:g}]^{size}"
        there = _point_mass(game, z, top.point)
        if there is not None:
            return Response(game, z.replace(0, there), floor, proof)
        found = self.search.respond(game, z, 0, rng)
        return Response(game, found.deviated, floor, proof, found.curve)

    def _discriminator(self, game: FixedGAN, z: Profile, rng: torch.Generator) -> Response:
        objective, space = game.objective, game.spaces[1]
        layers = list(flattened(game.networks[1].module))
        affine = type(objective) is Wasserstein and not objective.penalised
        if affine and space.bounded and [type(layer) for layer in layers] == [nn.Linear]:
            best = space.minimizer(cost_gradient(game, z, 1, game.batch))
            return Response.best(game, z.replace(1, best), 1)
        fake = game.make(z[0], game.inputs)
        known: list[tuple[float, str]] = []
        reasons: list[str] = []
        try:
            _check_single(game.networks[1].module)
            _check_alone(game, z)
            most = ceilings.all_functions(objective, game.data, fake)
            known.append((float(most), "every discriminator"))
        except UnsupportedGame as error:
            reasons.append(str(error))
        try:
            constant = lipschitz_constant(game)
            most = ceilings.lipschitz(objective, game.data, fake, constant)
            known.append((float(most), f"every {constant:.4g}-Lipschitz discriminator"))
        except (UnsupportedGame, InvalidInput) as error:
            reasons.append(str(error))
        if not known:
            raise UnsupportedGame(" ".join(reasons))
        most_received, proof = min(known)
        found = self.search.respond(game, z, 1, rng)
        floor = torch.as_tensor(-most_received, dtype=torch.float64, device=game.device)
        return Response(game, found.deviated, floor, proof, found.curve)


def lipschitz_constant(game: FixedGAN) -> float:
    """Return a Lipschitz constant of every discriminator that can play, for Euclidean distances.

    Raises:
        UnsupportedGame: A layer that is not known to have one, or weights without a bound.
    """
    space, network, constant = game.spaces[1], game.networks[1], 1.0
    # Frozen weights lie outside the set.
    clipped = {id(network.module.get_parameter(name)) for name in network.names}
    for layer in flattened(network.module):
        if isinstance(layer, nn.Linear) and type(layer).forward is nn.Linear.forward:
            norm = largest_norm(layer)
            if norm is None and isinstance(space, Box) and id(layer.weight) in clipped:
                entry = max(abs(space.low), abs(space.high))
                norm = entry * math.sqrt(layer.in_features * layer.out_features)
            if norm is None:
                raise UnsupportedGame(
                    "The discriminator has no Lipschitz constant for all its weights: clip them, "
                    "or divide them with eqgan.gan.spectral_norm."
                )
            constant *= norm
        elif type(layer) is nn.LeakyReLU:
            constant *= max(1.0, abs(layer.negative_slope))
        elif type(layer) is nn.Sigmoid:
            constant *= 0.25
        elif type(layer) not in (nn.ReLU, nn.Tanh):
            raise UnsupportedGame(
                f"No Lipschitz constant is known here for a {type(layer).__name__}; networks of "
                "Linear, ReLU, LeakyReLU, Tanh and Sigmoid in a Sequential have one."
            )
    return constant


def _check_single(network: nn.Module) -> None:
    """Raise unless the output for a sample is known not to depend on the rest of its batch."""
    if type(network).forward is nn.Sequential.forward and not altered(network):
        for part in network.children():
            _check_single(part)
        return
    single = isinstance(network, SINGLE) and type(network).forward in FORWARDS
    if isinstance(network, nn.Flatten | nn.Unflatten):
        single = single and keeps_batch(network)
    if altered(network) or not single:
        raise UnsupportedGame(
            f"A {type(network).__name__} is not known to look at a batch sample by sample, as a "
            "function of samples does."
        )


def _check_alone(game: FixedGAN, z: Profile) -> None:
    """Raise unless the discriminator takes one sample.

    A convolution takes samples without channels as the channels of one sample. It fails on fewer
    than it has.
    """
    try:
        with torch.no_grad():
            game.player(1, z[1])(game.data[:1])
    except RuntimeError as error:
        raise UnsupportedGame("The discriminator takes no single sample.") from error


def _output_box(generator: nn.Module) -> tuple[float, float]:
    last = [*flattened(generator)][-1]
    if type(last) is nn.Tanh:
        return -1.0, 1.0
    if type(last) is nn.Sigmoid:
        return 0.0, 1.0
    if type(last) is nn.Hardtanh:
        return float(last.min_val), float(last.max_val)
    raise UnsupportedGame(
        "its samples are not known to lie in a box; let it end in Tanh, Sigmoid or Hardtanh"
    )


def _point_mass(game: FixedGAN, z: Profile, point: Tensor) -> Tensor | None:
    """Return the generator whose every sample is `point`, if its last layer can make it so."""
    if not isinstance(game.spaces[0], Euclidean):
        return None
    network = game.networks[0]
    layers = [*flattened(network.module)]
    linear: Any = layers[-2] if len(layers) > 1 else None
    if type(linear) is not nn.Linear or linear.out_features != len(point):
        return None
    name = next(n for n, part in network.module.named_modules() if part is linear)
    weight, bias = f"{name}.weight", f"{name}.bias"
    here = z[0]
    assert isinstance(here, Tensor)
    parts = network.split(here)
    if weight not in parts or bias not in parts:
        return None
    parts[weight] = torch.zeros_like(parts[weight])
    parts[bias] = INVERSE[type(layers[-1])](point).to(parts[bias])
    return torch.cat([part.flatten() for part in parts.values()])
