"""Entries of a run's stream as events and gaps. Knows no connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from arena_tui.broker.protocol import Cursor, RunMeta
from arena_tui.codec import received
from arena_tui.errors import EventError
from arena_tui.events import Delivery, Envelope, Event, Gap, check_run_id

__all__ = [
    "NO_CURSOR",
    "Entry",
    "RawEntry",
    "Unusable",
    "decode_meta",
    "deliveries",
    "encode_meta",
    "parse_ended",
    "parse_id",
    "raw_bytes",
    "read_entry",
    "read_next",
]

NO_CURSOR: Final = Cursor(0, 0)

RawEntry: TypeAlias = tuple[bytes, Sequence[bytes]]
"""Id, then field, value, field, value …; as the server sends it."""

_encoder = msgspec.json.Encoder()
_meta_decoder = msgspec.json.Decoder(RunMeta)


class Unusable(ValueError):
    """An entry that is no event.

    Attributes:
        has_seq: Whether it stands where an event would; else it is somebody else's altogether.
    """

    def __init__(self, why: str, *, has_seq: bool) -> None:
        super().__init__(why)
        self.has_seq = has_seq


class Entry(Struct, frozen=True):
    """One event as it stands in the stream, and its JSON."""

    at: Cursor
    event: Event
    raw: bytes


def parse_id(raw: bytes | str) -> Cursor:
    """`b"1763-12"` as a cursor; nothing, or nonsense, as `NO_CURSOR`."""
    epoch, _, seq = (raw if isinstance(raw, bytes) else raw.encode()).partition(b"-")
    return Cursor(int(epoch), int(seq)) if epoch.isdigit() and seq.isdigit() else NO_CURSOR


def parse_ended(raw: bytes) -> tuple[Cursor, ...]:
    """The cursors of ended streams, as the server keeps them; what is no cursor is left out."""
    return tuple(at for each in raw.split() if (at := parse_id(each)) != NO_CURSOR)


def read_entry(raw: RawEntry) -> Entry:
    """One entry of ours.

    Raises:
        Unusable: It is not one.
    """
    raw_id, fields = raw
    at = parse_id(raw_id)
    if at.seq == 0 or len(fields) < 2 or fields[0] != b"e":
        raise Unusable("no event, but an entry of somebody else's", has_seq=False)
    try:
        return Entry(at, *received(fields[1]))
    except EventError as error:
        raise Unusable(str(error), has_seq=True) from None


def read_next(entries: Sequence[RawEntry], after: Cursor) -> list[tuple[Event, bytes]] | None:
    """The events and their JSON, of entries that follow `after` without a hole; else None.

    Ids only grow in a stream: where the first and the last are as expected, so are all between.
    Reading each of them would take longer than decoding the events.
    """
    epoch, seq = after
    first, last = b"%d-%d" % (epoch, seq + 1), b"%d-%d" % (epoch, seq + len(entries))
    if entries[0][0] != first or entries[-1][0] != last:
        return None
    events = []
    try:
        for _, fields in entries:
            if not fields or fields[0] != b"e":
                return None
            events.append(received(fields[1]))
    except EventError:
        return None
    return events


def raw_bytes(raw: RawEntry) -> bytes:
    """What to keep of an entry that cannot be used."""
    return raw[0] + b" " + b" ".join(raw[1])


def deliveries(entries: Iterable[RawEntry], gap: Gap) -> list[Delivery]:
    """What of the gap these entries fill, in order, with smaller gaps between them.

    Nothing after the newest of them. Entries of other epochs are foreign: they stand between two
    streams of ours.
    """
    found: list[Delivery] = []
    seq = gap.from_seq - 1
    for raw in entries:
        at = parse_id(raw[0])
        if at.epoch == gap.epoch and at.seq <= seq:
            continue
        delivery: Delivery
        try:
            if at.epoch != gap.epoch:
                raise Unusable("an entry of another program", has_seq=False)
            entry = read_entry(raw)
            delivery = Envelope(gap.run_id, gap.epoch, at.seq, entry.event, entry.raw)
        except Unusable as error:
            first, last = (at.seq, at.seq) if error.has_seq else (seq + 1, seq)
            delivery = Gap(gap.run_id, gap.epoch, first, last, "quarantined", raw_bytes(raw))
        has_seq = isinstance(delivery, Envelope) or delivery.count > 0
        if has_seq and at.seq > seq + 1:
            found.append(Gap(gap.run_id, gap.epoch, seq + 1, at.seq - 1, "trimmed"))
        found.append(delivery)
        seq = at.seq if has_seq else seq
    return found


def encode_meta(meta: RunMeta) -> bytes:
    """As JSON."""
    return _encoder.encode(meta)


def decode_meta(raw: bytes, run_id: str) -> RunMeta:
    """From JSON; whatever else stands there, the run has an id.

    Raises:
        EventError: The id is not usable.
    """
    check_run_id(run_id)
    try:
        return _meta_decoder.decode(raw)
    except msgspec.MsgspecError:
        return RunMeta(run_id=run_id)
