"""Payoffs whose rows are spread over the processes of `torch.distributed`."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor, Shard

from eqgan.errors import InvalidInput
from eqgan.games.payoffs import Dense, Payoffs


class Sharded(Payoffs):
    r"""Payoffs held as a `DTensor` sharded by rows: each process holds and multiplies its own.

    Strategies are whole on every process, so that every process takes the same steps; a product
    costs one all-reduce of a vector. Every process has to make the same calls.

    Args:
        table: Shape `(m, n)`, float32 or float64, placed as ``[Shard(0)]`` on a mesh of one
            dimension.

    Raises:
        InvalidInput: Any other placement.

    Example:
        ::

            mesh = init_device_mesh("cpu", (dist.get_world_size(),))
            rows = DTensor.from_local(my_rows, mesh, [Shard(0)])
            eqgan.solve(eqgan.games.MatrixGame(rows), "halpern_pdhg")
    """

    def __init__(self, table: DTensor) -> None:
        if table.dim() != 2 or tuple(table.placements) != (Shard(0),):
            raise InvalidInput(
                "A distributed game expects payoffs of shape (m, n) placed as [Shard(0)] on a mesh "
                f"of one dimension; got {tuple(table.shape)} placed as {list(table.placements)}."
            )
        local = table.to_local().detach()
        self.local = Dense(local)
        self.group = table.device_mesh.get_group()
        self.shape, self.dtype, self.device = tuple(table.shape), table.dtype, local.device
        self.processes = dist.get_world_size(self.group)
        broken = (~torch.isfinite(local)).sum()
        dist.all_reduce(broken, group=self.group)
        if int(broken):
            raise InvalidInput(f"A game expects finite payoffs; {int(broken)} are NaN or infinite.")
        heights = torch.zeros(self.processes, dtype=torch.int64, device=self.device)
        heights[dist.get_rank(self.group)] = len(local)
        dist.all_reduce(heights, group=self.group)
        if int(heights.sum()) != self.shape[0]:
            raise InvalidInput(
                f"The processes should hold {self.shape[0]} rows together; got {heights.tolist()}."
            )
        start = int(heights[: dist.get_rank(self.group)].sum())
        self.mine = slice(start, start + len(local))

    def __repr__(self) -> str:
        m, n = self.shape
        return f"Sharded({m} x {n}, rows over {self.processes} processes)"

    def agreed(self, yes: bool) -> bool:
        """Return whether any process says yes."""
        votes = torch.tensor(int(yes), device=self.device)
        dist.all_reduce(votes, group=self.group)
        return bool(votes)

    def times(self, y: Tensor) -> Tensor:
        """Return the product, gathered."""
        whole = y.new_zeros(self.shape[0])
        if len(self.local.table):
            whole[self.mine] = self.local.times(y)
        dist.all_reduce(whole, group=self.group)
        return whole

    def transposed(self, x: Tensor) -> Tensor:
        """Return the product, summed over the processes."""
        part = x.new_zeros(self.shape[1])
        if len(self.local.table):
            part += self.local.transposed(x[self.mine])
        dist.all_reduce(part, group=self.group)
        return part

    def extent(self) -> tuple[Tensor, Tensor]:
        """Return the extreme entries of all rows."""
        low = torch.full((), torch.inf, dtype=self.dtype, device=self.device)
        high = -low
        if len(self.local.table):
            low, high = self.local.extent()
        dist.all_reduce(low, dist.ReduceOp.MIN, group=self.group)
        dist.all_reduce(high, dist.ReduceOp.MAX, group=self.group)
        return low, high
