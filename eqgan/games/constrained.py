r"""Bilinear games :math:`x^\top A y` in which both strategies lie in convex sets.

The sets may have exponentially many vertices: nothing here lists them. Each player's best response
is one linear minimisation over its set, and so every gap is exact.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.game import ZeroSumGame
from eqgan.games.matrix import MatrixGame
from eqgan.profile import Profile, Strategy
from eqgan.spaces import Space


class BilinearGame(ZeroSumGame):
    r"""The game :math:`\max_{x \in X} \min_{y \in Y} x^\top A y`, given by its two products.

    A subclass sets `spaces`, both bounded, and implements `times` and `transposed`.
    """

    receiver = 0
    linear = True
    monotone = True
    recommended = "double_oracle"

    @abstractmethod
    def times(self, y: Tensor) -> Tensor:
        r"""Return :math:`A y`, what each entry of x receives, `(*batch, m)`."""

    @abstractmethod
    def transposed(self, x: Tensor) -> Tensor:
        r"""Return :math:`A^\top x`, what each entry of y pays, `(*batch, n)`."""

    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        r"""Return :math:`x^\top A y`; leading dimensions broadcast."""
        x, y = z.leaves()
        return (x * self.times(y)).sum(-1)

    def operator(self, z: Profile, batch: Any = None) -> Profile:
        r"""Return :math:`(-A y, A^\top x)`: both players minimise."""
        return Profile((self.gradient(z, 0), self.gradient(z, 1)))

    def gradient(self, z: Profile, player: int, batch: Any = None) -> Tensor:
        """Return one player's part of the operator."""
        x, y = z.leaves()
        return -self.times(y) if player == 0 else self.transposed(x)

    def best_response(self, z: Profile, player: int) -> Strategy:
        """Return the point of the player's set where its linear cost is least."""
        response: Strategy = self.spaces[player].minimizer(self.gradient(z, player))
        return response

    def regrets(self, z: Profile) -> tuple[Tensor, Tensor]:
        """Return both players' exact regrets and the payoff, in float64."""
        z = z.map(torch.Tensor.double)
        gains = []
        for player, (space, mine) in enumerate(zip(self.spaces, z.leaves(), strict=True)):
            cost = self.gradient(z, player)
            gains.append((cost * (mine - space.minimizer(cost))).sum(-1))
        return torch.stack(gains), self.payoff(z)


class ConstrainedGame(BilinearGame):
    r"""The matrix game :math:`\max_{x \in X} \min_{y \in Y} x^\top A y` over sets of your choice.

    With two `Simplex` sets it is a `MatrixGame`. A `Polytope` adds linear constraints on mixed
    strategies or budgets; `FlowPolytope`, `Hypersimplex`, `Box` and `Ball` serve as well.

    Args:
        payoffs: What x receives, `(m, n)`, in any form that a `MatrixGame` takes.
        spaces: The sets X and Y, bounded, of shapes `(m,)` and `(n,)`.
        name: What the game is called in tables.

    Raises:
        InvalidInput: Sets that do not go with the payoffs.
        UnsupportedGame: A set that is unbounded, or a batch of games.

    References:
        Charnes 1953, Constrained games and linear programming.

    Example:
        >>> import eqgan
        >>> rarely = eqgan.Polytope(G=[[1, 0, 0]], h=[0.2], E=[[1, 1, 1]], f=[1])
        >>> a = [[0, -1, 1], [1, 0, -1], [-1, 1, 0]]
        >>> game = ConstrainedGame(a, (rarely, eqgan.Simplex(3)))
        >>> round(eqgan.solve(game, "double_oracle").value, 9)  # rock at most every fifth time
        -0.133333333
    """

    players = ("row", "column")

    def __init__(
        self, payoffs: Any, spaces: tuple[Space[Tensor], Space[Tensor]], *, name: str | None = None
    ) -> None:
        written = MatrixGame(payoffs)
        self.payoffs = written.payoffs
        if len(self.payoffs.shape) != 2:
            raise UnsupportedGame(
                f"ConstrainedGame takes one game, payoffs of shape (m, n); got "
                f"{self.payoffs.shape}."
            )
        self.spaces = tuple(spaces)
        shapes = tuple(space.shape for space in self.spaces)
        m, n = self.payoffs.shape
        if shapes != ((m,), (n,)):
            raise InvalidInput(
                f"Payoffs of shape ({m}, {n}) expect sets of shapes ({m},) and ({n},); got "
                f"{', '.join(map(str, shapes))}."
            )
        for space in self.spaces:
            if not space.bounded:
                raise UnsupportedGame(
                    f"ConstrainedGame expects bounded sets; {space} is not. Use a Polytope, Box or "
                    "Ball, or the Bilinear game."
                )
        self.dtype, self.device = self.payoffs.dtype, self.payoffs.device
        self.scale = written.scale
        self.name = name
        if self.payoffs.tabular:
            # Also an upper bound where a Simplex is entropic: its norm is the larger one.
            self.lipschitz = float(torch.linalg.matrix_norm(self.payoffs.dense(), 2))

    def __repr__(self) -> str:
        title = f"{self.name}: " if self.name else ""
        return f"ConstrainedGame({title}{self.spaces[0]} against {self.spaces[1]})"

    def times(self, y: Tensor) -> Tensor:
        r"""Return :math:`A y`."""
        return self.payoffs.linear(y)

    def transposed(self, x: Tensor) -> Tensor:
        r"""Return :math:`A^\top x`."""
        return self.payoffs.transposed(x)
