"""Bad input gets one clear sentence: what was expected, what came, what to do."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import eqgan
from eqgan.games import GAN, Bilinear, DiracGAN, FixedGAN, MatrixGame, Mixed, NeuralGame, Quadratic
from eqgan.gan.box_maximum import box_maximum

RPS = [[0, -1, 1], [1, 0, -1], [-1, 1, 0]]
DATA = torch.zeros(10, 2)


def gan(**changes: object) -> GAN:
    options = {
        "generator": nn.Linear(2, 2),
        "discriminator": nn.Linear(2, 1),
        "data": DATA,
        "noise_dim": 2,
    }
    return GAN(**{**options, **changes})


class Twice(nn.Linear):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return super().forward(x), x


class Picky(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise KeyError


BAD = {
    "NaN payoff": (lambda: MatrixGame([[0, math.nan]]), r"finite payoffs; entry \(0, 1\) is nan"),
    "infinite payoff": (lambda: MatrixGame([[math.inf, 0]]), "entry .* is inf"),
    "ragged": (lambda: MatrixGame([[1, 2], [3]]), "every row of the same length"),
    "empty": (lambda: MatrixGame([]), r"got \(0,\)"),
    "no columns": (lambda: MatrixGame([[], []]), "at least one action"),
    "one dimension": (lambda: MatrixGame([1, 2, 3]), r"got \(3,\).*A\[None\]"),
    "number": (lambda: MatrixGame(3.0), r"got \(\)"),
    "strings": (lambda: MatrixGame([["a", "b"]]), "real numbers"),
    "complex": (lambda: MatrixGame(np.array([[1j]])), "real numbers"),
    "None": (lambda: MatrixGame(None), "real numbers"),
    "objects": (lambda: MatrixGame([[object()]]), "real numbers"),
    "one list of actions": (
        lambda: MatrixGame(RPS, actions=["r", "p", "s"]),
        "two lists of names, 3 of the row player's actions and 3 of the column player's; got",
    ),
    "too few actions": (lambda: MatrixGame(RPS, actions=(["r"], ["p"])), "two lists of names, 3"),
    "letters for actions": (lambda: MatrixGame(RPS, actions=("rps", "rps")), "two lists of names"),
    "numbers for actions": (lambda: MatrixGame([[1]], actions=([1], [1])), "two lists of names"),
    "geometry": (lambda: MatrixGame(RPS, geometry="round"), "'entropic' or 'euclidean'"),
    "no game": (lambda: eqgan.solve(RPS), "expects a game"),
    "solver name": (lambda: eqgan.solve(MatrixGame(RPS), "extra_gradient"), "mean 'extragradient'"),
    "solver class": (
        lambda: eqgan.solve(MatrixGame(RPS), eqgan.solvers.Extragradient),
        r"Extragradient\(\)",
    ),
    "game name": (lambda: eqgan.games.named_game("rock_paper"), "mean 'rock_paper_scissors'"),
    "objective name": (lambda: gan(objective="minmax"), "mean 'minimax'"),
    "family name": (lambda: eqgan.games.random_game("unifrom"), "mean 'uniform'"),
    "steps": (lambda: eqgan.solve(MatrixGame(RPS), max_steps=-1), "max_steps"),
    "float steps": (lambda: eqgan.solve(MatrixGame(RPS), max_steps=1e3), "whole number"),
    "tol": (lambda: eqgan.solve(MatrixGame(RPS), tol=math.nan), "tol"),
    "device": (lambda: eqgan.solve(MatrixGame(RPS), device="gpu"), "'cpu', 'cuda' or 'auto'"),
    "seed": (lambda: eqgan.solve(MatrixGame(RPS), seed=1.5), "seed should be a whole number"),
    "huge seed": (lambda: eqgan.solve(MatrixGame(RPS), seed=2**70), "seed should be"),
    "no games": (lambda: MatrixGame(np.zeros((0, 3, 3))), "at least one game"),
    "endless range": (lambda: MatrixGame([[1e308, -1e308]]), "range is finite.*Divide"),
    "rate for a rule": (
        lambda: eqgan.solvers.Extragradient(0.1),
        r"rule should be a Rule, such as eqgan.Constant\(0.1\); got 0.1",
    ),
    "class for a solver": (
        lambda: eqgan.solvers.Averaged(eqgan.solvers.Extragradient),
        "solver should be a Solver",
    ),
    "half steps": (lambda: eqgan.solvers.AlternatingGradient(steps=(1.5, 1)), "whole numbers"),
    "one rule for two": (
        lambda: eqgan.solve(
            DiracGAN(), eqgan.solvers.AlternatingGradient(eqgan.PerPlayer(eqgan.Constant(0.1)))
        ),
        "none for player 1",
    ),
    "half a horizon": (
        lambda: eqgan.solvers.MultiplicativeWeights(horizon=1.5),
        "whole number",
    ),
    "oracle of responses": (
        lambda: eqgan.solve(
            eqgan.games.Mixed(eqgan.games.DiracGAN(), (2, 2)),
            eqgan.solvers.FictitiousPlay(oracle=eqgan.LinearOracle()),
        ),
        "not affine in each player's own strategy",
    ),
    "callback": (
        lambda: eqgan.solve(MatrixGame(RPS), callbacks=[lambda progress: 3]),
        "callback should return",
    ),
    "hidden weight decay": (
        lambda: eqgan.TorchOptimizer(torch.optim.AdamW, {"lr": 0.1}),
        "weight_decay=0",
    ),
    "line search": (lambda: eqgan.TorchOptimizer(torch.optim.LBFGS), "LBFGS"),
    "sparse": (lambda: eqgan.TorchOptimizer(torch.optim.SparseAdam), "SparseAdam"),
    "optimizer options": (
        lambda: eqgan.TorchOptimizer(torch.optim.SGD, {"learning_rate": 1}),
        "cannot be built",
    ),
    "time": (lambda: eqgan.solve(MatrixGame(RPS), time_limit=0), "time_limit"),
    "resume": (lambda: eqgan.solve(MatrixGame(RPS), resume=True), "pass checkpoint"),
    "folder": (
        lambda: eqgan.solve(MatrixGame(RPS), checkpoint="no/such/folder/run.ckpt"),
        "does not exist",
    ),
    "off the simplex": (
        lambda: eqgan.certify(MatrixGame(RPS), ([0.5, 0.5, 0.5], [1, 0, 0])),
        "strategy of row is off its set.*project",
    ),
    "negative": (lambda: eqgan.certify(MatrixGame(RPS), ([2, -1, 0], [1, 0, 0])), "off its set"),
    "one strategy": (lambda: eqgan.certify(MatrixGame(RPS), [[1, 0, 0]]), "2 strategies"),
    "long strategy": (
        lambda: eqgan.certify(MatrixGame(RPS), ([1, 0, 0, 0], [1, 0, 0])),
        r"trailing shape \(3,\).*got \(4,\)",
    ),
    "NaN strategy": (
        lambda: eqgan.certify(MatrixGame(RPS), ([math.nan, 0, 1], [1, 0, 0])),
        "NaN or infinite",
    ),
    "text strategy": (lambda: eqgan.certify(MatrixGame(RPS), ("abc", "def")), "array of numbers"),
    "a dictionary": (lambda: eqgan.certify(MatrixGame(RPS), {"x": 1}), "got dict"),
    "batch mismatch": (
        lambda: eqgan.solve(MatrixGame(RPS), init=(torch.ones(5, 3) / 3, torch.ones(3) / 3)),
        r"batch shape \(5,\), the game \(\)",
    ),
    "solver refuses": (lambda: eqgan.solve(Bilinear([[1.0]]), "linear_program"), "cannot take"),
    "mix of nothing": (lambda: eqgan.solve(DiracGAN(), "mix_gan"), r"Mixed\(game"),
    "weights on networks": (lambda: eqgan.solve(gan(), "regret_matching"), "finitely many actions"),
    "oracle refuses": (
        lambda: eqgan.certify(gan(), gan().initial(None), oracle=eqgan.GridOracle()),
        "takes at most 2",
    ),
    "oracle steps": (lambda: eqgan.GradientOracle(steps=0), "steps >= 1"),
    "bilinear shape": (lambda: Bilinear([1.0]), r"shape \(m, n\)"),
    "asymmetric": (lambda: Quadratic([[1.0]], [[1.0, 2.0]]), "symmetric"),
    "dirac objective": (lambda: DiracGAN("wgan"), "'wasserstein'"),
    "dirac regulariser": (lambda: DiracGAN(regulariser="r2"), "'r1'"),
    "generator shape": (
        lambda: gan(generator=nn.Linear(2, 3)),
        r"noise \(2, 2\), data come as \(2, 2\), and it makes \(2, 3\)",
    ),
    "generator input": (lambda: gan(generator=nn.Linear(5, 2)), "generator fails on an input"),
    "half precision": (
        lambda: gan(generator=nn.Linear(2, 2).half(), discriminator=nn.Linear(2, 1).half()),
        "float32 or float64.*got torch.float16 on cpu",
    ),
    "lazy": (lambda: gan(discriminator=nn.LazyLinear(1)), r"no shape yet \(weight\); run it"),
    "certify no game": (lambda: eqgan.certify(RPS, ([1, 0, 0], [1, 0, 0])), "expects a game"),
    "certify seed": (
        lambda: eqgan.certify(MatrixGame(RPS), ([1, 0, 0], [1, 0, 0]), seed=1.5),
        "seed should be a whole number",
    ),
    "parts on a simplex": (
        lambda: eqgan.solve(MatrixGame(RPS), init=({"a": [1]}, [1, 0, 0])),
        "should be one array .* got parts called 'a'",
    ),
    "text tol": (
        lambda: eqgan.solve(MatrixGame(RPS), tol="1e-6"),
        "tol should be a finite number >= 0",
    ),
    "no tol": (
        lambda: eqgan.solve(MatrixGame(RPS), tol=None),
        "tol should be a finite number >= 0",
    ),
    "text time": (lambda: eqgan.solve(MatrixGame(RPS), time_limit="5"), "time_limit should be"),
    "no steps": (lambda: eqgan.solve(MatrixGame(RPS), max_steps=None), "max_steps should be"),
    "no seed": (lambda: eqgan.solve(MatrixGame(RPS), seed=None), "seed should be"),
    "one callback": (lambda: eqgan.solve(MatrixGame(RPS), callbacks=print), "callbacks should be"),
    "no callbacks": (lambda: eqgan.solve(MatrixGame(RPS), callbacks=None), "callbacks should be"),
    "callbacks of numbers": (
        lambda: eqgan.solve(MatrixGame(RPS), callbacks=[3]),
        "callbacks should be a list of functions",
    ),
    "meta device": (lambda: eqgan.solve(MatrixGame(RPS), device="meta"), "'cpu', 'cuda' or 'auto'"),
    "list of devices": (lambda: eqgan.solve(MatrixGame(RPS), device=[]), "device should be"),
    "meta payoffs": (lambda: MatrixGame(torch.zeros(2, 2, device="meta")), "with values"),
    "number for a solver": (lambda: eqgan.solver_class(3), "name should be text; got 3"),
    "number for a game": (lambda: eqgan.games.named_game(3), "No game is called '3'"),
    "one number of steps": (
        lambda: eqgan.solvers.AlternatingGradient(steps=3),
        r"such as \(1, 5\); got 3",
    ),
    "one size of a mixture": (lambda: Mixed(gan(), 5), "two whole numbers >= 1; got 5"),
    "text grid": (
        lambda: eqgan.GridOracle(points="x"),
        "points should be a whole number >= 2; got 'x'",
    ),
    "half a grid point": (
        lambda: eqgan.GridOracle(points=5.5),
        "points should be a whole number >= 2; got 5.5",
    ),
    "half a search step": (lambda: eqgan.GradientOracle(steps=1.5), "whole numbers steps"),
    "rate for an oracle": (lambda: eqgan.GradientOracle(rule=0.1), "should be a Rule"),
    "one size of a network": (lambda: eqgan.gan.networks.mlp(3), "list of at least two sizes"),
    "one size of a game": (lambda: eqgan.games.random_game("uniform", 5), "shape should be"),
    "no payoff": (lambda: NeuralGame(nn.Linear(2, 2), nn.Linear(2, 1), None), "payoff should be"),
    "module that raises": (lambda: gan(generator=Picky(2, 2)), r"generator fails .*\(KeyError"),
    "fewer than no samples": (lambda: gan().generate(gan().initial(None), -1), "n should be"),
    "half a sample": (lambda: gan().generate(gan().initial(None), 2.5), "n should be"),
    "no chunk": (lambda: gan().generate(gan().initial(None), 4, chunk=0), "chunk should be"),
    "comparison's tol": (
        lambda: eqgan.compare({"d": DiracGAN()}, ["extragradient"], tol="x"),
        "tol should be a finite number >= 0",
    ),
    "discriminator shape": (
        lambda: gan(discriminator=nn.Linear(2, 2)),
        r"one number a sample.*data come as \(2, 2\), the generator makes \(2, 2\), and it gives "
        r"\(2, 2\)",
    ),
    "discriminator input": (
        lambda: gan(discriminator=nn.Linear(3, 1)),
        r"discriminator fails on an input of shape \(2, 2\) \(.*3x1.*\); the generator takes noise "
        r"\(2, 2\), data come as \(2, 2\), the generator makes \(2, 2\)",
    ),
    "discriminator output": (lambda: gan(discriminator=Twice(2, 1)), "should return a tensor"),
    "flat data": (lambda: gan(data=torch.zeros(10)), r"data\[:, None\]"),
    "NaN data": (lambda: gan(data=DATA * math.nan), "NaN"),
    "no data": (lambda: gan(data=torch.zeros(0, 2)), "N >= 1"),
    "text data": (lambda: gan(data="faces"), "tensor, an array or a Dataset"),
    "noise": (lambda: gan(noise_dim=0), "noise_dim"),
    "batch size": (lambda: gan(batch_size=2.5), "batch_size"),
    "no module": (lambda: gan(generator=lambda h: h), "torch.nn.Module"),
    "no parameters": (lambda: gan(generator=nn.Identity()), "no strategy to choose"),
    "two dtypes": (lambda: gan(discriminator=nn.Linear(2, 1).double()), "share one dtype"),
    "dropout": (
        lambda: gan(discriminator=nn.Sequential(nn.Linear(2, 1), nn.Dropout())),
        r"discriminator.1 is an active Dropout.*\.eval\(\)",
    ),
    "vector payoff": (
        lambda: NeuralGame(nn.Linear(1, 1), nn.Linear(1, 1), lambda g, d, b: torch.zeros(3)),
        "0-dimensional",
    ),
    "float32 for float64": (
        lambda: FixedGAN.draw(gan(), 2).payoff(gan().initial(None)),
        r"discriminator's parameters are torch.float32, .* profile.to\(torch.float64\)",
    ),
    "payoff of no batch": (lambda: gan().payoff(gan().initial(None)), "those of a batch"),
    "text betas": (lambda: eqgan.Adam(betas=("a", 0.9)), "betas should be two numbers"),
    "text seed": (lambda: DiracGAN().generator("a"), "seed should be .* got 'a'"),
    "text box": (lambda: box_maximum(nn.Linear(1, 1), "a", 1.0), "ends of a box; got a, 1.0"),
    "two tables": (lambda: MatrixGame(RPS, RPS), "solves zero-sum games. If .* B = -A, leave B"),
    "initials": (lambda: eqgan.games.named_game("rps"), "Did you mean 'rock_paper_scissors'"),
    "a beginning": (lambda: eqgan.solver_class("extra"), "Did you mean 'extragradient'"),
    "nothing alike": (
        lambda: eqgan.solver_class("nope"),
        "No solver is called 'nope'. Known: adaptive",
    ),
    "a game for a picture": (
        lambda: eqgan.plots.payoff_matrix(MatrixGame(RPS)),  # type: ignore[arg-type]
        r"of a run, of what eqgan.solve\(game\) returned; got MatrixGame",
    ),
    "a game of no spaces": (
        lambda: eqgan.solve(type("Mine", (eqgan.ZeroSumGame,), {"payoff": None})()),
        r"Mine should set spaces, the strategies of 2 players, such as .*; got None",
    ),
    "an array for quality": (lambda: eqgan.gan.Quality(np.zeros((99, 2))), "got ndarray"),
    "text for noise": (lambda: FixedGAN(gan(), DATA, "a"), "noise should be an array"),
    "text for an activation": (
        lambda: eqgan.gan.networks.mlp([2, 1], "relu"),  # type: ignore[arg-type]
        "a module's class, nn.ReLU; got 'relu'",
    ),
    "a number for a picture": (lambda: eqgan.plots.gap(5), "gap draws results"),
    "a file's number": (lambda: eqgan.games.load(5), "should be a path; got 5"),
    "lists of features": (
        lambda: eqgan.gan.metrics.frechet_distance([1], [2]),  # type: ignore[arg-type]
        "should be tensors; got list and list",
    ),
    "lists of images": (
        lambda: eqgan.gan.classifier.train_classifier([1], [2]),  # type: ignore[arg-type]
        "tensors of images and labels; got list and list",
    ),
    "text for actions": (lambda: eqgan.Simplex("a"), "at least one action; got n='a'"),
    "mixture for data": (lambda: gan(data=eqgan.data.ring(9)), "pass its .samples"),
    "loader for data": (lambda: gan(data=torch.utils.data.DataLoader(DATA)), "pass its .dataset"),
    "result for a profile": (
        lambda: eqgan.certify(MatrixGame(RPS), eqgan.solve(MatrixGame(RPS))),
        "got Result; pass its .profile",
    ),
    "text for a schedule": (lambda: eqgan.InverseSqrt("a"), "rate should be"),
    "half a schedule": (lambda: eqgan.Cosine(1.0, 2.5), "steps should be a whole number"),
    "a column by index": (
        lambda: eqgan.solve(MatrixGame(RPS)).trace["value"],
        r"had by .column\('value'\)",
    ),
    "too many atoms": (lambda: Mixed(DiracGAN(), (10**11, 1)), "at most 1000000 atoms"),
    "too few profiles": (
        lambda: Mixed(DiracGAN(), (2, 3)).uniform([DiracGAN().initial(None)]),
        "needs 3 profiles; got 1",
    ),
    "mixture sizes": (lambda: Mixed(DiracGAN(), (0, 2)), "whole numbers >= 1"),
    "mixture of a mixture": (lambda: Mixed(Mixed(DiracGAN(), (2, 2)), (2, 2)), "single tensors"),
    "mixture of a batch": (lambda: Mixed(MatrixGame(np.zeros((4, 2, 2))), (2, 2)), "a batch"),
    "batch norm in a mixture": (
        lambda: Mixed(
            gan(discriminator=nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))),
            (2, 2),
        ),
        "GroupNorm",
    ),
    "mixture without weights": (
        lambda: eqgan.certify(Mixed(DiracGAN(), (2, 2)), ([1.0], [1.0])),
        "keys",
    ),
    "samples of no GAN": (
        lambda: Mixed(DiracGAN(), (1, 1)).generate(
            Mixed(DiracGAN(), (1, 1)).initial(torch.Generator()), 5
        ),
        "Only GANs",
    ),
    "trace column": (lambda: eqgan.solve(MatrixGame(RPS)).trace.column("gap"), "nash_conv"),
    "modes": (
        lambda: eqgan.gan.metrics.modes(torch.zeros(3, 2), torch.zeros(8, 3), 0.1),
        r"\(3, 2\)",
    ),
}


@pytest.mark.parametrize("case", BAD, ids=list(BAD))
def test_one_clear_sentence(case: str) -> None:
    action, sentence = BAD[case]
    with pytest.raises(eqgan.EqganError, match=sentence) as caught:
        action()
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert len(text) < 700


def test_what_a_payoff_raises_is_put_into_words() -> None:
    def wrong(minimizer, maximizer, batch) -> torch.Tensor:  # type: ignore[no-untyped-def]
        return maximizer(minimizer(batch).repeat(1, 3)).mean()

    with pytest.raises(eqgan.InvalidInput, match=r"with a batch of shape \(4, 1\): mat1 and mat2"):
        eqgan.games.NeuralGame(
            torch.nn.Linear(1, 1), torch.nn.Linear(1, 1), wrong, lambda rng: torch.zeros(4, 1)
        )
    with pytest.raises(eqgan.InvalidInput, match=r"payoff fails .* takes 2 positional arguments"):
        eqgan.games.NeuralGame(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1), lambda g, d: g(d))  # type: ignore[arg-type,misc]


def test_a_memory_goes_on_with_the_solver_that_it_is_of() -> None:
    game = eqgan.games.rock_paper_scissors()
    half = eqgan.solve(game, "optimistic_gradient", max_steps=3)
    with pytest.raises(eqgan.InvalidInput, match="RegretMatchingPlus's own memory"):
        eqgan.solve(game, "regret_matching_plus", init=half.last, state=half.state)


def test_errors_are_builtins_too() -> None:
    with pytest.raises(ValueError, match="finite"):
        MatrixGame([[math.nan]])
    with pytest.raises(LookupError):
        eqgan.games.named_game("chess")
    with pytest.raises(TypeError):
        eqgan.solve(DiracGAN(), "linear_program")


def test_a_refused_run_leaves_the_game_and_the_start_untouched(tmp_path: Path) -> None:
    game = MatrixGame(RPS)
    payoffs, start = game.payoff_matrix.clone(), torch.tensor([0.5, 0.6, 0.5])
    with pytest.raises(eqgan.EqganError):
        eqgan.solve(game, init=(start, start), checkpoint=tmp_path / "run.ckpt")
    assert torch.equal(game.payoff_matrix, payoffs)
    assert torch.equal(start, torch.tensor([0.5, 0.6, 0.5]))
    assert list(tmp_path.iterdir()) == []


def test_device_mismatch_is_named() -> None:
    elsewhere = torch.zeros(3, device="meta")
    with pytest.raises(eqgan.InvalidInput, match=r"is on meta, the game on cpu.*\.to"):
        eqgan.certify(MatrixGame(RPS), (elsewhere, elsewhere))


def test_user_modules_are_never_changed() -> None:
    generator, discriminator = (
        nn.Linear(2, 2),
        nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)),
    )
    before = {k: v.clone() for k, v in discriminator.state_dict().items()}
    run = eqgan.solve(gan(generator=generator, discriminator=discriminator), max_steps=3)
    assert all(torch.equal(v, before[k]) for k, v in discriminator.state_dict().items())
    assert discriminator[1].track_running_stats
    assert run.steps == 3
