"""Writes exported rows as JSON lines, CSV, Parquet or any text, and reads Parquet and zstd.

Opens no store. DuckDB does what Python 3.11 cannot: Parquet and zstd, in a database in memory of
its own.
"""

from __future__ import annotations

import csv
import errno
import glob
import gzip
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TypeAlias

import duckdb

from arena_tui.errors import UsageError
from arena_tui.store.archive_lines import line_of
from arena_tui.store.arrow_stream import stream_of_events, stream_of_texts
from arena_tui.store.extract import EventRow
from arena_tui.store.mending import first_line
from arena_tui.store.zstd_frames import is_whole

Format: TypeAlias = Literal["jsonl", "csv", "parquet"]
Rows: TypeAlias = Iterable[Sequence[EventRow]]
Texts: TypeAlias = Callable[[Rows], Iterator[bytes]]
"""Makes text in UTF-8 of rows, in pieces of whole lines, none of which is empty."""

PARQUET_MAGIC: Final = b"PAR1"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"

_COLUMNS: Final = ("run_id", "epoch", "seq", "turn", "kind", "agent_id", "ts", "payload")
_ROWS_AT_ONCE: Final = 100
_LINE_MAX_BYTES: Final = 8 * 1024 * 1024
"""Longest line that is read of a zstd file: as long as DuckDB takes without much more memory."""

_COPIED_BYTES: Final = 2_000_000
"""Payloads that are made text or columns of in one go."""

_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": False, "autoload_known_extensions": False, "threads": 1,
}  # fmt: skip
"""One thread: rows stay in order, and the same rows give the same bytes."""

_PARQUET: Final = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE_BYTES '8MB', USE_TMP_FILE false"
_TEXT: Final = (
    "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER E'\\x01', COMPRESSION zstd, "
    "USE_TMP_FILE false"
)
"""Text as it is: what the delimiter would be is in no JSON."""

_LINES: Final = (
    "SELECT text FROM read_csv(?, columns={'text': 'VARCHAR'}, header=false, auto_detect=false, "
    "quote='', escape='', delim=E'\\x01', new_line='\\n', compression='zstd', parallel=false, "
    f"strict_mode=false, max_line_size={_LINE_MAX_BYTES}, buffer_size={2 * _LINE_MAX_BYTES})"
)
_ERRNO: Final = re.compile(r'"errno":"(\d+)"')
_WHY: Final = re.compile(r'": ([^":]+)$')
"""After the name of the file, where no number is told."""

_ROWS: Final = "SELECT run_id, epoch, seq, kind, ts IS NULL, payload FROM read_parquet(?)"

_RISKY: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula: https://owasp.org/www-community/attacks/CSV_Injection"""


_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def write_file(path: Path, name: str, form: Format | Texts, rows: Rows) -> None:
    """Write the rows to the path, as `name` says: `….gz` and `….zst` are compressed.

    Raises:
        OSError: It cannot be written.
    """
    if form == "parquet":
        _copy(path, _PARQUET, stream_of_events, _portions(rows))
    elif name.endswith(".zst"):
        _copy(path, _TEXT, stream_of_texts, (piece[:-1] for piece in texts_of(form, rows)))
    elif name.endswith(".gz"):
        with path.open("wb") as file, _gzip(file) as packed:
            for piece in texts_of(form, rows):
                packed.write(piece)
    else:
        with path.open("wb") as file:
            for piece in texts_of(form, rows):
                file.write(piece)


def texts_of(form: Format | Texts, rows: Rows) -> Iterator[bytes]:
    """The rows as text in UTF-8, in pieces of whole lines; none of them is empty."""
    if callable(form):
        yield from form(rows)
        return
    if form == "jsonl":
        for batch in _portions(rows):
            yield b"".join([line_of(each) + b"\n" for each in batch])
        return
    yield (",".join(_COLUMNS) + "\n").encode()
    for batch in _portions(rows):
        written = io.StringIO(newline="")
        csv.writer(written, lineterminator="\n").writerows(map(_cells, batch))
        yield written.getvalue().encode()


