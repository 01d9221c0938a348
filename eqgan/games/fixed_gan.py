"""A GAN on fixed samples: its payoffs are exact, so that gaps can be proved from above."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.games.gan import GAN, GanBatch
from eqgan.profile import Profile, Strategy
from eqgan.whole import as_whole


class FixedGAN(GAN):
    r"""The game that a GAN's networks play on given data and given noise, in float64.

    .. math:: F(u, v) = \tfrac1n \sum_i a(D_v(x_i)) + \tfrac1m \sum_j b(D_v(G_u(h_j)))

    Here :math:`x_i` and :math:`h_j` never change, so that the payoff is a number and not an
    expectation, and `eqgan.BoundOracle` can bound the gap from above. `solve` and `certify` take
    the GAN's own profiles (``fixed.as_profile(z)`` is one in float64). What is proved of it is
    proved of these samples: a discriminator may tell them apart by heart where it could not tell
    their distributions apart.

    Args:
        gan: The GAN whose networks and objective play.
        real: Data, `(n, *data)`.
        noise: The generator's inputs, `(m, noise_dim)`.

    Raises:
        InvalidInput: Samples that do not fit the networks, or a gradient penalty between real and
            fake samples where they are not as many.

    Example:
        >>> import eqgan
        >>> from torch import nn
        >>> gan = GAN(nn.Linear(2, 2), nn.Linear(2, 1), torch.randn(500, 2), noise_dim=2)
        >>> fixed = FixedGAN.draw(gan, 100)
        >>> z = gan.initial(gan.generator(0))
        >>> eqgan.certify(fixed, z, eqgan.GradientOracle(steps=10)).stderr
        0.0
    """

    stochastic = False

    data: Tensor

    def __init__(self, gan: GAN, real: Any, noise: Any) -> None:
        if type(gan) not in (GAN, FixedGAN):
            # A subclass may have another payoff.
            raise InvalidInput(f"FixedGAN expects a plain GAN; got {type(gan).__name__}.")
        modules = [n.to_module(n.vector()).double() for n in gan.networks]
        try:
            inputs = torch.as_tensor(noise)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InvalidInput(f"noise should be an array of numbers; got {noise!r}.") from error
        if inputs.dim() != 2 or inputs.shape[1] != gan.noise_dim or len(inputs) == 0:
            raise InvalidInput(
                f"noise should have shape (m, {gan.noise_dim}) with m >= 1; got "
                f"{tuple(inputs.shape)}."
            )
        super().__init__(
            modules[0],
            modules[1],
            real,
            gan.noise_dim,
            gan.objective,
            batch_size=len(inputs),
        )
        self.spaces = gan.spaces
        self.inputs = inputs.detach().to(self.device, self.dtype)
        if self.objective.penalty and len(self.data) != len(self.inputs):
            raise InvalidInput(
                "The gradient penalty looks between pairs of real and fake samples; got "
                f"{len(self.data)} real and {len(self.inputs)} fake ones."
            )
        self.blend = self._draw(self.data, self.generator(0)).blend

    @classmethod
    def draw(cls, gan: GAN, n: int, seed: int = 0) -> Self:
        """Return the game on `n` samples: of the held-out data, where there are, without repeats.

        Args:
            gan: The GAN.
            n: How many data, and as many inputs of the generator; fewer of both where the data are.
            seed: Seed of the draws.
        """
        n = as_whole("n", n, 1)
        if not isinstance(gan, GAN):
            raise InvalidInput(f"FixedGAN expects a plain GAN; got {type(gan).__name__}.")
        rng = gan.generator(seed)
        data = gan.data if gan.holdout is None else gan.holdout
        rows = torch.randperm(len(data), generator=rng, device=gan.device)[:n]
        return cls(gan, data.index_select(0, rows), gan.noise(len(rows), rng))

    @property
    def batch(self) -> GanBatch:
        """The samples."""
        return GanBatch(self.data, self.inputs, self.blend)

    def sample(self, rng: torch.Generator) -> GanBatch:
        """Return the samples, always the same."""
        return self.batch

    def held_out_sample(self, rng: torch.Generator) -> GanBatch:
        """Return the samples, always the same."""
        return self.batch

    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        """Return what the generator pays the discriminator."""
        return super().payoff(z, batch or self.batch)

    def cost(self, z: Profile, player: int, batch: Any = None) -> Tensor:
        """Return what `player` pays."""
        return super().cost(z, player, batch or self.batch)

    def losses(self, z: Profile, batch: Any = None) -> tuple[Tensor, ...]:
        """Return the training signals of generator and discriminator."""
        return super().losses(z, batch or self.batch)

    def facing(
        self, z: Profile, player: int, batch: Any = None
    ) -> Callable[[Strategy], tuple[Tensor, ...]]:
        """Return the losses against a fixed rival."""
        return super().facing(z, player, batch or self.batch)

    def pair_payoffs(self, xs: Strategy, ys: Strategy, batch: Any = None) -> Tensor:
        """Return the payoff of every generator against every discriminator, `(K, L)`."""
        return super().pair_payoffs(xs, ys, batch or self.batch)

    def pair_losses(self, xs: Strategy, ys: Strategy, batch: Any = None) -> tuple[Tensor, Tensor]:
        """Return both players' training losses for every pair, each `(K, L)`."""
        return super().pair_losses(xs, ys, batch or self.batch)
