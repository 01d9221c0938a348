"""A progress bar for runs, by rich."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from eqgan.gan.quality import COLLAPSED, SPREAD

if TYPE_CHECKING:
    from eqgan.loop import Callback, Progress


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callback]:
    """Show a bar on standard error; yields the callback that moves it.

    Args:
        title: What is running.
        total: Steps in all.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total, note="")

        def advance(progress: Progress) -> None:
            gap = progress.row.get("nash_conv")
            note = f"value {progress.row['value']:.4g}"
            note += "" if gap is None else f", gap {gap:.3g}"
            note += ", samples nearly alike" if progress.row.get(SPREAD, 1) < COLLAPSED else ""
            bar.update(task, completed=progress.step, note=note)

        yield advance
