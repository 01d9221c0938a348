r"""The largest output of a network over a box, found from below and proved from above.

A network maps a box of inputs into some interval, and layer by layer one can say which: interval
bound propagation. Here each unit also keeps the best affine function of the input that it is known
to stay near, :math:`z(x) \in c + A \hat x \pm r` for :math:`\hat x \in [-1, 1]^d`, so that errors
shrink with the square of the box where the network is smooth. Branch and bound then splits the
boxes whose bound is above the largest output that was found, until none is by more than the
tolerance.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.real import as_real
from eqgan.whole import as_whole

BATCH = 1024
"""Boxes bounded at a time, at most."""

CELLS = 4_000_000
"""Entries of the largest tensor that this makes, at most."""

ROUNDING = 2.0**-50
"""Eight units in the last place: more than one operation in float64 rounds."""


class BoxMaximum(NamedTuple):
    """A maximum over a box.

    Attributes:
        point: Where the largest output was found, `(d,)`.
        found: The output there: the maximum is at least this.
        proved: The maximum is at most this.
        boxes: How many boxes were bounded.
    """

    point: Tensor
    found: float
    proved: float
    boxes: int


def box_maximum(
    network: nn.Module,
    low: Any,
    high: Any,
    tolerance: float = 1e-3,
    budget: int = 100_000,
) -> BoxMaximum:
    """Return the largest output of a network with one output over a box.

    Args:
        network: A multi-layer perceptron: `nn.Sequential`, nested or not, of `Linear`, `ReLU`,
            `LeakyReLU`, `Tanh`, `Sigmoid`, `Softplus`, `Identity` and a leading `Flatten`.
        low: Lower ends of the box, `(d,)`.
        high: Upper ends, `(d,)`.
        tolerance: How far apart both ends may stay, in units of the output.
        budget: How many boxes may be bounded before it ends with what is proved by then.

    Returns:
        Both ends, in float64; outward rounding is counted in.

    Raises:
        InvalidInput: Bounds that are no box.
        UnsupportedGame: A layer for which no bounds are known, inputs that do not fit the box, or
            more than one output.

    References:
        Gowal et al. 2018, arXiv:1810.12715 (interval bounds); Singh et al. 2018 (affine bounds of
        activations); Bunel et al. 2020 (branch and bound).

    Example:
        >>> ridge = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
        >>> with torch.no_grad():  # 1 - |x|
        ...     for p, v in zip(ridge.parameters(), ([[1.0], [-1.0]], [0, 0], [[-1, -1]], [1])):
        ...         _ = p.copy_(torch.tensor(v))
        >>> result = box_maximum(ridge, [-1.0], [2.0])
        >>> result.found <= 1 <= result.proved <= result.found + 1e-3
        True
    """
    layers = _layers(network)
    wanted = f"low <= high should be the finite ends of a box; got {low}, {high}."
    try:
        a, b = (torch.as_tensor(end).detach().double().cpu().flatten() for end in (low, high))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInput(wanted) from error
    if a.shape != b.shape or not len(a) or not bool((torch.isfinite(b - a) & (a <= b)).all()):
        raise InvalidInput(wanted)
    tolerance, budget = as_real("tolerance", tolerance, "(0, inf)"), as_whole("budget", budget, 1)
    _check_sizes(layers, len(a))
    search = _BranchAndBound(layers, a, b)
    with torch.no_grad():
        return search.run(tolerance, budget)


class _BranchAndBound:
    """Boxes whose bound is too far above the largest output found, and that output."""

    def __init__(self, layers: list[nn.Module], low: Tensor, high: Tensor) -> None:
        self.layers, self.low, self.high = layers, low, high
        self.point, self.found, self.boxes = (low + high) / 2, -math.inf, 0
        widest = max(layer.out_features for layer in layers if isinstance(layer, nn.Linear))
        self.size = max(1, min(BATCH, CELLS // (len(low) * widest)))

    def run(self, tolerance: float, budget: int) -> BoxMaximum:
        """Split boxes until none is open, or the budget is spent."""
        centre = self.point[None]
        half = ((self.high - self.low)[None] / 2) * (1 + ROUNDING) + ROUNDING * centre.abs()
        bound, settled = self._look(centre, half), -math.inf
        while True:
            open_ = bound > self.found + tolerance
            settled = max([settled, *bound[~open_].tolist()])
            centre, half, bound = centre[open_], half[open_], bound[open_]
            if not len(bound) or self.boxes >= budget:
                proved = max([self.found, settled, *bound.tolist()])
                return BoxMaximum(self.point, self.found, proved, self.boxes)
            order = bound.argsort(descending=True)
            first, rest = order[: self.size], order[self.size :]
            new_centre, new_half = _split(centre[first], half[first])
            fresh = [
                self._look(*part)
                for part in zip(
                    torch.split(new_centre, self.size),
                    torch.split(new_half, self.size),
                    strict=True,
                )
            ]
            centre = torch.cat((centre[rest], new_centre))
            half = torch.cat((half[rest], new_half))
            bound = torch.cat((bound[rest], *fresh))

    def _look(self, centre: Tensor, half: Tensor) -> Tensor:
        """Bound some boxes, and try the middle and the most promising corner of each."""
        self.boxes += len(centre)
        bound, slope = _bound(self.layers, centre, half)
        # Where weights are so large that bounds overflow, nothing is known.
        bound = torch.where(bound.isnan(), math.inf, bound)
        tries = torch.cat((centre, centre + slope.nan_to_num(0.0).sign() * half))
        tries = tries.clamp(self.low, self.high)
        values = tries
        for layer in self.layers:
            values = layer(values)
        values = torch.where(values.isnan(), -math.inf, values)
        best = int(values.argmax())
        if float(values[best]) > self.found:
            self.point, self.found = tries[best], float(values[best])
        return bound


def _split(centre: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Return both halves of each box, cut across its longest side."""
    longest = torch.nn.functional.one_hot(half.argmax(1), half.shape[1]).to(half)
    step = half * longest / 2
    # Rounding must leave no gap between the halves.
    smaller = (half - step) * (1 + ROUNDING) + ROUNDING * centre.abs()
    return torch.cat((centre - step, centre + step)), smaller.repeat(2, 1)


