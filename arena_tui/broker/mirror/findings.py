"""What a log's word of a run means for who is reading it. Decides, and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct

from arena_tui.broker.protocol import Cursor
from arena_tui.events import Gap


class Seen(Struct, frozen=True):
    """A run as the log has it: its newest event, and what else it says of it."""

    at: Cursor
    status: bytes
    silent_s: float
    ended: tuple[Cursor, ...]
    has_events: bool = False


class Skipped(Struct, frozen=True):
    """The server no longer has the events up to this seq."""

    to_seq: int


class Renewed(Struct, frozen=True):
    """The run goes on under this epoch; `ended` are the last cursors of its streams before."""

    epoch: int
    ended: Sequence[Cursor]


class EndLost(Struct, frozen=True):
    """The run has ended, and its end was lost."""


class EndLeft(Struct, frozen=True):
    """Its producer left the run, and every durable consumer has all of it."""


class Back(Struct, frozen=True):
    """The run was missing, and is there again."""


class GivenUp(Struct, frozen=True):
    """The run was missing, and does not come back."""

    lost: Gap


Finding: TypeAlias = Skipped | Renewed | EndLost | EndLeft | Back | GivenUp


def find_stalled(at: Cursor, seen: Seen) -> Skipped | Renewed | None:
    """Of a run read up to `at`, after which the server has no entry."""
    if seen.at.epoch == at.epoch:
        return Skipped(seen.at.seq)
    return Renewed(seen.at.epoch, seen.ended) if seen.at.epoch > at.epoch else None


def find_end(at: Cursor, newest_epoch: int, seen: Seen) -> EndLost | EndLeft | None:
    """Of a run read up to `at`, of which the index has told up to `newest_epoch`."""
    if at != seen.at:
        return None
    if seen.status == b"closed" and not at.seq:
        return EndLost()
    return EndLeft() if seen.status == b"left" and at.epoch >= newest_epoch else None


def find_missing(
    run_id: str, at: Cursor, seen: Seen | None, furthest: Cursor, overdue: bool
) -> Back | GivenUp | None:
    """Of a run read up to `at` that is missing; this process knows that it had come to `furthest`,
    and waits for it no longer once it is `overdue`."""
    if seen is not None and (seen.has_events or seen.at.epoch > at.epoch):
        return Back()
    if not overdue:
        return None
    heard = () if seen is None else (seen.at, *seen.ended)
    seqs = [each.seq for each in (*heard, furthest) if each.epoch == at.epoch]
    last = max([at.seq, *seqs])
    return GivenUp(Gap(run_id, at.epoch, at.seq + 1, last, "reset" if seqs else "unknown"))
