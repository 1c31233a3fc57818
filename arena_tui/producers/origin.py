"""Tells lines by their content: which chain each is in. Reads and publishes nothing."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from msgspec import Struct

from arena_tui.errors import RunClosedError
from arena_tui.events import Event, RunEnd, RunStart

_DIGEST_BYTES: Final = 16


class Place(Struct, frozen=True):
    """Where a line stands: the `lines`th of its run's `number`th chain in the file, from 1.

    Attributes:
        ends: Whether the run ends with it.
    """

    number: int
    lines: int
    first: bytes
    digest: bytes
    ends: bool


class Tracker:
    """Places the lines of one file, read in order from its beginning."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}

    @property
    def open(self) -> dict[str, int]:
        """The number of the newest chain of each run that has not ended."""
        return {run: place.number for run, place in self._places.items() if not place.ends}

    def next(self, run_id: str, event: Event, raw: bytes) -> Place:
        """The place of the next line, which counts once it is kept.

        Raises:
            RunClosedError: The run has ended, and this does not begin it again.
        """
        last = self._places.get(run_id)
        if last is None or type(event) is RunStart:
            number, lines, before = 1 if last is None else last.number + 1, 1, b""
        elif last.ends:
            raise RunClosedError(run_id)
        else:
            number, lines, before = last.number, last.lines + 1, last.digest
        digest = blake2b(before + raw, digest_size=_DIGEST_BYTES).digest()
        first = digest if last is None or lines == 1 else last.first
        return Place(number, lines, first, digest, type(event) is RunEnd)

    def keep(self, run_id: str, place: Place) -> None:
        self._places[run_id] = place
