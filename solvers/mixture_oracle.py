"""Double oracle over mixtures: responses are searched or trained, and remembered as atoms."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eqgan.games.highs import solve_game
from eqgan.games.mixed import Mixed, select
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
        weights: How likely the best mixtures play each, `(k,)` and `(l,)`, float64.
        best: Each player's mixture that pays least against the worst found, a profile of the game.
        paid: What each pays so.
        seed: Of the samples on which costs are measured.
        done: Whether no response was worth an atom.
    """

    atoms: Profile
    costs: Tensor
    weights: Profile
    best: Profile
    paid: tuple[float, float]
    seed: int
    done: bool

    @property
    def gap(self) -> float:
        """What the responses found gain together: a lower bound on the gap of `best`."""
        return sum(self.paid)


def begin(game: Mixed, z: Profile, seed: int = 0) -> MixtureOracleState:
    """Return the game in which each player knows its likeliest atom in `z` alone."""
    atoms = Profile(_likeliest(strategy) for strategy in z)
    costs = _costs(game, atoms, seed)
    once = Profile(costs.new_ones(1) for _ in atoms)
    best = _mixtures(game, atoms, once)
    return MixtureOracleState(atoms, costs, once, best, (math.inf, math.inf), seed, False)


def advance(
    game: Mixed,
    state: MixtureOracleState,
    oracle: Oracle,
    smoothing: float,
    epsilon: float,
    rng: torch.Generator,
) -> MixtureOracleState:
    """Respond to the small game's equilibrium, smoothed, and exactly if that brings nothing."""
    solved = solve_game(-state.costs.cpu().numpy())
    nash = Profile(torch.as_tensor(w).to(state.costs) for w in solved)
    for share in dict.fromkeys((smoothing, 0.0)):
        query = nash.lerp(state.weights, share)
        state, new = _answered(game, state, query, oracle, epsilon, rng)
        for player, atom in new.items():
            state = _remembered(game, state, player, atom, query)
        if new:
            return state
    return replace(state, done=True)


def _answered(
    game: Mixed,
    state: MixtureOracleState,
    query: Profile,
    oracle: Oracle,
    epsilon: float,
    rng: torch.Generator,
) -> tuple[MixtureOracleState, dict[int, Tensor]]:
    """Return the state after responses to mixtures with these weights, and those worth an atom."""
    z = _mixtures(game, state.atoms, query)
    found = [_likeliest(oracle.respond(game, z, i, rng).deviated[i]) for i in (0, 1)]
    # What the query pays against the rival's known atoms, and what it and the best pay now.
    x, y = query.leaves()
    known = (float((x @ state.costs).max()), -float((state.costs @ y).min()))
    paid, held = (_paid(game, mixtures, found, state.seed) for mixtures in (z, state.best))
    worst, most = _each_max(known, paid), _each_max(state.paid, held)
    better = [mine <= theirs for mine, theirs in zip(worst, most, strict=True)]

    def chosen(new: Profile, old: Profile) -> Profile:
        return Profile(n if b else o for n, o, b in zip(new, old, better, strict=True))

    state = replace(
        state,
        weights=chosen(query, state.weights),
        best=chosen(z, state.best),
        paid=(min(worst[0], most[0]), min(worst[1], most[1])),
    )
    # A response is worth an atom if the rival would pay more than against any known one.
    return state, {i: found[i] for i in (0, 1) if paid[1 - i] > known[1 - i] + epsilon}


def _remembered(
    game: Mixed, state: MixtureOracleState, player: int, atom: Tensor, query: Profile
) -> MixtureOracleState:
    """Return the state with one more atom, in place of the least likely one if there is no room."""
    known, weights = (z.leaves()[player] for z in (state.atoms, state.weights))
    kept = torch.arange(len(known), device=known.device)
    if len(known) == game.sizes[player]:
        kept = kept[kept != query.leaves()[player].argmin()]
    # In the mixtures that are responded to it takes over what the other was played, mostly 0.
    weights = torch.cat((weights[kept], (1.0 - weights[kept].sum()).clamp_min(0)[None]))
    atoms = state.atoms.replace(player, torch.cat((known[kept], atom)))
    # Only the new atom's pairs are costed; the other player may know one more by now.
    line = _costs(game, atoms.replace(player, atom), state.seed)
    return replace(
        state,
        atoms=atoms,
        weights=state.weights.replace(player, weights),
        costs=torch.cat((state.costs.index_select(player, kept), line), player),
    )


def _mixtures(game: Mixed, atoms: Profile, weights: Profile) -> Profile:
    """Return the mixtures with these weights; room that is left holds copies of weight zero."""
    strategies: list[Strategy] = []
    parts = zip(game.sizes, atoms.leaves(), weights.leaves(), strict=True)
    for size, known, w in parts:
        shares = torch.zeros(size, **game.options)
        shares[: len(known)] = w
        spare = known[:1].expand(size - len(known), -1)
        strategies.append({"weights": shares / shares.sum(), "atoms": torch.cat((known, spare))})
    return Profile(strategies)


def _paid(game: Mixed, z: Profile, responses: list[Tensor], seed: int) -> tuple[float, float]:
    """Return what each player pays with its mixture in `z` against the rival's response."""
    atoms, (x, y) = select(z, "atoms"), (w.double() for w in select(z, "weights").leaves())
    column = _costs(game, atoms.replace(1, responses[1]), seed)
    row = _costs(game, atoms.replace(0, responses[0]), seed)
    return float((x @ column).sum()), -float((row @ y).sum())


def _each_max(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return max(a[0], b[0]), max(a[1], b[1])


def _costs(game: Mixed, atoms: Profile, seed: int) -> Tensor:
    """Return what player 0 pays for each pair of atoms, `(k, l)`, on the samples of a seed."""
    rng, (xs, ys) = game.generator(seed), atoms
    with torch.no_grad():
        tables = [
            game.base.pair_payoffs(xs, ys, game.sample(rng)).double()
            for _ in range(SAMPLES if game.stochastic else 1)
        ]
    received = torch.stack(tables).mean(0)
    return received if game.receiver == 1 else -received


def _likeliest(strategy: Strategy) -> Tensor:
    """Return the likeliest atom, `(1, d)`."""
    assert not isinstance(strategy, Tensor)
    return strategy["atoms"][strategy["weights"].argmax()][None]
