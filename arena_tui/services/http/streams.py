"""Event streams over HTTP: one response for each client, which ends with its runs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from starlette.types import Message, Receive, Scope
from starlette.types import Send as AsgiSend

from arena_tui.broker.protocol import Cursor
from arena_tui.consumers.protocol import Context
from arena_tui.consumers.sse import EventStream, event_id, frames
from arena_tui.errors import UnknownRunError, UsageError
from arena_tui.events import Delivery
from arena_tui.services.http.runs import infos
from arena_tui.services.runtime import Runtime
from arena_tui.store.replay import RunReplay

KEEPALIVE_S: Final = 15.0
STALLED_S: Final = 30.0
"""A client that takes nothing for so long is dropped."""

_RETRY_MS: Final = (1_000, 4_000)
"""When clients reconnect: spread, so that they do not come back all at once."""

_CHUNK_BYTES: Final = 64 * 1024
_PAUSE_PER_CLIENT_S: Final = 0.0002
_PAUSE_MAX_S: Final = 0.1
_END: Final = "-end"
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold frames back
)


class Position(msgspec.Struct, frozen=True):
    """What a client has of a run: everything up to `cursor`, and whether it was told the end."""

    cursor: Cursor
    ended: bool = False

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read an event id as `Last-Event-ID` has it; raises UsageError."""
        place = text.removesuffix(_END)
        epoch, dash, seq = place.partition("-")
        if not (dash and epoch.isascii() and epoch.isdigit() and seq.isascii() and seq.isdigit()):
            raise UsageError(f"{text[:60]!r} is no event id: give <epoch>-<seq>")
        return cls(Cursor(int(epoch), int(seq)), place != text)


class Client:
    """One HTTP response, written as events come; it knows for how long it has taken nothing."""

    def __init__(
        self, scope: Scope, receive: Receive, send: AsgiSend, clock: Callable[[], float]
    ) -> None:
        host, port = scope.get("client") or ("unix", 0)
        self.name = f"sse {host}:{port}"
        self.abort: Callable[[], None] = scope["state"]["abort"]
        self._receive = receive
        self._send = send
        self._clock = clock
        self._writing = asyncio.Lock()
        self._waiting_since: float | None = None
        self._last = clock()

    @property
    def stalled_s(self) -> float:
        """For how long it has taken nothing of what there is."""
        return 0.0 if self._waiting_since is None else self._clock() - self._waiting_since

    async def begin(self, retry_ms: int) -> None:
        """Answer with a stream, and say when to come back after its end."""
        await self.answer(200, *_HEADERS)
        await self._write(b"retry: %d\n\n" % retry_ms)

    async def answer(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def finish(self) -> None:
        """Complete the response; does nothing once it has left."""
        await self._send({"type": "http.response.body", "body": b""})

    async def send_all(self, deliveries: Sequence[Delivery]) -> None:
        """Send these deliveries; returns once it takes more."""
        chunk: list[bytes] = []
        size = 0
        for each in deliveries:
            chunk.append(frames([each]))
            size += len(chunk[-1])
            if size >= _CHUNK_BYTES:
                await self._write(b"".join(chunk))
                chunk, size = [], 0
        if chunk:
            await self._write(b"".join(chunk))

    async def tell_end(self, replay: RunReplay) -> None:
        """Tell that nothing more comes."""
        data = msgspec.json.encode({"run_id": replay.run_id})
        place = event_id(replay.cursor) + _END.encode()
        await self._write(b"event: end\nid: %s\ndata: %s\n\n" % (place, data))

    async def keep_alive(self) -> None:
        """Send a comment whenever there was nothing else to send for a while."""
        while True:
            await asyncio.sleep(KEEPALIVE_S / 4)
            if self._waiting_since is None and self._clock() - self._last > KEEPALIVE_S:
                await self._write(b":\n\n")

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


class EventStreams:
    """The open event streams of one server.

    Attributes:
        dropped: Clients that stopped reading, since the start.
        sent: Events and gaps sent, since the start.
    """

    def __init__(self, runtime: Runtime, stalled_s: float = STALLED_S) -> None:
        self.runtime = runtime
        self.stalled_s = stalled_s
        self.dropped = 0
        self.sent = 0
        self._streaming: set[asyncio.Future[None]] = set()

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._streaming)

    def close(self) -> None:
        """End all streams, as if their clients had left; they may reconnect elsewhere."""
        for each in list(self._streaming):
            each.cancel()

    def pause_s(self) -> float:
        """How long each client lets events gather: the more clients there are, the longer, so that
        sending to all of them leaves time for everything else."""
        return min(_PAUSE_MAX_S, self.clients * _PAUSE_PER_CLIENT_S)

    async def respond(self, client: Client, run_id: str, position: Position) -> None:
        """Stream the run to the client from there on, until one of them ends."""
        replay = RunReplay(self.runtime.history, run_id, position.cursor)
        live = (await infos(self.runtime)).get(run_id)
        await replay.open(live)
        is_over = live is None or live.state == "closed"
        if is_over and position.ended and replay.cursor >= replay.newest:
            await client.answer(204)
        else:
            await client.begin(random.randint(*_RETRY_MS))
            await self._until_it_leaves(client, self._stream(client, replay))
        await client.finish()

    async def _stream(self, client: Client, replay: RunReplay) -> None:
        while True:
            live = (await infos(self.runtime)).get(replay.run_id)
            await replay.open(live)
            async for window in replay.stored():
                await self._send(client, window)
            if live is None or live.epoch < replay.cursor.epoch:
                break
            stream = EventStream(
                client.name, {replay.run_id: replay}, partial(self._send, client), self.pause_s
            )
            try:
                consumption = await self.runtime.consume(partial(_made, stream))
            except UnknownRunError:
                continue  # let go in between: the rest is stored
            try:
                await consumption.ended()
            finally:
                await self.runtime.drop(consumption)
            break
        await client.tell_end(replay)

    async def _send(self, client: Client, deliveries: Sequence[Delivery]) -> None:
        await client.send_all(deliveries)
        self.sent += len(deliveries)

    async def _until_it_leaves(self, client: Client, work: Coroutine[Any, Any, None]) -> None:
        """Run the work; end it when the client is gone or takes nothing more."""
        streaming = asyncio.ensure_future(work)
        self._streaming.add(streaming)
        others = [asyncio.ensure_future(each) for each in (client.left(), client.keep_alive())]
        try:
            while not any(each.done() for each in (streaming, *others)):
                await asyncio.wait(
                    [streaming, *others], timeout=self.stalled_s / 4,
                    return_when=asyncio.FIRST_COMPLETED,
                )  # fmt: skip
                if client.stalled_s > self.stalled_s:
                    self.dropped += 1
                    self.runtime.broker.warnings.add(
                        "client_dropped", None, client.name, seconds=round(self.stalled_s)
                    )
                    client.abort()
                    break
        finally:
            for each in (streaming, *others):
                each.cancel()
            await asyncio.wait([streaming, *others])
            self._streaming.discard(streaming)
        if not streaming.cancelled():
            streaming.result()


def _made(stream: EventStream, _: Context) -> EventStream:
    return stream
