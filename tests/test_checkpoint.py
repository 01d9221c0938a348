"""Checkpoints: runs survive anything, and go on as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import scipy.sparse
import torch
from test_run import START, Explosive, rps, tiny_gan

import eqgan
from eqgan import Adam, Constant, Profile
from eqgan.checkpoint import FORMAT, _checksum
from eqgan.solvers import (
    Extragradient,
    FictitiousPlay,
    MixGan,
    MovingAverage,
    OptimisticGradient,
    SimultaneousGradient,
)

RESUMABLE = [
    (rps, OptimisticGradient(rule=Constant(0.05)), START),
    (tiny_gan, MovingAverage(Extragradient(rule=Adam(1e-3))), None),
    (
        tiny_gan,
        SimultaneousGradient(rule=eqgan.TorchOptimizer(torch.optim.RMSprop, {"lr": 1e-3})),
        None,
    ),
    (lambda: eqgan.games.Mixed(tiny_gan(), (2, 2)), MixGan(), None),
    (
        lambda: eqgan.games.Mixed(tiny_gan(), (2, 2)),
        FictitiousPlay(oracle=eqgan.GradientOracle(steps=2, restarts=1)),
        None,
    ),
]


@pytest.mark.parametrize(("build", "solver", "init"), RESUMABLE, ids=lambda v: type(v).__name__)
def test_resumed_runs_are_bit_equal(build, solver, init, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "run.ckpt"
    options = {"init": init, "tol": 0, "check_every": 3}
    whole = eqgan.solve(build(), solver, max_steps=20, **options)
    eqgan.solve(build(), solver, max_steps=11, checkpoint=path, checkpoint_every=4, **options)
    rest = eqgan.solve(build(), solver, max_steps=20, checkpoint=path, resume=True, **options)
    assert whole.profile.equal(rest.profile)
    assert whole.last.equal(rest.last)
    strip = [{k: v for k, v in row.items() if k != "seconds"} for row in whole.trace]
    # The interrupted run also measured its own last step.
    again = [{k: v for k, v in r.items() if k != "seconds"} for r in rest.trace if r["step"] != 11]
    assert strip == again


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_restored_tensors_round_as_fresh_ones(steps: int, tmp_path: Path) -> None:
    # Products with operands that are aligned otherwise may round otherwise; tables of a few
    # entries never do.
    game, path = eqgan.games.random_game("normal", (30, 40), seed=1), tmp_path / "run.ckpt"
    solver = "regret_matching_plus"
    whole = eqgan.solve(game, solver, max_steps=400, tol=0)
    eqgan.solve(game, solver, max_steps=steps, tol=0, checkpoint=path)
    rest = eqgan.solve(game, solver, max_steps=400, tol=0, checkpoint=path, resume=True)
    assert whole.profile.equal(rest.profile)
    assert whole.last.equal(rest.last)


VICTIM = """
import sys
sys.path.insert(0, {here!r})
import torch
torch.set_num_threads(1)
import eqgan
from test_run import tiny_gan
solver = eqgan.solvers.Extragradient(rule=eqgan.Adam(1e-3))
eqgan.solve(tiny_gan(), solver, max_steps=10**7, checkpoint={path!r}, checkpoint_every=2)
"""


def test_kill_minus_nine_and_resume_is_bit_equal(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    code = VICTIM.format(here=str(Path(__file__).parent), path=str(path))
    victim = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    solver = Extragradient(rule=Adam(1e-3))
    saved = eqgan.solve(tiny_gan(), solver, max_steps=0, checkpoint=path, resume=True)
    steps = saved.steps + 5
    assert saved.steps >= 2
    resumed = eqgan.solve(tiny_gan(), solver, max_steps=steps, checkpoint=path, resume=True)
    whole = eqgan.solve(tiny_gan(), solver, max_steps=steps)
    assert resumed.profile.equal(whole.profile)


def test_a_resume_without_a_file_starts_afresh(tmp_path: Path) -> None:
    run = eqgan.solve(rps(), max_steps=5, checkpoint=tmp_path / "new.ckpt", resume=True)
    assert run.status is eqgan.Status.CONVERGED


def test_no_flipped_bit_passes_for_a_result(tmp_path: Path) -> None:
    path, solver = tmp_path / "run.ckpt", SimultaneousGradient()
    whole = eqgan.solve(rps(), solver, init=START, max_steps=4, checkpoint=path)
    written = path.read_bytes()
    again = {"init": START, "max_steps": 4, "checkpoint": path, "resume": True}
    for place in range(0, 8 * len(written), 97):
        damaged = bytearray(written)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            again = eqgan.solve(
                rps(), solver, init=START, max_steps=4, checkpoint=path, resume=True
            )
        except eqgan.CheckpointError:
            continue
        # Spaces between the tensors, or a name that nothing reads.
        assert again.last.equal(whole.last)


@pytest.mark.parametrize(
    "tree", [None, 3, [], {}, {"tensor": "0"}, {"mapping": []}, {"float": "z"}]
)
def test_a_whole_file_of_another_structure_is_one_sentence(tree: object, tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    tensors = {"0": torch.zeros(1)}
    document = {"format": FORMAT, "tree": tree, "checksum": _checksum(tree, tensors)}
    path.write_bytes(safetensors.torch.save(tensors, {"eqgan": json.dumps(document)}))
    with pytest.raises(eqgan.CheckpointError, match="another structure"):
        eqgan.solve(rps(), checkpoint=path, resume=True)


@pytest.mark.parametrize("document", [[], 3, None, {"format": 1}])
def test_a_header_that_is_none_is_one_sentence(document: object, tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    path.write_bytes(safetensors.torch.save({}, {"eqgan": json.dumps(document)}))
    with pytest.raises(eqgan.CheckpointError, match="checkpoint"):
        eqgan.solve(rps(), checkpoint=path, resume=True)


@pytest.mark.parametrize("damage", ["truncated", "junk", "empty", "flipped"])
def test_a_damaged_checkpoint_is_one_sentence(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    solver = SimultaneousGradient()
    eqgan.solve(rps(), solver, init=START, max_steps=4, checkpoint=path)
    whole = path.read_bytes()
    path.write_bytes(
        {
            "truncated": whole[: len(whole) // 2],
            "junk": b"not a checkpoint at all",
            "empty": b"",
            "flipped": whole.replace(b"eqgan", b"eqgam"),
        }[damage]
    )
    with pytest.raises(eqgan.CheckpointError, match="checkpoint"):
        eqgan.solve(rps(), solver, init=START, max_steps=9, checkpoint=path, resume=True)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    eqgan.solve(rps(), SimultaneousGradient(), init=START, max_steps=4, checkpoint=path)
    for solver in (SimultaneousGradient(rule=Constant(0.3)), OptimisticGradient()):
        with pytest.raises(eqgan.CheckpointError, match=r"Delete it|written by another run"):
            eqgan.solve(rps(), solver, init=START, max_steps=9, checkpoint=path, resume=True)


def test_a_failed_write_leaves_the_previous_checkpoint_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eqgan import checkpoint

    path = tmp_path / "run.ckpt"
    checkpoint.save(path, {"a": torch.ones(3)})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(eqgan.CheckpointError, match=r"No space left.* was saved there before"):
        checkpoint.save(path, {"a": torch.zeros(3)})
    monkeypatch.undo()
    assert torch.equal(checkpoint.load(path, {"a": None})["a"], torch.ones(3))
    assert list(tmp_path.iterdir()) == [path]


KILLED_WHILE_WRITING = """
import os, sys
os.fsync = os._exit
from pathlib import Path
from eqgan.checkpoint import write_atomically
for _ in range(2):
    if not os.fork():
        write_atomically(Path(sys.argv[1]), b"half")
    os.wait()
