"""What can be changed in a store besides storing events, as values. Each is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias

import duckdb
import msgspec
from msgspec import Meta, Struct

from arena_tui.errors import UsageError

_TABLES = ("events", "gaps", "quarantine", "bookmarks", "chains", "producers", "runs")


class Bookmark(Struct, frozen=True, tag=True):
    """Set a bookmark, or remove the one that is there."""

    run_id: str
    epoch: Annotated[int, Meta(ge=0, le=2**53)]
    seq: Annotated[int, Meta(ge=0, le=2**53)]
    note: Annotated[str, Meta(max_length=10_000)]
    at: Annotated[datetime, Meta(tz=True)]

    def __post_init__(self) -> None:
        _check_time(self.at)


class Note(Struct, frozen=True, tag=True):
    """Write a note to a bookmark; set that if there is none."""

    run_id: str
    epoch: Annotated[int, Meta(ge=0, le=2**53)]
    seq: Annotated[int, Meta(ge=1, le=2**53)]
    note: Annotated[str, Meta(max_length=10_000)]
    at: Annotated[datetime, Meta(tz=True)]

    def __post_init__(self) -> None:
        _check_time(self.at)


class Tag(Struct, frozen=True, tag=True):
    """Give a run a tag, or take it away if it has it.

    It is stored as a bookmark at seq 0, before all events: so it goes wherever those go.
    """

    run_id: str
    word: Annotated[str, Meta(min_length=1, max_length=100)]
    at: Annotated[datetime, Meta(tz=True)]

    def __post_init__(self) -> None:
        _check_time(self.at)


class Delete(Struct, frozen=True, tag=True):
    """Delete a run and all that is stored of it."""

    run_id: str


Change: TypeAlias = Bookmark | Note | Tag | Delete


def _check_time(at: datetime) -> None:
    """Raises ValueError for a time that has no equal in UTC."""
    try:
        at.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None


def decode_change(body: bytes) -> Change:
    """Raises UsageError for what is none."""
    try:
        change: Change = msgspec.json.decode(body, type=Change)
    except msgspec.MsgspecError as error:
        raise UsageError(f"not a change: {error}") from None
    return change


def apply(connection: duckdb.DuckDBPyConnection, change: Change) -> bool:
    """Make the change; returns whether the bookmark, or the tag, is there now, or else False."""
    match change:
        case Bookmark(run_id, epoch, seq, note, at):
            return _toggle(connection, [run_id, epoch, seq], note, at)
        case Note(run_id, epoch, seq, note, at):
            return _write(connection, [run_id, epoch, seq], note, at)
        case Tag(run_id, word, at):
            return _toggle_tag(connection, run_id, word, at)
        case Delete(run_id):
            delete_runs(connection, [run_id])
            return False


def delete_runs(connection: duckdb.DuckDBPyConnection, run_ids: Sequence[str]) -> None:
    """Delete the runs and all that is stored of them."""
    for table in _TABLES:
        connection.execute(
            f"DELETE FROM {table} WHERE run_id IN (SELECT unnest(?))", [list(run_ids)]
        )


_AT: Final = "run_id = ? AND epoch = ? AND seq = ?"


def _toggle(
    connection: duckdb.DuckDBPyConnection, key: list[object], note: str, at: datetime
) -> bool:
    if connection.execute(f"SELECT 1 FROM bookmarks WHERE {_AT}", key).fetchall():
        connection.execute(f"DELETE FROM bookmarks WHERE {_AT}", key)
        return False
    _insert(connection, key, note, at)
    return True


def _write(
    connection: duckdb.DuckDBPyConnection, key: list[object], note: str, at: datetime
) -> bool:
    if connection.execute(f"SELECT 1 FROM bookmarks WHERE {_AT}", key).fetchall():
        connection.execute(f"UPDATE bookmarks SET note = ? WHERE {_AT}", [note, *key])
    else:
        _insert(connection, key, note, at)
    return True


def _toggle_tag(
    connection: duckdb.DuckDBPyConnection, run_id: str, word: str, at: datetime
) -> bool:
    where, key = "run_id = ? AND seq = 0 AND note = ?", [run_id, word]
    if connection.execute(f"SELECT 1 FROM bookmarks WHERE {where}", key).fetchall():
        connection.execute(f"DELETE FROM bookmarks WHERE {where}", key)
        return False
    _insert(connection, [run_id, 0, 0], word, at)
    return True


def _insert(
    connection: duckdb.DuckDBPyConnection, key: list[object], note: str, at: datetime
) -> None:
    row = [*key, note, at.astimezone(UTC).replace(tzinfo=None)]
    connection.execute("INSERT INTO bookmarks VALUES (?, ?, ?, ?, ?)", row)
