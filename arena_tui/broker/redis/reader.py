"""The one reader of a process: reads all runs over one connection into the ledger.

It never waits for a consumer: one that needs what the ledger no longer holds fetches it with
`recover`. Events the server has lost are appended to the ledger as a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from msgspec.structs import replace
from redis.exceptions import ResponseError

from arena_tui.broker.mirror.broker import Local
from arena_tui.broker.mirror.positions import RunPosition
from arena_tui.broker.protocol import Cursor
from arena_tui.broker.redis.advice import FAILURES, is_transient
from arena_tui.broker.redis.codec import (
    InvalidEntryError,
    RawEntry,
    decode_contiguous,
    decode_entry,
    fill_gap,
    parse_ended,
    parse_id,
    raw_bytes,
)
from arena_tui.broker.redis.link import RedisLink
from arena_tui.broker.redis.lookup import AT_ONCE, batched, look_up
from arena_tui.broker.redis.watcher import Watcher
from arena_tui.events import Delivery, Envelope, Gap, RunEnd

_REPLY_EVENTS: Final = 2_000
_PER_RUN: Final = 100
"""Least XREAD COUNT, so that a busy run among many does not fall behind."""

_COALESCE_PER_RUN_S: Final = 5e-6
_COALESCE_MAX_S: Final = 0.001
"""Every poll sends the keys of all runs: with many, coalescing entries into fewer polls pays."""


class Reader:
    """See the module. `run` is a task on the ledger's loop."""

    def __init__(self, link: RedisLink, local: Local, watcher: Watcher) -> None:
        self._link = link
        self._ledger = local.ledger
        self._positions = local.positions
        self._arrived = local.arrived
        self._watcher = watcher
        self._block_ms = int(local.timing.block_s * 1_000)
        self._line = link.line(local.timing.block_s)

    async def run(self) -> None:
        attempt = 0
        away_at = 0.0
        while True:
            try:
                await self.catch_up()
                self._link.on_success("reader")
                if attempt:
                    self._watcher.discount_outage(self._ledger.clock() - away_at)
                attempt = 0
                while True:
                    await self._poll()
            except FAILURES as error:
                if not attempt:
                    away_at = self._ledger.clock()
                if isinstance(error, ResponseError) and not is_transient(error):
                    await self._watcher.skip_wrong_types()
                await self._link.on_failure("reader", error, attempt)
                attempt += 1

    async def catch_up(self) -> None:
        await self._watcher.catch_up(self._line)

    async def until_caught_up(self) -> None:
        """Return when what the server has now of the known runs has been read."""
        newest: dict[str, Cursor] = {}
        for run_ids in batched(list(self._positions.read)):
            rows = await self._link.retry("look", partial(look_up, self._link, run_ids))
            found = zip(run_ids, rows, strict=True)
            newest |= {run_id: Cursor(row[0], row[1]) for run_id, row in found if row}
        has_read = self._positions.has_read
        while not (self._ledger.closed or all(has_read(*each) for each in newest.items())):
            self._arrived.clear()
            await self._arrived.wait()

    async def recover(self, gap: Gap) -> tuple[list[Delivery], Gap | None]:
        """See `Recover`."""
        stream = self._ledger.streams.get(gap.run_id)
        epochs = [] if stream is None else [end.epoch for end in stream.ended_streams]
        epochs += [] if stream is None else [stream.log.epoch]
        next_epoch = min((each for each in epochs if each > gap.epoch), default=gap.epoch + 1)
        if gap.unknown and stream is not None and gap.epoch == stream.log.epoch:
            return [gap], None  # should the stream come back, it is read on here
        found, rest = await self._fetch(gap, next_epoch)
        if gap.unknown and found and stream is not None:
            self._ledger.counts.lose_unheld(stream, replace(gap, to_seq=found[-1].last_seq))
        return found, rest

    async def _fetch(self, gap: Gap, next_epoch: int) -> tuple[list[Delivery], Gap | None]:
        """What the server has of a gap. A reset is filled with everything before the stream of
        `next_epoch`: the rest of its own stream and any foreign entries. An empty one, and one of
        unknown length, is returned after these."""
        first, last = f"{gap.epoch}-{gap.from_seq}", f"{gap.epoch}-{gap.to_seq}"
        ends_stream = gap.reason in ("reset", "unknown")
        if ends_stream:
            last = f"({next_epoch}-0"
        entries = await self._link.retry(
            "fetch",
            lambda: self._range(self._link.keys.events(gap.run_id), first, last),
            forever=True,
        )
        found = fill_gap(entries, gap)
        seq = found[-1].last_seq if found else gap.from_seq - 1
        rest = replace(gap, from_seq=seq + 1, to_seq=max(seq, gap.to_seq))
        if len(entries) == AT_ONCE and seq >= gap.from_seq and (rest.count or ends_stream):
            return found, rest
        ends = bool(found) and isinstance(found[-1], Envelope) and type(found[-1].event) is RunEnd
        if rest.count or (not gap.count and not ends):
            found.append(rest)
        return found, None

    async def _range(self, key: str, first: str, last: str) -> list[RawEntry]:
        """The oldest entries from `first` to `last`; none when the key is no longer a stream."""
        words = "XRANGE", key, first, last, "COUNT", AT_ONCE
        try:
            entries: list[RawEntry] = await self._link.command(*words)
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):
                return []
            raise
        return entries

    async def _poll(self) -> None:
        positions = {position.key.encode(): position for position in self._positions.read.values()}
        count = max(_PER_RUN, _REPLY_EVENTS // (len(positions) + 1))
        index = self._link.keys.index
        reply = await self._line.ask(
            "XREAD", "COUNT", count, "BLOCK", self._block_ms, "STREAMS",
            *positions, index, *[each.after for each in positions.values()], self._watcher.index,
        )  # fmt: skip
        taken = 0
        for key, entries in reply or ():
            if key == index.encode():
                await self._watcher.take_index(entries)
                continue
            position = positions[key]
            try:
                await self._append(position, entries)
            except FAILURES:
                raise
            except Exception:  # noqa: BLE001 - one entry must not stop all that follow
                await self._append_singly(position, entries)
            taken += len(entries)
            if taken >= _REPLY_EVENTS:
                taken = 0
                await asyncio.sleep(0)
        if reply:
            self._arrived.set()
            await asyncio.sleep(min(_COALESCE_MAX_S, len(positions) * _COALESCE_PER_RUN_S))

    async def _append(self, position: RunPosition, entries: Sequence[RawEntry]) -> None:
        """Append the entries of one run, in order; the hot path of reading."""
        stream, append = position.stream, self._ledger.append
        events = decode_contiguous(entries, position.at)
        if events is None:
            await self._append_each(position, entries)
        else:
            seq = position.at.seq
            for event, raw in events:
                seq = append(stream, event, raw)
                if stream.closed:
                    break  # what another program wrote after a run's end is not of the run
            position.read_to(Cursor(position.at.epoch, seq))
            position.read_entry(entries[-1][0])
        if position.stream.closed:
            self._positions.end(position)

    async def _append_singly(self, position: RunPosition, entries: Sequence[RawEntry]) -> None:
        """Append entries after a failure here, one by one, and set those aside that fail again."""
        position.read_to(Cursor(position.at.epoch, position.stream.log.last))
        for raw in entries:
            if position.stream.closed or parse_id(raw[0]) <= position.at:
                continue
            try:
                await self._append_each(position, [raw])
            except FAILURES:
                raise
            except Exception as error:  # noqa: BLE001 - see above
                run_id = position.run_id
                self._link.failures.record(f"reading an event of run {run_id}", error, run_id)
                failed = InvalidEntryError(f"it cannot be read: {error!r}", has_seq=True)
                self._quarantine(position, raw, failed)
                position.read_entry(raw[0])
        if position.stream.closed:
            self._positions.end(position)

    async def _append_each(self, position: RunPosition, entries: Sequence[RawEntry]) -> None:
        """Append entries of which some are missing, foreign, or of another epoch."""
        for raw in entries:
            try:
                entry = decode_entry(position.run_id, raw)
            except InvalidEntryError as error:
                self._quarantine(position, raw, error)
                position.read_entry(raw[0])
                continue
            at = Cursor(entry.epoch, entry.seq)
            if at > position.at:  # else a gap has been delivered for it already
                if at.epoch != position.at.epoch:  # the stream before was lost on the server
                    (row,) = await look_up(self._link, [position.run_id])
                    ended = parse_ended(row[4]) if row else ()
                    self._positions.renew(position, at.epoch, ended)
                if at.seq != position.at.seq + 1:
                    self._positions.skip_to(position, at.seq - 1)
                self._ledger.append(position.stream, entry.event, entry.raw)
                position.read_to(at)
            position.read_entry(raw[0])
            if position.stream.closed:
                break

    def _quarantine(self, position: RunPosition, raw: RawEntry, error: InvalidEntryError) -> None:
        """Append a gap for an entry that is not an event; it takes a seq if its id is one."""
        run_id, (epoch, seq), at = position.run_id, position.at, parse_id(raw[0])
        if error.has_seq and at.epoch == epoch and at.seq > seq:
            if at.seq > seq + 1:
                self._positions.skip_to(position, at.seq - 1)
            first, last = at.seq, at.seq
        else:
            first, last = seq + 1, seq
        gap = Gap(run_id, epoch, first, last, "quarantined", raw_bytes(raw))
        self._ledger.append_gap(position.stream, gap)
        position.read_to(Cursor(epoch, last))
        entry = raw[0].decode()
        self._ledger.warnings.add("entry_set_aside", run_id, entry=entry, why=str(error))
