"""Where a game stands before one of its turns, as its run tells it. Loads no game."""

from __future__ import annotations

from typing import NoReturn

import msgspec

from arena_tui.errors import UsageError


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """A game before one of its turns.

    Attributes:
        game: As in a `GameSpec`.
        turn: The turn that comes next.
        state: What its `turn_start` has; None where it has none, and all below is needed.
        seats: How many agents the run names, in turn order.
        seed: The run's, from which chance is drawn again.
        moves: For each turn before it what was done: the agent, from 0, and the action as its event
            has it; None where that is not known.
        board: What the player sees there, to check where the moves have led; "" if not known.
    """

    game: str
    turn: int
    state: str | None = None
    seats: int = 0
    seed: int | None = None
    moves: tuple[tuple[tuple[int, str], ...], ...] | None = None
    board: str = ""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a forked run goes on from.

    Attributes:
        run_id, seq: Its parent, and the seq of the `turn_start` there.
        change: What is different from then on: `turn 17: mcts:500 -> mcts:50`.
        tags: Of the forked run.
    """

    run_id: str
    seq: int
    position: Position
    change: str
    tags: tuple[str, ...] = ()


def refuse(why: str) -> NoReturn:
    """Raise a UsageError that says why a game cannot be restored."""
    raise UsageError(f"this game cannot be restored: {why}")
