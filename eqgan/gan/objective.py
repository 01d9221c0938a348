"""What an objective of a GAN is: a payoff, and what each player is trained on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
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


def check_outputs(
    objective: Objective, discriminator: nn.Module, evaluate: Callable[[], Tensor]
) -> None:
    """Raise `InvalidInput` if a discriminator's last layer does what the objective does again.

    Args:
        objective: What its outputs go to.
        discriminator: The module, whose layers are listened to.
        evaluate: Runs it; what it returns decides, for users may go on from the last layer.
    """
    heard: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda *call: heard.append(call[-1]))
        for layer in discriminator.modules()
        if objective.squashes and isinstance(layer, nn.Sigmoid)
    ]
    try:
        scores = evaluate().flatten()
    finally:
        for hook in hooks:
            hook.remove()
    if any(torch.equal(output.flatten().to(scores.dtype), scores) for output in heard):
        raise InvalidInput(
            f"The discriminator ends in a Sigmoid, and {type(objective).__name__} takes the "
            "sigmoid of its outputs itself; leave that layer out."
        )
