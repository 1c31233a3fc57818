"""What a forwarder of runs, from a file say, can tell the broker of its own process of them."""

from __future__ import annotations

from arena_tui.broker.ledger import Ledger
from arena_tui.broker.protocol import RunMeta
from arena_tui.events import Gap


class Forwarded:
    """Belongs to the broker's loop.

    Every method but `drop` raises UnknownRunError when the broker holds no such run.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def begin_again(self, meta: RunMeta, epoch: int) -> int:
        """Go on with a run, ended or not, under a new epoch: at least `epoch`; returns it."""
        self._ledger.check_thread()
        stream = self._ledger.get(meta.run_id)
        again = self._ledger.renew(stream, max(epoch, stream.log.epoch + 1), meta=meta)
        return again.log.epoch

    async def tell_loss(self, run_id: str) -> None:
        """Deliver a gap of unknown length after the newest event of an open run."""
        self._ledger.check_thread()
        stream = self._ledger.get(run_id)
        if not stream.closed:
            log = stream.log
            gap = Gap(run_id, log.epoch, log.last + 1, log.last, "unknown")
            self._ledger.append_gap(stream, gap)

    async def drop(self, run_id: str) -> bool:
        """Let go of a run, ended or not, unless a durable consumer has yet to ack some of it;
        returns whether it is held no longer. Should it come back, it is a new epoch."""
        self._ledger.check_thread()
        stream = self._ledger.streams.get(run_id)
        if stream is None:
            return True
        if any(map(stream.lag, stream.progress)):
            return False
        self._ledger.end(stream)
        if run_id in self._ledger.streams:
            self._ledger.reap(run_id)
        return True
