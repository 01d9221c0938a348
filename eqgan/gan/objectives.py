r"""What GAN players want: objectives as functions of the discriminator's outputs.

The discriminator gives one number a sample, without a final sigmoid: `real` on data, `fake` on
generated samples. `payoff` is what the discriminator receives, and what certificates measure;
`generator_loss` is the training signal of the generator, which some objectives choose differently.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from eqgan.errors import InvalidInput, UnknownName


class Objective(ABC):
    r"""A pair of payoff and training signal.

    Attributes:
        zero_sum: Whether the generator is trained on the payoff itself.
        clip: The discriminator's parameters are kept within ±clip; ``None`` for no bound.
        penalty: Weight of the gradient penalty between real and fake samples that the
            discriminator pays; 0 for none.
        r1: Weight :math:`\gamma` of the penalty :math:`\tfrac{\gamma}{2} E \lVert\nabla D(x)
            \rVert^2` on real samples that the discriminator pays; 0 for none.
        margins: Whether `discriminator_loss` asks how far real and fake samples lie apart.
    """

    zero_sum: bool = True
    clip: float | None = None
    penalty: float = 0.0
    r1: float = 0.0
    margins: bool = False

    @property
    def penalised(self) -> bool:
        """Whether the discriminator pays more than the payoff takes from it."""
        return self.penalty > 0 or self.r1 > 0 or self.margins

    @abstractmethod
    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the discriminator receives, a 0-dimensional tensor."""

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return what the generator's steps descend."""
        raise NotImplementedError

    def discriminator_loss(self, real: Tensor, fake: Tensor, apart: Tensor) -> Tensor:
        """Return what the discriminator's steps descend where `margins` is set.

        Args:
            real: Its outputs on data, `(batch,)`.
            fake: Its outputs on generated samples, `(batch,)`.
            apart: The l1 distance of each real sample from the fake one beside it, `(batch,)`.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Minimax(Objective):
    r"""The original GAN, :math:`E \log D(x) + E \log(1 - D(G(h)))`, `D` the sigmoid of the output.

    Args:
        r1: Weight of the gradient penalty on real samples.

    References:
        Goodfellow et al. 2014, arXiv:1406.2661; Mescheder et al. 2018, arXiv:1801.04406 (R1).

    Example:
        >>> import torch
        >>> round(float(Minimax().payoff(torch.zeros(4), torch.zeros(4))), 4)
        -1.3863
    """

    r1: float = 0.0

    def __post_init__(self) -> None:
        _check_weight("r1", self.r1)

    @property
    def zero_sum(self) -> bool:  # type: ignore[override]
        """With a penalty the generator does not descend the penalty's gradient."""
        return not self.penalised

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return the generator's part of the payoff."""
        return logsigmoid(-fake).mean()

    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the payoff."""
        return logsigmoid(real).mean() + logsigmoid(-fake).mean()


@dataclass(frozen=True)
class NonSaturating(Minimax):
    r"""The original payoff; the generator descends :math:`-E \log D(G(h))` instead.

    Args:
        r1: Weight of the gradient penalty on real samples.

    References:
        Goodfellow et al. 2014, arXiv:1406.2661.
    """

    zero_sum = False

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return the non-saturating loss."""
        return -logsigmoid(fake).mean()


@dataclass(frozen=True)
class Wasserstein(Objective):
    r"""The critic's :math:`E D(x) - E D(G(h))`, kept bounded by clipping or by a penalty.

    Args:
        clip: Keep every parameter of the critic within ±clip (its set becomes a box).
        penalty: :math:`\lambda` of :math:`\lambda E (\lVert\nabla D(\hat x)\rVert - 1)^2`, which
            the critic pays; :math:`\hat x` lies between a real and a fake sample, uniform per
            sample.
        r1: Weight of the gradient penalty on real samples.

    References:
        Arjovsky et al. 2017, arXiv:1701.07875; Gulrajani et al. 2017, arXiv:1704.00028.
    """

    clip: float | None = None
    penalty: float = 0.0
    r1: float = 0.0

    def __post_init__(self) -> None:
        _check_clip(self.clip)
        _check_weight("penalty", self.penalty)
        _check_weight("r1", self.r1)

    @property
    def zero_sum(self) -> bool:  # type: ignore[override]
        """With a penalty the generator does not descend the penalty's gradient."""
        return not self.penalised

    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the payoff before the penalty."""
        return real.mean() - fake.mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return the generator's part of the payoff."""
        return -fake.mean()


@dataclass(frozen=True)
class LeastSquares(Objective):
    r"""The discriminator's :math:`-\tfrac12 E (D(x) - 1)^2 - \tfrac12 E D(G(h))^2`.

    The generator descends :math:`\tfrac12 E (D(G(h)) - 1)^2`.

    References:
        Mao et al. 2017, arXiv:1611.04076.
    """

    zero_sum = False

    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the payoff."""
        return -0.5 * (real - 1).square().mean() - 0.5 * fake.square().mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return the generator's training signal."""
        return 0.5 * (fake - 1).square().mean()


@dataclass(frozen=True)
class Hinge(Objective):
    r"""The discriminator's :math:`-E (1 - D(x))_+ - E (1 + D(G(h)))_+`.

    The generator descends :math:`-E D(G(h))`.

    References:
        Lim and Ye 2017, arXiv:1705.02894.
    """

    zero_sum = False

    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the payoff."""
        return -relu(1 - real).mean() - relu(1 + fake).mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return the generator's training signal."""
        return -fake.mean()


