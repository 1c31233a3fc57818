"""Splits bytes into JSON lines, decodes and counts them, and reports those that are no events.

Knows nothing of where the bytes come from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TypeAlias

from arena_tui.broker.chain import Chain
from arena_tui.broker.protocol import Cursor
from arena_tui.errors import EventError, RunClosedError
from arena_tui.events import EVENT_CEILING_BYTES, Event, RunStart
from arena_tui.producers.fitting import NOTHING, fitted
from arena_tui.producers.reading import own_time, read_line
from arena_tui.producers.shortening import Notes
from arena_tui.producers.sink import MultiRunBrokerSink

LINE_MAX_BYTES: Final = EVENT_CEILING_BYTES + 16 * 1024
"""Longest line accepted: an event, plus the line's own fields and white space."""

_AHEAD_EVENTS: Final = 500
"""Most events read ahead of the broker: fewer than a run keeps, so that a live reader never finds
them trimmed."""

_AHEAD_BYTES: Final = 4 * 1024 * 1024

_YIELD_S: Final = 0.005
"""Pause after each flush when a screen reads along, so that keys respond while a big file loads."""

_BLANKS: Final = b" \t"
_1970: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Line(NamedTuple):
    """One line without its end, numbered from 1.

    Attributes:
        raw: None when it was too long.
        notes: What its event lost when it was decoded.
    """

    number: int
    raw: bytes | None
    notes: Notes = NOTHING

    def decode(self) -> tuple[str, Event, Notes]:
        """See `read_line`; raises EventError also when it was too long."""
        if self.raw is None:
            raise EventError(f"longer than {LINE_MAX_BYTES:,} bytes: shorten the event")
        return read_line(self.raw)

    def epoch(self) -> int:
        """Epoch of the run whose first line this is; the same whenever the line is read.

        It is the line's `ts` in ms since 1970, or 1 when it has none.
        """
        at = None if self.raw is None else own_time(self.raw)
        return 1 if at is None else max(1, (at - _1970) // _MILLISECOND)


Publish: TypeAlias = Callable[[str, Event, Line], None]
"""Publishes the event of a line; raises EventError or RunClosedError when it is refused."""

Refuse: TypeAlias = Callable[[int, str], None]
"""Called with the number of a bad line, and the reason."""


class LineCutter:
    """Splits chunks of bytes into lines. Buffers one partial line, nothing of one that is too long.

    Lines end with LF, CR LF or CR. Blank lines are numbered but skipped. NULs are left out: a file
    that was truncated while its writer goes on has them up to where that was.
    """

    def __init__(self) -> None:
        self._number = 0
        self._after_cr = False
        self._partial = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> Iterator[Line]:
        """The lines that `data` completes. Exhaust the iterator before feeding more."""
        if b"\0" in data:
            data = data.replace(b"\0", b"")
        if self._after_cr or b"\r" in data:
            data = self._with_newlines(data)
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            if self._partial or self._too_long or end - start > LINE_MAX_BYTES:
                self._buffer(data, start, end)
                yield from self.rest()
            else:
                self._number += 1
                raw = data[start:end]
                if raw.strip(_BLANKS):
                    yield Line(self._number, raw)
            start = end + 1
        self._buffer(data, start, len(data))

    def rest(self) -> Iterator[Line]:
        """The partial line, at the end of the input."""
        raw = None if self._too_long else bytes(self._partial)
        self._partial.clear()
        self._too_long = False
        self._number += 1
        if raw is None or raw.strip(_BLANKS):
            yield Line(self._number, raw)

    def unfinished(self) -> Line | None:
        """The partial line as it stands; None when there is none, or it is too long."""
        if self._too_long or not self._partial.strip(_BLANKS):
            return None
        return Line(self._number + 1, bytes(self._partial))

    def _with_newlines(self, data: bytes) -> bytes:
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        self._after_cr |= data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _buffer(self, data: bytes, start: int, end: int) -> None:
        if len(self._partial) + end - start > LINE_MAX_BYTES:
            self._too_long = True
            self._partial.clear()
        elif not self._too_long:
            self._partial += memoryview(data)[start:end]


class LineIntake:
    """Decodes lines, publishes their events and counts them; one that is no event is reported.

    Attributes:
        published: Events published; refused: bad lines.
    """

    def __init__(self, publish: Publish, refuse: Refuse) -> None:
        self.published = 0
        self.refused = 0
        self._publish = publish
        self._refuse = refuse

    def take(self, lines: Iterable[Line]) -> None:
        for line in lines:
            try:
                run_id, event, notes = line.decode()
                self._publish(run_id, event, line._replace(notes=notes) if notes else line)
            except (EventError, RunClosedError) as error:
                self.refused += 1
                self._refuse(line.number, str(error))
            else:
                self.published += 1


class PacedSink:
    """Emits lines into a sink from one thread, with a bound on events not yet published.

    A file is read faster than it is stored: without the bound all of it could pile up in memory.

    Args:
        published: Awaited on the loop after each flush.
        owned: Whether the runs whose `run_start` is emitted live and end with the sink.
    """

    def __init__(
        self, sink: MultiRunBrokerSink, published: Callable[[], Awaitable[object]] | None = None, *,
        owned: bool = True,
    ) -> None:  # fmt: skip
        self._sink = sink
        self._owned = owned
        self._published = published
        self._loop = asyncio.get_running_loop()
        self._events = 0
        self._bytes = 0

    def emit(
        self, run_id: str, event: Event, line: Line, chain: Chain | None = None,
        opens_at: Cursor | None = None,
    ) -> None:  # fmt: skip
        """Emit a line's event, as far as it fits the limit; see `MultiRunBrokerSink.emit`."""
        notes, owned = line.notes, self._owned and type(event) is RunStart
        try:
            self._sink.emit(run_id, event, owned, chain, opens_at)
        except EventError:
            event, notes = fitted(event, self._sink.event_max_bytes, notes)
            self._sink.emit(run_id, event, owned, chain, opens_at)
        if notes:
            self._sink.count_coerced(run_id, notes)
        self._events += 1
        self._bytes += len(line.raw or b"")
        if self._events >= _AHEAD_EVENTS or self._bytes >= _AHEAD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Block until all that was emitted is published, however long the broker takes."""
        self._events = self._bytes = 0
        asyncio.run_coroutine_threadsafe(self._flush(), self._loop).result()

    async def _flush(self) -> None:
        await self._sink.flush()
        if self._published is not None:
            await self._published()
            await asyncio.sleep(_YIELD_S)
