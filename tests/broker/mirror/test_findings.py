"""What the server's word of a run means for who reads it, decided without a server."""

from __future__ import annotations

import pytest

from arena_tui.broker.mirror.findings import (
    Back,
    EndLeft,
    EndLost,
    Finding,
    GivenUp,
    Renewed,
    Seen,
    Skipped,
    find_end,
    find_missing,
    find_stalled,
)
from arena_tui.broker.protocol import NO_CURSOR, Cursor
from arena_tui.events import Gap

ENDED = (Cursor(7, 9),)


def seen(
    epoch: int, seq: int, status: bytes = b"open", *, ended: bool = False, events: bool = False
) -> Seen:
    return Seen(Cursor(epoch, seq), status, 0.0, ENDED if ended else (), events)


def lost(first: int, last: int, reason: str) -> GivenUp:
    return GivenUp(Gap("a", 7, first, last, reason))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("server", "found"),
    [
        (seen(7, 9), Skipped(9)),
        (seen(8, 2, ended=True), Renewed(8, ENDED)),
        (seen(6, 99), None),
    ],
    ids=["trimmed", "renewed", "older"],
)
def test_a_run_without_a_next_entry_was_trimmed_or_renewed(
    server: Seen, found: Finding | None
) -> None:
    assert find_stalled(Cursor(7, 5), server) == found


@pytest.mark.parametrize(
    ("at", "newest_epoch", "server", "found"),
    [
        (Cursor(7, 0), 7, seen(7, 0, b"closed"), EndLost()),
        (Cursor(7, 5), 7, seen(7, 5, b"closed"), None),
        (Cursor(7, 5), 7, seen(7, 5, b"left"), EndLeft()),
        (Cursor(7, 4), 7, seen(7, 5, b"left"), None),
        (Cursor(7, 5), 8, seen(7, 5, b"left"), None),
        (Cursor(7, 5), 7, seen(7, 5), None),
    ],
    ids=["lost", "in the log", "left", "not all read", "opened again", "open"],
)
def test_a_run_ends_here_once_all_of_it_is_read_and_no_more_can_come(
    at: Cursor, newest_epoch: int, server: Seen, found: Finding | None
) -> None:
    assert find_end(at, newest_epoch, server) == found


@pytest.mark.parametrize(
    ("server", "furthest", "overdue", "found"),
    [
        (None, NO_CURSOR, False, None),
        (None, NO_CURSOR, True, lost(6, 5, "unknown")),
        (None, Cursor(7, 8), True, lost(6, 8, "reset")),
        (None, Cursor(6, 99), True, lost(6, 5, "unknown")),
        (seen(7, 6), NO_CURSOR, True, lost(6, 6, "reset")),
        (seen(6, 1, ended=True), NO_CURSOR, True, lost(6, 9, "reset")),
        (seen(7, 5, events=True), NO_CURSOR, False, Back()),
        (seen(8, 0), NO_CURSOR, True, Back()),
    ],
    ids=[
        "early", "unknown", "known here", "another epoch", "known there", "noted there",
        "with events", "renewed",
    ],
)  # fmt: skip
def test_a_missing_run_is_back_or_given_up_with_what_is_known_to_be_lost(
    server: Seen | None, furthest: Cursor, overdue: bool, found: Finding | None
) -> None:
    assert find_missing("a", Cursor(7, 5), server, furthest, overdue) == found
