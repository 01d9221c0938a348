"""Which bridges and streets should a patrol watch, and how does a smuggler best cross the city?

Places differ in how likely a passing smuggler is seen. There are far too many paths to list; a best
response is a shortest path, or the place where most pass, and nothing more is needed.
"""

import argparse
from pathlib import Path

import networkx
import torch

import eqgan


def city_of(size: int) -> networkx.Graph:
    """Return a square city with a river from west to east, which every fourth street crosses."""
    city = networkx.grid_2d_graph(size, size)
    river = size // 2
    city.remove_edges_from([((x, river - 1), (x, river)) for x in range(size) if x % 4])
    rng = torch.Generator().manual_seed(0)
    for street in city.edges:
        city.edges[street]["detection"] = 0.3 + 0.7 * float(torch.rand((), generator=rng))
    return city


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the pictures")
    parser.add_argument("--size", type=int, default=12, help="streets in each direction")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    city, end = city_of(options.size), options.size - 2
    game = eqgan.games.PathInterdiction(city, (1, 1), (end, end))
    run = eqgan.solve(game, "double_oracle", tol=1e-9)
    print(f"the smuggler is seen with probability {run.value:.6f}")
    print(run)
    for street, probability in game.watches(run.profile[0]):
        print(f"watch {street[0]} - {street[1]} with probability {probability:.4f}")
    for route in game.paths(run.profile[1])[:3]:
        way = " ".join(f"{x},{y}" for x, y in route.nodes)
        print(f"with probability {route.probability:.4f} go {way}")

    # Max-flow min-cut says the same: the largest flow where dangerous streets are narrow.
    for street in city.edges:
        city.edges[street]["capacity"] = 1 / city.edges[street]["detection"]
    flow = networkx.maximum_flow_value(city, (1, 1), (end, end))
    print(f"one over the largest flow: {1 / flow:.6f}")

    picture = eqgan.plots.network(run, {crossing: crossing for crossing in city})
    picture.savefig(options.out / "path_interdiction.png")
    print(f"picture: {options.out / 'path_interdiction.png'}")


if __name__ == "__main__":
    main()
