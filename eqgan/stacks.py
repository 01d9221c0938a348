"""Every strategy of a stack, or every pair of two: at once where torch can, else one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap


def over_stack(f: Callable[[Any], Any], xs: Any) -> Any:
    """Return ``f(x)`` for every x of a stack.

    Args:
        f: Returns a tensor, or a tuple of them.
        xs: `(K, ...)`, or a mapping of names to such.

    Returns:
        What f returns, each tensor with `(K,)` in front.

    Example:
        >>> over_stack(lambda x: x if x > 6 else -x, torch.tensor([5, 7]))
        tensor([-5,  7])
    """
    try:
        return vmap(f)(xs)
    except RuntimeError:
        # What branches on values, and layers that torch has no rule for, are asked one by one.
        return _stacked([f(x) for x in _rows(xs)])


def over_pairs(f: Callable[[Any, Any], Any], xs: Any, ys: Any) -> Any:
    """Return ``f(x, y)`` for every x of one stack and every y of another.

    Args:
        f: Returns a tensor, or a tuple of them.
        xs: `(K, ...)`, or a mapping of names to such.
        ys: `(L, ...)`, or a mapping of names to such.

    Returns:
        What f returns, each tensor with `(K, L)` in front.

    Example:
        >>> over_pairs(lambda x, y: x - y, torch.tensor([5, 7]), torch.tensor([1, 2, 3]))
        tensor([[4, 3, 2],
                [6, 5, 4]])
        >>> over_pairs(lambda x, y: x if x > y else y, torch.tensor([5, 7]), torch.tensor([6]))
        tensor([[6],
                [7]])
    """
    try:
        return vmap(vmap(f, (None, 0)), (0, None))(xs, ys)
    except RuntimeError:
        return _stacked([_stacked([f(x, y) for y in _rows(ys)]) for x in _rows(xs)])


def _rows(stack: Any) -> list[Any]:
    if isinstance(stack, Mapping):
        return [dict(zip(stack, row, strict=True)) for row in zip(*stack.values(), strict=True)]
    return list(stack)


def _stacked(found: list[Any]) -> Any:
    if isinstance(found[0], Tensor):
        return torch.stack(found)
    return tuple(torch.stack(part) for part in zip(*found, strict=True))
