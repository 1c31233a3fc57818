"""Reads one run by seq, whether its events are in the broker, in the store, or split over both.

If the run's stream was lost and recreated, it reads the newest epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from arena_tui.broker.protocol import Cursor, RunMeta
from arena_tui.consumers.protocol import Consumer
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery, Envelope, Gap, RunEnd
from arena_tui.folds.density import Density, density_of
from arena_tui.folds.view import RunView
from arena_tui.services.consumption import Consumption
from arena_tui.services.runtime import Runtime
from arena_tui.store.rows import as_in_payload

__all__ = ["RunTape", "TapeStats"]

_HOT_MAX = 20_000
"""Newest deliveries of a live run kept in memory; older ones are read from the store."""


class TapeStats(Struct, frozen=True, kw_only=True):
    """Counters of one tape; `held`: deliveries kept in memory."""

    held: int


class RunTape(Consumer):
    """Reads one run, live or finished; `open` it first, and `pump` it while it is live.

    If the broker holds the run, the tape is a polled consumer of the runtime until `close`.

    Attributes:
        last_seq: Newest seq known.
        live: Whether more events may come.
        epoch: The epoch being read; None until it is known.
    """

    durable = False
    batch_events = 1_000
    batch_interval_s = 0.1

    def __init__(self, run_id: str, runtime: Runtime) -> None:
        self.name = f"run {run_id[-4:].lower()}"
        self.run_id = run_id
        self.last_seq = 0
        self.live = False
        self.epoch: int | None = None
        self._runtime = runtime
        self._history = runtime.history
        self._reading: Consumption[RunTape] | None = None
        self._hot: list[Delivery] = []
        self._news = 0
        self._meta: RunMeta | None = None

    async def open(self) -> None:
        """Find the run.

        Raises:
            UnknownRunError: Neither the broker nor the store has it.
        """
        held = {info.meta.run_id: info for info in await self._runtime.broker.runs()}
        if self.run_id in held:
            self._reading = await self._runtime.consume(self, [self.run_id], polled=True)
            self.live = held[self.run_id].state != "closed"
            self._meta = held[self.run_id].meta
            await self._reading.catch_up()
            self._news = 0
        elif self._history is not None:
            self.run_id = (totals := await self._history.run(self.run_id)).run_id
            self.last_seq, self.epoch = totals.seq, totals.epoch
        else:
            raise UnknownRunError(
                f"no run {self.run_id}: the broker let it go, and nothing is stored"
            )

    async def start(self) -> Literal["oldest"]:
        self._hot.clear()
        return "oldest"

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        self._hot += batch
        self._news += len(batch)
        if batch[-1].epoch != self.epoch:
            self.epoch = batch[-1].epoch
            self._hot = [each for each in self._hot if each.epoch == self.epoch]
        self.last_seq = _last(batch[-1])
        self.live = self.live and not _ends(batch[-1])
        if len(self._hot) > 2 * _HOT_MAX:
            del self._hot[:-_HOT_MAX]
        return {}

    def stats(self) -> TapeStats:
        return TapeStats(held=len(self._hot))

    def pump(self) -> list[Delivery]:
        """Deliveries since the last call, as far as they are still in memory."""
        news, self._news = self._news, 0
        return self._hot[-news:] if news else []

    async def window(self, from_seq: int, to_seq: int) -> list[Delivery]:
        """Deliveries from `from_seq` to `to_seq`, in order."""
        from_seq = max(1, from_seq)
        if self._hot and from_seq >= _first(self._hot[0]):
            return [each for each in self._hot_from(from_seq) if _first(each) <= to_seq]
        if self._history is None:
            return [
                each for each in self._hot if from_seq <= _last(each) and _first(each) <= to_seq
            ]
        stored = await self._history.window(self.run_id, from_seq, to_seq, self.epoch)
        newest = _last(stored[-1]) if stored else from_seq - 1
        return stored + [each for each in self._hot if newest < _first(each) <= to_seq]

    async def view_at(self, seq: int) -> RunView:
        """The run folded up to `seq`: board, players, and what each has used so far."""
        view = RunView(self.run_id)
        if self._complete or self._history is None:
            for delivery in self._hot:
                if _first(delivery) > seq:
                    break
                view.add(delivery)
        else:
            for envelope in await self._history.keyframe(self.run_id, seq):
                view.add(envelope)
            view.tallies = await self._history.tallies(self.run_id, seq)
            view.totals.seq = seq
        if self._meta is not None:
            view.introduce(self._meta)
        return view

    async def density(self, slices: int) -> Density:
        """The run's events over time, in `slices` slices."""
        if not self._complete and self._history is not None:
            return await self._history.density(self.run_id, slices)
        return density_of(self._hot, slices)

    async def next_of_kind(self, kind: str, at: int, step: int) -> int | None:
        """Seq of the next (`step` 1) or previous (-1) event of that kind from `at`, or None."""
        if not self._complete and self._history is not None:
            return await self._history.next_of_kind(self.run_id, kind, at, step)
        found = (
            each.seq
            for each in (self._hot if step > 0 else reversed(self._hot))
            if isinstance(each, Envelope) and each.event.kind == kind
            if (each.seq > at if step > 0 else each.seq < at)
        )
        return next(found, None)

    async def turn_seq(self, turn: int) -> int | None:
        """First seq of that turn, or None."""
        if not self._complete and self._history is not None:
            return await self._history.turn_seq(self.run_id, turn)
        found = (
            each.seq for each in self._hot if isinstance(each, Envelope) and each.event.turn == turn
        )
        return next(found, None)

    async def search(self, text: str, after: int, backwards: bool = False) -> int | None:
        """Seq of the next event, or previous if `backwards`, that contains `text`, or None."""
        if not self._complete and self._history is not None:
            return await self._history.search(self.run_id, text, after, backwards)
        needle = as_in_payload(text).lower()
        hits = (
            each.seq
            for each in (reversed(self._hot) if backwards else self._hot)
            if isinstance(each, Envelope)
            and (each.seq < after if backwards else each.seq > after)
            and needle in each.raw.decode().lower()
        )
        return next(hits, None)

    def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._runtime.release(self._reading)
            self._reading = None

    @property
    def _complete(self) -> bool:
        """Whether the whole run is in memory."""
        return bool(self._hot) and _first(self._hot[0]) == 1

    def _hot_from(self, seq: int) -> list[Delivery]:
        low, high = 0, len(self._hot)
        while low < high:
            middle = (low + high) // 2
            if _last(self._hot[middle]) < seq:
                low = middle + 1
            else:
                high = middle
        return self._hot[low : low + 1_000]


def _ends(delivery: Delivery) -> bool:
    if isinstance(delivery, Gap):
        return delivery.reason == "reaped"
    return isinstance(delivery.event, RunEnd)


def _first(delivery: Delivery) -> int:
    return delivery.from_seq if isinstance(delivery, Gap) else delivery.seq


def _last(delivery: Delivery) -> int:
    return max(delivery.from_seq, delivery.to_seq) if isinstance(delivery, Gap) else delivery.seq
