"""Mixed strategies as bars."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from eqgan.canvas import (
    COLOURS,
    GREY,
    LETTER,
    Array,
    as_array,
    as_result,
    explain,
    figure_of,
    letters,
    wrapped,
)
from eqgan.errors import UnsupportedGame
from eqgan.game import Game
from eqgan.profile import Strategy
from eqgan.result import Result
from eqgan.spaces import Simplex

MOST = 12
"""Up to so many actions have a bar each; of more, the likeliest do."""

PLAYED = 1e-9
"""An action of a large game counts as played from this probability on."""


def strategies(result: Result) -> Figure:
    """Draw the mixed strategies that a run proposes, as bars.

    Args:
        result: The outcome of `solve` on a game of mixed strategies. Actions have the names that
            the game knows, as `MatrixGame(A, actions=...)` does, or numbers.

    Returns:
        The figure, one panel a player. Of more than 12 actions the likeliest have bars, and a
        number says what all others add up to. Ticks show a known equilibrium.

    Raises:
        UnsupportedGame: The strategies are not probabilities, or the game is a batch.

    Example:
        >>> import eqgan
        >>> run = eqgan.solve(eqgan.games.rock_paper_scissors())
        >>> [label.get_text() for label in strategies(run).axes[0].get_yticklabels()]
        ['rock', 'paper', 'scissors']
    """
    game = as_result(result).game
    mixes = [probabilities(strategy, game) for strategy in result.profile]
    shown = [_likeliest(mix) for mix in mixes]
    names = [_names(game, player, len(mix), shown[player]) for player, mix in enumerate(mixes)]
    height = max((0.32 + 0.14 * ("\n" in "".join(words))) * len(words) for words in names)
    width = 2.8 + LETTER * max(letters(words) for words in names)
    figure, panels = figure_of(1, len(mixes), width * len(mixes), height + 1.5, sharex=True)
    for player, (axes, mix) in enumerate(zip(panels, mixes, strict=True)):
        _draw_bars(axes, mix, shown[player], names[player], COLOURS[player])
        if game.equilibrium is not None:
            known = probabilities(game.equilibrium[player], game)[shown[player]]
            places = np.arange(len(known))
            ticks = axes.vlines(known, places - 0.42, places + 0.42)
            ticks.set(color="black", linewidth=1.5, label="known equilibrium")
        axes.set(title=game.players[player], xlabel="probability")
    # Room for the number at the end of the longest bar.
    panels[0].set_xlim(0, 1.25 * max(float(mix.max()) for mix in mixes))
    if game.equilibrium is not None:
        explain(figure, panels)
    return figure


def _likeliest(mix: Array) -> list[int]:
    """Return the actions that get a bar, in their own order."""
    if len(mix) <= MOST:
        return list(range(len(mix)))
    likeliest = np.argsort(-mix, kind="stable")[:MOST].tolist()
    return sorted(i for i in likeliest if mix[i] > PLAYED)


def _names(game: Game, player: int, count: int, shown: list[int]) -> list[str]:
    """Return what stands beside the bars, and what the actions without one are called."""
    names = action_names(game, player, count)
    others = [f"{count - len(shown):,} others"] if len(shown) < count else []
    return [names[i] for i in shown] + others


def _draw_bars(axes: Axes, mix: Array, shown: list[int], names: list[str], colour: str) -> None:
    bars = axes.barh(range(len(shown)), mix[shown], color=colour, height=0.7)
    axes.bar_label(bars, [share(p) for p in mix[shown]], padding=4, fontsize=9)
    if len(shown) < len(mix):
        # A bar of hundreds of actions would dwarf those of single ones.
        rest = f" {share(np.delete(mix, shown).sum())} in all"
        axes.text(0, len(shown), rest, color=GREY, va="center", fontsize=9)
    axes.set_yticks(range(len(names)), names)
    # The first action is on top, as in a matrix.
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(left=False)


def share(probability: float) -> str:
    """Return a probability as it is written beside its bar."""
    return f"{probability:.3g}" if probability > PLAYED else "0"


def probabilities(strategy: Strategy, game: Game) -> Array:
    """Return a mixed strategy's probabilities, or the weights of a mixture; or refuse the game."""
    mix = strategy if isinstance(strategy, Tensor) else strategy.get("weights")
    simplices = all(isinstance(space, Simplex) for space in game.spaces)
    if mix is None or mix.dim() != 1 or not (simplices or not isinstance(strategy, Tensor)):
        raise UnsupportedGame(f"Only mixed strategies of one game can be drawn; got {game!r}.")
    return as_array(mix)


def action_names(game: Game, player: int, count: int) -> list[str]:
    """Return what a player's actions are called: by the game, or by their numbers from 0."""
    actions = getattr(game, "actions", None)
    return [str(i) for i in range(count)] if actions is None else [*map(wrapped, actions[player])]
