"""Parses the filter language of run lists into conditions. Knows neither rows nor panes.

`game:chess err>0 cost>0.1 "rate limit"`: `field:text` means that the field contains the text,
`< > = <= >=` compare numbers, and any other word must occur somewhere in the run. Case is ignored;
all conditions must hold. `trouble:` takes a part of the name of a trouble, or `any`.
"""

from __future__ import annotations

import operator
import re
import shlex
from collections.abc import Callable
from typing import Final, NamedTuple

from arena_tui.errors import UsageError
from arena_tui.settings import TROUBLE_KINDS

EXAMPLE: Final = 'game:chess agent:mcts err>0 cost>0.1 "rate limit"'

_TEXTS: Final = {
    name: name
    for name in ("game", "label", "agent", "status", "run", "tag", "reason", "outcome", "trouble")
} | {"agents": "agent"}
_NUMBERS: Final = {
    name: name
    for name in ("turns", "events", "err", "lost", "cost", "tokens", "in", "out", "duration")
} | {"errors": "err"}
ANY_TROUBLE: Final = "any"
_COMPARISON: Final = re.compile(r"^([a-z]+)(<=|>=|<|>|=)(-?[0-9.]+)$", re.IGNORECASE)
_CONDITIONS_MAX: Final = 50
"""More would cost a store hundreds of megabytes before it begins to look."""

_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq,
}  # fmt: skip


class Anywhere(NamedTuple):
    """The text must occur somewhere in the run."""

    text: str


class Contained(NamedTuple):
    """The field `name` must contain the text."""

    name: str
    text: str


class Compared(NamedTuple):
    """The number `name` must satisfy the comparison with `value`."""

    name: str
    sign: str
    value: float

    def holds(self, number: float | None) -> bool:
        """Whether the number satisfies it; an unknown number never does."""
        return number is not None and _COMPARE[self.sign](number, self.value)


Condition = Anywhere | Contained | Compared


def read_conditions(text: str) -> list[Condition]:
    """Parse the filter text.

    Raises:
        UsageError: A comparison has an unknown field (the message lists the known) or no number,
            there is no such trouble, or there are too many conditions.
    """
    words = _words(text)
    if len(words) > _CONDITIONS_MAX:
        raise UsageError(f"a filter of {len(words)} conditions: give at most {_CONDITIONS_MAX}")
    return [_read(word) for word in words]


def _read(word: str) -> Condition:
    if found := _COMPARISON.match(word):
        if found[1].lower() not in _NUMBERS:
            raise UsageError(f"no number {found[1]!r} to compare: use one of {', '.join(_NUMBERS)}")
        try:
            return Compared(_NUMBERS[found[1].lower()], found[2], float(found[3]))
        except ValueError:
            raise UsageError(f"{found[3]!r} is not a number") from None
    name, colon, value = word.partition(":")
    if colon and name.lower() in _TEXTS:
        if name.lower() == "trouble":
            _check_trouble(value)
        return Contained(_TEXTS[name.lower()], value)
    return Anywhere(word)


def _check_trouble(value: str) -> None:
    names = (*TROUBLE_KINDS, ANY_TROUBLE)
    if not any(value.lower() in each for each in names):
        raise UsageError(f"no trouble {value!r}: use one of {', '.join(names)}")


def _words(text: str) -> list[str]:
    """Split like a shell, but accept apostrophes and a quote not closed yet."""
    for attempt in (text, text.replace("'", r"\'"), text + '"'):
        try:
            return shlex.split(attempt)
        except ValueError:
            continue
    return text.split()
