"""Games between neural networks: any two modules and a payoff.

A network plays as one flat vector of parameters. The vector is split into views that take the
places of the user's module's parameters for the length of a call, so a step of any solver is a few
large kernels, and extrapolating, averaging or stacking networks is vector arithmetic.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors
from torch.nn.utils import parametrize

from eqgan.errors import InvalidInput
from eqgan.game import ZeroSumGame
from eqgan.games.initialisation import renew
from eqgan.profile import Profile, Strategy
from eqgan.spaces import Euclidean, Space

SEAT = threading.RLock()
"""Held while some module runs with parameters that are not its own."""

Computed: TypeAlias = dict[bool, dict[tuple[int, str], Tensor | None]]
"""Weights that parametrizations compute: with a graph (`True`) and without."""


class Network:
    """A module seen as a function of one flat vector of its trainable parameters.

    The module is copied, so the user's own never changes. Frozen parameters stay as they are.
    BatchNorm in training mode is run on the statistics of each batch (running ones would be a
    hidden state that a profile cannot hold); in evaluation mode it keeps those it has.

    Args:
        module: Any `nn.Module` whose parameters share one floating dtype and device.
        what: What to call it in errors.

    Attributes:
        autocast: The type that layers compute in where torch finds it safe; ``None`` for the
            parameters' own. Results come in the parameters' type either way.

    Raises:
        InvalidInput: No parameters, mixed dtypes or devices, or active dropout.

    Example:
        >>> network = Network(nn.Linear(2, 1))
        >>> vector = network.vector()
        >>> vector.shape, network(vector, torch.zeros(5, 2)).shape
        (torch.Size([3]), torch.Size([5, 1]))
    """

    def __init__(self, module: nn.Module, what: str = "module") -> None:
        if not isinstance(module, nn.Module):
            raise InvalidInput(f"{what} should be a torch.nn.Module; got {type(module).__name__}.")
        module = copy.deepcopy(module)
        uninitialised = [n for n, p in module.named_parameters() if nn.parameter.is_lazy(p)]
        if uninitialised:
            raise InvalidInput(
                f"{what} has parameters of no shape yet ({uninitialised[0]}); run it on a batch "
                "once."
            )
        parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
        if not parameters:
            raise InvalidInput(
                f"{what} has no parameters that require gradients: it has no strategy to choose."
            )
        kinds = {(p.dtype, p.device) for p in parameters.values()}
        if len(kinds) > 1 or next(iter(kinds))[0] not in (torch.float32, torch.float64):
            listed = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
            raise InvalidInput(
                f"{what} should have parameters of one dtype, float32 or float64, on one device; "
                f"got {listed}."
            )
        _forget_running_statistics(module, what)
        self.autocast: torch.dtype | None = None
        self.module = module.requires_grad_(False)
        self.names = list(parameters)
        self.places = _places(module, self.names)
        self.parametrized = any(map(parametrize.is_parametrized, module.modules()))
        self.start = self._flat(module)
        self.shapes = [p.shape for p in parameters.values()]
        self.blanks = [torch.empty(shape, device="meta") for shape in self.shapes]
        self.sizes = [p.numel() for p in parameters.values()]
        self.size = sum(self.sizes)
        self.dtype, self.device = next(iter(kinds))

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """Return views of a vector `(d,)`, or of a stack `(K, d)`, under the parameters' names."""
        if vector.dim() == 1:
            return dict(zip(self.names, _views(vector, self.blanks), strict=True))
        batch = vector.shape[:-1]
        parts = torch.split(vector, self.sizes, dim=-1)
        return {
            name: part.view(batch + shape)
            for name, part, shape in zip(self.names, parts, self.shapes, strict=True)
        }

    def rows(self, stack: Tensor) -> list[Sequence[Tensor]]:
        """Return the parameters, in the order of `names`, of each vector in a stack `(K, d)`."""
        count = len(self.names)
        views = _views(stack.reshape(-1), self.blanks * len(stack))
        return [views[start : start + count] for start in range(0, len(views), count)]

    def __call__(self, vector: Tensor, *inputs: Tensor) -> Tensor:
        """Run the module with the parameters in `vector`."""
        return self.run(self.split(vector).values(), *inputs)

    def run(
        self, parameters: Iterable[Tensor], *inputs: Tensor, known: Computed | None = None
    ) -> Tensor:
        """Run the module with parameters in the order of `names`.

        Does what `torch.func.functional_call` does, but looks up where parameters live once for
        all: on small networks that look-up costs as much as a layer.

        Args:
            parameters: What takes the places of the module's own.
            *inputs: What the module takes.
            known: The weights that a parametrization (spectral norm) has computed from these very
                parameters, which later calls need not; it is filled by the first.
        """
        values = list(parameters)
        # One thread at a time: meanwhile the module holds this caller's parameters.
        with SEAT:
            own = [owner[name] for _, owner, name in self.places]
            try:
                for index, owner, name in self.places:
                    owner[name] = values[index]
                output: Tensor = self._computing_once(known, *inputs)
            finally:
                for (_, owner, name), parameter in zip(self.places, own, strict=True):
                    owner[name] = parameter
        return output

    def _computing_once(self, known: Computed | None, *inputs: Tensor) -> Any:
        # What a transform of functions computes means nothing outside of it.
        if not self.parametrized or known is None or torch._C._are_functorch_transforms_active():
            return self._forward(*inputs)
        mine = known.setdefault(torch.is_grad_enabled(), {})
        with parametrize.cached():
            parametrize._cache.update(mine)
            output = self._forward(*inputs)
            mine.update(parametrize._cache)
        return output

    def _forward(self, *inputs: Tensor) -> Any:
        if self.autocast is None:
            return self.module(*inputs)
        with torch.autocast(self.device.type, self.autocast):
            output = self.module(*inputs)
        return output.to(self.dtype) if isinstance(output, Tensor) else output

    def vector(self) -> Tensor:
        """Return the module's own parameters as one vector."""
        return self.start.clone()

    def _copy(self) -> nn.Module:
        with SEAT:
            return copy.deepcopy(self.module)

    def _flat(self, module: nn.Module) -> Tensor:
        parts = [module.get_parameter(name).detach().flatten() for name in self.names]
        return torch.cat(parts)

    def fresh(self, rng: torch.Generator) -> Tensor:
        """Return newly initialised parameters, by the modules' own `reset_parameters`.

        A module that defines `reset_parameters` initialises all it contains; what it gives a weight
        that is computed from others, as under spectral norm, these take over. Parameters that no
        module initialises get noise of their own spread, so that no two networks are alike; frozen
        ones keep their values.
        """
        module = self._copy()
        seed = int(torch.randint(2**31, (), generator=rng, device=rng.device))
        devices = [self.device] if self.device.type == "cuda" else []
        # Modules initialise themselves from the global generator; lend it a seed and put it back.
        with SEAT, torch.random.fork_rng(devices=devices):
            torch.random.manual_seed(seed)
            renew(module)
        return self._flat(module)

    def noisy(self, vector: Tensor, rng: torch.Generator) -> Tensor:
        """Return `vector` plus noise with the standard deviation of each parameter tensor."""
        spreads = torch.cat(
            [
                part.std(correction=0).clamp_min(1e-3).expand(size)
                for part, size in zip(torch.split(vector, self.sizes), self.sizes, strict=True)
            ]
        )
        noise = torch.randn(vector.shape, generator=rng, dtype=self.dtype, device=self.device)
        return vector + spreads * noise

    def to_module(self, vector: Tensor) -> nn.Module:
        """Return a copy of the module that holds `vector`."""
        module = self._copy()
        with torch.no_grad():
            for name, value in self.split(vector).items():
                module.get_parameter(name).copy_(value).requires_grad_(True)
        return module

    def to(self, device: torch.device) -> Network:
        """Return the network on another device."""
        moved = copy.copy(self)
        moved.module = self._copy().to(device)
        moved.start = self.start.to(device)
        moved.places = _places(moved.module, self.names)
        moved.device = device
        return moved


