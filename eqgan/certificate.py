"""Certificates: how far a profile is from equilibrium, and in which direction that is proved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.game import Game, ZeroSumGame
from eqgan.oracle import default_oracle
from eqgan.profile import Profile
from eqgan.response import Curve, Oracle, Response
from eqgan.whole import as_seed, as_whole


@dataclass(frozen=True, repr=False, eq=False)
class Certificate:
    r"""Bounds on what each player can gain by deviating (its regret).

    A found deviation proves a *lower* bound; an *upper* one needs a proof about all deviations.
    Where both agree the certificate is `exact`. Numbers are floats for one game and tensors of
    shape `(*batch)` for a batch.

    Attributes:
        lower: Lower bounds on the regrets, `(players, *batch)`, never below zero.
        upper: Upper bounds, infinite where nothing is proved.
        value: The payoff at the profile, `(*batch)`.
        nash_conv_stderr: Standard error of `nash_conv` from sampling, zero for exact games.
        how: How deviations were sought.
        players: What the players are called.
        deviations: The deviation that was found for each player; ``None`` where gaps are known in
            closed form. `GradientOracle(warm=...)` starts from them.
        proof: What the upper bounds were proved for, or why there are none.
        curves: How the search for each player's deviation went, ``None`` where there was none.
    """

    lower: Tensor
    upper: Tensor
    value: Tensor
    nash_conv_stderr: Tensor
    how: str
    players: tuple[str, ...] = ("player 0", "player 1")
    deviations: Profile | None = None
    proof: str = ""
    curves: tuple[Curve | None, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the lower and the upper bounds agree."""
        return bool(torch.equal(self.lower, self.upper))

    @property
    def nash_conv(self) -> float | Tensor:
        """The sum of the regrets (the duality gap); a lower bound unless `exact`."""
        return _number(self.lower.sum(0))

    nash_conv_lower = nash_conv

    @property
    def nash_conv_upper(self) -> float | Tensor:
        """A proved upper bound on the sum of the regrets, infinite where nothing is proved."""
        return _number(self.upper.sum(0))

    @property
    def epsilon(self) -> float | Tensor:
        """The largest regret: the smallest e for which the profile is an e-equilibrium."""
        return _number(self.lower.amax(0))

    @property
    def exploitability(self) -> float | Tensor:
        """NashConv divided by the number of players."""
        return _number(self.lower.mean(0))

    @property
    def stderr(self) -> float | Tensor:
        """Standard error of `nash_conv`."""
        return _number(self.nash_conv_stderr)

    @property
    def regrets(self) -> dict[str, float | Tensor]:
        """Each player's regret by name; lower bounds unless `exact`."""
        return {n: _number(r) for n, r in zip(self.players, self.lower, strict=True)}

    @property
    def search(self) -> str:
        """Whether the searches for deviations were still improving when they ended, in words."""
        went = [(n, c.improving) for n, c in zip(self.players, self.curves, strict=False) if c]
        improving = [name for name, still in went if still]
        if improving:
            return f"still improving for {' and '.join(improving)}"
        return "had stopped improving" if went else ""

    def __repr__(self) -> str:
        gap, most = self.lower.sum(0), self.upper.sum(0)
        worst = f"{float(gap.max()):.4g}" if gap.numel() else "nothing to measure"
        noise = float(self.nash_conv_stderr.max()) if gap.numel() else 0.0
        spread = f" ± {noise:.2g}" if noise > 0 else ""
        batch = f" (worst of {gap.numel()} games)" if gap.dim() else ""
        found, kind = f"NashConv >= {worst}", "lower bound, proves no equilibrium"
        if bool(self.lower.isnan().any()):
            found, kind = "NashConv is unknown", "payoffs are not numbers here"
        elif self.exact:
            found, kind = f"NashConv = {worst}", "exact"
        elif bool(torch.isfinite(most).all()):
            found, kind = f"{worst} <= NashConv <= {float(most.max()):.4g}", "proved on both sides"
        how = ", ".join(filter(None, (self.how, self.search)))
        how = "; ".join(filter(None, (how, self.proof)))
        return f"Certificate({found}{spread}{batch}; {kind}: {how})"


def _number(value: Tensor) -> float | Tensor:
    return float(value) if value.dim() == 0 else value


# Searches need gradients, wherever the caller has turned them off; this turns them on.
@torch.inference_mode(False)
def certify(
    game: Game,
    profile: Profile | Sequence[Any],
    oracle: Oracle | None = None,
    *,
    seed: int = 0,
    batches: int = 16,
) -> Certificate:
    """Measure how far `profile` is from an equilibrium of `game`.

    The profile is checked and projected onto the strategy sets first. Each player's regret is what
    it pays now less what it pays after the deviation that the oracle finds, both on the same fresh
    samples, of held-out data where the game has them (`GAN(..., holdout=...)`). Matrix games are
    measured in float64 over all pure deviations, whatever their dtype.

    Args:
        game: The game.
        profile: A `Profile`, or one strategy for each player.
        oracle: How deviations are sought; by default the strongest one that serves the game.
        seed: Seed of the samples and of the oracle's restarts.
        batches: Samples on which a stochastic game's regrets are measured.

    Returns:
        The certificate. `exact` says whether its numbers are more than lower bounds.

    Raises:
        InvalidInput: A profile that does not fit the game.
        UnsupportedGame: An oracle that cannot serve the game.

    Example:
        >>> from eqgan.games import rock_paper_scissors
        >>> certify(rock_paper_scissors(), ([1, 0, 0], [1, 0, 0])).nash_conv
        2.0
    """
    if not isinstance(game, Game):
        raise InvalidInput(
            f"certify expects a game, such as eqgan.games.MatrixGame(A); got {type(game).__name__}."
        )
    check_oracle(oracle, game)
    seed = as_seed(seed)
    batches = as_whole("batches", batches, 1)
    z = game.as_profile(profile)
    game.check_losses(z)
    return measure(game, z, oracle, seed=seed, batches=batches)


