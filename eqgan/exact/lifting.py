r"""Integer linear systems solved in rational numbers: Dixon's p-adic lifting.

Elimination modulo one prime finds a nonsingular block and its inverse; every further digit of the
solution to that base then costs two matrix-vector products. Elimination in integers, whose entries
grow with every pivot, is nowhere needed.

References:
    Dixon 1982, Exact solution of linear equations using p-adic expansions.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from eqgan import deadline

Integers: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""An array of integers: Python's, of any length (dtype object), or int64."""

PRIMES = (67108859, 67108837, 67108819)
"""Just below 2^26, so that 2048 products of two residues add up within 63 bits."""

LARGEST = 2048
"""Equations that these primes allow for."""


def nonsingular_block(matrix: Integers, prime: int = PRIMES[0]) -> tuple[list[int], list[int]]:
    """Return rows and columns of a largest nonsingular square block, the first ones where possible.

    The rows are the lexicographically first basis of the row space, the columns that of the column
    space; such bases always meet in a nonsingular block. What is nonsingular modulo a prime is so
    over the rationals; the converse fails for one unlucky prime in millions.

    Args:
        matrix: Shape `(m, n)`.
        prime: The modulus, one of `PRIMES`.

    Example:
        >>> nonsingular_block(np.array([[1, 2, 3], [2, 4, 6], [0, 0, 5]]))
        ([0, 2], [0, 2])
    """
    left = (matrix % prime).astype(np.int64)
    rows, columns = [], []
    for i, row in enumerate(left):
        deadline.check()
        nonzero = np.flatnonzero(row)
        if not len(nonzero):
            continue
        j = int(nonzero[0])
        rows.append(i)
        columns.append(j)
        factors = left[i + 1 :, j] * pow(int(row[j]), -1, prime) % prime
        left[i + 1 :] = (left[i + 1 :] - np.outer(factors, row)) % prime
    return rows, sorted(columns)


def inverse_modulo(matrix: Integers, prime: int = PRIMES[0]) -> Integers:
    """Return the inverse of a square matrix modulo a prime, by Gauss-Jordan elimination.

    Args:
        matrix: Shape `(k, k)`, nonsingular modulo `prime`.
        prime: The modulus, one of `PRIMES`.

    Example:
        >>> inverse_modulo(np.array([[2, 1], [1, 1]])) - PRIMES[0] * np.eye(2)[::-1]
        array([[ 1., -1.],
               [-1.,  2.]])
    """
    k = len(matrix)
    system = np.hstack(((matrix % prime).astype(np.int64), np.eye(k, dtype=np.int64)))
    for i in range(k):
        deadline.check()
        pivot = i + int(np.flatnonzero(system[i:, i])[0])
        system[[i, pivot]] = system[[pivot, i]]
        system[i] = system[i] * pow(int(system[i, i]), -1, prime) % prime
        factors = system[:, i].copy()
        factors[i] = 0
        system = (system - np.outer(factors, system[i])) % prime
    return system[:, k:]


def solve_integers(
    matrix: Integers, right: Integers, inverse: Integers, prime: int = PRIMES[0]
) -> Integers:
    r"""Return integers `u` and one more, their common denominator, with :math:`M u = d\,b`.

    With C the inverse of M modulo p, the digits of :math:`M^{-1} b` to base p are
    :math:`x_i = C r_i \bmod p`, where :math:`r_0 = b` and :math:`r_{i+1} = (r_i - M x_i) / p`.
    From ever more digits rational numbers are reconstructed until they satisfy the equations.

    Args:
        matrix: M, `(k, k)`.
        right: b, `(k,)`.
        inverse: C, `(k, k)`, as `inverse_modulo` gives it.
        prime: p.

    Returns:
        The numerators and then the denominator, positive, `(k + 1,)`, of dtype object.

    Example:
        >>> m = np.array([[3, 0], [1, 2]])
        >>> solve_integers(m, np.array([1, 1]), inverse_modulo(m))
        array([1, 1, 3], dtype=object)
    """
    exact, right = matrix.astype(object), right.astype(object)
    largest = max(abs(exact).max(), abs(right).max())
    fast = exact.astype(np.int64) if largest * prime * (len(exact) + 1) < 2**62 else exact
    residual = right.astype(fast.dtype)
    solution, power, digits, wanted = 0 * right, 1, 0, 4
    while True:
        deadline.check()
        digit = inverse @ (residual % prime).astype(np.int64) % prime
        residual = (residual - fast @ digit.astype(fast.dtype)) // prime
        solution = solution + power * digit.astype(object)
        power, digits = power * prime, digits + 1
        if digits == wanted:
            found = _reconstructed(solution, power)
            if found is not None and bool((exact @ found[:-1] == found[-1] * right).all()):
                return found
            wanted += 1 + wanted // 2


def null_space(matrix: Integers) -> Integers:
    """Return an integer basis of the vectors that a matrix takes to zero, as columns.

    Each basis vector has a positive entry at a place of its own, where the others have zeros.

    Args:
        matrix: Shape `(m, n)`.

    Returns:
        Shape `(n, q)`, dtype object.

    Example:
        >>> null_space(np.array([[1, 2, 0], [0, 0, 0]]))
        array([[-2, 0],
               [1, 0],
               [0, 1]], dtype=object)
    """
    n = matrix.shape[1]
    for prime in PRIMES:
        rows, pivots = nonsingular_block(matrix, prime)
        free = [j for j in range(n) if j not in pivots]
        basis = np.zeros((n, len(free)), dtype=object)
        block = matrix[np.ix_(rows, pivots)]
        inverse = inverse_modulo(block, prime)
        for k, j in enumerate(free):
            basis[j, k] = 1
            if rows:
                basis[[*pivots, j], k] = solve_integers(block, -matrix[rows, j], inverse, prime)
        if bool((matrix @ basis == 0).all()):
            return basis
    raise AssertionError("three primes in a row divide a minor of the matrix")


def _reconstructed(residues: Integers, modulus: int) -> Integers | None:
    """Return numerators and a common denominator of small fractions with these residues."""
    bound = math.isqrt(modulus // 2)
    denominator = 1
    for residue in residues:
        # Most entries share the denominators found before them.
        denominator *= _denominator(residue * denominator % modulus, modulus, bound)
        if denominator > bound:
            return None
    numerators = residues * denominator % modulus
    numerators = np.where(numerators > modulus // 2, numerators - modulus, numerators)
    return np.append(numerators, denominator)


def _denominator(residue: int, modulus: int, bound: int) -> int:
    """Return the denominator of the fraction with this residue whose numerator is at most `bound`.

    Euclid's algorithm meets it: each of its remainders is the residue times a cofactor.
    """
    if min(residue, modulus - residue) <= bound:
        return 1
    above, below, s, t = modulus, residue, 0, 1
    while below > bound:
        quotient = above // below
        above, below, s, t = below, above - quotient * below, t, s - quotient * t
    return abs(t)
