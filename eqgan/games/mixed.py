"""Mixtures: a game in which each player draws one of K strategies of a base game."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.game import Game, ZeroSumGame, require_zero_sum
from eqgan.games.gan import GAN
from eqgan.games.neural import NetworkGame
from eqgan.gan.collapse import collapse
from eqgan.products import Product, Stacked
from eqgan.profile import Profile, Strategy
from eqgan.spaces import Simplex, Space
from eqgan.whole import as_whole, is_whole

MOST = 10**6
"""Atoms of a player: more than these would take minutes to draw, and no solver could use them."""


class Mixed(ZeroSumGame):
    r"""The mixed extension of a game over K and L strategies of its players.

    A strategy is ``{"weights": (K,), "atoms": (K, d)}``: play atom i with probability
    :math:`w_i`. The payoff is :math:`\sum_{ij} w^x_i w^y_j F(x_i, y_j)`, atoms and weights both
    move, and one sample is shared by all pairs. Where a game has no pure equilibrium its mixed
    extension nearly does, with few atoms (Arora et al. 2017, theorem 4.3).

    Args:
        game: The base game; its strategies are single tensors, and it is no batch.
        sizes: Atoms of each player, ``(K, L)``.

    Raises:
        UnsupportedGame: A base game that cannot be mixed.
        InvalidInput: Sizes below 1 or above a million.

    References:
        Arora et al. 2017, arXiv:1703.00573 (MIX+GAN).

    Example:
        >>> import eqgan
        >>> mix = Mixed(eqgan.games.DiracGAN(), (2, 3))
        >>> z = mix.initial(mix.generator(0))
        >>> z[0]["weights"], mix.payoff_table(z).shape
        (tensor([0.5000, 0.5000], dtype=torch.float64), torch.Size([2, 3]))
    """

    recommended = "mix_gan"

    def __init__(self, game: Game, sizes: tuple[int, int]) -> None:
        base = require_zero_sum(game, "Mixed")
        paired = isinstance(sizes, tuple | list) and len(sizes) == 2
        if not (paired and all(is_whole(k, 1) for k in sizes)):
            raise InvalidInput(f"sizes should be two whole numbers >= 1; got {sizes!r}.")
        if max(sizes) > MOST:
            raise InvalidInput(f"Mixed takes at most {MOST} atoms a player; got sizes {sizes!r}.")
        if base.batch_shape or any(isinstance(space, Product) for space in base.spaces):
            raise UnsupportedGame(
                "Mixed takes one game whose strategies are single tensors; got "
                f"{'a batch of games' if base.batch_shape else type(base).__name__}."
            )
        if isinstance(base, GAN) and max(sizes) > 1:
            _refuse_batch_norm(base)
            _refuse_means_over_pairs(base)
        self.base = base
        self.sizes = (int(sizes[0]), int(sizes[1]))
        self.dtype, self.device = base.dtype, base.device
        self.players, self.receiver = base.players, base.receiver
        self.lipschitz = base.lipschitz
        self.spaces: tuple[Space[Any], ...] = tuple(
            Product({"weights": Simplex(k), "atoms": Stacked(space, k)})
            for k, space in zip(self.sizes, base.spaces, strict=True)
        )

    def __repr__(self) -> str:
        return f"Mixed({self.base!r}, {self.sizes})"

    @property
    def note(self) -> str:  # type: ignore[override]
        """What the base game adds; of one that was asked to be compiled, that mixtures are not."""
        if getattr(self.base, "compiled", None) is not None:
            return "compile=True serves plain GANs: this mixture ran uncompiled"
        return self.base.note

    @property
    def stochastic(self) -> bool:
        """Whether the base game is."""
        return self.base.stochastic

    @property
    def trains_on_payoff(self) -> bool:
        """Whether the base game does."""
        return self.base.trains_on_payoff

    def sample(self, rng: torch.Generator) -> Any:
        """Return a sample of the base game, shared by all pairs."""
        return self.base.sample(rng)

    def held_out_sample(self, rng: torch.Generator) -> Any:
        """Return a sample of the base game's held-out data."""
        return self.base.held_out_sample(rng)

    def initial(self, rng: torch.Generator) -> Profile:
        """Return uniform weights; atom 0 is the base game's start, the others are random."""
        others = (self.base.random(rng) for _ in range(max(self.sizes) - 1))
        return self.uniform(itertools.chain([self.base.initial(rng)], others))

    def random(self, rng: torch.Generator) -> Profile:
        """Return uniform weights on random atoms."""
        return self.uniform(self.base.random(rng) for _ in range(max(self.sizes)))

    def uniform(self, profiles: Iterable[Profile]) -> Profile:
        """Return the profile that mixes the first K and L strategies of `profiles` equally."""
        # Memory is asked for before the first profile is drawn: what does not fit fails at once.
        mixtures = [
            {
                "weights": torch.full((k,), 1.0 / k, **self.options),
                "atoms": torch.empty((k, *space.shape), **self.options),
            }
            for k, space in zip(self.sizes, self.base.spaces, strict=True)
        ]
        count = 0
        for count, z in enumerate(itertools.islice(profiles, max(self.sizes)), 1):
            for k, mixture, strategy in zip(self.sizes, mixtures, z, strict=True):
                if count <= k:
                    mixture["atoms"][count - 1] = _tensor(strategy)
        if count < max(self.sizes):
            raise InvalidInput(
                f"A mixture of {self.sizes} needs {max(self.sizes)} profiles; got {count}."
            )
        return Profile(mixtures)

    def payoff_table(self, z: Profile, batch: Any = None) -> Tensor:
        """Return what the receiver gets from every pair of atoms, `(K, L)`."""
        if self.sizes == (1, 1):
            # One atom each is the base game, to the last bit.
            return self.base.payoff(self._single(z), batch).reshape(1, 1)
        return self.base.pair_payoffs(_part(z[0], "atoms"), _part(z[1], "atoms"), batch)

    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        """Return the expected payoff over both mixtures."""
        return self._expectation(z, self.payoff_table(z, batch))

    def cost(self, z: Profile, player: int, batch: Any = None) -> Tensor:
        """Return what `player` pays; discriminators pay their gradient penalty too."""
        if player == 1 and isinstance(self.base, GAN) and self.base.objective.penalised:
            return self.losses(z, batch)[1]
        return super().cost(z, player, batch)

    def regrets(self, z: Profile) -> tuple[Tensor, Tensor] | None:
        """Return the base game's exact regrets at the mean strategies, where costs are linear."""
        if not self.base.linear or self.stochastic:
            return None
        return self.base.regrets(Profile(_part(s, "weights") @ _part(s, "atoms") for s in z))

    def losses(self, z: Profile, batch: Any = None) -> tuple[Tensor, Tensor]:
        """Return the expected training losses over both mixtures."""
        if self.sizes == (1, 1):
            mine, theirs = (t.reshape(1, 1) for t in self.base.losses(self._single(z), batch))
        else:
            xs, ys = (_part(s, "atoms") for s in z)
            mine, theirs = self.base.pair_losses(xs, ys, batch)
        return self._expectation(z, mine), self._expectation(z, theirs)

    def _expectation(self, z: Profile, table: Tensor) -> Tensor:
        return _part(z[0], "weights") @ table @ _part(z[1], "weights")

    def _single(self, z: Profile) -> Profile:
        return Profile(_part(s, "atoms")[0] for s in z)

    def deviations(self, z: Profile, player: int) -> tuple[Game, Profile]:
        """Return the game in which `player` plays one atom, and `z` with its likeliest one there.

        A best response to a mixture can always be pure, so no more atoms need be searched; nor need
        it face atoms that the rival never plays.
        """
        rival = z[1 - player]
        weights, atoms = _part(rival, "weights"), _part(rival, "atoms")
        played = weights != 0
        faced = {"weights": weights[played], "atoms": atoms[played]}
        count = len(faced["weights"])
        likeliest = int(_part(z[player], "weights").argmax())
        mine = self.pure(_part(z[player], "atoms")[likeliest])
        if player == 0:
            return Mixed(self.base, (1, count)), Profile((mine, faced))
        return Mixed(self.base, (count, 1)), Profile((faced, mine))

    def pure_space(self, player: int) -> Space[Any]:
        """Return the base game's set."""
        return self.base.spaces[player]

    def pure(self, strategy: Strategy) -> Strategy:
        """Return the mixture of one atom."""
        return {"weights": torch.ones(1, **self.options), "atoms": _tensor(strategy)[None]}

    def perturb(self, strategy: Strategy, player: int, rng: torch.Generator) -> Strategy:
        """Return the mixture with every atom perturbed as the base game does."""
        atoms = [_tensor(self.base.perturb(atom, player, rng)) for atom in _part(strategy, "atoms")]
        return {"weights": _part(strategy, "weights"), "atoms": torch.stack(atoms)}

    def failure(self, z: Profile, before: Profile) -> str:
        """Return that all generators have collapsed to one point together, where that is so."""
        base = self.base
        if not isinstance(base, GAN):
            return ""

        def spread(y: Profile) -> float:
            return base.spread(_part(y[0], "atoms"), _part(y[0], "weights"))

        return collapse(spread, z, before)

    def generate(self, z: Profile, n: int, seed: int = 0) -> Tensor:
        """Return `n` samples, each from a generator drawn by the mixture's weights.

        Args:
            z: A profile of this game.
            n: How many samples.
            seed: Seed of the draws and the noise.

        Returns:
            Shape `(n, *data)`.

        Raises:
            UnsupportedGame: The base game is no GAN.
        """
        if not isinstance(self.base, GAN):
            raise UnsupportedGame(f"Only GANs generate samples; got {type(self.base).__name__}.")
        n = as_whole("n", n, 0)
        z, rng = self.as_profile(z), self.generator(seed)
        weights, atoms = _part(z[0], "weights"), _part(z[0], "atoms")
        samples = torch.empty((n, *self.base.data.shape[1:]), **self.options)
        if n == 0:
            return samples
        chosen = torch.multinomial(weights, n, replacement=True, generator=rng)
        noise, least = self.base.noise(n, rng), self.base.batch_size
        # BatchNorm runs on as many samples as in training, however few of them are an atom's.
        spare = self.base.noise(least, rng)
        for k, atom in enumerate(atoms):
            rows = (chosen == k).nonzero().squeeze(-1)
            if len(rows):
                inputs = torch.cat((noise[rows], spare[: max(least - len(rows), 0)]))
                samples[rows] = self.base.make_in_parts(atom, inputs)[: len(rows)]
        return samples

    def modules(self, z: Profile) -> tuple[list[nn.Module], ...]:
        """Return both players' atoms as modules of their own, in the order of their weights.

        Raises:
            UnsupportedGame: The base game is not one between networks.
        """
        if not isinstance(self.base, NetworkGame):
            raise UnsupportedGame(f"Only networks are modules; got {type(self.base).__name__}.")
        return tuple(
            [network.to_module(atom) for atom in _part(strategy, "atoms")]
            for network, strategy in zip(self.base.networks, self.as_profile(z), strict=True)
        )


