"""A callback that keeps what a run went through."""

from __future__ import annotations

from eqgan.errors import InvalidInput
from eqgan.game import Game
from eqgan.loop import Progress
from eqgan.profile import Profile


class Recorder:
    """A callback of `solve` that keeps the profile of every check.

    `eqgan.plots.simplex_trajectory` draws what it has kept. A profile is kept where it lives (on
    the GPU, say), so the memory it takes is the checks times the size of a profile.

    Attributes:
        game: The game of the run; ``None`` before its first check.
        profiles: What the solver proposed at each check, in order.
        steps: Solver steps at each of them.

    Raises:
        InvalidInput: Used for a second game.

    Example:
        >>> import eqgan
        >>> path = Recorder()
        >>> run = eqgan.solve(
        ...     eqgan.games.rock_paper_scissors(), "regret_matching", init=([1, 0, 0], [0, 1, 0]),
        ...     max_steps=20, check_every=10, callbacks=[path],
        ... )
        >>> path.steps, path.profiles[-1].equal(run.profile)
        ([0, 10, 20], True)
    """

    def __init__(self) -> None:
        self.game: Game | None = None
        self.profiles: list[Profile] = []
        self.steps: list[int] = []

    def __call__(self, progress: Progress) -> None:
        """Keep what the solver proposes."""
        if self.game is not None and progress.game is not self.game:
            raise InvalidInput(
                f"This Recorder keeps a run of {self.game!r}; make another for {progress.game!r}."
            )
        self.game = progress.game
        self.profiles.append(progress.profile)
        self.steps.append(progress.step)

    def __repr__(self) -> str:
        return f"Recorder({len(self.profiles)} profiles of {self.game!r})"
