"""Games between neural networks: any two modules and a payoff.

A network plays as one flat vector of parameters (`eqgan.games.network`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from eqgan.errors import InvalidInput, reason
from eqgan.game import ZeroSumGame
from eqgan.games.compiled import CompiledOperator
from eqgan.games.network import Computed, Network
from eqgan.linearisation import Linearisation, reached
from eqgan.profile import Profile, Strategy, map_strategy
from eqgan.randomness import check_generator
from eqgan.spaces import Euclidean, Space

Player = Callable[..., Tensor]


class NetworkGame(ZeroSumGame):
    """What all games between two networks share: seats, starts, perturbations, modules.

    Args:
        minimizer: The module that pays.
        maximizer: The module that receives.
        players: What the players are called.

    Raises:
        InvalidInput: Modules that cannot play together.
    """

    receiver = 1
    compiled: CompiledOperator | None = None

    def __init__(
        self, minimizer: nn.Module, maximizer: nn.Module, players: tuple[str, str]
    ) -> None:
        if not (isinstance(players, tuple | list) and len(players) == 2):
            raise InvalidInput(f"players should be two names; got {players!r}.")
        self.players = tuple(map(str, players))
        self.networks = (Network(minimizer, players[0]), Network(maximizer, players[1]))
        first, second = self.networks
        if (first.dtype, first.device) != (second.dtype, second.device):
            raise InvalidInput(
                f"{players[0]} ({first.dtype} on {first.device}) and {players[1]} ({second.dtype} "
                f"on {second.device}) should share one dtype and device."
            )
        self.dtype, self.device = first.dtype, first.device
        self.spaces: tuple[Space[Any], ...] = tuple(Euclidean((n.size,)) for n in self.networks)

    def __repr__(self) -> str:
        sizes = [f"{n.size:,} parameters" for n in self.networks]
        named = ", ".join(f"{p}: {s}" for p, s in zip(self.players, sizes, strict=True))
        return f"{type(self).__name__}({named})"

    def check_repeatable(self, evaluate: Callable[[Profile], Tensor]) -> None:
        """Raise unless evaluations leave nothing behind that a later one would see.

        Args:
            evaluate: Runs both networks at a profile; whatever it returns is compared.

        Raises:
            InvalidInput: Something is hidden in the modules: dropout, spectral norm in training
                mode, a counter. Runs with equal seeds would differ.
        """

        def hidden() -> list[Tensor]:
            buffers = [b.clone() for n in self.networks for b in n.module.buffers()]
            return [*_global_states(self.device), *buffers]

        z = Profile(network.vector() for network in self.networks)
        before = hidden()
        with torch.no_grad():
            # Between two evaluations of one profile, one of another.
            first, _, again = evaluate(z), evaluate(z.map(lambda a: 1.1 * a + 0.01)), evaluate(z)
        same = torch.equal(first.nan_to_num(), again.nan_to_num())
        if not (same and all(map(torch.equal, before, hidden()))):
            raise InvalidInput(
                "The networks hold hidden state or randomness (dropout, spectral norm in training "
                "mode, a counter) or change their input in place, so equal seeds would give "
                "different runs. Call .eval() on that layer or remove it; eqgan.gan.spectral_norm "
                "holds no state. What a payoff draws comes from its sample(rng)."
            )

    def check_differentiable(self, evaluate: Callable[[Profile], Tensor]) -> None:
        """Raise unless gradients reach the parameters of every player who changes the outcome.

        One who does not, be it on this batch alone, has gradients of zero, and nothing to learn.

        Args:
            evaluate: Runs both networks at a profile.

        Raises:
            InvalidInput: Something on the way cuts them off, so that a player could not learn.
        """
        with torch.enable_grad():
            z = Profile(network.vector() for network in self.networks).attached()
            try:
                learns = reached(evaluate(z).sum(), z.leaves())
            except Exception as error:
                raise InvalidInput(
                    f"The networks cannot be differentiated ({reason(error)}). Layers are run "
                    "once, and not again for their gradients: leave out torch.utils.checkpoint and "
                    "NumPy."
                ) from error
        cut = [
            name
            for player, name in enumerate(self.players)
            if not learns[player] and _matters(evaluate, z.detach(), player)
        ]
        if cut:
            raise InvalidInput(
                f"No gradient reaches the parameters of the {' and the '.join(cut)}, so nothing "
                "would be learned: between them and the outcome stands torch.no_grad, .detach() or "
                "NumPy. Remove what stands there."
            )

    def player(self, player: int, strategy: Strategy) -> Player:
        """Return `player`'s network with the parameters in `strategy`, as a function."""
        network = self.networks[player]
        if not isinstance(strategy, Tensor):
            raise InvalidInput(
                f"The {self.players[player]} plays one vector of {network.size:,} parameters; got "
                f"{_kind(strategy)}."
            )
        if strategy.dtype is not self.dtype:
            raise InvalidInput(
                f"The {self.players[player]}'s parameters are {strategy.dtype}, the game is "
                f"{self.dtype}; cast them with profile.to({self.dtype})."
            )
        # Split once: a player may be called several times a batch.
        parameters = network.parts(strategy)
        known: Computed = {}
        return partial(network.run, parameters, known=known)

    def _as_tensor(self, value: Any, what: str) -> Tensor:
        if isinstance(value, nn.Module):
            raise InvalidInput(
                f"{what} should be the vector of its parameters; got a module. "
                "torch.nn.utils.parameters_to_vector makes one of those that require gradients."
            )
        return super()._as_tensor(value, what)

    @property
    def note(self) -> str:  # type: ignore[override]
        """Why the game runs uncompiled though it was asked for; empty where it does not."""
        return "" if self.compiled is None else self.compiled.note

    def operator(self, z: Profile, batch: Any = None) -> Profile:
        """Return both players' gradients, compiled where that was asked for and works."""
        field = None if self.compiled is None else self.compiled(self, z.detach(), batch)
        return super().operator(z, batch) if field is None else field

    def linearise(self, z: Profile, batch: Any = None) -> Linearisation:
        """Return the operator at `z` with its graph; no compiler keeps one."""
        if self.compiled is not None:
            self.compiled.give_up("torch.compile has no second derivatives")
        return super().linearise(z, batch)

    def initial(self, rng: torch.Generator) -> Profile:
        """Return the parameters that the modules came with."""
        return self._on_sets([n.vector() for n in self.networks])

    def random(self, rng: torch.Generator) -> Profile:
        """Return newly initialised networks."""
        check_generator(rng)
        return self._on_sets([n.fresh(rng) for n in self.networks])

    def _on_sets(self, vectors: list[Tensor]) -> Profile:
        return Profile(space.project(v) for space, v in zip(self.spaces, vectors, strict=True))

    def perturb(self, strategy: Strategy, player: int, rng: torch.Generator) -> Strategy:
        """Return the strategy plus noise with the spread of each weight tensor."""
        assert isinstance(strategy, Tensor)
        noisy: Strategy = self.spaces[player].project(self.networks[player].noisy(strategy, rng))
        return noisy

    def modules(self, z: Profile) -> tuple[nn.Module, nn.Module]:
        """Return both players as modules of their own that hold the parameters in `z`."""
        x, y = self.as_profile(z)
        assert isinstance(x, Tensor)
        assert isinstance(y, Tensor)
        return self.networks[0].to_module(x), self.networks[1].to_module(y)


