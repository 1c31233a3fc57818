"""What this process's broker holds, as frames for the broker of another process. Sends nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

from arena_tui.broker.attached.frames import frames_of
from arena_tui.broker.attached.wire import Frame, Idle, Run, Store, encode_frame
from arena_tui.broker.protocol import STORE, BrokerProtocol, Cursor, RunInfo, Start
from arena_tui.consumers.protocol import Consumer, ConsumerInfo
from arena_tui.events import Delivery

_INTERVAL_S: Final = 0.01

Send = Callable[[Iterable[bytes]], Awaitable[None]]


class MirrorFeed(Consumer):
    """See `Consumer`: sends all events, each run's metadata before them. What it sends it awaits,
    so that a slow mirror stays behind in the broker.

    Args:
        cursors: What the mirror has read.
    """

    durable = False
    group = "mirrors"
    batch_events = 500
    batch_max = 2_000
    batch_interval_s = _INTERVAL_S

    def __init__(
        self, name: str, broker: BrokerProtocol, cursors: Mapping[str, Cursor], send: Send
    ) -> None:
        self.name = name
        self._broker = broker
        self._cursors = cursors
        self._send = send
        self._epochs: dict[str, int] = {}

    async def start(self) -> Start:
        held = await self._broker.runs()
        start = {info.meta.run_id: self._start_in(info) for info in held}
        frames: list[Frame] = [self._run(info, start[info.meta.run_id]) for info in held]
        await self._send([encode_frame(each) for each in (*frames, Idle())])
        return start

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        frames: list[Frame] = []
        done = 0
        for number, each in enumerate(batch):
            if self._epochs.get(each.run_id, 0) < each.epoch:
                frames += frames_of(batch[done:number])
                done = number
                frames += await self._introduced(each)
        frames += frames_of(batch[done:])
        await self._send(map(encode_frame, frames))
        return {}

    async def tell(self, store: ConsumerInfo | None, unstored: Mapping[str, int]) -> None:
        """Send how the runs and the store fare, at intervals; it is also a sign of life."""
        frames: list[Frame] = [
            self._run(info, Cursor(info.epoch, info.last_seq))
            for info in await self._broker.runs()
            if info.state != "closed" and self._is_told(info)
        ]
        if store is not None:
            frames.append(Store(store.state, store.last_error, store.lag_s, dict(unstored)))
        await self._send([encode_frame(each) for each in (*frames, Idle())])

    def _is_told(self, info: RunInfo) -> bool:
        """Whether the run's present stream has been introduced, or has nothing yet to be so by."""
        known = self._epochs.get(info.meta.run_id)
        return known == info.epoch or (known is None and info.last_seq == 0)

    def _start_in(self, info: RunInfo) -> Cursor:
        """After what the mirror has read; else at the newest events that it will hold."""
        known = self._cursors.get(info.meta.run_id)
        if known is not None and known.epoch >= info.epoch:
            return known
        if known is not None:
            return Cursor(info.epoch, 0)
        first = max(info.first_seq, info.last_seq - self._broker.limits.retain + 1)
        return Cursor(info.epoch, first - 1)

    async def _introduced(self, delivery: Delivery) -> list[Frame]:
        for info in await self._broker.runs():
            if info.meta.run_id == delivery.run_id and info.epoch >= delivery.epoch:
                return [self._run(info, Cursor(info.epoch, delivery.first_seq - 1))]
        return []  # reaped since

    def _run(self, info: RunInfo, after: Cursor) -> Run:
        self._epochs[info.meta.run_id] = info.epoch
        return Run(info, after.seq)


def store_of(infos: Iterable[ConsumerInfo]) -> ConsumerInfo | None:
    """The snapshot of the store among these."""
    return next((info for info in infos if info.name == STORE), None)
