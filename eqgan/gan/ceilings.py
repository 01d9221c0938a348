r"""What no discriminator of a class receives more than, on given real and generated samples.

Each is a supremum over a class of functions in closed form: exact where the class is what can play,
and a proved ceiling for any network that lies in the class.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.gan.objectives import (
    Hinge,
    JensenShannon,
    LeastSquares,
    Measured,
    Minimax,
    NonSaturating,
    Objective,
    Wasserstein,
)


def all_functions(objective: Objective, real: Tensor, fake: Tensor) -> Tensor:
    r"""Return the most that any function of a sample receives, on samples of finite support.

    With p and q the shares of real and of generated samples at a point, the logarithmic payoff is
    largest at :math:`D = p / (p + q)`, and the sum of its parts is :math:`2\,\mathrm{JS}(p, q) -
    2 \log 2`: -2 log 2 where both samples are the same, 0 where they share no point.

    Args:
        objective: Minimax, non-saturating, measured, weighted Jensen-Shannon, least squares or
            hinge; others are unbounded or have no closed form here.
        real: Data, `(n, *data)`.
        fake: Generated samples, `(m, *data)`.

    Returns:
        A 0-dimensional tensor, float64.

    Raises:
        UnsupportedGame: Another objective.

    References:
        Goodfellow et al. 2014, arXiv:1406.2661, proposition 1; Arora et al. 2017, arXiv:1703.00573.

    Example:
        >>> points = torch.tensor([[0.0], [1.0]])
        >>> real, fake = points[[0, 1, 1, 1, 1]], points[[0, 0, 0, 1, 1]]
        >>> round(float(all_functions(Minimax(), real, fake)), 7)  # p = (.2, .8), q = (.6, .4)
        -1.2136851
    """
    best = _pointwise(objective)
    if best is None:
        raise UnsupportedGame(
            f"No closed form of the best function is known for {type(objective).__name__}; it is "
            "for Minimax, NonSaturating, Measured, JensenShannon, LeastSquares and Hinge."
        )
    _, place = torch.unique(torch.cat((real, fake)), dim=0, return_inverse=True)
    count = int(place.max()) + 1
    p, q = (
        torch.bincount(side, minlength=count).double() / len(side)
        for side in (place[: len(real)], place[len(real) :])
    )
    return best(p, q).sum()


def _pointwise(objective: Objective) -> Callable[[Tensor, Tensor], Tensor] | None:
    # A subclass may have another payoff, of which nothing is known.
    if type(objective) in (Minimax, NonSaturating):
        return _log
    if type(objective) is JensenShannon:
        weight = objective.weight
        return lambda p, q: _log(weight * p, (1 - weight) * q)
    if type(objective) is Measured:
        if objective.phi == "log":
            return _log
        if objective.phi == "identity":
            return torch.maximum
        delta = objective.delta
        return lambda p, q: _bounded_log(p, q, delta)
    if type(objective) is LeastSquares:
        return lambda p, q: -p * q / (2 * (p + q))
    if type(objective) is Hinge:
        return lambda p, q: -2 * torch.minimum(p, q)
    return None


def _log(p: Tensor, q: Tensor) -> Tensor:
    return torch.xlogy(p, p / (p + q)) + torch.xlogy(q, q / (p + q))


def _bounded_log(p: Tensor, q: Tensor, delta: float) -> Tensor:
    # The arguments of both logarithms lie in [delta, 1] and sum to 1 + delta.
    first = ((1 + delta) * p / (p + q)).clamp(delta, 1)
    return torch.xlogy(p, first) + torch.xlogy(q, 1 + delta - first)


PAIRS: dict[type[Objective], Callable[[Tensor], Tensor]] = {
    Wasserstein: lambda rise: rise,
    Minimax: lambda rise: 2 * logsigmoid(rise / 2),
    NonSaturating: lambda rise: 2 * logsigmoid(rise / 2),
    Hinge: lambda rise: -relu(2 - rise),
    LeastSquares: lambda rise: -relu(1 - rise).square() / 4,
}
"""The most that a real and a generated sample pay together if outputs differ by so much at most."""


def lipschitz(objective: Objective, real: Tensor, fake: Tensor, constant: float) -> Tensor:
    r"""Return what no function of Lipschitz constant L receives more than.

    For any pairing of the samples the payoff is a mean over pairs, and a pair at distance d pays at
    most what outputs may that differ by L d. The pairing with the least sum is found exactly. For
    the Wasserstein payoff this *is* the supremum, L times the Wasserstein-1 distance; for the
    others it is a bound.

    Args:
        objective: Wasserstein, minimax, non-saturating, hinge or least squares.
        real: Data, `(n, *data)`.
        fake: Generated samples, as many.
        constant: L, with Euclidean distances between samples.

    Returns:
        A 0-dimensional tensor, float64.

    Raises:
        UnsupportedGame: Another objective.
        InvalidInput: Samples that are not as many.

    References:
        Kantorovich and Rubinstein 1958; Arjovsky et al. 2017, arXiv:1701.07875.

    Example:
        >>> real, fake = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [0.0]])
        >>> float(lipschitz(Wasserstein(), real, fake, constant=2.0))  # 2 (0 + 2) / 2
        2.0
    """
    pays = PAIRS.get(type(objective))
    if pays is None:
        raise UnsupportedGame(
            f"No bound on {type(objective).__name__} over Lipschitz functions is known here; there "
            f"is one for {', '.join(kind.__name__ for kind in PAIRS)}."
        )
    from scipy.optimize import linear_sum_assignment

    a, b = (s.detach().double().flatten(1) for s in (real, fake))
    if a.shape != b.shape:
        raise InvalidInput(
            "Lipschitz functions are bounded by pairing as many real as generated samples; got "
            f"{tuple(a.shape)} and {tuple(b.shape)}."
        )
    if a.shape[1] == 1 and type(objective) is Wasserstein:
        return pays(constant * (a.flatten().sort()[0] - b.flatten().sort()[0]).abs()).mean()
    paid = pays(constant * torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist"))
    rows, columns = linear_sum_assignment(paid.cpu().numpy())
    return paid[torch.as_tensor(rows), torch.as_tensor(columns)].mean()


def unit_linear(real: Tensor, fake: Tensor) -> Tensor:
    r"""Return the supremum of :math:`v \cdot (E x - E\,G(h))` over :math:`\lVert v\rVert_2 \le 1`.

    It is the norm of the difference of the means, reached at its direction.

    Example:
        >>> float(unit_linear(torch.tensor([[3.0, 4.0]]), torch.zeros(2, 2)))
        5.0
    """
    difference = real.double().flatten(1).mean(0) - fake.double().flatten(1).mean(0)
    norm: Tensor = torch.linalg.vector_norm(difference)
    return norm


def unit_kernel(real: Tensor, fake: Tensor, kernel: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    r"""Return the supremum of :math:`E f(x) - E f(G(h))` over the unit ball of a kernel's space.

    It is the maximum mean discrepancy :math:`\lVert E k(x, \cdot) - E k(G(h), \cdot)\rVert`, with
    every pair counted, a sample with itself too.

    Args:
        real: Data, `(n, *data)`.
        fake: Generated samples, `(m, *data)`.
        kernel: A positive definite kernel of `(n, d)` and `(m, d)` to `(n, m)`.

    References:
        Gretton et al. 2012, JMLR 13, lemma 4.

    Example:
        >>> linear = lambda a, b: a @ b.mT
        >>> float(unit_kernel(torch.tensor([[3.0, 4.0]]), torch.zeros(2, 2), linear))
        5.0
    """
    a, b = real.double().flatten(1), fake.double().flatten(1)
    square = kernel(a, a).mean() + kernel(b, b).mean() - 2 * kernel(a, b).mean()
    return square.clamp_min(0).sqrt()
