"""The clients of one server that are answered for as long as they listen. Knows no events."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from starlette.types import Message, Receive, Scope, Send

from arena_tui.broker.warnings import Warnings

KEEPALIVE_S: Final = 15.0
STALLED_S: Final = 30.0
"""A client that takes nothing for so long is dropped."""

_CHUNK_BYTES: Final = 64 * 1024
_PAUSE_PER_CLIENT_S: Final = 0.0002
_PAUSE_MAX_S: Final = 0.1


class Client:
    """One HTTP response, written as there is something to write; it knows for how long the client
    has taken nothing.

    Args:
        kind: What it is answered with, as part of its name.
        idle: Sent when there was nothing else for a while.

    Attributes:
        name: For display.
        abort: Ends the connection at once, with what was not taken.
        only_head: Whether it asks for no more than the head of the answer.
    """

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, kind: str, idle: bytes = b"",
        clock: Callable[[], float],
    ) -> None:  # fmt: skip
        host, port = scope.get("client") or ("unix", 0)
        self.name = f"{kind} {host}:{port}"
        self.abort: Callable[[], None] = scope["state"]["abort"]
        self.only_head = scope["method"] == "HEAD"
        self._receive = receive
        self._send = send
        self._idle = idle
        self._clock = clock
        self._writing = asyncio.Lock()
        self._waiting_since: float | None = None
        self._last = clock()

    @property
    def stalled_s(self) -> float:
        """For how long it has taken nothing of what there is."""
        return 0.0 if self._waiting_since is None else self._clock() - self._waiting_since

    async def answer(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def finish(self) -> None:
        """Complete the response; does nothing once it has left."""
        await self._send({"type": "http.response.body", "body": b""})

    async def send_all(self, pieces: Iterable[bytes]) -> None:
        """Send these; returns once it takes more."""
        chunk: list[bytes] = []
        size = 0
        for each in pieces:
            chunk.append(each)
            size += len(each)
            if size >= _CHUNK_BYTES:
                await self._write(b"".join(chunk))
                chunk, size = [], 0
        if chunk:
            await self._write(b"".join(chunk))

    async def keep_alive(self) -> None:
        """Send something whenever there was nothing else to send for a while."""
        while True:
            await asyncio.sleep(KEEPALIVE_S / 4)
            if self._waiting_since is None and self._clock() - self._last > KEEPALIVE_S:
                await self._write(self._idle)

    async def left(self) -> None:
        """Return when it has disconnected."""
        message: Message = {"type": ""}
        while message["type"] != "http.disconnect":
            message = await self._receive()

    async def _write(self, data: bytes) -> None:
        async with self._writing:
            self._waiting_since = self._clock()
            try:
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
            finally:
                self._waiting_since, self._last = None, self._clock()


class Clients:
    """All open clients.

    Attributes:
        dropped: How many stopped reading, since the start.
    """

    def __init__(self, warnings: Warnings, stalled_s: float = STALLED_S) -> None:
        self.dropped = 0
        self._warnings = warnings
        self._stalled_s = stalled_s
        self._serving: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._serving)

    def pause_s(self) -> float:
        """How long each client lets events gather: the more clients there are, the longer, so that
        sending to all of them leaves time for everything else; and never equally long, so that they
        do not all have their turn at once."""
        return min(_PAUSE_MAX_S, len(self) * _PAUSE_PER_CLIENT_S) * random.uniform(0.5, 1.5)

    def close(self) -> None:
        """End all that they are answered with; they may reconnect elsewhere."""
        for each in list(self._serving):
            each.cancel()

    async def serve(
        self, client: Client, header: tuple[tuple[bytes, bytes], ...],
        work: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:  # fmt: skip
        """Answer a client with these headers and what the work sends it; end that when the client
        is gone or takes nothing more."""
        await client.answer(200, *header)
        if client.only_head:
            await client.finish()
            return
        serving = asyncio.ensure_future(work())
        self._serving.add(serving)
        others = [asyncio.ensure_future(each) for each in (client.left(), client.keep_alive())]
        try:
            while not any(each.done() for each in (serving, *others)):
                await asyncio.wait(
                    [serving, *others], timeout=self._stalled_s / 4,
                    return_when=asyncio.FIRST_COMPLETED,
                )  # fmt: skip
                if client.stalled_s > self._stalled_s:
                    self.dropped += 1
                    self._warnings.add(
                        "client_dropped", None, client.name, seconds=round(self._stalled_s)
                    )
                    client.abort()
                    break
        finally:
            for each in (serving, *others):
                each.cancel()
            await asyncio.wait([serving, *others])
            self._serving.discard(serving)
        if not serving.cancelled():
            serving.result()
        await client.finish()
