"""What an export holds, as rows and as JSON lines, and back. Touches no file.

A line is an event with its place, as `arena-tui events --json` has it. Two more kinds of line have
an `epoch` but no `seq`, by which they differ from events of those kinds:

    {"run_id": …, "epoch": …, "kind": "gap", "from_seq": …, "to_seq": …, "reason": …}
    {"run_id": …, "epoch": …, "kind": "bookmark", "at_seq": …, "note": …, "created_at": …}

A gap stands where events are missing; the bookmarks of a run follow its last event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from functools import partial
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from arena_tui.codec import (
    LINE_KEYS,
    decode_event,
    decode_object,
    encode_event,
    encode_line,
    received,
)
from arena_tui.errors import EventError, StoreError
from arena_tui.events import Envelope, Gap, GapReason, Timestamp, check_run_id
from arena_tui.folds.totals import RunTotals
from arena_tui.store.changes import Bookmark
from arena_tui.store.extract import EventRow, Wanted, read_events
from arena_tui.store.reading import Reader

Archived: TypeAlias = Envelope | Gap | Bookmark

Read: TypeAlias = Callable[[Callable[[Reader], Any]], Any]
"""Runs a query on the store, whoever has it open."""

BOOKMARK: Final = "bookmark"

_PLACE_MAX: Final = 2**53
_Epoch: TypeAlias = Annotated[int, Meta(ge=0, le=_PLACE_MAX)]
_Seq: TypeAlias = Annotated[int, Meta(ge=1, le=_PLACE_MAX)]

_HEAD: Final = re.compile(
    rb'\{"run_id":"([A-Za-z0-9._:/-]{1,128})","epoch":([0-9]{1,15}),"seq":([0-9]{1,15}),(?=")'
)
"""How our own lines of events begin: they need not be decoded twice."""

_BOOKMARKS: Final = """
SELECT run_id, epoch, seq, note, created_at FROM bookmarks
WHERE run_id IN (SELECT unnest($runs)) ORDER BY ALL
"""


class _GapLine(Struct, frozen=True, kw_only=True):
    run_id: str
    epoch: _Epoch
    kind: Literal["gap"]
    from_seq: _Seq
    to_seq: Annotated[int, Meta(ge=0, le=_PLACE_MAX)]
    reason: GapReason


class _BookmarkLine(Struct, frozen=True, kw_only=True):
    run_id: str
    epoch: _Epoch
    kind: Literal["bookmark"]
    at_seq: Annotated[int, Meta(ge=0, le=_PLACE_MAX)]
    note: Annotated[str, Meta(max_length=10_000)] = ""
    created_at: Timestamp


class _Place(Struct, frozen=True, kw_only=True):
    run_id: str
    epoch: _Epoch
    seq: _Seq


def read_archive(read: Read, runs: Sequence[RunTotals]) -> Iterator[list[EventRow]]:
    """All that an export has of these runs, run after run, some thousand rows at a time.

    Raises:
        StoreError: A run was deleted meanwhile, or the store cannot be read.
    """
    marks: dict[str, list[EventRow]] = {}
    for row in read(partial(_read_bookmarks, run_ids=[each.run_id for each in runs])):
        marks.setdefault(row.run_id, []).append(row)
    counts = {each.run_id: each.events for each in runs}
    now = ""
    for batch in read_events(read, runs, Wanted()):
        rows: list[EventRow] = []
        for row in batch:
            if row.run_id != now:
                rows += marks.pop(now, ())
                now = row.run_id
            rows.append(row)
            counts[now] -= row.ts is not None
        yield rows
        del batch, rows
    if marks.get(now):
        yield marks[now]
    gone = [run_id for run_id, missing in counts.items() if missing > 0]
    if gone:
        raise StoreError(f"run {gone[0]} was deleted while it was read: export the others again")


def line_of(row: EventRow) -> bytes:
    """The row as a JSON line, without its end."""
    seq = "" if row.ts is None else f'"seq":{row.seq},'
    return f'{{"run_id":"{row.run_id}","epoch":{row.epoch},{seq}{row.payload[1:]}'.encode()


def encode_archived(each: Archived) -> bytes:
    """The same of what `decode_archived` returned."""
    if isinstance(each, Bookmark):
        return line_of(_bookmark_row(each))
    return encode_line(each)


def decode_archived(line: bytes) -> Archived | None:
    """What an exported line says; None of a producer's line, which has no place in its run.

    Raises:
        EventError: It is no JSON object, or one of its fields is not what it must be.
        EventTooLargeError: It is larger, or nested deeper, than an event may be.
    """
    line = line.strip()
    if head := _HEAD.match(line):
        event, raw = received(b"{" + line[head.end() :])
        if not event.extra.keys() & set(LINE_KEYS):
            place = _Place(run_id=head[1].decode(), epoch=int(head[2]), seq=int(head[3]))
            if place.seq:
                return Envelope(place.run_id, place.epoch, place.seq, event, raw)
    fields = decode_object(line)
    if "epoch" not in fields and "seq" not in fields:
        return None
    try:
        return _placed(fields, line)
    except (msgspec.ValidationError, ValueError) as error:
        raise EventError(f"not a line of an export: {error}") from None


def same_event(one: bytes, other: bytes) -> bool:
    """Whether two payloads are one event, however they are spaced and escaped."""
    if one == other:
        return True
    return encode_event(decode_event(one)) == encode_event(decode_event(other))


def _placed(fields: dict[str, Any], line: bytes) -> Archived:
    if "seq" not in fields and fields.get("kind") == "gap":
        gap = msgspec.convert(fields, _GapLine)
        check_run_id(gap.run_id)
        if gap.to_seq < gap.from_seq - 1:
            raise ValueError("its to_seq is before its from_seq")
        return Gap(gap.run_id, gap.epoch, gap.from_seq, gap.to_seq, gap.reason)
    if "seq" not in fields and fields.get("kind") == BOOKMARK:
        mark = msgspec.convert(fields, _BookmarkLine)
        check_run_id(mark.run_id)
        return Bookmark(mark.run_id, mark.epoch, mark.at_seq, mark.note, mark.created_at)
    place = msgspec.convert(fields, _Place)
    check_run_id(place.run_id)
    for key in LINE_KEYS:
        del fields[key]
    event = decode_event(msgspec.json.encode(fields))
    return Envelope(place.run_id, place.epoch, place.seq, event, encode_event(event))


def _read_bookmarks(reader: Reader, run_ids: Sequence[str]) -> list[EventRow]:
    rows = reader.execute(_BOOKMARKS, {"runs": list(run_ids)}).fetchall()
    return [
        _bookmark_row(Bookmark(run_id, epoch, seq, note or "", at.replace(tzinfo=UTC)))
        for run_id, epoch, seq, note, at in rows
    ]


def _bookmark_row(mark: Bookmark) -> EventRow:
    fields = {
        "kind": BOOKMARK, "at_seq": mark.seq, "note": mark.note, "created_at": mark.at,
    }  # fmt: skip
    payload = msgspec.json.encode(fields).decode()
    return EventRow(mark.run_id, mark.epoch, mark.seq, None, BOOKMARK, None, None, payload)
