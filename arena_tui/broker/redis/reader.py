"""The one reader of a process: all runs over one connection, into the ledger.

It never waits for a consumer: one that needs what the ledger no longer holds asks for it
(`recover`). What the server has lost it appends to the ledger as a gap, where it lies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace
from redis.exceptions import ResponseError

from arena_tui.broker.ledger import Ledger
from arena_tui.broker.protocol import Cursor
from arena_tui.broker.redis.advice import FAILURES, is_passing
from arena_tui.broker.redis.codec import (
    Entry,
    RawEntry,
    Unusable,
    deliveries,
    parse_ended,
    parse_id,
    raw_bytes,
    read_entry,
    read_next,
)
from arena_tui.broker.redis.link import Link
from arena_tui.broker.redis.looking import AT_ONCE, look
from arena_tui.broker.redis.places import Place, Places
from arena_tui.broker.redis.scripts import INDEX, events_key
from arena_tui.broker.redis.watcher import Watcher
from arena_tui.broker.subscription import missed_streams
from arena_tui.broker.timing import Timing
from arena_tui.events import Delivery, Gap

__all__ = ["Reader"]

_REPLY_EVENTS: Final = 2_000
_PER_RUN: Final = 100
"""Fewest events of a run a reply may carry, so that a busy one among many is kept up with."""

_NAP_PER_RUN_S: Final = 5e-6
_NAP_MAX_S: Final = 0.001
"""Every poll sends the names of all runs: with many, it is worth waiting for more to come."""


class Reader:
    """See the module. `run` is a task on the ledger's loop.

    Attributes:
        arrived: Set whenever something has come.
    """

    def __init__(
        self,
        link: Link,
        ledger: Ledger,
        places: Places,
        watcher: Watcher,
        timing: Timing,
        arrived: asyncio.Event,
    ) -> None:
        self.arrived = arrived
        self._link = link
        self._ledger = ledger
        self._places = places
        self._watcher = watcher
        self._block_ms = int(timing.block_s * 1_000)
        self._line = link.line(timing.block_s)

    async def run(self) -> None:
        """Read until cancelled."""
        attempt = 0
        away_at = 0.0
        while True:
            try:
                await self.catch_up()
                self._link.works("reader")
                if attempt:
                    self._watcher.forgive_silence(self._ledger.clock() - away_at)
                attempt = 0
                while True:
                    await self._poll()
            except FAILURES as error:
                if not attempt:
                    away_at = self._ledger.clock()
                if isinstance(error, ResponseError) and not is_passing(error):
                    await self._watcher.leave_out_other_types()
                await self._link.failed("reader", error, attempt)
                attempt += 1

    async def catch_up(self) -> None:
        """Find the runs there are."""
        await self._watcher.catch_up(self._line)

    async def recover(self, gap: Gap, next_epoch: int) -> tuple[list[Delivery], Gap | None]:
        """See `Recover`. A reset stands for all that is left of its stream, and whatever else is in
        front of the one of `next_epoch`; one of unknown length comes back behind that."""
        first, last = f"{gap.epoch}-{gap.from_seq}", f"{gap.epoch}-{gap.to_seq}"
        if gap.reason == "reset":
            last = f"({next_epoch}-0"
        entries = await self._link.retrying(
            "fetch", lambda: self._range(events_key(gap.run_id), first, last), forever=True
        )
        found = deliveries(entries, gap)
        seq = found[-1].last_seq if found else gap.from_seq - 1
        rest = replace(gap, from_seq=seq + 1, to_seq=max(seq, gap.to_seq))
        if len(entries) == AT_ONCE and seq >= gap.from_seq:
            return found, rest
        if rest.count or not gap.count:
            found.append(rest)
        return found, None

    async def _range(self, key: str, first: str, last: str) -> list[RawEntry]:
        """The oldest entries from `first` to `last`; none where the key is no stream any more."""
        words = "XRANGE", key, first, last, "COUNT", AT_ONCE
        try:
            entries: list[RawEntry] = await self._link.command(self._link.control, *words)
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):
                return []
            raise
        return entries

    async def _poll(self) -> None:
        places = {place.key.encode(): place for place in self._places.read.values()}
        count = max(_PER_RUN, _REPLY_EVENTS // (len(places) + 1))
        reply = await self._line.ask(
            "XREAD", "COUNT", count, "BLOCK", self._block_ms, "STREAMS",
            *places, INDEX, *[place.after for place in places.values()], self._watcher.index,
        )  # fmt: skip
        taken = 0
        for key, entries in reply or ():
            if key == INDEX.encode():
                await self._watcher.take_index(entries)
                continue
            await self._take(places[key], entries)
            taken += len(entries)
            if taken >= _REPLY_EVENTS:
                taken = 0
                await asyncio.sleep(0)
        if reply:
            self.arrived.set()
            await asyncio.sleep(min(_NAP_MAX_S, len(places) * _NAP_PER_RUN_S))

    async def _take(self, place: Place, entries: Sequence[RawEntry]) -> None:
        """Append the entries of one run, in order. This is an event's whole way in."""
        stream, append = place.stream, self._ledger.append
        events = read_next(entries, place.at)
        if events is None:
            await self._take_each(place, entries)
        else:
            for event, raw in events:
                append(stream, event, raw)
            place.at = Cursor(place.at.epoch, place.at.seq + len(events))
            place.after = entries[-1][0]
        if place.stream.closed:
            self._places.drop(place.run_id)

    async def _take_each(self, place: Place, entries: Sequence[RawEntry]) -> None:
        """Take entries among which something is missing, or foreign, or of another epoch."""
        for raw in entries:
            try:
                entry = read_entry(raw)
            except Unusable as error:
                self._set_aside(place, raw, error)
                place.after = raw[0]
                continue
            if entry.at > place.at:  # else it was given up as lost before
                if entry.at.epoch != place.at.epoch:
                    await self._renew(place, entry)
                if entry.at.seq != place.at.seq + 1:
                    self._places.leave_out(place, entry.at.seq - 1)
                self._ledger.append(place.stream, entry.event, entry.raw)
                place.at = entry.at
            place.after = raw[0]

    async def _renew(self, place: Place, entry: Entry) -> None:
        """The stream was lost or broken off, and goes on under another epoch."""
        run_id = place.run_id
        (row,) = await look(self._link, [run_id])
        ended = parse_ended(row[4]) if row else ()
        resets = missed_streams(run_id, place.at, ended, entry.at.epoch)
        place.stream = self._ledger.renew(place.stream, entry.at.epoch, resets)
        known = any(end.epoch == place.at.epoch for end in ended)
        lost = f"{sum(gap.count for gap in resets):,}" if known else "an unknown number of"
        self._ledger.warnings.add(
            f"run {run_id}: its stream was made anew in Redis, {lost} events lost"
        )
        place.at = Cursor(entry.at.epoch, 0)

    def _set_aside(self, place: Place, raw: RawEntry, error: Unusable) -> None:
        """An entry that is no event takes its seq with it, if it stands where one should."""
        run_id, (epoch, seq), at = place.run_id, place.at, parse_id(raw[0])
        if error.has_seq and at.epoch == epoch and at.seq > seq:
            if at.seq > seq + 1:
                self._places.leave_out(place, at.seq - 1)
            gap = Gap(run_id, epoch, at.seq, at.seq, "quarantined", raw_bytes(raw))
            self._ledger.append_gap(place.stream, gap)
            place.at = at
        else:
            gap = Gap(run_id, epoch, seq + 1, seq, "quarantined", raw_bytes(raw))
            self._ledger.append_note(place.stream, gap)
        self._ledger.warnings.add(f"run {run_id}: set entry {raw[0].decode()} aside: {error}")
