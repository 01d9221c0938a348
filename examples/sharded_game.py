"""Can a game be solved that outgrows one machine?

The rows of the payoffs are spread over the processes of torch.distributed; every process builds
and multiplies its own, and all take the same steps. With two processes on this machine:

    torchrun --nproc-per-node 2 examples/sharded_game.py --size 2000
"""

import argparse
import gc
import os

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard

import eqgan


def rows(start: int, stop: int, columns: int) -> torch.Tensor:
    """Return these rows of the game, the same ones on whichever process: a race of two hills."""
    i = torch.arange(start, stop, dtype=torch.float64)[:, None]
    j = torch.arange(columns, dtype=torch.float64)
    return torch.sin(0.7 * i + 1.3 * j) + torch.sin(1e-3 * i * j)


def play(size: int, steps: int) -> None:
    """Solve the game together; the first process says how it went."""
    rank, processes = dist.get_rank(), dist.get_world_size()
    mine = rows(size * rank // processes, size * (rank + 1) // processes, size)
    mesh = init_device_mesh("cpu", (processes,))
    whole = DTensor.from_local(mine, mesh, [Shard(0)], shape=(size, size), stride=(size, 1))
    game = eqgan.games.MatrixGame(whole)
    run = eqgan.solve(game, "regret_matching_plus", max_steps=steps, tol=1e-3)
    if rank == 0:
        print(game)
        print(f"each process holds {mine.numel():,} of {size * size:,} payoffs")
        print(f"{run.status.name} after {run.steps} steps, value {run.value:.9f}")
        print(run.certificate)
    dist.barrier()  # whoever leaves first would break the connection of the other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=400, help="actions a player")
    parser.add_argument("--steps", type=int, default=2000, help="most solver steps")
    options = parser.parse_args()
    torch.set_num_threads(1)

    # Without torchrun this is the one process.
    alone = "RANK" not in os.environ
    store = {"store": dist.HashStore(), "rank": 0, "world_size": 1} if alone else {}
    dist.init_process_group("gloo", **store)
    play(options.size, options.steps)
    gc.collect()  # no tensor may outlive the connection
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
