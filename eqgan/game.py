r"""Games: who plays, from which sets, and what each player pays.

A game gives a variational inequality its operator :math:`F(z) = (\nabla_i \ell_i(z))_i` and its
sets. Every player *minimises*. The training signal (`losses`, what the operator follows) and the
true cost (`cost`, what certificates measure) are the same thing unless a game says otherwise: a
non-saturating generator loss is a signal, never the payoff.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeGuard

import numpy as np
import torch
from torch import Tensor

from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.linearisation import Linearisation
from eqgan.profile import Profile, Strategy, map_strategy
from eqgan.randomness import check_generator, seeded
from eqgan.spaces import Space
from eqgan.stacks import over_pairs


class Game(ABC):
    """A game over parameterised strategies in which every player minimises a loss.

    A subclass sets `spaces` and implements `losses`. Override `operator` or `best_response` where a
    closed form is known, and `sample` where an evaluation needs data or noise.

    Attributes:
        spaces: The strategy set of each player.
        batch_shape: Leading dimensions of a batch of independent games, ``()`` for one game.
        dtype: Floating dtype of the strategies.
        device: Where the strategies live.
        players: What each player is called.
        recommended: Name of the solver that ``solver="auto"`` takes.
        linear: Whether every cost is affine in the player's own strategy.
        monotone: Whether a zero of the operator is known to be an equilibrium (convex-concave).
        lipschitz: Lipschitz constant of the operator in the geometry of `spaces`, `(*batch)` for a
            batch, ``None`` where unknown; default step sizes come from it.
        payoff_range: The largest payoff less the smallest over pure strategies, `(*batch)` for a
            batch, ``None`` where unknown; regret bounds need it.
        scale: What tolerances are relative to, in units of the payoff, `(*batch)` for a batch.
        equilibrium: A known equilibrium, ``None`` where unknown.
        value: The known value, ``None`` where unknown.
        note: What a run's message should add about how the game was computed.
    """

    spaces: tuple[Space[Any], ...]
    batch_shape: tuple[int, ...] = ()
    dtype: torch.dtype = torch.float64
    device: torch.device = torch.device("cpu")
    players: tuple[str, ...] = ("player 0", "player 1")
    recommended: str = "extragradient"
    linear: bool = False
    monotone: bool = False
    lipschitz: float | Tensor | None = None
    payoff_range: float | Tensor | None = None
    scale: float | Tensor = 1.0
    equilibrium: Profile | None = None
    value: float | None = None
    note: str = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @abstractmethod
    def losses(self, z: Profile, batch: Any = None) -> tuple[Tensor, ...]:
        """Return what each player's steps descend, one tensor of shape `(*batch)` a player."""

    def facing(
        self, z: Profile, player: int, batch: Any = None
    ) -> Callable[[Strategy], tuple[Tensor, ...]]:
        """Return the losses as a function of `player`'s strategy, the others' being those in `z`.

        Override it where what the others do can be computed once for many of its strategies.
        """
        return lambda strategy: self.losses(z.replace(player, strategy), batch)

    def cost(self, z: Profile, player: int, batch: Any = None) -> Tensor:
        """Return what `player` truly pays, of shape `(*batch)`; certificates measure this."""
        return self.losses(z, batch)[player]

    # -- starting points and samples ---------------------------------------------------------

    @property
    def options(self) -> dict[str, Any]:
        """Return dtype and device as keyword arguments of tensor constructors."""
        return {"dtype": self.dtype, "device": self.device}

    @property
    def stochastic(self) -> bool:
        """Whether an evaluation needs a sample of data or noise."""
        return type(self).sample is not Game.sample

    def generator(self, seed: int) -> torch.Generator:
        """Return a random generator on the game's device."""
        return seeded(seed, self.device)

    def initial(self, rng: torch.Generator) -> Profile:
        """Return the conventional start: the centre of every set."""
        return Profile(space.center(self.batch_shape, **self.options) for space in self.spaces)

    def random(self, rng: torch.Generator) -> Profile:
        """Return a random start; `compare` takes one for each seed."""
        check_generator(rng)
        return Profile(space.sample(rng, self.batch_shape, **self.options) for space in self.spaces)

    def perturb(self, strategy: Strategy, player: int, rng: torch.Generator) -> Strategy:
        """Return `strategy` plus noise of its own spread: where best-response searches restart."""

        def noisy(leaf: Tensor) -> Tensor:
            spread = leaf.std(correction=0).clamp_min(0.1)
            noise = torch.randn(leaf.shape, generator=rng, dtype=leaf.dtype, device=leaf.device)
            return leaf + spread * noise

        projected: Strategy = self.spaces[player].project(map_strategy(noisy, strategy))
        return projected

    def sample(self, rng: torch.Generator) -> Any:
        """Return the data and noise of one evaluation; ``None`` when losses are exact."""
        return None

    def held_out_sample(self, rng: torch.Generator) -> Any:
        """Return a sample to measure on, of data that nobody trains on where there are such."""
        return self.sample(rng)

    # -- derivatives ------------------------------------------------------------------------

    def operator(self, z: Profile, batch: Any = None) -> Profile:
        r"""Return :math:`F(z) = (\nabla_i \ell_i(z))_i`, every player's gradient of its loss."""
        leaves = z.attached()
        return self._graph_operator(leaves, batch, create_graph=False)

    def gradient(self, z: Profile, player: int, batch: Any = None) -> Strategy:
        """Return one player's part of the operator."""
        held = z.detach()
        mine = held.attached()[player]
        loss = self.losses(held.replace(player, mine), batch)[player]
        return Profile((mine,)).with_leaves(
            _gradients(loss, Profile((mine,)).leaves(), retain_graph=False, create_graph=False)
        )[0]

    def linearise(self, z: Profile, batch: Any = None) -> Linearisation:
        """Return the operator at `z` with its graph, for any number of Jacobian products."""
        leaves = z.attached()
        field = self._graph_operator(leaves, batch, create_graph=True)
        return Linearisation(leaves, field, self.receiver if share_payoff(self) else None)

    def vjp(self, z: Profile, v: Profile, batch: Any = None) -> Profile:
        r"""Return :math:`J_F(z)^\top v`, by reverse-over-reverse differentiation."""
        return self.linearise(z, batch).vjp(v)

    def jvp(self, z: Profile, v: Profile, batch: Any = None) -> Profile:
        r"""Return :math:`J_F(z)\, v`, by reverse-over-reverse differentiation."""
        return self.linearise(z, batch).jvp(v)

    def _graph_operator(self, leaves: Profile, batch: Any, create_graph: bool) -> Profile:
        losses = self.losses(leaves, batch)
        parts = []
        for player, loss in enumerate(losses):
            mine = Profile((leaves[player],))
            keep = create_graph or player + 1 < len(losses)
            parts.append(mine.with_leaves(_gradients(loss, mine.leaves(), keep, create_graph))[0])
        return Profile(parts)

    # -- what is known in closed form ----------------------------------------------------------

    def best_response(self, z: Profile, player: int) -> Strategy | None:
        """Return a strategy that minimises `player`'s cost against `z`, if known in closed form."""
        return None

    def regrets(self, z: Profile) -> tuple[Tensor, Tensor] | None:
        """Return every player's exact regret and the payoff at `z`, if known in closed form.

        The regrets have shape `(players, *batch)`, the payoff `(*batch)`, both in float64.
        """
        return None

    def deviations(self, z: Profile, player: int) -> tuple[Game, Profile]:
        """Return the game, and `z` in it, in which `player`'s deviations are to be searched."""
        return self, z

    def pure_space(self, player: int) -> Space[Any]:
        """Return the pure strategies, of which some best response is one: all, but of mixtures."""
        return self.spaces[player]

    def pure(self, strategy: Strategy) -> Strategy:
        """Return a pure strategy as a strategy of the game that `deviations` returns."""
        return strategy

    def failure(self, z: Profile, before: Profile) -> str:
        """Return what broke since a sound profile and ends a run DIVERGED, or an empty string."""
        return ""

    # -- profiles that users hand in -----------------------------------------------------------

    def as_profile(self, z: Profile | Sequence[Any], what: str = "profile") -> Profile:
        """Check a user's profile and bring it onto the sets, in the game's dtype and device.

        Args:
            z: A `Profile`, or one array-like (or mapping of them) for each player.
            what: What to call it in an error.

        Raises:
            InvalidInput: Wrong number of players, shapes or values, or a strategy off its set.
        """
        parts = list(z) if isinstance(z, Profile | Sequence) else None
        if parts is None or len(parts) != len(self.spaces):
            got = type(z).__name__ if parts is None else f"{len(parts)} strategies"
            got += "; pass its .profile" if isinstance(getattr(z, "profile", None), Profile) else ""
            raise InvalidInput(
                f"{what} should hold {len(self.spaces)} strategies, one for each of "
                f"{', '.join(self.players)}; got {got}."
            )
        return Profile(
            self._as_strategy(part, space, f"{what}: the strategy of {name}")
            for part, space, name in zip(parts, self.spaces, self.players, strict=True)
        )

    def check_losses(self, z: Profile) -> None:
        """Raise `InvalidInput` unless every player pays one number a game at `z`."""
        with torch.no_grad():
            costs: Any = self.losses(z, self.sample(self.generator(0)))
        if not isinstance(costs, tuple) or len(costs) != len(self.spaces):
            raise InvalidInput(
                f"{type(self).__name__}.losses should return a tuple of {len(self.spaces)} "
                f"tensors, one a player; got {type(costs).__name__}."
            )
        for cost, name in zip(costs, self.players, strict=True):
            shape = tuple(cost.shape) if isinstance(cost, Tensor) else type(cost).__name__
            if shape != self.batch_shape:
                raise InvalidInput(
                    f"What {name} pays in {type(self).__name__} should be a tensor of shape "
                    f"{self.batch_shape}; got {shape}. Sum over the strategy's dimensions, as in "
                    "(x * y).sum(-1)."
                )

    def _as_strategy(self, value: Any, space: Space[Any], what: str) -> Strategy:
        if isinstance(value, Mapping):
            strategy: Strategy = {k: self._as_tensor(v, f"{what}[{k!r}]") for k, v in value.items()}
        else:
            strategy = self._as_tensor(value, what)
            if not strategy.dim() and space.shape == (1,):
                strategy = strategy[None]  # a number is as good as the vector that holds it
        space.check(strategy, what)
        if isinstance(strategy, Tensor):
            strategy = self._expand(strategy, space, what)
        space.check_on(strategy, what)
        projected: Strategy = space.project(strategy)
        return projected

    def _as_tensor(self, value: Any, what: str) -> Tensor:
        try:
            given = value if isinstance(value, Tensor) else np.require(value, None, "W")
            tensor = torch.as_tensor(given)  # which warns of arrays that may not be written to
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"{what} should be an array of numbers; got {value!r}.") from error
        if tensor.device != self.device and isinstance(value, Tensor):
            raise InvalidInput(
                f"{what} is on {tensor.device}, the game on {self.device}; move one of them "
                "with .to(device)."
            )
        if tensor.is_complex() or tensor.dtype == torch.bool:
            raise InvalidInput(f"{what} should hold real numbers; got dtype {tensor.dtype}.")
        tensor = tensor.detach().to(**self.options).clone()
        if not bool(torch.isfinite(tensor).all()):
            raise InvalidInput(f"{what} holds NaN or infinite entries.")
        return tensor

    def _expand(self, strategy: Tensor, space: Space[Any], what: str) -> Tensor:
        batch = tuple(strategy.shape[: strategy.dim() - len(space.shape)])
        try:
            return strategy.expand(self.batch_shape + space.shape).contiguous()
        except RuntimeError as error:
            raise InvalidInput(
                f"{what} has batch shape {batch}, the game {self.batch_shape}."
            ) from error

    # -- moving ------------------------------------------------------------------------------

    def to(self, device: torch.device | str) -> Self:
        """Return this game with every tensor and module it holds on `device`."""
        # "cuda" and "cuda:0" are one device: ask a tensor for the name that tensors will bear.
        device = torch.empty(0, device=device).device
        if device == self.device:
            return self
        moved = copy.copy(self)
        moved.__dict__ = {k: _moved(v, device) for k, v in self.__dict__.items()}
        moved.device = device
        return moved


