"""Callbacks of `solve`: what to do with a run while it goes on.

A callback is any function of a `Progress`; the numbers that it returns join the trace. Those here
see the run through `Progress.rows` alone and remember nothing, so a resumed run goes on as if it
had never been interrupted. `eqgan.Recorder` and `eqgan.gan.Quality` are two more.

    eqgan.solve(gan, callbacks=[SampleGrids("out", every=500), TensorBoard("logs")])
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from eqgan.data.given import Data
from eqgan.errors import InvalidInput, UnsupportedGame
from eqgan.games import GAN, Mixed
from eqgan.loop import Progress
from eqgan.paths import as_path
from eqgan.report import make_folder, write, write_picture
from eqgan.result import Trace
from eqgan.whole import as_seed, as_whole


class SampleGrids:
    """Draws what the generator makes, every so often, always from the same noise.

    The pictures are ``samples_00001000.png`` for step 1000, and so on: a grid of images, or points
    over the data where they are two-dimensional.

    Args:
        folder: Where the pictures go; it is made if it does not exist.
        every: Steps between pictures; drawn at the first check at or after each multiple.
        count: Samples a picture.
        seed: Seed of the noise.

    Raises:
        InvalidInput: A folder that cannot be made or written to, or counts below 1.
        UnsupportedGame: A game that generates neither images nor points of the plane.

    Example:
        >>> import tempfile, eqgan
        >>> from torch import nn
        >>> ring = eqgan.data.ring(100).samples
        >>> gan = GAN(nn.Linear(2, 2), nn.Linear(2, 1), ring, noise_dim=2)
        >>> folder = tempfile.mkdtemp()
        >>> grids = SampleGrids(folder, every=10)
        >>> run = eqgan.solve(gan, "extragradient", max_steps=20, check_every=5, callbacks=[grids])
        >>> sorted(path.name for path in Path(folder).iterdir())
        ['samples_00000000.png', 'samples_00000010.png', 'samples_00000020.png']
    """

    def __init__(self, folder: str | Path, every: int, count: int = 64, seed: int = 0) -> None:
        self.folder = make_folder(folder)
        self.every, self.count = as_whole("every", every, 1), as_whole("count", count, 1)
        self.seed = as_seed(seed)

    def __call__(self, progress: Progress) -> None:
        """Draw, if it is time to."""
        if not progress.due(self.every):
            return
        from eqgan import plots

        game, data = _generative(progress.game)
        samples = game.generate(progress.profile, self.count, seed=self.seed)
        if not can_draw(data):
            raise UnsupportedGame(
                "SampleGrids draws images and points of the plane; this game's samples have shape "
                f"{tuple(data.shape[1:])}."
            )
        if len(data.shape) == 2:
            # As many data as samples would be too few to show what they look like.
            rows = torch.arange(min(2000, len(data)), device=samples.device)
            figure = plots.samples_2d(data.index_select(0, rows).cpu(), samples.cpu())
        else:
            figure = plots.image_grid(samples.cpu())
        write_picture(self.folder / f"samples_{progress.step:08d}.png", figure)


def can_draw(data: Data) -> bool:
    """Return whether `SampleGrids` draws such data: images, or points of the plane."""
    return len(data.shape) in (3, 4) or (len(data.shape) == 2 and data.shape[1] == 2)


class TraceFile:
    """Keeps the trace so far on the disk as CSV, whole at every check.

    It holds the numbers of the callbacks that stand before it in the list.

    Args:
        path: The file; its folder must exist.

    Example:
        >>> import tempfile, eqgan
        >>> path = Path(tempfile.mkdtemp()) / "trace.csv"
        >>> run = eqgan.solve(eqgan.games.matching_pennies(), callbacks=[TraceFile(path)])
        >>> path.read_text() == run.trace.to_csv()
        True
    """

    def __init__(self, path: str | Path) -> None:
        self.path = as_path("path", path)

    def __call__(self, progress: Progress) -> None:
        """Write the rows so far."""
        write(self.path, Trace([dict(row) for row in progress.rows]).to_csv())


class TensorBoard:
    """Shows the trace in TensorBoard while the run goes on.

    It shows the numbers of the callbacks that stand before it in the list.

    Args:
        folder: TensorBoard's log folder; look at it with ``tensorboard --logdir FOLDER``.

    Raises:
        InvalidInput: TensorBoard is not installed, or a folder that cannot be made.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InvalidInput(
                "The TensorBoard callback needs the tensorboard package, which is not installed: "
                "pip install 'eqgan[tensorboard]'."
            ) from error
        self.writer = SummaryWriter(str(make_folder(folder)))

    def __call__(self, progress: Progress) -> None:
        """Write the newest row."""
        for name, number in progress.row.items():
            if name != "step":
                self.writer.add_scalar(name, number, progress.step)
        self.writer.flush()


def _generative(game: Any) -> tuple[GAN | Mixed, Data]:
    """Return a game that generates samples, and its data."""
    base = game.base if isinstance(game, Mixed) else game
    if not isinstance(base, GAN):
        raise UnsupportedGame(f"Samples are generated by GANs and mixtures of them; got {game!r}.")
    return game, base.data
