"""Runs and events as streams of Arrow batches, for whatever takes the Arrow PyCapsule interface:
pandas, polars, pyarrow, DuckDB. See https://arrow.apache.org/docs/format/CDataInterface.html"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from typing import Any, Final

import msgspec
import nanoarrow as na
from nanoarrow.c_array import CArray
from nanoarrow.c_array_stream import CArrayStream
from nanoarrow.c_schema import CSchema
from nanoarrow.ipc import InputStream, StreamWriter

from arena_tui.folds.totals import SUMMARY
from arena_tui.store.columns import (
    INTEGER,
    LONG_TEXT,
    NUMBER,
    TEXT,
    TIME_UTC,
    integers,
    long_texts,
    numbers,
    table,
    texts,
    times,
)
from arena_tui.store.extract import EventRow

_JSON: Final = ("agents", "outcome", "winners", "tags")
_TIMES: Final = ("started_at", "ended_at")
_NUMBERS: Final = ("cost_usd", "duration_s")
_INTEGERS: Final = (
    "turns", "events", "errors", "lost", "lost_unknown", "input_tokens", "output_tokens", "seed",
)  # fmt: skip
_EVENT_SCHEMA: Final = na.c_schema(
    na.struct(
        {
            "run_id": TEXT, "epoch": INTEGER, "seq": INTEGER, "turn": INTEGER, "kind": TEXT,
            "agent_id": TEXT, "ts": TIME_UTC, "payload": LONG_TEXT,
        }
    )
)  # fmt: skip

_TEXT_SCHEMA: Final = na.c_schema(na.struct({"text": LONG_TEXT}))


def stream_of_events(batches: Iterable[Sequence[EventRow]]) -> Any:
    """A PyCapsule of an `ArrowArrayStream`; a batch is asked for when it is read."""
    return _stream(_EVENT_SCHEMA, (_events(rows) for rows in batches))


def stream_of_texts(pieces: Iterable[bytes]) -> Any:
    """The same of texts in UTF-8, as batches of one row in the column `text`."""
    return _stream(_TEXT_SCHEMA, (table(_TEXT_SCHEMA, 1, [long_texts([each])]) for each in pieces))


def stream_of_runs(rows: Sequence[dict[str, Any]]) -> Any:
    """The same of runs as `summary` gives them: lists and objects are text, in JSON."""
    fields = {name: _type_of(name) for name in SUMMARY}
    schema = na.c_schema(na.struct(fields))
    columns = [_column(name, [each[name] for each in rows]) for name in SUMMARY]
    return _stream(schema, [table(schema, len(rows), columns)])


def _events(rows: Sequence[EventRow]) -> CArray:
    columns = (
        texts([each.run_id for each in rows]),
        integers([each.epoch for each in rows]),
        integers([each.seq for each in rows]),
        integers([each.turn for each in rows]),
        texts([each.kind for each in rows]),
        texts([each.agent_id for each in rows]),
        times([each.ts for each in rows], TIME_UTC),
        long_texts([each.payload.encode() for each in rows]),
    )
    return table(_EVENT_SCHEMA, len(rows), columns)


def _type_of(name: str) -> CSchema:
    if name in _INTEGERS:
        return INTEGER
    if name in _NUMBERS:
        return NUMBER
    return TIME_UTC if name in _TIMES else TEXT


def _column(name: str, values: Sequence[Any]) -> CArray:
    if name in _INTEGERS:
        return integers(values)
    if name in _NUMBERS:
        return numbers(values)
    if name in _TIMES:
        return times([None if each is None else each.astimezone(UTC) for each in values], TIME_UTC)
    if name in _JSON:
        return texts([msgspec.json.encode(each).decode() for each in values])
    return texts(values)


def _stream(schema: CSchema, batches: Iterable[CArray]) -> Any:
    readable = InputStream.from_readable(_Serialised(schema, batches))
    return readable.__arrow_c_stream__()


class _Serialised(io.RawIOBase):
    """The bytes of a stream of batches, each of which is made when its first byte is read: the
    only way to hand a generator to nanoarrow."""

    def __init__(self, schema: CSchema, batches: Iterable[CArray]) -> None:
        self._pieces = self._serialised(schema, iter(batches))
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        room = memoryview(buffer).cast("B")
        count = min(len(room), len(self._left))
        room[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    @staticmethod
    def _serialised(schema: CSchema, batches: Iterator[CArray]) -> Iterator[bytes]:
        written = io.BytesIO()
        writer = StreamWriter.from_writable(written)
        writer.write_stream(CArrayStream.from_c_arrays([], schema))
        yield _taken(written)
        for batch in batches:
            writer.write_array(batch)
            yield _taken(written)
        writer.close()
        yield _taken(written)


def _taken(written: io.BytesIO) -> bytes:
    """What was written since the last time."""
    taken = written.getvalue()
    written.seek(0)
    written.truncate()
    return taken
