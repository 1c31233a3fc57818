"""Reads one run by place, whether its events are in the broker, in the store, or split over both.

A run whose stream was lost and made anew is read through all its epochs (see `Places`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

from msgspec.structs import replace

from arena_tui.broker.protocol import Cursor, RunMeta
from arena_tui.consumers.protocol import Consumer
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery, Envelope, Gap, RunEnd
from arena_tui.folds.density import Density, density_of, with_unstored
from arena_tui.folds.places import Places
from arena_tui.folds.view import RunView
from arena_tui.services.consumption import Consumption
from arena_tui.services.runtime import Runtime
from arena_tui.store.rows import as_in_payload
from arena_tui.store.windows import read_bookmarks, read_gaps

_HOT_MAX = 20_000
"""Newest deliveries of a live run kept in memory; older ones are read from the store."""


class _Tail(Consumer):
    """Hands on what the broker holds of one run, and what is published to it."""

    durable = False
    group = "playback"
    polled = True

    def __init__(self, run_id: str, take: Callable[[Sequence[Delivery]], None]) -> None:
        self.name = f"run {run_id[-4:].lower()}"
        self.runs = [run_id]
        self._take = take

    async def start(self) -> Literal["oldest"]:
        return "oldest"

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        self._take(batch)
        return {}


class RunTape:
    """Reads one run, live or finished; `open` it first, and `pump` it while it is live.

    If the broker holds the run, a polled consumer of the runtime follows it until `close`.

    Attributes:
        live: Whether more events may come.
        renumbered: How often places changed, because an earlier epoch proved to be longer.
    """

    def __init__(self, run_id: str, runtime: Runtime) -> None:
        self.run_id = run_id
        self.live = False
        self.renumbered = 0
        self._runtime = runtime
        self._history = runtime.history
        self._reading: Consumption[_Tail] | None = None
        self._places = Places()
        self._hot: list[Delivery] = []
        self._news = 0
        self._meta: RunMeta | None = None

    async def open(self) -> None:
        """Find the run; raises UnknownRunError if neither the broker nor the store has it."""
        held = {info.meta.run_id: info for info in await self._runtime.broker.runs()}
        if self.run_id in held:
            if self._history is not None:
                self._places = Places(await self._history.lengths(self.run_id))
            self._reading = await self._runtime.consume(lambda _: _Tail(self.run_id, self._take))
            self.live = held[self.run_id].state != "closed"
            self._meta = held[self.run_id].meta
            await self._reading.catch_up()
            self._news = 0
        elif self._history is not None:
            self.run_id = (await self._history.run(self.run_id)).run_id
            self._places = Places(await self._history.lengths(self.run_id))
        else:
            raise UnknownRunError(
                f"no run {self.run_id}: the broker let it go, and nothing is stored"
            )

    @property
    def last(self) -> int:
        """Newest place known; 0 before there is any."""
        return self._places.last

    def places_of(self, delivery: Delivery) -> range:
        """The places of a delivery: one of an event, all that it covers of a gap."""
        return self._places.range_of(delivery)

    def pump(self) -> list[Delivery]:
        """Deliveries since the last call, as far as they are still in memory."""
        news, self._news = self._news, 0
        return self._hot[-news:] if news else []

    async def window(self, first: int, last: int) -> list[Delivery]:
        """Deliveries from place `first` to `last`, in order."""
        first = max(1, first)
        if self._history is None or (self._hot and first >= self._hot_from):
            return self._hot_between(first, last)
        stored: list[Delivery] = []
        for span in self._places.spans(first, last):
            stored += await self._history.window(self.run_id, span.first, span.last, span.epoch)
        newest = self._places.last_of(stored[-1]) if stored else first - 1
        rest = self._hot_between(newest + 1, last)
        if rest and isinstance(rest[0], Gap) and self._places.first_of(rest[0]) <= newest:
            seq = self._places.cursor(newest + 1).seq
            rest[0] = replace(rest[0], from_seq=seq)
        return stored + rest

    async def view_at(self, place: int) -> RunView:
        """The run folded up to `place`: board, players, and what each has used so far."""
        view = RunView(self.run_id)
        if self._complete or self._history is None:
            for delivery in self._hot:
                if self._places.first_of(delivery) > place:
                    break
                view.add(delivery)
        else:
            at = self._places.cursor(place)
            for envelope in await self._history.keyframe(self.run_id, at):
                view.add(envelope)
            view.tallies = await self._history.tallies(self.run_id, at)
            view.stand_at(at)
        if self._meta is not None:
            view.introduce(self._meta)
        return view

    async def density(self, slices: int) -> Density:
        if not self._complete and self._history is not None:
            return await self._history.density(self.run_id, slices)
        density = density_of(self._hot, slices, self._places.first_of)
        if self._history is None:
            return density
        # What is at hand here may be in a gap of the store's.
        gaps = await self._history.read(partial(read_gaps, run_id=self.run_id))
        return with_unstored(density, [(self._places.first_of(gap), gap) for gap in gaps])

    async def next_of_kind(self, kind: str, at: int, step: int) -> int | None:
        """Place of the next (`step` 1) or previous (-1) event of that kind from `at`, or None."""
        if not self._complete and self._history is not None:
            here = self._places.cursor(at)
            return self._place(await self._history.next_of_kind(self.run_id, kind, here, step))
        return self._nearest(lambda each: each.event.kind == kind, at, backwards=step < 0)

    async def turn(self, turn: int) -> int | None:
        """Place of the first event of that turn, or None."""
        if not self._complete and self._history is not None:
            return self._place(await self._history.turn(self.run_id, turn))
        return self._nearest(lambda each: each.event.turn == turn, 0)

    async def search(self, text: str, after: int, backwards: bool = False) -> int | None:
        """Place of the next event, or previous if `backwards`, that contains `text`, or None."""
        if not self._complete and self._history is not None:
            here = self._places.cursor(after)
            return self._place(await self._history.search(self.run_id, text, here, backwards))
        needle = as_in_payload(text).lower()
        return self._nearest(lambda each: needle in each.raw.decode().lower(), after, backwards)

    async def bookmarks(self) -> list[int]:
        """Places of the run's bookmarks, in order; none without a store."""
        if self._history is None:
            return []
        found = await self._history.read(partial(read_bookmarks, run_id=self.run_id))
        return [self._places.of(each) for each in found]

    def close(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def _take(self, batch: Sequence[Delivery]) -> None:
        before = [self._places.before(epoch) for epoch in self._places.epochs]
        self._hot += batch
        self._news += len(batch)
        for each in batch:
            self._places.reach(each)
        self.renumbered += before != [
            self._places.before(epoch) for epoch in self._places.epochs[: len(before)]
        ]
        self.live = self.live and not _ends(batch[-1])
        if len(self._hot) > 2 * _HOT_MAX:
            del self._hot[:-_HOT_MAX]

    @property
    def _complete(self) -> bool:
        return bool(self._hot) and self._hot_from == 1

    @property
    def _hot_from(self) -> int:
        """First place that is at hand as well as anywhere.

        The gap for an earlier stream that the broker begins with is not: the store may have the
        events.
        """
        for each in self._hot:
            if self._history is None or not isinstance(each, Gap) or each.reason != "reset":
                return self._places.first_of(each)
        return self._places.last + 1

    def _hot_between(self, first: int, last: int) -> list[Delivery]:
        """What is at hand of these places, at most 1,000 deliveries."""
        start = bisect_left(self._hot, first, key=self._places.last_of)
        end = bisect_right(self._hot, last, key=self._places.first_of)
        return self._hot[start : min(end, start + 1_000)]

    def _nearest(
        self, is_wanted: Callable[[Envelope], bool], at: int, backwards: bool = False
    ) -> int | None:
        """Place of the first event at hand after `at`, or the last one before, that is wanted."""
        for each in reversed(self._hot) if backwards else self._hot:
            if isinstance(each, Envelope):
                place = self._places.first_of(each)
                if (place < at if backwards else place > at) and is_wanted(each):
                    return place
        return None

    def _place(self, cursor: Cursor | None) -> int | None:
        return None if cursor is None else self._places.of(cursor)


def _ends(delivery: Delivery) -> bool:
    if isinstance(delivery, Gap):
        return delivery.reason == "reaped"
    return isinstance(delivery.event, RunEnd)
