"""Reads a store through the process that has it open, over the socket beside it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

import msgspec

from arena_tui.broker.warnings import Warnings
from arena_tui.errors import StoreError, StoreForeignError, StoreLockedError, UsageError
from arena_tui.folds.totals import RunTotals
from arena_tui.locked import locked, of_another_version
from arena_tui.store.changes import Change
from arena_tui.store.console import Result
from arena_tui.store.owner import KIND_HEADER, OWNER, PROTOCOL, READER, Owner
from arena_tui.store.reading import Reader
from arena_tui.store.threads import DaemonThreads
from arena_tui.store.wire import (
    Row,
    decode_result,
    decode_rows,
    encode_console,
    encode_queries,
)
from arena_tui.unix_socket import cannot_be_shared, connected, peer_of

T = TypeVar("T")

QUERIES: Final = "/store/queries"
CONSOLE: Final = "/store/console"
CHANGES: Final = "/store/changes"
APPENDED: Final = "/store/appended"
LIVE: Final = "/store/live"
"""Where the owner answers queries, and what a person asks, takes changes, takes events of runs that
it does not hold, and says which runs have a producer."""

_READERS: Final = 3
CONNECT_S: Final = 5.0
"""How long connecting, and asking who the owner is, may take."""

_HEADERS: Final = {KIND_HEADER: READER}
_TRY_S: Final = (0.02, 0.5)
"""Least and most time between attempts to reach an owner."""

_ENDED_S: Final = 1.0
"""An owner that has just ended keeps its lock for less than that."""


class _OwnerGoneError(Exception):
    """The owner has ended, or is only beginning."""


class _NobodyError(_OwnerGoneError):
    """Nobody listens there."""


class RemoteDatabase:
    """See `Store`. Whoever owns the store meanwhile, answers; a read that is cut off begins anew.

    Args:
        patience_s: For how long an owner is looked for before a read fails.
        open_here: Reads where nobody owns the store any more; None: only an owner is asked.
    """

    def __init__(
        self, path: str, warnings: Warnings | None = None, *, patience_s: float,
        open_here: Callable[[Callable[[Reader], Any]], Any] | None = None,
    ) -> None:  # fmt: skip
        self.path = os.path.realpath(path)
        self.warnings = warnings or Warnings()
        self.live_totals: Mapping[str, RunTotals] = MappingProxyType({})
        self._patience_s = patience_s
        self._open_here = open_here
        self._agreed: set[int] = set()
        self._closed = threading.Event()

    @cached_property
    def _threads(self) -> DaemonThreads:
        return DaemonThreads(_READERS, "store-reader")

    @property
    def size_bytes(self) -> int:
        """Bytes on disk, write-ahead log included."""
        files = Path(self.path), Path(self.path + ".wal")
        return sum(file.stat().st_size for file in files if file.exists())

    async def read(self, work: Callable[[Reader], T]) -> T:
        """See `Database.read`; cancelling ends the query in the owner."""
        asking = self._asking()
        try:
            future = self._threads.submit(lambda: self._read(work, asking))
        except RuntimeError:
            raise StoreError(f"the store {self.path} is closed") from None
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            asking.cancel()
            raise

    async def change(self, change: Change) -> bool:
        """See `Database.change`.

        Raises:
            UsageError: The run to be deleted is not over.
        """
        return msgspec.json.decode(
            await self._posted(CHANGES, msgspec.json.encode(change)), type=bool
        )

    async def append(self, batch: bytes) -> None:
        """Have the owner add what `appending.encode_batch` made, as one transaction.

        Raises:
            UsageError: A run of it is one that the owner holds, or it is not understood.
            StoreError: It could not be stored, or nobody answers.
        """
        await self._posted(APPENDED, batch)

    async def _posted(self, path: str, body: bytes) -> bytes:
        asking = self._asking()
        asked = self._threads.submit(lambda: self._asked(asking, path, body))
        return await asyncio.wrap_future(asked)

    def _asked(self, asking: _Asking, path: str, body: bytes) -> bytes:
        try:
            with asking:
                return asking.post(path, body)
        except _OwnerGoneError:
            raise self._no_answer() from None

    def live_runs(self) -> Collection[str]:
        """The runs that have a producer at present, as far as the owner answers."""
        asking = self._asking()
        try:
            with asking:
                return msgspec.json.decode(asking.get(LIVE), type=frozenset[str])
        except _OwnerGoneError:
            return frozenset()

    def owner(self) -> Owner | None:
        """The process that has the store open at present; None if it does not answer."""
        asking = self._asking()
        try:
            with asking:
                return asking.owner()
        except _OwnerGoneError:
            return None

    def read_now(self, work: Callable[[Reader], T]) -> T:
        """See `Database.read_now`."""
        return self._read(work, self._asking())

    def close(self) -> None:
        self._closed.set()
        if "_threads" in vars(self):
            self._threads.shutdown(wait=False)

    def _asking(self) -> _Asking:
        return _Asking(self.path, self._agreed)

    async def aclose(self) -> None:
        self.close()

    def _read(self, work: Callable[[Reader], T], asking: _Asking) -> T:
        began = time.monotonic()
        pause_s, most_s = _TRY_S
        while True:
            patience_s, is_answered, refusal = self._patience_s, True, self._no_answer()
            try:
                with asking:
                    return work(_RemoteReader(asking))
            except StoreForeignError as error:
                patience_s, refusal = 0.0, error
            except _OwnerGoneError as error:
                if asking.cancelled or self._closed.is_set():
                    raise StoreError("the read was cancelled") from None
                is_answered = not isinstance(error, _NobodyError)
            try:
                if self._open_here is not None:
                    found: T = self._open_here(work)
                    return found
            except StoreLockedError as error:
                if not is_answered:
                    refusal = locked(self.path, error.pid, asked=True)
                    if error.lasting or cannot_be_shared(self.path):
                        patience_s = min(patience_s, _ENDED_S)
            if time.monotonic() - began >= patience_s:
                raise refusal
            self._closed.wait(pause_s)
            pause_s = min(most_s, 2 * pause_s)

    def _no_answer(self) -> StoreError:
        return StoreError(
            f"the process that has the store {self.path} open does not answer: try again"
        )


class _Asking:
    """A connection to the owner for one read; made when it is first asked something.

    Args:
        agreed: The processes known to speak the same protocol.
    """

    def __init__(self, path: str, agreed: set[int]) -> None:
        self.cancelled = False
        self._path = path
        self._agreed = agreed
        self._link: socket.socket | None = None
        self._http: http.client.HTTPConnection | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self._http is not None:
            self._http.close()
            self._http = self._link = None

    def cancel(self) -> None:
        """From another thread: cut the connection, from which the owner learns it."""
        self.cancelled = True
        if (link := self._link) is not None:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def owner(self) -> Owner:
        """Who the owner is.

        Raises:
            StoreForeignError: It is of another version, which cannot be talked to.
        """
        answer = self.get(OWNER)
        try:
            owner = msgspec.json.decode(answer, type=Owner)
        except msgspec.MsgspecError:
            raise of_another_version(self._path, None, "of unknown version", _own()) from None
        if owner.protocol != PROTOCOL:
            raise of_another_version(self._path, owner.pid, owner.version, _own())
        self._agreed.add(owner.pid)
        return owner

    def get(self, path: str) -> bytes:
        """See `post`."""
        return self._request("GET", path, None)

    def post(self, path: str, body: bytes) -> bytes:
        """The answer.

        Raises:
            UsageError, StoreError: The owner refused.
            _OwnerGoneError: There is none.
        """
        return self._request("POST", path, body)

    def _request(self, method: str, path: str, body: bytes | None) -> bytes:
        try:
            connection = self._http or self._connected()
            connection.request(method, path, body, _HEADERS)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            raise _OwnerGoneError from None
        if response.status == http.HTTPStatus.BAD_REQUEST:
            raise UsageError(_told(answer))
        if response.status != http.HTTPStatus.OK:
            raise StoreError(_told(answer))
        return answer

    def _connected(self) -> http.client.HTTPConnection:
        link = connected(self._path, CONNECT_S)
        if link is None:
            raise _NobodyError
        self._link = link
        if self.cancelled:
            raise _OwnerGoneError
        self._http = http.client.HTTPConnection("arena")
        self._http.sock = link
        if (peer := peer_of(link)) is None or peer[0] not in self._agreed:
            self.owner()
        link.settimeout(None)  # a query takes as long as it takes
        return self._http


class _RemoteReader:
    """See `Reader`."""

    def __init__(self, asking: _Asking) -> None:
        self._asking = asking

    def execute(self, query: str, parameters: object = None, /) -> _Rows:
        given: Any = () if parameters is None else parameters
        (rows,) = self._ask([(query, given)])
        return _Rows(rows)

    def snapshot(self, queries: Sequence[str]) -> list[list[Row]]:
        """See `reading.snapshot`."""
        return self._ask([(each, ()) for each in queries])

    def ask_console(self, sql: str, limit: int) -> Result:
        """See `console.run_sql`."""
        return decode_result(self._asking.post(CONSOLE, encode_console(sql, limit)))

    def ask_owner(self, path: str) -> bytes:
        """See `reading.asked_of_owner`."""
        return self._asking.get(path)

    def _ask(self, queries: Sequence[tuple[str, Any]]) -> list[list[Row]]:
        return decode_rows(self._asking.post(QUERIES, encode_queries(queries)))


class _Rows:
    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def fetchall(self) -> list[Row]:
        return self._rows

    def fetchone(self) -> Row | None:
        return self._rows[0] if self._rows else None


def _own() -> str:
    return version("arena-tui")


def _told(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, LookupError, TypeError):
        return "the process that has the store open does not understand: update arena-tui"