def parquet_lines(path: str) -> Iterator[bytes]:
    """The rows of a Parquet file of ours, as JSON lines.

    Raises:
        UsageError: It is none, or is damaged; maybe after some lines.
    """
    for run_id, epoch, seq, kind, is_placeless, payload in _fetched(path, _ROWS):
        if None in (run_id, epoch, seq, payload) or not payload.startswith("{"):
            yield b"a row without a run, a place or a payload"
            continue
        place = f'{{"run_id":"{run_id}","epoch":{epoch},'
        is_event = not is_placeless or kind not in ("gap", "bookmark")
        yield (place + (f'"seq":{seq},' if is_event else "") + payload[1:]).encode()


def zstd_lines(path: str) -> Iterator[bytes]:
    """The lines of a text file compressed with zstd; raises UsageError as `parquet_lines` does, but
    after the last line of one that is cut off."""
    for (text,) in _fetched(path, _LINES):
        yield (text or "").encode()
    with Path(path).open("rb") as file:
        if not is_whole(file):
            raise UsageError(f"{path}: it ends in the middle of its compressed data: what was read "
                             "until there is kept")  # fmt: skip


def _fetched(path: str, query: str) -> Iterator[tuple[Any, ...]]:
    connection = duckdb.connect(config=_CONFIG)
    try:
        found = connection.execute(query, [glob.escape(path)])
        while rows := found.fetchmany(_ROWS_AT_ONCE):
            yield from rows
    except duckdb.Error as error:
        raise UsageError(
            f"cannot read {path}: {first_line(error)[:200]}: give a file that export wrote"
        ) from None
    finally:
        connection.close()


def _portions(rows: Rows) -> Iterator[Sequence[EventRow]]:
    """The same rows in batches of which copies may be made: a few megabytes each, or one event."""
    for batch in rows:
        first = size = 0
        for number, row in enumerate(batch):
            size += len(row.payload)
            if size >= _COPIED_BYTES:
                yield batch[first : number + 1]
                first, size = number + 1, 0
        if first < len(batch):
            yield batch[first:]
        del batch


def _cells(row: EventRow) -> list[object]:
    at = "" if row.ts is None else row.ts.isoformat()
    kind, agent = _harmless(row.kind), _harmless(row.agent_id or "")
    turn = "" if row.turn is None else row.turn
    return [row.run_id, row.epoch, row.seq, turn, kind, agent, at, row.payload]


def _harmless(text: str) -> str:
    """The text so that a spreadsheet does not compute it, nor a terminal obey it."""
    text = f"'{text}" if text.startswith(_RISKY) else text
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def _gzip(file: BinaryIO) -> gzip.GzipFile:
    """Without a name and a time, so that the same rows give the same bytes."""
    return gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6)


class _Stream:
    """Hands batches to DuckDB, which asks for each when it has written the one before.

    Attributes:
        error: What raised while a batch was made.
    """

    def __init__(self, make: Callable[[Iterable[Any]], Any], batches: Iterable[Any]) -> None:
        self.error: BaseException | None = None
        self._make = make
        self._batches = self._noting_errors(batches)

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return self._make(self._batches)

    def _noting_errors(self, batches: Iterable[Any]) -> Iterator[Any]:
        try:
            yield from batches
        except BaseException as error:
            self.error = error
            raise


def _as_os_error(error: duckdb.Error) -> OSError:
    """What the system has said, without the name of the partial file; else DuckDB's words."""
    text = first_line(error)
    if told := _ERRNO.search(text):
        return OSError(int(told[1]), os.strerror(int(told[1])))
    why = _WHY.search(text)
    return OSError(errno.EIO, text if why is None else why[1])


def _copy(
    path: Path, options: str, make: Callable[[Iterable[Any]], Any], batches: Iterable[Any]
) -> None:
    rows = _Stream(make, batches)
    connection = duckdb.connect(config=_CONFIG)
    try:
        connection.execute("SET preserve_insertion_order = false")  # else groups have no limit
        quoted = str(path).replace("'", "''")
        connection.execute(f"COPY (FROM rows) TO '{quoted}' ({options})")
    except Exception as error:
        if rows.error is not None:
            raise rows.error from None
        if not isinstance(error, duckdb.Error):
            raise
        raise _as_os_error(error) from None
    finally:
        connection.close()
