"""Steps on torch's meta device, which has no numbers: a stand-in for a GPU where there is none.

A step that runs there mixes no devices and reads no number back, so on a GPU it never waits.
"""

from typing import Any

import pytest
import torch
from test_gan import ring_gan

import eqgan
from eqgan.games import Bilinear, DiracGAN, FiniteGAN, MatrixGame, Mixed
from eqgan.gan.objectives import Wasserstein

GAMES = {
    "matrix": lambda: eqgan.games.random_game("normal", (3, 4)),
    "matrix batch": lambda: eqgan.games.random_game("normal", (2, 3, 4)),
    "euclidean": lambda: MatrixGame([[0, 1], [2, 3]], geometry="euclidean"),
    "quantal": lambda: eqgan.games.QuantalResponse(eqgan.games.random_game("normal", (3, 4)), 0.5),
    "bilinear": lambda: Bilinear([[1.0, 2.0]]),
    "dirac": lambda: DiracGAN("non_saturating", "r1"),
    "finite": lambda: FiniteGAN([0.5, 0.5]),
    "finite wasserstein": lambda: FiniteGAN([0.5, 0.5], "wasserstein"),
    "gan": lambda: ring_gan(),
    "gan non-saturating": lambda: ring_gan("non_saturating"),
    "gan penalty": lambda: ring_gan(Wasserstein(penalty=10.0)),
    "gan clipped": lambda: ring_gan(Wasserstein(clip=0.1)),
    "mixed gan": lambda: Mixed(ring_gan(), (2, 3)),
    "mixed gan penalty": lambda: Mixed(ring_gan(Wasserstein(penalty=10.0)), (2, 3)),
    "mixed dirac": lambda: Mixed(DiracGAN(), (2, 2)),
}

READS_NUMBERS = {
    "adaptive_competitive_gradient": "its linear solve looks whether it is done",
    "best_so_far": "it compares gaps",
    "competitive_gradient": "its linear solve looks whether it is done",
    "double_oracle": "HiGHS computes on the CPU",
    "fictitious_play": "over networks it picks the best search",
    "follow_the_ridge": "its linear solve looks whether it is done",
    "interior_point": "it looks whether it is done",
    "linear_program": "HiGHS computes on the CPU",
    "proximal_point": "its inner loop looks whether it is done",
    "rational": "fractions live on the CPU",
    "pivoting": "it pivots on the CPU",
    "restarted": "it compares gaps",
    "support_polish": "it compares gaps",
}


def on_meta(batch: Any) -> Any:
    if batch is None:
        return None
    return type(batch)(*[part if part is None else part.to("meta") for part in batch])


@pytest.mark.parametrize("kind", GAMES)
@pytest.mark.parametrize("name", sorted(set(eqgan.available_solvers()) - set(READS_NUMBERS)))
def test_steps_mix_no_devices_and_wait_for_nothing(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    game, solver = GAMES[kind](), eqgan.solver_class(name)()
    rng = game.generator(0)
    start, batch = game.initial(rng), on_meta(game.sample(rng))
    _ = getattr(game, "lipschitz", None), getattr(game, "payoff_range", None)
    away = game.to("meta")
    monkeypatch.setattr(away, "sample", lambda rng: batch, raising=False)
    reason = solver.unsupported(away)
    if reason is not None:
        assert len(reason.split()) > 5
        return
    z = start.to("meta")
    state = solver.init(away, z)
    for _ in range(2):
        z, state = solver.step(away, z, state, rng)
    for leaf in (*z.leaves(), *solver.output(z, state).leaves()):
        assert leaf.device.type == "meta"
    shapes = [leaf.shape for leaf in z.leaves()]
    assert shapes == [leaf.shape for leaf in start.leaves()]


def test_the_gpu_is_taken_where_there_is_one() -> None:
    result = eqgan.solve(eqgan.games.rock_paper_scissors(), device="auto")
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert result.game.device.type == result.profile.leaves()[0].device.type == expected
