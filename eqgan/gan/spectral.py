r"""Spectral norm without hidden state: the same weights always make the same network.

The usual layer keeps the singular vectors of its last call and improves them by one power
iteration in each. A player here is a function of its parameters and of nothing else, so the norm
starts afresh in every call: it squares the Gram matrix `SQUARINGS` times, which is :math:`2^{12}`
power iterations.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from eqgan.errors import InvalidInput

SQUARINGS = 12
"""A multiple of 3. Of n values the largest is at most the share log(n) / 2^13 too small."""

NORMED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def spectral_norm(module: nn.Module) -> nn.Module:
    r"""Return a copy of a network whose weights are divided by their spectral norm.

    Every linear and convolutional layer plays :math:`W / \sigma(W)`, with :math:`\sigma` the
    largest singular value. With activations of slope at most 1 a network of linear layers is then
    1-Lipschitz: a critic for `Wasserstein()` without clipping or penalty.

    A convolution's kernel is taken as a matrix, outputs by all the rest, as is usual. Its norm is
    *not* the norm of the convolution, which can be larger (by at most the root of the number of
    taps): such a network is Lipschitz, but not with constant 1.

    It works in mixtures and under solvers that differentiate twice. Once an evaluation it
    multiplies square matrices, of the smaller side of each weight, twelve times: next to
    convolutions that is a twentieth to a tenth of a step, but it outweighs small linear layers,
    and on a CPU wide ones (beyond 256).

    Args:
        module: Any network; it is not changed.

    Raises:
        InvalidInput: No such layer, or one whose weight is parametrised already.

    References:
        Miyato et al. 2018, arXiv:1802.05957.

    Example:
        >>> from eqgan.gan.networks import mlp
        >>> critic = spectral_norm(mlp([2, 64, 64, 1]))
        >>> round(float(torch.linalg.matrix_norm(critic[2].weight.detach(), 2)), 3)
        1.0
    """
    if not isinstance(module, nn.Module):
        raise InvalidInput(f"spectral_norm expects a torch.nn.Module; got {type(module).__name__}.")
    normed = copy.deepcopy(module)
    layers = [
        (n, part) for n, part in normed.named_modules() if isinstance(part, NORMED + TRANSPOSED)
    ]
    if not layers:
        raise InvalidInput(
            "spectral_norm divides the weights of linear and convolutional layers; "
            f"{type(module).__name__} has none."
        )
    for name, layer in layers:
        if parametrize.is_parametrized(layer, "weight") or "weight" not in layer._parameters:
            raise InvalidInput(
                f"The weight of {name or type(layer).__name__} is computed from others already; "
                "give spectral_norm the network before any other parametrization."
            )
        outputs = 1 if isinstance(layer, TRANSPOSED) else 0
        parametrize.register_parametrization(layer, "weight", _Divided(outputs))
    return normed


def largest_norm(layer: nn.Linear) -> float | None:
    """Return what the norm of a layer's matrix is at most, whatever its parameters.

    ``None`` unless `spectral_norm` divides it. The norm by which it is divided is found too small
    by the share that `SQUARINGS` leaves, so that this is a little more than 1.
    """
    if not parametrize.is_parametrized(layer, "weight"):
        return None
    chain: Any = layer.parametrizations
    if [type(part) for part in chain["weight"]] != [_Divided]:
        return None
    smaller = min(layer.in_features, layer.out_features)
    return float(smaller ** (2.0 ** -(SQUARINGS + 1))) * (1 + 1e-9)


class _Divided(nn.Module):
    """Divides a weight by its spectral norm."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight.movedim(self.outputs, 0).flatten(1)
        # A weight of zeros stays what it is.
        return weight / (largest_singular_value(matrix) + torch.finfo(weight.dtype).tiny)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Take a weight as it comes: it is divided when it is used."""
        return weight


def largest_singular_value(matrix: Tensor) -> Tensor:
    """Return the largest singular value of `(m, n)`, differentiable any number of times.

    Example:
        >>> float(largest_singular_value(torch.diag(torch.tensor([3.0, -4.0]))))
        4.0
    """
    wide = matrix.shape[0] < matrix.shape[1]
    gram = matrix @ matrix.mT if wide else matrix.mT @ matrix
    value, _ = _TopEigenpair.apply(gram)  # type: ignore[no-untyped-call]
    root: Tensor = value.clamp_min(torch.finfo(value.dtype).tiny).sqrt()
    return root


class _TopEigenpair(torch.autograd.Function):
    r"""The largest eigenvalue of a symmetric positive matrix, and its eigenvector.

    Derivatives come from :math:`d\lambda = q^T dS\, q` and :math:`dq = (\lambda I - S)^+ dS\, q`,
    not from the iteration: they are exact at every order, and a first one costs an outer product.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(gram: Tensor) -> tuple[Tensor, Tensor]:
        tiny = torch.finfo(gram.dtype).tiny
        power = gram
        for _ in range(SQUARINGS // 3):
            # With trace 1 the largest eigenvalue is at least 1/n: its eighth power is no zero yet.
            power = torch.linalg.matrix_power(power / (power.diagonal().sum() + tiny), 8)
        # Near the projection onto q, each column is a multiple of it; the largest is the surest.
        largest, column = power.diagonal().max(0)
        # Scaled first, since the squares in the norm of so small a vector would be zero.
        vector = power.index_select(1, column.reshape(1)).squeeze(1) / (largest + tiny)
        vector = vector / (vector.norm() + tiny)
        return vector @ gram @ vector, vector

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs, *output)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, by_value: Tensor | None, by_vector: Tensor | None) -> Tensor:
        gram, value, vector = ctx.saved_tensors
        found = torch.zeros_like(gram)
        if by_value is not None:
            found = found + by_value * torch.outer(vector, vector)
        if by_vector is not None:
            across = by_vector - vector * (vector @ by_vector)
            rest = value * torch.eye(len(gram), dtype=gram.dtype, device=gram.device) - gram
            solved = torch.linalg.solve(rest + value * torch.outer(vector, vector), across)
            turned = torch.outer(solved, vector)
            found = found + (turned + turned.mT) / 2
        return found