"""


def test_killed_writers_leave_no_heap_behind(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], check=True)
    assert len(list(tmp_path.iterdir())) == 1
    eqgan.solve(rps(), checkpoint=path, resume=True)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    for folder in (tmp_path, ""):
        with pytest.raises(eqgan.InvalidInput, match="should be a file"):
            eqgan.solve(rps(), checkpoint=folder)


def test_a_checkpoint_holds_no_code(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    eqgan.solve(tiny_gan(), "extragradient", max_steps=2, checkpoint=path)
    header = path.read_bytes()
    assert b"\x80\x04" not in header[:2]
    assert b"eqgan.solvers" not in header
    assert b"pickle" not in header


def test_a_checkpoint_of_another_sparse_game_is_refused(tmp_path: Path) -> None:
    path, solver = tmp_path / "run.ckpt", SimultaneousGradient(rule=Constant(0.1))
    first = scipy.sparse.random_array((20, 20), density=0.2, format="csr", rng=0)
    # They look alike: the same numbers, in other places.
    games = [eqgan.games.MatrixGame(payoffs) for payoffs in (first, first[::-1].tocsr())]
    assert repr(games[0]) == repr(games[1])
    eqgan.solve(games[0], solver, max_steps=4, checkpoint=path)
    with pytest.raises(eqgan.CheckpointError, match="written by another run"):
        eqgan.solve(games[1], solver, max_steps=9, checkpoint=path, resume=True)
    assert eqgan.solve(games[0], solver, max_steps=9, checkpoint=path, resume=True).steps == 9


def test_a_checkpoint_of_another_game_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    first, second = (eqgan.games.random_game("normal", (5, 5), seed) for seed in (0, 1))
    solver = SimultaneousGradient(rule=Constant(0.1))
    eqgan.solve(first, solver, max_steps=4, checkpoint=path)
    with pytest.raises(eqgan.CheckpointError, match="written by another run"):
        eqgan.solve(second, solver, max_steps=9, checkpoint=path, resume=True)
    assert eqgan.solve(first, solver, max_steps=9, checkpoint=path, resume=True).steps == 9


def test_a_checkpoint_of_another_precision_is_refused(tmp_path: Path) -> None:
    path, solver = tmp_path / "run.ckpt", SimultaneousGradient(rule=Constant(0.1))
    payoffs = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    eqgan.solve(eqgan.games.MatrixGame(payoffs), solver, max_steps=4, checkpoint=path)
    double = eqgan.games.MatrixGame(payoffs.double())
    with pytest.raises(eqgan.CheckpointError, match=r"float32.*this one is.*float64"):
        eqgan.solve(double, solver, max_steps=9, checkpoint=path, resume=True)


def test_a_diverged_run_never_overwrites_a_good_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    options = {"init": ([0.0], [-5.0]), "check_every": 50, "checkpoint": path}
    run = eqgan.solve(
        Explosive(), "simultaneous_gradient", checkpoint_every=1, max_steps=50, **options
    )
    assert run.status is eqgan.Status.DIVERGED
    again = eqgan.solve(Explosive(), "simultaneous_gradient", resume=True, max_steps=0, **options)
    assert again.profile.is_finite()


def test_a_resumed_run_checks_where_the_unbroken_one_does(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    options = {"init": START, "tol": 1e-3, "check_every": 50}
    solver = OptimisticGradient(rule=Constant(0.3))
    whole = eqgan.solve(rps(), solver, max_steps=2000, **options)

    def pull_the_plug(progress: eqgan.Progress) -> None:
        if progress.step == 150:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        eqgan.solve(
            rps(), solver, callbacks=[pull_the_plug], checkpoint=path, checkpoint_every=7, **options
        )
    rest = eqgan.solve(rps(), solver, max_steps=2000, checkpoint=path, resume=True, **options)
    assert whole.status is rest.status is eqgan.Status.CONVERGED
    assert whole.profile.equal(rest.profile)
    assert whole.trace.column("step") == rest.trace.column("step")


def test_ctrl_c_in_the_middle_of_a_step_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"

    class Interrupted(eqgan.games.GAN):
        """Ctrl-C comes while the seventh step computes, after its sample was drawn."""

        calls = 0

        def operator(self, z: Profile, batch: object = None) -> Profile:
            type(self).calls += 1
            if type(self).calls == 7:
                raise KeyboardInterrupt
            return super().operator(z, batch)

    gan = tiny_gan()
    victim = tiny_gan()
    victim.__class__ = Interrupted
    solver = SimultaneousGradient(rule=Adam(1e-3))
    stopped = eqgan.solve(victim, solver, max_steps=20, checkpoint=path)
    assert (stopped.status, stopped.steps) == (eqgan.Status.STOPPED, 6)
    rest = eqgan.solve(victim, solver, max_steps=20, checkpoint=path, resume=True)
    assert rest.profile.equal(eqgan.solve(gan, solver, max_steps=20).profile)


def test_the_time_limit_is_of_this_launch(tmp_path: Path) -> None:
    options = {"init": START, "tol": 0, "check_every": 10, "checkpoint": tmp_path / "run.ckpt"}
    solver = SimultaneousGradient()
    first = eqgan.solve(rps(), solver, max_steps=10**8, time_limit=0.2, **options)
    second = eqgan.solve(rps(), solver, max_steps=10**8, time_limit=0.2, resume=True, **options)
    assert second.steps > first.steps + 10


@pytest.mark.parametrize(
    "other",
    [
        eqgan.games.DiracGAN("wasserstein", "r1", 0.1),
        eqgan.games.DiracGAN("minimax", "r1", 5.0),
        eqgan.games.DiracGAN("minimax"),
    ],
    ids=repr,
)
def test_a_checkpoint_knows_its_games_settings(other: eqgan.Game, tmp_path: Path) -> None:
    path, solver = tmp_path / "run.ckpt", SimultaneousGradient(rule=Constant(0.1))
    eqgan.solve(eqgan.games.DiracGAN("minimax", "r1", 0.1), solver, max_steps=4, checkpoint=path)
    with pytest.raises(eqgan.CheckpointError, match="written by another run"):
        eqgan.solve(other, solver, max_steps=9, checkpoint=path, resume=True)


def test_each_checkpoint_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eqgan import checkpoint

    steps: list[int] = []
    save = checkpoint.save

    def counted(path: Path, tree: dict) -> None:
        steps.append(tree["step"])
        save(path, tree)

    monkeypatch.setattr(checkpoint, "save", counted)
    options = {"init": START, "tol": 0, "checkpoint": tmp_path / "run.ckpt"}
    eqgan.solve(rps(), SimultaneousGradient(), max_steps=20, checkpoint_every=5, **options)
    assert steps == [5, 10, 15, 20]
    steps.clear()
    eqgan.solve(rps(), SimultaneousGradient(), max_steps=12, checkpoint_every=5, **options)
    assert steps == [5, 10, 12]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path) -> None:
    """A pipe stands for devices, which tests must not touch."""
    pipe = tmp_path / "run.ckpt"
    os.mkfifo(pipe)
    with pytest.raises(eqgan.InvalidInput, match="is a device or the like"):
        eqgan.solve(rps(), max_steps=1, checkpoint=pipe)
    assert pipe.is_fifo()