# -- bounds of layers ----------------------------------------------------------------------------


class _Enclosure(NamedTuple):
    """What is known of every unit over each of N boxes.

    Attributes:
        centre: c, `(N, units)`.
        slope: A, `(N, units, d)`: the unit stays within `spread` of c + A x.
        spread: r, `(N, units)`.
        low: The unit's least value, `(N, units)`: by c - |A| - r or by interval arithmetic.
        high: Its largest.
    """

    centre: Tensor
    slope: Tensor
    spread: Tensor
    low: Tensor
    high: Tensor


def _bound(layers: list[nn.Module], centre: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the output is at most on each box, `(N,)`, and its slope there, `(N, d)`."""
    known = _Enclosure(
        centre, torch.diag_embed(half), torch.zeros_like(half), centre - half, centre + half
    )
    for layer in layers:
        known = _affine(layer, known) if isinstance(layer, nn.Linear) else _bend(layer, known)
    return known.high[:, 0], known.slope[:, 0]


def _affine(layer: nn.Linear, known: _Enclosure) -> _Enclosure:
    weight, size = layer.weight, layer.weight.abs()
    bias = torch.zeros_like(weight[:, 0]) if layer.bias is None else layer.bias
    centre = known.centre @ weight.mT + bias
    slope = weight @ known.slope
    reach = known.slope.abs().sum(2) + known.spread
    # Sums of n products round by at most n units in the last place of their sizes' sum.
    error = ROUNDING * len(weight[0]) * ((known.centre.abs() + reach) @ size.mT + bias.abs())
    spread = known.spread @ size.mT + error
    middle, radius = (known.low + known.high) / 2, (known.high - known.low) / 2
    middle, radius = middle @ weight.mT + bias, radius @ size.mT + error
    return _narrowed(_Enclosure(centre, slope, spread, middle - radius, middle + radius))


def _bend(activation: nn.Module, known: _Enclosure) -> _Enclosure:
    """Apply an activation: near the line of slope s, off by what the line misses on the range."""
    low, high = known.low, known.high
    kink = torch.zeros_like(low).clamp(low, high)
    ends = torch.stack([activation(x) for x in (low, kink, high)])
    if isinstance(activation, nn.ReLU | nn.LeakyReLU):
        # Two straight pieces: the chord, and whatever the kink is away from it.
        wide = high > low
        slope = torch.where(wide, (ends[2] - ends[0]) / torch.where(wide, high - low, 1.0), 0.0)
    else:
        # The derivative is least at an end; less that slope the activation still rises.
        derivative = SMOOTH[type(activation)]
        least = torch.minimum(derivative(activation, low), derivative(activation, high))
        slope = (least * (1 - ROUNDING) - ROUNDING).clamp_min(0)
    missed = ends - slope * torch.stack((low, kink, high))
    most, least = missed.amax(0), missed.amin(0)
    centre = slope * known.centre + (most + least) / 2
    reach = (known.slope.abs().sum(2) + known.spread) * slope.abs()
    size = centre.abs() + reach + ends.abs().amax(0) + most.abs() + least.abs()
    error = ROUNDING * size + _misfit(activation)
    return _narrowed(
        _Enclosure(
            centre,
            slope[..., None] * known.slope,
            slope.abs() * known.spread + (most - least) / 2 + error,
            ends.amin(0) - error,
            ends.amax(0) + error,
        )
    )


def _narrowed(known: _Enclosure) -> _Enclosure:
    reach = known.slope.abs().sum(2) + known.spread
    reach = reach + ROUNDING * known.slope.shape[2] * (known.centre.abs() + reach)
    return known._replace(
        low=torch.maximum(known.low, known.centre - reach),
        high=torch.minimum(known.high, known.centre + reach),
    )


SMOOTH: dict[type[nn.Module], Callable[[Any, Tensor], Tensor]] = {
    nn.Tanh: lambda _, x: 1 - x.tanh().square(),
    nn.Sigmoid: lambda _, x: x.sigmoid() * (-x).sigmoid(),
    nn.Softplus: lambda layer, x: (layer.beta * x).sigmoid(),
}
"""Rising activations, with derivatives that rise to one peak at most, and these derivatives."""


def _misfit(activation: nn.Module) -> float:
    """Return how far torch's function is from the smooth one: softplus ends in a straight line."""
    if isinstance(activation, nn.Softplus):
        at = float(activation.threshold)
        return (max(-at, 0.0) + math.log1p(math.exp(-abs(at)))) / abs(activation.beta)
    return 0.0


def _layers(network: nn.Module) -> list[nn.Module]:
    """Return the layers in float64, on the CPU."""
    if not isinstance(network, nn.Module):
        raise InvalidInput(f"box_maximum expects a torch.nn.Module; got {type(network).__name__}.")
    layers = []
    for layer in flattened(network):
        if not _known(layer):
            raise UnsupportedGame(
                f"No bounds over a box are known for a {type(layer).__name__}; networks of Linear, "
                "ReLU, LeakyReLU, Tanh, Sigmoid and Softplus in a Sequential have them."
            )
        layers.append(_copied(layer))
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    if not linear or linear[-1].out_features != 1:
        raise UnsupportedGame(
            "Bounds over a box are known for networks whose last Linear has one output."
        )
    return layers


def _check_sizes(layers: list[nn.Module], size: int) -> None:
    for layer in layers:
        if isinstance(layer, nn.Linear):
            if layer.in_features != size:
                raise UnsupportedGame(
                    "Bounds over a box are known for networks whose layers take all that comes; a "
                    f"Linear of {layer.in_features} inputs gets {size}."
                )
            size = layer.out_features


def _copied(layer: nn.Module) -> nn.Module:
    if not isinstance(layer, nn.Linear):
        copied = copy.deepcopy(layer)
        if isinstance(copied, nn.ReLU | nn.LeakyReLU):
            copied.inplace = False
        return copied
    # A parametrized weight is computed at every look; the copy has it as it is.
    plain = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
    plain = plain.double().requires_grad_(False)
    plain.weight.copy_(layer.weight.detach())
    if layer.bias is not None:
        plain.bias.copy_(layer.bias.detach())
    return plain


def _known(layer: nn.Module) -> bool:
    # A subclass may compute anything; a parametrization makes a subclass of its own.
    linear = isinstance(layer, nn.Linear) and type(layer).forward is nn.Linear.forward
    return linear or type(layer) in (nn.ReLU, nn.LeakyReLU, *SMOOTH)


def flattened(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers of nested sequences, without those that change no number of a sample."""
    if altered(network):
        raise UnsupportedGame(
            f"A {type(network).__name__} with hooks or a forward of its own may compute anything."
        )
    if type(network) is nn.Sequential:
        for part in network:
            yield from flattened(part)
    elif not (
        type(network) is nn.Identity or (type(network) is nn.Flatten and keeps_batch(network))
    ):
        yield network


def altered(module: nn.Module) -> bool:
    """Return whether a module may compute something else than its class says."""
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in module.__dict__)


def keeps_batch(layer: nn.Flatten | nn.Unflatten) -> bool:
    """Return whether a layer that reshapes leaves the first dimension, of samples, as it is."""
    first = layer.start_dim if isinstance(layer, nn.Flatten) else layer.dim
    return isinstance(first, int) and first >= 1
