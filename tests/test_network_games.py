"""Games with more pure strategies than can be listed: paths of networks, deployments of armies."""

import itertools

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import eqgan
from eqgan.games import Blotto, PathInterdiction, Route
from eqgan.games.classics import colonel_blotto

KINDS = [nx.Graph, nx.DiGraph, nx.MultiGraph, nx.MultiDiGraph]


def random_graph(kind, seed: int, nodes: int = 8, edges: int = 18):
    """Return a graph with detections, parallel edges where its kind has them, and a path 0 - 7."""
    rng = np.random.default_rng(seed)
    graph = kind()
    graph.add_nodes_from(range(nodes))
    for u, v in [*rng.integers(nodes, size=(edges, 2)).tolist(), (0, 3), (3, nodes - 1)]:
        graph.add_edge(u, v, detection=rng.uniform(0.1, 1.0))
    return graph


def grid(n: int, seed: int | None = None):
    graph = nx.grid_2d_graph(n, n)
    if seed is not None:
        rng = np.random.default_rng(seed)
        for edge in graph.edges:
            graph.edges[edge]["detection"] = rng.uniform(0.2, 1.0)
    return graph


def one_over_largest_flow(graph, source, target) -> float:
    """Return 1 / max-flow with capacities 1 / detection, parallel edges added up."""
    network = nx.DiGraph() if graph.is_directed() else nx.Graph()
    for u, v, data in graph.edges(data=True):
        before = network.get_edge_data(u, v, {"capacity": 0.0})["capacity"]
        network.add_edge(u, v, capacity=before + 1 / data.get("detection", 1.0))
    return 1 / nx.minimum_cut_value(network, source, target)


@settings(max_examples=40)
@given(st.sampled_from(KINDS), st.integers(0, 10_000))
def test_the_value_is_one_over_the_largest_flow(kind, seed: int) -> None:
    graph = random_graph(kind, seed)
    game = PathInterdiction(graph, 0, 7)
    run = eqgan.solve(game, tol=1e-9)
    assert run.status.name == "CONVERGED"
    assert run.value == pytest.approx(one_over_largest_flow(graph, 0, 7), abs=1e-9)


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_grids_with_astronomically_many_paths(seed: int | None) -> None:
    graph = grid(30, seed)
    run = eqgan.solve(PathInterdiction(graph, (15, 8), (15, 22)), "double_oracle", tol=1e-9)
    assert run.status.name == "CONVERGED"
    assert run.certificate.exact
    expected = one_over_largest_flow(graph, (15, 8), (15, 22))
    assert run.value == pytest.approx(expected, abs=1e-9)
    assert run.steps < 100


