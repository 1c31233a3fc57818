"""Questions about runs that a reader and `doctor` both put to the server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from arena_tui.broker.redis.codec import RawEntry
from arena_tui.broker.redis.link import Link
from arena_tui.broker.redis.scripts import LOOK, events_key, meta_key

__all__ = ["AT_ONCE", "Row", "batched", "look", "runs_in_index"]

AT_ONCE: Final = 1_000
"""Most entries, or runs, of one question."""

Row: TypeAlias = Sequence[Any]
"""What `LOOK` tells of a run; empty when there is none."""

T = TypeVar("T")


async def look(link: Link, run_ids: Sequence[str], *, whole: bool = False) -> list[Row]:
    """A row a run; `whole`: with what does not change."""
    if not run_ids:
        return []
    keys = [key for run_id in run_ids for key in (meta_key(run_id), events_key(run_id))]
    rows: list[Row] = await link.call(LOOK, keys, [int(whole)])
    return rows


def runs_in_index(entries: Sequence[RawEntry]) -> list[str]:
    """The runs that entries of the index name, each once."""
    named = (fields[1] for _, fields in entries if len(fields) >= 2 and fields[0] == b"run")
    return list(dict.fromkeys(run_id.decode(errors="replace") for run_id in named))


def batched(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values, in slices of what one question may ask about."""
    return (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))
