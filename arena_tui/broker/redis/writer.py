"""The one ordered writer of a process: sends events to the server, each exactly once.

Published events wait in one queue. One task drains it in batches, each sent in one script call,
whatever runs its events are of. A call without an answer may or may not have been executed; it is
retried until answered, and the server drops duplicates (see `APPEND`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Sequence
from itertools import repeat
from typing import Any

from redis.exceptions import RedisError

from arena_tui.broker.own_log import own_log
from arena_tui.broker.protocol import Cursor, Limits, Outgoing, RunMeta
from arena_tui.broker.recent import Recent
from arena_tui.broker.redis.advice import FAILURES, is_mendable
from arena_tui.broker.redis.calls import Call, Job, PublishedRun
from arena_tui.broker.redis.codec import NO_CURSOR, encode_meta
from arena_tui.broker.redis.connection import Command
from arena_tui.broker.redis.link import Link
from arena_tui.broker.redis.scripts import APPEND, CLOSED, INDEX, NO_RUN, OPEN, events_key, meta_key
from arena_tui.broker.refused import Refused
from arena_tui.errors import BrokerError, RunClosedError, UnknownRunError
from arena_tui.events import Event, RunEnd, RunStart

_CALL_EVENTS = 2_000
_CALL_BYTES = 4 * 1024 * 1024
"""Limits of a script call: at 2 µs of the server an event, it blocks other clients briefly."""

_SHARE_MIN = 1 / 256
_SHRINK, _GROW = 0.5, 1.25
"""Factors for both limits after a failure and after a success: a call too large for the client's
timeout would never succeed."""

_CLOSED_KEPT = 10_000
"""Ended runs that are remembered, to refuse late events without asking the server."""

_ENDED_KEPT = 1_000
"""Ended runs the server is asked about with each heartbeat, until every consumer has them."""

_log = own_log(__name__)


class Writer:
    """See the module. Belongs to one loop; `run` is its task.

    Attributes:
        runs: The open runs this producer has published to, by run id.
        closed: Newest cursor of recently ended ones, by run id.
        ended: Those of them that this producer ended, as long as the server may yet lose them.
    """

    def __init__(self, link: Link, limits: Limits) -> None:
        self._link = link
        self._capacity = limits.capacity
        self._line = link.line()
        self._queue: deque[tuple[Job, Outgoing]] = deque()
        self._has_work = asyncio.Event()
        self.runs: dict[str, PublishedRun] = {}
        self.closed: Recent[str, Cursor] = Recent(_CLOSED_KEPT)
        self.ended: Recent[str, Cursor] = Recent(_ENDED_KEPT)
        self._calls: list[Call] = []
        self._share = 1.0
        self._singly = 0  # events still to be sent one by one
        self._closed = False

    @property
    def unsent(self) -> int:
        """Events accepted and not yet acknowledged by the server."""
        return len(self._queue) + sum(len(call.payloads) for call in self._calls)

    def newest(self, run_id: str) -> Cursor | None:
        """Cursor of this producer's newest acknowledged event in the run."""
        run = self.runs.get(run_id)
        at = run.at if run is not None else self.closed.get(run_id, NO_CURSOR)
        return at if at != NO_CURSOR else None

    async def open(self, meta: RunMeta, epoch: int | None) -> int | None:
        """Create the run; returns its epoch, or None when a run of that id exists."""
        nonce = secrets.token_hex(8)
        keys = (meta_key(meta.run_id), events_key(meta.run_id), INDEX)
        args = (meta.run_id, encode_meta(meta), nonce, epoch or 0, 0, 0)
        opened, given = await self._link.retry("open", lambda: self._link.call(OPEN, keys, args))
        if not opened:
            return None
        self.closed.pop(meta.run_id, None)
        self.ended.pop(meta.run_id, None)
        self.runs.setdefault(meta.run_id, PublishedRun(meta)).on_opened(meta)
        return int(given)

    async def open_again(self, run_id: str) -> None:
        """Open a run that the server has lost, recording there how far it had come."""
        if run := self.runs.get(run_id):
            await self._link.call(OPEN, (*run.keys, INDEX), _opening(run))

    async def publish(self, run_id: str, event: Event, raw: bytes) -> int:
        """Publish one event; returns its seq.

        When cancelled, the event may or may not be published.
        """
        self._check_open()
        job = Job(1, strict=True)
        self._queue.append((job, (run_id, event, raw)))
        self._has_work.set()
        await job.answer
        return job.seq

    async def publish_all(self, batch: Sequence[Outgoing]) -> Refused:
        self._check_open()
        if not batch:
            return Refused()
        job = Job(len(batch), strict=False)
        self._queue.extend(zip(repeat(job), batch))
        self._has_work.set()
        await job.answer
        return job.refused

    async def run(self) -> None:
        attempt = 0
        while True:
            while not self._calls:
                if not self._queue:
                    self._has_work.clear()
                    await self._has_work.wait()
                self._calls = self._dequeue()
            portion: list[Call] = []
            try:
                portion = self._next_portion()
                attempt = await self._write(portion, attempt)
            except Exception as error:  # noqa: BLE001 - no bug may stop publishing for good
                self._narrow_down(portion or self._calls[:1], error)
            else:
                if not attempt:
                    self._singly = max(0, self._singly - 1)

    def note_closed(self, run_id: str) -> None:
        """Publish nothing more to a run: it has ended."""
        if run := self.runs.pop(run_id, None):
            self.closed[run_id] = run.at

    def fail_pending(self) -> None:
        """Stop accepting events, and fail every waiting caller."""
        self._closed = True
        error = _closed()
        waiting = {job for call in self._calls for job in call.jobs}
        for job in waiting | {job for job, _ in self._queue}:
            job.fail(error)

    def _dequeue(self) -> list[Call]:
        """Dequeue as many events as one script call may carry, grouped by run."""
        calls: dict[str, Call] = {}
        queue = self._queue
        count = size = 0
        while queue and count < _CALL_EVENTS and size < _CALL_BYTES:
            job, (run_id, event, raw) = queue.popleft()
            count += 1
            size += len(raw)
            try:
                call = calls.get(run_id)
                if run_id in self.closed or (call is not None and call.ends):
                    raise RunClosedError(run_id)
                if call is None:
                    run = self.runs.get(run_id)
                    if run is None:
                        run = self.runs[run_id] = PublishedRun(RunMeta(run_id=run_id))
                    call = calls[run_id] = Call(run)
                if type(event) is RunStart:
                    call.run.on_start(RunMeta.of(run_id, event))
                call.ends = type(event) is RunEnd
                call.may_open |= not job.strict
                call.add(job, raw)
            except Exception as error:  # noqa: BLE001 - its caller must not wait for ever
                self._refuse([job], error)
        return [call for call in calls.values() if call.payloads]

    def _next_portion(self) -> list[Call]:
        """The first calls, as many as may be sent at once now; at most one per run.

        A run's next call must not be sent before the previous one is answered: the server could
        mistake it for the first call after a loss.
        """
        portion: list[Call] = []
        runs: set[PublishedRun] = set()
        count = 1 if self._singly else max(1, int(_CALL_EVENTS * self._share))
        size = int(_CALL_BYTES * self._share)
        for index, call in enumerate(self._calls):
            if call.run in runs or count <= 0 or size <= 0:
                break
            if rest := call.split(count, size):
                self._calls.insert(index + 1, rest)
            count -= len(call.payloads)
            size -= call.bytes
            runs.add(call.run)
            portion.append(call)
        return portion

    def _check_open(self) -> None:
        if self._closed:
            raise _closed()

    def _refuse(self, jobs: Sequence[Job], error: Exception) -> None:
        """Give up one event of each of these callers, and tell them."""
        for job in jobs:
            job.resolve(1, error)
        if untold := sum(not job.strict for job in jobs):
            _log.error("%d events refused: %s", untold, error)

    def _give_up(self, call: Call, error: BrokerError) -> None:
        """Refuse the events of a call; the server may have appended some of them."""
        call.run.give_up(len(call.payloads))
        self._refuse(call.jobs, error)

    def _narrow_down(self, calls: Sequence[Call], error: Exception) -> None:
        """After a failure that is a bug here, not the server's, and would come again: send the
        events of these calls one by one, and refuse the one that fails alone."""
        pending = [call for call in calls if call in self._calls]
        events = sum(len(call.payloads) for call in pending)
        if events > 1:
            self._singly = events
            _log.warning("%d events fail to be published: trying each", events, exc_info=error)
            return
        for call in pending:
            run_id = call.run.meta.run_id
            self._link.failures.record(f"publishing an event of run {run_id}", error, run_id)
            self._calls.remove(call)
            self._give_up(call, BrokerError(
                f"an event of run {call.run.meta.run_id} fails to be published, "
                f"though it may have been: {error!r}"
            ))  # fmt: skip
        self._singly = max(0, self._singly - 1)

    async def _write(self, calls: list[Call], attempt: int) -> int:
        """Send calls, and remove those that were answered from the pending ones.

        Returns the number of consecutive failures.
        """
        failure: BaseException | None = None
        answers: list[Any] = []
        try:
            answers = await self._send(calls)
        except FAILURES as error:
            # On a link or server too slow for the timeout, send smaller calls.
            self._share = max(_SHARE_MIN, self._share * _SHRINK)
            failure = error
        for call, answer in zip(calls, answers, strict=False):
            if isinstance(answer, FAILURES) and is_mendable(answer):
                failure = answer
            elif self._resolve(call, answer):
                self._calls.remove(call)
        if failure is not None:
            await self._link.on_failure("writer", failure, attempt)
            return attempt + 1
        self._link.on_success("writer")
        self._share = min(1.0, self._share * _GROW)
        return 0

    async def _send(self, calls: Sequence[Call]) -> list[Any]:
        """One answer per call: the row the script returned, or the error it raised."""
        opening = [call for call in calls if call.may_open and not call.run.open]
        commands: list[Command] = []
        for run in (call.run for call in opening):
            commands.append(("EVALSHA", OPEN.sha, 3, *run.keys, INDEX, *_opening(run)))
        keys: list[str] = []
        words: list[str | int | bytes] = [self._capacity]
        for call in calls:
            run, payloads = call.run, call.payloads
            keys += run.keys
            words += [run.producer, *run.at, run.acked, run.next, int(call.ends), len(payloads)]
            words += payloads
        commands.append(("EVALSHA", APPEND.sha, len(keys), *keys, *words))
        *opened, rows = await self._line.exchange(commands)
        answers: list[Any] = [rows] * len(calls) if isinstance(rows, RedisError) else rows
        refusals = {
            call.run: refusal
            for call, refusal in zip(opening, opened, strict=True)
            if isinstance(refusal, RedisError)
        }
        return [refusals.get(call.run, answer) for call, answer in zip(calls, answers, strict=True)]

    def _resolve(self, call: Call, answer: Any) -> bool:
        """Apply the server's answer; returns False when the call must be sent again."""
        run, run_id = call.run, call.run.meta.run_id
        if isinstance(answer, BaseException):
            self._give_up(call, BrokerError(f"the server refused events of run {run_id}: {answer}"))
            return True
        epoch, seq = answer
        if epoch == NO_RUN:
            if not run.open and not call.may_open:
                told = f"the broker holds no run {run_id}: open it first"
                self._give_up(call, UnknownRunError(told))
                return True
            call.open_again()
            return False
        if epoch == CLOSED:
            self.note_closed(run_id)
            self._give_up(call, RunClosedError(run_id))
            return True
        run.on_appended(len(call.payloads), Cursor(epoch, seq))
        if call.ends:
            self.note_closed(run_id)
            self.ended[run_id] = run.at
        call.finish(seq)
        return True


def _opening(run: PublishedRun) -> tuple[str | int | bytes, ...]:
    """Arguments of `OPEN` for a run that may exist; else it goes on where this producer was."""
    return run.meta.run_id, encode_meta(run.meta), "", 0, *run.at


def _closed() -> BrokerError:
    return BrokerError("the broker is closed: nothing more can be published")
