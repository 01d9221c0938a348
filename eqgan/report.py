"""Reports: one Markdown file with its pictures beside it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from eqgan.certificate import Certificate
from eqgan.checkpoint import write_atomically
from eqgan.compare import markdown_table
from eqgan.errors import InvalidInput
from eqgan.paths import as_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 120


class Report:
    """A Markdown report that grows block by block; every file is replaced whole or not at all.

    Args:
        folder: Where the report and its pictures go; it is made if it does not exist.
        title: The report's title.

    Raises:
        InvalidInput: A folder that cannot be made.

    Example:
        >>> import tempfile
        >>> report = Report(Path(tempfile.mkdtemp()), "Two games")
        >>> report.table([{"game": "pennies", "value": 0}])
        >>> print(report.save().read_text())
        # Two games
        <BLANKLINE>
        | game | value |
        | --- | --- |
        | pennies | 0 |
        <BLANKLINE>
    """

    def __init__(self, folder: str | Path, title: str) -> None:
        self.folder = make_folder(folder)
        self.blocks = [f"# {title}"]

    def heading(self, text: str, level: int = 2) -> None:
        """Add a heading.

        Args:
            text: The heading.
            level: 2 for a section, 3 for a part of one.
        """
        self.blocks.append(f"{'#' * level} {text}")

    def text(self, paragraph: str) -> None:
        """Add a paragraph of Markdown; line breaks in it become spaces.

        Args:
            paragraph: The paragraph.
        """
        self.blocks.append(" ".join(paragraph.split()))

    def table(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Add a table.

        Args:
            rows: At least one row; all have the same keys, which give the header.
        """
        self.blocks.append(markdown_table(rows))

    def figure(self, figure: Figure, name: str, caption: str) -> Path:
        """Save a picture beside the report, and show it there.

        Args:
            figure: The picture.
            name: Its file's name, without extension.
            caption: What it shows.

        Returns:
            The picture's path.

        Raises:
            InvalidInput: The folder cannot be written to.
        """
        path = self._picture(figure, name)
        self.blocks.append(f"![{caption}]({path.name})\n\n*{caption}*")
        return path

    def gallery(self, figures: Mapping[str, tuple[str, Figure]]) -> None:
        """Save pictures beside the report, and show them there side by side.

        Args:
            figures: For each title its file's name, without extension, and the picture.

        Raises:
            InvalidInput: The folder cannot be written to.
        """
        paths = {title: self._picture(figure, name) for title, (name, figure) in figures.items()}
        self.table([{title: f"![{title}]({path.name})" for title, path in paths.items()}])

    def _picture(self, figure: Figure, name: str) -> Path:
        return write_picture(self.folder / f"{name}.png", figure)

    def save(self) -> Path:
        """Write the report.

        Returns:
            The path of ``report.md``.

        Raises:
            InvalidInput: The folder cannot be written to.
        """
        return write(self.folder / "report.md", "\n\n".join(self.blocks) + "\n")


def make_folder(folder: str | Path) -> Path:
    """Make a folder, and those above it, unless it exists; return its path.

    Args:
        folder: The folder.

    Raises:
        InvalidInput: It is no path, or cannot be made.
    """
    path = as_path("folder", folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"Cannot make the folder {folder}: {error.strerror}.") from error
    return path


def write(path: Path, content: str | bytes) -> Path:
    """Write a file, whole or not at all, and return its path.

    Args:
        path: The file; its folder must exist.
        content: What it shall hold; text is encoded as UTF-8.

    Raises:
        InvalidInput: It cannot be written; a previous one is left as it was.
    """
    try:
        write_atomically(path, content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise InvalidInput(f"Cannot write {path}: {error.strerror}.") from error
    return path


def write_picture(path: Path, figure: Figure) -> Path:
    """Write a figure as PNG, whole or not at all, and return its path.

    Args:
        path: The file; its folder must exist.
        figure: The picture.

    Raises:
        InvalidInput: It cannot be written; a previous one is left as it was.
    """
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=DPI)
    return write(path, picture.getvalue())


def worded_gap(proof: Certificate) -> str:
    """Return a certificate's NashConv in words that state its direction.

    Args:
        proof: The certificate, of one game or of a batch.

    Returns:
        The number, its standard error where there is one, and ``(exact)`` or ``(lower bound)``;
        ``unknown`` where the payoff is NaN.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.rock_paper_scissors()
        >>> worded_gap(eqgan.certify(game, ([1, 0, 0], [1, 0, 0])))
        '2 (exact)'
    """
    if bool(proof.lower.isnan().any()):
        return "unknown: payoffs are not numbers here"
    if proof.exact:
        return f"{worded(proof.nash_conv)} (exact)"
    noisy = bool(proof.nash_conv_stderr.any())
    spread = f" ± {worded(proof.stderr, digits=2)}" if noisy else ""
    return f">= {worded(proof.nash_conv)}{spread} (lower bound)"


def worded(value: float | Tensor, digits: int = 4) -> str:
    """Return a number, or the range of a batch of numbers, in words.

    Args:
        value: A number, or a tensor with one number for each game.
        digits: Significant digits.

    Example:
        >>> import torch
        >>> worded(0.123456), worded(torch.tensor([1.0, 2.5]))
        ('0.1235', '1 to 2.5 (2 games)')
    """
    if isinstance(value, Tensor) and value.numel() > 1:
        low, high = float(value.min()), float(value.max())
        return f"{low:.{digits}g} to {high:.{digits}g} ({value.numel()} games)"
    return f"{float(value):.{digits}g}"
