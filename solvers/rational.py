"""Matrix games in rational arithmetic: the value and the strategies as fractions."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch

from eqgan.exact.equilibrium import ExactEquilibrium, exact_equilibrium
from eqgan.game import Game
from eqgan.games.matrix import MatrixGame, needs_table
from eqgan.profile import Profile
from eqgan.solver import Solver


@dataclass(frozen=True)
class RationalState:
    """The equilibrium once it is found; fractions in hexadecimal digits, as checkpoints hold text.

    Attributes:
        value: The value, empty before.
        row: The row player's probabilities.
        column: The column player's probabilities.
    """

    value: str = ""
    row: tuple[str, ...] = ()
    column: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rational(Solver[RationalState]):
    r"""The equilibrium as fractions, with a proof in integers and no rounding anywhere.

    HiGHS guesses the optimal basis in floats: rows R and columns C of equal number, on which

    .. math:: A_{RC}\, y_C = v \mathbf 1, \quad A_{RC}^\top x_R = v \mathbf 1

    These systems are solved by p-adic lifting. The answer counts only if
    :math:`A^\top x \ge v \mathbf 1` and :math:`A y \le v \mathbf 1` hold exactly; if they do not,
    the simplex method decides in integers, first between the actions that are best within the
    reach of floats, and always ends. Fractions, whole
    numbers and floats (as the rationals they are) are taken for what they are, by
    `MatrixGame.rationals`. ``result.value`` is then a `fractions.Fraction`, and
    ``result.exact_profile`` a pair of tuples of them; ``result.profile`` holds their floats.

    One game at a time. A 200 x 200 game takes a second; one of actions that are pairwise equal up
    to the last bits of their floats a second at 100 x 100 and half a minute at 200 x 200. Products
    of low rank that were written out in floats take half a minute at 100 x 100: keep them as
    `LowRank` factors, which are taken for the product that they are.

    References:
        Shapley and Snow 1950, Basic solutions of certain games; Dixon 1982; Bland 1977;
        Applegate, Cook, Dash and Espinoza 2007, Exact solutions to linear programming problems.

    Example:
        >>> import eqgan
        >>> game = eqgan.games.MatrixGame([[Fraction(1, 3), 0], [0, 1]])
        >>> run = eqgan.solve(game, Rational())
        >>> run.value, run.exact_profile[0]
        (Fraction(1, 4), (Fraction(3, 4), Fraction(1, 4)))
    """

    direct = True

    def evaluations(self, game: Game) -> float:
        """Return 0: no gradients are evaluated."""
        return 0.0

    def unsupported(self, game: Game) -> str | None:
        """Return a reason unless `game` is one matrix game whose payoffs are known."""
        if game.batch_shape:
            return f"exact answers are for one game, not for a batch of {game.batch_shape}"
        return needs_table(game)

    def init(self, game: Game, z: Profile) -> RationalState:
        """Return that nothing is solved yet."""
        return RationalState()

    def step(
        self, game: Game, z: Profile, state: RationalState, rng: torch.Generator
    ) -> tuple[Profile, RationalState]:
        """Solve the game."""
        assert isinstance(game, MatrixGame)
        found = exact_equilibrium(game.rationals())
        floats = Profile(
            torch.tensor([float(p) for p in strategy], **game.options)
            for strategy in (found.row, found.column)
        )
        value, row, column = _text(found.value), map(_text, found.row), map(_text, found.column)
        return floats, RationalState(value, tuple(row), tuple(column))

    def finished(self, state: RationalState) -> bool:
        """Return whether the game was solved: a second step changes nothing."""
        return bool(state.value)

    def exact(self, state: RationalState) -> ExactEquilibrium | None:
        """Return the equilibrium as fractions."""
        if not state.value:
            return None
        row, column = (tuple(map(_fraction, part)) for part in (state.row, state.column))
        return ExactEquilibrium(_fraction(state.value), row, column)


def _text(number: Fraction) -> str:
    # Python reads and writes decimal integers of a limited length only.
    return f"{number.numerator:x}/{number.denominator:x}"


def _fraction(text: str) -> Fraction:
    return Fraction(*(int(part, 16) for part in text.split("/")))
