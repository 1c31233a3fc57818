"""The batches of a call to a shared log, and the futures that wait for it. Sends nothing."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from arena_tui.broker.protocol import NO_CURSOR, Cursor, RunMeta
from arena_tui.broker.refused import Refused

NO_RUN: Final = -1
CLOSED: Final = -2
"""In place of an epoch, why nothing was appended: there is no such run, or it has ended."""


class Job:
    """The events of one `publish` or `publish_all`.

    Attributes:
        strict: A refusal is the caller's error, and the runs must be open already.
        waiting: Events without an answer.
        seq: Seq of its last answered event.
    """

    __slots__ = ("answer", "refused", "seq", "strict", "waiting")

    def __init__(self, count: int, strict: bool) -> None:
        self.strict = strict
        self.waiting = count
        self.refused = Refused()
        self.seq = 0
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def add(self, count: int) -> None:
        """Wait for the answer to so many events more."""
        self.waiting += count

    def resolve(self, count: int, error: Exception | None = None, seq: int = 0) -> None:
        """Record the answer to `count` events, and wake the caller after the last one."""
        self.waiting -= count
        self.seq = seq
        if error is not None:
            self.refused = self.refused.plus(count, str(error))
        if self.answer.done():
            return
        if error is not None and self.strict:
            self.answer.set_exception(error)
        elif self.waiting <= 0:
            self.answer.set_result(None)

    def fail(self, error: Exception) -> None:
        """Raise this for whoever waits: there will be no answer."""
        self.strict = True
        self.resolve(self.waiting, error)


class PublishedRun:
    """State of one run on the producer's side.

    Attributes:
        producer: Id the log deduplicates by. A new one for every `PublishedRun`, so that numbers
            which start from 1 again are no duplicates.
        acked: This producer's number of the newest event that the log has acknowledged.
        next: Its number of the next event to send. Those between were given up: the server may
            have appended them, so that their numbers cannot be used again.
        lost: How many of those nobody will publish again: a gap in the run.
        at: Cursor of the newest of them; `NO_CURSOR` before the first answer.
        meta: What to open the run with, if this producer opens it.
    """

    __slots__ = ("acked", "at", "lost", "meta", "next", "open", "producer")

    def __init__(self, meta: RunMeta) -> None:
        self.producer = secrets.token_hex(8)
        self.meta = meta
        self.at = NO_CURSOR
        self.acked = 0
        self.lost = 0
        self.next = 1
        self.open = False

    def on_opened(self, meta: RunMeta) -> None:
        """This producer has opened it; the numbers go on, as calls may be in flight."""
        self.meta = meta
        self.at = NO_CURSOR
        self.open = True

    def on_start(self, meta: RunMeta) -> None:
        """Take the metadata from its `run_start`, unless it is known already."""
        if not self.meta.game:
            self.meta = meta

    def on_missing(self) -> None:
        self.open = False

    def on_appended(self, count: int, at: Cursor) -> None:
        """The server has appended `count` events, the last of them at this cursor."""
        self.open = True
        self.at = at
        self.next += count
        self.acked = self.next - 1
        self.lost = 0

    def go_back_to(self, number: int, lost: int) -> None:
        """Send again from this number on; of those before, so many are lost unless they are
        stored."""
        self.next = number
        self.acked = number - 1
        self.lost = lost

    def give_up(self, count: int, lost: int) -> None:
        """Leave the numbers of `count` events out, of which so many are lost."""
        self.next += count
        self.lost += lost


class Call:
    """The events of one run in a call; without any, it only tells how many were lost.

    Attributes:
        ends: Whether the last event is `run_end`.
        may_open: Whether the run may be opened for these events.
    """

    __slots__ = ("bytes", "ends", "jobs", "may_open", "payloads", "run")

    def __init__(self, run: PublishedRun, may_open: bool = False) -> None:
        self.run = run
        self.payloads: list[bytes] = []
        self.jobs: list[Job] = []
        self.bytes = 0
        self.ends = False
        self.may_open = may_open

    def open_again(self) -> None:
        """The run is gone: it is to be opened before this is sent again."""
        self.run.on_missing()
        self.may_open = True

    def add(self, job: Job, payload: bytes) -> None:
        self.jobs.append(job)
        self.payloads.append(payload)
        self.bytes += len(payload)

    def tell(self, job: Job) -> None:
        """Let this caller, and no other, wait for the answer."""
        job.add(len(self.payloads))
        self.jobs = [job] * len(self.payloads)

    def accept(self, late: Job) -> None:
        """Let callers of `publish_all` go on: what becomes of their events is told to `late`."""
        for index, job in enumerate(self.jobs):
            if not job.strict and job is not late:
                job.resolve(1)
                late.add(1)
                self.jobs[index] = late

    def split(self, count: int, size: int) -> Call | None:
        """Keep at most `count` events of at most `size` bytes, but at least one; returns the
        rest, or None when there is none."""
        if len(self.payloads) <= count and self.bytes <= size:
            return None
        keep = kept = 0
        for payload in self.payloads[:count]:
            if keep and kept + len(payload) > size:
                break
            keep += 1
            kept += len(payload)
        if keep == len(self.payloads):
            return None
        rest = Call(self.run, self.may_open)
        rest.payloads, self.payloads = self.payloads[keep:], self.payloads[:keep]
        rest.jobs, self.jobs = self.jobs[keep:], self.jobs[:keep]
        rest.bytes, self.bytes = self.bytes - kept, kept
        rest.ends, self.ends = self.ends, False
        return rest

    def finish(self, seq: int) -> None:
        """Resolve every event as appended; `seq` is that of the last one."""
        jobs = self.jobs
        if not jobs:
            return
        if jobs[0] is jobs[-1]:  # all of one caller: resolve them at once
            jobs[0].resolve(len(jobs), seq=seq)
            return
        for number, job in enumerate(jobs, seq - len(jobs) + 1):
            job.resolve(1, seq=number)
