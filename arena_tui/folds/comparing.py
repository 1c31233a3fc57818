"""Turns of two runs that stand beside each other: how they differ, and where the runs part. Pure.

Knows nothing of which turns belong together (see `aligning`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from arena_tui.events import (
    Action,
    Delivery,
    Envelope,
    LlmResponse,
    Observation,
)
from arena_tui.folds.totals import RunTotals
from arena_tui.folds.turns import Turn, fold_turn

Thing: TypeAlias = Literal["alone", "board", "action", "answer", "timing"]
"""In what a row differs: one run has no such turn; what was seen before the first action; what was
done; what a model said; how long it took."""

SIGNS: Final[Mapping[Thing, str]] = {
    "action": "≠", "board": "#", "answer": "≈", "alone": "+", "timing": "~"
}  # fmt: skip
"""A row is marked with the first of these that it differs in."""

FELT_S: Final = 0.05
"""Seconds by which two turns must differ for their timing to be told."""

_HEAD: Final = 300
_TAIL: Final = 100
"""Of a turn with more events, only its first and newest ones are folded into what is shown."""

_NONE: Final = -1
_encoder = msgspec.json.Encoder(order="deterministic")


class Step(Struct, frozen=True, kw_only=True):
    """One turn, as it is compared.

    Attributes:
        turn: What is shown of it.
        seen, done, said: Digests of what was observed before its first action, of the actions by
            seat, and of the answers; equal for equal texts within one process.
    """

    turn: Turn
    seen: int = 0
    done: int = 0
    said: int = 0


class StepFold:
    """Folds the deliveries of one turn, however many, in bounded memory.

    Args:
        seats: The place of each agent among the run's, so that of those who act at the same time
            it does not matter whose action was told first.
    """

    def __init__(self, seats: Mapping[str, int]) -> None:
        self._seats = seats
        self._head: list[Delivery] = []
        self._tail: deque[Delivery] = deque(maxlen=_TAIL)
        self._count = 0
        self._seen = self._said = 0
        self._done: dict[int, int] = {}

    def add(self, delivery: Delivery) -> None:
        """Fold in the next one."""
        self._count += 1
        if len(self._head) < _HEAD:
            self._head.append(delivery)
        else:
            self._tail.append(delivery)
        if isinstance(delivery, Envelope):
            match delivery.event:
                case Observation(text=text) if not self._done:
                    self._seen = hash((self._seen, text))
                case Action(action=action, agent_id=agent):
                    seat = self._seats.get(agent or "", _NONE)
                    told = self._done.get(seat, 0)
                    self._done[seat] = hash((told, _encoder.encode(action)))
                case LlmResponse(text=text, tool_calls=calls):
                    self._said = hash((self._said, text, _encoder.encode(calls)))

    def step(self) -> Step:
        """The turn so far."""
        left_out = self._count - len(self._head) - len(self._tail)
        return Step(
            turn=fold_turn([*self._head, *self._tail], left_out), seen=self._seen, said=self._said,
            done=hash(tuple(sorted(self._done.items()))) if self._done else 0,
        )  # fmt: skip


class Beside(Struct, frozen=True, kw_only=True):
    """Two turns beside each other, and in what they differ, in the order in which a turn goes."""

    first: Step | None
    second: Step | None
    differs: tuple[Thing, ...] = ()

    @property
    def is_turn(self) -> bool:
        """Whether it is of a turn, not of what comes before, between or after them."""
        steps = [each for each in (self.first, self.second) if each is not None]
        return any(each.turn.number is not None and each.turn.end is None for each in steps)

    @property
    def parts(self) -> bool:
        """Whether what was seen or done differs, or one run has no such turn."""
        return self.is_turn and bool({"alone", "board", "action"} & set(self.differs))

    @property
    def sign(self) -> str:
        """Of what the row differs in most; a blank if in nothing."""
        return next((sign for thing, sign in SIGNS.items() if thing in self.differs), " ")

    @property
    def number(self) -> int | None:
        """The number of the turn."""
        steps = [each for each in (self.first, self.second) if each is not None]
        return next((each.turn.number for each in steps), None)


def beside(first: Step | None, second: Step | None) -> Beside:
    """Two turns, or one alone, compared."""
    if first is None or second is None:
        return Beside(first=first, second=second, differs=("alone",))
    told: list[Thing] = []
    if first.seen != second.seen:
        told.append("board")
    if first.done != second.done:
        told.append("action")
    if first.said != second.said:
        told.append("answer")
    seconds = [each.turn.duration_s or 0.0 for each in (first, second)]
    if abs(seconds[0] - seconds[1]) > FELT_S:
        told.append("timing")
    return Beside(first=first, second=second, differs=tuple(told))


def is_worth_a_stop(before: Beside | None, here: Beside) -> bool:
    """Whether a difference is to be found here: another action or answer; or where boards begin to
    differ, or one run goes on alone, as that lasts."""
    if not here.is_turn:
        return False
    lasting = {"alone", "board"} & set(here.differs)
    if before is not None and before.is_turn:
        lasting -= set(before.differs)
    return bool(lasting) or bool({"action", "answer"} & set(here.differs))


class Parting:
    """Finds the first turn in which two runs differ by what was seen or done, row after row.

    What only one of them has before the first turn of both does not count: a fork begins late.

    Attributes:
        row, found: The row, and what is there; None until it is found.
        reach: How many rows were looked at.
    """

    def __init__(self) -> None:
        self.row: int | None = None
        self.found: Beside | None = None
        self.reach = 0
        self._begun = False

    def add(self, row: Beside) -> bool:
        """Look at the next row; returns whether it is the one."""
        self.reach += 1
        both = row.first is not None and row.second is not None
        self._begun = self._begun or (both and row.is_turn)
        if self.row is None and self._begun and row.parts:
            self.row, self.found = self.reach - 1, row
            return True
        return False


class Measured(Struct, frozen=True, kw_only=True):
    """A run's totals, and the mean seconds of its answers; None where none tells."""

    totals: RunTotals
    latency_s: float | None = None


