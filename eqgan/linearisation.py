r"""A game's operator near one point: its value, its Jacobian's products, and linear systems.

Second-order methods multiply by the Jacobian of the operator several times at one point. All these
products share one graph of the operator, built once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from eqgan.profile import Profile, Strategy, leaves_of, map_strategy

PRODUCT = 2.0
"""What a product costs, in joint gradients: it goes back through a forward and a backward pass."""


@dataclass(frozen=True)
class Linearisation:
    r"""The operator F at a point, and products with its Jacobian :math:`J`, from one graph.

    All products are reverse-over-reverse, for forward mode fails on some modules. Where both
    players train on one payoff, :math:`J = D H` with a symmetric `H` and the signs `D`, so that
    :math:`J v = D J^\top D v` is one backward pass; elsewhere it is two.

    Args:
        point: Where, as leaves of the graph.
        field: The operator there, attached to the graph.
        receiver: The player whose gradient is the payoff's negative, ``None`` where the players
            train on different signals.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.Quadratic([[2.0]], [[0.5]], [[0.25]])
        >>> here = game.linearise(game.as_profile(([1.0], [1.0])))
        >>> here.value, here.vjp(here.value), here.jvp(here.value)
        (Profile([2.5], [-1.75]), Profile([4.75], [4.5625]), Profile([-2.25], [-5.4375]))
    """

    point: Profile
    field: Profile
    receiver: int | None = None

    @cached_property
    def value(self) -> Profile:
        """The operator at the point, without a graph."""
        return self.field.detach()

    def vjp(self, v: Profile) -> Profile:
        r"""Return :math:`J^\top v`."""
        pulled = _pull(self.field.leaves(), v.leaves(), self.point.leaves())
        return self.point.with_leaves(pulled)

    def jvp(self, v: Profile) -> Profile:
        r"""Return :math:`J v`."""
        if self.receiver is not None:
            return self._signed(self.vjp(self._signed(v)))
        pushed = _push(self.field.leaves(), self.point.leaves(), v.leaves())
        return self.field.with_leaves(pushed)

    def _signed(self, v: Profile) -> Profile:
        assert self.receiver is not None
        return v.replace(self.receiver, map_strategy(torch.neg, v[self.receiver]))

    def transposed_block(self, player: int, other: int, v: Strategy) -> Strategy:
        r"""Return :math:`J_{ij}^\top v`: how :math:`\langle F_i, v\rangle` changes with `j`."""
        pulled = _pull(leaves_of(self.field[player]), leaves_of(v), leaves_of(self.point[other]))
        return _like(self.point[other], pulled)

    def block(self, player: int, other: int, v: Strategy) -> Strategy:
        r"""Return :math:`J_{ij} v`: how player i's gradient changes when j moves by `v`."""
        if player == other:
            # A player's own block is the Hessian of its loss.
            return self.transposed_block(player, player, v)
        if self.receiver is not None:
            return map_strategy(torch.neg, self.transposed_block(other, player, v))
        pushed = _push(leaves_of(self.field[player]), leaves_of(self.point[other]), leaves_of(v))
        return _like(self.field[player], pushed)


def reached(value: Tensor, leaves: list[Tensor]) -> list[bool]:
    """Return which leaves a gradient of the value reaches.

    Args:
        value: A scalar, with its graph where it has one.
        leaves: What may stand at the graph's ends.

    Returns:
        One truth a leaf; zero gradients count as reaching it.

    Example:
        >>> x, y = torch.zeros(2, requires_grad=True), torch.ones(2, requires_grad=True)
        >>> reached((x * y.detach()).sum(), [x, y])
        [True, False]
    """
    if not value.requires_grad:
        return [False] * len(leaves)
    slopes = torch.autograd.grad(value, leaves, allow_unused=True)
    return [slope is not None for slope in slopes]


def _like(strategy: Strategy, leaves: list[Tensor]) -> Strategy:
    return Profile((strategy,)).with_leaves(leaves)[0]


def _pull(
    field: list[Tensor], v: list[Tensor], point: list[Tensor], create_graph: bool = False
) -> list[Tensor]:
    """Return the gradient of the inner product of `field` and `v` in `point`."""
    # A part that is constant has no graph.
    live = [(f, u) for f, u in zip(field, v, strict=True) if f.requires_grad]
    if not live:
        return [torch.zeros_like(leaf) for leaf in point]
    outputs, vectors = zip(*live, strict=True)
    return list(
        torch.autograd.grad(
            outputs,
            point,
            vectors,
            retain_graph=True,
            create_graph=create_graph,
            materialize_grads=True,
        )
    )


def _push(field: list[Tensor], point: list[Tensor], v: list[Tensor]) -> list[Tensor]:
    r"""Return :math:`J v` by differentiating :math:`J^\top u` in `u`."""
    u = [torch.zeros_like(f, requires_grad=True) for f in field]
    return _pull(_pull(field, u, point, create_graph=True), v, u)


def conjugate_gradient(
    apply: Callable[[Profile], Profile], b: Profile, tolerance: float, iterations: int
) -> tuple[Profile, int]:
    r"""Return an approximate solution of :math:`A x = b`, `A` symmetric and positive definite.

    Args:
        apply: Returns :math:`A x`.
        b: The right-hand side.
        tolerance: Stop when the residual's norm is at most this share of that of `b`.
        iterations: Stop after so many products with `A`.

    Returns:
        A profile of the structure of `b`, and the number of products.

    References:
        Hestenes and Stiefel 1952, Methods of conjugate gradients for solving linear systems.

    Example:
        >>> b = Profile((torch.tensor([2.0]), torch.tensor([4.0])))
        >>> conjugate_gradient(lambda p: p.map(lambda a: 2 * a), b, 1e-6, 5)
        (Profile([1.0], [2.0]), 1)
    """
    products = 0
    x, residual, direction = b.map(torch.zeros_like), b, b
    square = float(residual.dot(residual))
    enough = tolerance**2 * square
    for _ in range(iterations):
        # Neither comparison holds of NaN, which must come out where it went in.
        if square <= enough:
            break
        image, products = apply(direction), products + 1
        curvature = float(direction.dot(image))
        if curvature == 0:
            break
        step = square / curvature
        x = x.add(direction, step)
        residual = residual.add(image, -step)
        before, square = square, float(residual.dot(residual))
        direction = residual.add(direction, square / before)
    return x, products
