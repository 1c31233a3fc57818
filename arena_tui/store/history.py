"""Typed, windowed reads of the store. Writes nothing but bookmarks and deletions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal, TypeAlias, TypeVar

import msgspec

from arena_tui.broker.chain import KnownRun
from arena_tui.broker.protocol import Cursor
from arena_tui.errors import UnknownRunError, UsageError
from arena_tui.events import Delivery
from arena_tui.folds.density import Density, Within
from arena_tui.folds.matches import Match
from arena_tui.folds.scores import AlikeRuns, Scores, scores_of_runs
from arena_tui.folds.totals import AgentTally, RunTotals
from arena_tui.folds.visible import VISIBLE_SQL
from arena_tui.store import windows
from arena_tui.store.changes import Bookmark, Change, Delete
from arena_tui.store.marks import read_given_tags
from arena_tui.store.matches import read_matches
from arena_tui.store.reading import Reader, Store
from arena_tui.store.rows import (
    RUN_COLUMNS,
    as_in_payload,
    load_known,
    totals_of,
)
from arena_tui.store.stretches import Rows, read_tallies
from arena_tui.store.windows import WINDOW

T = TypeVar("T")

SortKey: TypeAlias = Literal[
    "started_at", "game", "label", "status", "turns", "events", "tokens",
    "cost_usd", "errors", "lost", "duration_s", "run_id",
]  # fmt: skip

_TOKENS: Final = (
    "if(input_tokens IS NULL AND output_tokens IS NULL, NULL, "
    "coalesce(input_tokens, 0)::HUGEINT + coalesce(output_tokens, 0))"
)
_SORTED_BY: Final = {
    "tokens": _TOKENS,
    "duration_s": "greatest(0, epoch(last_at - started_at))",
    "lost": "greatest(lost, if(lost_unknown > 0, 1, 0))",
}
_ALL: Final = 2**31
"""More runs than any store has."""

_START = Cursor(0, 0)
"""Before the first event of any run."""


class History:
    """Queries for screens and commands; reads run in reader threads, writes in the writer's.

    Attributes:
        path: The store's file.
    """

    def __init__(self, database: Store) -> None:
        self.path = database.path
        self._database = database

    async def read(self, query: Callable[[Reader], T]) -> T:
        """The result of a query: one of the functions below."""
        return await self._database.read(query)

    async def runs(
        self, where: str = "TRUE", parameters: Sequence[Any] = (), *, sort: SortKey = "started_at",
        descending: bool = True, limit: int = WINDOW, offset: int = 0,
    ) -> list[RunTotals]:  # fmt: skip
        """One page of the matching runs, sorted; `parse_filter` makes `where` and `parameters`."""
        return await self._database.read(
            partial(read_runs, where=where, parameters=parameters, sort=sort,
                    descending=descending, limit=limit, offset=offset)
        )  # fmt: skip

    async def count(self, where: str = "TRUE", parameters: Sequence[Any] = ()) -> int:
        query = f"SELECT count(*) FROM runs WHERE {where}"
        return await self._database.read(partial(_scalar, query=query, parameters=parameters))

    async def place(
        self, run_id: str, where: str = "TRUE", parameters: Sequence[Any] = (), *,
        sort: SortKey = "started_at", descending: bool = True,
    ) -> int | None:  # fmt: skip
        """At which offset `runs` has this run; None: it does not match, or is gone."""
        query = (
            f"SELECT any_value(place) FROM (SELECT run_id, row_number() OVER "
            f"({_order(sort, descending)}) - 1 AS place FROM runs WHERE {where}) WHERE run_id = ?"
        )
        return await self._database.read(
            partial(_scalar, query=query, parameters=[*parameters, run_id])
        )

    def live_totals(self, run_id: str) -> RunTotals | None:
        """Totals of a run that is being stored at present, as stored; None of any other."""
        return self._database.live_totals.get(run_id)

    async def run(self, run_id: str) -> RunTotals:
        """One run, by its id or an unambiguous prefix or suffix of it; raises UnknownRunError."""
        return await self._database.read(partial(read_run, run_id=run_id))

    async def window(
        self, run_id: str, from_seq: int, to_seq: int, epoch: int, rows: Rows | None = None
    ) -> list[Delivery]:
        """Events and gaps of one epoch with `from_seq <= seq <= to_seq`, at most `WINDOW` seqs,
        in order; `rows` says where in the file they were."""
        return await self._database.read(
            partial(windows.read_window, run_id=run_id, from_seq=from_seq, to_seq=to_seq,
                    epoch=epoch, rows=rows)
        )  # fmt: skip

    async def lengths(self, run_id: str) -> dict[int, int]:
        """Newest seq of each epoch of a run, oldest epoch first; usually one.

        A run has several if its stream was lost and recreated. An empty gap at the end of an epoch
        counts as one seq.
        """
        return await self._database.read(partial(windows.read_lengths, run_id=run_id))

    async def density(self, run_id: str, slices: int, within: Within | None = None) -> Density:
        """Histogram of a run's events over its time, or within a part, in equal slices; with
        marks."""
        return await self._database.read(
            partial(windows.read_density, run_id=run_id, slices=slices, within=within)
        )

    async def next_of_kind(self, run_id: str, kind: str, at: Cursor, step: int) -> Cursor | None:
        """Position of the next (`step` 1) or previous (-1) event of `kind` from `at`, or None."""
        return await self._database.read(
            partial(windows.read_nearest, run_id=run_id, condition="kind = $wanted", wanted=kind,
                    at=at, backwards=step < 0)
        )  # fmt: skip

    async def turn(self, run_id: str, turn: int) -> Cursor | None:
        """Position of the first event of that turn, or None."""
        return await self._database.read(
            partial(windows.read_nearest, run_id=run_id, condition="turn = $wanted", wanted=turn,
                    at=_START)
        )  # fmt: skip

    async def tallies(self, run_id: str, at: Cursor) -> dict[str, AgentTally]:
        """Actions, errors, tokens and cost of each agent up to a position."""
        return await self._database.read(partial(read_tallies, run_id=run_id, at=at))

    async def search(
        self, run_id: str, text: str, after: Cursor, backwards: bool = False
    ) -> Cursor | None:
        """Position of the next (or previous) event in which `text` is `visible`, ignoring case; or
        None."""
        is_seen = f"contains({VISIBLE_SQL}, lower($wanted))"
        condition = f"contains(lower(payload), lower($wanted)) AND {is_seen}"
        return await self._database.read(
            partial(windows.read_nearest, run_id=run_id, condition=condition,
                    wanted=as_in_payload(text), at=after, backwards=backwards,
                    near=windows.SEARCH_NEAR)
        )  # fmt: skip

    async def bookmark(self, run_id: str, epoch: int, seq: int, note: str, at: datetime) -> bool:
        """Toggle a bookmark; returns whether it is now set."""
        return await self._database.change(Bookmark(run_id, epoch, seq, note, at))

    async def change(self, change: Change) -> bool:
        """Make a change; see `changes.apply`."""
        return await self._database.change(change)

    async def matches(self) -> list[Match]:
        """All ended runs, as matches."""
        return await self._database.read(read_matches)

    async def known(self) -> dict[str, KnownRun]:
        """How far each run is stored, and what files its lines came from."""
        return await self._database.read(load_known)

    async def cursors(self, broker: str) -> dict[str, Cursor]:
        """How far each run is stored that came through the broker of this name, oldest first."""
        query = "SELECT run_id, epoch, seq FROM runs WHERE broker = ? ORDER BY started_at, run_id"
        rows = await self._database.read(lambda each: each.execute(query, [broker]).fetchall())
        return {run_id: Cursor(epoch, seq) for run_id, epoch, seq in rows}

    async def delete(self, run_id: str) -> None:
        """Delete a run and all that is stored of it; raises UsageError while it is being stored."""
        if run_id in self._database.live_totals:
            raise UsageError(f"run {run_id} is not over: delete it when it has ended")
        await self._database.change(Delete(run_id))


def read_runs(
    connection: Reader, where: str = "TRUE", parameters: Sequence[Any] = (), *,
    sort: SortKey = "started_at", descending: bool = True, limit: int = WINDOW, offset: int = 0,
) -> list[RunTotals]:  # fmt: skip
    """See `History.runs`."""
    rows = connection.execute(
        f"SELECT {RUN_COLUMNS} FROM runs WHERE {where} {_order(sort, descending)} LIMIT ? OFFSET ?",
        [*parameters, limit, offset],
    ).fetchall()
    found = [totals_of(row) for row in rows]
    given = read_given_tags(connection)
    for each in found if given else ():
        each.tags = [*each.tags, *given.get(each.run_id, ())]
    return found


def read_ids(connection: Reader, where: str, parameters: Sequence[Any]) -> list[str]:
    """The runs that match, in no order."""
    query = f"SELECT run_id FROM runs WHERE {where}"
    return [run_id for (run_id,) in connection.execute(query, list(parameters)).fetchall()]


def read_scores(connection: Reader, where: str, parameters: Sequence[Any]) -> Scores:
    """What the matching runs come to."""
    rows = connection.execute(
        "SELECT agents, status, outcome, count(*), sum(errors), "
        f"sum({_TOKENS}), sum(cost_usd), sum({_SORTED_BY['lost']}) "
        f"FROM runs WHERE {where} GROUP BY ALL",
        list(parameters),
    ).fetchall()
    return scores_of_runs(map(_alike_runs, rows))


def read_run(connection: Reader, run_id: str) -> RunTotals:
    """See `History.run`."""
    exact = read_runs(connection, "run_id = ?", [run_id])
    begins_or_ends = "starts_with(lower(run_id), lower(?)) OR ends_with(lower(run_id), lower(?))"
    found = exact or read_runs(connection, begins_or_ends, [run_id, run_id], limit=3)
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownRunError(f"several runs match {run_id!r}: give more of the id")
    raise UnknownRunError(f"the store has no run {run_id!r}: see arena-tui runs")


def read_tournament(connection: Reader, entry: str) -> list[RunTotals]:
    """See `History.tournament`."""
    where = "(config->>'$.tournament.entry') = ?"
    return read_runs(connection, where, [entry], sort="run_id", descending=False, limit=_ALL)


def read_begun_after(connection: Reader, epoch: int) -> list[str]:
    """The runs whose newest stream began after that, in milliseconds since 1970; oldest first."""
    query = "SELECT run_id FROM runs WHERE epoch > ? ORDER BY epoch, run_id"
    return [run_id for (run_id,) in connection.execute(query, [epoch]).fetchall()]


def read_newest_epoch(connection: Reader) -> int:
    """When the newest stream of all runs began, in milliseconds since 1970; 0 if there is none."""
    return int(_scalar(connection, "SELECT coalesce(max(epoch), 0) FROM runs", []))


def _order(sort: SortKey, descending: bool) -> str:
    direction = "DESC" if descending else "ASC"
    return f"ORDER BY {_SORTED_BY.get(sort, sort)} {direction} NULLS LAST, run_id {direction}"


def _alike_runs(row: tuple[Any, ...]) -> AlikeRuns:
    names = AlikeRuns.__struct_fields__
    decoded = [msgspec.json.decode(each or b"null") for each in (row[0], row[2])]
    fields = {**dict(zip(names, row, strict=True)), "agents": decoded[0], "outcome": decoded[1]}
    return msgspec.convert(fields, AlikeRuns)


def _scalar(connection: Reader, query: str, parameters: Sequence[Any]) -> Any:
    ((value,),) = connection.execute(query, parameters).fetchall()
    return value
