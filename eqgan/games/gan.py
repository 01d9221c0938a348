"""GANs: a generator and a discriminator on data, as a two-player game."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import vmap

from eqgan.data.given import Data, as_data
from eqgan.errors import InvalidInput, reason
from eqgan.games.compiled import CompiledOperator
from eqgan.games.neural import NetworkGame, Player
from eqgan.games.precision import autocast_type
from eqgan.gan.collapse import PROBES, collapse, some, total_variance
from eqgan.gan.objective import check_outputs
from eqgan.gan.objectives import ObjectiveLike, as_objective
from eqgan.profile import Profile, Strategy
from eqgan.randomness import check_generator
from eqgan.spaces import Box
from eqgan.stacks import over_pairs, over_stack
from eqgan.whole import as_whole

CHUNK = 4096
"""Samples made at a time."""


class GanBatch(NamedTuple):
    """One evaluation's samples.

    Attributes:
        real: Data, `(batch_size, *data)`.
        noise: The generator's input, `(batch_size, noise_dim)`.
        blend: Where between real and fake the gradient penalty looks, `(batch_size, 1, ...)`;
            ``None`` without a penalty.
    """

    real: Tensor
    noise: Tensor
    blend: Tensor | None


class GAN(NetworkGame):
    r"""A generative adversarial network: :math:`\min_u \max_v F(u, v)`.

    Players come in the order (generator, discriminator). The payoff is what the discriminator
    receives; the generator's training signal may differ (`eqgan.gan.objectives`). A gradient
    penalty is no part of the payoff: the discriminator pays it on top, in training and in
    certificates.

    Args:
        generator: Maps noise `(batch, noise_dim)` to samples `(batch, *data)`.
        discriminator: Maps samples to one number each, `(batch,)` or `(batch, 1)`, no sigmoid.
        data: The training data, `(N, *data)`: a tensor, an array, or a map-style `Dataset` of
            tensors or of (tensor, label) pairs. Held on the networks' device; what would take more
            than half of its memory is read when it is drawn (`eqgan.data.Streamed`).
        noise_dim: Length of the generator's input, standard Gaussian noise.
        objective: A name in `eqgan.gan.objectives.OBJECTIVES`, or an `Objective`. The plain name
            ``"wasserstein"`` clips the critic's parameters to ±0.1.
        batch_size: Samples an evaluation, real and fake each.
        holdout: Data like `data` that no player trains on: searches for deviations train on
            `data`, and certificates measure what they gain on these. Without them a discriminator
            that has learned the data by heart counts as a deviation.
        precision: ``"float32"`` computes in the parameters' own type; ``"bfloat16"`` runs the
            networks under `torch.autocast`: faster where the processor has such instructions, many
            times slower where not. Parameters, samples, payoffs and steps stay float32; payoffs,
            and so certificates, are those of the networks as they run.
        compile: Compile the gradients of both players' losses by `torch.compile`: half a minute of
            compiling, after which small networks on a CPU are faster and convolutions slower
            (tests/benchmarks). Where the compiler is missing or fails, under methods that
            differentiate twice and in mixtures the game runs uncompiled, and the result's message
            says so.

    Raises:
        InvalidInput: Modules or data whose shapes do not fit together.

    References:
        Goodfellow et al. 2014, arXiv:1406.2661; Arora et al. 2017, arXiv:1703.00573.

    Example:
        >>> import eqgan
        >>> gan = GAN(nn.Linear(2, 2), nn.Linear(2, 1), torch.randn(500, 2), noise_dim=2)
        >>> run = eqgan.solve(gan, "extragradient", max_steps=5)
        >>> gan.generate(run.profile, 10, seed=1).shape
        torch.Size([10, 2])
    """

    recommended = "extragradient"

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        data: Any,
        noise_dim: int,
        objective: ObjectiveLike = "minimax",
        batch_size: int = 256,
        holdout: Any = None,
        precision: Literal["float32", "bfloat16"] = "float32",
        compile: bool = False,
    ) -> None:
        self.noise_dim = as_whole("noise_dim", noise_dim, 1)
        self.batch_size = as_whole("batch_size", batch_size, 1)
        self.objective = as_objective(objective)
        self.precision = precision
        self.compile = bool(compile)
        super().__init__(generator, discriminator, ("generator", "discriminator"))
        for network in self.networks:
            network.autocast = autocast_type(precision, self.dtype, self.device)
        self.compiled = CompiledOperator() if self.compile else None
        self.data = as_data(data, self.device, self.dtype)
        self.holdout = None if holdout is None else as_data(holdout, self.device, self.dtype)
        if self.holdout is not None and self.holdout.shape[1:] != self.data.shape[1:]:
            raise InvalidInput(
                "holdout should hold samples like the data, of shape "
                f"{tuple(self.data.shape[1:])}; got {tuple(self.holdout.shape[1:])}."
            )
        self._check_shapes()
        if self.objective.clip is not None:
            clip = self.objective.clip
            self.spaces = (self.spaces[0], Box((self.networks[1].size,), -clip, clip))

    @torch.inference_mode(False)  # No gradient is to be had of what is made in inference mode.
    def _check_shapes(self) -> None:
        x, y = (network.vector() for network in self.networks)
        noise = torch.zeros(2, self.noise_dim, dtype=self.dtype, device=self.device)
        shapes = (
            f"the generator takes noise (2, {self.noise_dim}), data come as "
            f"(2, {', '.join(map(str, self.data.shape[1:]))})"
        )
        two = torch.arange(2, device=self.device) % len(self.data)
        real = self.data.index_select(0, two)
        fake = self._probe(0, x, noise, shapes)
        if fake.shape != real.shape:
            raise InvalidInput(
                f"The generator should make samples like the data: {shapes}, and it makes "
                f"{tuple(fake.shape)}."
            )
        shapes = f"{shapes}, the generator makes {tuple(fake.shape)}"
        scores = self._probe(1, y, real, shapes)
        if scores.shape not in ((2,), (2, 1)):
            raise InvalidInput(
                "The discriminator should give one number a sample, (2,) or (2, 1): "
                f"{shapes}, and it gives {tuple(scores.shape)}."
            )
        check_outputs(self.objective, self.networks[1].module, lambda: self.player(1, y)(real))
        for check in (self.check_repeatable, self.check_differentiable):
            check(lambda z: self.player(1, z[1])(self.player(0, z[0])(noise)))

    def _probe(self, player: int, strategy: Tensor, inputs: Tensor, shapes: str) -> Tensor:
        name = self.players[player]
        try:
            with torch.no_grad():
                output: Any = self.networks[player](strategy, inputs)
        except Exception as error:
            # Whatever a user's module raises.
            raise InvalidInput(
                f"The {name} fails on an input of shape {tuple(inputs.shape)} ({reason(error)}); "
                f"{shapes}."
            ) from error
        if not isinstance(output, Tensor):
            raise InvalidInput(f"The {name} should return a tensor; got {type(output).__name__}.")
        return output

    # -- samples -----------------------------------------------------------------------------

    def sample(self, rng: torch.Generator) -> GanBatch:
        """Return data drawn with replacement, noise, and blends for the penalty."""
        return self._draw(self.data, rng)

    def held_out_sample(self, rng: torch.Generator) -> GanBatch:
        """Return a sample of the held-out data, or of the data where none are held out."""
        return self._draw(self.data if self.holdout is None else self.holdout, rng)

    def _draw(self, data: Data, rng: torch.Generator) -> GanBatch:
        check_generator(rng)
        rows, blend = self._rows(data, rng), None
        if self.objective.penalty:
            shape = (self.batch_size,) + (1,) * (len(data.shape) - 1)
            blend = torch.rand(shape, generator=rng, dtype=self.dtype, device=self.device)
        noise = self.noise(self.batch_size, rng)
        if isinstance(data, Tensor):
            return GanBatch(data.index_select(0, rows), noise, blend)
        # If nothing else is drawn in between, the next batch has these rows: no one need wait.
        coming = self._rows(data, torch.Generator(self.device).set_state(rng.get_state()))
        return GanBatch(data.index_select(0, rows, coming), noise, blend)

    def _rows(self, data: Data, rng: torch.Generator) -> Tensor:
        return torch.randint(len(data), (self.batch_size,), generator=rng, device=self.device)

    def noise(self, size: int, rng: torch.Generator) -> Tensor:
        """Return the generator's input for `size` samples."""
        return torch.randn(
            size, self.noise_dim, generator=rng, dtype=self.dtype, device=self.device
        )

    # -- payoffs -----------------------------------------------------------------------------

    @property
    def trains_on_payoff(self) -> bool:
        """Whether the generator descends the payoff itself."""
        return self.objective.zero_sum

    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        """Return what the generator pays the discriminator on `batch`."""
        _check_batch(batch)
        discriminator = self.player(1, z[1])
        fake = self.player(0, z[0])(batch.noise)
        real, scores = discriminator(batch.real), discriminator(fake)
        return self.objective.payoff(real.view(-1), scores.view(-1))

    def cost(self, z: Profile, player: int, batch: Any = None) -> Tensor:
        """Return what `player` pays; a gradient penalty is the discriminator's alone."""
        if player == 1 and self.objective.penalised:
            return self.losses(z, batch)[1]
        return super().cost(z, player, batch)

    def _penalty(self, discriminator: Player, batch: GanBatch, fake: Tensor) -> Tensor:
        def slopes(samples: Tensor) -> Tensor:
            slope: Tensor = torch.func.grad(lambda s: discriminator(s).sum())(samples)
            return slope.flatten(1)

        paid = torch.zeros((), dtype=self.dtype, device=self.device)
        if batch.blend is not None:
            length = slopes(torch.lerp(fake, batch.real, batch.blend)).norm(dim=1)
            paid = paid + self.objective.penalty * (length - 1).square().mean()
        if self.objective.r1:
            paid = paid + self.objective.r1 / 2 * slopes(batch.real).square().sum(1).mean()
        return paid

    def losses(self, z: Profile, batch: Any = None) -> tuple[Tensor, ...]:
        """Return the training signals of generator and discriminator."""
        if self.trains_on_payoff:
            return super().losses(z, batch)
        _check_batch(batch)
        return self._losses(self.player(1, z[1]), self.player(0, z[0])(batch.noise), batch)

    def facing(
        self, z: Profile, player: int, batch: Any = None
    ) -> Callable[[Strategy], tuple[Tensor, ...]]:
        """Return the losses against a fixed rival; a fixed generator makes its samples once."""
        own = type(self).losses is GAN.losses and type(self).payoff is GAN.payoff
        if player == 0 or not own:
            return super().facing(z, player, batch)
        _check_batch(batch)
        fake = self.player(0, z[0])(batch.noise)
        return lambda strategy: self._losses(self.player(1, strategy), fake, batch)

    def _losses(self, discriminator: Player, fake: Tensor, batch: GanBatch) -> tuple[Tensor, ...]:
        real, scores = discriminator(batch.real).view(-1), discriminator(fake).view(-1)
        payoff = self.objective.payoff(real, scores)
        if self.trains_on_payoff:
            return payoff, -payoff
        loss = -payoff
        if self.objective.margins:
            apart = _apart(batch.real, fake)
            loss = self.objective.discriminator_loss(real, scores, apart)
        if self.objective.penalised:
            loss = loss + self._penalty(discriminator, batch, fake)
        return self.objective.generator_loss(scores), loss

    def pair_payoffs(self, xs: Strategy, ys: Strategy, batch: Any = None) -> Tensor:
        """Return the payoff of every generator against every discriminator, `(K, L)`."""
        _check_batch(batch)
        real, fake = self._scores(self._each(0, xs, batch.noise), ys, batch)
        return self.objective.payoff(real, fake).t()

    def pair_losses(self, xs: Strategy, ys: Strategy, batch: Any = None) -> tuple[Tensor, Tensor]:
        """Return both players' training losses for every pair, each `(K, L)`."""
        if self.trains_on_payoff:
            return super().pair_losses(xs, ys, batch)
        _check_batch(batch)
        fakes = self._each(0, xs, batch.noise)
        real, fake = self._scores(fakes, ys, batch)
        mine = self.objective.generator_loss(fake).t()
        if self.objective.margins:
            apart = vmap(_apart, (None, 0))(batch.real, fakes)
            theirs = self.objective.discriminator_loss(real, fake, apart).t()
        else:
            theirs = -self.objective.payoff(real, fake).t()
        if self.objective.penalised:
            theirs = theirs + self._penalty_table(fakes, ys, batch)
        return mine, theirs

    def _scores(self, fakes: Tensor, ys: Strategy, batch: GanBatch) -> tuple[Tensor, Tensor]:
        """Return the discriminators' outputs on data `(L, 1, B)` and on all fakes `(L, K, B)`.

        Every generator runs once, and every discriminator once on the data and all fakes together:
        not once for each of the K times L pairs.
        """
        scores = self._each(1, ys, torch.cat((batch.real, fakes.flatten(0, 1))))
        scores = scores.reshape(len(scores), 1 + len(fakes), -1)
        return scores[:, :1], scores[:, 1:]

    def _each(self, player: int, strategies: Strategy, inputs: Tensor) -> Tensor:
        """Return what each of the stacked networks `(K, d)` makes of one input, `(K, ...)`."""
        network = self.networks[player]
        assert isinstance(strategies, Tensor)
        if self.device.type != "cpu":
            split = network.split(strategies)
            found: Tensor = over_stack(lambda p: network.run(p.values(), inputs), split)
            return found
        # One by one their activations stay in a processor's cache; all at once they do not.
        return torch.stack([network.run(row, inputs) for row in network.rows(strategies)])

    def _penalty_table(self, fakes: Tensor, ys: Strategy, batch: GanBatch) -> Tensor:
        discriminator = self.networks[1]
        assert isinstance(ys, Tensor)

        def one(fake: Tensor, parameters: dict[str, Tensor]) -> Tensor:
            values = parameters.values()
            return self._penalty(lambda s: discriminator.run(values, s), batch, fake)

        table: Tensor = over_pairs(one, fakes, discriminator.split(ys))
        return table

    # -- what people want from a trained GAN ----------------------------------------------------

    def generate(self, z: Profile, n: int, seed: int = 0, chunk: int = CHUNK) -> Tensor:
        """Return `n` samples of the generator in `z`.

        Args:
            z: A profile of this game.
            n: How many samples.
            seed: Seed of the noise.
            chunk: Samples made at a time, at most, which bounds the memory.

        Returns:
            Shape `(n, *data)`.
        """
        n, chunk = as_whole("n", n, 0), as_whole("chunk", chunk, 1)
        (x, _), rng = self.as_profile(z), self.generator(seed)
        return self.make_in_parts(x, self.noise(n, rng), chunk)

    def failure(self, z: Profile, before: Profile) -> str:
        """Return that the generator has collapsed to one point, where that is so."""
        alone = torch.ones(1, **self.options)
        return collapse(lambda y: self.spread(y.leaves()[0][None], alone), z, before)

    def spread(self, atoms: Tensor, weights: Tensor) -> float:
        """Return the variance of what a mixture of generators makes, as a share of the data's.

        Args:
            atoms: The generators, `(K, d)`.
            weights: How likely each is, `(K,)`.
        """
        noise = self.noise(PROBES, self.generator(0))
        samples = torch.stack([self.make(atom, noise) for atom in atoms])
        return total_variance(samples, weights) / self.data_variance

    @cached_property
    def data_variance(self) -> float:
        """The total variance of the data; infinite where nothing varies."""
        return total_variance(some(self.data)[None], torch.ones(1, **self.options)) or math.inf

    def make(self, x: Strategy, noise: Tensor) -> Tensor:
        """Return the samples that the generator `x` makes of `noise`, without a graph.

        Raises:
            InvalidInput: A generator that cannot take so few samples at once.
        """
        generator = self.player(0, x)
        try:
            with torch.no_grad():
                return generator(noise)
        except ValueError as error:
            raise InvalidInput(
                f"The generator cannot make {len(noise)} samples at once ({error}); BatchNorm in "
                "training mode needs several: call .eval() on it, or use GroupNorm."
            ) from error

    def make_in_parts(self, x: Strategy, noise: Tensor, chunk: int = CHUNK) -> Tensor:
        """Return what `make` does, at most `chunk` samples at a time."""
        # Equal parts: BatchNorm would normalise a short last one by itself, two samples to ±1.
        parts = torch.tensor_split(noise, max(1, math.ceil(len(noise) / chunk)))
        return torch.cat([self.make(x, part) for part in parts])


def _check_batch(batch: Any) -> None:
    if getattr(batch, "noise", None) is None:
        raise InvalidInput(
            "A GAN's payoffs are those of a batch, such as game.sample(game.generator(0)); got "
            f"{type(batch).__name__}. eqgan.certify averages over many."
        )


def _apart(real: Tensor, fake: Tensor) -> Tensor:
    """Return the l1 distance of each sample from the one beside it, `(batch,)`."""
    return (real - fake).abs().flatten(1).sum(1)