class Figure(Struct, frozen=True, kw_only=True):
    """One line of the table of differences; None: not known.

    Attributes:
        unit: `""` of a count, `usd`, or `s`.
    """

    name: str
    unit: Literal["", "usd", "s"]
    first: float | None
    second: float | None

    @property
    def change(self) -> float | None:
        """What the second has more than the first."""
        if self.first is None or self.second is None:
            return None
        return self.second - self.first


_FIGURES: Final[tuple[tuple[str, Literal["", "usd", "s"], str], ...]] = (
    ("turns", "", "turns"), ("events", "", "events"), ("tokens in", "", "input_tokens"),
    ("tokens out", "", "output_tokens"), ("cost", "usd", "cost_usd"), ("latency", "s", ""),
    ("errors", "", "errors"), ("lost", "", "lost"), ("duration", "s", "duration_s"),
)  # fmt: skip


def figures(first: Measured, second: Measured) -> list[Figure]:
    """The table of differences, always of the same lines; outcome and agents are in the totals."""

    def value(run: Measured, attribute: str) -> float | None:
        return getattr(run.totals, attribute) if attribute else run.latency_s

    return [
        Figure(name=name, unit=unit, first=value(first, at), second=value(second, at))
        for name, unit, at in _FIGURES
    ]


def action_text(action: object) -> str:
    """An action as one writes it: a text as it is, anything else as JSON."""
    return action if isinstance(action, str) else _encoder.encode(action).decode()


def actions_text(turn: Turn) -> str:
    """`e4`, `e4, e5 and 3 more`; "" without any."""
    more = turn.actions_count - len(turn.actions)
    told = ", ".join(map(action_text, turn.actions))
    return f"{told} and {more:,} more" if more else told


def seats_of(totals: RunTotals) -> dict[str, int]:
    """The place of each agent among the run's."""
    return {agent.id: seat for seat, agent in enumerate(totals.agents)}
