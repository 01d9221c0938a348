"""Training from a study: one folder holds all that a run was, and the run can be trusted to go on.

The folder holds

- ``study.toml``: the study, as read;
- ``launches.json``: for each launch the versions of eqgan, torch and Python, seed, threads, device;
- ``trace.csv``: what was measured, whole at every check;
- ``samples_*.png``: what the generator makes, always of the same noise, where it can be drawn;
- ``run.ckpt``: the checkpoint, from which ``--resume`` goes on, bit-equal to an unbroken run;
- ``profile.safetensors``, ``result.json``, ``report.md``: the outcome, when the run has ended.

Every file is replaced whole or not at all.
"""

from __future__ import annotations

import contextlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from eqgan import checkpoint
from eqgan.callbacks import SampleGrids, TensorBoard, TraceFile, can_draw
from eqgan.errors import CheckpointError, InvalidInput, UnreadableFile
from eqgan.games import GAN, Mixed
from eqgan.gan.quality import COLLAPSED, COLUMNS, SPREAD
from eqgan.loop import Callback
from eqgan.paths import as_path
from eqgan.profile import Profile
from eqgan.report import Report, make_folder, worded, worded_gap, write
from eqgan.result import Result, Status, Trace
from eqgan.run import solve
from eqgan.study import Study, parsed, read_study
from eqgan.terminal import run_document, to_json
from eqgan.threads import threads

STUDY, LAUNCHES, CHECKPOINT = "study.toml", "launches.json", "run.ckpt"
TRACE, PROFILE, RESULT = "trace.csv", "profile.safetensors", "result.json"

FLEXIBLE = {"steps", "time_limit", "checkpoint_every", "tensorboard"}
"""Keys of ``[run]`` that may change when a run is resumed."""


def train(
    study: Study | str | Path,
    folder: str | Path,
    *,
    resume: bool = False,
    progress: bool = False,
) -> Result:
    """Run a study, and keep all that it was in one folder.

    Ctrl-C saves the run and returns the result so far, without a certificate in ``result.json``.

    Args:
        study: The study, or its file.
        folder: Where the run is kept; made if it does not exist.
        resume: Go on with the run that the folder holds, if it holds one.
        progress: Show a progress bar on the terminal.

    Returns:
        The result.

    Raises:
        InvalidInput: A study that cannot be run, or a folder that is not empty.
        CheckpointError: A checkpoint that is damaged or cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "ring.toml").write_text('''
        ... game.data = { name = "ring", n = 500 }
        ... game.networks = { name = "mlp", hidden = [8] }
        ... game.noise_dim = 2
        ... run.steps = 10
        ... measure = { steps = 5, restarts = 0 }
        ... ''')
        >>> train(folder / "ring.toml", folder / "run").status.name
        'MAX_STEPS'
        >>> gan, profile = load(folder / "run")
        >>> gan.generate(profile, 3).shape
        torch.Size([3, 2])
    """
    folder = as_path("folder", folder)
    study = study if isinstance(study, Study) else read_study(study)
    where = _opened(folder, study, resume)
    settings = study.settings
    callbacks = _callbacks(study, where)
    with threads(settings.threads):
        result = solve(
            study.game,
            study.solver,
            init=study.game.random(study.game.generator(settings.seed)),
            max_steps=settings.steps,
            tol=0,
            oracle=study.oracle if study.measure.every_check else None,
            check_every=settings.check_every,
            callbacks=callbacks,
            time_limit=settings.time_limit,
            seed=settings.seed,
            device=settings.device,
            checkpoint=where / CHECKPOINT,
            checkpoint_every=settings.checkpoint_every,
            resume=resume,
            progress=progress,
        )
        result.oracle = study.oracle
        _measure(result)
        _conclude(result, where)
    return result


def load(folder: str | Path) -> tuple[GAN | Mixed, Profile]:
    """Return the game of a run that has ended, and the profile that it proposed.

    Args:
        folder: The run's folder.

    Raises:
        InvalidInput: The folder holds no run, or its data are not where they were.
        CheckpointError: The run has not ended, or the file is damaged.
    """
    folder = as_path("folder", folder)
    study = read_study(folder / STUDY)
    if not (folder / PROFILE).is_file():
        raise CheckpointError(f"The run in {folder} has not ended: go on with it (--resume) first.")
    tree = checkpoint.load(folder / PROFILE, {"profile": None})
    return study.game, study.game.as_profile(tree["profile"])


# -- before ----------------------------------------------------------------------------------------


def _opened(folder: Path, study: Study, resume: bool) -> Path:
    """Return the folder, made and described, or raise unless the run may be kept there."""
    held = folder.is_dir() and any(folder.iterdir())
    if held and not resume:
        raise InvalidInput(
            f"The folder {folder} is not empty: resume the run in it (--resume), or choose "
            "another folder (--out)."
        )
    if held and not (folder / STUDY).is_file():
        raise InvalidInput(f"The folder {folder} holds no run to resume: {STUDY} is missing.")
    if (folder / CHECKPOINT).is_file():
        # Before its first checkpoint a run can still become another.
        _check_same(parsed(folder / STUDY)[1], study.document, folder)
        done = checkpoint.number(folder / CHECKPOINT, "step")
        if study.settings.steps < done:
            raise InvalidInput(
                f"[run] steps is {study.settings.steps}, and the run in {folder} has taken {done}: "
                f"ask for {done} or more, or choose another folder (--out)."
            )
    make_folder(folder)
    write(folder / STUDY, study.text)
    launches = folder / LAUNCHES
    write(launches, to_json([*_launches(launches), _launch(study)]) + "\n")
    return folder


