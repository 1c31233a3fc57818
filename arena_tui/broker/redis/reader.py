"""The one reader of a process: all runs over one connection, into the ledger.

It never waits for a consumer: a durable one that falls behind the ledger asks for what it missed
(`fetch`). What the server has lost it puts into the ledger as a gap, where it lies.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from redis.exceptions import ResponseError

from arena_tui.broker.ledger import Ledger, RunStream
from arena_tui.broker.protocol import Cursor
from arena_tui.broker.redis.codec import (
    NO_CURSOR,
    Entry,
    RawEntry,
    Unusable,
    decode_meta,
    deliveries,
    parse_id,
    raw_bytes,
    read_entry,
    read_next,
)
from arena_tui.broker.redis.link import FAILURES, Link, is_passing
from arena_tui.broker.redis.scripts import INDEX, LOOK, RENEW, events_key, meta_key
from arena_tui.errors import EventError
from arena_tui.events import Delivery, Gap

__all__ = ["Reader"]

_BLOCK_S: Final = 5.0
_SOCKET_S: Final = _BLOCK_S + 2.0
_LOOK_S: Final = 5.0
_GONE_S: Final = 10.0
"""How long a run that is gone may take to come back before its readers are told of a loss: then the
producer tells the exact count."""

_REPLY_EVENTS: Final = 2_000
_PER_RUN: Final = 100
"""Fewest events of a run a reply may carry, so that a busy one among many is kept up with."""

_AT_ONCE: Final = 1_000
_NAP_PER_RUN_S: Final = 5e-6
_NAP_MAX_S: Final = 0.001
"""Every poll sends the names of all runs: with many, it is worth waiting for more to come."""

_SEQ_MAX: Final = 2**64 - 1

_log = logging.getLogger(__name__)

T = TypeVar("T")


class _Place:
    """How far one run is read.

    Attributes:
        after: Id of the newest entry read, whoever wrote it.
        at: The newest event read.
        looked_at: `at` when the server was last asked how far the run is.
        renewed: The epoch of the run on the server then, and the end of the stream it replaces.
        gone_at: When it was found gone, on the monotonic clock; None: its readers know of it.
    """

    __slots__ = ("after", "at", "gone_at", "key", "looked_at", "renewed", "stream")

    def __init__(self, stream: RunStream, at: Cursor) -> None:
        self.stream = stream
        self.key = events_key(stream.log.run_id)
        self.at = at
        self.after = b"%d-%d" % at
        self.looked_at = NO_CURSOR
        self.renewed = (0, NO_CURSOR)
        self.gone_at: float | None = None


class Reader:
    """See the module. `run` and `watch` are tasks on the ledger's loop.

    Args:
        newest: How far this process has published in a run.

    Attributes:
        arrived: Set whenever something has come.
        known: Runs that are or were followed.
    """

    def __init__(
        self, link: Link, ledger: Ledger, newest: Callable[[str], Cursor | None] = lambda _: None
    ) -> None:
        self._link = link
        self._ledger = ledger
        self._newest = newest
        self._line = link.line(_SOCKET_S)
        self._places: dict[str, _Place] = {}
        self._gone: dict[str, _Place] = {}
        self._own: set[str] = set()
        self._ahead: dict[str, Cursor] = {}
        self._hurry = asyncio.Event()
        self._index = b"0-0"
        self._away_at = 0.0
        self.arrived = asyncio.Event()
        self.known: set[str] = set()

    async def run(self) -> None:
        """Read until cancelled."""
        attempt = 0
        while True:
            try:
                await self.catch_up()
                self._link.works("reader")
                if attempt:
                    self._forgive_silence()
                attempt = 0
                while True:
                    await self._poll()
            except FAILURES as error:
                if not attempt:
                    self._away_at = self._ledger.clock()
                if isinstance(error, ResponseError) and not is_passing(error):
                    await self._leave_out_other_types()
                await self._link.failed("reader", error, attempt)
                attempt += 1

    async def catch_up(self) -> None:
        """What runs there are, and what happened to those known while nobody looked."""
        newest = parse_id(self._index)
        entries = await self._line.ask("XREVRANGE", INDEX, "+", "-", "COUNT", 1)
        if not entries or parse_id(entries[0][0]) < newest:
            self._index = b"0-0"  # the index was lost, or made anew by an earlier clock
        await self._look(list(self._places.values()))
        while True:
            start = f"({self._index.decode()}"
            entries = await self._line.ask("XRANGE", INDEX, start, "+", "COUNT", _AT_ONCE)
            if not entries:
                return
            await self._take_index(entries)

    async def watch(self) -> None:
        """Every few seconds: which producers are alive, and is anything gone that was not read?"""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._hurry.wait()
            self._hurry.clear()
            try:
                for some in _batched(list(self._places.values())):
                    await self._look(some)
                for gone in _batched(list(self._gone)):
                    for run_id, row in zip(gone, await self._rows(gone, True), strict=True):
                        self._look_after_gone(run_id, row)
            except FAILURES as error:
                _log.info("cannot look at the runs: %s", error)

    def follow_own(self, stream: RunStream) -> None:
        """Read a run that this process has just opened; the index will name it, too."""
        self._own.add(stream.log.run_id)
        self._follow(stream, Cursor(stream.log.epoch, 0))

    def _follow(self, stream: RunStream, at: Cursor) -> None:
        self._places[stream.log.run_id] = _Place(stream, at)
        self.known.add(stream.log.run_id)

    def ahead(self, run_id: str, cursor: Cursor) -> None:
        """Somebody may have more of a run than the server knows of."""
        self._ahead[run_id] = cursor
        self._hurry.set()

    def forget(self, run_id: str) -> None:
        """Read this run no more."""
        self._places.pop(run_id, None)
        self._gone.pop(run_id, None)
        self._ahead.pop(run_id, None)

    async def fetch(self, gap: Gap) -> list[Delivery]:
        """See `Upstream.fetch`."""
        last = gap.to_seq if gap.count else _SEQ_MAX
        entries = await self._link.retrying(
            "fetch",
            lambda: self._range(
                events_key(gap.run_id), f"{gap.epoch}-{gap.from_seq}", f"{gap.epoch}-{last}"
            ),
            forever=True,
        )
        found = deliveries(entries, gap)
        seq = _last_seq(found[-1]) if found else gap.from_seq - 1
        if seq < gap.from_seq:  # nothing, or nothing of ours
            return [*found, gap]
        if gap.reason != "reset" and len(entries) < _AT_ONCE and seq < gap.to_seq:
            found.append(Gap(gap.run_id, gap.epoch, seq + 1, gap.to_seq, gap.reason))
        return found

    async def _range(self, key: str, first: str, last: str) -> list[RawEntry]:
        """The oldest entries from `first` to `last`; none where the key is no stream any more."""
        words = "XRANGE", key, first, last, "COUNT", _AT_ONCE
        try:
            entries: list[RawEntry] = await self._link.command(self._link.control, *words)
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):
                return []
            raise
        return entries

    async def _poll(self) -> None:
        places = {place.key.encode(): place for place in self._places.values()}
        count = max(_PER_RUN, _REPLY_EVENTS // (len(places) + 1))
        reply = await self._line.ask(
            "XREAD", "COUNT", count, "BLOCK", int(_BLOCK_S * 1_000), "STREAMS",
            *places, INDEX, *[place.after for place in places.values()], self._index,
        )  # fmt: skip
        taken = 0
        for key, entries in reply or ():
            if key == INDEX.encode():
                await self._take_index(entries)
                continue
            self._take(places[key], entries)
            taken += len(entries)
            if taken >= _REPLY_EVENTS:
                taken = 0
                await asyncio.sleep(0)
        if reply:
            self.arrived.set()
            await asyncio.sleep(min(_NAP_MAX_S, len(places) * _NAP_PER_RUN_S))

    def _take(self, place: _Place, entries: Sequence[RawEntry]) -> None:
        """Entries of one run, in order. This is an event's whole way in."""
        stream, append = place.stream, self._ledger.append
        events = read_next(entries, place.at)
        if events is None:
            self._take_each(place, entries)
        else:
            for event, (_, fields) in zip(events, entries, strict=True):
                append(stream, event, len(fields[1]))
            place.at = Cursor(place.at.epoch, place.at.seq + len(events))
            place.after = entries[-1][0]
        if stream.closed:
            self.forget(stream.log.run_id)

    def _take_each(self, place: _Place, entries: Sequence[RawEntry]) -> None:
        """Entries among which something is missing, or strange, or begins anew."""
        for raw in entries:
            place.after = raw[0]
            try:
                entry = read_entry(raw)
            except Unusable as error:
                self._set_aside(place, raw, error)
                continue
            if entry.at <= place.at:
                continue  # already given up as lost
            if entry.at.epoch != place.at.epoch:
                self._begin_anew(place, entry)
            if entry.at.seq != place.at.seq + 1:
                self._leave_out(place, entry.at.seq - 1)
            self._ledger.append(place.stream, entry.event, entry.size)
            place.at = entry.at

    def _leave_out(self, place: _Place, to_seq: int) -> None:
        """The server has let go of what should come next."""
        epoch, seq = place.at
        gap = Gap(place.stream.log.run_id, epoch, seq + 1, to_seq, "trimmed")
        self._ledger.append_gap(place.stream, gap, epoch, to_seq + 1)
        self._ledger.warn(f"run {gap.run_id}: {gap.count:,} events were gone before they were read")
        place.at = Cursor(epoch, to_seq)

    def _begin_anew(self, place: _Place, entry: Entry) -> None:
        """The stream was lost or broken off, and goes on under another epoch."""
        run_id, (epoch, seq), new_epoch = place.stream.log.run_id, place.at, entry.at.epoch
        before = entry.before
        if before is None and place.renewed[0] == new_epoch:
            before = place.renewed[1]  # the first entry, which would tell, is gone
        before = before or NO_CURSOR
        known = before.epoch == epoch
        gap = Gap(run_id, epoch, seq + 1, max(seq, before.seq) if known else seq, "reset")
        if epoch < before.epoch < new_epoch and before.seq:  # one in between was never seen
            self._ledger.append_gap(place.stream, gap, before.epoch)
            gap = Gap(run_id, before.epoch, 1, before.seq, "reset")
        self._ledger.append_gap(place.stream, gap, new_epoch)
        lost = f"{gap.count:,}" if known else "an unknown number of"
        self._ledger.warn(f"run {run_id}: its stream was made anew in Redis, {lost} events lost")
        place.at = Cursor(new_epoch, 0)

    def _set_aside(self, place: _Place, raw: RawEntry, error: Unusable) -> None:
        """An entry that is no event takes its seq with it, if it stands where one should."""
        epoch, seq = place.at
        at = parse_id(raw[0])
        last = at.seq if error.has_seq and at.epoch == epoch else seq
        if last > seq + 1:
            self._leave_out(place, last - 1)
        gap = Gap(place.stream.log.run_id, epoch, place.at.seq + 1, last, "quarantined",
                  raw_bytes(raw))  # fmt: skip
        self._ledger.append_gap(place.stream, gap, epoch, last + 1)
        self._ledger.warn(f"run {gap.run_id}: set entry {raw[0].decode()} aside: {error}")
        place.at = Cursor(epoch, last)

    async def _take_index(self, entries: Sequence[RawEntry]) -> None:
        run_ids = []
        for _, fields in entries:
            if len(fields) >= 2 and fields[0] == b"run":
                run_ids.append(fields[1].decode(errors="replace"))
        for some in _batched(list(dict.fromkeys(run_ids))):
            rows = await self._rows(some, True)
            for run_id, row in zip(some, rows, strict=True):
                if row:
                    self._attach(run_id, row)
        self._index = entries[-1][0]  # not before: a failure on the way must not skip a run

    def _attach(self, run_id: str, row: Sequence[Any]) -> None:
        """Take up a run from its newest events, or go on with one that is known."""
        known = self._ledger.streams.get(run_id)
        epoch, last_seq, _, silent_ms, before, raw_meta, oldest = row
        own = run_id in self._own
        self._own.discard(run_id)
        if known is None and own:
            return  # opened here, and over and reaped before the index came to it
        if known is not None:
            if run_id in self._gone:
                self._come_back(run_id)
            elif run_id not in self._places and known.log.epoch != epoch:
                self._follow(known, Cursor(known.log.epoch, known.log.last_seq))
            return
        try:
            meta = decode_meta(raw_meta, run_id)
        except EventError as error:
            self._ledger.warn(f"left a run out: {error}")
            return
        first = max(1, last_seq - self._ledger.limits.retain + 1)
        held = parse_id(oldest)
        if not oldest:
            first = last_seq + 1
        elif held.epoch == epoch:
            first = max(first, held.seq)
        stream = self._ledger.attach(meta, epoch, first, parse_id(before) if before else None)
        stream.alive_at = self._ledger.clock() - silent_ms / 1_000
        stream.seen = stream.log.last + last_seq - first + 1
        self._follow(stream, Cursor(epoch, first - 1))

    async def _look(self, places: Sequence[_Place]) -> None:
        rows = await self._rows([place.stream.log.run_id for place in places])
        for place, row in zip(places, rows, strict=True):
            if not row:
                self._note_gone(place)
                continue
            epoch, seq, _, silent_ms, before = row
            stream = place.stream
            stream.alive_at = max(stream.alive_at, self._ledger.clock() - silent_ms / 1_000)
            place.renewed = epoch, parse_id(before)
            newest = max(place.at, self._ahead.get(stream.log.run_id, NO_CURSOR))
            if newest > (epoch, seq):
                keys = meta_key(stream.log.run_id), place.key
                await self._link.call(RENEW, keys, newest)
            elif place.at < (epoch, seq) and place.at == place.looked_at:
                await self._look_for(place, Cursor(epoch, seq))
            self._ahead.pop(stream.log.run_id, None)
            place.looked_at = place.at

    async def _look_for(self, place: _Place, newest: Cursor) -> None:
        """The server has had more of a run that does not get on: is any of it still there?"""
        at = place.at
        left = await self._link.command(
            self._link.control, "XRANGE", place.key, f"({place.after.decode()}", "+", "COUNT", 1
        )
        if not left and place.at == at and newest.epoch == at.epoch:
            self._leave_out(place, newest.seq)

    def _forgive_silence(self) -> None:
        """While the server was away, nobody could be heard."""
        away_s = self._ledger.clock() - self._away_at
        for place in self._places.values():
            place.stream.alive_at += away_s

    def _note_gone(self, place: _Place) -> None:
        if self._places.pop(place.stream.log.run_id, None) is None:
            return
        self._gone[place.stream.log.run_id] = place
        place.gone_at = time.monotonic()
        self._ledger.warn(f"run {place.stream.log.run_id}: its stream is gone from Redis")

    def _look_after_gone(self, run_id: str, row: Sequence[Any]) -> None:
        """It is there again; or nobody makes it anew, and nobody will tell what it had."""
        if row and row[-1]:
            self._come_back(run_id)
            return
        place = self._gone.get(run_id)
        if place is None or place.gone_at is None or time.monotonic() < place.gone_at + _GONE_S:
            return
        place.gone_at = None
        epoch, seq = place.at
        ends = [Cursor(*row[:2]) if row else NO_CURSOR, self._newest(run_id) or NO_CURSOR]
        last = max([seq, *(end.seq for end in ends if end.epoch == epoch)])
        gap = Gap(run_id, epoch, seq + 1, last, "reset")
        self._ledger.append_gap(place.stream, gap, epoch, last + 1)
        count = f"{gap.count:,}" if gap.count else "an unknown number of"
        self._ledger.warn(f"run {run_id}: it does not come back, {count} events lost")
        place.at = Cursor(epoch, last)
        self.arrived.set()

    def _come_back(self, run_id: str) -> None:
        """A run that was gone is there again."""
        place = self._places[run_id] = self._gone.pop(run_id)
        place.gone_at = None

    async def _rows(self, run_ids: Sequence[str], all_of_it: bool = False) -> list[Any]:
        if not run_ids:
            return []
        keys = [key for run_id in run_ids for key in (meta_key(run_id), events_key(run_id))]
        rows: list[Any] = await self._link.call(LOOK, keys, [int(all_of_it)])
        return rows

    async def _leave_out_other_types(self) -> None:
        """One key that is no stream would make every read fail."""
        try:
            for place in list(self._places.values()):
                kind = await self._link.control.type(place.key)
                if kind not in (b"stream", b"none"):
                    self._note_gone(place)
        except FAILURES as error:
            _log.info("cannot look at the keys: %s", error)


def _batched(values: Sequence[T]) -> Iterator[Sequence[T]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))


def _last_seq(delivery: Delivery) -> int:
    return delivery.to_seq if isinstance(delivery, Gap) else delivery.seq
