"""Quantal response: players who err, the less the more an error costs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.game import ZeroSumGame
from eqgan.games.matrix import MatrixGame
from eqgan.profile import Profile, Strategy
from eqgan.real import as_real
from eqgan.spaces import LEAST


class QuantalResponse(ZeroSumGame):
    r"""The matrix game whose equilibrium is the *logit* (quantal response) equilibrium of another.

    Each player is also paid for the entropy H of its strategy, at the price :math:`\lambda`:

    .. math::
        \max_x \min_y\; x^\top A y + \lambda H(x) - \lambda H(y)

    so that best responses are soft, :math:`x \propto e^{A y / \lambda}`. The equilibrium is unique
    and fully mixed, and tends to the matrix game's of largest entropy as :math:`\lambda \to 0`.
    Gaps are exact: against y the row player can have
    :math:`\lambda \log \sum_i e^{(A y)_i / \lambda}`.

    Args:
        game: The matrix game, or a batch of them.
        temperature: :math:`\lambda`, in the units of the payoffs; many texts write
            :math:`\lambda` for its inverse.

    Raises:
        InvalidInput: No matrix game, or a temperature that is not a number > 0.

    References:
        McKelvey and Palfrey 1995.

    Example:
        >>> import eqgan
        >>> pennies = MatrixGame([[3, -1], [-1, 1]])
        >>> run = eqgan.solve(QuantalResponse(pennies, temperature=1.0), tol=1e-12)
        >>> x, y = run.profile
        >>> bool(torch.allclose(x, torch.softmax(pennies.payoff_matrix @ y, 0)))
        True
        >>> run.status.name, run.certificate.exact
        ('CONVERGED', True)
    """

    players = ("row", "column")
    receiver = 0
    monotone = True
    recommended = "quantal_newton"

    def __init__(self, game: MatrixGame, temperature: float) -> None:
        if not isinstance(game, MatrixGame):
            raise InvalidInput(
                f"QuantalResponse expects a MatrixGame; got {type(game).__name__}. Wrap payoffs as "
                "eqgan.games.MatrixGame(A)."
            )
        self.game = game
        self.temperature = as_real("temperature", temperature, "(0, inf)")
        self.spaces = game.spaces
        self.batch_shape, self.dtype, self.device = game.batch_shape, game.dtype, game.device

    def __repr__(self) -> str:
        return f"QuantalResponse({self.game!r}, temperature={self.temperature:g})"

    @property
    def scale(self) -> Tensor | float:  # type: ignore[override]
        """The matrix game's: half the range of its payoffs."""
        return self.game.scale

    @property
    def lipschitz(self) -> float | Tensor | None:  # type: ignore[override]
        """The matrix game's, and the temperature: relative to the entropy, which steps descend."""
        known = self.game.lipschitz
        return None if known is None else known + self.temperature

    def check_losses(self, z: Profile) -> None:
        """Check nothing: the losses of a matrix game are known to fit."""

    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        r"""Return :math:`x^\top A y + \lambda H(x) - \lambda H(y)`, `(*batch)`."""
        x, y = _mixed(z)
        return self.game.payoff(z) + self.temperature * (entropy(x) - entropy(y))

    def operator(self, z: Profile, batch: Any = None) -> Profile:
        """Return both players' gradients."""
        return Profile((self.gradient(z, 0), self.gradient(z, 1)))

    def gradient(self, z: Profile, player: int, batch: Any = None) -> Strategy:
        r"""Return the action costs plus :math:`\lambda (\log p + 1)`, `(*batch, n)`."""
        cost, mine = self.game.gradient(z, player), z[player]
        assert isinstance(cost, Tensor)
        assert isinstance(mine, Tensor)
        return cost + self.temperature * (mine.clamp_min(LEAST[mine.dtype]).log() + 1)

    def best_response(self, z: Profile, player: int) -> Strategy:
        """Return the soft best response."""
        cost = self.game.gradient(z, player)
        assert isinstance(cost, Tensor)
        soft: Tensor = torch.softmax(-cost / self.temperature, -1)
        return soft

    def regrets(self, z: Profile) -> tuple[Tensor, Tensor]:
        """Return both players' exact regrets and the payoff, in float64."""
        z = z.to(torch.float64)
        x, y = _mixed(z)
        rows, columns = self.game.payoffs.times(y), self.game.payoffs.transposed(x)
        value = (x * rows).sum(-1)
        t = self.temperature
        # Each player's regret is t times a relative entropy: no large numbers are subtracted.
        regrets = torch.stack((t * divergence(x, rows / t), t * divergence(y, -columns / t)))
        return regrets, value + t * (entropy(x) - entropy(y))


def entropy(p: Tensor) -> Tensor:
    r"""Return :math:`-\sum_i p_i \log p_i` over the trailing dimension."""
    total: Tensor = torch.special.entr(p).sum(-1)
    return total


def divergence(p: Tensor, logits: Tensor) -> Tensor:
    """Return the relative entropy of `p` to the softmax of `logits`, over the trailing dimension.

    Example:
        >>> p = torch.tensor([0.5, 0.5])
        >>> float(divergence(p, torch.tensor([7.0, 7.0])))
        0.0
    """
    terms = torch.xlogy(p, p) - p * torch.log_softmax(logits, -1)
    total: Tensor = terms.sum(-1).clamp_min(0)
    return total


def _mixed(z: Profile) -> tuple[Tensor, Tensor]:
    x, y = z
    assert isinstance(x, Tensor)
    assert isinstance(y, Tensor)
    return x, y
