"""Typed, windowed reads of the store. Writes nothing but bookmarks and deletions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, TypeAlias

from arena_tui.codec import decode_event
from arena_tui.errors import UnknownRunError, UsageError
from arena_tui.events import Delivery, Envelope, Gap
from arena_tui.folds.density import MARKS_MAX, Density, Mark, Slices, empty_density
from arena_tui.folds.totals import AgentTally, RunTotals
from arena_tui.store.database import Connection, Database
from arena_tui.store.rows import RUN_COLUMNS, as_in_payload, totals_of

__all__ = ["History", "SortKey", "read_run", "read_runs", "read_window"]

WINDOW = 1_000
"""Maximum number of seqs a windowed read returns, and the default page of runs."""

SortKey: TypeAlias = Literal[
    "started_at", "game", "label", "status", "turns", "events", "input_tokens", "output_tokens",
    "cost_usd", "errors", "lost", "duration_s", "run_id",
]  # fmt: skip

_DURATION = "epoch(last_at - started_at)"
_PAYLOAD_COLUMNS = "run_id, epoch, seq, payload"


class History:
    """Queries for screens and commands; reads run in reader threads, writes in the writer's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def runs(
        self,
        where: str = "TRUE",
        parameters: Sequence[Any] = (),
        *,
        sort: SortKey = "started_at",
        descending: bool = True,
        limit: int = WINDOW,
        offset: int = 0,
    ) -> list[RunTotals]:
        """One page of the matching runs, sorted; `parse_filter` makes `where` and `parameters`."""
        return await self._database.read(
            partial(read_runs, where=where, parameters=parameters, sort=sort,
                    descending=descending, limit=limit, offset=offset)
        )  # fmt: skip

    async def count(self, where: str = "TRUE", parameters: Sequence[Any] = ()) -> int:
        """Number of matching runs."""
        return await self._database.read(
            lambda connection: _scalar(
                connection, f"SELECT count(*) FROM runs WHERE {where}", list(parameters)
            )
        )

    async def run(self, run_id: str) -> RunTotals:
        """One run, by its id or an unambiguous prefix or suffix of it.

        Raises:
            UnknownRunError: No run matches, or several do.
        """
        return await self._database.read(partial(read_run, run_id=run_id))

    async def window(
        self, run_id: str, from_seq: int, to_seq: int, epoch: int | None = None
    ) -> list[Delivery]:
        """Events and gaps with `from_seq <= seq <= to_seq`, at most `WINDOW` seqs, in order.

        A run whose stream was lost and recreated has several epochs: `epoch` selects one, None
        returns all of them in order.
        """
        return await self._database.read(
            partial(read_window, run_id=run_id, from_seq=from_seq, to_seq=to_seq, epoch=epoch)
        )

    async def epochs(self, run_id: str) -> dict[int, int]:
        """Newest seq of each epoch of a run, oldest epoch first; usually one."""
        return await self._database.read(
            lambda connection: dict(
                connection.execute(
                    "SELECT epoch, max(seq) FROM ("
                    "SELECT epoch, seq FROM events WHERE run_id = $run "
                    "UNION ALL SELECT epoch, to_seq FROM gaps WHERE run_id = $run) "
                    "GROUP BY epoch ORDER BY epoch",
                    {"run": run_id},
                ).fetchall()
            )
        )

    async def density(self, run_id: str, slices: int) -> Density:
        """Histogram of a run's events over time in `slices` equal slices, with marks."""
        return await self._database.read(partial(_read_density, run_id=run_id, slices=slices))

    async def next_of_kind(self, run_id: str, kind: str, at: int, step: int) -> int | None:
        """Seq of the next (`step` 1) or previous (-1) event of `kind` from `at`, or None."""
        comparison, aggregate = (">", "min") if step > 0 else ("<", "max")
        return await self._database.read(
            lambda connection: _scalar(
                connection,
                f"SELECT {aggregate}(seq) FROM events "
                f"WHERE run_id = ? AND kind = ? AND seq {comparison} ?",
                [run_id, kind, at],
            )
        )

    async def turn_seq(self, run_id: str, turn: int) -> int | None:
        """First seq of that turn, or None."""
        return await self._database.read(
            lambda connection: _scalar(
                connection,
                "SELECT min(seq) FROM events WHERE run_id = ? AND turn = ?",
                [run_id, turn],
            )
        )

    async def keyframe(self, run_id: str, seq: int) -> list[Envelope]:
        """The run's state at `seq`: the newest start, turn, observation, prompt, response, error
        and end up to there, in order."""
        return await self._database.read(partial(_read_keyframe, run_id=run_id, seq=seq))

    async def tallies(self, run_id: str, seq: int) -> dict[str, AgentTally]:
        """Actions, errors, tokens and cost of each agent up to `seq`."""
        return await self._database.read(partial(_read_tallies, run_id=run_id, seq=seq))

    async def search(
        self, run_id: str, text: str, after_seq: int, backwards: bool = False
    ) -> int | None:
        """Seq of the next (or previous) event that contains `text`, ignoring case; or None."""
        comparison, aggregate = ("<", "max") if backwards else (">", "min")
        return await self._database.read(
            lambda connection: _scalar(
                connection,
                f"SELECT {aggregate}(seq) FROM events WHERE run_id = ? AND seq {comparison} ? "
                "AND contains(lower(payload), lower(?))",
                [run_id, after_seq, as_in_payload(text)],
            )
        )

    async def bookmark(self, run_id: str, epoch: int, seq: int, note: str, at: datetime) -> bool:
        """Toggle a bookmark; returns whether it is now set."""

        def toggle(connection: Connection) -> bool:
            key = [run_id, epoch, seq]
            condition = "run_id = ? AND epoch = ? AND seq = ?"
            if _scalar(connection, f"SELECT count(*) FROM bookmarks WHERE {condition}", key):
                connection.execute(f"DELETE FROM bookmarks WHERE {condition}", key)
                return False
            row = [*key, note, at.replace(tzinfo=None)]
            connection.execute("INSERT INTO bookmarks VALUES (?, ?, ?, ?, ?)", row)
            return True

        return await self._database.write(toggle)

    async def delete(self, run_id: str) -> None:
        """Delete a run with its events, gaps, quarantined entries and bookmarks.

        Raises:
            UsageError: The run is still being stored.
        """
        if run_id in self._database.live_runs:
            raise UsageError(f"run {run_id} is not over: delete it when it has ended")

        def remove(connection: Connection) -> None:
            for table in ("events", "gaps", "quarantine", "bookmarks", "runs"):
                connection.execute(f"DELETE FROM {table} WHERE run_id = ?", [run_id])

        await self._database.write(remove)


