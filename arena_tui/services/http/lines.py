"""Answers with what there is of a run, as JSON lines: a download, not a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from arena_tui.broker.protocol import Cursor, RunInfo
from arena_tui.codec import encode_line
from arena_tui.consumers.sse import EventStream, Send
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery
from arena_tui.services.http.clients import Client, Clients
from arena_tui.services.http.runs import infos
from arena_tui.services.runtime import Runtime
from arena_tui.store.replay import BEGINNING, RunReplay

SEQ_MAX: Final = 2**53
_HEADERS: Final = ((b"content-type", b"application/jsonl; charset=utf-8"),)


class Part(NamedTuple):
    """Which events of a run are wanted: each limit is a position, or a seq in every epoch."""

    first: Cursor | int = 1
    last: Cursor | int = SEQ_MAX

    @property
    def after(self) -> Cursor:
        """The position before the first."""
        epoch, seq = (BEGINNING.epoch, self.first) if isinstance(self.first, int) else self.first
        return Cursor(epoch, max(0, seq - 1))

    def has(self, delivery: Delivery) -> bool:
        """Whether any of it is wanted."""
        epoch = delivery.epoch
        return bool(
            _at(epoch, max(delivery.first_seq, delivery.last_seq), self.first) >= self.first
            and _at(epoch, delivery.first_seq, self.last) <= self.last
        )

    def goes_beyond(self, cursor: Cursor) -> bool:
        """Whether it may have anything after that."""
        return isinstance(self.last, int) or cursor < self.last


async def send_lines(
    runtime: Runtime, clients: Clients, client: Client, run_id: str, part: Part
) -> None:
    """Answer with this part of a run, as far as it has come by now.

    Raises:
        UnknownRunError: There is no such run.
    """
    live = (await infos(runtime)).get(run_id)
    replay = RunReplay(runtime.history, run_id, part.after)
    await replay.open(live)
    await clients.serve(client, _HEADERS, partial(_send, runtime, client, replay, live, part))


async def _send(
    runtime: Runtime, client: Client, replay: RunReplay, live: RunInfo | None, part: Part
) -> None:
    newest = BEGINNING if live is None else Cursor(live.epoch, live.last_seq)
    reached = asyncio.Event()

    async def send(deliveries: Sequence[Delivery]) -> None:
        wanted = [each for each in deliveries if part.has(each)]
        await client.send_all(encode_line(each) + b"\n" for each in wanted)
        if replay.cursor >= newest or not part.goes_beyond(replay.cursor):
            reached.set()

    while True:
        async for window in replay.stored():
            await send(window)
            if not part.goes_beyond(replay.cursor):
                return
        if replay.cursor >= newest:
            return
        try:
            await _until(reached, runtime, client, replay, send)
        except UnknownRunError:  # let go in between: the rest is stored, or lost
            await replay.open(None)
            newest = replay.newest
        else:
            return


async def _until(
    reached: asyncio.Event, runtime: Runtime, client: Client, replay: RunReplay, send: Send
) -> None:
    """Send what the broker holds until that is reached, or no more comes."""
    rest = partial(asyncio.sleep, 0)
    stream = EventStream(client.name, {replay.run_id: replay}, send, rest, history=runtime.history)
    async with runtime.consuming(lambda _: stream) as consumption:
        ends = [asyncio.ensure_future(each) for each in (consumption.ended(), reached.wait())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ends:
                each.cancel()


def _at(epoch: int, seq: int, limit: Cursor | int) -> Any:
    """The place in the terms of the limit."""
    return seq if isinstance(limit, int) else Cursor(epoch, seq)
