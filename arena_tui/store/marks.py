"""Reads bookmarks with their notes, and the tags that people gave to runs. Writes nothing."""

from __future__ import annotations

from typing import Final, NamedTuple

from arena_tui.broker.protocol import Cursor
from arena_tui.store.reading import Reader

TAGS: Final = (
    "list_concat(from_json(tags, '[\"VARCHAR\"]'), (SELECT list(note) FROM bookmarks AS given "
    "WHERE given.run_id = runs.run_id AND given.seq = 0))"
)
"""All tags of a row of `runs` as SQL, its producer's and those given by people; see `Tag`."""

_GIVEN: Final = "SELECT run_id, note FROM bookmarks WHERE seq = 0 AND note IS NOT NULL"


class Marked(NamedTuple):
    """A bookmark, with its note or ""."""

    at: Cursor
    note: str


def read_marks(reader: Reader, run_id: str) -> list[Marked]:
    """A run's bookmarks whose events are stored, in order."""
    rows = reader.execute(
        "SELECT epoch, seq, any_value(note) FROM bookmarks SEMI JOIN events "
        "USING (run_id, epoch, seq) WHERE run_id = ? GROUP BY 1, 2 ORDER BY 1, 2",
        [run_id],
    ).fetchall()
    return [Marked(Cursor(epoch, seq), note or "") for epoch, seq, note in rows]


def read_given_tags(reader: Reader) -> dict[str, list[str]]:
    """The tags that people gave to runs, by run, in order."""
    given: dict[str, list[str]] = {}
    for run_id, note in sorted(set(reader.execute(_GIVEN).fetchall())):
        given.setdefault(run_id, []).append(note)
    return given


def read_tags(reader: Reader, run_id: str) -> list[str]:
    """The tags that people gave to a run, in order."""
    rows = reader.execute(
        "SELECT DISTINCT note FROM bookmarks WHERE run_id = ? AND seq = 0 ORDER BY 1", [run_id]
    ).fetchall()
    return [note for (note,) in rows]