def test_every_path_pays_what_the_certificate_says() -> None:
    """Regrets from shortest paths are those of all paths listed one by one."""
    graph = random_graph(nx.Graph, 3)
    game = PathInterdiction(graph, 0, 7)
    z = game.random(game.generator(0))
    arc = {pair: i for i, pair in enumerate(game.arcs)}
    costs = game.transposed(z[0])
    listed = min(
        sum(float(costs[arc[pair]]) for pair in itertools.pairwise(path))
        for path in nx.all_simple_paths(graph, 0, 7)
    )
    regrets, value = game.regrets(z)
    assert float(value - regrets[1]) == pytest.approx(listed)
    assert float(value + regrets[0]) == pytest.approx(float(game.times(z[1]).max()))
    assert float(value) == pytest.approx(float(game.payoff(z)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_flow_is_told_as_named_paths(kind) -> None:
    graph = random_graph(kind, 5)
    game = PathInterdiction(graph, 0, 7)
    run = eqgan.solve(game, "double_oracle")
    used = dict.fromkeys(game.places, 0.0)
    for route in game.paths(run.profile[1]):
        assert isinstance(route, Route)
        assert (route.nodes[0], route.nodes[-1]) == (0, 7)
        assert len(set(route.nodes)) == len(route.nodes) == len(route.edges) + 1
        for edge in route.edges:
            assert graph.has_edge(*edge)
            used[edge if edge in used else (edge[1], edge[0], *edge[2:])] += route.probability
    detected = [used[e] * graph.edges[e]["detection"] for e in game.places]
    torch.testing.assert_close(
        torch.tensor(detected).double(), game.times(run.profile[1]), rtol=0, atol=1e-7
    )
    watched = game.watches(run.profile[0])
    assert sum(p for _, p in watched) == pytest.approx(1.0)
    assert [p for _, p in watched] == pytest.approx(sorted((p for _, p in watched), reverse=True))


@pytest.mark.parametrize("sensors", [2, 3, 7])
def test_sensors_against_the_linear_program(sensors: int) -> None:
    """The k largest of d_e y_e add up to the least k t + sum u with u >= d y - t, u >= 0."""
    graph = random_graph(nx.DiGraph, 1)
    game = PathInterdiction(graph, 0, 7, sensors=sensors)
    arcs = len(game.arcs)
    above = np.hstack((np.diag(game.detection.numpy()), -np.ones((arcs, 1)), -np.eye(arcs)))
    program = linprog(
        [*[0.0] * arcs, sensors, *[1.0] * arcs],
        above,
        np.zeros(arcs),
        np.hstack((game.flows.E.toarray(), np.zeros((game.flows.nodes, arcs + 1)))),
        game.flows.f,
        [*[(0, None)] * arcs, (None, None), *[(0, None)] * arcs],
    )
    run = eqgan.solve(game, tol=1e-9)
    assert run.status.name == "CONVERGED"
    assert run.value == pytest.approx(program.fun, abs=1e-8)
    assert float(run.profile[0].sum()) == pytest.approx(sensors)


@pytest.mark.parametrize("seed", range(4))
def test_watched_nodes_are_worth_one_over_the_connectivity(seed: int) -> None:
    graph = nx.gnm_random_graph(12, 30, seed=seed)
    graph.remove_edges_from([(0, 11), (11, 0)])
    run = eqgan.solve(PathInterdiction(graph, 0, 11, watch="nodes"), tol=1e-10)
    assert run.value == pytest.approx(1 / nx.node_connectivity(graph, 0, 11), abs=1e-9)


def test_a_way_that_nobody_can_watch_is_taken() -> None:
    graph = nx.Graph([("s", "a"), ("a", "t")])
    graph.add_edge("s", "b", detection=0.0)
    graph.add_edge("b", "t", detection=0.0)
    game = PathInterdiction(graph, "s", "t")
    run = eqgan.solve(game, tol=1e-12)
    assert run.value == 0.0
    assert [route.nodes for route in game.paths(run.profile[1])] == [("s", "b", "t")]


def test_names_are_anything_hashable_and_loops_lead_nowhere() -> None:
    graph = nx.MultiDiGraph()
    graph.add_edge(("start", 1), frozenset({2}), key="day")
    graph.add_edge(("start", 1), frozenset({2}), key="night", detection=0.5)
    graph.add_edge(frozenset({2}), frozenset({2}))
    graph.add_edge(frozenset({2}), None.__class__, detection=0.0)
    game = PathInterdiction(graph, ("start", 1), None.__class__)
    run = eqgan.solve(game, tol=1e-12)
    assert run.value == pytest.approx(1 / 3)
    found = {route.edges[0][2]: route.probability for route in game.paths(run.profile[1])}
    assert found == pytest.approx({"day": 1 / 3, "night": 2 / 3})


GRAPH = nx.Graph([(0, 1), (1, 2), (3, 4)])


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: PathInterdiction([(0, 1)], 0, 1), "networkx graph"),
        (lambda: PathInterdiction(GRAPH, 0, 9), "target 9 is no node"),
        (lambda: PathInterdiction(GRAPH, 9, 0), "source 9 is no node"),
        (lambda: PathInterdiction(GRAPH, 0, 0), "differ"),
        (lambda: PathInterdiction(GRAPH, 0, 4), "No path leads from source 0 to target 4"),
        (lambda: PathInterdiction(nx.DiGraph([(1, 0)]), 0, 1), "No path"),
        (lambda: PathInterdiction(GRAPH, 0, 2, sensors=0), "sensors"),
        (lambda: PathInterdiction(GRAPH, 0, 2, sensors=4), "from 1 to 3"),
        (lambda: PathInterdiction(GRAPH, 0, 2, watch="bridges"), "watch"),
        (lambda: PathInterdiction(nx.Graph([(0, 1)]), 0, 1, watch="nodes"), "nothing to watch"),
        (lambda: PathInterdiction(nx.Graph([(0, 1, {"detection": 2})]), 0, 1), "probability"),
        (lambda: PathInterdiction(nx.Graph([(0, 1, {"detection": "x"})]), 0, 1), "probability"),
        (lambda: Blotto(1, 3), "at least 2 fields"),
        (lambda: Blotto(3, (3, 0)), "soldiers >= 1"),
        (lambda: Blotto(3, (3, 3, 3)), "soldiers"),
        (lambda: Blotto(3, 3, [1, 2]), "3 finite numbers"),
        (lambda: Blotto(3, 3, [1, -2, 3]), "3 finite numbers"),
        (lambda: Blotto(3, 3, ["a"] * 3), "3 numbers"),
    ],
)
def test_impossible_games_are_refused(build, said: str) -> None:
    with pytest.raises(eqgan.InvalidInput, match=said):
        build()


# -- Colonel Blotto --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("soldiers", "fields", "values"),
    [((5, 5), 3, None), ((6, 4), 3, [1.0, 2.0, 4.0]), ((3, 7), 2, None), ((4, 3), 4, [1, 1, 2, 3])],
)
def test_blotto_is_the_game_written_out(soldiers, fields, values) -> None:
    written = colonel_blotto(soldiers, fields, values)
    game = Blotto(fields, soldiers, values)
    assert game.deployments == tuple(written.payoff_matrix.shape)
    run = eqgan.solve(game, tol=1e-10)
    assert run.status.name == "CONVERGED"
    assert run.value == pytest.approx(eqgan.solve(written, "linear_program").value, abs=1e-9)


