"""Decodes the entries of a run's stream to events and gaps. Knows no connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec

from arena_tui.broker.protocol import NO_CURSOR, Cursor, RunMeta
from arena_tui.codec import received
from arena_tui.errors import EventError
from arena_tui.events import Delivery, Envelope, Event, Gap, check_run_id

RawEntry: TypeAlias = tuple[bytes, Sequence[bytes]]
"""Id, and a flat list of fields and values, as the server sends it."""

_encoder = msgspec.json.Encoder()
_meta_decoder = msgspec.json.Decoder(RunMeta)


class InvalidEntryError(ValueError):
    """An entry that is not an event.

    Attributes:
        has_seq: Whether its id is a seq of the run; otherwise another program wrote it.
    """

    def __init__(self, why: str, *, has_seq: bool) -> None:
        super().__init__(why)
        self.has_seq = has_seq


def parse_id(raw: bytes | str) -> Cursor:
    """Parse `b"1763-12"`; `NO_CURSOR` when it is empty or malformed."""
    epoch, _, seq = (raw if isinstance(raw, bytes) else raw.encode()).partition(b"-")
    return Cursor(int(epoch), int(seq)) if epoch.isdigit() and seq.isdigit() else NO_CURSOR


def parse_ended(raw: bytes) -> tuple[Cursor, ...]:
    """Parse the cursors of ended streams, as the server keeps them, to their order; skips malformed
    ones."""
    return tuple(sorted(at for each in raw.split() if (at := parse_id(each)) != NO_CURSOR))


def decode_entry(run_id: str, raw: RawEntry) -> Envelope:
    """Decode one entry; raises InvalidEntryError if it is not an event."""
    raw_id, fields = raw
    at = parse_id(raw_id)
    if at.seq == 0 or len(fields) < 2 or fields[0] != b"e":
        raise InvalidEntryError("no event, but an entry of somebody else's", has_seq=False)
    try:
        return Envelope(run_id, *at, *received(fields[1]))
    except EventError as error:
        raise InvalidEntryError(str(error), has_seq=True) from None


def decode_contiguous(
    entries: Sequence[RawEntry], after: Cursor
) -> list[tuple[Event, bytes]] | None:
    """Decode entries that follow `after` without a hole to events and their JSON; else None.

    Ids are strictly increasing in a stream: when the first and the last are as expected, so are all
    between. Parsing each would take longer than decoding the events.
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
    """The bytes to keep of a quarantined entry."""
    return raw[0] + b" " + b" ".join(raw[1])


def fill_gap(entries: Iterable[RawEntry], gap: Gap) -> list[Delivery]:
    """Fill a gap with these entries, in order, with smaller gaps for what is missing between them.

    Ends at the newest entry. Entries of other epochs are foreign: another program wrote them
    between two streams of the run.
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
                raise InvalidEntryError("an entry of another program", has_seq=False)
            delivery = decode_entry(gap.run_id, raw)
        except InvalidEntryError as error:
            first, last = (at.seq, at.seq) if error.has_seq else (seq + 1, seq)
            delivery = Gap(gap.run_id, gap.epoch, first, last, "quarantined", raw_bytes(raw))
        has_seq = isinstance(delivery, Envelope) or delivery.count > 0
        if has_seq and at.seq > seq + 1:
            found.append(Gap(gap.run_id, gap.epoch, seq + 1, at.seq - 1, "trimmed"))
        found.append(delivery)
        seq = at.seq if has_seq else seq
    return found


def encode_meta(meta: RunMeta) -> bytes:
    return _encoder.encode(meta)


def decode_meta(raw: bytes, run_id: str) -> RunMeta:
    """Decode JSON, or take the id only when it is malformed; raises EventError for a bad id."""
    check_run_id(run_id)
    try:
        return _meta_decoder.decode(raw)
    except msgspec.MsgspecError:
        return RunMeta(run_id=run_id)
