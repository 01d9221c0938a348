"""New starts for modules: their own initialisation, through whatever computes their weights."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


@torch.no_grad()
def renew(module: nn.Module) -> None:
    """Initialise a module anew from the global generator, by its own `reset_parameters`.

    A module that defines it initialises all it contains; what it writes into a tensor that is
    computed from parameters, these take over. Parameters that no module initialises get noise of
    their own spread.

    No other module with parametrizations may run meanwhile: they would share a cache.

    Example:
        >>> from eqgan.gan import spectral_norm
        >>> layer = spectral_norm(nn.Sequential(nn.Linear(2, 3)))[0]
        >>> before = layer.weight
        >>> renew(layer)
        >>> bool((layer.weight == before).any())
        False
    """
    parts = [part for part in module.modules() if parametrize.is_parametrized(part)]
    # While it is cached, a computed tensor keeps what is written into it.
    with parametrize.cached():
        computed = [(part, name, getattr(part, name)) for part in parts for name in _chains(part)]
        before = [tensor.clone() for _, _, tensor in computed]
        _reset(module)
    for (part, name, tensor), old in zip(computed, before, strict=True):
        if not torch.equal(tensor, old):
            _assign(part, name, tensor)


def _chains(layer: nn.Module) -> Any:
    return layer.parametrizations


def _assign(layer: nn.Module, name: str, value: Tensor) -> None:
    """Let the parameters that a tensor is computed from give it a value, or scatter them."""
    chain = _chains(layer)[name]
    before = copy.deepcopy(chain.state_dict())
    # Some parametrizations take no values, and some keep them in buffers, which no profile holds.
    try:
        setattr(layer, name, value)
    except (NotImplementedError, ValueError):
        taken = False
    else:
        taken = all(torch.equal(buffer, before[n]) for n, buffer in chain.named_buffers())
    if not taken:
        chain.load_state_dict(before)
        _scatter(chain.parameters())


def _reset(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
    if callable(reset):
        reset()
    else:
        _scatter(module.parameters(recurse=False))
        for child in module.children():
            _reset(child)


def _scatter(parameters: Iterable[nn.Parameter]) -> None:
    for parameter in parameters:
        spread = parameter.std(correction=0)
        parameter.add_(torch.where(spread > 0, spread, 0.1) * torch.randn_like(parameter))
