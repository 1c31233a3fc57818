"""A TCP proxy on loopback that misbehaves on demand, between a client and a Redis server."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from enum import Enum, auto
from types import TracebackType

import hiredis

from tests.waiting import pause

HOST = "127.0.0.1"
_CHUNK_BYTES = 65_536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Mode(Enum):
    PASS = auto()
    DROP = auto()
    HALF_OPEN = auto()
    TRICKLE = auto()
    REFUSE = auto()


class Proxy:
    """Forwards bytes to a port and back according to its mode, which may change at any moment.

    Attributes:
        port: Where clients connect.
        connections_ever: Connections accepted so far, including those refused.
        replies_dropped: Replies dropped by `drop_replies`; whole replies if it was given a count,
            else chunks as read.
        bytes_lost: Bytes dropped by `half_open`, in both directions.
    """

    def __init__(self, upstream_port: int) -> None:
        self.port = 0
        self.connections_ever = 0
        self.replies_dropped = 0
        self.bytes_lost = 0
        self._upstream_port = upstream_port
        self._mode = _Mode.PASS
        self._to_drop: int | None = None
        self._bytes_per_s: float | None = None
        self._connections: dict[_Connection, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None
        self._closing = False

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    @property
    def connections(self) -> int:
        """Number of clients connected now."""
        return len(self._connections)

    def pass_through(self) -> None:
        """Forward everything. A connection that lost bytes to `half_open` stays mute."""
        self._mode = _Mode.PASS

    def drop_replies(self, count: int | None = None) -> None:
        """Forward requests but drop replies; after `count` dropped replies, forward everything.

        Call while no reply is in transit: replies are counted from their first byte.
        """
        self._mode, self._to_drop = _Mode.DROP, count

    def half_open(self) -> None:
        """Drop all bytes in both directions; existing and new connections stay open."""
        self._mode = _Mode.HALF_OPEN

    def trickle(self) -> None:
        """Forward replies one byte at a time."""
        self._mode = _Mode.TRICKLE

    def throttle(self, bytes_per_s: float | None) -> None:
        """Limit the rate at which each connection sends, in any mode; None removes the limit."""
        self._bytes_per_s = bytes_per_s

    def refuse(self) -> None:
        """Reset new connections at once; existing ones stay open."""
        self._mode = _Mode.REFUSE

    def reset(self) -> None:
        """Reset all existing connections (RST); the mode stays."""
        for connection in self._connections:
            connection.reset()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Close the port and all connections."""
        if self._server is None:
            return
        self._closing = True
        self._server.close()
        connections = dict(self._connections)
        for connection, task in connections.items():
            # The task may not have started, and then closes nothing itself.
            connection.writer.transport.abort()
            task.cancel()
        await asyncio.gather(*connections.values(), return_exceptions=True)
        await self._server.wait_closed()

    async def __aenter__(self) -> Proxy:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections_ever += 1
        connection = _Connection(reader, writer)
        if self._mode is _Mode.REFUSE:
            connection.reset()
            return
        task = asyncio.create_task(self._serve(connection))
        self._connections[connection] = task
        task.add_done_callback(lambda _: self._connections.pop(connection))

    async def _serve(self, connection: _Connection) -> None:
        upstream: asyncio.StreamWriter | None = None
        try:
            replies, upstream = await asyncio.open_connection(HOST, self._upstream_port)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry_requests(connection, upstream))
                both.create_task(self._carry_replies(replies, connection))
        except* (OSError, _EndedError) as errors:
            if errors.subgroup(OSError) is not None:
                connection.reset()
        finally:
            for writer in filter(None, (connection.writer, upstream)):
                if self._closing:
                    writer.transport.abort()
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

    async def _carry_requests(
        self, connection: _Connection, upstream: asyncio.StreamWriter
    ) -> None:
        while data := await connection.reader.read(_CHUNK_BYTES):
            if not self._loses(connection, data):
                upstream.write(data)
                await upstream.drain()
            if self._bytes_per_s is not None:
                await pause(len(data) / self._bytes_per_s)
        raise _EndedError

    async def _carry_replies(self, replies: asyncio.StreamReader, connection: _Connection) -> None:
        while data := await self._next_replies(replies, connection):
            if self._loses(connection, data):
                continue
            if self._mode is _Mode.DROP:
                data = self._without_dropped(connection, data)
            pieces = [data]
            if self._mode is _Mode.TRICKLE:
                pieces = [data[index : index + 1] for index in range(len(data))]
            for piece in pieces:
                connection.writer.write(piece)
                await connection.writer.drain()
                await asyncio.sleep(0)
        raise _EndedError

    async def _next_replies(self, replies: asyncio.StreamReader, connection: _Connection) -> bytes:
        """Read from the server; a half-open connection never sees that the server closed."""
        try:
            data = await replies.read(_CHUNK_BYTES)
        except OSError:
            if not self._loses(connection, b""):
                raise
            data = b""
        if not data and self._loses(connection, b""):
            await asyncio.Event().wait()
        return data

    def _loses(self, connection: _Connection, data: bytes) -> bool:
        connection.mute |= self._mode is _Mode.HALF_OPEN
        self.bytes_lost += len(data) if connection.mute else 0
        return connection.mute

    def _without_dropped(self, connection: _Connection, data: bytes) -> bytes:
        """The bytes left to forward: none, or those after the last reply to drop."""
        if self._to_drop is None:
            self.replies_dropped += 1
            return b""
        for index in range(len(data)):
            connection.replies.feed(data, index, 1)
            if connection.replies.gets() is not False:
                self.replies_dropped += 1
                self._to_drop -= 1
                if self._to_drop == 0:
                    self._mode = _Mode.PASS
                    return data[index + 1 :]
        return b""


class _EndedError(Exception):
    """One side has closed its connection."""


class _Connection:
    """A client's connection; a mute one has lost bytes and forwards nothing more."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.mute = False
        self.replies = hiredis.Reader(notEnoughData=False)

    def reset(self) -> None:
        if self.writer.transport.is_closing():
            return
        endpoint: socket.socket = self.writer.get_extra_info("socket")
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.writer.transport.abort()
