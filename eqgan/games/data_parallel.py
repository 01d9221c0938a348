"""GANs whose batches are spread over the processes of `torch.distributed`."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist

# Its functions have the group of this moment as their default. torch imports it when a gradient is
# first taken by `torch.func`; by then it would keep a group alive that the user destroys, and its
# threads, which end the process with "terminate called" when they outlive the interpreter.
import torch.distributed.nn.functional
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.games.gan import GAN, GanBatch
from eqgan.profile import Profile, Strategy, map_strategy


class DataParallelGAN(GAN):
    r"""A GAN that every process plays on its share of each batch.

    Payoffs are :math:`\frac1P \sum_p F_p(u, v)`, the mean over P processes, and so are gradients
    and Jacobian products: the same numbers on every process, which therefore all take the same
    steps, with any solver. Up to rounding, a run equals that of one process with the whole batch.

    All processes make the same calls, with equal seeds, and hold the same data; what measures
    payoffs, a result's `value` and `certificate` included, is such a call. They begin with the
    networks of the first. Each writes files of its own: give ``checkpoint=f"{rank}.ckpt"``,
    and callbacks that write to one of them alone.

    Args:
        *args: As for `GAN`; `batch_size` counts the samples of all processes together.
        **options: As for `GAN`.

    Raises:
        InvalidInput: No process group, a batch that cannot be shared equally, or processes that
            hold different networks or data.

    References:
        Li et al. 2020, arXiv:2006.15704 (data parallelism); Shoeybi et al. 2019, arXiv:1909.08053
        (the pair of conjugate operations).

    Example:
        ::

            dist.init_process_group("gloo")  # under torchrun
            gan = eqgan.games.DataParallelGAN(generator, discriminator, data, noise_dim=64)
            eqgan.solve(gan, "extragradient", max_steps=1000)
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        if not (dist.is_available() and dist.is_initialized()):
            raise InvalidInput(
                "DataParallelGAN needs a process group: start the script with torchrun, and call "
                "torch.distributed.init_process_group('gloo') first."
            )
        super().__init__(*args, **options)
        if self.compile:
            raise InvalidInput(
                "DataParallelGAN cannot be compiled: its gradients wait for other processes. Leave "
                "compile=True out."
            )
        self.processes = dist.get_world_size()
        if self.batch_size % self.processes:
            raise InvalidInput(
                f"batch_size should be a multiple of the {self.processes} processes that share it; "
                f"got {self.batch_size}."
            )
        share = self.batch_size // self.processes
        self.mine = slice(dist.get_rank() * share, (dist.get_rank() + 1) * share)
        self._agree()

    def _agree(self) -> None:
        """Begin with the first process's networks, or raise where processes differ."""
        kept = [
            tensor
            for network in self.networks
            for name, tensor in network.module.state_dict().items()
            if name not in network.names
        ]
        sizes = [self.batch_size, *self.data.shape, *(network.size for network in self.networks)]
        held = [self.data] if isinstance(self.data, Tensor) else []
        sums = [float(tensor.double().sum()) for tensor in (*held, *kept)]
        low = torch.tensor([*sizes, *sums], dtype=torch.float64, device=self.device)
        high = low.clone()
        dist.all_reduce(low, dist.ReduceOp.MIN)
        dist.all_reduce(high, dist.ReduceOp.MAX)
        if not torch.equal(low, high):
            raise InvalidInput(
                "All processes should hold the same data, batch size, networks of the same sizes "
                "and equal frozen parameters; they differ. Use equal seeds on all of them."
            )
        for network in self.networks:
            dist.broadcast(network.start, 0)

    def agreed(self, yes: bool) -> bool:
        """Return whether any process says yes."""
        votes = torch.tensor(int(yes), device=self.device)
        dist.all_reduce(votes)
        return bool(votes)

    def sample(self, rng: torch.Generator) -> GanBatch:
        """Return this process's share of a batch; all draw the whole one, and stay in step."""
        real, noise, blend = super().sample(rng)
        return GanBatch(
            real[self.mine], noise[self.mine], None if blend is None else blend[self.mine]
        )

    def payoff(self, z: Profile, batch: Any = None) -> Tensor:
        """Return the payoff on the whole batch."""
        return _mean(super().payoff(_spread(z), batch))

    def losses(self, z: Profile, batch: Any = None) -> tuple[Tensor, ...]:
        """Return the training signals on the whole batch."""
        if self.trains_on_payoff:
            return super().losses(z, batch)
        return tuple(map(_mean, super().losses(_spread(z), batch)))

    def pair_payoffs(self, xs: Strategy, ys: Strategy, batch: Any = None) -> Tensor:
        """Return the payoffs of all pairs on the whole batch."""
        xs, ys = _spread(Profile((xs, ys)))
        return _mean(super().pair_payoffs(xs, ys, batch))

    def pair_losses(self, xs: Strategy, ys: Strategy, batch: Any = None) -> tuple[Tensor, Tensor]:
        """Return both players' losses of all pairs on the whole batch."""
        if self.trains_on_payoff:
            return super().pair_losses(xs, ys, batch)
        xs, ys = _spread(Profile((xs, ys)))
        mine, theirs = super().pair_losses(xs, ys, batch)
        return _mean(mine), _mean(theirs)


class _Spread(torch.autograd.Function):
    """What all processes hold goes to each; its gradient is the mean of theirs."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor) -> Tensor:
        return whole.view_as(whole)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _mean(gradient)


class _Mean(torch.autograd.Function):
    """The mean over all processes, which all hold; each passes its gradient on as it is."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        mean = part.contiguous().clone()
        dist.all_reduce(mean)
        return mean.div_(dist.get_world_size())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        spread: Tensor = _Spread.apply(gradient)  # type: ignore[no-untyped-call]
        return spread


def _mean(part: Tensor) -> Tensor:
    mean: Tensor = _Mean.apply(part)  # type: ignore[no-untyped-call]
    return mean


def _spread(z: Profile) -> Profile:
    return Profile(map_strategy(_Spread.apply, strategy) for strategy in z)