def test_payoffs_of_deployments() -> None:
    game = Blotto(3, (4, 3), [1.0, 2.0, 4.0])
    x, y = (space.sample(game.generator(0), dtype=torch.float64) for space in game.spaces)
    expected = sum(
        p * q * float((game.values * (torch.tensor(a) - torch.tensor(b)).sign()).sum())
        for a, p in game.plans(x, 0)
        for b, q in game.plans(y, 1)
    )
    assert float(game.payoff(eqgan.Profile((x, y)))) == pytest.approx(expected, abs=1e-7)


def test_plans_use_every_soldier_and_make_up_the_marginals() -> None:
    game = Blotto(4, (9, 7), [1, 2, 3, 4])
    run = eqgan.solve(game)
    for player, strategy in enumerate(run.profile):
        table = torch.zeros(4, game.soldiers[player] + 1, dtype=torch.float64)
        for plan, share in game.plans(strategy, player):
            assert sum(plan) == game.soldiers[player]
            table[range(4), plan] += share
        torch.testing.assert_close(table, game.marginals(strategy, player), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("soldiers", "values"), [((25, 25), None), ((25, 22), list(range(1, 11)))])
def test_ten_fields_with_fifty_million_deployments(soldiers, values) -> None:
    game = Blotto(10, soldiers, values)
    assert game.deployments[0] == 52_451_256
    run = eqgan.solve(game, "double_oracle", tol=1e-9)
    assert run.status.name == "CONVERGED"
    assert run.certificate.exact
    assert max(run.state.table.shape) < 200
    if soldiers[0] == soldiers[1]:
        assert run.value == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize(
    "game",
    [
        PathInterdiction(random_graph(nx.Graph, 2), 0, 7, sensors=2),
        PathInterdiction(random_graph(nx.DiGraph, 2), 0, 7, watch="nodes"),
        Blotto(3, (4, 3), [1.0, 2.0, 4.0]),
    ],
    ids=repr,
)
def test_operators_and_their_lipschitz_constants(game) -> None:
    """The two products are those of one matrix, whose norm is at most the Lipschitz constant."""
    m, n = (space.shape[0] for space in game.spaces)
    rows = game.transposed(torch.eye(m, dtype=torch.float64))
    columns = game.times(torch.eye(n, dtype=torch.float64))
    torch.testing.assert_close(rows, columns.mT)
    norm = float(torch.linalg.matrix_norm(rows, 2))
    assert norm <= game.lipschitz * (1 + 1e-12)
    z = game.random(game.generator(0))
    game.payoff(attached := z.attached()).backward()
    wanted = game.operator(z)
    torch.testing.assert_close(attached[0].grad, -wanted[0])
    torch.testing.assert_close(attached[1].grad, wanted[1])
    away = game.to("meta").operator(z.to("meta"))
    assert [leaf.shape for leaf in away.leaves()] == [leaf.shape for leaf in z.leaves()]


def test_first_order_methods_take_networks_too() -> None:
    game = PathInterdiction(grid(3), (0, 0), (2, 2))
    run = eqgan.solve(game, "optimistic_gradient", max_steps=240, check_every=240)
    first, last = run.trace.column("nash_conv")
    assert first == pytest.approx(2 / 3)
    assert last < 0.1 * first


def test_a_checkpoint_of_one_network_is_not_taken_for_another(tmp_path) -> None:
    first, second = (PathInterdiction(grid(4, seed), (0, 0), (3, 3)) for seed in (0, 1))
    assert repr(first) == repr(second)
    file = tmp_path / "run.ckpt"
    eqgan.solve(first, "double_oracle", max_steps=2, checkpoint=file)
    with pytest.raises(eqgan.CheckpointError, match="another run"):
        eqgan.solve(second, "double_oracle", max_steps=2, checkpoint=file, resume=True)
    broken = eqgan.solve(first, "double_oracle", checkpoint=file, resume=True)
    assert broken.profile.equal(eqgan.solve(first, "double_oracle").profile)


# -- pictures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"watch": "nodes"}])
def test_a_picture_shows_what_is_used_and_watched(options) -> None:
    graph = grid(4)
    run = eqgan.solve(PathInterdiction(graph, (0, 0), (3, 3), **options))
    (axes,) = eqgan.plots.network(run, {node: node for node in graph}).axes
    lines, used, watched = axes.collections
    assert len(lines.get_segments()) == len(run.game.arcs)
    assert len(used.get_segments()) == int((run.profile[1] > 1e-6).sum())
    assert len(watched.get_offsets()) == len(run.game.watches(run.profile[0]))
    assert {"interdictor", "evader"} <= set(axes.get_legend_handles_labels()[1])
    assert len(eqgan.plots.network(run).axes) == 1


def test_pictures_of_what_is_no_network_are_refused() -> None:
    run = eqgan.solve(eqgan.games.rock_paper_scissors())
    with pytest.raises(eqgan.UnsupportedGame, match="PathInterdiction"):
        eqgan.plots.network(run)
    run = eqgan.solve(PathInterdiction(grid(2), (0, 0), (1, 1)))
    with pytest.raises(eqgan.InvalidInput, match="no position"):
        eqgan.plots.network(run, {(0, 0): (0, 0)})