class ZeroSumGame(Game):
    """A two-player game with one payoff: what one player receives, the other pays.

    A subclass implements `payoff` and sets `receiver`.

    Attributes:
        receiver: Index of the player who receives the payoff (1: ``min over x, max over y``).
    """

    receiver: int = 1

    @abstractmethod
    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        """Return what `receiver` gets, of shape `(*batch)`."""

    def cost(self, z: Profile, player: int, batch: Any = None) -> Tensor:
        """Return the payoff (to the payer) or its negative (to the receiver)."""
        payoff = self.payoff(z, batch)
        return -payoff if player == self.receiver else payoff

    def losses(self, z: Profile, batch: Any = None) -> tuple[Tensor, ...]:
        """Return the two costs; a game whose training signals differ overrides this."""
        payoff = self.payoff(z, batch)
        return tuple(-payoff if player == self.receiver else payoff for player in (0, 1))

    def pair_payoffs(self, xs: Strategy, ys: Strategy, batch: Any = None) -> Tensor:
        """Return the payoff of every pair of the stacked strategies `xs` (K, ..) and `ys` (L, ..).

        Returns:
            Shape `(K, L)`.
        """
        table: Tensor = over_pairs(lambda x, y: self.payoff(Profile((x, y)), batch), xs, ys)
        return table

    def pair_losses(self, xs: Strategy, ys: Strategy, batch: Any = None) -> tuple[Tensor, Tensor]:
        """Return both players' losses (training signals) for every pair, each `(K, L)`."""
        if self.trains_on_payoff:
            table = self.pair_payoffs(xs, ys, batch)
            return (table, -table) if self.receiver == 1 else (-table, table)
        mine, theirs = over_pairs(lambda x, y: self.losses(Profile((x, y)), batch), xs, ys)
        return mine, theirs

    @property
    def trains_on_payoff(self) -> bool:
        """Whether the training signals are the costs themselves."""
        return type(self).losses is ZeroSumGame.losses

    def _graph_operator(self, leaves: Profile, batch: Any, create_graph: bool) -> Profile:
        if not self.trains_on_payoff:
            return super()._graph_operator(leaves, batch, create_graph)
        # One backward pass gives both players' gradients; the receiver's changes sign.
        payoff = self.payoff(leaves, batch)
        field = leaves.with_leaves(_gradients(payoff, leaves.leaves(), create_graph, create_graph))
        return field.replace(self.receiver, map_strategy(torch.neg, field[self.receiver]))


