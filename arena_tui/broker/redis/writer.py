"""The one ordered writer of a process: events to the server, each exactly once.

What is published waits in one queue. One task takes what is there, and one script call carries it,
whatever runs it is of. A call without an answer may or may not have been carried out; it is made
again until there is one, and the server drops what it has already (see `APPEND`).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Sequence
from itertools import repeat
from typing import Any

from redis.exceptions import RedisError

from arena_tui.broker.protocol import Cursor, Limits, Outgoing, RunMeta
from arena_tui.broker.recent import Recent
from arena_tui.broker.redis.advice import FAILURES, is_passing
from arena_tui.broker.redis.calls import Call, Job, Sent
from arena_tui.broker.redis.codec import NO_CURSOR, encode_meta
from arena_tui.broker.redis.connection import Command
from arena_tui.broker.redis.link import Link
from arena_tui.broker.redis.scripts import (
    APPEND,
    CLOSED,
    INDEX,
    NO_RUN,
    OPEN,
    events_key,
    meta_key,
)
from arena_tui.errors import BrokerError, RunClosedError, UnknownRunError
from arena_tui.events import Event, RunEnd, RunStart

__all__ = ["Writer"]

_CALL_EVENTS = 2_000
_CALL_BYTES = 4 * 1024 * 1024
"""Most a script call carries: 2 µs of the server an event, so that it is not held up for long."""

_LEAST_SHARE = 1 / 256
_SLOWER, _FASTER = 0.5, 1.25
"""How much of both a call carries after a failure, and when it works again: what does not pass
within the client's timeout as a whole would never pass."""

_CLOSED_KEPT = 10_000
"""Ended runs that are remembered, so that late events need not be refused by the server."""

_log = logging.getLogger(__name__)