def read_runs(
    connection: Connection,
    where: str = "TRUE",
    parameters: Sequence[Any] = (),
    *,
    sort: SortKey = "started_at",
    descending: bool = True,
    limit: int = WINDOW,
    offset: int = 0,
) -> list[RunTotals]:
    """See `History.runs`."""
    by = _DURATION if sort == "duration_s" else sort
    direction = "DESC" if descending else "ASC"
    rows = connection.execute(
        f"SELECT {RUN_COLUMNS} FROM runs WHERE {where} "
        f"ORDER BY {by} {direction} NULLS LAST, run_id {direction} LIMIT ? OFFSET ?",
        [*parameters, limit, offset],
    ).fetchall()
    return [totals_of(row) for row in rows]


def read_run(connection: Connection, run_id: str) -> RunTotals:
    """See `History.run`."""
    exact = read_runs(connection, "run_id = ?", [run_id])
    found = exact or read_runs(
        connection,
        "starts_with(lower(run_id), lower(?)) OR ends_with(lower(run_id), lower(?))",
        [run_id, run_id],
        limit=3,
    )
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownRunError(f"several runs match {run_id!r}: give more of the id")
    raise UnknownRunError(f"the store has no run {run_id!r}: see arena-tui runs")


def read_window(
    connection: Connection, run_id: str, from_seq: int, to_seq: int, epoch: int | None = None
) -> list[Delivery]:
    """See `History.window`."""
    parameters = {"run": run_id, "first": from_seq, "last": min(to_seq, from_seq + WINDOW - 1)}
    condition = "run_id = $run" if epoch is None else f"run_id = $run AND epoch = {epoch:d}"
    rows = connection.execute(
        f"SELECT {_PAYLOAD_COLUMNS} FROM events WHERE {condition} AND seq BETWEEN $first AND $last",
        parameters,
    ).fetchall()
    gaps = connection.execute(
        f"SELECT run_id, epoch, from_seq, to_seq, reason FROM gaps "
        f"WHERE {condition} AND from_seq <= $last AND greatest(from_seq, to_seq) >= $first",
        parameters,
    ).fetchall()
    found: list[Delivery] = [Gap(*row) for row in gaps]
    found += [_envelope(*row) for row in rows]
    return sorted(found, key=_order)