def prox(game: Game, z: Profile, d: Profile) -> Profile:
    """Return the profile after every player took the step `d` in its own geometry."""
    steps = zip(game.spaces, z.strategies, d.strategies, strict=True)
    return Profile([space.prox(s, step) for space, s, step in steps])


def require_zero_sum(game: Game, who: str) -> ZeroSumGame:
    """Return `game`, or raise `UnsupportedGame` when it is not a zero-sum game."""
    if not isinstance(game, ZeroSumGame):
        raise UnsupportedGame(f"{who} needs a zero-sum game; got {type(game).__name__}.")
    return game


def share_payoff(game: Game) -> TypeGuard[ZeroSumGame]:
    """Return whether both players train on one payoff, so that one graph serves both."""
    return isinstance(game, ZeroSumGame) and game.trains_on_payoff


def _gradients(
    loss: Tensor, leaves: list[Tensor], retain_graph: bool, create_graph: bool
) -> tuple[Tensor, ...]:
    total = loss if loss.dim() == 0 else loss.sum()
    if not total.requires_grad:
        raise UnsupportedGame(
            "There are no gradients: torch's functions do not lead from the strategies to a loss."
        )
    return torch.autograd.grad(
        total, leaves, retain_graph=retain_graph, create_graph=create_graph, materialize_grads=True
    )


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.nn.Module):
        return copy.deepcopy(value).to(device)
    if callable(getattr(value, "to", None)):
        return value.to(device)
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_moved(v, device) for v in value)
    if isinstance(value, dict):
        return {k: _moved(v, device) for k, v in value.items()}
    return value
