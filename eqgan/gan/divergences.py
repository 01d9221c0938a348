"""Objectives named for the divergence that they are at the best discriminator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from eqgan.errors import UnknownName
from eqgan.gan.objective import Objective
from eqgan.real import as_real


@dataclass(frozen=True)
class Measured(Objective):
    r"""Arora et al.'s :math:`E \phi(D(x)) + E \phi(1 - D(G(h)))`, D the sigmoid of the output.

    With ``"log"`` it is the original GAN, unbounded below; with ``"bounded_log"``,
    :math:`\phi(t) = \log(\delta + (1 - \delta) t)`, it lies in :math:`[2 \log\delta, 0]` and
    :math:`\phi` is Lipschitz; with ``"identity"`` it is a Wasserstein GAN whose critic's values
    lie in [0, 1].

    Args:
        phi: The measuring function.
        delta: :math:`\delta` in (0, 1), of the bounded logarithm.

    References:
        Arora et al. 2017, arXiv:1703.00573, section 2.

    Example:
        >>> import torch
        >>> sure = torch.tensor([100.0])
        >>> round(float(Measured("bounded_log", 0.1).payoff(-sure, sure)), 4)  # 2 log 0.1
        -4.6052
    """

    phi: Literal["log", "bounded_log", "identity"] = "bounded_log"
    delta: float = 0.1

    squashes = True

    def __post_init__(self) -> None:
        if self.phi not in ("log", "bounded_log", "identity"):
            raise UnknownName.of("measuring function", self.phi, ("log", "bounded_log", "identity"))
        as_real("delta", self.delta, "(0, 1)")

    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the payoff."""
        return self._phi(real).mean(-1) + self._phi(-fake).mean(-1)

    def _phi(self, output: Tensor) -> Tensor:
        if self.phi == "log":
            return logsigmoid(output)
        d = output.sigmoid()
        return d if self.phi == "identity" else (self.delta + (1 - self.delta) * d).log()


@dataclass(frozen=True)
class JensenShannon(Objective):
    r"""The weighted :math:`\pi E \log D(x) + (1 - \pi) E \log(1 - D(G(h)))`.

    At the best discriminator, :math:`\pi p / (\pi p + (1 - \pi) q)`, it is the weighted
    Jensen-Shannon divergence less the entropy of the weight, :math:`JS_\pi(p, q) - H(\pi)`.

    Args:
        weight: :math:`\pi` in (0, 1).

    References:
        Lin 1991 (the divergence); Goodfellow et al. 2014, arXiv:1406.2661.
    """

    weight: float = 0.5

    squashes = True

    def __post_init__(self) -> None:
        as_real("weight", self.weight, "(0, 1)")

    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the payoff."""
        own = self.weight * logsigmoid(real).mean(-1)
        return own + (1 - self.weight) * logsigmoid(-fake).mean(-1)


@dataclass(frozen=True)
class FDivergence(Objective):
    r"""The variational bound :math:`E\, T(x) - E f^*(T(G(h)))` on an f-divergence of p from q.

    T is the output v after the activation that keeps it where :math:`f^*` is finite; the bound is
    tight at :math:`T = f'(p / q)`.

    | kind | f(u) | T | f*(T) |
    |---|---|---|---|
    | ``"kl"`` | :math:`u \log u` | :math:`v` | :math:`e^{v - 1}` |
    | ``"reverse_kl"`` | :math:`-\log u` | :math:`-e^{-v}` | :math:`v - 1` |
    | ``"pearson"`` | :math:`(u - 1)^2` | :math:`v` | :math:`v^2 / 4 + v` |
    | ``"hellinger"`` | :math:`(\sqrt u - 1)^2` | :math:`1 - e^{-v}` | :math:`e^v - 1` |
    | ``"total_variation"`` | :math:`\tfrac12 \lvert u - 1 \rvert` | :math:`\tfrac12 \tanh v` | T |

    Args:
        kind: Which divergence; of the data from the model.

    References:
        Nowozin, Cseke, Tomioka 2016, arXiv:1606.00709.

    Example:
        >>> import torch
        >>> p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])
        >>> v = 1 + (p / q).log()  # the best discriminator of each of two points
        >>> real, fake = v, v[[0, 1, 1, 1]]  # samples in these proportions
        >>> kl = float((p * (p / q).log()).sum())
        >>> abs(float(FDivergence("kl").payoff(real, fake)) - kl) < 1e-6
        True
    """

    kind: Literal["kl", "reverse_kl", "pearson", "hellinger", "total_variation"] = "kl"

    def __post_init__(self) -> None:
        if self.kind not in tuple(F_DIVERGENCES):
            raise UnknownName.of("f-divergence", self.kind, F_DIVERGENCES)

    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the payoff."""
        activation, conjugate = F_DIVERGENCES[self.kind]
        return activation(real).mean(-1) - conjugate(fake).mean(-1)


F_DIVERGENCES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "kl": (lambda v: v, lambda v: (v - 1).exp()),
    "reverse_kl": (lambda v: -(-v).exp(), lambda v: v - 1),
    "pearson": (lambda v: v, lambda v: v.square() / 4 + v),
    "hellinger": (lambda v: -(-v).expm1(), torch.expm1),
    "total_variation": (lambda v: v.tanh() / 2, lambda v: v.tanh() / 2),
}
"""The activation of the output, and the conjugate of f after it."""
