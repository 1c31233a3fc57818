"""Whose turn it is in a run, for each thread and task that plays in it. Emits nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final
from weakref import ref

_MANY: Final = 32
_NONE: Final[tuple[Mapping[ref[Turns], Turn], int]] = {}, _MANY


class Turn:
    """One turn: its number, its player, and how many actions it has had."""

    __slots__ = ("actions", "number", "player")

    def __init__(self, number: int | None = None, player: str | None = None) -> None:
        self.number = number
        self.player = player
        self.actions = 0


_OWN: Final[ContextVar[tuple[Mapping[ref[Turns], Turn], int]]] = ContextVar("arena_turns")
"""The turns that this context began last, by run, and at how many those of runs that are gone are
left out: at each turn, a thread with thousands of runs would do nothing else."""


class Turns:
    """The turns of one run. Thread-safe.

    A thread or task that has begun a turn, or was started by a task that had, is in that turn
    until it begins another; all others are in the run's latest.
    """

    def __init__(self) -> None:
        self._latest = Turn()
        self._key = ref(self)

    def now(self) -> Turn:
        return _OWN.get(_NONE)[0].get(self._key, self._latest)

    def begin(self, number: int | None, player: str | None) -> None:
        turn = self._latest = Turn(number, player)
        own, many = _OWN.get(_NONE)
        if len(own) >= many:
            own = {key: each for key, each in own.items() if key() is not None}
            many = max(_MANY, 2 * len(own))
        _OWN.set(({**own, self._key: turn}, many))
