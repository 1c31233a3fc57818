"""What a ledger counts of its events, each where it happens."""

from __future__ import annotations

from arena_tui.broker.stream import RunStream
from arena_tui.events import Gap


class Counts:
    """In events, since the ledger was made.

    Attributes:
        appended: To a log here.
        unheld: Counted as published, though no log here ever held them.
        in_logs: In gaps that a log here holds, or held.
        in_resets: In gaps that end a stream.
        trimmed: Of streams that were reaped or renewed.
        let_go: What these held until then.
    """

    __slots__ = ("appended", "in_logs", "in_resets", "let_go", "trimmed", "unheld")

    def __init__(self) -> None:
        self.appended = self.unheld = self.in_logs = self.in_resets = 0
        self.trimmed = self.let_go = 0

    @property
    def published(self) -> int:
        """Published in all runs, as far as consumers here can read them."""
        return self.appended + self.unheld

    @property
    def arrived(self) -> int:
        """What whoever reads all runs was given to read, those in gaps included."""
        return self.appended + self.in_logs + self.in_resets

    def append(self) -> None:
        """Count an event appended to a log."""
        self.appended += 1

    def lose_unheld(self, stream: RunStream, gap: Gap) -> None:
        """Count a gap's events as published, once in a run."""
        self.unheld += stream.unheld.add(gap)

    def reset(self, stream: RunStream, gap: Gap) -> None:
        """Count a gap that ends the stream."""
        self.lose_unheld(stream, gap)
        self.in_resets += gap.count

    def put_in_log(self, stream: RunStream, gap: Gap) -> None:
        """Count a gap appended to the stream's log."""
        self.lose_unheld(stream, gap)
        self.in_logs += gap.count

    def drop(self, stream: RunStream) -> None:
        """Count a stream that is reaped, or renewed."""
        self.trimmed += stream.log.trimmed
        self.let_go += len(stream.log)
