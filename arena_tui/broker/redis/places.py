"""How far each run is read from the server. Asks the server nothing."""

from __future__ import annotations

from typing import Final

from arena_tui.broker.ledger import Ledger
from arena_tui.broker.protocol import Cursor
from arena_tui.broker.recent import Recent
from arena_tui.broker.redis.codec import NO_CURSOR
from arena_tui.broker.redis.scripts import events_key
from arena_tui.broker.stream import RunStream
from arena_tui.events import Gap

__all__ = ["Place", "Places"]

_KNOWN_KEPT: Final = 10_000


class Place:
    """How far one run is read.

    Attributes:
        after: Id of the newest entry read, whoever wrote it.
        at: The newest event read.
        looked_at: `at` when the server was last asked how far the run is.
        gone_at: When it was found gone, on the monotonic clock; None: its readers know of it.
    """

    __slots__ = ("after", "at", "gone_at", "key", "looked_at", "stream")

    def __init__(self, stream: RunStream, at: Cursor) -> None:
        self.stream = stream
        self.key = events_key(stream.log.run_id)
        self.at = at
        self.after = b"%d-%d" % at
        self.looked_at = NO_CURSOR
        self.gone_at: float | None = None

    @property
    def run_id(self) -> str:
        return self.stream.log.run_id


class Places:
    """The runs that are read, and those that are gone from the server for now.

    Attributes:
        read, gone: By run id.
        known: Runs that were read lately, too.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.read: dict[str, Place] = {}
        self.gone: dict[str, Place] = {}
        self.known: Recent[str, None] = Recent(_KNOWN_KEPT)
        self._ledger = ledger

    def follow(self, stream: RunStream, at: Cursor) -> None:
        """Read on in a run from here."""
        self.read[stream.log.run_id] = Place(stream, at)
        self.known[stream.log.run_id] = None

    def drop(self, run_id: str) -> None:
        """Read this run no more."""
        self.read.pop(run_id, None)
        self.gone.pop(run_id, None)

    def has_read(self, run_id: str, cursor: Cursor) -> bool:
        """Whether the run was read up to here."""
        place = self.read.get(run_id)
        if place is not None:
            return place.at >= cursor
        return run_id in self.known and run_id not in self.gone

    def leave_out(self, place: Place, to_seq: int) -> None:
        """Append a gap: the server has let go of what should come next."""
        epoch, seq = place.at
        gap = Gap(place.run_id, epoch, seq + 1, to_seq, "trimmed")
        self._ledger.append_gap(place.stream, gap)
        self._ledger.warnings.add(
            f"run {gap.run_id}: {gap.count:,} events were gone before they were read"
        )
        place.at = Cursor(epoch, to_seq)

    def note_gone(self, place: Place, now: float) -> None:
        """A run is not on the server any more; it may come back."""
        if self.read.pop(place.run_id, None) is not None:
            self.gone[place.run_id] = place
            place.gone_at = now
            self._ledger.warnings.add(f"run {place.run_id}: its stream is gone from Redis")

    def come_back(self, run_id: str) -> None:
        """A run that was gone is there again."""
        place = self.read[run_id] = self.gone.pop(run_id)
        place.gone_at = None
