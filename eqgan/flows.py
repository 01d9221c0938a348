"""Unit flows: mixed strategies over the paths of a network, however many there are.

A path player's payoff that adds up over arcs depends on a mixture of paths only through the
probability that each arc is used. Those marginals are the unit flows from source to sink: as many
numbers as there are arcs, for exponentially many paths, and the linear best response is a shortest
path.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.polytope import Array, Polytope, rowwise
from eqgan.whole import is_whole

LEAST_SHARE = 1e-9
"""Paths less likely than this are left out of a decomposition: they are rounding."""

DIGITS = 9
"""Probabilities that agree to so many digits are equal when paths are put in order."""


class FlowPolytope(Polytope):
    r"""Unit flows from a source to a sink with at most one unit on any arc.

    The vertices are the paths, where the network has cycles together with disjoint cycles, which
    only cost the player more wherever arcs cost nothing less than zero.

    Args:
        tails: Node where each arc starts, `(arcs,)` numbers from 0.
        heads: Node where it ends, `(arcs,)`.
        source: Node that the unit leaves.
        sink: Node that it reaches.

    Raises:
        InvalidInput: No path leads from source to sink, or the numbers make no network.

    Example:
        >>> flows = FlowPolytope([0, 0, 1, 2], [1, 2, 3, 3], source=0, sink=3)
        >>> flows.minimizer(torch.tensor([2.0, 1.0, 1.0, 1.0]))
        tensor([0., 1., 0., 1.])
        >>> flows.paths(torch.tensor([0.25, 0.75, 0.25, 0.75]))
        [([1, 3], 0.75), ([0, 2], 0.25)]

    References:
        Ford and Fulkerson 1962, Flows in Networks (decomposition into paths).
    """

    def __init__(self, tails: Any, heads: Any, source: int, sink: int) -> None:
        from scipy.sparse import csr_array

        self.tails, self.heads = np.asarray(tails), np.asarray(heads)
        ends = (*self.tails.flatten(), *self.heads.flatten(), source, sink)
        whole = all(is_whole(end, 0) for end in ends)
        if not whole or self.tails.ndim != 1 or self.tails.shape != self.heads.shape:
            raise InvalidInput(
                "FlowPolytope expects tails and heads as two equally long lists of node numbers "
                f"from 0; got shapes {self.tails.shape} and {self.heads.shape}."
            )
        if source == sink:
            raise InvalidInput(f"source and sink should differ; both are node {source}.")
        self.source, self.sink, self.nodes = int(source), int(sink), int(max(ends)) + 1
        if not len(self.tails) or self.shortest(np.ones(len(self.tails))) is None:
            raise InvalidInput(f"No path leads from node {source} to node {sink}.")
        arcs = np.arange(len(self.tails))
        signs = np.repeat([1.0, -1.0], len(arcs))
        places = (np.concatenate((self.tails, self.heads)), np.tile(arcs, 2))
        incidence = csr_array((signs, places), shape=(self.nodes, len(arcs)))
        supply = np.zeros(self.nodes)
        supply[source], supply[sink] = 1.0, -1.0
        super().__init__(E=incidence, f=supply, high=1.0)

    def __repr__(self) -> str:
        return f"FlowPolytope({self.nodes} nodes, {len(self.tails)} arcs)"

    def _check_extent(self) -> None:
        """Do nothing: a path is a point of the set, and every arc carries at most one unit."""

    def center(self, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return the path of fewest arcs."""
        fewest = self.minimizer(torch.ones(self.n, **options))
        return fewest.expand(*batch, self.n).contiguous()

    def sample(self, rng: torch.Generator, batch: tuple[int, ...] = (), **options: Any) -> Tensor:
        """Return random convex combinations of three paths, shortest by random lengths."""
        lengths = torch.empty((*batch, 3, self.n), **options).exponential_(generator=rng)
        weights = torch.empty((*batch, 3, 1), **options).exponential_(generator=rng)
        return (self.minimizer(lengths) * weights).sum(-2) / weights.sum(-2)

    def minimizer(self, g: Tensor) -> Tensor:
        """Return the shortest path, arcs being as long as `g` says.

        Lengths below zero are shifted without changing anything where the network has no cycle;
        where it has some, a linear program takes over.
        """
        return rowwise(self._vertex, g)

    def _vertex(self, g: Array) -> Array:
        least = min(0.0, float(g.min()))
        if least < 0 and self._levels is None:
            return super()._vertex(g)
        if least < 0:
            assert self._levels is not None
            # Every path climbs as many levels, so all of them get longer by the same.
            g = g - least * (self._levels[self.heads] - self._levels[self.tails])
        arcs = self.shortest(np.maximum(g, 0.0))
        assert arcs is not None
        path = np.zeros(self.n)
        path[arcs] = 1.0
        return path

    def shortest(self, lengths: Array) -> list[int] | None:
        """Return the arcs of a shortest path in order, by Dijkstra's method.

        Args:
            lengths: Length of each arc, `(arcs,)`, at least 0; infinite if it is closed.

        Returns:
            Numbers of the arcs; ``None`` where every path is closed.
        """
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import dijkstra

        order, starts, indices, offsets = self._rows
        least = np.minimum.reduceat(lengths[order], starts)
        network = csr_array((least, indices, offsets), shape=(self.nodes, self.nodes))
        away, before = dijkstra(network, indices=self.source, return_predecessors=True)
        if not np.isfinite(away[self.sink]):
            return None
        path, node = [], self.sink
        while node != self.source:
            parallel = self._between[int(before[node]), node]
            path.append(min(parallel, key=lambda arc: float(lengths[arc])))
            node = int(before[node])
        return path[::-1]

    def paths(self, flow: Any) -> list[tuple[list[int], float]]:
        """Return paths and probabilities that make up a flow, the most likely first.

        Flow that circles is left out: it leads nowhere.

        Args:
            flow: A unit flow, `(arcs,)`.

        Returns:
            Pairs of the arcs of a path, in order, and its probability; no more than there are arcs.
        """
        left = torch.as_tensor(flow).detach().double().cpu().numpy().copy()
        found: list[tuple[list[int], float]] = []
        while True:
            arcs = self.shortest(np.where(left > LEAST_SHARE, 1.0, np.inf))
            if arcs is None:
                # Rounding should not order what is equally likely.
                return sorted(found, key=lambda pair: (-round(pair[1], DIGITS), pair[0]))
            share = float(left[arcs].min())
            left[arcs] -= share
            found.append((arcs, share))

    @cached_property
    def _rows(self) -> tuple[Any, Any, Any, Any]:
        """The arcs in order of their ends, where each pair of ends begins, and the CSR pattern."""
        order = np.lexsort((self.heads, self.tails))
        tails, heads = self.tails[order], self.heads[order]
        first = np.append(True, (np.diff(tails) != 0) | (np.diff(heads) != 0))
        counts = np.bincount(tails[first], minlength=self.nodes)
        offsets = np.append(0, counts.cumsum())
        return order, np.flatnonzero(first), heads[first], offsets

    @cached_property
    def _between(self) -> dict[tuple[int, int], list[int]]:
        """The arcs from one node to another."""
        found: dict[tuple[int, int], list[int]] = {}
        ends = zip(self.tails.tolist(), self.heads.tolist(), strict=True)
        for arc, pair in enumerate(ends):
            found.setdefault(pair, []).append(arc)
        return found

    @cached_property
    def _levels(self) -> Array | None:
        """The length of the longest way to each node; ``None`` if the network has a cycle."""
        levels, waiting = np.zeros(self.nodes), np.bincount(self.heads, minlength=self.nodes)
        leaving: dict[int, list[int]] = {}
        for tail, head in self._between:
            leaving.setdefault(tail, []).append(head)
        ready, done = np.flatnonzero(waiting == 0).tolist(), 0
        while ready:
            tail, done = ready.pop(), done + 1
            for head in leaving.get(tail, []):
                levels[head] = max(levels[head], levels[tail] + 1)
                waiting[head] -= len(self._between[tail, head])
                if waiting[head] == 0:
                    ready.append(head)
        return levels if done == self.nodes else None
