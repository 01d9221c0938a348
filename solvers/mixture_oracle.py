"""Double oracle over mixtures: responses are searched or trained, and remembered as atoms."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eqgan.games.highs import solve_game
from eqgan.games.mixed import Mixed
from eqgan.oracle import Oracle
from eqgan.profile import Profile, Strategy

SAMPLES = 16
"""Samples on which the costs of a stochastic game are measured, the same for every pair."""


@dataclass(frozen=True)
class MixtureOracleState:
    """The atoms remembered, the game between them, and the best mixtures so far.

    Attributes:
        atoms: Each player's atoms, `(k, d)` and `(l, d)`, at most as many as the game has room for.
        costs: What player 0 pays for each pair of them, `(k, l)`, float64.
        best: The mixtures against which the responses gained least, a profile of the game.
        gap: What they gained together, so a lower bound on the gap of `best`.
        seed: Of the samples on which costs are measured.
        done: Whether neither player gained more than epsilon.
    """

    atoms: Profile
    costs: Tensor
    best: Profile
    gap: float
    seed: int
    done: bool


def begin(game: Mixed, z: Profile, seed: int = 0) -> MixtureOracleState:
    """Return the game in which each player knows its likeliest atom in `z` alone."""
    atoms = Profile(_likeliest(strategy) for strategy in z)
    state = MixtureOracleState(atoms, torch.empty(0, 0), z, math.inf, seed, False)
    state = replace(state, costs=_costs(game, state, *atoms.leaves()))
    return replace(state, best=_mixed(game, state, [1.0], [1.0]))


def advance(
    game: Mixed, state: MixtureOracleState, oracle: Oracle, epsilon: float, rng: torch.Generator
) -> MixtureOracleState:
    """Solve the small game, let both players respond to it, and remember what gains."""
    x, y = (torch.as_tensor(w).to(state.costs) for w in solve_game(-state.costs.cpu().numpy()))
    z, value = _mixed(game, state, x, y), x @ state.costs @ y
    responses = [_atom(oracle.respond(game, z, player, rng).deviated[player]) for player in (0, 1)]
    mine, theirs = state.atoms.leaves()
    row, column = _costs(game, state, responses[0], theirs), _costs(game, state, mine, responses[1])
    gains = [float(value - (row @ y).sum()), float((x @ column).sum() - value)]
    gap = sum(max(gain, 0.0) for gain in gains)
    if gap < state.gap:
        state = replace(state, best=z, gap=gap)
    if max(gains) <= epsilon:
        return replace(state, done=True)
    for player, weights in enumerate((x, y)):
        if gains[player] > epsilon:
            state = _remembered(game, state, player, responses[player], weights)
    return state


def _remembered(
    game: Mixed, state: MixtureOracleState, player: int, atom: Tensor, weights: Tensor
) -> MixtureOracleState:
    """Return the state with one more atom, in place of the least likely one if there is no room."""
    known = state.atoms.leaves()[player]
    kept = torch.arange(len(known), device=known.device)
    if len(known) == game.sizes[player]:
        kept = kept[kept != weights.argmin()]
    atoms = state.atoms.replace(player, torch.cat((known[kept], atom)))
    # Only the new atom's pairs are costed; the other player may know one more by now.
    fresh = atoms.replace(player, atom)
    costs = torch.cat(
        (state.costs.index_select(player, kept), _costs(game, state, *fresh.leaves())), player
    )
    return replace(state, atoms=atoms, costs=costs)


def _costs(game: Mixed, state: MixtureOracleState, xs: Tensor, ys: Tensor) -> Tensor:
    """Return what player 0 pays for each pair of atoms, `(k, l)`, on the state's samples."""
    rng = game.generator(state.seed)
    with torch.no_grad():
        tables = [
            game.base.pair_payoffs(xs, ys, game.sample(rng)).double()
            for _ in range(SAMPLES if game.stochastic else 1)
        ]
    received = torch.stack(tables).mean(0)
    return received if game.receiver == 1 else -received


def _mixed(game: Mixed, state: MixtureOracleState, *weights: Tensor | list[float]) -> Profile:
    """Return the mixtures with these weights; room that is left holds copies of weight zero."""
    strategies: list[Strategy] = []
    for size, atoms, w in zip(game.sizes, state.atoms.leaves(), weights, strict=True):
        shares = torch.zeros(size, **game.options)
        shares[: len(atoms)] = torch.as_tensor(w).to(shares)
        spare = atoms[:1].expand(size - len(atoms), -1)
        strategies.append({"weights": shares / shares.sum(), "atoms": torch.cat((atoms, spare))})
    return Profile(strategies)


def _likeliest(strategy: Strategy) -> Tensor:
    assert not isinstance(strategy, Tensor)
    return strategy["atoms"][strategy["weights"].argmax()][None]


def _atom(strategy: Strategy) -> Tensor:
    assert not isinstance(strategy, Tensor)
    return strategy["atoms"][:1]
