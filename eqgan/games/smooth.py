"""Smooth games with known equilibria: the test bench of every gradient method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from eqgan.errors import InvalidInput
from eqgan.game import ZeroSumGame
from eqgan.profile import Profile
from eqgan.randomness import seeded
from eqgan.real import as_real
from eqgan.spaces import Euclidean, Space
from eqgan.whole import as_whole


def _vectors(z: Profile) -> tuple[Tensor, Tensor]:
    x, y = z
    assert isinstance(x, Tensor)
    assert isinstance(y, Tensor)
    return x, y


def _matrix(value: Any, name: str) -> Tensor:
    try:
        matrix = torch.as_tensor(value, dtype=torch.float64).detach().clone()
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{name} should be a matrix of numbers; got {value!r}.") from error
    if matrix.dim() != 2 or matrix.numel() == 0:
        raise InvalidInput(f"{name} should have shape (m, n); got {tuple(matrix.shape)}.")
    if not bool(torch.isfinite(matrix).all()):
        raise InvalidInput(f"{name} should be finite.")
    return matrix


class Quadratic(ZeroSumGame):
    r"""The game :math:`\min_x \max_y \tfrac12 x^\top B x + x^\top A y - \tfrac12 y^\top C y`.

    The origin is stationary; it is the equilibrium where `B` and `C` are positive semidefinite.
    With positive definite `B` and `C` the game is strongly monotone.

    Args:
        A: The interaction, `(m, n)`.
        B: Curvature of the minimiser, `(m, m)` symmetric; zero if not given.
        C: Curvature of the maximiser, `(n, n)` symmetric; zero if not given.

    Example:
        >>> game = Quadratic([[1.0]], [[0.5]], [[0.5]])
        >>> game.operator(Profile((torch.ones(1).double(), torch.ones(1).double())))
        Profile([1.5], [-0.5])
    """

    players = ("x", "y")
    receiver = 1

    def __init__(self, A: Any, B: Any = None, C: Any = None) -> None:
        self.A = _matrix(A, "A")
        m, n = self.A.shape
        self.B = torch.zeros(m, m, dtype=torch.float64) if B is None else _matrix(B, "B")
        self.C = torch.zeros(n, n, dtype=torch.float64) if C is None else _matrix(C, "C")
        for name, matrix, size in (("B", self.B, m), ("C", self.C, n)):
            if matrix.shape != (size, size) or not torch.allclose(matrix, matrix.mT):
                raise InvalidInput(
                    f"{name} should be symmetric of shape ({size}, {size}) to go with A of shape "
                    f"({m}, {n}); got {tuple(matrix.shape)}."
                )
        self.B, self.C = (self.B + self.B.mT) / 2, (self.C + self.C.mT) / 2
        self.spaces = (Euclidean((m,)), Euclidean((n,)))
        self.linear = not bool(self.B.any()) and not bool(self.C.any())
        curvatures = torch.cat([torch.linalg.eigvalsh(q) for q in (self.B, self.C)])
        # Rounding leaves a semidefinite matrix with eigenvalues a little below zero.
        self.monotone = bool(curvatures.min() >= -1e-12 * curvatures.abs().max())
        self.equilibrium = None
        if self.monotone:
            zeros = (torch.zeros(m, dtype=self.dtype), torch.zeros(n, dtype=self.dtype))
            self.equilibrium, self.value = Profile(zeros), 0.0
        self.jacobian = torch.cat(
            (torch.cat((self.B, self.A), 1), torch.cat((-self.A.mT, self.C), 1))
        )
        self.lipschitz = float(torch.linalg.matrix_norm(self.jacobian, 2))

    def __repr__(self) -> str:
        m, n = self.A.shape
        return f"{type(self).__name__}({m} x {n}, Lipschitz constant {self.lipschitz:.4g})"

    def initial(self, rng: torch.Generator) -> Profile:
        """Return ones: the origin is the stationary point itself."""
        return Profile(torch.ones(space.shape, **self.options) for space in self.spaces)

    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        """Return what the maximiser receives; leading dimensions broadcast."""
        x, y = _vectors(z)
        own = 0.5 * (x * (x @ self.B)).sum(-1) - 0.5 * (y * (y @ self.C)).sum(-1)
        return own + ((x @ self.A) * y).sum(-1)

    def operator(self, z: Profile, batch: Any = None) -> Profile:
        r"""Return :math:`(Bx + Ay,\; Cy - A^\top x)`."""
        x, y = _vectors(z)
        return Profile((self.B @ x + self.A @ y, self.C @ y - self.A.mT @ x))

    def gradient(self, z: Profile, player: int, batch: Any = None) -> Tensor:
        """Return one player's part of the operator."""
        x, y = _vectors(z)
        return self.B @ x + self.A @ y if player == 0 else self.C @ y - self.A.mT @ x


class Bilinear(Quadratic):
    r"""The unconstrained game :math:`\min_x \max_y x^\top A y`; simultaneous steps diverge on it.

    Args:
        A: The interaction, `(m, n)`.

    Example:
        >>> import eqgan
        >>> game = Bilinear([[1.0]])
        >>> run = eqgan.solve(game, "extragradient", init=([1.0], [1.0]))
        >>> run.status.name
        'CONVERGED'
    """

    def __init__(self, A: Any) -> None:
        super().__init__(A)


