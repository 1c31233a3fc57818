"""The Run screen's position in a run, and how playback advances it. Reads nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from msgspec import Struct

from arena_tui.broker.protocol import Cursor
from arena_tui.events import RunEnd

_SPEEDS: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
SILENCE_MAX_S: Final = 2.0
"""Longest pause kept in playback; longer ones are cut to this."""


class Position(Struct, frozen=True, kw_only=True):
    """A position in a run, and what the screen says about it.

    Attributes:
        mode: `LIVE ●`, `REPLAY 4x ▶`, `PAUSED 1x`.
        cursor: Of the event at `at`, for its address; an epoch of 0 stands for the only one. None
            until it is read.
        at, last: Place shown (see `Places`), and the newest one.
        live: Whether more events may come; behind_s: how long before the newest one the event at
            `at` happened, in seconds, while that is not followed; None where it is not known.
        idle_s: Length of the silence that playback is cutting short now, in seconds; None without.
        ts: Time of the event at `at`, UTC; None until it is read.
        turns: The run's highest turn number, as far as it is known; 0 without any.
        began_at: When the run began, UTC; end: how it ended; None while that is not known.
    """

    mode: str = ""
    cursor: Cursor | None = None
    at: int = 0
    last: int = 0
    live: bool = False
    behind_s: float | None = None
    idle_s: float | None = None
    ts: datetime | None = None
    turns: int = 0
    began_at: datetime | None = None
    end: RunEnd | None = None


class Playhead:
    """A movable position in a run, by place.

    Attributes:
        at: The place shown; 0 before anything is.
        following: Whether `at` tracks the newest event of a live run.
        playing: Whether `at` advances with time.
        speed: Playback speed; 1 is real time.
        idle_s: Length of the silence before the next event, in seconds, while it is cut short.
    """

    def __init__(self) -> None:
        self.at = 0
        self.following = False
        self.playing = False
        self.speed = 1.0
        self.idle_s: float | None = None
        self._waited_s = 0.0
        self._before_s: float | None = None

    def mode(self, live: bool) -> str:
        """Text for the header: `LIVE ●`, `PAUSED 1x`, `REPLAY 4x ▶`."""
        if self.playing:
            return f"REPLAY {self.speed:g}x ▶"
        if self.following:
            return "LIVE ●"
        return f"{'PAUSED' if live else 'REPLAY'} {self.speed:g}x"

    def place(self, place: int, last: int, live: bool) -> None:
        """Move to `place`; at the newest event of a live run, follow it unless playing."""
        self.at = max(1, min(last, place))
        self.idle_s = None
        self.following = live and self.at == last and not self.playing

    def play(self, at_s: float | None) -> None:
        """Start playing at `at_s`, the time of the event shown, in seconds since 1970; None: it
        has none."""
        self.playing = True
        self.following = False
        self._waited_s, self._before_s = 0.0, at_s

    def catch_up(self, live: bool) -> None:
        """Stop playing at the newest event; follow a live run from there."""
        self.playing, self.following = False, live

    def change_speed(self, step: int) -> None:
        """One step faster (1) or slower (-1)."""
        index = _SPEEDS.index(self.speed) + step
        self.speed = _SPEEDS[max(0, min(len(_SPEEDS) - 1, index))]

    def advance(
        self, passed_s: float, last: int, time_of: Callable[[int], float | None],
        stops_at: Callable[[int], bool] = lambda _: False,
    ) -> int:  # fmt: skip
        """The place reached after `passed_s` more seconds, which no event up to it is left out of.
        At one that it stops at, playing ends.

        Each event comes as long after the one before as it did in the run, within bounds: no step
        takes less than no time, whatever the clocks of producers said, and none takes long.
        `time_of` returns None for an event that is not read yet: playback waits before it. A gap
        takes no time.
        """
        played_s = passed_s * self.speed
        self._waited_s = min(self._waited_s + played_s, SILENCE_MAX_S + played_s)
        place = self.at
        while place < last and (happened_s := time_of(place + 1)) is not None:
            if happened_s:
                before_s = happened_s if self._before_s is None else self._before_s
                silence_s = happened_s - before_s
                pause_s = max(0.0, min(SILENCE_MAX_S, silence_s))
                if pause_s > self._waited_s:
                    self.idle_s = silence_s if silence_s > SILENCE_MAX_S else None
                    break
                self._waited_s -= pause_s
                self._before_s = happened_s
            place += 1
            if stops_at(place):
                self.playing = False
                break
        return place
