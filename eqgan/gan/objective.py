"""What an objective of a GAN is: a payoff, and what each player is trained on."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from eqgan.errors import InvalidInput


class Objective(ABC):
    r"""A pair of payoff and training signal.

    Outputs come as `(*batch, n)`, one number a sample; every mean runs over the last dimension, so
    that one call serves all pairs of a mixture.

    Attributes:
        zero_sum: Whether the generator is trained on the payoff itself.
        clip: The discriminator's parameters are kept within ±clip; ``None`` for no bound.
        penalty: Weight of the gradient penalty between real and fake samples that the
            discriminator pays; 0 for none.
        r1: Weight :math:`\gamma` of the penalty :math:`\tfrac{\gamma}{2} E \lVert\nabla D(x)
            \rVert^2` on real samples that the discriminator pays; 0 for none.
        margins: Whether `discriminator_loss` asks how far real and fake samples lie apart.
        squashes: Whether outputs go through a sigmoid here, so that the discriminator has none.
    """

    zero_sum: bool = True
    clip: float | None = None
    penalty: float = 0.0
    r1: float = 0.0
    margins: bool = False
    squashes: bool = False

    @property
    def penalised(self) -> bool:
        """Whether the discriminator pays more than the payoff takes from it."""
        return self.penalty > 0 or self.r1 > 0 or self.margins

    @abstractmethod
    def payoff(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what the discriminator receives, `(*batch)`."""

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return what the generator's steps descend, `(*batch)`."""
        raise NotImplementedError

    def discriminator_loss(self, real: Tensor, fake: Tensor, apart: Tensor) -> Tensor:
        """Return what the discriminator's steps descend where `margins` is set.

        Args:
            real: Its outputs on data, `(*batch, n)`.
            fake: Its outputs on generated samples, `(*batch, n)`.
            apart: The l1 distance of each real sample from the fake one beside it, `(*batch, n)`.

        Returns:
            Shape `(*batch)`.
        """
        raise NotImplementedError


def check_outputs(objective: Objective, discriminator: nn.Module) -> None:
    """Raise `InvalidInput` if a discriminator's last layer does what the objective does again."""
    last = discriminator
    # A Sequential, or a module of the user's around one.
    while parts := [*last.children()]:
        if not isinstance(last, nn.Sequential) and (len(parts) > 1 or last._parameters):
            break
        last = parts[-1]
    if objective.squashes and isinstance(last, nn.Sigmoid):
        raise InvalidInput(
            f"The discriminator ends in a Sigmoid, and {type(objective).__name__} takes the "
            "sigmoid of its outputs itself; leave that layer out."
        )