def strongly_monotone(
    dimension: int = 2, curvature: float = 0.5, coupling: float = 1.0, seed: int = 0
) -> Quadratic:
    r"""Return a strongly monotone quadratic game with a random orthogonal coupling `Q`.

    .. math:: \tfrac\mu2\lVert x\rVert^2 + c\,x^\top Q y - \tfrac\mu2\lVert y\rVert^2

    Args:
        dimension: Parameters of each player.
        curvature: :math:`\mu > 0`, the modulus of strong monotonicity.
        coupling: `c`, how strongly the players act on each other.
        seed: Seed of `Q`.

    Example:
        >>> strongly_monotone(3).monotone
        True
    """
    as_whole("dimension", dimension, 1)
    as_real("curvature", curvature, "(0, inf)")
    as_real("coupling", coupling)
    rng = seeded(seed)
    gaussian = torch.randn(dimension, dimension, generator=rng, dtype=torch.float64)
    eye = curvature * torch.eye(dimension, dtype=torch.float64)
    return Quadratic(coupling * torch.linalg.qr(gaussian).Q, eye, eye)


Link = Callable[[Tensor], Tensor]


class DiracGAN(ZeroSumGame):
    r"""The smallest GAN: data at 0, generator a point :math:`\theta`, critic :math:`\psi x`.

    The discriminator receives :math:`f(\theta\psi) + f(0) - \tfrac\gamma2\psi^2` with
    :math:`f(t) = -\log(1 + e^{-t})`, or :math:`f(t) = t` for the Wasserstein objective. The only
    equilibrium is the origin; without a regulariser the operator's Jacobian there has imaginary
    eigenvalues and many methods circle.

    Args:
        objective: ``"minimax"``, ``"non_saturating"`` (the generator follows
            :math:`-f(-\theta\psi)` instead; the payoff stays) or ``"wasserstein"``.
        regulariser: ``None``, or a gradient penalty, ``"r1"`` or ``"zero_centred"``; on this game
            both are :math:`\tfrac\gamma2\psi^2`.
        gamma: Strength of the regulariser.

    References:
        Mescheder, Geiger, Nowozin 2018, arXiv:1801.04406.

    Example:
        >>> DiracGAN(regulariser="r1", gamma=0.3)
        DiracGAN(minimax, r1 0.3)
    """

    players = ("generator", "discriminator")
    receiver = 1

    def __init__(
        self,
        objective: Literal["minimax", "non_saturating", "wasserstein"] = "minimax",
        regulariser: Literal["r1", "zero_centred"] | None = None,
        gamma: float = 0.3,
    ) -> None:
        if objective not in ("minimax", "non_saturating", "wasserstein"):
            raise InvalidInput(
                "objective should be 'minimax', 'non_saturating' or 'wasserstein'; got "
                f"{objective!r}."
            )
        if regulariser not in (None, "r1", "zero_centred"):
            raise InvalidInput(
                f"regulariser should be None, 'r1' or 'zero_centred'; got {regulariser!r}."
            )
        as_real("gamma", gamma, "[0, inf)")
        self.objective = objective
        self.regulariser = regulariser
        self.gamma = gamma if regulariser is not None else 0.0
        self.spaces: tuple[Space[Any], ...] = (Euclidean((1,)), Euclidean((1,)))
        zero = torch.zeros(1, dtype=self.dtype)
        self.equilibrium = Profile((zero, zero))
        self.value = 2 * float(self.link(zero))
        # A bound on the Jacobian for |theta|, |psi| <= 1: |f'| <= 1 and |f''| <= 1/4, or f linear.
        self.lipschitz = 1.0 + self.gamma

    def __repr__(self) -> str:
        penalty = f", {self.regulariser} {self.gamma:g}" if self.regulariser else ""
        return f"DiracGAN({self.objective}{penalty})"

    def initial(self, rng: torch.Generator) -> Profile:
        """Return (1, 1)."""
        return Profile((torch.ones(1, **self.options), torch.ones(1, **self.options)))

    @property
    def trains_on_payoff(self) -> bool:
        """Whether the generator descends the payoff itself."""
        return self.objective != "non_saturating"

    @property
    def link(self) -> Link:
        """The function f."""
        return _identity if self.objective == "wasserstein" else logsigmoid

    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        """Return what the discriminator receives; leading dimensions broadcast."""
        theta, psi = _vectors(z)
        penalty = 0.5 * self.gamma * psi * psi
        return (self.link(theta * psi) + self.link(torch.zeros_like(psi)) - penalty).sum(-1)

    def losses(self, z: Profile, batch: Any = None) -> tuple[Tensor, Tensor]:
        """Return the training signals; they differ from the costs when non-saturating."""
        payoff = self.payoff(z, batch)
        if self.objective != "non_saturating":
            return payoff, -payoff
        theta, psi = _vectors(z)
        return -self.link(-theta * psi).sum(-1), -payoff


def _identity(t: Tensor) -> Tensor:
    return t
