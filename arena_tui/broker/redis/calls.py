"""What a writer sends in one script call, and who waits for the answer. Sends nothing."""

from __future__ import annotations

import asyncio
import secrets

from arena_tui.broker.protocol import RunMeta
from arena_tui.broker.redis.codec import NO_CURSOR
from arena_tui.broker.redis.scripts import events_key, meta_key
from arena_tui.errors import BrokerError

__all__ = ["Call", "Job", "Sent"]


class Job:
    """Events of one caller; `strict`: of runs that somebody has opened."""

    __slots__ = ("answer", "refused", "seq", "strict", "waiting")

    def __init__(self, count: int, strict: bool) -> None:
        self.strict = strict
        self.waiting = count
        self.refused = 0
        self.seq = 0
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(self, count: int, error: BrokerError | None = None) -> None:
        """So many of its events have their answer."""
        self.waiting -= count
        if error is not None:
            self.refused += count
        if self.answer.done():
            return
        if error is not None and self.strict:
            self.answer.set_exception(error)
        elif self.waiting == 0:
            self.answer.set_result(None)


class Sent:
    """One run as this producer knows it.

    Attributes:
        producer: Whose events these are: another one each time a run is taken up, so that numbers
            which begin again are no repeats.
        at: Where its newest event stands; `NO_CURSOR` before the first answer.
        number: Events of this producer that the server has.
        meta: What to open the run with, if this producer opens it.
        keys: Where it stands on the server.
    """

    __slots__ = ("at", "keys", "meta", "number", "open", "producer")

    def __init__(self, meta: RunMeta) -> None:
        self.producer = secrets.token_hex(8)
        self.meta = meta
        self.keys = meta_key(meta.run_id), events_key(meta.run_id)
        self.at = NO_CURSOR
        self.number = 0
        self.open = False


class Call:
    """Events of one run: its part of a script call."""

    __slots__ = ("bytes", "ends", "jobs", "may_open", "payloads", "sent")

    def __init__(self, sent: Sent) -> None:
        self.sent = sent
        self.payloads: list[bytes] = []
        self.jobs: list[Job] = []
        self.bytes = 0
        self.ends = False
        self.may_open = False

    def add(self, job: Job, payload: bytes) -> None:
        """One event more."""
        self.jobs.append(job)
        self.payloads.append(payload)
        self.bytes += len(payload)

    def split(self, count: int, size: int) -> Call:
        """Keep at most `count` events of at most `size` bytes, but one at least; returns the
        rest."""
        keep = kept = 0
        for payload in self.payloads[:count]:
            if keep and kept + len(payload) > size:
                break
            keep += 1
            kept += len(payload)
        rest = Call(self.sent)
        rest.payloads, self.payloads = self.payloads[keep:], self.payloads[:keep]
        rest.jobs, self.jobs = self.jobs[keep:], self.jobs[:keep]
        rest.bytes, self.bytes = self.bytes - kept, kept
        rest.ends, self.ends = self.ends, False
        rest.may_open = self.may_open
        return rest

    def finish(self, error: BrokerError | None = None, seq: int = 0) -> None:
        """Every event has its answer; `seq`: where the last one stands, if it is there."""
        jobs = self.jobs
        if jobs[0] is jobs[-1]:  # all one caller's: they stay together
            jobs[0].seq = seq
            jobs[0].done(len(jobs), error)
            return
        for number, job in enumerate(jobs, seq - len(jobs) + 1):
            job.seq = number
            job.done(1, error)