def _views(vector: Tensor, blanks: list[Tensor]) -> tuple[Tensor, ...]:
    """Return consecutive views of a vector `(d,)`, shaped like the blanks."""
    if not torch._C._are_functorch_transforms_active():
        views: tuple[Tensor, ...] = _Views.apply(vector, blanks)  # type: ignore[no-untyped-call]
        return views
    parts = torch.split(vector, [blank.numel() for blank in blanks])
    return tuple(part.view(blank.shape) for part, blank in zip(parts, blanks, strict=True))


class _Views(torch.autograd.Function):
    """Views of a vector as one node of a graph, where `torch.split` and `view` make one each.

    On small networks those cost a twentieth of a step. (With a rule for `vmap` the call would cost
    more than it saves.)
    """

    @staticmethod
    def forward(ctx: Any, vector: Tensor, blanks: list[Tensor]) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = _unflatten_dense_tensors(vector, blanks)  # type: ignore[no-untyped-call]
        return parts

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _flatten_dense_tensors(gradients), None  # type: ignore[no-untyped-call]


def _places(module: nn.Module, names: list[str]) -> list[tuple[int, dict[str, Any], str]]:
    """Return where each parameter lives: its index, a module's dict of parameters, its name there.

    A parameter that two modules share has two places.
    """
    index = {id(module.get_parameter(name)): i for i, name in enumerate(names)}
    return [
        (index[id(p)], part._parameters, name)
        for part in module.modules()
        for name, p in part._parameters.items()
        if id(p) in index
    ]


