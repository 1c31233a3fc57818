"""Event streams over HTTP: one response for each client, which ends with its runs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

from arena_tui.broker.protocol import Cursor, RunInfo
from arena_tui.consumers.sse import EVERY_OTHER, EventStream, Frames, Position
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery
from arena_tui.services.http.clients import Client, Clients
from arena_tui.services.http.runs import infos
from arena_tui.services.runtime import Runtime
from arena_tui.store.history import read_begun_after, read_newest_epoch
from arena_tui.store.replay import BEGINNING, RunReplay

_RETRY_MS: Final = (1_000, 4_000)
"""When clients reconnect: spread, so that they do not come back all at once."""

_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"x-accel-buffering", b"no"),  # nginx would hold frames back
)


class EventStreams:
    """Answers clients with event streams.

    Attributes:
        clients: Those of the server.
        sent: Events and gaps sent, since the start.
    """

    def __init__(self, runtime: Runtime, clients: Clients) -> None:
        self.clients: Final = clients
        self.sent = 0
        self._runtime = runtime

    async def of_runs(
        self, client: Client, run_ids: Sequence[str], position: Position, single: bool = False
    ) -> None:
        """Answer with the stream of these runs, each after its cursor or from its beginning, until
        all are over. The event ids of a single one's need not name it.

        Raises:
            UnknownRunError: One of them does not exist.
        """
        held = await infos(self._runtime)
        replays: dict[str, RunReplay] = {}
        is_over = position.ended
        for run_id in run_ids:
            cursor = position.cursors.get(run_id, BEGINNING)
            replay = replays[run_id] = RunReplay(self._runtime.history, run_id, cursor)
            await replay.open(held.get(run_id))
            is_over = is_over and _is_over(replay, held.get(run_id))
        if is_over:
            await client.answer(204)
            await client.finish()
        else:
            frames = Frames(_cursors(replays), single=single)
            follow = partial(self._follow, client, replays, held, frames)
            await self._stream(client, frames, follow)

    async def of_all(self, client: Client, position: Position | None) -> None:
        """Answer with what is published to whatever run, after a position or from now on."""
        replays, known_until = await _every_run(self._runtime, position)
        frames = Frames(_cursors(replays), every_run=True, known_until=known_until)
        follow = partial(self._follow_all, client, replays, frames, known_until, position is None)
        await self._stream(client, frames, follow)

    async def _stream(
        self, client: Client, frames: Frames, follow: Callable[[], Awaitable[None]]
    ) -> None:
        async def begin() -> None:
            await client.send_all([frames.begin(random.randint(*_RETRY_MS))])
            await follow()

        await self.clients.serve(client, _HEADERS, begin)

    async def _follow(
        self, client: Client, replays: dict[str, RunReplay], held: Mapping[str, RunInfo],
        frames: Frames,
    ) -> None:  # fmt: skip
        """Send what is stored, then what is live, then the end; the replays are open."""
        while True:
            for run_id, replay in list(replays.items()):
                await self._send_stored(client, replay, frames)
                if run_id not in held or held[run_id].epoch < replay.cursor.epoch:
                    del replays[run_id]
            if not replays or await self._consume(client, replays, frames):
                break
            held = await infos(self._runtime)
            for run_id, replay in replays.items():
                await replay.open(held.get(run_id))
        await client.send_all([frames.end()])

    async def _follow_all(
        self, client: Client, replays: dict[str, RunReplay], frames: Frames, known_until: int,
        from_now: bool,
    ) -> None:  # fmt: skip
        """Send what is stored of the runs, and what is live of all, those begun since included."""
        held = {} if from_now else await infos(self._runtime)
        for run_id, replay in () if from_now else list(replays.items()):
            await replay.open(held.get(run_id))
            await self._send_stored(client, replay, frames)

        async def rest() -> None:
            await self._rest()
            await self._forget_over(client, replays, frames)

        stream = self._event_stream(client, replays, frames, rest, every_run=True)
        async with self._runtime.consuming(lambda _: stream) as consumption:
            held = await infos(self._runtime)
            begun = await _begun_after(self._runtime, known_until)
            known = dict.fromkeys([*replays, *begun])
            await stream.catch_up(each for each in known if each not in held)
            await consumption.ended()

    async def _rest(self) -> None:
        await asyncio.sleep(self.clients.pause_s())

    async def _forget_over(
        self, client: Client, replays: dict[str, RunReplay], frames: Frames
    ) -> None:
        """Forget runs that are over, once all others that have begun are known: the client then has
        all there is."""
        if not frames.some_over:
            return
        held = await infos(self._runtime)
        if self._runtime.running(client.name).info().lag == 0:
            begun = [(each, held[each].epoch) for each in held if held[each].state != "closed"]
            for run_id in frames.forget_over(begun):
                del replays[run_id]

    async def _send_stored(self, client: Client, replay: RunReplay, frames: Frames) -> None:
        async for window in replay.stored():
            await self._send(client, frames, window)

    async def _consume(self, client: Client, replays: dict[str, RunReplay], frames: Frames) -> bool:
        """Send what the broker delivers until nothing more comes; False if it has let one of the
        runs go since."""
        stream = self._event_stream(client, replays, frames, self._rest)
        try:
            async with self._runtime.consuming(lambda _: stream) as consumption:
                await consumption.ended()
        except UnknownRunError:
            return False
        return True

    def _event_stream(
        self, client: Client, replays: dict[str, RunReplay], frames: Frames,
        rest: Callable[[], Awaitable[None]], every_run: bool = False,
    ) -> EventStream:  # fmt: skip
        return EventStream(
            client.name, replays, partial(self._send, client, frames), rest,
            history=self._runtime.history, every_run=every_run,
        )  # fmt: skip

    async def _send(self, client: Client, frames: Frames, deliveries: Sequence[Delivery]) -> None:
        await client.send_all(frames.of(deliveries))
        self.sent += len(deliveries)


def _cursors(replays: Mapping[str, RunReplay]) -> dict[str, Cursor]:
    return {run_id: replay.cursor for run_id, replay in replays.items()}


def _is_over(replay: RunReplay, live: RunInfo | None) -> bool:
    """Whether nothing more will come of the run."""
    if live is None:
        return replay.cursor >= replay.newest
    last = max(replay.newest, Cursor(live.epoch, live.last_seq))
    return live.state == "closed" and replay.cursor >= last


async def _every_run(
    runtime: Runtime, position: Position | None
) -> tuple[dict[str, RunReplay], int]:
    """The runs with which a stream of all goes on after a position, None being now; and up to which
    epoch all others are over."""
    held, history = await infos(runtime), runtime.history
    known_until = max((info.epoch - 1 for info in held.values()), default=0)
    if position is None and history is not None:
        known_until = max(known_until, await history.read(read_newest_epoch))
    cursors = {run_id: Cursor(info.epoch, info.last_seq) for run_id, info in held.items()}
    if position is not None:
        known_until = max(known_until, position.known_until)
        for run_id, info in held.items():
            if info.epoch > position.known_until or info.state != "closed":
                cursors[run_id] = BEGINNING
        begun = await _begun_after(runtime, position.known_until)
        cursors = dict.fromkeys(begun, BEGINNING) | cursors
        cursors |= position.cursors
        cursors.pop(EVERY_OTHER, None)
    replays = {run_id: RunReplay(history, run_id, at) for run_id, at in cursors.items()}
    for run_id in cursors.keys() - held.keys():
        if history is None or not await history.lengths(run_id):
            del replays[run_id]  # gone without a trace, as from a store that was deleted
    return replays, known_until


async def _begun_after(runtime: Runtime, epoch: int) -> list[str]:
    """The stored runs that began after that epoch, oldest first."""
    if runtime.history is None:
        return []
    return await runtime.history.read(partial(read_begun_after, epoch=epoch))
