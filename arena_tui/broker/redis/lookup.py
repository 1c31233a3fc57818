"""Queries about runs, shared by the reader and `doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from arena_tui.broker.mirror.findings import Seen
from arena_tui.broker.protocol import Cursor
from arena_tui.broker.redis.codec import RawEntry, parse_ended
from arena_tui.broker.redis.link import RedisLink
from arena_tui.broker.redis.scripts import LOOK
from arena_tui.broker.stats import StoreSeen

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


async def stores_seen(link: RedisLink, newest: Mapping[str, Cursor]) -> list[StoreSeen]:
    """The durable consumers that the server knows, and how far they are behind these runs' newest
    events."""
    return [await _store_seen(link, name, newest) for name in await consumers(link)]


async def _store_seen(link: RedisLink, name: str, newest: Mapping[str, Cursor]) -> StoreSeen:
    acks: dict[bytes, bytes] = await link.command("HGETALL", link.keys.acks(name))
    seconds, micros = await link.control.time()
    last = acks.pop(b"", None)
    lags = [0]
    for run_id, (epoch, seq) in newest.items():
        known = acks.get(run_id.encode(), b"0-0").partition(b"-")
        lags.append(max(0, seq - int(known[2])) if int(known[0]) == epoch else seq)
    silent_s = None if last is None else int(seconds) + int(micros) / 1e6 - int(last) / 1_000
    return StoreSeen(name=name, silent_s=silent_s, lag=sum(lags), lag_most=max(lags))


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
