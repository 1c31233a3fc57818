"""JSON lines on their way to a broker: cut from bytes, decoded, counted, the bad ones reported.

Knows neither where the bytes come from nor where the events go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Struct

from arena_tui.codec import decode_line
from arena_tui.errors import EventError, RunClosedError
from arena_tui.events import EVENT_MAX_BYTES, Event
from arena_tui.producers.sink import MultiRunBrokerSink

__all__ = ["LINE_MAX_BYTES", "Line", "LineCutter", "LineIntake", "PacedSink", "Publish", "Refuse"]

LINE_MAX_BYTES: Final = EVENT_MAX_BYTES + 16 * 1024
"""Longest line that is held: an event, and a line's own fields and spaces around it."""

_AHEAD_EVENTS: Final = 500
"""Events read ahead of the broker: fewer than a run keeps, so that nobody who reads along at once
finds them trimmed."""

_AHEAD_BYTES: Final = 4 * 1024 * 1024

_BREATH_S: Final = 0.005
"""Rest after each portion where a screen reads along: keys wait less while a big file is read."""

_BLANKS: Final = b" \t\r"
_1970: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Line(NamedTuple):
    """One line, numbered from 1, without its newline; `raw` is None when it was too long."""

    number: int
    raw: bytes | None

    def decode(self) -> tuple[str, Event]:
        """Run id and event.

        Raises:
            EventError: It is not an event of a run, or too long.
        """
        if self.raw is None:
            raise EventError(f"longer than {LINE_MAX_BYTES:,} bytes: shorten the event")
        return decode_line(self.raw)

    def epoch(self, event: Event) -> int:
        """Epoch of the run whose first line this is: the same whenever the line is read.

        It is the line's `ts` in ms since 1970, or 1 when it has none.
        """
        if self.raw is None or msgspec.json.decode(self.raw, type=_Stamped).ts is None:
            return 1
        return max(1, (event.ts - _1970) // _MILLISECOND)


class _Stamped(Struct):
    """What tells whether a line brings a time of its own."""

    ts: Any = None


Publish: TypeAlias = Callable[[str, Event, Line], None]
"""Takes run id and event of a line; raises EventError or RunClosedError when it refuses it."""

Refuse: TypeAlias = Callable[[int, str], None]
"""Is told the number of a bad line, and what is wrong with it."""


class LineCutter:
    """Cuts what is fed to it into lines; holds one unfinished line, and of a too long one nothing.

    Blank lines are counted and left out.
    """

    def __init__(self) -> None:
        self._number = 0
        self._held = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> Iterator[Line]:
        """The lines that end in `data`. Take them all before feeding more."""
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._hold(data, start, end)
            yield from self.rest()
            start = end + 1
        self._hold(data, start, len(data))

    def rest(self) -> Iterator[Line]:
        """The line begun, when no more is to come."""
        raw = None if self._too_long else bytes(self._held)
        self._held.clear()
        self._too_long = False
        self._number += 1
        if raw is None or raw.strip(_BLANKS):
            yield Line(self._number, raw)

    def _hold(self, data: bytes, start: int, end: int) -> None:
        if len(self._held) + end - start > LINE_MAX_BYTES:
            self._too_long = True
            self._held.clear()
        elif not self._too_long:
            self._held += memoryview(data)[start:end]


class LineIntake:
    """Hands the events of lines on and counts them; a bad line stops nothing.

    Attributes:
        published: Events handed on; refused: bad lines; runs: ids of the runs seen.
    """

    def __init__(self, publish: Publish, refuse: Refuse) -> None:
        self.published = 0
        self.refused = 0
        self.runs: set[str] = set()
        self._publish = publish
        self._refuse = refuse

    def take(self, lines: Iterable[Line]) -> None:
        """Hand on what the lines hold."""
        for line in lines:
            try:
                run_id, event = line.decode()
                self._publish(run_id, event, line)
            except (EventError, RunClosedError) as error:
                self.refused += 1
                self._refuse(line.number, str(error))
            else:
                self.published += 1
                self.runs.add(run_id)


class PacedSink:
    """Emits lines into a sink from one thread, and never gets far ahead of what is published.

    A file is read faster than it is stored: without this all of it could stand in memory.

    Args:
        published: Awaited on the loop each time all that was emitted is published.
    """

    def __init__(
        self, sink: MultiRunBrokerSink, published: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        self._sink = sink
        self._published = published
        self._loop = asyncio.get_running_loop()
        self._events = 0
        self._bytes = 0

    def emit(self, run_id: str, event: Event, line: Line) -> None:
        """Emit a line's event; see `MultiRunBrokerSink.emit`."""
        self._sink.emit(run_id, event)
        self._events += 1
        self._bytes += len(line.raw or b"")
        if self._events >= _AHEAD_EVENTS or self._bytes >= _AHEAD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Wait until all that was emitted is published, however long the broker takes."""
        self._events = self._bytes = 0
        asyncio.run_coroutine_threadsafe(self._let_read(), self._loop).result()

    async def _let_read(self) -> None:
        await self._sink.flush()
        if self._published is not None:
            await self._published()
            await asyncio.sleep(_BREATH_S)
