"""What a query needs of a store, be it open here or in the process that owns it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from arena_tui.broker.warnings import Warnings
from arena_tui.folds.totals import RunTotals
from arena_tui.store.changes import Change

T = TypeVar("T")


class Rows(Protocol):
    """The rows of a query, to be fetched once."""

    def fetchall(self) -> list[Any]: ...

    def fetchone(self) -> Any: ...


class Reader(Protocol):
    """Runs queries that only read."""

    def execute(self, query: str, parameters: object = None, /) -> Rows: ...


class Store(Protocol):
    """See `Database`, which is one."""

    path: str
    warnings: Warnings
    live_totals: Mapping[str, RunTotals]

    async def read(self, work: Callable[[Reader], T]) -> T: ...

    def read_now(self, work: Callable[[Reader], T]) -> T: ...

    async def change(self, change: Change) -> bool: ...

    @property
    def size_bytes(self) -> int: ...

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


def asked_of_owner(reader: Reader, path: str) -> bytes | None:
    """What the process that has the store open answers there; None: it is open in this one."""
    ask = getattr(reader, "ask_owner", None)
    if ask is None:
        return None
    answer: bytes = ask(path)
    return answer


def snapshot(reader: Reader, queries: Sequence[str]) -> list[list[Any]]:
    """The rows of each query, all of one moment."""
    together = getattr(reader, "snapshot", None)
    if together is not None:
        found: list[list[Any]] = together(queries)
        return found
    reader.execute("BEGIN")
    try:
        return [reader.execute(each).fetchall() for each in queries]
    finally:
        reader.execute("ROLLBACK")
