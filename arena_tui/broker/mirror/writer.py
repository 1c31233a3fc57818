"""The one ordered writer of a process: sends events to a shared log, each exactly once.

Published events wait in one queue. One task drains it in batches, each sent in one call, whatever
runs its events are of. A call without an answer may or may not have been executed; it is retried
until answered, and the log drops duplicates.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from itertools import repeat
from typing import Any

from arena_tui.broker.mirror.calls import CLOSED, NO_RUN, Call, Job, PublishedRun
from arena_tui.broker.mirror.link import Link
from arena_tui.broker.mirror.outlet import Outlet
from arena_tui.broker.mirror.withheld import Withheld
from arena_tui.broker.own_log import own_log
from arena_tui.broker.protocol import NO_CURSOR, Cursor, Outgoing, RunMeta
from arena_tui.broker.recent import Recent
from arena_tui.broker.refused import Refused
from arena_tui.broker.timing import Timing
from arena_tui.errors import BrokerError, RunClosedError, UnknownRunError
from arena_tui.events import Event, RunEnd, RunStart

_CALL_EVENTS = 2_000
_CALL_BYTES = 4 * 1024 * 1024
"""Limits of a call: at 2 µs of a server an event, it blocks other clients briefly."""

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
        late: What becomes of events that `publish_all` did not wait for.
    """

    def __init__(self, link: Link, outlet: Outlet, timing: Timing | None = None) -> None:
        self._link = link
        self._outlet = outlet
        self._queue: deque[tuple[Job, Outgoing]] = deque()
        self._has_work = asyncio.Event()
        self._taken = asyncio.Event()
        self.runs: dict[str, PublishedRun] = {}
        self.closed: Recent[str, Cursor] = Recent(_CLOSED_KEPT)
        self.ended: Recent[str, Cursor] = Recent(_ENDED_KEPT)
        self._calls: list[Call] = []
        self._withheld = Withheld(timing or Timing())
        self.late = Job(0, strict=False)
        self._told: Recent[str, None] = Recent(_ENDED_KEPT)
        self._share = 1.0
        self._singly = 0  # events still to be sent one by one
        self._closed = False

    @property
    def unsent(self) -> int:
        """Events accepted and not yet acknowledged by the server."""
        pending = sum(len(call.payloads) for call in self._calls)
        return len(self._queue) + pending + self._withheld.events

    async def flush(self) -> None:
        """Return when no event is withheld any more that `publish_all` did not wait for."""
        while self.late.waiting and not self._closed:
            self._taken.clear()
            await self._taken.wait()

    def newest(self, run_id: str) -> Cursor | None:
        """Cursor of this producer's newest acknowledged event in the run."""
        run = self.runs.get(run_id)
        at = run.at if run is not None else self.closed.get(run_id, NO_CURSOR)
        return at if at != NO_CURSOR else None

    async def open(self, meta: RunMeta, epoch: int | None) -> int | None:
        """Create the run; returns its epoch, or None when a run of that id exists."""
        given = await self._outlet.open(meta, epoch)
        if given is None:
            return None
        self.closed.pop(meta.run_id, None)
        self.ended.pop(meta.run_id, None)
        self.runs.setdefault(meta.run_id, PublishedRun(meta)).on_opened(meta)
        return given

    async def publish(self, run_id: str, event: Event, raw: bytes) -> int:
        """Publish one event; returns its seq.

        When cancelled, the event may or may not be published.
        """
        if self._closed:
            raise _closed()
        job = Job(1, strict=True)
        self._queue.append((job, (run_id, event, raw)))
        self._has_work.set()
        await job.answer
        return job.seq

    async def publish_all(self, batch: Sequence[Outgoing]) -> Refused:
        if self._closed:
            raise _closed()
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
                self._calls += self._withheld.due() or await self._next_calls()
            portion: list[Call] = []
            try:
                portion = self._next_portion()
                attempt = await self._write(portion, attempt)
            except Exception as error:  # noqa: BLE001 - no bug may stop publishing for good
                self._narrow_down(portion or self._calls[:1], error)
            else:
                if not attempt:
                    self._singly = max(0, self._singly - 1)
            if not self.late.waiting:
                self._taken.set()

    def send_again(self, calls: Sequence[Call]) -> None:
        """Send these before all else; nobody waits for what was answered before."""
        for call in calls:
            call.tell(self.late)
        self._calls[:0] = calls
        self._has_work.set()

    def note_closed(self, run_id: str) -> None:
        """Publish nothing more to a run: it has ended."""
        if run := self.runs.pop(run_id, None):
            self.closed[run_id] = run.at

    def fail_pending(self) -> None:
        """Stop accepting events, and fail every waiting caller."""
        self._closed = True
        self._taken.set()
        error = _closed()
        waiting = {job for call in self._calls for job in call.jobs} - {self.late}
        for job in waiting | {job for job, _ in self._queue}:
            job.fail(error)

    async def _next_calls(self) -> list[Call]:
        """Wait for what to send next; empty when something withheld is to be tried again."""
        if not self._queue or self._withheld.is_full:
            self._has_work.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._has_work.wait(), self._withheld.next_in_s)
            return []
        calls = self._dequeue()
        for call in calls:
            if call.run.meta.run_id in self._withheld:
                call.accept(self.late)
                self._withheld.add(call)
        return [call for call in calls if call.run.meta.run_id not in self._withheld]

    def _dequeue(self) -> list[Call]:
        """Dequeue as many events as one call may carry, grouped by run."""
        calls: dict[str, Call] = {}
        queue = self._queue
        count = size = 0
        while queue and count < _CALL_EVENTS and size < _CALL_BYTES:
            job, (run_id, event, raw) = queue.popleft()
            count += 1
            size += len(raw)
            try:
                call = calls.get(run_id)
                ends = self._withheld.ends(run_id) if call is None else call.ends
                if run_id in self.closed or ends:
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

    def _refuse(self, jobs: Sequence[Job], error: Exception) -> None:
        """Give up one event of each of these callers, and tell them."""
        for job in jobs:
            job.resolve(1, error)
        untold = sum(not job.strict for job in jobs)
        if untold and str(error) not in self._told:
            self._told[str(error)] = None
            _log.error("%d events refused: %s", untold, error)

    def _give_up(self, call: Call, error: BrokerError) -> None:
        """Refuse the events of a call; the server may have appended some of them.

        Those count as lost whose callers went on, unless the run takes no events at all."""
        takes_none = isinstance(error, RunClosedError | UnknownRunError)
        lost = 0 if takes_none else sum(not job.strict for job in call.jobs)
        call.run.give_up(len(call.payloads), lost)
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
            answers = await self._outlet.exchange(calls)
        except self._link.errors as error:
            # On a link or server too slow for the timeout, send smaller calls.
            self._share = max(_SHARE_MIN, self._share * _SHRINK)
            failure = error
        for call, answer in zip(calls, answers, strict=False):
            failed = isinstance(answer, self._link.errors)
            if failed and self._link.is_withheld(answer):
                self._withhold(call, answer)
            elif failed and self._link.is_mendable(answer):
                failure = answer
            else:
                if call.run.meta.run_id in self._withheld:
                    self._calls += self._withheld.release(call.run.meta.run_id)
                    self._link.on_success(call.run.meta.run_id)
                if self._resolve(call, answer):
                    self._calls.remove(call)
        if failure is not None:
            await self._link.on_failure("writer", failure, attempt)
            return attempt + 1
        self._link.on_success("writer")
        self._share = min(1.0, self._share * _GROW)
        return 0

    def _withhold(self, call: Call, error: BaseException) -> None:
        """Let a run's calls wait that the server refuses for now, or give them up in the end."""
        run_id = call.run.meta.run_id
        of_run = [each for each in self._calls if each.run is call.run]
        self._calls = [each for each in self._calls if each.run is not call.run]
        for each in of_run:
            each.accept(self.late)
        self._withheld.hold(of_run)
        self._link.note_failure(run_id, f"{self._link.explain(error)} (run {run_id})")
        refusal = BrokerError(f"the server refused events of run {run_id}: {error}")
        for each in self._withheld.given_up(run_id, everywhere=self._link.is_denied(error)):
            self._give_up(each, refusal)

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


def _closed() -> BrokerError:
    return BrokerError("the broker is closed: nothing more can be published")
