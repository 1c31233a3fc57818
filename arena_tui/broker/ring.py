"""Bounded per-run event log. Knows nothing of readers' speed or of storage.

Entries are addressed by *position*: dense, whatever happens upstream. While a run's stream is
whole, which in process it always is, an event's position is its seq. A gap that came from upstream
takes one position, and what follows it may have another epoch and go on at any seq: the log is
then a chain of stretches, each dense in seq and ended by its gap.
"""

from __future__ import annotations

from array import array

from msgspec import Struct

from arena_tui.broker.protocol import Cursor, Limits
from arena_tui.events import Delivery, Envelope, Event, Gap

__all__ = ["RunLog"]

_COMPACT_AT = 1_024
"""Empty slots allowed before the lists are compacted: keeps trimming O(1) amortised."""


class _Stretch(Struct, frozen=True):
    """Positions from `first` on, where `seq == position + offset`; `gap` stands at its end."""

    first: int
    epoch: int
    offset: int
    gap: Gap | None = None
    gap_at: int = 0


class RunLog:
    """Events of one run, newest `capacity` of them.

    Args:
        first: Position, and seq, of the first event to come.

    Attributes:
        birth: The epoch it began with; with the run id it tells this log from any other.
        epoch: Of the newest entry.
        born_at: First position it ever had.
        first: Oldest position held; `last + 1` when none is.
        last: Newest position; `born_at - 1` before the first.
        bytes: JSON size of the events held.
        trimmed: Entries let go so far, for whatever reason.
        high_water: Most entries ever held at once.
    """

    __slots__ = (
        "_capacity",
        "_ended",
        "_entries",
        "_head",
        "_high_water",
        "_max_bytes",
        "_offset",
        "_since",
        "_sizes",
        "birth",
        "born_at",
        "bytes",
        "epoch",
        "first",
        "last",
        "run_id",
    )

    def __init__(self, run_id: str, epoch: int, limits: Limits, first: int = 1) -> None:
        self.run_id = run_id
        self.birth = self.epoch = epoch
        self.born_at = self.first = first
        self.last = first - 1
        self.bytes = 0
        self._offset = 0
        self._since = first  # position at which the newest stretch begins
        self._ended: list[_Stretch] = []
        self._high_water = 0
        self._capacity = limits.capacity
        self._max_bytes = limits.run_bytes
        self._entries: list[Delivery | None] = []
        self._sizes = array("L")
        self._head = 0  # index of `first`; the slots before it are empty

    def __len__(self) -> int:
        return self.last - self.first + 1

    @property
    def first_seq(self) -> int:
        """Oldest seq of the newest epoch that is held; `last_seq + 1` when none is."""
        return max(self.first, self._since) + self._offset

    @property
    def last_seq(self) -> int:
        """Newest seq; 0 before an epoch's first event."""
        return self.last + self._offset

    @property
    def whole(self) -> bool:
        """Whether no gap came from upstream: position and seq are the same."""
        return not self._ended

    @property
    def trimmed(self) -> int:
        return self.first - self.born_at

    @property
    def high_water(self) -> int:
        return max(self._high_water, len(self))

    def append(self, event: Event, size: int) -> Envelope:
        """Store `event` (`size` bytes of JSON) as the newest entry; never blocks.

        When full, lets the oldest entries go; the newest is always kept.
        """
        position = self.last = self.last + 1
        envelope = Envelope(self.run_id, self.epoch, position + self._offset, event)
        self._entries.append(envelope)
        self._sizes.append(size)
        self.bytes += size
        if position - self.first >= self._capacity or self.bytes > self._max_bytes:
            self._make_room()
        return envelope

    def append_gap(self, gap: Gap, epoch: int, next_seq: int) -> None:
        """Store word of events that never came; the next event has this epoch and seq."""
        position = self.last = self.last + 1
        self._entries.append(gap)
        self._sizes.append(0)
        self._ended.append(_Stretch(self._since, self.epoch, self._offset, gap, position))
        self.epoch = epoch
        self._since = position + 1
        self._offset = next_seq - self._since
        if position - self.first >= self._capacity:
            self._make_room()

    def read(self, after: int, limit: int, up_to: int) -> list[Delivery]:
        """At most `limit` entries at `after < position <= up_to`; `after + 1` must be held."""
        start = self._head + after + 1 - self.first
        return self._entries[start : start + min(limit, up_to - after)]  # type: ignore[return-value]

    def position_of(self, cursor: Cursor) -> int | None:
        """The position up to which a reader at this cursor has read; None when the epoch is none
        of this log's. Gaps of unknown length that begin where it stands count as not read."""
        found = None
        for stretch in reversed(self._stretches()):
            if stretch.epoch != cursor.epoch:
                if found is not None:
                    break
                continue
            found = cursor.seq - stretch.offset
            if stretch.gap is not None:
                passed = stretch.gap.count > 0 and cursor.seq >= stretch.gap.to_seq
                found = stretch.gap_at if passed else min(found, stretch.gap_at - 1)
            if found >= stretch.first:
                break
        return found

    def acked_by(self, cursor: Cursor) -> int | None:
        """`position_of`, but past gaps of unknown length: there is no seq to ack them with."""
        position = self.position_of(cursor)
        if position is not None and self._ended:
            unknown = {each.gap_at for each in self._ended if each.gap and not each.gap.count}
            while position + 1 in unknown:
                position += 1
        return position

    def find(self, delivery: Delivery) -> int | None:
        """The position at which it was appended; None when it never was."""
        for stretch in reversed(self._stretches()):
            if isinstance(delivery, Gap):
                if delivery is stretch.gap:
                    return stretch.gap_at
            elif delivery.epoch == stretch.epoch:
                position = delivery.seq - stretch.offset
                if position >= stretch.first:
                    return position
        return None

    def missing(self, after: int, up_to: int) -> list[tuple[Gap, int]]:
        """What stood at these positions, as gaps, each with the position it reaches to."""
        found: list[tuple[Gap, int]] = []
        for stretch in self._stretches():
            last = up_to if stretch.gap is None else min(up_to, stretch.gap_at - 1)
            if after < last:
                seqs = after + 1 + stretch.offset, last + stretch.offset
                found.append((Gap(self.run_id, stretch.epoch, *seqs, "trimmed"), last))
                after = last
            if stretch.gap is not None and after + 1 == stretch.gap_at <= up_to:
                found.append((stretch.gap, stretch.gap_at))
                after = stretch.gap_at
        return found

    def trim_to(self, position: int) -> None:
        """Let go of everything up to and including `position`."""
        count = min(position, self.last) - self.first + 1
        if count <= 0:
            return
        if (held := len(self)) > self._high_water:
            self._high_water = held
        head, end = self._head, self._head + count
        self.bytes -= sum(self._sizes[head:end])
        self.first += count
        if end >= _COMPACT_AT or end == len(self._entries):
            del self._entries[:end]
            del self._sizes[:end]
            self._head = 0
        else:
            self._entries[head:end] = [None] * count
            self._head = end

    def _stretches(self) -> list[_Stretch]:
        return [*self._ended, _Stretch(self._since, self.epoch, self._offset)]

    def _make_room(self) -> None:
        if self.last - self.first >= self._capacity:
            self.trim_to(self.last - self._capacity)
        while self.bytes > self._max_bytes and len(self) > 1:
            self.trim_to(self.first)