def _order(delivery: Delivery) -> tuple[int, int, bool]:
    seq = delivery.from_seq if isinstance(delivery, Gap) else delivery.seq
    return delivery.epoch, seq, isinstance(delivery, Envelope)


def _read_keyframe(connection: Connection, run_id: str, seq: int) -> list[Envelope]:
    rows = connection.execute(
        "SELECT run_id, max(epoch), arg_max(seq, (epoch, seq)), "
        "arg_max(payload, (epoch, seq)) FROM events "
        "WHERE run_id = ? AND seq <= ? AND kind IN "
        "('run_start', 'turn_start', 'observation', 'llm_prompt', 'llm_response', 'error', "
        "'run_end') GROUP BY run_id, kind ORDER BY 3",
        [run_id, seq],
    ).fetchall()
    return [_envelope(*row) for row in rows]


def _read_tallies(connection: Connection, run_id: str, seq: int) -> dict[str, AgentTally]:
    rows = connection.execute(
        "SELECT agent_id, count(*) FILTER (kind = 'action'), count(*) FILTER (kind = 'error'), "
        "sum(TRY_CAST(payload->>'input_tokens' AS BIGINT)) FILTER (kind = 'llm_response'), "
        "sum(TRY_CAST(payload->>'output_tokens' AS BIGINT)) FILTER (kind = 'llm_response'), "
        "sum(TRY_CAST(payload->>'cost_usd' AS DOUBLE)) FILTER (kind = 'llm_response') "
        "FROM events WHERE run_id = ? AND seq <= ? AND agent_id IS NOT NULL GROUP BY agent_id",
        [run_id, seq],
    ).fetchall()
    return {
        agent: AgentTally(actions=actions, errors=errors, input_tokens=input_tokens,
                          output_tokens=output_tokens, cost_usd=cost_usd)
        for agent, actions, errors, input_tokens, output_tokens, cost_usd in rows
    }  # fmt: skip


def _read_density(connection: Connection, run_id: str, slices: int) -> Density:
    ((first_at, last_at, last_seq),) = connection.execute(
        "SELECT min(ts), max(ts), max(seq) FROM events WHERE run_id = ?", [run_id]
    ).fetchall()
    if first_at is None:
        return empty_density(slices)
    time = Slices(
        first_at=first_at.replace(tzinfo=UTC), last_at=last_at.replace(tzinfo=UTC), count=slices
    )
    elapsed_us = "(epoch_us(ts) - epoch_us($from))"
    slice_of = f"least({slices - 1}, CAST(floor({elapsed_us} / {time.width_us!r}) AS INTEGER))"
    parameters = {"run": run_id, "from": first_at}
    rows = connection.execute(
        f"SELECT {slice_of}, count(*), min(seq) FROM events WHERE run_id = $run GROUP BY 1",
        parameters,
    ).fetchall()
    marks = [
        *_marks(connection, "error", f"SELECT seq, {slice_of}, '' FROM events "
                "WHERE run_id = $run AND kind = 'error'", parameters),
        *_marks(connection, "gap", f"SELECT from_seq, if(ts IS NULL, 0, {slice_of}), reason "
                "FROM gaps ASOF LEFT JOIN events ON events.run_id = gaps.run_id "
                "AND events.epoch = gaps.epoch AND seq < from_seq "
                "WHERE gaps.run_id = $run", parameters),
        *_marks(connection, "bookmark", f"SELECT seq, {slice_of}, note FROM bookmarks "
                "JOIN events USING (run_id, epoch, seq) WHERE run_id = $run", parameters),
    ]  # fmt: skip
    return time.density({index: (count, seq) for index, count, seq in rows}, last_seq, marks)


def _marks(
    connection: Connection,
    kind: Literal["error", "gap", "bookmark"],
    query: str,
    parameters: dict[str, Any],
) -> list[Mark]:
    rows = connection.execute(f"{query} ORDER BY 1 LIMIT {MARKS_MAX}", parameters).fetchall()
    return [Mark(seq=seq, kind=kind, slice=index, note=note or "") for seq, index, note in rows]


def _scalar(connection: Connection, query: str, parameters: list[Any]) -> Any:
    rows = connection.execute(query, parameters).fetchall()
    return rows[0][0] if rows else None


def _envelope(run_id: str, epoch: int, seq: int, payload: str) -> Envelope:
    return Envelope(run_id, epoch, seq, decode_event(payload), payload.encode())