def _matters(evaluate: Callable[[Profile], Tensor], z: Profile, player: int) -> bool:
    moved = z.replace(player, map_strategy(lambda a: -1 - 2 * a, z[player]))
    with torch.no_grad():
        return not torch.equal(evaluate(z).nan_to_num(), evaluate(moved).nan_to_num())


def _global_states(device: torch.device) -> list[Tensor]:
    """Return the states of the global generators that a game on `device` might draw from."""
    states = [torch.random.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _kind(strategy: Any) -> str:
    return "a mixture's strategy" if isinstance(strategy, Mapping) else type(strategy).__name__


class NeuralGame(NetworkGame):
    """A zero-sum game between any two modules.

    Args:
        minimizer: The module that pays.
        maximizer: The module that receives.
        payoff: Called as ``payoff(minimizer, maximizer, batch)`` with the two players as functions
            of their inputs; returns the payoff of the batch, a 0-dimensional tensor.
        sample: Called with a `torch.Generator` on the game's device; returns a batch. ``None`` when
            the payoff is exact; then ``payoff`` gets ``None``.
        players: What the players are called.

    Raises:
        InvalidInput: Modules that cannot play, a payoff that is no scalar, or one that draws
            otherwise than by `sample` from its generator.

    Example:
        >>> import eqgan
        >>> game = NeuralGame(
        ...     nn.Linear(1, 1), nn.Linear(1, 1),
        ...     payoff=lambda g, d, noise: (d(noise + 1) - d(g(noise))).mean(),
        ...     sample=lambda rng: torch.randn(8, 1, generator=rng),
        ... )
        >>> eqgan.solve(game, "extragradient", max_steps=3).steps
        3
    """

    def __init__(
        self,
        minimizer: nn.Module,
        maximizer: nn.Module,
        payoff: Callable[[Player, Player, Any], Tensor],
        sample: Callable[[torch.Generator], Any] | None = None,
        players: tuple[str, str] = ("minimizer", "maximizer"),
    ) -> None:
        super().__init__(minimizer, maximizer, players)
        if not callable(payoff) or not (sample is None or callable(sample)):
            raise InvalidInput(
                "payoff should be a function of (minimizer, maximizer, batch), and sample one of a "
                f"torch.Generator, or None; got {payoff!r} and {sample!r}."
            )
        self._payoff = payoff
        self._sample = sample
        self._check_payoff()

    # In inference mode no gradient is to be had of what is made there.
    @torch.inference_mode(False)
    def _check_payoff(self) -> None:
        z = self.initial(self.generator(0))
        batch = self._drawn()
        value = self._probe(z, batch)
        if not isinstance(value, Tensor) or value.dim():
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InvalidInput(f"payoff should return a 0-dimensional tensor; got {got}.")
        self.check_repeatable(lambda profile: self.payoff(profile, batch))
        self.check_differentiable(lambda profile: self.payoff(profile, batch))

    def _drawn(self) -> Any:
        before = _global_states(self.device)
        try:
            batch = self.sample(self.generator(0))
        except Exception as error:
            raise InvalidInput(
                f"sample fails, called as sample(rng) with a torch.Generator: {reason(error)}."
            ) from error
        if not all(map(torch.equal, before, _global_states(self.device))):
            raise InvalidInput(
                "sample draws from torch's global generator, so no run could be repeated. Draw "
                "from the one that it is given, as in torch.randn(8, generator=rng)."
            )
        return batch

    def _probe(self, z: Profile, batch: Any) -> Any:
        try:
            with torch.no_grad():
                return self.payoff(z, batch)
        except Exception as error:
            given = f"of shape {tuple(batch.shape)}" if isinstance(batch, Tensor) else repr(batch)
            raise InvalidInput(
                "payoff fails at the parameters that the modules came with, called as "
                f"payoff(minimizer, maximizer, batch) with a batch {given}: {reason(error)}."
            ) from error

    @property
    def stochastic(self) -> bool:
        """Whether a sampler was given."""
        return self._sample is not None

    def sample(self, rng: torch.Generator) -> Any:
        """Return a batch from the user's sampler."""
        return None if self._sample is None else self._sample(rng)

    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        """Return what the maximiser receives on `batch`."""
        return self._payoff(self.player(0, z[0]), self.player(1, z[1]), batch)