def select(z: Profile, name: str) -> Profile:
    """Return the ``"weights"`` or the ``"atoms"`` of both players' mixtures.

    Example:
        >>> import eqgan
        >>> mix = Mixed(eqgan.games.DiracGAN(), (2, 3))
        >>> [tuple(w.shape) for w in select(mix.initial(mix.generator(0)), "atoms")]
        [(2, 1), (3, 1)]
    """
    return Profile(_part(strategy, name) for strategy in z)


def join(weights: Profile, atoms: Profile) -> Profile:
    """Return the mixtures of these weights and atoms, one of each for a player.

    Example:
        >>> import eqgan
        >>> mix = Mixed(eqgan.games.DiracGAN(), (2, 3))
        >>> z = mix.initial(mix.generator(0))
        >>> join(select(z, "weights"), select(z, "atoms")).equal(z)
        True
    """
    return Profile(
        {"weights": w, "atoms": a} for w, a in zip(weights.leaves(), atoms.leaves(), strict=True)
    )


def _part(strategy: Strategy, name: str) -> Tensor:
    if isinstance(strategy, Tensor):
        raise InvalidInput(
            'A strategy of a mixture is {"weights": (K,), "atoms": (K, d)}; got a tensor of shape '
            f"{tuple(strategy.shape)}. mixed.pure(strategy) is the mixture of one."
        )
    part: object = strategy[name]
    if not isinstance(part, Tensor):
        raise InvalidInput(
            f"A mixture's {name} should be a tensor; got {type(part).__name__}. "
            "mixed.as_profile(profile) makes tensors of arrays and lists."
        )
    return part


def _tensor(strategy: Strategy) -> Tensor:
    assert isinstance(strategy, Tensor)
    return strategy


def _refuse_batch_norm(gan: GAN) -> None:
    norms = torch.nn.modules.batchnorm._BatchNorm
    for name, part in gan.networks[1].module.named_modules():
        if isinstance(part, norms):
            raise UnsupportedGame(
                f"The discriminator's {name} is a {type(part).__name__}, which would mix the "
                "statistics of all generators: discriminators of a mixture see their samples in "
                "one batch. Use GroupNorm (torch.nn.GroupNorm) instead."
            )


def _refuse_means_over_pairs(gan: GAN) -> None:
    real, fake = (torch.zeros(2, k, 3, **gan.options) for k in (1, 2))
    shape = tuple(gan.objective.payoff(real, fake).shape)
    if shape != (2, 2):
        raise UnsupportedGame(
            f"{type(gan.objective).__name__}.payoff should keep the leading dimensions of outputs "
            f"(*batch, n), for a mixture asks for all its pairs at once; of batch (2, 2) it makes "
            f"{shape}. Take means over the last dimension: .mean(-1)."
        )
