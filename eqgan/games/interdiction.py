"""Network interdiction: one player watches places, the other must get past them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.flows import DIGITS, LEAST_SHARE, FlowPolytope
from eqgan.games.constrained import BilinearGame
from eqgan.hypersimplex import Hypersimplex
from eqgan.real import is_real
from eqgan.spaces import Simplex
from eqgan.whole import is_whole


@dataclass(frozen=True)
class Route:
    """A path that the evader takes, and how often.

    Attributes:
        nodes: The nodes along it, from source to target.
        edges: The edges along it as the graph names them: `(u, v)`, or `(u, v, key)`.
        probability: The probability of this path.
    """

    nodes: tuple[Hashable, ...]
    edges: tuple[tuple[Hashable, ...], ...]
    probability: float


class PathInterdiction(BilinearGame):
    r"""An interdictor watches edges of a graph, an evader chooses a path from source to target.

    The interdictor receives the probability that the evader is detected,
    :math:`\sum_e d_e x_e y_e`: x_e is the probability that edge e is watched, y_e that the path
    uses it, d_e the probability that somebody who passes a watched edge is seen. With several
    sensors it receives the expected number of detections. The value with one sensor is one over
    the largest flow from source to target if edge e has capacity :math:`1/d_e`.

    Both strategies are marginals: `(places,)` for the interdictor and `(arcs,)` for the evader, a
    unit flow, so that grids with more paths than atoms in the universe are small games. `watches`
    and `paths` tell what they mean. An undirected edge is two arcs.

    Args:
        graph: A networkx graph, directed or not, with or without parallel edges; copied.
        source: Node where the evader starts.
        target: Node that it wants to reach.
        sensors: How many places the interdictor watches, all of them different.
        watch: ``"edges"``, or ``"nodes"``: all but source and target, seen on entering.
        detection: Name of the edges' (nodes') attribute that holds d_e; 1 where it is missing.
        name: What the game is called in tables.

    Raises:
        InvalidInput: No graph, unknown nodes, no path, or detections that are no probabilities.

    References:
        Washburn and Wood 1995, Two-person zero-sum games for network interdiction.

    Example:
        >>> import eqgan, networkx
        >>> graph = networkx.Graph([("s", "a"), ("s", "b"), ("a", "t"), ("b", "t"), ("b", "c")])
        >>> game = PathInterdiction(graph, "s", "t")
        >>> run = eqgan.solve(game, "double_oracle", tol=1e-9)
        >>> round(run.value, 9)  # two paths share no edge
        0.5
        >>> [(route.nodes, round(route.probability, 9)) for route in game.paths(run.profile[1])]
        [(('s', 'a', 't'), 0.5), (('s', 'b', 't'), 0.5)]

    Attributes:
        places: What the interdictor's entries stand for: the edges, or the nodes.
        arcs: What the evader's entries stand for: pairs of nodes.
        edge_of_arc: The edge that each arc runs along.
        flows: The evader's set.
    """

    players = ("interdictor", "evader")

    def __init__(
        self,
        graph: Any,
        source: Hashable,
        target: Hashable,
        *,
        sensors: int = 1,
        watch: Literal["edges", "nodes"] = "edges",
        detection: str = "detection",
        name: str | None = None,
    ) -> None:
        edges = _edges(graph, source, target)
        both = edges if graph.is_directed() else edges + [(v, u, *key) for u, v, *key in edges]
        self.source, self.target, self.sensors, self.name = source, target, sensors, name
        self.watch = watch
        self.arcs = tuple((u, v) for u, v, *_ in both)
        self.edge_of_arc = tuple(edges * (len(both) // len(edges)))
        self.places = _places(graph, edges, (source, target), watch)
        if not is_whole(sensors, 1, len(self.places)):
            raise InvalidInput(
                f"sensors should be a whole number from 1 to {len(self.places)}, the number of "
                f"{watch} to watch; got {sensors!r}."
            )
        self.detection = _detections(graph, self.places, watch, detection)
        index = {place: i for i, place in enumerate(self.places)}
        passed = self.edge_of_arc if watch == "edges" else [head for _, head in self.arcs]
        watched = [(arc, index[place]) for arc, place in enumerate(passed) if place in index]
        self.watched_arcs, self.place_of_arc = torch.tensor(watched).T
        number = {node: i for i, node in enumerate(graph)}
        tails, heads = ([number[arc[end]] for arc in self.arcs] for end in (0, 1))
        self.flows = FlowPolytope(tails, heads, number[source], number[target])
        count = len(self.places)
        self.spaces = (Simplex(count) if sensors == 1 else Hypersimplex(count, sensors), self.flows)
        most = float(self.detection.max())
        self.scale = sensors * most / 2 or 1.0
        # No arc belongs to two places: the rows of the payoffs are orthogonal.
        arcs = torch.bincount(self.place_of_arc, minlength=count).double().sqrt()
        self.lipschitz = float((self.detection * arcs).max()) or None

    def __repr__(self) -> str:
        title = f"{self.name}: " if self.name else ""
        return (
            f"PathInterdiction({title}{self.source!r} to {self.target!r}, {self.flows.nodes} "
            f"nodes, {self.sensors} of {len(self.places)} {self.watch} watched)"
        )

    def times(self, y: Tensor) -> Tensor:
        """Return the probability of a detection at each place, were it watched."""
        passing = y.new_zeros((*y.shape[:-1], len(self.places)))
        passing = passing.index_add(-1, self.place_of_arc, y[..., self.watched_arcs])
        return self.detection.to(y) * passing

    def transposed(self, x: Tensor) -> Tensor:
        """Return the probability of being detected on each arc."""
        danger = (self.detection.to(x) * x)[..., self.place_of_arc]
        return x.new_zeros((*x.shape[:-1], len(self.arcs))).index_add(-1, self.watched_arcs, danger)

    def watches(self, x: Tensor) -> list[tuple[Any, float]]:
        """Return the places that are watched and how likely each is, the most likely first.

        Args:
            x: The interdictor's strategy, `(places,)`.
        """
        likely = [
            (place, p) for place, p in zip(self.places, x.tolist(), strict=True) if p > LEAST_SHARE
        ]
        return sorted(likely, key=lambda pair: -round(pair[1], DIGITS))

    def paths(self, y: Tensor) -> list[Route]:
        """Return paths and probabilities that make up a flow, the most likely first.

        Args:
            y: The evader's strategy, `(arcs,)`.
        """
        return [
            Route(
                (self.source, *(self.arcs[i][1] for i in arcs)),
                tuple(self.edge_of_arc[i] for i in arcs),
                share,
            )
            for arcs, share in self.flows.paths(y)
        ]


def _edges(graph: Any, source: Hashable, target: Hashable) -> list[tuple[Any, ...]]:
    """Return the edges that a path may use, or raise where there is no path."""
    import networkx

    if not isinstance(graph, networkx.Graph):
        raise InvalidInput(
            "PathInterdiction expects a networkx graph (Graph, DiGraph or their Multi kinds); got "
            f"{type(graph).__name__}."
        )
    for what, node in (("source", source), ("target", target)):
        if node not in graph:
            raise InvalidInput(f"{what} {node!r} is no node of the graph.")
    if source == target:
        raise InvalidInput(f"source and target should differ; both are {source!r}.")
    if not networkx.has_path(graph, source, target):
        raise InvalidInput(
            f"No path leads from source {source!r} to target {target!r}; the evader has nothing "
            "to choose from."
        )
    listed = graph.edges(keys=True) if graph.is_multigraph() else graph.edges
    return [tuple(edge) for edge in listed if edge[0] != edge[1]]


def _places(
    graph: Any, edges: list[tuple[Any, ...]], ends: tuple[Hashable, Hashable], watch: str
) -> tuple[Any, ...]:
    """Return what the interdictor may watch."""
    if watch not in ("edges", "nodes"):
        raise InvalidInput(f"watch should be 'edges' or 'nodes'; got {watch!r}.")
    reached = {node for u, v, *_ in edges for node in ((v,) if graph.is_directed() else (u, v))}
    places = edges if watch == "edges" else [v for v in graph if v in reached and v not in ends]
    if not places:
        raise InvalidInput(
            f"Between {ends[0]!r} and {ends[1]!r} lies no node, and so there is nothing to watch; "
            "use watch='edges'."
        )
    return tuple(places)


def _detections(graph: Any, places: tuple[Any, ...], watch: str, attribute: str) -> Tensor:
    data = graph.edges if watch == "edges" else graph.nodes
    found = [data[place].get(attribute, 1.0) for place in places]
    for place, value in zip(places, found, strict=True):
        if not is_real(value, "[0, 1]"):
            raise InvalidInput(
                f"The attribute {attribute!r} of {watch[:-1]} {place!r} should be a probability; "
                f"got {value!r}."
            )
    return torch.tensor([float(value) for value in found], dtype=torch.float64)
