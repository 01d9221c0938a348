"""A step of each second-order method on the ring: the library beside hand-written products.

The hand-written step draws its batch likewise, builds the payoff's gradient once, takes exactly the
Jacobian products that the method's formula names, each of the one block it needs, and moves the
parameters. Both run in one process and in turn, so that the ratio holds when the machine's speed
drifts. Run with ``make bench``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import pytest
import torch
from steps import step_of
from torch import Tensor
from torch.nn.functional import logsigmoid

import eqgan
from eqgan import Constant
from eqgan.gan.networks import mlp
from eqgan.solvers import (
    CompetitiveGradient,
    Consensus,
    FollowTheRidge,
    Lola,
    SymplecticGradient,
    Unrolled,
)

BATCH, WIDTH = 256, 128
RATE, LENGTH, ITERATIONS, UNROLLED = 1e-3, 0.1, 5, 5

Vector = list[Tensor]


class Ring:
    """The game by hand: two networks as lists of tensors, and one batch."""

    def __init__(self) -> None:
        self.rng = torch.Generator().manual_seed(0)
        with torch.random.fork_rng():
            torch.random.manual_seed(0)
            modules = mlp([2, WIDTH, WIDTH, 2]), mlp([2, WIDTH, WIDTH, 1])
        self.modules = modules
        self.x, self.y = (list(m.parameters()) for m in modules)
        angle = torch.randint(8, (100_000,), generator=self.rng) * (2 * torch.pi / 8)
        centers = torch.stack((angle.cos(), angle.sin()), 1)
        self.data = centers + 0.01 * torch.randn(100_000, 2, generator=self.rng)

    def draw(self) -> None:
        rows = torch.randint(len(self.data), (BATCH,), generator=self.rng)
        self.real = self.data.index_select(0, rows)
        self.noise = torch.randn(BATCH, 2, generator=self.rng)

    def fake(self) -> Tensor:
        return network(self.x, self.noise)

    def payoff(self, y: Sequence[Tensor], fake: Tensor) -> Tensor:
        return logsigmoid(network(y, self.real)).mean() + logsigmoid(-network(y, fake)).mean()

    def gradient(self) -> tuple[Vector, Vector]:
        """The payoff's gradient in both players, with its graph."""
        value = self.payoff(self.y, self.fake())
        g = list(torch.autograd.grad(value, self.x + self.y, create_graph=True))
        return g[: len(self.x)], g[len(self.x) :]

    def move(self, dx: Sequence[Tensor], dy: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for p, d in zip(self.x + self.y, [*dx, *dy], strict=True):
                p.sub_(d, alpha=RATE)


def network(parameters: Sequence[Tensor], inputs: Tensor) -> Tensor:
    a, b, c, d, e, f = parameters
    hidden = torch.relu(torch.addmm(b, inputs, a.t()))
    hidden = torch.relu(torch.addmm(d, hidden, c.t()))
    return torch.addmm(f, hidden, e.t())


def times(field: Vector, v: Vector, point: Vector) -> Vector:
    """The gradient of <field, v> in `point`: one product with a block of the Hessian."""
    return list(torch.autograd.grad(field, point, v, retain_graph=True))


def add(a: Vector, b: Vector, alpha: float = 1.0) -> Vector:
    return list(torch._foreach_add(a, b, alpha=alpha))


def neg(a: Vector) -> Vector:
    return list(torch._foreach_neg(a))


def detach(a: Vector) -> Vector:
    return [p.detach() for p in a]


def inner(a: Vector, b: Vector) -> float:
    return float(sum(torch.dot(p.flatten(), q.flatten()) for p, q in zip(a, b, strict=True)))


def conjugate_gradient(apply: Callable[[Vector], Vector], b: Vector) -> Vector:
    x, r, p, rr = [torch.zeros_like(t) for t in b], b, b, inner(b, b)
    for _ in range(ITERATIONS):
        image = apply(p)
        step = rr / inner(p, image)
        x, r = add(x, p, step), add(r, image, -step)
        before, rr = rr, inner(r, r)
        p = add(r, p, rr / before)
    return x


def consensus(ring: Ring) -> None:
    x, y = ring.gradient()
    f, g = detach(x), detach(y)
    slope = times(x + y, f + g, ring.x + ring.y)
    n = len(x)
    ring.move(add(f, slope[:n], LENGTH), add(neg(g), slope[n:], LENGTH))


def symplectic_gradient(ring: Ring) -> None:
    x, y = ring.gradient()
    f, g, n = detach(x), detach(y), len(x)
    slope = times(x + y, f + g, ring.x + ring.y)
    pushed = times(x + y, f + neg(g), ring.x + ring.y)
    field = f + neg(g)
    pushed = pushed[:n] + neg(pushed[n:])
    adjustment = list(torch._foreach_mul(add(slope, pushed, -1.0), 0.5))
    align = inner(field, slope) * inner(adjustment, slope) / sum(p.numel() for p in field)
    total = add(field, adjustment, LENGTH if align + 0.1 >= 0 else -LENGTH)
    ring.move(total[:n], total[n:])


def competitive_gradient(ring: Ring) -> None:
    x, y = ring.gradient()
    f, g = detach(x), detach(y)

    def schur(v: Vector) -> Vector:
        return add(v, times(y, times(x, v, ring.y), ring.x), LENGTH**2)

    right = add(f, times(y, g, ring.x), LENGTH)
    dx = conjugate_gradient(schur, right)
    ring.move(dx, add(neg(g), times(x, dx, ring.y), LENGTH))


def lola(ring: Ring) -> None:
    x, y = ring.gradient()
    f, g = detach(x), detach(y)
    across, back = times(y, g, ring.x), times(x, f, ring.y)
    ring.move(add(f, across, 2 * LENGTH), add(neg(g), back, 2 * LENGTH))


def follow_the_ridge(ring: Ring) -> None:
    x, y = ring.gradient()
    f, g = detach(x), detach(y)

    def damped(v: Vector) -> Vector:
        return add(times(y, times(y, v, ring.y), ring.y), v, LENGTH**2)

    drift = times(x, f, ring.y)
    ridge = conjugate_gradient(damped, times(y, drift, ring.y))
    ring.move(f, add(neg(g), ridge, -1.0))


def unrolled(ring: Ring) -> None:
    fake, ahead = ring.fake(), ring.y
    first = None
    for _ in range(UNROLLED):
        slope = torch.autograd.grad(ring.payoff(ahead, fake), ahead, create_graph=True)
        first = first or [-s.detach() for s in slope]
        ahead = [p + LENGTH * s for p, s in zip(ahead, slope, strict=True)]
    assert first is not None
    ring.move(torch.autograd.grad(ring.payoff(ahead, fake), ring.x), first)


METHODS: dict[str, tuple[eqgan.Solver, Callable[[Ring], None]]] = {  # type: ignore[type-arg]
    "consensus": (Consensus(Constant(RATE), LENGTH), consensus),
    "symplectic_gradient": (SymplecticGradient(Constant(RATE), LENGTH), symplectic_gradient),
    "competitive_gradient": (
        CompetitiveGradient(0.0, ITERATIONS, rate=LENGTH),
        competitive_gradient,
    ),
    "lola": (Lola(Constant(RATE), LENGTH), lola),
    "follow_the_ridge": (
        FollowTheRidge(Constant(RATE), damping=LENGTH, tolerance=0.0, iterations=ITERATIONS),
        follow_the_ridge,
    ),
    "unrolled": (Unrolled(Constant(RATE), UNROLLED, LENGTH), unrolled),
}


def ring_game() -> eqgan.games.GAN:
    ring = Ring()
    return eqgan.games.GAN(*ring.modules, ring.data, noise_dim=2, batch_size=BATCH)


def library_step(solver: eqgan.Solver) -> Callable[[], None]:  # type: ignore[type-arg]
    return step_of(ring_game(), solver)


def hand_written_step(method: Callable[[Ring], None]) -> Callable[[], None]:
    ring = Ring()

    def step() -> None:
        ring.draw()
        method(ring)

    return step


def first_order_step() -> Callable[[], None]:
    return library_step(eqgan.solvers.SimultaneousGradient(Constant(RATE)))


def seconds(step: Callable[[], None], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


@pytest.mark.parametrize("name", METHODS)
def test_ratio_to_hand_written_products(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    solver, method = METHODS[name]
    steps = library_step(solver), hand_written_step(method), first_order_step()
    for step in steps:
        seconds(step, 10)
    rounds = [[seconds(step, 5) for step in steps] for _ in range(30)]
    ours, theirs, plain = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(a / b for a, b, _ in rounds)
    joint = statistics.median(a / c for a, _, c in rounds)
    with capsys.disabled():
        print(
            f"\n{name}: library {1e3 * ours:.2f} ms, hand-written {1e3 * theirs:.2f} ms, ratio "
            f"{ratio:.3f}; {joint:.1f} steps of simultaneous gradient ({1e3 * plain:.2f} ms), "
            f"counted as {solver.evaluations(ring_game()):g}"
        )
