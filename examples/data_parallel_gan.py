"""Can several processes train one GAN together?

Each computes on its share of every batch; gradients are averaged, so all take the same steps, and
the run is that of one process with the whole batch, up to rounding. With two on this machine:

    torchrun --nproc-per-node 2 examples/data_parallel_gan.py
"""

import argparse
import os

import torch
import torch.distributed as dist

import eqgan
from eqgan.gan.networks import mlp


def play(steps: int) -> None:
    """Train together; the first process says how it went."""
    ring = eqgan.data.ring(10_000, std=0.02)
    networks = mlp([2, 64, 64, 2]), mlp([2, 64, 64, 1])
    gan = eqgan.games.DataParallelGAN(*networks, ring.samples, noise_dim=2, batch_size=128)
    solver = eqgan.solvers.Extragradient(eqgan.Adam(2e-3, betas=(0.5, 0.9)))
    start = gan.random(gan.generator(0))
    run = eqgan.solve(gan, solver, init=start, max_steps=steps)
    share = len(gan.sample(gan.generator(0)).real)
    value = run.value  # measured by all together, so all of them ask
    if dist.get_rank() == 0:
        print(f"{dist.get_world_size()} processes, {share} of {gan.batch_size} samples each")
        print(f"{run.status.name} after {run.steps} steps, value {value:.6f}")
        print(eqgan.gan.metrics.modes(gan.generate(run.profile, 2000), ring.means, ring.std))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000, help="solver steps")
    options = parser.parse_args()
    torch.set_num_threads(1)

    # Without torchrun this is the one process.
    alone = "RANK" not in os.environ
    store = {"store": dist.HashStore(), "rank": 0, "world_size": 1} if alone else {}
    dist.init_process_group("gloo", **store)
    play(options.steps)
    dist.barrier()  # whoever leaves first would break the connection of the other
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