class Writer:
    """See the module. Lives on one loop; `run` is its task.

    Attributes:
        runs: The open runs this producer has published to, by run id.
        closed: How far it has published in the newest of those that have ended.
    """

    def __init__(self, link: Link, limits: Limits) -> None:
        self._link = link
        self._capacity = limits.capacity
        self._line = link.line()
        self._queue: deque[tuple[Job, Outgoing]] = deque()
        self._some = asyncio.Event()
        self.runs: dict[str, Sent] = {}
        self.closed: Recent[str, Cursor] = Recent(_CLOSED_KEPT)
        self._calls: list[Call] = []
        self._share = 1.0
        self._closed = False

    @property
    def unsent(self) -> int:
        """Events taken in and without an answer from the server."""
        return len(self._queue) + sum(len(call.payloads) for call in self._calls)

    def newest(self, run_id: str) -> Cursor | None:
        """Where the newest event of this producer stands in the run."""
        sent = self.runs.get(run_id)
        at = sent.at if sent is not None else self.closed.get(run_id, NO_CURSOR)
        return at if at != NO_CURSOR else None

    async def open(self, meta: RunMeta, epoch: int | None) -> int | None:
        """Create the run; returns its epoch, or None when there is one of that id already."""
        nonce = secrets.token_hex(8)
        keys = (meta_key(meta.run_id), events_key(meta.run_id), INDEX)
        args = (meta.run_id, encode_meta(meta), nonce, epoch or 0, 0, 0)
        opened, given = await self._link.retrying("open", lambda: self._link.call(OPEN, keys, args))
        if not opened:
            return None
        # Its events stay numbered as they are: some may be on their way.
        self.closed.pop(meta.run_id, None)
        sent = self.runs.setdefault(meta.run_id, Sent(meta))
        sent.meta, sent.at = meta, NO_CURSOR
        sent.open = True
        return int(given)

    async def publish(self, run_id: str, event: Event, raw: bytes) -> int:
        """Returns the event's seq.

        Cancelled, it may or may not be published.
        """
        self._check_open()
        job = Job(1, strict=True)
        self._queue.append((job, (run_id, event, raw)))
        self._some.set()
        await job.answer
        return job.seq

    async def publish_all(self, batch: Sequence[Outgoing]) -> int:
        """Returns how many were refused."""
        self._check_open()
        if not batch:
            return 0
        job = Job(len(batch), strict=False)
        self._queue.extend(zip(repeat(job), batch))
        self._some.set()
        await job.answer
        return job.refused

    async def run(self) -> None:
        """Write until cancelled."""
        attempt = 0
        while True:
            if not self._calls and not self._queue:
                self._some.clear()
                await self._some.wait()
            if not self._calls:
                self._calls = self._take()
            attempt = await self._write(self._portion(), attempt)

    def abandon(self) -> None:
        """Nothing more will be written: whoever waits is told."""
        self._closed = True
        error = _closed()
        waiting = {job for call in self._calls for job in call.jobs}
        for job in waiting | {job for job, _ in self._queue}:
            job.strict = True
            job.done(job.waiting, error)

    def _take(self) -> list[Call]:
        """As many of the queue's events as one script call may carry, by run."""
        calls: dict[str, Call] = {}
        queue = self._queue
        count = size = 0
        while queue and count < _CALL_EVENTS and size < _CALL_BYTES:
            job, (run_id, event, raw) = queue.popleft()
            count += 1
            size += len(raw)
            call = calls.get(run_id)
            if run_id in self.closed or (call is not None and call.ends):
                self._refuse(job, run_id, event.kind)
                continue
            if call is None:
                sent = self.runs.get(run_id)
                if sent is None:
                    sent = self.runs[run_id] = Sent(RunMeta.of(run_id, event))
                call = calls[run_id] = Call(sent)
            if type(event) is RunStart and not call.sent.meta.game:
                call.sent.meta = RunMeta.of(run_id, event)
            call.ends = type(event) is RunEnd
            call.may_open |= not job.strict
            call.add(job, raw)
        return [call for call in calls.values() if call.payloads]

    def _portion(self) -> list[Call]:
        """The first calls, as much as may be sent at a time now; one a run.

        A run's next call must not leave before the answer to the one in front of it has come: the
        server could take it for the first after a loss.
        """
        portion: list[Call] = []
        runs: set[Sent] = set()
        count = max(1, int(_CALL_EVENTS * self._share))
        size = int(_CALL_BYTES * self._share)
        for index, call in enumerate(self._calls):
            if call.sent in runs or count <= 0 or size <= 0:
                break
            if len(call.payloads) > count or call.bytes > size:
                self._calls.insert(index + 1, call.split(count, size))
            count -= len(call.payloads)
            size -= call.bytes
            runs.add(call.sent)
            portion.append(call)
        return portion

    def _check_open(self) -> None:
        if self._closed:
            raise _closed()

    def _refuse(self, job: Job, run_id: str, kind: str) -> None:
        if not job.strict:
            _log.error("refused a %s event: run %s has ended", kind, run_id)
        job.done(1, RunClosedError(f"run {run_id} has ended: open a new run"))

    async def _write(self, calls: list[Call], attempt: int) -> int:
        """Send them, take those off the list that have their answer.

        Returns how often in a row it did not work.
        """
        failure: BaseException | None = None
        answers: list[Any] = []
        try:
            answers = await self._send(calls)
        except FAILURES as error:
            # A link or a server too slow for the time there is gets less at a time.
            self._share = max(_LEAST_SHARE, self._share * _SLOWER)
            failure = error
        for call, answer in zip(calls, answers, strict=False):
            if isinstance(answer, FAILURES) and is_passing(answer):
                failure = answer
            elif self._settle(call, answer):
                self._calls.remove(call)
        if failure is not None:
            await self._link.failed("writer", failure, attempt)
            return attempt + 1
        self._link.works("writer")
        self._share = min(1.0, self._share * _FASTER)
        return 0

    async def _send(self, calls: Sequence[Call]) -> list[Any]:
        """One answer a call: what the script returned, or the error it ended with."""
        opening = [call for call in calls if call.may_open and not call.sent.open]
        commands: list[Command] = []
        for sent in (call.sent for call in opening):
            commands.append((
                "EVALSHA", OPEN.sha, 3, *sent.keys, INDEX,
                sent.meta.run_id, encode_meta(sent.meta), "", 0, *sent.at,
            ))  # fmt: skip
        keys: list[str] = []
        words: list[str | int | bytes] = [self._capacity]
        for call in calls:
            sent, payloads = call.sent, call.payloads
            keys += sent.keys
            words += [sent.producer, *sent.at, sent.number + 1, int(call.ends), len(payloads)]
            words += payloads
        commands.append(("EVALSHA", APPEND.sha, len(keys), *keys, *words))
        *opened, rows = await self._line.exchange(commands)
        answers: list[Any] = [rows] * len(calls) if isinstance(rows, RedisError) else rows
        refusals = {
            call.sent: refusal
            for call, refusal in zip(opening, opened, strict=True)
            if isinstance(refusal, RedisError)
        }
        return [
            refusals.get(call.sent, answer) for call, answer in zip(calls, answers, strict=True)
        ]

    def _settle(self, call: Call, answer: Any) -> bool:
        """Take the server's word; returns whether that was the last one."""
        sent, run_id = call.sent, call.sent.meta.run_id
        if isinstance(answer, BaseException):
            error = BrokerError(f"the server refused events of run {run_id}: {answer}")
            _log.error("%d events lost: %s", len(call.payloads), error)
            call.finish(error)
            return True
        epoch, seq = answer
        if epoch == NO_RUN:
            if not sent.open and not call.may_open:
                call.finish(UnknownRunError(f"the broker holds no run {run_id}: open it first"))
                return True
            sent.open = False  # its stream is gone: make it anew, and send again
            call.may_open = True
            return False
        if epoch == CLOSED:
            self._note_closed(sent)
            for job in call.jobs:
                self._refuse(job, run_id, "late")
            return True
        sent.open = True
        sent.at = Cursor(epoch, seq)
        sent.number += len(call.payloads)
        if call.ends:
            self._note_closed(sent)
        call.finish(seq=seq)
        return True

    def _note_closed(self, sent: Sent) -> None:
        self.closed[sent.meta.run_id] = sent.at
        self.runs.pop(sent.meta.run_id, None)


def _closed() -> BrokerError:
    return BrokerError("the broker is closed: nothing more can be published")
