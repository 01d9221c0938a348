"""A dense primal-dual interior-point method for matrix games."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from eqgan.errors import InvalidInput
from eqgan.game import Game
from eqgan.games.matrix import MatrixGame
from eqgan.profile import Profile, Strategy
from eqgan.solver import Solver
from eqgan.solvers.support_polish import indifferent

STALLED = 4
"""Steps in a row without progress, which is a product smaller by a fifth, that end a run."""


@dataclass(frozen=True)
class InteriorState:
    """The point inside the cone, the best strategies so far and their gaps, and what is left.

    Attributes:
        u: The row player's variables, `(*batch, m)`, and `t` their slacks.
        w: The column player's variables, `(*batch, n)`, and `s` their slacks.
        best: The strategies with the smallest gap so far.
        gap: That gap, relative to the payoffs' range, `(*batch)`.
        product: The smallest sum of complementarity products so far, `(*batch)`.
        stalled: Steps in a row without progress.
        done: Whether further iterations are useless.
    """

    u: Tensor
    t: Tensor
    w: Tensor
    s: Tensor
    best: Profile
    gap: Tensor
    product: Tensor
    stalled: int
    done: bool


@dataclass(frozen=True)
class InteriorPoint(Solver[InteriorState]):
    r"""Newton steps towards the central path of the game's linear program, Mehrotra's way.

    With payoffs scaled into [1, 2] the two programs are :math:`\min \sum u` subject to
    :math:`A^\top u - s = 1`, and :math:`\max \sum w` subject to :math:`A w + t = 1`, all variables
    nonnegative; :math:`x = u / \sum u` and :math:`y = w / \sum w` solve the game. A step solves

    .. math::
        \big(\mathrm{diag}(s/w) + A^\top \mathrm{diag}(u/t) A\big)\, \Delta w = r

    by a Cholesky factorisation on the smaller side, once to predict and once to correct. About 20
    steps reach a relative gap of 1e-10, whatever the size: the choice from some hundred actions a
    player up to the memory's limit, and for batches. It computes in float64, keeps the best
    strategies it saw, because rounding spoils the last steps, and ends by solving the indifference
    equations on the supports. On badly scaled games it may end at a relative gap of 1e-7, and its
    certificate says so.

    Args:
        accuracy: Relative gap (of the payoffs' range) below which no more steps are taken.

    References:
        Mehrotra 1992; Wright 1997, Primal-Dual Interior-Point Methods.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.random_game("normal", (60, 40))
        >>> run = eqgan.solve(game, InteriorPoint(), tol=1e-9)
        >>> run.status.name, run.steps < 30
        ('CONVERGED', True)
    """

    accuracy: float = 1e-12
    direct = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.accuracy < 1:
            raise InvalidInput(f"accuracy should lie in [0, 1); got {self.accuracy!r}.")

    def evaluations(self, game: Game) -> float:
        """Return 0: a step is a factorisation, not a gradient."""
        return 0.0

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless `game` is a matrix game."""
        return None if isinstance(game, MatrixGame) else "only a MatrixGame is a linear program"

    def init(self, game: Game, z: Profile) -> InteriorState:
        """Return points strictly inside both programs; `z` is the best seen so far."""
        a = _scaled(game)
        m, n = a.shape[-2:]
        # Payoffs in [1, 2]: A'u in [2, 4] leaves slack 1 and more, Aw in [1/4, 1/2] leaves half.
        u, w = torch.full_like(a[..., 0], 2 / m), torch.full_like(a[..., 0, :], 0.25 / n)
        t, s = 1 - _apply(a, w), _apply(a.mT, u) - 1
        gap = _gap(a, *z)
        return _judged(
            game,
            a,
            InteriorState(u, t, w, s, z, gap, torch.full_like(gap, torch.inf), 0, False),
            self.accuracy,
        )

    def step(
        self, game: Game, z: Profile, state: InteriorState, rng: torch.Generator
    ) -> tuple[Profile, InteriorState]:
        """Take one predictor-corrector step."""
        a = _scaled(game)
        if a.shape[-2] >= a.shape[-1]:
            u, t, w, s = _newton(a, state.u, state.t, state.w, state.s)
        else:
            # The program of the transposed game, so that the smaller side is factorised.
            w, s, u, t = _newton(a.mT, state.w, state.s, state.u, state.t, sign=-1)
        new = _judged(game, a, dataclasses.replace(state, u=u, t=t, w=w, s=s), self.accuracy)
        if new.done:
            new = _crossed_over(game, a, new, self.accuracy)
        return new.best, new

    def finished(self, state: InteriorState) -> bool:
        """Return whether the accuracy is reached, or rounding lets no gap shrink."""
        return state.done


def _scaled(game: Game) -> Tensor:
    """Return the payoffs in float64, shifted and scaled into [1, 2]."""
    assert isinstance(game, MatrixGame)
    a = game.payoff_matrix.double()
    low = a.amin((-1, -2), keepdim=True)
    spread = a.amax((-1, -2), keepdim=True) - low
    return 1 + (a - low) / torch.where(spread > 0, spread, 1.0)


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def _newton(
    a: Tensor, u: Tensor, t: Tensor, w: Tensor, s: Tensor, sign: int = 1
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""Return (u, t, w, s) after one predictor-corrector step.

    `u` has the slacks `t` of :math:`A w + t = 1`, `w` the slacks `s` of :math:`A^\top u - s = 1`;
    with ``sign=-1`` the roles of the two programs are exchanged.
    """
    count = u.shape[-1] + w.shape[-1]
    r_s = sign - (sign * _apply(a.mT, u) - s) if sign == 1 else 1 - (_apply(a.mT, u) + s)
    r_t = 1 - (_apply(a, w) + t) if sign == 1 else 1 - (_apply(a, w) - t)
    normal = (a.mT * (u / t).unsqueeze(-2)) @ a
    normal.diagonal(dim1=-2, dim2=-1).add_(s / w)
    factor = torch.linalg.cholesky_ex(normal).L

    def direction(c_u: Tensor, c_w: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the Newton direction for given right-hand sides of the complementarities."""
        right = c_w / w + sign * r_s - _apply(a.mT, (c_u - sign * u * r_t) / t) * sign
        dw = torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1)
        dt = sign * (r_t - _apply(a, dw))
        du = (c_u - u * dt) / t
        ds = sign * (_apply(a.mT, du) - r_s)
        return du, dt, dw, ds

    mu = ((u * t).sum(-1) + (w * s).sum(-1)) / count
    du, dt, dw, ds = direction(-u * t, -w * s)
    ahead = torch.minimum(_length(u, du, w, dw), _length(t, dt, s, ds)).unsqueeze(-1)
    after = ((u + ahead * du) * (t + ahead * dt)).sum(-1)
    after = (after + ((w + ahead * dw) * (s + ahead * ds)).sum(-1)) / count
    target = (mu * (after / mu).clamp(0, 1) ** 3).unsqueeze(-1)
    du, dt, dw, ds = direction(target - u * t - du * dt, target - w * s - dw * ds)
    # Stay a little inside; ever less so as the path is followed to its end.
    inside = 1 - mu.clamp(1e-4, 0.05)
    length = (inside * torch.minimum(_length(u, du, w, dw), _length(t, dt, s, ds))).unsqueeze(-1)
    return u + length * du, t + length * dt, w + length * dw, s + length * ds


def _length(p: Tensor, dp: Tensor, q: Tensor, dq: Tensor) -> Tensor:
    """Return the longest step, at most 1, that keeps both positive, `(*batch)`."""
    ratios = torch.cat((p, q), -1) / -torch.cat((dp, dq), -1)
    return torch.where(ratios > 0, ratios, torch.inf).amin(-1).clamp_max(1.0)


def _gap(a: Tensor, x: Strategy, y: Strategy) -> Tensor:
    assert isinstance(x, Tensor)
    assert isinstance(y, Tensor)
    return _apply(a, y.double()).amax(-1) - _apply(a.mT, x.double()).amin(-1)


def _judged(game: Game, a: Tensor, state: InteriorState, accuracy: float) -> InteriorState:
    """Return the state with the better of its present and its best strategies, game by game."""
    x = state.u / state.u.sum(-1, keepdim=True)
    y = state.w / state.w.sum(-1, keepdim=True)
    gap = _gap(a, x, y)
    good = (x >= 0).all(-1) & (y >= 0).all(-1) & (gap < state.gap)
    present = Profile(s.to(**game.options) for s in (x, y))
    best = state.best.map(lambda old, new: torch.where(good.unsqueeze(-1), new, old), present)
    least = torch.where(good, gap, state.gap)
    product = (state.u * state.t).sum(-1) + (state.w * state.s).sum(-1)
    progress = (least > accuracy) & (product < 0.8 * state.product)
    stalled = 0 if bool(progress.any()) else state.stalled + 1
    product = torch.where(product < state.product, product, state.product)
    done = bool((least <= accuracy).all()) or stalled >= STALLED
    return dataclasses.replace(
        state, best=best, gap=least, product=product, stalled=stalled, done=done
    )


def _crossed_over(game: Game, a: Tensor, state: InteriorState, accuracy: float) -> InteriorState:
    """Return the state with the games that rounding stopped short polished on their supports.

    At the end of the path an action is in the support if its variable exceeds its slack.
    """
    best, gap = state.best.clone(), state.gap.clone()
    x, y = best.leaves()
    for index in (gap > accuracy).nonzero().tolist():
        k = tuple(index)
        pair = indifferent(a[k], state.u[k] > state.t[k], state.w[k] > state.s[k])
        if pair is not None and float(smaller := _gap(a[k], *pair)) < float(gap[k]):
            x[k], y[k], gap[k] = pair[0], pair[1], smaller
    return dataclasses.replace(state, best=best, gap=gap)
