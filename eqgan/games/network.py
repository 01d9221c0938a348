"""A module as a function of one flat vector of its parameters.

The vector is split into views that take the places of the user's module's parameters for the length
of a call, so a step of any solver is a few large kernels, and extrapolating, averaging or stacking
networks is vector arithmetic.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from eqgan.errors import InvalidInput, reason
from eqgan.games.initialisation import renew

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
        InvalidInput: No parameters, mixed dtypes or devices, parameters that are not finite, active
            dropout, or a module that is compiled or cannot be copied.

    Example:
        >>> network = Network(nn.Linear(2, 1))
        >>> vector = network.vector()
        >>> vector.shape, network(vector, torch.zeros(5, 2)).shape
        (torch.Size([3]), torch.Size([5, 1]))
    """

    def __init__(self, module: nn.Module, what: str = "module") -> None:
        if not isinstance(module, nn.Module):
            raise InvalidInput(f"{what} should be a torch.nn.Module; got {type(module).__name__}.")
        module = _copied(module, what)
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
        _check_finite(parameters, what)
        self.shapes = [tuple(p.shape) for p in parameters.values()]
        self.sizes = [p.numel() for p in parameters.values()]
        self.size = sum(self.sizes)
        self.dtype, self.device = next(iter(kinds))

    def parts(self, vector: Tensor) -> list[Tensor]:
        """Return views of a vector `(d,)`, shaped like the parameters, in the order of `names`."""
        return self._shaped(vector.split_with_sizes(self.sizes))

    def rows(self, stack: Tensor) -> list[list[Tensor]]:
        """Return what `parts` returns for each vector in a stack `(K, d)`, split by one node."""
        parts, count = stack.reshape(-1).split_with_sizes(self.sizes * len(stack)), len(self.sizes)
        return [self._shaped(parts[i : i + count]) for i in range(0, len(parts), count)]

    def _shaped(self, parts: Sequence[Tensor]) -> list[Tensor]:
        # What is to be a vector is one already: a view less is a node of the graph less.
        return [
            part if len(shape) == 1 else part.view(shape)
            for part, shape in zip(parts, self.shapes, strict=True)
        ]

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """Return views of a vector `(d,)`, or of a stack `(K, d)`, under the parameters' names."""
        batch, parts = vector.shape[:-1], vector.split_with_sizes(self.sizes, -1)
        return {
            name: part.view(batch + shape)
            for name, part, shape in zip(self.names, parts, self.shapes, strict=True)
        }

    def __call__(self, vector: Tensor, *inputs: Tensor) -> Tensor:
        """Run the module with the parameters in `vector`."""
        return self.run(self.parts(vector), *inputs)

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
        if torch.compiler.is_compiling():
            # Written so that a compiler can follow it.
            named = dict(zip(self.names, values, strict=True))
            with torch.autocast(self.device.type, self.autocast, self.autocast is not None):
                called: Tensor = torch.func.functional_call(self.module, named, inputs)
            return called.to(self.dtype)
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


def _copied(module: nn.Module, what: str) -> nn.Module:
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule) or "_orig_mod" in part._modules:
            raise InvalidInput(
                f"{what}{name and '.'}{name} is compiled already ({type(part).__name__}), so that "
                "no parameters but its own can run in it; give the module that it was made of."
            )
    try:
        return copy.deepcopy(module)
    except Exception as error:
        # Whatever a user's module raises.
        raise InvalidInput(
            f"{what} should be a module that copy.deepcopy copies ({reason(error)}); weights "
            "that are computed by torch.nn.utils.parametrizations can be copied, those of the "
            "older torch.nn.utils.weight_norm cannot."
        ) from error


def _check_finite(parameters: dict[str, nn.Parameter], what: str) -> None:
    for name, parameter in parameters.items():
        if not bool(torch.isfinite(parameter).all()):
            raise InvalidInput(
                f"{what} should start from finite parameters; {name} has NaN or infinite entries."
            )


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
