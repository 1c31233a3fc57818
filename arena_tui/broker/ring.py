"""Bounded per-run event log. Knows nothing of readers' speed or of storage."""

from __future__ import annotations

from array import array

from arena_tui.broker.protocol import Limits
from arena_tui.events import Envelope, Event

__all__ = ["RunLog"]

_COMPACT_AT = 1_024
"""Empty slots allowed before the lists are compacted: keeps trimming O(1) amortised."""


class RunLog:
    """Events of one run, newest `capacity` of them, addressed by seq.

    Attributes:
        first_seq: Oldest event held; `last_seq + 1` when none is.
        last_seq: Newest event ever appended; 0 before the first.
        bytes: JSON size of the events held.
        trimmed: Events let go so far, for whatever reason.
        high_water: Most events ever held at once.
    """

    __slots__ = (
        "_capacity",
        "_entries",
        "_head",
        "_high_water",
        "_max_bytes",
        "_sizes",
        "bytes",
        "epoch",
        "first_seq",
        "last_seq",
        "run_id",
    )

    def __init__(self, run_id: str, epoch: int, limits: Limits) -> None:
        self.run_id = run_id
        self.epoch = epoch
        self.first_seq = 1
        self.last_seq = 0
        self.bytes = 0
        self._high_water = 0
        self._capacity = limits.capacity
        self._max_bytes = limits.run_bytes
        self._entries: list[Envelope | None] = []
        self._sizes = array("L")
        self._head = 0  # index of `first_seq`; the slots before it are empty

    def __len__(self) -> int:
        return self.last_seq - self.first_seq + 1

    @property
    def trimmed(self) -> int:
        return self.first_seq - 1

    @property
    def high_water(self) -> int:
        return max(self._high_water, len(self))

    def append(self, event: Event, size: int) -> Envelope:
        """Store `event` (`size` bytes of JSON) as the newest entry; never blocks.

        When full, lets the oldest entries go; the newest is always kept.
        """
        seq = self.last_seq = self.last_seq + 1
        envelope = Envelope(self.run_id, self.epoch, seq, event)
        self._entries.append(envelope)
        self._sizes.append(size)
        self.bytes += size
        if seq - self.first_seq >= self._capacity or self.bytes > self._max_bytes:
            self._make_room()
        return envelope

    def read(self, after: int, limit: int, up_to: int) -> list[Envelope]:
        """At most `limit` events with `after < seq <= up_to`; `after + 1` must be held."""
        start = self._head + after + 1 - self.first_seq
        return self._entries[start : start + min(limit, up_to - after)]  # type: ignore[return-value]

    def trim_to(self, seq: int) -> None:
        """Let go of everything up to and including `seq`."""
        count = min(seq, self.last_seq) - self.first_seq + 1
        if count <= 0:
            return
        if (held := len(self)) > self._high_water:
            self._high_water = held
        head, end = self._head, self._head + count
        self.bytes -= sum(self._sizes[head:end])
        self.first_seq += count
        if end >= _COMPACT_AT or end == len(self._entries):
            del self._entries[:end]
            del self._sizes[:end]
            self._head = 0
        else:
            self._entries[head:end] = [None] * count
            self._head = end

    def _make_room(self) -> None:
        if self.last_seq - self.first_seq >= self._capacity:
            self.trim_to(self.last_seq - self._capacity)
        while self.bytes > self._max_bytes and len(self) > 1:
            self.trim_to(self.first_seq)
