"""Requests to the owner of a store, over HTTP/1.1 on the socket beside it. Knows no meaning."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import h11
import msgspec

from arena_tui.broker.forked import keep_for_ever
from arena_tui.unix_socket import connected

_READ_BYTES: Final = 256 * 1024
_IDLE_S: Final = 5.0
"""Connections are used again within this time; the owner closes them after ten seconds."""


class OwnerGoneError(ConnectionError):
    """Nobody listens at the socket."""


class BadAnswerError(ConnectionError):
    """What came is no answer, or none to this request."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body
        super().__init__(self.told)

    @property
    def told(self) -> str:
        """What it says, in a line."""
        try:
            return str(msgspec.json.decode(self.body, type=dict[str, str])["error"])
        except (msgspec.MsgspecError, KeyError):
            return f"the process that has the store open answers {self.status}: update arena-tui"


class OwnerHttp:
    """Connections to whoever owns the store. Belongs to one loop.

    Args:
        timeout_s: Of connecting, and of an answer.
    """

    def __init__(self, store: str, timeout_s: float) -> None:
        self._store = store
        self._timeout_s = timeout_s
        self._idle: list[tuple[float, _Connection]] = []
        self._open: set[_Connection] = set()

    async def post(self, path: str, body: bytes, within_s: float = 0.0) -> bytes:
        """The answer, which may take so much longer than usual.

        Raises:
            OwnerGoneError: There is no owner.
            BadAnswerError: It refuses.
            TimeoutError, OSError, h11.ProtocolError: There is no answer; the request may have been
                carried out.
        """
        async with asyncio.timeout(self._timeout_s + within_s):
            connection = self._reused() or await self._connected()
            try:
                status = await connection.ask(path, body)
                answer = b"".join([each async for each in connection.body()])
            except BaseException:
                self._drop(connection)
                raise
        if connection.is_reusable():
            self._idle.append((time.monotonic(), connection))
        else:
            self._drop(connection)
        if status != 200:
            raise BadAnswerError(status, answer)
        return answer

    async def stream(self, path: str, body: bytes, silent_s: float) -> AsyncGenerator[bytes, None]:
        """What is answered, as it comes; a pause may last so long. Raises as `post` does."""
        async with asyncio.timeout(self._timeout_s):
            connection = await self._connected()
        try:
            async with asyncio.timeout(self._timeout_s):
                status = await connection.ask(path, body)
            pieces = connection.body()
            while True:
                async with asyncio.timeout(silent_s):
                    piece = await anext(pieces, None)
                if piece is None:
                    return
                if status != 200:
                    raise BadAnswerError(status, piece)
                yield piece
        finally:
            self._drop(connection)

    def forsake(self) -> None:
        """In a forked child: close its copies of all sockets, and touch nothing else."""
        keep_for_ever(self)
        for connection in self._open:
            connection.forsake()

    async def aclose(self) -> None:
        for connection in list(self._open):
            self._drop(connection)

    def _reused(self) -> _Connection | None:
        while self._idle:
            since, connection = self._idle.pop()
            if time.monotonic() - since < _IDLE_S and connection.is_open():
                return connection
            self._drop(connection)
        return None

    async def _connected(self) -> _Connection:
        link = connected(self._store, 0)
        if link is None:
            raise OwnerGoneError("nobody has the store open")
        reader, writer = await asyncio.open_unix_connection(sock=link, limit=_READ_BYTES)
        connection = _Connection(reader, writer)
        self._open.add(connection)
        return connection

    def _drop(self, connection: _Connection) -> None:
        self._open.discard(connection)
        connection.close()


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=64 * 1024)

    async def ask(self, path: str, body: bytes) -> int:
        """Send a request; returns the status of the answer."""
        head = [("host", "arena"), ("content-length", str(len(body)))]
        request = h11.Request(method="POST", target=path, headers=head)
        self._send(request, h11.Data(data=body), h11.EndOfMessage())
        await self._writer.drain()
        while not isinstance(event := await self._next(), h11.Response):
            pass
        return int(event.status_code)

    async def body(self) -> AsyncIterator[bytes]:
        """The pieces of the answer."""
        while True:
            event = await self._next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise ConnectionResetError("the owner hung up")

    def is_reusable(self) -> bool:
        """Whether another request can be sent, the last having been answered; gets ready for it."""
        if self._http.our_state is self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        return False

    def is_open(self) -> bool:
        """Whether the owner has not hung up since."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    def forsake(self) -> None:
        link = self._writer.get_extra_info("socket")
        if link is not None and link.fileno() >= 0:
            os.close(link.fileno())

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._writer.transport.abort()

    def _send(self, *events: h11.Event) -> None:
        for event in events:
            if data := self._http.send(event):
                self._writer.write(data)

    async def _next(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = await self._reader.read(_READ_BYTES)
            if not data and self._http.their_state is h11.SEND_RESPONSE:
                raise ConnectionResetError("the owner hung up")
            self._http.receive_data(data)
        return event
