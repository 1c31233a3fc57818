"""The runs that a ledger has let go, and what durable consumers have yet to ack of them."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from arena_tui.broker.protocol import Cursor, Limits, RunMeta, Start
from arena_tui.broker.recent import Recent
from arena_tui.broker.ring import RunLog
from arena_tui.broker.starting import cursor_in
from arena_tui.broker.stream import Progress, RunStream

_KEPT: Final = 10_000
"""Runs of which it is remembered how far they had come."""


class _Past(NamedTuple):
    """How far a run had come when it was let go, and which durable consumers had acked all of it;
    their cursors need not tell of a run that has ended."""

    at: Cursor
    acked_by: tuple[str, ...]


class _Reader(Protocol):
    """A durable subscription to all runs."""

    name: str

    def enqueue(self, stream: RunStream, count: int) -> None: ...


class LetGo:
    """What nobody can read any more counts as not acked, until the gap in its place is acked.

    Attributes:
        unacked: The runs that some durable consumer has yet to ack, by run id.
    """

    def __init__(self) -> None:
        self.unacked: dict[str, RunStream] = {}
        self._past: Recent[str, _Past] = Recent(_KEPT)

    def add(self, stream: RunStream) -> None:
        log = stream.log
        lagging = [name for name in stream.progress if stream.lag(name)]
        acked_by = tuple(name for name in stream.progress if name not in lagging)
        self._past[log.run_id] = _Past(Cursor(log.epoch, log.last), acked_by)
        if lagging:
            self.unacked[log.run_id] = stream

    def epoch(self, run_id: str) -> int:
        """The run's epoch when it was let go; 0 when it is not known."""
        return self._past[run_id].at.epoch if run_id in self._past else 0

    def take_back(self, stream: RunStream) -> None:
        """The run is held again: its new stream has the acks that its old one still lacks."""
        self._past.pop(stream.log.run_id, None)
        if unacked := self.unacked.pop(stream.log.run_id, None):
            stream.succeed(unacked)

    def tell(self, reader: _Reader, start: Start) -> None:
        """Enqueue a gap for each run that a new durable consumer comes too late for."""
        for run_id, (at, acked_by) in self._past.items() if not isinstance(start, str) else ():
            begins = cursor_in(start, run_id) or Cursor(0, 0)
            if begins >= at or reader.name in acked_by:
                continue
            stream = self.unacked.get(run_id) or _emptied(run_id, at)
            read = begins.seq if begins.epoch == at.epoch else 0
            stream.progress[reader.name] = Progress(read)
            reader.enqueue(stream, at.seq - read)
            self.unacked[run_id] = stream

    def on_ack(self, stream: RunStream) -> None:
        if stream.reaped and not any(map(stream.lag, stream.progress)):
            self.unacked.pop(stream.log.run_id, None)

    def drop_consumer(self, name: str) -> None:
        for stream in list(self.unacked.values()):
            stream.drop_consumer(name)
            self.on_ack(stream)


def _emptied(run_id: str, at: Cursor) -> RunStream:
    """The stream of a run that was let go when it had come so far."""
    log = RunLog(run_id, at.epoch, Limits(), first=at.seq + 1)
    stream = RunStream(RunMeta(run_id=run_id), log, 0.0)
    stream.reap()
    return stream
