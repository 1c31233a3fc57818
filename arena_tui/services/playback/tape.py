"""Reads one run by place, whether its events are in the broker, in the store, or split over both.

A run whose stream was lost and made anew is read through all its epochs (see `Places`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Literal

from msgspec.structs import replace

from arena_tui.broker.protocol import Cursor, RunMeta
from arena_tui.consumers.protocol import Consumer
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery, Envelope, Gap, LlmPrompt, RunEnd
from arena_tui.folds.density import Density, Within, density_of, with_bookmarks, with_unstored
from arena_tui.folds.own_time import own_time
from arena_tui.folds.places import Places
from arena_tui.folds.series import Series, series_of
from arena_tui.folds.totals import RunTotals
from arena_tui.folds.view import RunView
from arena_tui.services.consumption import Consumption
from arena_tui.services.playback.hot import HELD_MAX, Hot
from arena_tui.services.playback.keyframes import Keyframes
from arena_tui.services.playback.seeker import Seeker
from arena_tui.services.playback.starts import TurnChange, micros
from arena_tui.services.runtime import Runtime
from arena_tui.store.marks import read_marks
from arena_tui.store.series import read_series
from arena_tui.store.stretches import Stretch
from arena_tui.store.windows import (
    WINDOW,
    read_gaps,
    read_turn_changes,
)


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

    Args:
        held_max: How many of its newest deliveries to keep in memory at least, and at most twice
            as many; where there is no store, none older can be read.

    Attributes:
        live: Whether more events may come.
        began_at, newest_at: Times of its first and newest event, UTC; end: how it ended; None while
            that is not known.
        seek: Finds places in it.
        renumbered: How often places changed, because an earlier epoch proved to be longer.
    """

    def __init__(self, run_id: str, runtime: Runtime, held_max: int = HELD_MAX) -> None:
        self.run_id = run_id
        self.live = False
        self.renumbered = 0
        self.began_at: datetime | None = None
        self.newest_at: datetime | None = None
        self.end: RunEnd | None = None
        self._runtime = runtime
        self._history = runtime.history
        self._reading: Consumption[_Tail] | None = None
        self._places = Places()
        self._held_max = held_max
        self._hot = Hot(self._places, is_stored=False, most=held_max)
        self._keyframes: Keyframes | None = None
        self.seek = Seeker(run_id, self._places, self._hot, None)
        self._news = 0
        self._meta: RunMeta | None = None

    async def open(self) -> None:
        """Find the run; raises UnknownRunError if neither the broker nor the store has it."""
        held = {info.meta.run_id: info for info in await self._runtime.broker.runs()}
        if self.run_id in held:
            if self._history is not None:
                self._places = Places(await self._history.lengths(self.run_id))
                self._hot = Hot(self._places, is_stored=True, most=self._held_max)
            self._reading = await self._runtime.consume(lambda _: _Tail(self.run_id, self._take))
            self.live = held[self.run_id].state != "closed"
            self._meta = held[self.run_id].meta
            await self._reading.catch_up()
            self._news = 0
            if self.began_at is None and self._history is not None:
                with suppress(UnknownRunError):
                    self.began_at = (await self._history.run(self.run_id)).started_at
        elif self._history is not None:
            totals = await self._history.run(self.run_id)
            self.run_id, self.began_at = totals.run_id, totals.started_at
            self.newest_at = totals.last_at
            self.end = _end_of(totals)
            self._places = Places(await self._history.lengths(self.run_id))
        else:
            raise UnknownRunError(
                f"no run {self.run_id}: the broker let it go, and nothing is stored"
            )
        self.seek = Seeker(self.run_id, self._places, self._hot, self._history)
        if self._history is not None:
            limits = self._runtime.config.trouble
            self._keyframes = Keyframes(self.run_id, self._places, self._history, limits)

    @property
    def last(self) -> int:
        """Newest place known; 0 before there is any."""
        return self._places.last

    def places_of(self, delivery: Delivery) -> range:
        """The places of a delivery: one of an event, all that it covers of a gap."""
        return self._places.range_of(delivery)

    def place_of(self, at: Cursor) -> int:
        """The place of an event; an epoch of 0 stands for the newest one."""
        epochs = self._places.epochs
        return self._places.of(at if at.epoch or not epochs else Cursor(epochs[-1], at.seq))

    def cursor_of(self, delivery: Delivery) -> Cursor:
        """Where a delivery is; an epoch of 0 stands for the only one."""
        is_only = len(self._places.epochs) == 1
        return Cursor(0 if is_only else delivery.epoch, delivery.first_seq)

    def pump(self) -> list[Delivery]:
        """Deliveries since the last call, as far as they are still in memory."""
        news, self._news = self._news, 0
        return self._hot.newest(news)

    async def window(self, first: int, last: int) -> list[Delivery]:
        """Deliveries from place `first` to `last`, in order."""
        first = max(1, first)
        if self._history is None or (self._hot and first >= self._hot.first):
            return self._hot.between(first, last)
        stored: list[Delivery] = []
        for span in self._places.spans(first, last):
            rows = self._keyframes.rows(span) if self._keyframes is not None else None
            stored += await self._history.window(
                self.run_id, span.first, span.last, span.epoch, rows
            )
        for gap in self._hot.missed(first, last):
            places = self.places_of(gap)
            if not any(self._places.first_of(each) in places for each in stored):
                stored.append(gap)  # it is not stored yet
        stored.sort(key=self._places.first_of)
        newest = self._places.last_of(stored[-1]) if stored else first - 1
        rest = self._hot.between(newest + 1, last)
        if rest and isinstance(rest[0], Gap) and self._places.first_of(rest[0]) <= newest:
            seq = self._places.cursor(newest + 1).seq
            rest[0] = replace(rest[0], from_seq=seq)
        return stored + rest

    def certain(self, found: Sequence[Delivery], first: int) -> list[Delivery]:
        """The first ones of what `window` found from a place on, up to what is not stored yet."""
        sure: list[Delivery] = []
        for each in found:
            places = self._places.range_of(each)
            if places.start > first or any(each is gap for gap in self._hot.gaps):
                break
            sure.append(each)
            first = places.stop
        return sure

    def at_hand(self, first: int, last: int) -> list[Delivery]:
        """Those of these deliveries that need not be read, the first ones; none if `first` is to
        be read."""
        if self._history is not None and not (self._hot and first >= self._hot.first):
            return []
        return self._hot.between(first, last)

    async def turn_changes(self, first: int, last: int) -> list[TurnChange]:
        """The events from `first` to `last` with which a turn may begin, in order."""
        found: list[TurnChange] = []
        while self._history is not None:  # what is at hand may go while the store is read
            stored_last = min(last, self._hot.first - 1) if self._hot else last
            if stored_last < first:
                break
            for span in self._places.spans(first, stored_last):
                before = self._places.before(span.epoch)
                found += [
                    TurnChange(before + seq, kind, turn, at_us)
                    for seq, kind, turn, at_us in await self._history.read(
                        partial(read_turn_changes, run_id=self.run_id, from_seq=span.first,
                                to_seq=span.last, epoch=span.epoch)
                    )
                ]  # fmt: skip
            first = stored_last + 1
        return found + [
            TurnChange(self._places.first_of(each), each.event.kind, each.event.turn,
                       micros(each.event.ts))
            for each in self._hot.between(first, last, len(self._hot))
            if isinstance(each, Envelope)
        ]  # fmt: skip

    async def previous_prompt(self, agent_id: str | None, before: int) -> LlmPrompt | None:
        """The agent's newest prompt before a place; None if there is none."""
        place = await self.seek.previous_prompt(agent_id, before)
        for each in await self.window(place, place) if place is not None else ():
            if isinstance(each, Envelope) and isinstance(each.event, LlmPrompt):
                return each.event
        return None

    async def stretch(self, place: int) -> tuple[int, Stretch | None]:
        """The place from which on the state at `place` is folded, and what is known of the run
        before that; None: nothing, as it is the first."""
        if self._keyframes is None or self._hot.is_whole:
            return 1, None
        stretch = await self._keyframes.stretch(self._places.cursor(place))
        return self._places.before(stretch.epoch) + max(1, stretch.first), stretch

    async def view_at(self, place: int, ahead: Sequence[Delivery] = ()) -> RunView:
        """The run folded up to `place`: board, players, and what each has used so far; `ahead` are
        deliveries before that which have been read. For `now` it has the events' own times."""
        at, stretch = await self.stretch(place)
        if not ahead or self._places.first_of(ahead[0]) > at:
            ahead = await self._all(at, place)
        ahead = [each for each in ahead if at <= self._places.first_of(each) <= place]
        now = own_time(ahead[0]) if ahead else 0.0
        view = RunView(self.run_id, now=now, limits=self._runtime.config.trouble)
        if stretch is not None and self._keyframes is not None:
            view = await self._keyframes.view(stretch, ahead)
        for number, delivery in enumerate(ahead, start=1):
            view.add(delivery, own_time(delivery))
            if not number % WINDOW:
                await asyncio.sleep(0)  # keys and frames do not wait for it
        if self._meta is not None:
            view.introduce(self._meta)
        return view

    async def _all(self, first: int, last: int) -> list[Delivery]:
        """All deliveries between two places, however many."""
        found: list[Delivery] = []
        while first <= last:
            some = await self.window(first, min(last, first + WINDOW - 1))
            found += some
            first = self._places.last_of(some[-1]) + 1 if some else first + WINDOW
        return found

    async def density(self, slices: int, within: Within | None = None) -> Density:
        """The run's events over its time, or within a part of it, in so many slices."""
        if not self._hot.is_whole and self._history is not None:
            return await self._history.density(self.run_id, slices, within)
        density = density_of(list(self._hot), slices, self._places.first_of, within)
        if self._history is None:
            return density
        # What is at hand here may be in a gap of the store's.
        gaps = await self._history.read(partial(read_gaps, run_id=self.run_id))
        placed = [(self._places.first_of(gap), gap) for gap in gaps]
        marked = await self.bookmarks()
        if within is not None:
            placed = [
                (place, gap) for place, gap in placed if self._hot.holds_of(place - 1, within)
            ]
            marked = [place for place in marked if self._hot.holds_of(place, within)]
        return with_bookmarks(with_unstored(density, placed), marked)

    async def series(self, slices: int) -> Series | None:
        """See `series_of`."""
        if self._hot.is_whole or self._history is None:
            return series_of(self._hot, slices)
        return await self._history.read(partial(read_series, run_id=self.run_id, slices=slices))

    async def bookmarks(self) -> list[int]:
        """Places of the run's bookmarks, in order; none without a store."""
        if self._history is None:
            return []
        found = await self._history.read(partial(read_marks, run_id=self.run_id))
        return [self._places.of(each.at) for each in found]

    def close(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def _take(self, batch: Sequence[Delivery]) -> None:
        before = [self._places.before(epoch) for epoch in self._places.epochs]
        self._hot.add(batch)
        self._news += len(batch)
        for each in batch:
            self._places.reach(each)
        self.renumbered += before != [
            self._places.before(epoch) for epoch in self._places.epochs[: len(before)]
        ]
        self.live = self.live and not _ends(batch[-1])
        first, newest = batch[0], batch[-1]
        if isinstance(first, Envelope) and self._places.first_of(first) == 1:
            self.began_at = first.event.ts
        if isinstance(newest, Envelope):
            self.newest_at = newest.event.ts
            self.end = newest.event if isinstance(newest.event, RunEnd) else None


def _end_of(totals: RunTotals) -> RunEnd | None:
    if totals.status == "running" or totals.ended_at is None:
        return None
    return RunEnd(
        ts=totals.ended_at, status=totals.status, outcome=totals.outcome, reason=totals.reason
    )


def _ends(delivery: Delivery) -> bool:
    if isinstance(delivery, Gap):
        return delivery.reason == "reaped"
    return isinstance(delivery.event, RunEnd)
