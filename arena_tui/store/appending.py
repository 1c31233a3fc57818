"""Adds to stored runs what an export has of them, as one transaction. Compares nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any, Final

from arena_tui.events import Gap, utc_now
from arena_tui.store.archive_lines import Archived, decode_archived, encode_archived
from arena_tui.store.changes import Bookmark
from arena_tui.store.database import Connection
from arena_tui.store.ingest import Ingest
from arena_tui.store.reading import Reader
from arena_tui.store.rows import insert_gap

_FOUND: Final = """
SELECT events.run_id, epoch, seq, payload FROM events
JOIN (SELECT unnest($runs) AS run_id, unnest($epochs) AS epoch, unnest($seqs) AS seq)
USING (run_id, epoch, seq)
"""
_COVERED: Final = """
SELECT run_id, epoch, from_seq, to_seq, reason FROM gaps
WHERE run_id IN (SELECT unnest(?)) AND to_seq >= from_seq
"""


def append_archived(connection: Connection, archived: Sequence[Archived]) -> None:
    """Store what comes after the stored cursor of its run, and bookmarks where there is none.

    Totals are folded as the persister does. Doing it again changes nothing.
    """
    deliveries = [each for each in archived if not isinstance(each, Bookmark)]
    Ingest().commit(connection, deliveries, ())
    for each in archived:
        if isinstance(each, Bookmark):
            _add_bookmark(connection, each)
        elif isinstance(each, Gap) and _marks_a_place(each):
            _add_mark(connection, each)


def encode_batch(archived: Iterable[Archived]) -> bytes:
    """For the process that has the store open."""
    return b"\n".join(map(encode_archived, archived))


def decode_batch(body: bytes) -> list[Archived]:
    """Raises EventError for what is none."""
    found = [decode_archived(line) for line in body.split(b"\n") if line]
    return [each for each in found if each is not None]


def read_payloads(
    reader: Reader, places: Sequence[tuple[str, int, int]]
) -> dict[tuple[str, int, int], bytes]:
    """The stored events at these places, as JSON; those that are not stored are left out."""
    runs, epochs, seqs = ([place[index] for place in places] for index in range(3))
    rows = reader.execute(_FOUND, {"runs": runs, "epochs": epochs, "seqs": seqs}).fetchall()
    return {(run_id, epoch, seq): payload.encode() for run_id, epoch, seq, payload in rows}


def read_covered(reader: Reader, run_ids: Sequence[str]) -> list[Gap]:
    """The gaps of these runs in which events are missing."""
    rows: list[Any] = reader.execute(_COVERED, [list(run_ids)]).fetchall()
    return [Gap(*row) for row in rows]


def _marks_a_place(gap: Gap) -> bool:
    """Whether nothing is missing in it: an entry that was no event lay there."""
    return not gap.count and not gap.unknown


def _add_mark(connection: Connection, gap: Gap) -> None:
    place = [gap.run_id, gap.epoch, gap.from_seq, gap.to_seq, gap.reason]
    condition = "run_id = ? AND epoch = ? AND from_seq = ? AND to_seq = ? AND reason = ?"
    if not connection.execute(f"SELECT 1 FROM gaps WHERE {condition}", place).fetchall():
        insert_gap(connection, gap, utc_now())


def _add_bookmark(connection: Connection, mark: Bookmark) -> None:
    key = [mark.run_id, mark.epoch, mark.seq]
    query = "SELECT 1 FROM bookmarks WHERE run_id = ? AND epoch = ? AND seq = ?"
    is_tag = [] if mark.seq else [mark.note]
    if is_tag:
        query += " AND note = ?"
    if not connection.execute(query, [*key, *is_tag]).fetchall():
        row = [*key, mark.note, mark.at.astimezone(UTC).replace(tzinfo=None)]
        connection.execute("INSERT INTO bookmarks VALUES (?, ?, ?, ?, ?)", row)
