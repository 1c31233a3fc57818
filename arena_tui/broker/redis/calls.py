"""The batches of a script call, and the futures that wait for its answer. Sends nothing."""

from __future__ import annotations

import asyncio
import secrets

from arena_tui.broker.protocol import RunMeta
from arena_tui.broker.redis.codec import NO_CURSOR
from arena_tui.broker.redis.scripts import events_key, meta_key
from arena_tui.errors import BrokerError

__all__ = ["Call", "Job", "PublishedRun"]


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
        self.refused = 0
        self.seq = 0
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def resolve(self, count: int, error: BrokerError | None = None) -> None:
        """Record the answer to `count` events, and wake the caller after the last one."""
        self.waiting -= count
        if error is not None:
            self.refused += count
        if self.answer.done():
            return
        if error is not None and self.strict:
            self.answer.set_exception(error)
        elif self.waiting == 0:
            self.answer.set_result(None)


class PublishedRun:
    """State of one run on the producer's side.

    Attributes:
        producer: Id the server deduplicates by. A new one for every `PublishedRun`, so that numbers
            which start from 1 again are no duplicates.
        acked: Events of this producer that the server has acknowledged.
        at: Cursor of the newest of them; `NO_CURSOR` before the first answer.
        meta: What to open the run with, if this producer opens it.
        keys: Its keys on the server: meta and events.
    """

    __slots__ = ("acked", "at", "keys", "meta", "open", "producer")

    def __init__(self, meta: RunMeta) -> None:
        self.producer = secrets.token_hex(8)
        self.meta = meta
        self.keys = meta_key(meta.run_id), events_key(meta.run_id)
        self.at = NO_CURSOR
        self.acked = 0
        self.open = False


class Call:
    """The events of one run in a script call.

    Attributes:
        ends: Whether the last event is `run_end`.
        may_open: Whether the run may be opened for these events.
    """

    __slots__ = ("bytes", "ends", "jobs", "may_open", "payloads", "run")

    def __init__(self, run: PublishedRun) -> None:
        self.run = run
        self.payloads: list[bytes] = []
        self.jobs: list[Job] = []
        self.bytes = 0
        self.ends = False
        self.may_open = False

    def add(self, job: Job, payload: bytes) -> None:
        """Append one event."""
        self.jobs.append(job)
        self.payloads.append(payload)
        self.bytes += len(payload)

    def split(self, count: int, size: int) -> Call:
        """Keep at most `count` events of at most `size` bytes, but at least one; returns the
        rest."""
        keep = kept = 0
        for payload in self.payloads[:count]:
            if keep and kept + len(payload) > size:
                break
            keep += 1
            kept += len(payload)
        rest = Call(self.run)
        rest.payloads, self.payloads = self.payloads[keep:], self.payloads[:keep]
        rest.jobs, self.jobs = self.jobs[keep:], self.jobs[:keep]
        rest.bytes, self.bytes = self.bytes - kept, kept
        rest.ends, self.ends = self.ends, False
        rest.may_open = self.may_open
        return rest

    def finish(self, error: BrokerError | None = None, seq: int = 0) -> None:
        """Resolve every event; `seq` is that of the last one, when they were appended."""
        jobs = self.jobs
        if jobs[0] is jobs[-1]:  # all of one caller: resolve them at once
            jobs[0].seq = seq
            jobs[0].resolve(len(jobs), error)
            return
        for number, job in enumerate(jobs, seq - len(jobs) + 1):
            job.seq = number
            job.resolve(1, error)