def _forget_running_statistics(module: nn.Module, what: str) -> None:
    for name, part in module.named_modules():
        norm = isinstance(part, nn.modules.batchnorm._NormBase) and part.training
        if norm and part.track_running_stats:
            part.track_running_stats = False
            part.running_mean = part.running_var = part.num_batches_tracked = None
        if isinstance(part, nn.modules.dropout._DropoutNd) and part.training and part.p > 0:
            raise InvalidInput(
                f"{what}.{name} is an active {type(part).__name__}: it draws from torch's global "
                "generator, so no run could be repeated. Remove it, or call .eval() on it."
            )


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

    def __init__(
        self, minimizer: nn.Module, maximizer: nn.Module, players: tuple[str, str]
    ) -> None:
        self.players = players
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
            return [torch.random.get_rng_state(), *buffers]

        z = Profile(network.vector() for network in self.networks)
        before = hidden()
        with torch.no_grad():
            # Between two evaluations of one profile, one of another.
            first, _, again = evaluate(z), evaluate(z.map(lambda a: 1.1 * a + 0.01)), evaluate(z)
        same = torch.equal(first.nan_to_num(), again.nan_to_num())
        if not (same and all(map(torch.equal, before, hidden()))):
            raise InvalidInput(
                "The networks hold hidden state or randomness (dropout, spectral norm in training "
                "mode, a counter in a buffer), so equal seeds would give different runs. Call "
                ".eval() on that layer or remove it; eqgan.gan.spectral_norm holds no state."
            )

    def player(self, player: int, strategy: Strategy) -> Player:
        """Return `player`'s network with the parameters in `strategy`, as a function."""
        network = self.networks[player]
        assert isinstance(strategy, Tensor)
        # Split once: a player may be called several times a batch.
        parameters = network.split(strategy).values()
        known: Computed = {}
        return lambda *inputs: network.run(parameters, *inputs, known=known)

    def initial(self, rng: torch.Generator) -> Profile:
        """Return the parameters that the modules came with."""
        return self._on_sets([n.vector() for n in self.networks])

    def random(self, rng: torch.Generator) -> Profile:
        """Return newly initialised networks."""
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
        InvalidInput: Modules that cannot play, or a payoff that is no scalar.

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
        rng = self.generator(0)
        z, batch = self.initial(rng), self.sample(rng)
        value = self._probe(z, batch)
        if not isinstance(value, Tensor) or value.dim():
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InvalidInput(f"payoff should return a 0-dimensional tensor; got {got}.")
        self.check_repeatable(lambda profile: self.payoff(profile, batch))

    def _probe(self, z: Profile, batch: Any) -> Any:
        try:
            with torch.no_grad():
                return self.payoff(z, batch)
        except Exception as error:
            # Whatever a user's function raises; an assertion may say nothing.
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            given = f"of shape {tuple(batch.shape)}" if isinstance(batch, Tensor) else repr(batch)
            raise InvalidInput(
                "payoff fails at the parameters that the modules came with, called as "
                f"payoff(minimizer, maximizer, batch) with a batch {given}: {reason}."
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
