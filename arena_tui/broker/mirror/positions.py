"""How far each run has been read from a shared log. Sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from arena_tui.broker.ledger import Ledger
from arena_tui.broker.mirror import findings
from arena_tui.broker.protocol import NO_CURSOR, Cursor
from arena_tui.broker.recent import Recent
from arena_tui.broker.starting import reset_gaps
from arena_tui.broker.stream import RunStream
from arena_tui.events import Gap

_ENDED_KEPT: Final = 10_000


class RunPosition:
    """How far one run has been read.

    Attributes:
        after: Id of the newest entry read, foreign ones included.
        at: Cursor of the newest event read.
        looked_at: `at` when the watcher last compared it with the server.
        newest_epoch: Newest epoch that the index has told of since it is being read.
        gone_at: When the run was found missing, on the monotonic clock; None when it is not, or
            when its readers have been notified.
    """

    __slots__ = ("after", "at", "gone_at", "key", "looked_at", "newest_epoch", "stream")

    def __init__(self, stream: RunStream, at: Cursor, key: str) -> None:
        self.stream = stream
        self.key = key
        self.at = at
        self.after = b"%d-%d" % at
        self.looked_at = NO_CURSOR
        self.newest_epoch = at.epoch
        self.gone_at: float | None = None

    @property
    def run_id(self) -> str:
        return self.stream.log.run_id

    def read_to(self, at: Cursor) -> None:
        """Everything up to this cursor has been read, or is in a gap."""
        self.at = at

    def read_entry(self, entry_id: bytes) -> None:
        """This entry and those before it have been taken, whatever they are."""
        self.after = entry_id

    def go_on_in(self, stream: RunStream) -> None:
        """Read the stream that has replaced the one before."""
        self.stream = stream
        self.at = Cursor(stream.log.epoch, 0)

    def on_looked(self) -> None:
        self.looked_at = self.at

    def on_indexed(self, epoch: int) -> None:
        self.newest_epoch = epoch

    def is_overdue(self, now: float, gone_s: float) -> bool:
        """Whether it has been missing for so long, and its readers have yet to be notified."""
        return self.gone_at is not None and now >= self.gone_at + gone_s

    def on_gone(self, now: float | None) -> None:
        """The run is missing since then; None: it is not, or its readers have been notified."""
        self.gone_at = now


class RunPositions:
    """The runs being read, and those missing from the log.

    Args:
        key_of: The log's own name of a run's stream.

    Attributes:
        read, gone: Their positions, by run id.
        ended: Last cursors of runs recently read to their end.
    """

    def __init__(self, ledger: Ledger, key_of: Callable[[str], str] = str) -> None:
        self.read: dict[str, RunPosition] = {}
        self.gone: dict[str, RunPosition] = {}
        self.ended: Recent[str, Cursor] = Recent(_ENDED_KEPT)
        self._ledger = ledger
        self._key_of = key_of
        self._forgotten_epoch = 0  # newest epoch of a run evicted from `ended`

    def apply(self, position: RunPosition, finding: findings.Finding) -> None:
        match finding:
            case findings.Skipped(to_seq):
                self.skip_to(position, to_seq)
            case findings.Renewed(epoch, ended):
                self.renew(position, epoch, ended)
            case findings.EndLost():
                self._ledger.end(position.stream)
                self.end(position)
            case findings.EndLeft():
                self._ledger.evict(position.stream)
                self.end(position)
            case findings.Back():
                self.restore(position.run_id)
            case findings.GivenUp(gap):
                self.give_up(position, gap)

    def follow(self, stream: RunStream, at: Cursor) -> None:
        run_id = stream.log.run_id
        self.read[run_id] = RunPosition(stream, at, self._key_of(run_id))

    def end(self, position: RunPosition) -> None:
        """Stop reading a run that has been read to its end."""
        self.read.pop(position.run_id, None)
        self.gone.pop(position.run_id, None)
        if len(self.ended) == _ENDED_KEPT and position.run_id not in self.ended:
            _, forgotten = self.ended.popitem(last=False)
            self._forgotten_epoch = max(self._forgotten_epoch, forgotten.epoch)
        self.ended[position.run_id] = position.at

    def has_read(self, run_id: str, cursor: Cursor) -> bool:
        """Whether the run has been read up to this cursor, or its readers have been notified that
        it does not come back."""
        if run_id in self.gone:
            position = self.gone[run_id]
            return position.gone_at is None or position.at >= cursor
        if run_id in self.read:
            return self.read[run_id].at >= cursor
        if run_id in self.ended:
            return self.ended[run_id] >= cursor
        return cursor.epoch <= self._forgotten_epoch

    def skip_to(self, position: RunPosition, to_seq: int) -> None:
        """Append a gap up to `to_seq`: the server trimmed these events before they were read."""
        epoch, seq = position.at
        gap = Gap(position.run_id, epoch, seq + 1, to_seq, "trimmed")
        self._ledger.append_gap(position.stream, gap)
        self._ledger.warnings.add("read_too_late", gap.run_id, events=gap.count)
        position.read_to(Cursor(epoch, to_seq))

    def renew(self, position: RunPosition, epoch: int, ended: Sequence[Cursor]) -> None:
        """Go on under a new epoch: the stream was lost on the server; see `Renewed`."""
        run_id = position.run_id
        if position.stream.closed:
            ended = (*ended, position.at)  # whether recorded or not
        resets = reset_gaps(run_id, position.at, ended, epoch)
        resets = [gap for gap in resets if gap not in position.stream.markers]
        position.go_on_in(self._ledger.renew(position.stream, epoch, resets))
        self._ledger.warnings.add("stream_renewed", run_id, lost=_lost(resets))

    def mark_gone(self, position: RunPosition, now: float) -> None:
        """Stop reading a run that is missing from the server; it may be restored."""
        if self.read.pop(position.run_id, None) is not None:
            self.gone[position.run_id] = position
            position.on_gone(now)
            self._ledger.warnings.add("stream_gone", position.run_id)

    def restore(self, run_id: str) -> None:
        """Resume reading a run that was missing, unless that has been done meanwhile."""
        position = self.gone.pop(run_id, None)
        if position is not None:
            position.on_gone(None)
            self.read[run_id] = position

    def give_up(self, position: RunPosition, gap: Gap) -> None:
        """Notify the readers of a missing run that it does not come back; it still may."""
        position.on_gone(None)
        self._ledger.append_gap(position.stream, gap)
        self._ledger.warnings.add("run_given_up", gap.run_id, lost=_lost([gap]))
        position.read_to(Cursor(gap.epoch, gap.to_seq))


def _lost(gaps: Sequence[Gap]) -> int | None:
    """How many events are lost in all; None when that is unknown of some."""
    return None if any(gap.unknown for gap in gaps) else sum(gap.count for gap in gaps)
