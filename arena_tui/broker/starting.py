"""Where a subscription starts in a run, and what lies before that. Holds no events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from msgspec.structs import replace

from arena_tui.broker.protocol import Cursor, Start
from arena_tui.broker.recent import Recent
from arena_tui.broker.ring import RunLog
from arena_tui.broker.stream import NEVER, RunStream
from arena_tui.events import Delivery, Gap, GapReason

Origin: TypeAlias = Literal["held", "opened", "found", "new"]
"""How a subscription meets a run: it was held already, has just been opened here, was found
upstream on connecting, or has appeared upstream since."""


_LEFT_KEPT: Final = 10_000
"""Runs let go of which a subscription remembers how far it had come."""


class StartCursors:
    """Where one subscription starts in each run, and the start cursors that it has yet to reach:
    what a log holds may begin before them, or not be there yet.

    Attributes:
        start: Where it started at first.
        skipped: Events before start cursors, those in gaps included.
    """

    def __init__(self, start: Start = "oldest") -> None:
        self.start = start
        self.skipped = 0
        self._ahead: dict[str, Cursor] = {}
        self._left: Recent[str, Cursor] = Recent(_LEFT_KEPT)

    def __bool__(self) -> bool:
        return bool(self._ahead)

    def of(self, run_id: str) -> Cursor | None:
        """Its start cursor in this run, or how far it had come when the run was let go here; None
        when it has none."""
        cursor, left = cursor_in(self.start, run_id), self._left.get(run_id)
        return max(filter(None, (cursor, left)), default=None)

    def leave(self, run_id: str, at: Cursor) -> None:
        """Should a run come back that is let go now, go on after its end."""
        self._left[run_id] = at

    def enter(self, stream: RunStream, origin: Origin) -> tuple[Cursor, list[Gap]]:
        """See `start_in`; of a run let go here, nothing is told twice, nor that it has ended."""
        run_id = stream.log.run_id
        left, at = self._left.get(run_id), self.of(run_id)
        if left is None or at is None:
            return start_in(stream, self.start, origin)
        at, gaps = start_in(stream, {run_id: at}, origin, (left, *stream.ended_streams))
        return at, [gap for gap in gaps if gap.count]

    def add(self, run_id: str, cursor: Cursor) -> None:
        """Skip everything of this run up to the cursor."""
        self._ahead[run_id] = cursor

    def first_after(self, run_id: str, epoch: int, first: int) -> int:
        """The first seq from `first` on that is not skipped; `NEVER` in an epoch before that of
        the cursor."""
        cursor = self._ahead.get(run_id)
        if cursor is None or cursor.epoch < epoch:
            return first
        return NEVER if cursor.epoch > epoch else max(first, cursor.seq + 1)

    def skip(self, batch: Sequence[Delivery]) -> list[Delivery]:
        """The deliveries after the start cursors; a gap around one is cut there."""
        kept: list[Delivery] = []
        for each in batch:
            cursor = self._ahead.get(each.run_id)
            if cursor is None:
                kept.append(each)
                continue
            if (each.epoch, each.last_seq) >= cursor:
                del self._ahead[each.run_id]
            if (each.epoch, max(each.first_seq, each.last_seq)) <= cursor:
                self.skipped += each.last_seq - each.first_seq + 1
            elif isinstance(each, Gap) and each.epoch == cursor.epoch and each.count:
                first = max(each.from_seq, cursor.seq + 1)
                self.skipped += first - each.from_seq
                kept.append(replace(each, from_seq=first))
            else:
                kept.append(each)
        return kept


def cursor_in(start: Start, run_id: str) -> Cursor | None:
    """The start cursor in this run; None when it has none."""
    return None if isinstance(start, str) else start.get(run_id)


def start_in(
    stream: RunStream, start: Start, origin: Origin, ended: Sequence[Cursor] | None = None
) -> tuple[Cursor, list[Gap]]:
    """The cursor after which a subscription reads the stream, and gaps for what it missed of
    earlier streams of the run, which had `ended` there (None: where upstream says)."""
    log = stream.log
    ended = stream.ended_streams if ended is None else ended
    if start == "newest":
        seq = max(log.last, stream.seen) if origin in ("held", "found") else _before(log, origin)
        return Cursor(log.epoch, seq), []
    if start == "oldest":
        seq = log.first - 1 if origin == "held" else _before(log, origin)
        return Cursor(log.epoch, seq), []
    cursor = start.get(log.run_id)
    if cursor is None:
        ends = [end for end in ended if end.seq]
        gaps = [Gap(log.run_id, end.epoch, 1, end.seq, "reset") for end in ends]
        return Cursor(log.epoch, 0), gaps
    if cursor.epoch >= log.epoch:
        return cursor, []
    if origin == "opened":
        return Cursor(log.epoch, 0), []
    return Cursor(log.epoch, 0), reset_gaps(log.run_id, cursor, ended, log.epoch)


def _before(log: RunLog, origin: Origin) -> int:
    """The seq before the first of a run that has appeared: of one continued here, where it is."""
    return log.born_at - 1 if origin == "opened" else 0


def reset_gaps(run_id: str, at: Cursor, ended: Sequence[Cursor], epoch: int) -> list[Gap]:
    """Gaps for what a reader at this cursor missed of the streams before `epoch`.

    The first is of the cursor's own stream. It is empty when all of that stream was read, and also
    when the end of that stream was not recorded: then the length of the loss is unknown.
    """
    ends = {end.epoch: end.seq for end in ended if at.epoch <= end.epoch < epoch}
    reason: GapReason = "reset" if at.epoch in ends else "unknown"
    last = max(at.seq, ends.pop(at.epoch, 0))
    return [
        Gap(run_id, at.epoch, at.seq + 1, last, reason),
        *(Gap(run_id, each, 1, seq, "reset") for each, seq in ends.items() if seq),
    ]
