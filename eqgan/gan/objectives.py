r"""What GAN players want: objectives as functions of the discriminator's outputs.

The discriminator gives one number a sample, without a final sigmoid: `real` on data, `fake` on
generated samples, both `(*batch, n)`. `payoff` is what the discriminator receives, and what
certificates measure; `generator_loss` is the training signal of the generator, which some
objectives choose differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from eqgan.errors import InvalidInput, UnknownName
from eqgan.gan.divergences import FDivergence, JensenShannon, Measured
from eqgan.gan.loss_sensitive import GeneralizedLossSensitive, LossSensitive
from eqgan.gan.objective import Objective
from eqgan.real import as_real

__all__ = [
    "OBJECTIVES",
    "FDivergence",
    "GeneralizedLossSensitive",
    "Hinge",
    "JensenShannon",
    "LeastSquares",
    "LossSensitive",
    "Measured",
    "Minimax",
    "NonSaturating",
    "Objective",
    "ObjectiveLike",
    "Wasserstein",
    "as_objective",
]


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

    squashes = True

    def __post_init__(self) -> None:
        as_real("r1", self.r1, "[0, inf)")

    @property
    def zero_sum(self) -> bool:  # type: ignore[override]
        """With a penalty the generator does not descend the penalty's gradient."""
        return not self.penalised

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return the generator's part of the payoff."""
        return logsigmoid(-fake).mean(-1)

    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the payoff."""
        return logsigmoid(real).mean(-1) + logsigmoid(-fake).mean(-1)


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
        return -logsigmoid(fake).mean(-1)


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
        if self.clip is not None:
            as_real("clip", self.clip, "(0, inf)")
        as_real("penalty", self.penalty, "[0, inf)")
        as_real("r1", self.r1, "[0, inf)")

    @property
    def zero_sum(self) -> bool:  # type: ignore[override]
        """With a penalty the generator does not descend the penalty's gradient."""
        return not self.penalised

    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the payoff before the penalty."""
        return real.mean(-1) - fake.mean(-1)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return the generator's part of the payoff."""
        return -fake.mean(-1)


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
        return -0.5 * (real - 1).square().mean(-1) - 0.5 * fake.square().mean(-1)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return the generator's training signal."""
        return 0.5 * (fake - 1).square().mean(-1)


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
        return -relu(1 - real).mean(-1) - relu(1 + fake).mean(-1)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return the generator's training signal."""
        return -fake.mean(-1)


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
        InvalidInput: Neither a name nor an instance.
    """
    if isinstance(objective, Objective):
        return objective
    if not isinstance(objective, str):
        raise InvalidInput(
            "objective should be a name, or an instance such as eqgan.gan.objectives.Hinge(); got "
            f"{objective!r}."
        )
    if objective not in OBJECTIVES:
        raise UnknownName.of("objective", objective, OBJECTIVES)
    if objective in ("wasserstein", "loss_sensitive"):
        # Without a bound the discriminator's best response is infinite.
        return Wasserstein(clip=0.1) if objective == "wasserstein" else LossSensitive(clip=0.1)
    return OBJECTIVES[objective]()
