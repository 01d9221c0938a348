"""Games given by one function of two variables."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.game import ZeroSumGame
from eqgan.linearisation import reached
from eqgan.profile import Profile
from eqgan.real import as_real, is_real
from eqgan.spaces import Box, Euclidean, Space

LOOKS = 64
"""Points at which the curvature of a function is looked at."""


class ContinuousGame(ZeroSumGame):
    r"""The game :math:`\min_{x \in X} \max_{y \in Y} f(x, y)` on two boxes, or without bounds.

    Without convexity in x and concavity in y there need be no pure equilibrium; on boxes one of
    finite mixtures exists for polynomials, and is found by the solvers of ``Mixed(game, (K, L))``.

    Args:
        f: Takes x and y as tensors, 0-dimensional where the player has one dimension and `(d,)`
            where it has more, and returns what the maximiser receives, one number. Differentiable,
            for methods that follow gradients.
        min_box: Smallest and largest value of every entry of x. ``(-inf, inf)`` leaves x free, as
            methods that seek zeros of the gradient want it (consensus, LOLA, ...).
        max_box: The same of y.
        dims: How many entries x and y have.
        lipschitz: Lipschitz constant of the gradients, from which default steps follow; estimated
            from the curvature at `LOOKS` random points if not given.
        name: What the game is called in tables.

    Raises:
        InvalidInput: Boxes that are no intervals, or a function that takes no two tensors, returns
            no number, or another one each time, or changes what it is given.

    References:
        Glicksberg 1952 (existence); Parrilo 2006 (polynomial games).

    Example:
        >>> import eqgan
        >>> game = ContinuousGame(lambda x, y: (x - y) ** 2)  # hide from a chaser on [-1, 1]
        >>> eqgan.certify(game, ([0.0], [1.0])).nash_conv  # no pure equilibrium: x would follow
        1.0
        >>> mix = eqgan.games.Mixed(game, (1, 2))
        >>> both_ends = {"weights": [0.5, 0.5], "atoms": [[-1.0], [1.0]]}
        >>> eqgan.certify(mix, ({"weights": [1.0], "atoms": [[0.0]]}, both_ends)).nash_conv
        0.0
        >>> free = (-float("inf"), float("inf"))
        >>> spiral = ContinuousGame(torch.multiply, free, free)
        >>> run = eqgan.solve(spiral, "consensus", max_steps=500)
        >>> bool(run.profile.norm() < 1e-3)
        True
    """

    players = ("minimizer", "maximizer")
    receiver = 1

    def __init__(
        self,
        f: Callable[[Tensor, Tensor], Tensor],
        min_box: tuple[float, float] = (-1.0, 1.0),
        max_box: tuple[float, float] = (-1.0, 1.0),
        *,
        dims: tuple[int, int] = (1, 1),
        lipschitz: float | None = None,
        name: str | None = None,
    ) -> None:
        if not callable(f):
            raise InvalidInput(f"f should be a function of x and y; got {f!r}.")
        if not (isinstance(dims, tuple | list) and len(dims) == 2):
            raise InvalidInput(f"dims should be two whole numbers, of x and of y; got {dims!r}.")
        self.f = f
        self.name = name
        self.spaces: tuple[Space[Any], ...] = tuple(
            _set(d, box, what)
            for d, box, what in zip(dims, (min_box, max_box), ("min_box", "max_box"), strict=True)
        )
        if lipschitz is not None:
            as_real("lipschitz", lipschitz, "(0, inf)")
        self.given_lipschitz = lipschitz
        rng = self.generator(0)
        value = self._tried(self.initial(rng))
        if not isinstance(value, Tensor) or value.dim():
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InvalidInput(
                "f should return one number, a 0-dimensional tensor, when x and y are "
                f"{' and '.join(_described(space) for space in self.spaces)}; got {got}."
            )
        # In the middle, often zero, a factor that is drawn changes nothing.
        z = self.random(rng)
        first, again = (self._tried(z).nan_to_num() for _ in range(2))
        if not torch.equal(first, again):
            raise InvalidInput(
                "f should return the same number each time that it is called with the same x and "
                "y; it does not. Average over samples that were drawn once, or take "
                "eqgan.games.NeuralGame, whose payoff may be one of a sample."
            )

    def __repr__(self) -> str:
        title = f"{self.name}: " if self.name else ""
        return f"ContinuousGame({title}{' x '.join(map(_written, self.spaces))})"

    @torch.inference_mode(False)  # No versions are kept of what is made in inference mode.
    def _tried(self, z: Profile) -> Any:
        """Return what f makes of a copy of `z`."""
        z = z.map(torch.clone)
        before = [leaf._version for leaf in z.leaves()]
        try:
            value = self.payoff(z)
        except Exception as error:
            raise InvalidInput(
                f"f should take x and y, {' and '.join(map(_described, self.spaces))}, and return "
                f"one number; it raised {error!r}."
            ) from error
        if before != [leaf._version for leaf in z.leaves()]:
            raise InvalidInput(
                "f should leave x and y as they are; it changes them in place, as x -= 1 or "
                "x.mul_(y) do to a tensor. Write x = x - 1."
            )
        return value

    def initial(self, rng: torch.Generator) -> Profile:
        """Return the centre of boxes, and ones where there is none: zero is often stationary."""
        return Profile(
            space.center(**self.options)
            if space.bounded
            else torch.ones(space.shape, **self.options)
            for space in self.spaces
        )

    @cached_property
    def lipschitz(self) -> float | None:  # type: ignore[override]
        """The constant that was given, or the estimate; ``None`` where f has no curvature."""
        if self.given_lipschitz is not None:
            return self.given_lipschitz
        rng = self.generator(0)
        try:
            # Gradients are needed, wherever the caller has turned them off.
            with torch.inference_mode(False):
                steepest = max(self._steepness(self.random(rng)) for _ in range(LOOKS))
        except RuntimeError:  # autograd cannot differentiate f twice
            return None
        return steepest if 0 < steepest < math.inf else None

    def _steepness(self, z: Profile) -> float:
        """Return the spectral norm of the operator's Jacobian."""
        here = self.linearise(z)
        count = sum(leaf.numel() for leaf in z.leaves())
        basis = torch.eye(count, **self.options)
        sizes = [leaf.numel() for leaf in z.leaves()]
        rows = [torch.cat(here.vjp(Profile(e.split(sizes))).leaves()) for e in basis]
        return float(torch.linalg.matrix_norm(torch.stack(rows), 2))

    @cached_property
    def note(self) -> str:  # type: ignore[override]
        """That f changes with a variable and passes it no gradient, where that is so."""
        rng = self.generator(0)
        with torch.inference_mode(False), torch.enable_grad():
            here, there = self.random(rng), self.random(rng)
            z = here.attached()
            seen = reached(self.payoff(z), z.leaves())
        blind = [
            name
            for player, name in enumerate(("x", "y"))
            if not seen[player]
            and bool(self.payoff(here.replace(player, there[player])) != self.payoff(here))
        ]
        if not blind:
            return ""
        return (
            f"f changes with {' and '.join(blind)}, and passes no gradient to it: what follows "
            "gradients sees nothing of that (math.sin and .item() lose them, torch.sin keeps them)"
        )

    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        """Return :math:`f(x, y)`."""
        x, y = z
        assert isinstance(x, Tensor)
        assert isinstance(y, Tensor)
        return self.f(*(s.squeeze(0) if len(s) == 1 else s for s in (x, y)))


def _set(dim: Any, box: Any, what: str) -> Space[Any]:
    shape = (dim,) if isinstance(dim, int) else dim
    if isinstance(box, tuple | list) and len(box) == 2:
        if [end for end in box if isinstance(end, float)] == [-math.inf, math.inf]:
            return Euclidean(shape)
        if all(map(is_real, box)):
            return Box(shape, float(box[0]), float(box[1]))
    raise InvalidInput(
        f"{what} should be a pair of finite numbers, low and high, or (-inf, inf); got {box!r}."
    )


def _written(space: Space[Any]) -> str:
    one = f"[{space.low:g}, {space.high:g}]" if isinstance(space, Box) else "R"
    return one + (f"^{space.shape[0]}" if space.shape[0] > 1 else "")


def _described(space: Space[Any]) -> str:
    return "a number" if space.shape == (1,) else f"a vector {space.shape}"
