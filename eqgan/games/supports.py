"""From supports to strategies: what makes the rival indifferent on them.

Nothing is proved here: measure the gap of what comes out.
"""

from __future__ import annotations

import scipy.linalg
import torch
from torch import Tensor


def vertex(
    payoffs: Tensor, rows: Tensor, columns: Tensor, *near: Tensor
) -> tuple[Tensor, Tensor] | None:
    r"""Return the strategies that the indifference equations have on supports of equal size.

    .. math:: A_{RC}\, y_C = v \mathbf 1, \quad A_{RC}^\top x_R = v \mathbf 1,
        \quad \textstyle\sum y_C = \sum x_R = 1

    One factorisation serves both; it needs a block that is not singular and a value that is not
    zero, so shift the payoffs first.

    Args:
        payoffs: One game, `(m, n)`, float64.
        rows: Which rows the row player may use, `(m,)` booleans.
        columns: Which columns the column player may use, `(n,)` booleans.
        *near: Ignored, so that it can be called as `nearest` is.

    Returns:
        The strategies `(m,)` and `(n,)`, or ``None`` where the block is not square, or singular, or
        asks for negative probabilities.

    Example:
        >>> a = torch.tensor([[3.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
        >>> both = torch.tensor([True, True])
        >>> x, y = vertex(a, both, both)
        >>> [round(p, 12) for p in x.tolist()]
        [0.25, 0.75]
    """
    places = rows.nonzero().squeeze(-1), columns.nonzero().squeeze(-1)
    if len(places[0]) != len(places[1]) or not len(places[0]):
        return None
    block = payoffs[places[0][:, None], places[1]]
    factors, pivots, singular = torch.linalg.lu_factor_ex(block)
    if int(singular):
        return None
    ones = block.new_ones(len(block), 1)
    found = []
    for side, adjoint in ((0, True), (1, False)):
        weights = torch.linalg.lu_solve(factors, pivots, ones, adjoint=adjoint).squeeze(-1)
        total = weights.sum()
        if not bool((weights * total.sign() >= 0).all() & torch.isfinite(total) & (total != 0)):
            return None
        found.append(_spread(weights / total, places[side], payoffs.shape[side]))
    return found[0], found[1]


def nearest(
    payoffs: Tensor, rows: Tensor, columns: Tensor, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor] | None:
    r"""Return the strategies on the supports that fulfil the indifference equations, near `(x, y)`.

    Takes the smallest relative change, :math:`\min \lVert p \rVert` for :math:`y_C (1 + p)` of
    the column player, in least squares: where many strategies are optimal, an interior point of
    their set stays one. Probabilities that become negative are dropped.

    Args:
        payoffs: One game, `(m, n)`, float64.
        rows: Which rows the row player may use, `(m,)` booleans.
        columns: Which columns the column player may use, `(n,)` booleans.
        x: Strategy of the row player, `(m,)`.
        y: Strategy of the column player, `(n,)`.

    Returns:
        The strategies, or ``None`` where a support is empty or holds no probability.

    Example:
        >>> a = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
        >>> every = torch.tensor([True, True, True])
        >>> guess = torch.tensor([0.3, 0.1, 0.6], dtype=torch.float64)
        >>> _, y = nearest(a, every[:2], every, torch.tensor([0.5, 0.5]).double(), guess)
        >>> [round(p, 3) for p in y.tolist()]
        [0.39, 0.11, 0.5]
    """
    places = rows.nonzero().squeeze(-1), columns.nonzero().squeeze(-1)
    if not (len(places[0]) and len(places[1])):
        return None
    block = payoffs[places[0][:, None], places[1]]
    found = []
    for side, matrix, start in ((0, block.mT, x), (1, block, y)):
        weights = _equalizer(matrix, start[places[side]])
        if not bool(torch.isfinite(weights).all()):
            return None
        found.append(_spread(weights, places[side], payoffs.shape[side]))
    return found[0], found[1]


def _equalizer(block: Tensor, start: Tensor) -> Tensor:
    """Return weights near `start` that bring all rows of `block` to one value."""
    k, n = block.shape
    system = block.new_zeros(k + 1, n + 1)
    system[:k, :n], system[:k, n], system[k, :n] = block * start, -1.0, start
    reached = block @ start
    right = torch.cat((reached.mean() - reached, 1 - start.sum(0, keepdim=True))).unsqueeze(-1)
    # Degenerate games have dependent rows: the driver must reveal the rank. That of torch reads
    # memory that it never set (its pivots), and gives other answers to the same question.
    solution = scipy.linalg.lstsq(
        system.cpu().numpy(), right.cpu().numpy(), lapack_driver="gelsy", check_finite=False
    )[0]
    change = torch.as_tensor(solution[:n, 0], device=start.device)
    weights: Tensor = (start * (1 + change)).clamp_min(0)
    return weights / weights.sum()


def _spread(weights: Tensor, places: Tensor, length: int) -> Tensor:
    return weights.new_zeros(length).scatter(0, places, weights)
