import pytest
import torch

import eqgan
from eqgan import Adam, Constant, Cosine, InverseSqrt, PerPlayer, Profile, TorchOptimizer


def gradients(steps: int = 20) -> list[Profile]:
    rng = torch.Generator().manual_seed(0)
    return [
        Profile((torch.randn(5, generator=rng), torch.randn(3, generator=rng)))
        for _ in range(steps)
    ]


def travelled(rule: eqgan.Rule) -> Profile:
    """Minus the sum of all displacements: where an optimizer would end from zero."""
    z = gradients(1)[0] * 0.0
    state = rule.init(z)
    for g in gradients():
        d, state = rule.direction(g, state)
        z = z - d
    return z


def optimized(kind: type[torch.optim.Optimizer], **options: object) -> Profile:
    leaves = [torch.zeros(5, requires_grad=True), torch.zeros(3, requires_grad=True)]
    optimizer = kind(leaves, **options)
    for g in gradients():
        for leaf, gradient in zip(leaves, g.leaves(), strict=True):
            leaf.grad = gradient
        optimizer.step()
    return Profile(leaf.detach() for leaf in leaves)


def close(a: Profile, b: Profile) -> None:
    for left, right in zip(a.leaves(), b.leaves(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6)


def test_adam_is_torch_adam() -> None:
    close(
        travelled(Adam(0.01, betas=(0.5, 0.9))),
        optimized(torch.optim.Adam, lr=0.01, betas=(0.5, 0.9)),
    )


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        (torch.optim.RMSprop, {"lr": 0.01}),
        (torch.optim.Adagrad, {"lr": 0.1}),
        (torch.optim.NAdam, {"lr": 0.01}),
    ],
)
def test_any_torch_optimizer_is_a_rule(kind: type[torch.optim.Optimizer], options: dict) -> None:
    close(travelled(TorchOptimizer(kind, options)), optimized(kind, **options))


def test_a_stack_moves_as_its_rows_do_one_by_one() -> None:
    rule, rng = Adam(0.1), torch.Generator().manual_seed(0)
    stack = torch.randn(4, 4, 6, generator=rng)
    z = Profile((torch.zeros(4, 6),))
    state, rows = rule.init(z), [rule.init(Profile((torch.zeros(6),)))] * 4
    for step in range(4):
        d, state = rule.direction(Profile((stack[step],)), state)
        for k in range(4):
            row, rows[k] = rule.direction(Profile((stack[step, k],)), rows[k])
            torch.testing.assert_close(d[0][k], row[0], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "rule",
    [Constant(0.1), Adam(0.1), TorchOptimizer(torch.optim.SGD, {"lr": 0.1, "momentum": 0.5})],
    ids=lambda r: type(r).__name__,
)
def test_direction_changes_neither_gradient_nor_state(rule: eqgan.Rule) -> None:
    first, second = gradients(2)
    _, state = rule.direction(first, rule.init(first))
    a, _ = rule.direction(second, state)
    b, _ = rule.direction(second, state)
    assert a.equal(b)
    assert second.equal(gradients(2)[1])


def test_schedules_are_read_at_each_step() -> None:
    g = Profile((torch.ones(1, dtype=torch.float64),))
    state, moved = 0, []
    for _ in range(4):
        d, state = Constant(InverseSqrt(1.0)).direction(g, state)
        moved.append(float(d[0]))
    assert moved == pytest.approx([1.0, 2**-0.5, 3**-0.5, 0.5])
    assert Cosine(1.0, steps=4)(4) == pytest.approx(0.0)


def test_players_move_by_their_own_rules() -> None:
    g = Profile((torch.ones(1), torch.ones(1)))
    rule = PerPlayer(Constant(0.1), Constant(0.4))
    d, _ = rule.direction(g, rule.init(g))
    assert [round(float(s), 6) for s in d] == [0.1, 0.4]
    assert rule.for_player(1) == Constant(0.4)


def test_a_batch_of_games_has_a_rate_for_each() -> None:
    rate = torch.tensor([0.1, 1.0])
    d, _ = Constant(rate).direction(Profile((torch.ones(2, 3),)), 0)
    assert torch.equal(d[0], rate[:, None].expand(2, 3))


@pytest.mark.parametrize(
    "build",
    [
        lambda: Constant(0.0),
        lambda: Constant(float("nan")),
        lambda: Adam(-1.0),
        lambda: Adam(1e-3, betas=(0.9, 1.0)),
        lambda: TorchOptimizer(torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.1}),
    ],
)
def test_impossible_rules_are_refused(build) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(eqgan.InvalidInput):
        build()


def test_the_default_step_follows_the_games_scale() -> None:
    small, large = (eqgan.games.Bilinear([[a]]) for a in (1.0, 100.0))
    assert eqgan.default_rule(small) == Constant(0.5)
    assert eqgan.default_rule(large) == Constant(0.005)
