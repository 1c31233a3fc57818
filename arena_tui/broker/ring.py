"""Bounded log of one stream of a run, as JSON. Knows nothing of readers' speed or of storage.

A log holds one `(run, epoch)`, so an entry is addressed by its seq. A range lost upstream is a
`Gap` that fills the slots of its seqs. Events are held as the bytes they were accepted in: a reader
that keeps up gets the decoded event from the window, and decoding again for one that does not is
cheaper than holding every event decoded (590 bytes an event against 190).
"""

from __future__ import annotations

from msgspec.structs import replace

from arena_tui.broker.protocol import Limits
from arena_tui.codec import decode_event
from arena_tui.events import Delivery, Envelope, Gap

_COMPACT_AT = 1_024
"""Empty slots allowed before the list is compacted: keeps trimming O(1) amortised."""


class RunLog:
    """The newest `capacity` seqs of one stream.

    Args:
        first: Seq of the first event to be appended.

    Attributes:
        born_at: Seq of the first event ever appended.
        first: Oldest seq held; `last + 1` when none is.
        last: Newest seq; `born_at - 1` before the first event.
        bytes: JSON size of the events held.
    """

    __slots__ = (
        "_capacity", "_entries", "_gaps", "_head", "_high_water", "_max_bytes",
        "born_at", "bytes", "epoch", "first", "last", "run_id",
    )  # fmt: skip

    def __init__(self, run_id: str, epoch: int, limits: Limits, first: int = 1) -> None:
        self.run_id = run_id
        self.epoch = epoch
        self.born_at = self.first = first
        self.last = first - 1
        self.bytes = 0
        self._high_water = 0
        self._capacity = limits.capacity
        self._max_bytes = limits.run_bytes
        self._entries: list[bytes | Gap | None] = []
        self._head = 0  # index of `first`; the slots before it are empty
        self._gaps = 0  # slots filled by gaps

    def __len__(self) -> int:
        return self.last - self.first + 1

    @property
    def trimmed(self) -> int:
        """Entries evicted so far, for whatever reason."""
        return self.first - self.born_at

    @property
    def high_water(self) -> int:
        """Most entries ever held at once."""
        return max(self._high_water, len(self))

    def append(self, raw: bytes) -> int:
        """Append an event's JSON and return its seq; never blocks.

        When full, evicts the oldest entries; the newest is always kept.
        """
        seq = self.last = self.last + 1
        self._entries.append(raw)
        self.bytes += len(raw)
        if seq - self.first >= self._capacity or self.bytes > self._max_bytes:
            self._make_room()
        return seq

    def append_gap(self, gap: Gap) -> None:
        """Append a gap marking events lost upstream; it begins at the next seq."""
        held = min(gap.count, self._capacity)
        if held < gap.count:
            self.trim_to(self.last)
            self.first = gap.to_seq - held + 1
        self._entries += [gap] * held
        self._gaps += held
        self.last = gap.to_seq
        self._make_room()

    def read(self, after: int, limit: int, up_to: int) -> tuple[list[Delivery], int]:
        """At most `limit` entries at `after < seq <= up_to`, and the seq of the last one.

        `after + 1` must be held. A gap counts as one entry, and is cut to begin after `after`.
        """
        start = self._head + after + 1 - self.first
        entries = self._entries[start : start + min(limit, up_to - after)]
        if self._gaps:
            return self._with_gaps(entries, after)
        run_id, epoch = self.run_id, self.epoch
        found: list[Delivery] = [
            Envelope(run_id, epoch, seq, decode_event(raw), raw)  # type: ignore[arg-type]
            for seq, raw in enumerate(entries, after + 1)
        ]
        return found, after + len(found)

    def trim_to(self, seq: int) -> None:
        """Evict everything up to and including `seq`."""
        count = min(seq, self.last) - self.first + 1
        if count <= 0:
            return
        if (held := len(self)) > self._high_water:
            self._high_water = held
        head, end = self._head, self._head + count
        gone = self._entries[head:end]
        raws = [each for each in gone if isinstance(each, bytes)] if self._gaps else gone
        self.bytes -= sum(map(len, raws))  # type: ignore[arg-type]
        self._gaps -= len(gone) - len(raws)
        self.first += count
        if end >= _COMPACT_AT or end == len(self._entries):
            del self._entries[:end]
            self._head = 0
        else:
            self._entries[head:end] = [None] * count
            self._head = end

    def _with_gaps(
        self, entries: list[bytes | Gap | None], after: int
    ) -> tuple[list[Delivery], int]:
        found: list[Delivery] = []
        for entry in entries:
            if isinstance(entry, Gap):
                if entry.to_seq > after:
                    found.append(replace(entry, from_seq=after + 1))
                    after = entry.to_seq
            elif entry is not None:
                after += 1
                found.append(Envelope(self.run_id, self.epoch, after, decode_event(entry), entry))
        return found, after

    def _make_room(self) -> None:
        if self.last - self.first >= self._capacity:
            self.trim_to(self.last - self._capacity)
        while self.bytes > self._max_bytes and len(self) > 1:
            self.trim_to(self.first)