def check_oracle(oracle: Oracle | None, game: Game | None = None) -> None:
    """Raise unless `oracle` is ``None`` or an oracle, which serves the game if one is given."""
    if oracle is None:
        return
    if not isinstance(oracle, Oracle):
        raise InvalidInput(
            f"oracle should be an Oracle, such as eqgan.GradientOracle(); got {oracle!r}."
        )
    reason = None if game is None else oracle.unsupported(game)
    if reason is not None:
        raise UnsupportedGame(f"{type(oracle).__name__} cannot serve this game: {reason}.")


@torch.inference_mode(False)
def measure(
    game: Game, z: Profile, oracle: Oracle | None = None, *, seed: int = 0, batches: int = 16
) -> Certificate:
    """Do what `certify` does to a profile that is known to fit the game."""
    if oracle is None:
        known = game.regrets(z)
        if known is not None:
            return _closed_form(game, *known)
    return _searched(game, z, oracle or default_oracle(game), seed, batches)


def _closed_form(game: Game, regrets: Tensor, value: Tensor) -> Certificate:
    regrets = regrets.clamp_min(0)
    zero = torch.zeros_like(value)
    return Certificate(regrets, regrets, value, zero, "every pure deviation", game.players)


def _searched(game: Game, z: Profile, oracle: Oracle, seed: int, batches: int) -> Certificate:
    rng = game.generator(seed)
    responses = [oracle.respond(game, z, player, rng) for player in range(len(game.spaces))]
    # Fresh samples, the same for every player and for both sides of each difference.
    samples = [game.held_out_sample(rng) for _ in range(batches if game.stochastic else 1)]
    with torch.no_grad():
        gains = torch.stack(
            [
                torch.stack(
                    [_gain(game, z, r, player, batch) for player, r in enumerate(responses)]
                )
                for batch in samples
            ]
        )
        values = torch.stack([_payoff(game, z, batch) for batch in samples])
        lower = gains.mean(0).clamp_min(0)
        upper = torch.stack(
            [_most(game, z, r, player, lower[player]) for player, r in enumerate(responses)]
        )
    spread = gains.sum(1)
    if not game.stochastic:
        error = torch.zeros_like(spread[0])
    elif len(samples) > 1:
        error = spread.std(0) / math.sqrt(len(samples))
    else:  # One sample says nothing about its error, and torch warns where it is asked.
        error = torch.full_like(spread[0], math.nan)
    return Certificate(
        lower,
        upper,
        values.mean(0),
        error,
        oracle.how,
        game.players,
        Profile(r.deviated[player] for player, r in enumerate(responses)),
        "; ".join(r.proof for r in responses if r.proof),
        tuple(r.curve for r in responses),
    )


def _most(game: Game, z: Profile, response: Response, player: int, least: Tensor) -> Tensor:
    """Return what is proved from above on a regret of at least `least`."""
    if response.floor is None or game.stochastic:
        return torch.full_like(least, math.inf)
    batch = game.sample(game.generator(0))
    gain = (game.cost(z, player, batch) - response.floor).double()
    # The deviation that was found is a proof too; rounding may tell the two apart.
    return torch.maximum(gain, least)


def _gain(game: Game, z: Profile, response: Response, player: int, batch: Any) -> Tensor:
    after = response.game.cost(response.deviated, player, batch)
    return (game.cost(z, player, batch) - after).double()


def _payoff(game: Game, z: Profile, batch: Any) -> Tensor:
    payoff = game.payoff(z, batch) if isinstance(game, ZeroSumGame) else game.cost(z, 0, batch)
    return payoff.double()


def payoff_of(game: Game, z: Profile, *, seed: int = 0, batches: int = 16) -> Tensor:
    """Return the payoff at `z` (a general-sum game: the first player's cost), in float64."""
    rng = game.generator(seed)
    samples = [game.held_out_sample(rng) for _ in range(batches if game.stochastic else 1)]
    with torch.no_grad():
        return torch.stack([_payoff(game, z, batch) for batch in samples]).mean(0)


def residual(game: Game, z: Profile) -> float:
    r"""Return the natural residual, the largest entry of :math:`z - \mathrm{project}(z - F(z))`.

    It is zero exactly at the stationary points of a game whose losses are exact; those are
    equilibria if the game is convex-concave (`game.monotone`), and need not be otherwise.
    """
    moved = z - game.operator(z)
    nearest = Profile(
        space.project(s) for space, s in zip(game.spaces, moved.strategies, strict=True)
    )
    return max(float(leaf.abs().max()) for leaf in (z - nearest).leaves())
