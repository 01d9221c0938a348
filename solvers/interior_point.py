"""A dense primal-dual interior-point method for matrix games."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from eqgan.errors import UnsupportedGame
from eqgan.game import Game
from eqgan.games.highs import solve_game
from eqgan.games.matrix import MatrixGame, needs_table
from eqgan.games.payoffs import product
from eqgan.games.supports import nearest, vertex
from eqgan.profile import Profile
from eqgan.real import as_real
from eqgan.solver import Solver

Direction = tuple[Tensor, Tensor, Tensor, Tensor]
"""Changes of u, t, w and s."""

Crossover = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor] | None]
"""From payoffs, supports and strategies to strategies on the supports."""

FALLBACK = 1e-9
"""Relative gap above which, after all, the simplex method is asked."""

STALLED = 5
"""Steps in a row without progress, a product or a gap smaller by a fifth, that end a pass."""

CLOSE = 1e-3
"""Relative gap from which the supports are worth a look."""

CORRECTORS = 2
"""Most centrality correctors a step; each costs two triangular solves."""

BLOCK = 128
"""Least columns of the normal equations that are computed at a time."""

ROUGH = 1e-4
"""Relative gap down to which a float32 factor, twice as fast, preconditions well enough."""

REFINEMENTS = 5
"""Most conjugate-gradient steps that make up for what the factorisation rounds away."""


@dataclass(frozen=True)
class InteriorState:
    r"""The point inside the cone, the best strategies so far and their gaps, and what is left.

    The game is held so that the first player has at least as many actions as the second: where the
    column player has more, the transposed game is solved, :math:`-A^\top`.

    Attributes:
        a: The payoffs, scaled and shifted, `(*batch, p, q)` with `p >= q`.
        u: The first player's variables, `(*batch, p)`, and `t` their slacks.
        w: The second player's variables, `(*batch, q)`, and `s` their slacks.
        best: The strategies with the smallest gap so far, in that order.
        gap: That gap, relative to the payoffs' range, `(*batch)`.
        product: The smallest sum of complementarity products so far, `(*batch)`.
        stalled: Steps in a row without progress.
        recentred: Whether this is the second pass, around the value that the first one found.
        done: Whether further iterations are useless.
    """

    a: Tensor
    u: Tensor
    t: Tensor
    w: Tensor
    s: Tensor
    best: tuple[Tensor, Tensor]
    gap: Tensor
    product: Tensor
    stalled: int = 0
    recentred: bool = False
    done: bool = False


@dataclass(frozen=True)
class InteriorPoint(Solver[InteriorState]):
    r"""Newton steps towards the central path of the game's linear program, Mehrotra's way.

    With payoffs shifted so that the value is positive, the two programs are :math:`\min \sum u`
    subject to :math:`A^\top u - s = 1`, and :math:`\max \sum w` subject to :math:`A w + t = 1`, all
    variables nonnegative; :math:`x = u / \sum u` and :math:`y = w / \sum w` solve the game. A step
    solves

    .. math::
        \big(\mathrm{diag}(s/w) + A^\top \mathrm{diag}(u/t) A\big)\, \Delta w = r

    by one Cholesky factorisation on the smaller side, once to predict, once to correct and up to
    twice more to centre. From 10 to 20 steps reach the supports, whatever the size, and the
    indifference equations on them end the run at a relative gap near rounding: the choice from some
    dozen actions a player up to the memory's limit, and for batches on a GPU. It computes in
    float64 and keeps the best strategies it saw. Where rounding stops it short (payoffs of very
    different sizes), a second pass starts from payoffs shifted close around the value.

    Args:
        accuracy: Relative gap (of the payoffs' range) below which no more steps are taken.

    References:
        Mehrotra 1992; Gondzio 1996, multiple centrality corrections; Wright 1997, Primal-Dual
        Interior-Point Methods.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.random_game("normal", (60, 40))
        >>> run = eqgan.solve(game, InteriorPoint(), tol=1e-9)
        >>> run.status.name, run.steps < 20
        ('CONVERGED', True)
    """

    accuracy: float = 1e-12
    direct = True

    def __post_init__(self) -> None:
        super().__post_init__()
        as_real("accuracy", self.accuracy, "[0, 1)")

    def evaluations(self, game: Game) -> float:
        """Return 0: a step is a factorisation, not a gradient."""
        return 0.0

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless `game` is a matrix game whose payoffs can be written out."""
        return needs_table(game)

    def init(self, game: Game, z: Profile) -> InteriorState:
        """Return points inside both programs; `z` is the best seen so far."""
        a = _unit_range(game)
        best = tuple(s.double() for s in (z.leaves() if _upright(game) else z.leaves()[::-1]))
        assert len(best) == 2
        # Payoffs in [1, 2] have a value of at least 1.
        state = _started(a + 1, torch.ones_like(a[..., 0, 0]), best, _gap(a, *best))
        return self._judged(state)

    def step(
        self, game: Game, z: Profile, state: InteriorState, rng: torch.Generator
    ) -> tuple[Profile, InteriorState]:
        """Take one predictor-corrector step; at the end of the first pass, start the second."""
        new = self._judged(_newton(state))
        if new.done:
            new = _crossed_over(new, nearest, self.accuracy)
            if new.recentred:
                new = _crossed_over(new, _by_simplex, max(self.accuracy, FALLBACK))
            elif not bool((new.gap <= self.accuracy).all()):
                new = self._judged(_recentred(new))
        x, y = new.best if _upright(game) else new.best[::-1]
        return Profile(s.to(**game.options) for s in (x, y)), new

    def finished(self, state: InteriorState) -> bool:
        """Return whether the accuracy is reached, or rounding lets no gap shrink."""
        return state.done

    def _judged(self, state: InteriorState) -> InteriorState:
        """Return the state with the better of its present and its best strategies, game by game."""
        x = state.u / state.u.sum(-1, keepdim=True)
        y = state.w / state.w.sum(-1, keepdim=True)
        gap = _gap(state.a, x, y)
        good = (x >= 0).all(-1) & (y >= 0).all(-1) & (gap < state.gap)
        best = (
            torch.where(good.unsqueeze(-1), x, state.best[0]),
            torch.where(good.unsqueeze(-1), y, state.best[1]),
        )
        least = torch.where(good, gap, state.gap)
        product = (state.u * state.t).sum(-1) + (state.w * state.s).sum(-1)
        moved = (product < 0.8 * state.product) | (least < 0.8 * state.gap)
        progress = (least > self.accuracy) & moved
        stalled = 0 if bool(progress.any()) else state.stalled + 1
        new = dataclasses.replace(
            state,
            best=best,
            gap=least,
            product=torch.where(product < state.product, product, state.product),
            stalled=stalled,
        )
        if gap.dim() == 0 and self.accuracy < float(gap) < CLOSE:
            new = _crossed_over(new, vertex, self.accuracy)
        done = bool((new.gap <= self.accuracy).all()) or stalled >= STALLED
        return dataclasses.replace(new, done=done)


def _crossed_over(state: InteriorState, onto: Crossover, above: float) -> InteriorState:
    """Return the state with games of gaps above a bound solved on the supports they suggest.

    At the end of the path an action is in the support if its variable exceeds its slack.
    """
    (x, y), gap = (s.clone() for s in state.best), state.gap.clone()
    for index in (gap > above).nonzero().tolist():
        k = tuple(index)
        a, u, w = state.a[k], state.u[k], state.w[k]
        pair = onto(a, u > state.t[k], w > state.s[k], u / u.sum(), w / w.sum())
        if pair is not None and float(smaller := _gap(a, *pair)) < float(gap[k]):
            x[k], y[k], gap[k] = pair[0], pair[1], smaller
    return dataclasses.replace(state, best=(x, y), gap=gap)


def _by_simplex(a: Tensor, *guess: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return what the simplex method finds, whatever the guess: where nothing else helps."""
    try:
        x, y = solve_game(a.cpu().numpy())
    except UnsupportedGame:
        return None
    return torch.as_tensor(x, device=a.device), torch.as_tensor(y, device=a.device)


def _upright(game: Game) -> bool:
    m, n = (space.shape[0] for space in game.spaces)
    return bool(m >= n)


def _unit_range(game: Game) -> Tensor:
    """Return the payoffs to the player of more actions, in float64, scaled into [0, 1]."""
    assert isinstance(game, MatrixGame)
    a = game.payoff_matrix.double()
    a = a if _upright(game) else -a.mT
    low, high = a.amin((-1, -2), keepdim=True), a.amax((-1, -2), keepdim=True)
    half = high / 2 - low / 2
    # The halves keep 1e308 - (-1e308) finite.
    return (a / 2 - low / 2) / torch.where(half > 0, half, 1.0)


def _started(a: Tensor, value: Tensor, best: tuple[Tensor, Tensor], gap: Tensor) -> InteriorState:
    """Return uniform strategies over a guess of the value, with slacks well inside."""
    p, q = a.shape[-2:]
    size = 1 / value.unsqueeze(-1)
    u, w = (size / p).expand(a.shape[:-1]), (size / (2 * q)).expand(*a.shape[:-2], q)
    t = torch.maximum(1 - product(a, w), 0.3 * size)
    s = torch.maximum(product(a.mT, u) - 1, 0.3 * size)
    return InteriorState(a, u, t, w, s, best, gap, torch.full_like(gap, torch.inf))


def _recentred(state: InteriorState) -> InteriorState:
    """Return the start of the second pass: payoffs shifted so that the value is small.

    What the shift adds to small payoffs drowns them: the factorisation sees its square.
    """
    x, y = state.best
    reached = (x * product(state.a, y)).sum(-1)
    value = (1e4 * state.gap).clamp(1e-4, 1.0)
    a = state.a + (value - reached)[..., None, None]
    return dataclasses.replace(_started(a, value, state.best, state.gap), recentred=True)


def _gap(a: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return product(a, y).amax(-1) - product(a.mT, x).amin(-1)


def _newton(state: InteriorState) -> InteriorState:
    """Return the state after one step: predict, correct, centre."""
    a, u, t, w, s = state.a, state.u, state.t, state.w, state.s
    r_s, r_t = 1 - (product(a.mT, u) - s), 1 - (product(a, w) + t)
    early = a.shape[-1] >= BLOCK and not (state.recentred or state.stalled)
    rough = early and bool((state.gap > ROUGH).all())
    factor = _factorised(a, u / t, s / w, torch.float32 if rough else torch.float64)

    def direction(c_u: Tensor, c_w: Tensor) -> Direction:
        """Return the Newton direction towards given complementarity products."""
        right = c_w / w + r_s - product(a.mT, (c_u - u * r_t) / t)
        dw = _solved(a, u / t, s / w, factor, right)
        dt = r_t - product(a, dw)
        du = (c_u - u * dt) / t
        return du, dt, dw, product(a.mT, du) - r_s

    mu = ((u * t).sum(-1) + (w * s).sum(-1)) / (u.shape[-1] + w.shape[-1])
    du, dt, dw, ds = ahead = direction(-u * t, -w * s)
    products = _ahead(state, ahead, *_lengths(state, ahead))
    after = (products[0].sum(-1) + products[1].sum(-1)) / (u.shape[-1] + w.shape[-1])
    target = (mu * (after / mu).clamp(0, 1) ** 3).unsqueeze(-1)
    towards = (target - u * t - du * dt, target - w * s - dw * ds)
    best = direction(*towards)
    lengths = _lengths(state, best)
    for _ in range(CORRECTORS):
        # Pull in the products that a slightly longer step would take too far from the target.
        longer = [(1.08 * length + 0.1).clamp_max(1.0) for length in lengths]
        products = _ahead(state, best, *longer)
        towards = (
            towards[0] + _pull(products[0], target),
            towards[1] + _pull(products[1], target),
        )
        other = direction(*towards)
        reached = _lengths(state, other)
        better = reached[0] + reached[1] > lengths[0] + lengths[1] + 0.01
        if not bool(better.any()):
            break
        lengths = (
            torch.where(better, reached[0], lengths[0]),
            torch.where(better, reached[1], lengths[1]),
        )
        taken = better.unsqueeze(-1)
        du, dt, dw, ds = (torch.where(taken, b, o) for b, o in zip(other, best, strict=True))
        best = (du, dt, dw, ds)
    # Stay a little inside; ever less so as the path is followed to its end.
    inside = 1 - mu.clamp(1e-4, 0.05)
    one, two = ((inside * length).unsqueeze(-1) for length in lengths)
    du, dt, dw, ds = best
    return dataclasses.replace(
        state, u=u + one * du, s=s + one * ds, w=w + two * dw, t=t + two * dt
    )


def _factorised(a: Tensor, d: Tensor, e: Tensor, dtype: torch.dtype) -> Tensor:
    r"""Return the Cholesky factor of :math:`A^\top \mathrm{diag}(d) A + \mathrm{diag}(e)`."""
    q = a.shape[-1]
    scaled = a.to(dtype) * d.sqrt().unsqueeze(-1).to(dtype)
    normal = scaled.new_empty(*a.shape[:-2], q, q)
    width = max(BLOCK, -(-q // 8))
    for start in range(0, q, width):
        # The factorisation reads the lower half only: that is all that is computed.
        block = slice(start, start + width)
        normal[..., start:, block] = scaled[..., start:].mT @ scaled[..., block]
    diagonal = normal.diagonal(dim1=-2, dim2=-1)
    diagonal += e
    exact = diagonal.clone()
    lifted = torch.full_like(exact[..., :1], 8 * torch.finfo(dtype).eps)
    while True:
        diagonal.copy_(exact * (1 + lifted))
        factor: Tensor
        factor, failed = torch.linalg.cholesky_ex(normal)
        if not bool(failed.any()) or bool((lifted >= 1).any()):
            return factor
        lifted = torch.where(failed.unsqueeze(-1) > 0, 10 * lifted, lifted)


def _solved(a: Tensor, d: Tensor, e: Tensor, factor: Tensor, right: Tensor) -> Tensor:
    """Return the solution of the normal equations, by conjugate gradients from the factor's.

    The products with A keep what forming the normal equations rounds away.
    """

    def back(r: Tensor) -> Tensor:
        right = r.unsqueeze(-1).to(factor.dtype)
        half = torch.linalg.solve_triangular(factor, right, upper=False)
        whole: Tensor = torch.linalg.solve_triangular(factor.mT, half, upper=True)
        return whole.squeeze(-1).to(r.dtype)

    def forward(v: Tensor) -> Tensor:
        return e * v + product(a.mT, d * product(a, v))

    solution = back(right)
    residual = right - forward(solution)
    enough = (1e-12 if factor.dtype == torch.float64 else 1e-6) * right.abs().amax(-1)
    z = step = torch.zeros_like(right)
    slope = torch.zeros_like(right[..., :1])
    for _ in range(REFINEMENTS):
        if bool((residual.abs().amax(-1) <= enough).all()):
            break
        z, before = back(residual), slope
        slope = (residual * z).sum(-1, keepdim=True)
        step = z + _ratio(slope, before) * step
        image = forward(step)
        along = _ratio(slope, (step * image).sum(-1, keepdim=True))
        solution = solution + along * step
        residual = residual - along * image
    return solution


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    return torch.where(denominator > 0, numerator / denominator, 0.0)


def _pull(products: Tensor, target: Tensor) -> Tensor:
    """Return what brings products back into a tenth to ten times the target, at most that far."""
    return (products.clamp(0.1 * target, 10 * target) - products).clamp_min(-10 * target)


def _ahead(state: InteriorState, by: Direction, one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
    """Return the complementarity products after steps of these lengths."""
    du, dt, dw, ds = by
    one, two = one.unsqueeze(-1), two.unsqueeze(-1)
    return (
        (state.u + one * du) * (state.t + two * dt),
        (state.w + two * dw) * (state.s + one * ds),
    )


def _lengths(state: InteriorState, by: Direction) -> tuple[Tensor, Tensor]:
    """Return the longest steps, at most 1, that keep each program's variables positive."""
    du, dt, dw, ds = by
    return _length(state.u, du, state.s, ds), _length(state.w, dw, state.t, dt)


def _length(p: Tensor, dp: Tensor, q: Tensor, dq: Tensor) -> Tensor:
    values, slopes = torch.cat((p, q), -1), torch.cat((dp, dq), -1)
    return torch.where(slopes < 0, -values / slopes, torch.inf).amin(-1).clamp_max(1.0)
