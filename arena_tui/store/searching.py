"""Looks for a text in the events of many runs, batch by batch. Keeps nothing open."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final, NamedTuple

from arena_tui.folds.totals import RunTotals
from arena_tui.folds.visible import VISIBLE_SQL, line_with
from arena_tui.store.reading import Reader
from arena_tui.store.rows import as_in_payload

_ALL: Final = 2**62
"""More than there are."""

_FEW: Final = 50
_MANY: Final = 500
_FAST_S: Final = 1.0

_SEQ_MAX: Final = 2**62
_HITS: Final = f"""
SELECT run_id, epoch, seq, ts, kind, agent_id, turn, payload FROM events
WHERE run_id IN (SELECT unnest($runs)) AND seq BETWEEN $first AND $last
AND contains(lower(payload), lower($wanted)) AND contains({VISIBLE_SQL}, lower($wanted))
LIMIT $most
"""


class Sizes(NamedTuple):
    """How many events a batch looks through.

    Attributes:
        first: Of the newest run, so that its hits are there at once.
        step: Next. Then all that are left, as long as there are few hits and it is fast: runs lie
            among each other, and a batch costs nearly as much as looking through all.
        hits_max: Of a batch larger than the first: one that has more is begun anew as a step, or
            of the size of the first. Hits are read with all that they hold, which may be much.
    """

    first: int = 4_000
    step: int = 100_000
    hits_max: int = 5_000


_SIZES: Final = Sizes()


class Hit(NamedTuple):
    """An event in which the text is visible; `text` is the line of it, cut around the text."""

    run_id: str
    epoch: int
    seq: int
    ts: datetime
    kind: str
    agent_id: str | None
    turn: int | None
    text: str


class _Part(NamedTuple):
    """Seqs of a run that are yet to be looked through, in all its epochs, and about how many events
    that are; `last` is None up to the end."""

    run_id: str
    first: int
    last: int | None
    events: int


class Search:
    """One search, which goes on where the last batch ended.

    A copy goes on by itself. Ignores case; finds what `History.search` finds. Events that are
    stored meanwhile may be missing.

    Args:
        runs: Where to look, in this order.
        first, last: The seqs of each to look through, in all its epochs; None: up to the end.
    """

    def __init__(
        self, text: str, runs: Sequence[RunTotals], sizes: Sizes = _SIZES, first: int = 0,
        last: int | None = None,
    ) -> None:  # fmt: skip
        self._text = text
        most = _ALL if last is None else max(0, last - first + 1)
        self._left = deque(_Part(each.run_id, first, last, min(each.events, most)) for each in runs)
        self._sizes = sizes
        self._size = sizes.first
        self._size_max = _ALL

    @property
    def is_over(self) -> bool:
        """Whether all runs are looked through."""
        return not self._left

    @property
    def runs_left(self) -> int:
        """How many runs are not looked through to their ends."""
        return len(self._left)

    def read(self, reader: Reader) -> list[Hit]:
        """The hits of the next batch, run after run, each in order; maybe none.

        Nothing has changed when it fails or is cancelled: it may be called again.
        """
        left, parts = self._left.copy(), list[_Part]()
        room = self._size
        while left and room > 0:
            part = left.popleft()
            if part.events > 2 * room:
                until = part.first + room
                left.appendleft(part._replace(first=until, events=part.events - room))
                part = part._replace(last=until - 1, events=room)
            parts.append(part)
            room -= max(1, part.events)
        began = time.monotonic()
        first, step = self._sizes.first, self._sizes.step
        most = self._sizes.hits_max + 1 if self._size > first else _ALL
        rows = [row for group in _alike(parts) for row in self._rows(reader, group, most)]
        if len(rows) >= most:
            self._size = step if self._size > step else first
            self._size_max = step
            return []
        self._left = left
        if len(rows) > _MANY:
            self._size = max(1, first // 4, min(self._size, step) // 4)
        elif len(rows) < _FEW and time.monotonic() - began < _FAST_S:
            self._size = step if self._size < step else self._size_max
        return [_hit(row, self._text) for row in rows]

    def _rows(self, reader: Reader, parts: Sequence[_Part], most: int) -> list[Any]:
        """The hits of parts that have the same limits."""
        order = {part.run_id: place for place, part in enumerate(parts)}
        first, last = parts[0].first, parts[0].last
        values = {
            "runs": list(order), "first": first, "last": _SEQ_MAX if last is None else last,
            "wanted": as_in_payload(self._text), "most": most,
        }  # fmt: skip
        found = reader.execute(_HITS, values).fetchall()
        return sorted(found, key=lambda row: (order[row[0]], *row[1:3]))


def _alike(parts: Sequence[_Part]) -> list[list[_Part]]:
    """Parts in their order, together where they have the same limits."""
    return [list(group) for _, group in groupby(parts, key=lambda part: (part.first, part.last))]


def _hit(row: Sequence[Any], text: str) -> Hit:
    run_id, epoch, seq, ts, kind, agent_id, turn, payload = row
    at = ts.replace(tzinfo=UTC)
    return Hit(run_id, epoch, seq, at, kind, agent_id, turn, line_with(payload, text))
