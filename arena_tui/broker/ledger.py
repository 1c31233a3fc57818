"""The runs a process holds, for all backends. Knows no producer and no wire.

A ledger is either the only log or a local cache of a remote one. Evicting an event from a cache
loses nothing: consumers fetch what it does not hold from upstream.

Every run has a `RunStream` with its log. The *window* holds the newest deliveries of all runs in
order of arrival that some consumer has yet to read, within limits. A consumer that keeps up reads
slices of the window, at no cost per run, and nothing is decoded again for it. One that falls out of
the window gets a *backlog* (a range of seqs per stream), reads it from the logs
round-robin, and then rejoins the window.

A ledger belongs to the thread of its loop. Nothing here waits, except `settled`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing

from arena_tui.broker.counts import Counts
from arena_tui.broker.protocol import Cursor, Limits, RunMeta, Start
from arena_tui.broker.readers import Readers
from arena_tui.broker.recovery import Recover
from arena_tui.broker.ring import RunLog
from arena_tui.broker.snapshots import Snapshots
from arena_tui.broker.starting import Origin
from arena_tui.broker.stats import BrokerStats
from arena_tui.broker.stream import Progress, RunStream
from arena_tui.broker.subscription import AckSink, LedgerSubscription, one_by_one
from arena_tui.broker.warnings import Warnings
from arena_tui.broker.window import Window
from arena_tui.errors import BrokerError, RunExistsError, UnknownRunError, UsageError
from arena_tui.events import Delivery, Envelope, Event, Gap, RunEnd, check_run_id


class Ledger:
    """All runs held, and all subscriptions on them.

    Args:
        limits: How much is guaranteed to be held, here or upstream.
        clock: Seconds since 1970.
        held: Limits of this cache of a remote log; None when this ledger is the only log.

    Attributes:
        window: The newest deliveries of all runs, in order of arrival.
        streams: The newest stream of each run, by run id, in order of opening; to read only.
        warnings: All warnings of this process.
        acked: Set at every ack, by whatever consumer; who waits for one clears it before.
        counts: What became of the events.
    """

    def __init__(
        self, limits: Limits, clock: Callable[[], float], held: Limits | None = None
    ) -> None:
        if not 0 < limits.retain <= limits.capacity:
            raise UsageError(
                f"retain ({limits.retain}) must be from 1 to capacity ({limits.capacity})"
            )
        self.limits = limits
        self.clock = clock
        self.closed = False
        self._streams: dict[str, RunStream] = {}
        self.streams: Mapping[str, RunStream] = self._streams
        # Upstream evicts what exceeds a run's capacity, unseen by its cache: so hold no more.
        decoded = limits.decoded if held is None else min(limits.decoded, limits.capacity)
        self.window = Window(decoded, limits.run_bytes)
        self.warnings = Warnings(clock)
        self._snapshots = Snapshots(self.streams)
        self._moved = self._snapshots.moved
        self._readers = Readers(limits, self.warnings, self.streams, self._snapshots)
        self.acked = self._readers.acked
        self.counts = Counts()
        self.thread = threading.get_ident()
        self._is_cache = held is not None
        self._held = held or limits
        self._closed_runs: deque[str] = deque()

    def check_thread(self) -> None:
        """Raise RuntimeError when called from a thread other than the owner's."""
        if threading.get_ident() != self.thread:
            raise RuntimeError(
                "the broker belongs to its loop's thread: publish through MultiRunBrokerSink"
            )

    def open(
        self, meta: RunMeta, epoch: int, first: int = 1, ended_streams: Sequence[Cursor] = ()
    ) -> RunStream:
        """Create an empty stream, whose next event has the seq `first`, after these of the run.

        Its epoch is at least the newest one of this run that was held here or is stored.

        Raises:
            EventError: The run id is not usable.
            RunExistsError: The run is held already.
        """
        self.check_thread()
        run_id = meta.run_id
        check_run_id(run_id)
        if run_id in self.streams:
            raise RunExistsError(f"run {run_id} is already open: use another id")
        if self.closed:
            raise BrokerError("the broker is closed: nothing more can be published")
        newest = self._readers.let_go.epoch(run_id)
        for reader in self._readers.durable():
            if at := reader.starting.of(run_id):
                newest = max(newest, at.epoch)
        if epoch < newest:
            epoch, first = newest + 1, 1
        log = RunLog(run_id, epoch, self._held, first)
        return self._register(RunStream(meta, log, self.clock(), ended_streams), "opened")

    def attach(
        self, meta: RunMeta, epoch: int, first: int, ended_streams: Sequence[Cursor] = (),
        newest: int = 0, origin: Origin = "new", silent_s: float = 0.0,
    ) -> RunStream:  # fmt: skip
        """Cache an upstream stream from its event `first` on, of those up to `newest` that it has
        already; readers fetch earlier events from upstream. `silent_s`: see `RunInfo`."""
        log = RunLog(meta.run_id, epoch, self._held, first)
        stream = RunStream(meta, log, self.clock() - silent_s, ended_streams, newest)
        self._register(stream, origin)
        self._readers.wake()
        return stream

    def renew(
        self, stream: RunStream, epoch: int, resets: Sequence[Gap] = (), meta: RunMeta | None = None
    ) -> RunStream:
        """End a stream, one lost upstream with these gaps, and continue the run under a new epoch;
        with other metadata if it begins again."""
        log = RunLog(stream.log.run_id, epoch, self._held)
        if stream.closed:
            self._closed_runs.remove(log.run_id)
        successor = stream.start_successor(log, resets, self.clock(), meta)
        for reader in self._readers.durable():
            if progress := successor.progress.get(reader.name):
                progress.advance(reader.starting.first_after(log.run_id, epoch, 1) - 1, 0)
        self.counts.drop(stream)
        for gap in resets:
            self.counts.reset(stream, gap)
            self.window.append(stream, gap, 0)
        self._readers.slide(self.window)  # only now: who falls out of it enqueues all of the resets
        for follower in successor.followers:
            follower.enqueue(stream, 0)
        self._register(successor)
        self._readers.wake()
        return successor

    def get(self, run_id: str) -> RunStream:
        """The run's stream, or UnknownRunError."""
        try:
            return self.streams[run_id]
        except KeyError:
            raise UnknownRunError(f"the broker holds no run {run_id}: open it first") from None

    def append(self, stream: RunStream, event: Event, raw: bytes) -> int:
        """Append an event, notify its readers, return its seq; the hot path of publishing."""
        log = stream.log
        first = log.first
        seq = log.append(raw)
        self.counts.append()
        self._moved[log.run_id] = None
        envelope = Envelope(log.run_id, log.epoch, seq, event, raw)
        if self.window.append(stream, envelope, len(raw)):
            self._readers.slide(self.window)
        if log.first != first and not self._is_cache:
            self._readers.record_evictions(stream, first, log.first - 1, self.window)
        if seq >= stream.alarm_at:
            self._readers.warn_high_water(stream)
        if stream.followers:
            for follower in stream.followers:
                follower.enqueue(stream, 1)
        if self._readers.sleeping:
            self._readers.wake()
        if type(event) is RunEnd:
            self.end(stream)
        return seq

    def append_gap(self, stream: RunStream, gap: Gap) -> None:
        """Append a gap: events lost upstream, from the next seq on; or an empty one, which takes no
        seq, for a foreign entry or a loss of unknown length."""
        marker = None if gap.count else gap
        if marker is None:
            stream.log.append_gap(gap)
            self._moved[gap.run_id] = None
            self.counts.put_in_log(stream, gap)
        elif gap.unknown:
            stream.markers.append(gap)
        if self.window.append(stream, gap, 0):
            self._readers.slide(self.window)
        for follower in stream.followers:
            follower.enqueue(stream, gap.count, marker)
        self._readers.wake()

    def give_up_missing(self) -> None:
        """Deliver a gap for each run that a durable consumer was reading when it stopped, and that
        is not held: whether events are lost, nobody knows."""
        for reader in self._readers.durable():
            for run_id in reader.unfinished - self.streams.keys():
                epoch, seq = reader.starting.of(run_id) or Cursor(0, 0)
                gap = Gap(run_id, epoch, seq + 1, seq, "unknown")
                log = RunLog(run_id, epoch, self._held, gap.from_seq)
                reader.enqueue(RunStream(RunMeta(run_id=run_id), log, self.clock()), 0, gap)
                self.warnings.add("run_missing", run_id, reader.name)
            reader.unfinished.clear()
        self._readers.wake()

    def is_lacked(self, run_id: str, newest: Cursor) -> bool:
        """Whether any durable consumer that began to read the run lacks some of it up to `newest`;
        it is not missing for them."""
        lacked = False
        for reader in self._readers.durable():
            at = reader.starting.of(run_id)
            lacked |= at is not None and at < newest
            reader.unfinished.discard(run_id)
        return lacked

    def subscribe(
        self,
        name: str,
        runs: Collection[str] | None,
        start: Start,
        durable: bool,
        recover: Recover | None = None,
        acks: AckSink | None = None,
        identity: str = "",
        unfinished: Iterable[str] = (),
        replace: bool = False,
    ) -> LedgerSubscription:
        """See `BrokerProtocol.subscribe` and `LedgerSubscription`."""
        self.check_thread()
        replaced: LedgerSubscription | None = None
        for each in self._readers.durable() if durable else ():
            if replace and each.name == name:
                replaced = each
            elif each.name == name or each.identity == (identity or name):
                raise UsageError(
                    f"there is a durable consumer {each.name!r}, known as {each.identity!r}, "
                    "already: give another name"
                )
        followed = [self.get(run_id) for run_id in runs or ()]
        position = None if runs is not None else self.window.end
        subscription = LedgerSubscription(
            self, self.window, self.streams, self._readers,
            name, position, durable, start, recover, acks, identity, unfinished,
        )  # fmt: skip
        if replaced is not None:
            self._readers.drop_consumer(name)  # what was held for it is trimmed once it is closed
        for stream in followed if runs is not None else self.streams.values():
            read = subscription.begin(stream)
            if durable:
                stream.progress[name] = Progress(read)
                self._readers.trim_acked(stream)
        for stream in followed:
            stream.followers.append(subscription)
        self._readers.add(subscription)
        if durable and runs is None and not self._is_cache:
            self._readers.let_go.tell(subscription, start)
        if replaced is not None:
            replaced.close()
        return subscription

    async def stream(
        self, run_id: str, from_seq: int, recover: Recover | None = None
    ) -> AsyncIterator[Delivery]:
        """See `BrokerProtocol.stream`."""
        stream = self.get(run_id)
        newest = max(stream.log.last, stream.seen)
        if not 1 <= from_seq <= newest + 1:
            raise BrokerError(f"run {run_id} has events 1 to {newest}: cannot start at {from_seq}")
        start = {run_id: Cursor(stream.log.epoch, from_seq - 1)}
        subscription = self.subscribe(f"stream {run_id}", [run_id], start, False, recover)
        async with aclosing(one_by_one(subscription)) as deliveries:
            async for delivery in deliveries:
                yield delivery

    def reap(self, run_id: str) -> None:
        """Evict a closed run; see `BrokerProtocol.reap`."""
        stream = self.get(run_id)
        if not stream.closed:
            raise BrokerError(f"run {run_id} is still open: close it first")
        del self._streams[run_id]
        self._closed_runs.remove(run_id)
        self.counts.drop(stream)
        stream.reap()
        self._snapshots.drop(run_id)
        self._readers.let_go.add(stream)
        at = Cursor(stream.log.epoch, stream.log.last)
        for reader in self._readers.following_all_runs():
            reader.starting.leave(run_id, at)
        self._readers.on_reaped()

    def evict(self, stream: RunStream) -> None:
        """Let go of all that is held of a stream, and hold the run."""
        stream.log.trim_to(stream.log.last)
        self._moved[stream.log.run_id] = None

    async def settled(self, run_ids: Iterable[str], consumer: str | None = None) -> None:
        await self._readers.settled(run_ids, consumer)

    def lags(self, consumer: str) -> dict[str, int]:
        lags = self._snapshots.lags(consumer)
        for run_id, stream in self._readers.let_go.unacked.items():
            if lag := stream.lag(consumer):
                lags[run_id] = lag
        return lags

    def stats(self) -> BrokerStats:
        runs = self._snapshots.runs()
        return BrokerStats(
            capacity=self.limits.capacity,
            published=self.counts.published,
            trimmed=self.counts.trimmed + sum([each.trimmed for each in runs]),
            let_go=self.counts.let_go,
            unheld=self.counts.unheld - self.counts.in_logs,
            overflow=self._readers.overflow,
            runs=runs,
            consumers=self._readers.stats(),
            warnings=self.warnings.newest(),
            warned=self.warnings.counts(),
        )

    def close(self) -> None:
        """End every iterator and release every waiter."""
        self.closed = True
        self._readers.end()

    def _register(self, stream: RunStream, origin: Origin | None = None) -> RunStream:
        """Hold a stream; unless it goes on with a run, its readers begin to read it."""
        if origin is not None:
            self._readers.let_go.take_back(stream)
            for reader in self._readers.following_all_runs():
                read = reader.begin(stream, origin)
                if reader.durable:
                    stream.progress[reader.name] = Progress(read)
        self._streams[stream.log.run_id] = stream
        self._readers.trim_acked(stream)
        return stream

    def end(self, stream: RunStream) -> None:
        """Close a stream: its last event was appended, or is known to be lost. Idempotent."""
        if stream.closed:
            return
        stream.close()
        self._readers.wake()
        self._closed_runs.append(stream.log.run_id)
        while len(self._closed_runs) > self.limits.closed_runs:
            if self._readers.has_unacked(self._closed_runs[0]):
                break
            self.reap(self._closed_runs[0])
