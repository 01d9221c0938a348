"""From a mixture of generators to one network that plays it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.profile import Profile
from eqgan.real import as_real

if TYPE_CHECKING:
    from eqgan.games.gan import GAN
    from eqgan.games.mixed import Mixed

PROBES = 4096
"""Samples of each generator whose largest entry, doubled, stands in for a bound on all."""


class SelectedGenerator(nn.Module):
    r"""One network of noise (h, s) that shows :math:`G_i(h)` when s lies in the i-th interval.

    With :math:`q_i = \Phi^{-1}(w_1 + \dots + w_i)` and ramps :math:`\sigma_i(s) = \big[(s - q_i +
    \delta)_+ - (s - q_i)_+\big] / \delta` the gates :math:`g_i = \sigma_{i-1} - \sigma_i` sum to
    1, and

    .. math:: G(h, s) = \sum_i \big(G_i(h) - B (1 - g_i)\big)_+ - \big(-G_i(h) - B (1 - g_i)\big)_+

    lets through what its gate is open for, if no entry of any :math:`G_i(h)` exceeds B.

    Args:
        generators: The networks that are mixed.
        weights: How often each is to be shown, `(T,)`, positive, sum 1.
        noise_dim: Length of h.
        delta: Width of the ramps, in standard deviations of s.
        reach: B, in the units of the samples.
        proved: Whether it is known that no entry exceeds B.

    Attributes:
        noise_dim: Length of the input: that of h, and one more.
        total_variation: Between its samples and the mixture's, at most; a proof where `proved`,
            else for generators none of whose entries exceed `reach`.

    Raises:
        InvalidInput: When called with noise of another shape.
    """

    thresholds: Tensor

    def __init__(
        self,
        generators: list[nn.Module],
        weights: Tensor,
        noise_dim: int,
        delta: float,
        reach: float,
        proved: bool,
    ) -> None:
        super().__init__()
        self.generators = nn.ModuleList(generators)
        shares = weights.double().cumsum(0)[:-1].clamp(0, 1)
        self.register_buffer("thresholds", torch.special.ndtri(shares).to(weights.dtype))
        self.noise_dim, self.delta, self.reach, self.proved = noise_dim + 1, delta, reach, proved

    @property
    def total_variation(self) -> float:
        """The distance in law between its samples and the mixture's, at most."""
        return min((len(self.generators) - 1) * self.delta / math.sqrt(2 * math.pi), 1.0)

    def get_extra_state(self) -> Tensor:
        """Return delta, B and whether it is proved: a `state_dict` without them is another law."""
        return torch.tensor([self.delta, self.reach, self.proved], dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        """Take delta, B and whether it is proved from a `state_dict`."""
        self.delta, self.reach, proved = state.tolist()
        self.proved = bool(proved)

    def gates(self, s: Tensor) -> Tensor:
        """Return how far each generator's gate is open, `(batch, T)`, rows summing to 1."""
        beyond = s[:, None] - self.thresholds
        # The two rectifiers of a ramp in one: their difference would be rounded.
        ramps = (beyond / self.delta + 1).clamp(0, 1)
        ones, zeros = torch.ones_like(s[:, None]), torch.zeros_like(s[:, None])
        return torch.cat((ones, ramps), 1) - torch.cat((ramps, zeros), 1)

    def forward(self, noise: Tensor) -> Tensor:
        """Return samples for noise `(batch, noise_dim)`, the selector s in its last column."""
        if noise.dim() != 2 or noise.shape[1] != self.noise_dim:
            raise InvalidInput(
                f"The generator of a mixture takes noise (batch, {self.noise_dim}), one column "
                f"more than those it is made of; got {tuple(noise.shape)}."
            )
        gates = self.gates(noise[:, -1])
        parts = []
        for generator, gate in zip(self.generators, gates.unbind(1), strict=True):
            made = generator(noise[:, :-1])
            shut = self.reach * (1 - gate).reshape(-1, *(1,) * (made.dim() - 1))
            parts.append(relu(made - shut) - relu(-made - shut))
        return torch.stack(parts).sum(0)


def to_pure(mix: Mixed, profile: Profile, delta: float = 1e-3) -> SelectedGenerator:
    r"""Return one generator that plays a mixture of them, chosen by one more Gaussian input.

    It takes Gaussian noise `(batch, noise_dim)`, one entry more than the generators do. B is 1,
    surely enough, for generators that end in a squashing layer such as tanh; else twice the largest
    entry of `PROBES` samples of each. The samples differ in law from the mixture's by at most
    :math:`(T - 1)\,\delta / \sqrt{2\pi}` in total variation: the odds that s falls on a ramp.

    Args:
        mix: A mixture of GANs.
        profile: A profile of it; generators of weight zero are left out.
        delta: Width of the ramps, in standard deviations of s.

    Raises:
        UnsupportedGame: Not a mixture of GANs.
        InvalidInput: A width that is no number > 0, or a profile that does not fit.

    References:
        Arora et al. 2017, arXiv:1703.00573, section 4.2 (pure equilibria by a selector network).

    Example:
        >>> import eqgan
        >>> gan = eqgan.games.GAN(nn.Linear(2, 2), nn.Linear(2, 1), torch.randn(100, 2), 2)
        >>> mix = eqgan.games.Mixed(gan, (3, 1))
        >>> pure = eqgan.gan.to_pure(mix, mix.initial(mix.generator(0)))
        >>> pure(torch.randn(5, pure.noise_dim)).shape, round(pure.total_variation, 6)
        (torch.Size([5, 2]), 0.000798)
    """
    from eqgan.games.gan import GAN
    from eqgan.games.mixed import Mixed

    if not isinstance(mix, Mixed) or not isinstance(mix.base, GAN):
        raise UnsupportedGame(
            f"to_pure takes a mixture of GANs, eqgan.games.Mixed(gan, (5, 5)); got {mix!r}."
        )
    as_real("delta", delta, "(0, inf)")
    strategy = mix.as_profile(profile)[0]
    assert not isinstance(strategy, Tensor)
    played = strategy["weights"] > 0
    weights, atoms = strategy["weights"][played], strategy["atoms"][played]
    generators = [mix.base.networks[0].to_module(atom) for atom in atoms]
    proved = all(_squashes(generator) for generator in generators)
    reach = 1.0 if proved else _reach(mix.base, atoms)
    return SelectedGenerator(generators, weights, mix.base.noise_dim, delta, reach, proved)


def _squashes(module: nn.Module) -> bool:
    """Return whether the last layer keeps every entry within 1."""
    while isinstance(module, nn.Sequential) and len(module):
        module = module[-1]
    return isinstance(module, nn.Tanh | nn.Sigmoid | nn.Softsign | nn.Hardtanh) and (
        not isinstance(module, nn.Hardtanh) or max(-module.min_val, module.max_val) <= 1
    )


def _reach(gan: GAN, atoms: Tensor) -> float:
    noise = gan.noise(PROBES, gan.generator(0))
    made = [gan.make(atom, noise).abs().max() for atom in atoms]
    return 2 * float(torch.stack(made).max())