@dataclass(frozen=True)
class LossSensitive(Objective):
    r"""A loss :math:`L = -D` that is smaller on data than on fakes by a margin, their distance.

    The discriminator descends :math:`E\, L(x) + \lambda E (\Delta(x, G(h)) + L(x) - L(G(h)))_+`,
    with :math:`\Delta` the l1 distance of samples, and the generator :math:`E\, L(G(h))`. The
    payoff is :math:`E\, L(G(h)) - E\, L(x)`. Certificates measure what each player pays, so the
    regrets are those of these two losses.

    Only differences of L are held by the margin, so the first term falls for ever as all of L does:
    keep the discriminator bounded by `clip`, as the plain name ``"loss_sensitive"`` does.

    Args:
        weight: :math:`\lambda`, at least 0.
        clip: Keep every parameter of the discriminator within ±clip.

    References:
        Qi 2017, arXiv:1701.06264.

    Example:
        >>> import torch
        >>> real, fake, apart = (torch.tensor([x]) for x in (1.0, 0.5, 2.0))
        >>> float(LossSensitive(weight=3.0).discriminator_loss(real, fake, apart))  # -1 + 3 * 1.5
        3.5
    """

    weight: float = 1.0
    clip: float | None = None

    zero_sum = False
    margins = True

    def __post_init__(self) -> None:
        _check_weight("weight", self.weight)
        _check_clip(self.clip)

    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return by how much fakes lose more than data."""
        return real.mean() - fake.mean()

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return the loss of the fakes."""
        return -fake.mean()

    def discriminator_loss(self, real: Tensor, fake: Tensor, apart: Tensor) -> Tensor:
        """Return the loss of the data, and by how much margins are missed."""
        return -real.mean() + self.weight * relu(apart + fake - real).mean()


@dataclass(frozen=True)
class GeneralizedLossSensitive(LossSensitive):
    r"""Margins alone, missed or exceeded: :math:`E\, C(\Delta(x, G(h)) + L(x) - L(G(h)))`.

    :math:`C(a) = \max(a, \nu a)`. With :math:`\nu = 0` it is the margin of `LossSensitive`; with
    :math:`\nu = 1` the critic's gradient is the Wasserstein GAN's; with :math:`\nu = -1`
    differences of L are to equal distances. Above 0 the discriminator must be kept bounded.

    Args:
        slope: :math:`\nu`, at most 1.
        clip: Keep every parameter of the discriminator within ±clip.

    References:
        Qi 2017, arXiv:1701.06264, appendix D.
    """

    weight: float = field(default=1.0, init=False, repr=False)
    slope: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not -math.inf < self.slope <= 1:
            raise InvalidInput(f"slope should be a finite number <= 1; got {self.slope!r}.")

    def discriminator_loss(self, real: Tensor, fake: Tensor, apart: Tensor) -> Tensor:
        """Return by how much margins are missed, less a share of what exceeds them."""
        missed = apart + fake - real
        return torch.maximum(missed, self.slope * missed).mean()


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

    def __post_init__(self) -> None:
        if self.phi not in ("log", "bounded_log", "identity"):
            raise UnknownName.of("measuring function", self.phi, ("log", "bounded_log", "identity"))
        if not 0 < self.delta < 1:
            raise InvalidInput(f"delta should lie in (0, 1); got {self.delta!r}.")

    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the payoff."""
        return self._phi(real).mean() + self._phi(-fake).mean()

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

    def __post_init__(self) -> None:
        if not 0 < self.weight < 1:
            raise InvalidInput(f"weight should lie in (0, 1); got {self.weight!r}.")

    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the payoff."""
        own = self.weight * logsigmoid(real).mean()
        return own + (1 - self.weight) * logsigmoid(-fake).mean()


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
        if self.kind not in F_DIVERGENCES:
            raise UnknownName.of("f-divergence", self.kind, F_DIVERGENCES)

    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the payoff."""
        activation, conjugate = F_DIVERGENCES[self.kind]
        return activation(real).mean() - conjugate(fake).mean()


F_DIVERGENCES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "kl": (lambda v: v, lambda v: (v - 1).exp()),
    "reverse_kl": (lambda v: -(-v).exp(), lambda v: v - 1),
    "pearson": (lambda v: v, lambda v: v.square() / 4 + v),
    "hellinger": (lambda v: -(-v).expm1(), torch.expm1),
    "total_variation": (lambda v: v.tanh() / 2, lambda v: v.tanh() / 2),
}
"""The activation of the output, and the conjugate of f after it."""


def _check_weight(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise InvalidInput(f"{name} should be a finite number >= 0; got {value}.")


def _check_clip(clip: float | None) -> None:
    if clip is not None and not clip > 0:
        raise InvalidInput(f"clip should be > 0; got {clip}.")


OBJECTIVES: dict[str, type[Objective]] = {
    "minimax": Minimax,
    "non_saturating": NonSaturating,
    "wasserstein": Wasserstein,
    "least_squares": LeastSquares,
    "hinge": Hinge,
    "loss_sensitive": LossSensitive,
    "generalized_loss_sensitive": GeneralizedLossSensitive,
    "bounded_log": Measured,
    "jensen_shannon": JensenShannon,
    "f_divergence": FDivergence,
}

ObjectiveLike: TypeAlias = str | Objective


def as_objective(objective: ObjectiveLike) -> Objective:
    """Return the objective for a name, or the instance itself.

    Raises:
        UnknownName: No objective has that name; the closest is named.
    """
    if isinstance(objective, Objective):
        return objective
    if objective not in OBJECTIVES:
        raise UnknownName.of("objective", str(objective), OBJECTIVES)
    if objective in ("wasserstein", "loss_sensitive"):
        # Without a bound the discriminator's best response is infinite.
        return Wasserstein(clip=0.1) if objective == "wasserstein" else LossSensitive(clip=0.1)
    return OBJECTIVES[objective]()
