"""The owner's side of attached brokers: appends what their producers send, each event once."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from arena_tui.broker.attached.consumers import RemoteConsumers
from arena_tui.broker.attached.frames import frames_of
from arena_tui.broker.attached.processes import Processes
from arena_tui.broker.attached.wire import (
    Ack,
    Append,
    Beat,
    Claim,
    Consumers,
    End,
    Fetch,
    Forget,
    Kept,
    Newest,
    Open,
    Reap,
    Request,
    Row,
    Sent,
    Stored,
    encode_frame,
)
from arena_tui.broker.ledger import Ledger
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.mirror.calls import CLOSED, NO_RUN
from arena_tui.broker.numbered import Numbered, Past, Recalled
from arena_tui.broker.owner import is_gone, own_name
from arena_tui.broker.protocol import STORE, Cursor, RunMeta
from arena_tui.broker.recent import Recent
from arena_tui.broker.stream import HEARTBEAT_S, RunStream
from arena_tui.codec import received
from arena_tui.errors import ArenaError, RunExistsError, UsageError
from arena_tui.events import Envelope, Gap

_STORED_WAIT_S: Final = 1.0
_APPENDED_MAX: Final = 4_000
"""Events of one request: with more the loop could do nothing else for longer than a frame."""

_HOLDERS_KEPT: Final = 100_000
_FETCHED: Final = 1_000
_TIDY_EVERY: Final = 256


class LeavingError(Exception):
    """The owner is about to close the store."""


class Hub:
    """See the module. Belongs to the broker's loop.

    Args:
        past: What is stored of the runs.

    Attributes:
        id: A new one for every hub, which begins with the id of this process: the owner's name to
            those that are attached.
        processes: Those.
    """

    def __init__(self, broker: InProcessBroker, past: Past) -> None:
        self.id = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._broker = broker
        self._ledger: Ledger = broker.ledger
        self._past = past
        self._leaving = False
        self._numbers: dict[str, dict[str, tuple[int, Cursor]]] = {}
        self._holders: Recent[str, str] = Recent(_HOLDERS_KEPT)
        self._consumers = RemoteConsumers(broker)
        self.processes = Processes()
        self._appends = 0
        self._answers: dict[type, Callable[[Any], Awaitable[Any]]] = {
            Append: self._append, Open: self._open, Claim: self._claim, Beat: self._beat,
            Stored: self._stored, Reap: self._reap, Newest: self._newest, Fetch: self._fetch,
            Ack: self._consumers.ack, Consumers: self._consumers.known,
            Forget: self._consumers.forget, End: self._end, Kept: self._kept,
        }  # fmt: skip

    def leave(self) -> None:
        """Take nothing more: who asks for something is to ask the next owner."""
        self._leaving = True

    def abandoned(self) -> set[str]:
        """The runs whose process is gone, though it may be too early to call them silent."""
        return {run_id for run_id, holder in self._holders.items() if is_gone(holder)}

    async def answer(self, request: Request) -> Any:
        """What is to be said to this request; see the requests.

        Raises:
            LeavingError: The owner is leaving.
            ArenaError: It cannot be carried out.
        """
        if isinstance(request, Append | Open | Claim | Beat):
            self.processes.hear(request.process)
        if self._leaving and isinstance(request, Append | Open | Claim):
            raise LeavingError
        return await self._answers[type(request)](request)

    async def _append(self, asked: Append) -> list[Row]:
        held, calls = self._ledger.streams, asked.calls
        if (count := sum(len(each.events) for each in calls)) > _APPENDED_MAX:
            raise UsageError(f"{count:,} events at once: send at most {_APPENDED_MAX:,}")
        unknown = {each.meta.run_id for each in calls} - held.keys()
        recalled = await self._past.recall(unknown) if unknown else {}
        if self._leaving:  # since it was asked
            raise LeavingError
        rows: list[Row] = []
        for call in calls:
            try:
                rows.append(self._append_call(call, recalled))
            except ArenaError as error:
                rows.append(str(error))
            else:
                self._holders[call.meta.run_id] = asked.process
        self._appends += 1
        if self._appends % _TIDY_EVERY == 0:
            self._tidy()
        return rows

    def _append_call(self, call: Sent, recalled: Mapping[str, Recalled]) -> Row:
        events = [received(raw) for raw in call.events]
        run_id = call.meta.run_id
        stream = self._ledger.streams.get(run_id)
        if stream is None:
            opened = self._opened(call, recalled.get(run_id))
            if isinstance(opened, tuple):
                return opened
            stream = opened
        numbers = self._numbers.setdefault(run_id, {})
        newest, at = numbers.get(call.producer, (0, Cursor(stream.log.epoch, stream.log.last)))
        done = max(0, newest + 1 - call.first)
        if done >= len(events) and call.events:
            return at.epoch, at.seq
        if stream.closed:
            return CLOSED, 0
        if call.lost and newest < call.first - 1:
            lost = min(call.lost, call.first - 1 - newest)
            last = stream.log.last
            gap = Gap(run_id, stream.log.epoch, last + 1, last + lost, "trimmed")
            self._ledger.append_gap(stream, gap)
        for number, (event, raw) in enumerate(events[done:], call.first + done):
            self._ledger.append(stream, event, Numbered(raw, call.producer, number))
        at = Cursor(stream.log.epoch, stream.log.last)
        numbers[call.producer] = max(newest, call.first + len(events) - 1), at
        return at.epoch, at.seq

    def _opened(self, call: Sent, stored: Recalled | None) -> RunStream | tuple[int, int]:
        """The stream of a run that the broker does not hold, opened for these events; or the answer
        to them.

        A run that its only producer goes on with, goes on where it is stored: what comes again has
        the seqs that it had. With several producers it may come in another order, so that it is a
        new stream.
        """
        run_id = call.meta.run_id
        if stored is None:
            return self._ledger.open(call.meta, self._broker.next_epoch()) if call.may_open else (
                NO_RUN, 0
            )  # fmt: skip
        at = Cursor(stored.epoch, stored.seq)
        number = stored.numbers.get(call.producer, 0)
        if number >= call.first + len(call.events) - 1 and call.events:
            return at
        if stored.over:
            return CLOSED, 0
        if not (number or call.may_open):
            return NO_RUN, 0
        self._numbers[run_id] = {name: (each, at) for name, each in stored.numbers.items()}
        if stored.alone == call.producer:
            return self._ledger.open(call.meta, stored.epoch, stored.seq + 1)
        return self._ledger.open(call.meta, self._broker.next_epoch(), ended_streams=[at])

    def _tidy(self) -> None:
        """Forget runs that are no longer held: what is stored of them, the store remembers."""
        held = self._ledger.streams
        for run_id in [each for each in self._numbers if each not in held]:
            del self._numbers[run_id]
        for run_id in [each for each in self._holders if each not in held]:
            if is_gone(self._holders[run_id]) is not False:
                del self._holders[run_id]

    async def _open(self, request: Open) -> int | None:
        try:
            epoch = (await self._broker.open_run(request.meta, request.epoch)).epoch
        except RunExistsError:
            return None
        self._holders[request.meta.run_id] = request.process
        return epoch

    async def _beat(self, asked: Beat) -> None:
        for run_id in asked.run_ids:
            self._holders[run_id] = asked.process
        await self._broker.heartbeat(asked.run_ids)

    async def _newest(self, _: Newest) -> dict[str, Cursor]:
        streams = self._ledger.streams.values()
        return {each.log.run_id: Cursor(each.log.epoch, each.log.last) for each in streams}

    async def _claim(self, asked: Claim) -> bool:
        """See `BrokerProtocol.claim`: whose process is gone, is looked for."""
        run_id = asked.run_id
        stream = self._ledger.streams.get(run_id)
        if stream is None:
            stored = (await self._past.recall([run_id])).get(run_id)
            is_over = stored is not None and stored.over
        else:
            is_over = stream.closed
        if is_over:
            return False
        holder = self._holders.get(run_id)
        is_free = None if holder is None else holder == asked.process or is_gone(holder)
        if is_free is None:  # nobody can tell but by its silence
            if stream is not None:
                is_free = stream.info(self._ledger.clock(), HEARTBEAT_S).state == "silent"
            else:
                is_free = holder is None and await self._broker.claim(run_id)
        if is_free:
            self._holders[run_id] = asked.process
        return is_free

    async def _kept(self, asked: Kept) -> dict[str, Cursor]:
        found = await self._past.recall(asked.run_ids)
        return {run_id: Cursor(each.epoch, each.seq) for run_id, each in found.items()}

    async def _end(self, asked: End) -> None:
        """End a run, after its newest event, be it that which is stored.

        Raises:
            UsageError: It has ended, or its producer is alive.
        """
        run_id = asked.run_id
        stream = self._ledger.streams.get(run_id)
        if stream is None:
            stored = (await self._past.recall([run_id])).get(run_id)
            if stored is None or stored.over:
                raise UsageError(f"run {run_id} has ended: there is nothing to close")
            meta = RunMeta(run_id=run_id)
            stream = self._ledger.open(meta, stored.epoch, stored.seq + 1)
        elif is_gone(self._holders.get(run_id, own_name())) is False:
            raise UsageError(f"run {run_id} is alive: end its process, which ends the run, too")
        await self._broker.close_run(run_id, asked.status, asked.reason)
        await self._broker.settled([run_id], STORE)

    async def _stored(self, asked: Stored) -> dict[str, Cursor]:
        known = asked.known
        until = time.monotonic() + _STORED_WAIT_S
        while True:
            now = {run_id: self._stored_to(run_id) for run_id in known}
            left_s = until - time.monotonic()
            if left_s <= 0 or self._ledger.closed or any(now[each] > known[each] for each in now):
                return now
            try:
                async with asyncio.timeout(left_s):
                    self._ledger.acked.clear()
                    await self._ledger.acked.wait()
            except TimeoutError:
                continue

    def _stored_to(self, run_id: str) -> Cursor:
        """Up to where the run is stored; one that is no longer held was stored before."""
        stream = self._ledger.streams.get(run_id)
        if stream is None:
            return Cursor(2**62, 0)
        progress = stream.progress.get(STORE)
        if progress is not None:
            return Cursor(stream.log.epoch, progress.acked)
        return Cursor(stream.log.epoch, 0 if self._past.is_kept else stream.log.last)

    async def _reap(self, asked: Reap) -> None:
        if asked.run_id in self._ledger.streams:
            await self._broker.reap(asked.run_id)

    async def _fetch(self, asked: Fetch) -> bytes:
        """The next of a gap, from the store or the broker; empty when neither has it."""
        run_id, epoch, first, last = asked.run_id, asked.epoch, asked.from_seq, asked.to_seq
        stream = self._ledger.streams.get(run_id)
        log = stream.log if stream is not None and stream.log.epoch == epoch else None
        found: Sequence[Envelope | Gap] = ()
        if log is None or first < log.first:
            until = last if log is None else min(last, log.first - 1)
            found = await self._past.window(run_id, first, until, epoch)
        if not found and log is not None:
            held = max(first, log.first)
            if held <= min(last, log.last):
                found, _ = log.read(held - 1, _FETCHED, min(last, log.last))
        if found and found[0].first_seq > first:
            found = [Gap(run_id, epoch, first, found[0].first_seq - 1, "trimmed"), *found]
        return b"".join([encode_frame(each) for each in frames_of(found)])