def _launches(path: Path) -> list[Any]:
    """Return the launches so far."""
    if not path.is_file():
        return []
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{path} is damaged ({error}); delete it to go on.") from error
    return earlier if isinstance(earlier, list) else [earlier]


def _launch(study: Study) -> dict[str, Any]:
    return {
        "eqgan": version("eqgan"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.platform(),
        "seed": study.settings.seed,
        "threads": study.settings.threads,
        "device": study.settings.device,
    }


def _check_same(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Raise if a study changes what a resumed run is."""
    for table in ("game", "mixture", "solver", "run"):
        first, second = before.get(table, {}), now.get(table, {})
        for key in dict.fromkeys((*first, *second)):
            changes = first.get(key) != second.get(key)
            if changes and not (table == "run" and key in FLEXIBLE):
                now_is, was = (
                    repr(side[key]) if key in side else "left out" for side in (second, first)
                )
                raise InvalidInput(
                    f"[{table}] {key} is {now_is}, and when the run in {folder} was started it was "
                    f"{was}; only [measure], [quality], [samples] and, of [run], "
                    f"{', '.join(sorted(FLEXIBLE))} may change. Choose another folder (--out)."
                )


def _callbacks(study: Study, folder: Path) -> list[Callback]:
    """Return who watches the run; those who write its numbers come last."""
    every = study.samples.every or max(1, study.settings.steps // 10)
    watching: list[Callback] = []
    if can_draw(study.data):
        watching.append(SampleGrids(folder, every, study.samples.count))
    if study.quality is not None:
        watching.append(study.quality)
    watching.append(TraceFile(folder / TRACE))
    if study.settings.tensorboard:
        watching.append(TensorBoard(folder / "tensorboard"))
    return watching


# -- after -----------------------------------------------------------------------------------------


def _measure(result: Result) -> None:
    """Measure the certificate; whoever presses Ctrl-C does not wait for it."""
    if result.status is not Status.STOPPED:
        with contextlib.suppress(KeyboardInterrupt):
            _ = result.certificate


def _is_measured(result: Result) -> bool:
    return result.known is not None or "certificate" in vars(result)


def _conclude(result: Result, folder: Path) -> None:
    """Write the outcome."""
    checkpoint.save(folder / PROFILE, {"profile": result.profile})
    write(folder / TRACE, result.trace.to_csv())
    document = run_document(repr(result.game), result, _is_measured(result))
    if _is_measured(result):
        proof = result.certificate
        document["certificate"]["direction"] = "exact" if proof.exact else "lower bound"
    write(folder / RESULT, to_json(document) + "\n")
    _report(result, folder)


def outcome(result: Result) -> dict[str, str]:
    """Return how a run ended, in words: what people want to know of it, by name.

    Args:
        result: The run; its certificate is read if it has been measured.
    """
    rows = {
        "status": f"{result.status.name}: {result.message}",
        "steps": f"{result.steps} ({result.evaluations:g} gradient evaluations)",
        "seconds": f"{result.seconds:.3g}",
        "value": worded(float(result.value)),
        "NashConv": "not measured: the run was stopped",
    }
    if _is_measured(result):
        proof = result.certificate
        sign = "" if proof.exact else ">= "
        rows["NashConv"] = worded_gap(proof)
        rows |= {f"regret of {who}": sign + worded(regret) for who, regret in proof.regrets.items()}
        rows["measured by"] = proof.how
    return rows | _latest_quality(result.trace)


def _latest_quality(trace: Trace) -> dict[str, str]:
    """Return the newest measurement in words, with its step if the run went on after it."""
    measured = [row for row in trace if row.keys() & set(COLUMNS)]
    if not measured:
        return {}
    last = measured[-1]
    when = "" if last is trace[-1] else f" (at step {last['step']:.0f})"
    words = {name: worded(last[name]) + when for name in COLUMNS if name in last}
    if last.get(SPREAD, 1) < COLLAPSED:
        words[SPREAD] += ": the generator makes nearly the same of every noise"
    return words


def _report(result: Result, folder: Path) -> None:
    report = Report(folder, f"{type(result.solver).__name__} on {result.game!r}")
    report.table([{"": name, "outcome": text} for name, text in outcome(result).items()])
    pictures = sorted(folder.glob("samples_*.png"))
    if pictures:
        shown = dict.fromkeys((pictures[0], pictures[-1]))
        titles = {f"step {int(path.stem.split('_')[1])}": path.name for path in shown}
        report.table([{title: f"![{title}]({name})" for title, name in titles.items()}])
    report.text(
        f"The study is in `{STUDY}`, versions and seeds in `{LAUNCHES}`, every measurement in "
        f"`{TRACE}`, the trained networks in `{PROFILE}`: "
        f"`game, profile = eqgan.training.load({str(folder)!r})`."
    )
    report.save()
