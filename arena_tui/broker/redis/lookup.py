"""Queries about runs, shared by the reader and `doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from arena_tui.broker.mirror.findings import Seen
from arena_tui.broker.protocol import Cursor
from arena_tui.broker.redis.codec import RawEntry, parse_ended
from arena_tui.broker.redis.link import RedisLink
from arena_tui.broker.redis.scripts import LOOK

AT_ONCE: Final = 1_000
"""Most entries, or runs, per query."""

Row: TypeAlias = Sequence[Any]
"""What `LOOK` returns of a run; empty when there is no such run."""

T = TypeVar("T")


async def look_up(link: RedisLink, run_ids: Sequence[str], *, whole: bool = False) -> list[Row]:
    """Fetch one row per run; `whole` adds its metadata and the id of its oldest entry."""
    if not run_ids:
        return []
    keys = [key for run_id in run_ids for key in (link.keys.meta(run_id), link.keys.events(run_id))]
    rows: list[Row] = await link.call(LOOK, keys, [int(whole)])
    return rows


async def consumers(link: RedisLink) -> list[str]:
    """The durable consumers that the server knows, by identity."""
    names: list[bytes] = await link.command("SMEMBERS", link.keys.consumers)
    return sorted(name.decode(errors="replace") for name in names)


def seen_in(row: Row) -> Seen:
    """The run of a row that is not empty; whether it has events only a whole one says."""
    epoch, seq, status, silent_ms, ended, *whole = row
    at = Cursor(epoch, seq)
    return Seen(at, status, silent_ms / 1_000, parse_ended(ended), any(whole[1:]))


def runs_in_index(entries: Sequence[RawEntry]) -> list[str]:
    """The distinct runs named by entries of the index."""
    named = (fields[1] for _, fields in entries if len(fields) >= 2 and fields[0] == b"run")
    return list(dict.fromkeys(run_id.decode(errors="replace") for run_id in named))


def batched(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values, in slices of `AT_ONCE`."""
    return (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))
