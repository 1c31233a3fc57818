"""Event streams over HTTP: one response for each client, which ends with its runs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from starlette.types import Message, Receive, Scope
from starlette.types import Send as AsgiSend

from arena_tui.broker.protocol import Cursor, RunInfo
from arena_tui.consumers.sse import EVERY_OTHER, EventStream, Frames, Position
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery
from arena_tui.services.http.runs import infos
from arena_tui.services.runtime import Runtime
from arena_tui.store.replay import BEGINNING, RunReplay

KEEPALIVE_S: Final = 15.0
STALLED_S: Final = 30.0
"""A client that takes nothing for so long is dropped."""

_RETRY_MS: Final = (1_000, 4_000)
"""When clients reconnect: spread, so that they do not come back all at once."""

_CHUNK_BYTES: Final = 64 * 1024
_PAUSE_PER_CLIENT_S: Final = 0.0002
_PAUSE_MAX_S: Final = 0.1
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold frames back
)


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

    async def send_all(self, frames: Iterable[bytes]) -> None:
        """Send these frames; returns once it takes more."""
        chunk: list[bytes] = []
        size = 0
        for each in frames:
            chunk.append(each)
            size += len(each)
            if size >= _CHUNK_BYTES:
                await self._write(b"".join(chunk))
                chunk, size = [], 0
        if chunk:
            await self._write(b"".join(chunk))

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

    async def of_runs(
        self, client: Client, run_ids: Sequence[str], position: Position, single: bool = False
    ) -> None:
        """Answer with the stream of these runs, each after its cursor or from its beginning, until
        all are over. The event ids of a single one's need not name it.

        Raises:
            UnknownRunError: One of them does not exist.
        """
        held = await infos(self.runtime)
        replays: dict[str, RunReplay] = {}
        is_over = position.ended
        for run_id in run_ids:
            cursor = position.cursors.get(run_id, BEGINNING)
            replay = replays[run_id] = RunReplay(self.runtime.history, run_id, cursor)
            await replay.open(held.get(run_id))
            is_over = is_over and _is_over(replay, held.get(run_id))
        if is_over:
            await client.answer(204)
            await client.finish()
        else:
            frames = Frames(_cursors(replays), single=single)
            await self._stream(client, self._follow(client, replays, frames))

    async def of_all(self, client: Client, position: Position | None) -> None:
        """Answer with what is published to whatever run, after a position or from now on."""
        replays, known_until = await _every_run(self.runtime, position)
        frames = Frames(_cursors(replays), every_run=True, known_until=known_until)
        await self._stream(client, self._follow_all(client, replays, frames))

    async def _stream(self, client: Client, work: Coroutine[Any, Any, None]) -> None:
        await client.begin(random.randint(*_RETRY_MS))
        await self._until_it_leaves(client, work)
        await client.finish()

    async def _follow(self, client: Client, replays: dict[str, RunReplay], frames: Frames) -> None:
        """Send what is stored, then what is live, then the end."""
        while replays:
            held = await infos(self.runtime)
            for run_id, replay in list(replays.items()):
                await self._send_stored(client, replay, held.get(run_id), frames)
                if run_id not in held or held[run_id].epoch < replay.cursor.epoch:
                    del replays[run_id]
            if replays and await self._consume(client, replays, frames):
                break
        await client.send_all([frames.end()])

    async def _follow_all(
        self, client: Client, replays: dict[str, RunReplay], frames: Frames
    ) -> None:
        held = await infos(self.runtime)
        for run_id, replay in list(replays.items()):
            await self._send_stored(client, replay, held.get(run_id), frames)
        await self._consume(client, replays, frames, every_run=True)

    async def _send_stored(
        self, client: Client, replay: RunReplay, live: RunInfo | None, frames: Frames
    ) -> None:
        await replay.open(live)
        async for window in replay.stored():
            await self._send(client, frames, window)

    async def _consume(
        self, client: Client, replays: dict[str, RunReplay], frames: Frames,
        every_run: bool = False,
    ) -> bool:  # fmt: skip
        """Send what the broker delivers until nothing more comes; False if it has let one of the
        runs go since."""
        stream = EventStream(
            client.name, replays, partial(self._send, client, frames), self.pause_s,
            history=self.runtime.history, every_run=every_run,
        )  # fmt: skip
        try:
            consumption = await self.runtime.consume(lambda _: stream)
        except UnknownRunError:
            return False
        try:
            await consumption.ended()
        finally:
            await self.runtime.drop(consumption)
        return True

    async def _send(self, client: Client, frames: Frames, deliveries: Sequence[Delivery]) -> None:
        await client.send_all(frames.of(deliveries))
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


def _cursors(replays: Mapping[str, RunReplay]) -> dict[str, Cursor]:
    return {run_id: replay.cursor for run_id, replay in replays.items()}


def _is_over(replay: RunReplay, live: RunInfo | None) -> bool:
    """Whether nothing more will come of the run."""
    return (live is None or live.state == "closed") and replay.cursor >= replay.newest


async def _every_run(
    runtime: Runtime, position: Position | None
) -> tuple[dict[str, RunReplay], int]:
    """The runs with which a stream of all goes on after a position, None being now; and up to which
    epoch all others are over."""
    held, history = await infos(runtime), runtime.history
    known_until = max((info.epoch for info in held.values()), default=0)
    cursors = {run_id: Cursor(info.epoch, info.last_seq) for run_id, info in held.items()}
    if position is not None:
        known_until = max(known_until, position.known_until)
        for run_id, info in held.items():
            if info.epoch > position.known_until or info.state != "closed":
                cursors[run_id] = BEGINNING
        if history is not None:
            begun = await history.begun_after(position.known_until)
            cursors = dict.fromkeys(begun, BEGINNING) | cursors
        cursors |= position.cursors
        cursors.pop(EVERY_OTHER, None)
    replays = {run_id: RunReplay(history, run_id, at) for run_id, at in cursors.items()}
    for run_id in cursors.keys() - held.keys():
        if history is None or not await history.lengths(run_id):
            del replays[run_id]  # gone without a trace, as from a store that was deleted
    return replays, known_until
