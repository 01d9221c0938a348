"""Colonel Blotto with sizes at which nobody lists the deployments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.flows import FlowPolytope
from eqgan.games.constrained import BilinearGame
from eqgan.whole import is_whole


class Blotto(BilinearGame):
    r"""Two colonels deploy soldiers over fields; the larger force takes a field's value.

    The row player receives :math:`\sum_f v_f\, \mathrm{sign}(a_f - b_f)` for deployments a and b
    that use every soldier. There are :math:`\binom{s+F-1}{F-1}` deployments of s soldiers on F
    fields; a mixture of them is held as a unit flow through the network whose nodes are (field,
    soldiers used so far), one arc for each force on each field. The best response, a shortest
    path, is the dynamic program over fields.

    Args:
        fields: Number of fields.
        soldiers: Soldiers of each colonel, a number for both or a pair.
        values: What each field is worth, `(fields,)` >= 0; 1 each by default.
        name: What the game is called in tables.

    Raises:
        InvalidInput: Numbers that make no game.

    References:
        Borel 1921; Ahmadinejad et al. 2016, From duels to battlefields, arXiv:1603.00119.

    Example:
        >>> import eqgan
        >>> game = Blotto(fields=6, soldiers=(12, 10))
        >>> run = eqgan.solve(game, tol=1e-9)
        >>> run.status.name, game.deployments
        ('CONVERGED', (6188, 3003))
        >>> game.marginals(run.profile[0], 0).shape
        torch.Size([6, 13])
    """

    players = ("row", "column")

    def __init__(
        self,
        fields: int = 3,
        soldiers: int | Sequence[int] = (5, 5),
        values: Any = None,
        *,
        name: str | None = None,
    ) -> None:
        armies = tuple(soldiers) if isinstance(soldiers, Sequence) else (soldiers, soldiers)
        whole = all(is_whole(n, 1) for n in (fields, *armies))
        if not whole or fields < 2 or len(armies) != 2:
            raise InvalidInput(
                "Blotto expects at least 2 fields and soldiers >= 1 of each colonel; got "
                f"fields={fields!r}, soldiers={soldiers!r}."
            )
        self.fields, self.soldiers, self.name = fields, armies, name
        self.values = _values(values, fields)
        self.wins = (torch.arange(armies[0] + 1)[:, None] - torch.arange(armies[1] + 1)).sign()
        networks = [_network(fields, army) for army in armies]
        self.networks = tuple(flows for flows, _ in networks)
        self.spaces = self.networks
        # Where each arc's force stands in the table of fields and forces, flattened.
        self.cells = [cells for _, cells in networks]
        self.payoff_range = 2 * float(self.values.sum())
        self.scale = self.payoff_range / 2
        # The norm of summing arcs into cells is the root of the most arcs that share one.
        shared = [torch.bincount(cells).max().double().sqrt() for cells in self.cells]
        spread = torch.linalg.matrix_norm(self.wins.double(), 2)
        self.lipschitz = float(self.values.max() * shared[0] * shared[1] * spread)
        if armies[0] == armies[1]:
            self.value = 0.0

    def __repr__(self) -> str:
        title = f"{self.name}: " if self.name else ""
        return (
            f"Blotto({title}{self.soldiers[0]} against {self.soldiers[1]} soldiers, "
            f"{self.fields} fields)"
        )

    @property
    def deployments(self) -> tuple[int, int]:
        """How many pure strategies each colonel has."""
        a, b = (math.comb(army + self.fields - 1, self.fields - 1) for army in self.soldiers)
        return a, b

    def times(self, y: Tensor) -> Tensor:
        """Return what the row player wins by each force on each field, arc by arc."""
        gains = self.marginals(y, 1) @ self.wins.to(y).mT
        return (self.values.to(y)[:, None] * gains).flatten(-2)[..., self.cells[0]]

    def transposed(self, x: Tensor) -> Tensor:
        """Return what each force on each field costs the column player, arc by arc."""
        losses = self.marginals(x, 0) @ self.wins.to(x)
        return (self.values.to(x)[:, None] * losses).flatten(-2)[..., self.cells[1]]

    def marginals(self, strategy: Tensor, player: int) -> Tensor:
        """Return how likely each force is on each field, `(*batch, fields, soldiers + 1)`."""
        shape = (self.fields, self.soldiers[player] + 1)
        table = strategy.new_zeros((*strategy.shape[:-1], shape[0] * shape[1]))
        return table.index_add(-1, self.cells[player], strategy).reshape(
            *strategy.shape[:-1], *shape
        )

    def plans(self, strategy: Tensor, player: int) -> list[tuple[tuple[int, ...], float]]:
        """Return deployments and probabilities that make up a strategy, the most likely first."""
        forces = (self.cells[player] % (self.soldiers[player] + 1)).tolist()
        return [
            (tuple(forces[arc] for arc in arcs), share)
            for arcs, share in self.networks[player].paths(strategy)
        ]


def _values(values: Any, fields: int) -> Tensor:
    try:
        worth = torch.as_tensor(np.ones(fields) if values is None else values, dtype=torch.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"values should be {fields} numbers; got {values!r}.") from error
    finite = worth.shape == (fields,) and bool((worth >= 0).all() & (worth < torch.inf).all())
    if not finite or not bool(worth.any()):
        raise InvalidInput(
            f"values should be {fields} finite numbers >= 0, not all zero; got {values!r}."
        )
    return worth.detach().clone()


def _network(fields: int, army: int) -> tuple[FlowPolytope, Tensor]:
    """Return the network of (field, soldiers used), and field x force of each arc, flattened."""
    arcs = [
        (field * (army + 1) + used, (field + 1) * (army + 1) + used + force, field, force)
        for field in range(fields)
        for used in (range(army + 1) if field else (0,))
        for force in (range(army - used + 1) if field < fields - 1 else (army - used,))
    ]
    tails, heads, places, forces = np.array(arcs).T
    cells = torch.as_tensor(places * (army + 1) + forces)
    return FlowPolytope(tails, heads, 0, fields * (army + 1) + army), cells
