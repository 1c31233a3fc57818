"""Where the Run screen stands in a run, and how it moves on by itself. Reads nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from msgspec import Struct

__all__ = ["Playhead", "Position"]

_SPEEDS: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0)
_SILENCE_MAX_S: Final = 2.0
"""Longest pause that playing keeps; what is longer is cut."""


class Position(Struct, frozen=True, kw_only=True):
    """Where in a run one stands.

    Attributes:
        mode: `LIVE ●`, `REPLAY 4x ▶`, `PAUSED 1x`.
        at, last: Seq shown, and the newest one.
        live: Whether more may come.
        ts: Time of the event at `at`, UTC; None while it is not read.
    """

    mode: str = ""
    at: int = 0
    last: int = 0
    live: bool = False
    ts: datetime | None = None


class Playhead:
    """A place in a run, by seq.

    Attributes:
        at: The seq shown; 0 before anything is.
        following: Whether `at` stays the newest event of a live run.
        playing: Whether it moves on by itself.
        speed: How much faster than it happened.
    """

    def __init__(self) -> None:
        self.at = 0
        self.following = False
        self.playing = False
        self.speed = 1.0
        self._reached_s = 0.0

    def mode(self, live: bool) -> str:
        """What the header says: `LIVE ●`, `PAUSED`, `REPLAY 4x ▶`."""
        if self.playing:
            return f"REPLAY {self.speed:g}x ▶"
        if self.following:
            return "LIVE ●"
        return f"{'PAUSED' if live else 'REPLAY'} {self.speed:g}x"

    def place(self, seq: int, last_seq: int, live: bool) -> None:
        """Stand at `seq`; at the newest event of a live run that means to follow it."""
        self.at = max(1, min(last_seq, seq))
        self.following = live and self.at == last_seq and not self.playing

    def play(self, at_s: float) -> None:
        """Begin to move on from the time of the event shown, in seconds since 1970."""
        self.playing = True
        self.following = False
        self._reached_s = at_s

    def change_speed(self, step: int) -> None:
        """One step faster (1) or slower (-1)."""
        index = _SPEEDS.index(self.speed) + step
        self.speed = _SPEEDS[max(0, min(len(_SPEEDS) - 1, index))]

    def advance(
        self, passed_s: float, last_seq: int, time_of: Callable[[int], float | None]
    ) -> int:
        """The seq reached after `passed_s` seconds; `time_of` is None where it is not known yet.

        A gap has the time of what stands before it. Long silences are cut.
        """
        self._reached_s += passed_s * self.speed
        seq = self.at
        while seq < last_seq and (happened_s := time_of(seq + 1)) is not None:
            if happened_s > self._reached_s:
                self._reached_s = max(self._reached_s, happened_s - _SILENCE_MAX_S)
                break
            seq += 1
        return seq
