"""What lies before a start cursor is skipped and counted, and nothing after it."""

from __future__ import annotations

import pytest

from arena_tui.broker.ledger import Ledger
from arena_tui.broker.protocol import Cursor, Limits, RunMeta, Start
from arena_tui.broker.ring import RunLog
from arena_tui.broker.starting import Origin, StartCursors, start_in
from arena_tui.broker.stream import NEVER, RunStream
from arena_tui.codec import sealed
from arena_tui.events import Envelope, Gap, GapReason, LogEvent
from tests.envelopes import envelope

EVENT = LogEvent()


def event(seq: int, epoch: int = 7, run_id: str = "a") -> Envelope:
    return envelope(run_id, epoch, seq, EVENT)


def at(seq: int, epoch: int = 7) -> StartCursors:
    ahead = StartCursors()
    ahead.add("a", Cursor(epoch, seq))
    return ahead


def test_events_up_to_the_cursor_are_skipped_and_counted() -> None:
    ahead = at(3)

    kept = ahead.skip([event(2), event(3), event(4), event(1, run_id="b")])

    assert kept == [event(4), event(1, run_id="b")]
    assert (ahead.skipped, bool(ahead)) == (2, False)


def test_it_is_waited_for_until_the_cursor_is_reached() -> None:
    ahead = at(3)

    assert ahead.skip([event(1), event(2)]) == []
    assert bool(ahead)
    assert ahead.skip([event(3)]) == []
    assert (ahead.skipped, bool(ahead)) == (3, False)
    assert ahead.skip([event(3)]) == [event(3)]


@pytest.mark.parametrize(
    ("gap", "kept", "skipped"),
    [
        (Gap("a", 7, 1, 3, "trimmed"), [], 3),
        (Gap("a", 7, 2, 9, "trimmed"), [Gap("a", 7, 4, 9, "trimmed")], 2),
        (Gap("a", 7, 4, 9, "trimmed"), [Gap("a", 7, 4, 9, "trimmed")], 0),
        (Gap("a", 7, 3, 2, "unknown"), [], 0),
        (Gap("a", 7, 4, 3, "unknown"), [Gap("a", 7, 4, 3, "unknown")], 0),
        (Gap("a", 6, 1, 9, "reset"), [], 9),
        (Gap("a", 8, 1, 9, "reset"), [Gap("a", 8, 1, 9, "reset")], 0),
    ],
)
def test_a_gap_is_cut_at_the_cursor(gap: Gap, kept: list[Gap], skipped: int) -> None:
    ahead = at(3)

    assert ahead.skip([gap]) == kept
    assert ahead.skipped == skipped


def test_a_newer_epoch_is_after_any_cursor_of_an_older_one() -> None:
    ahead = at(30)

    assert ahead.skip([event(20), event(1, epoch=8)]) == [event(1, epoch=8)]
    assert not ahead


@pytest.mark.parametrize("reason", ["quarantined", "unknown"])
def test_an_empty_gap_just_before_the_cursor_does_not_reach_it(reason: GapReason) -> None:
    ahead = at(3)

    kept = ahead.skip([Gap("a", 7, 3, 2, reason), event(3), event(4)])

    assert kept == [event(4)]
    assert ahead.skipped == 1


@pytest.mark.parametrize(
    ("run_id", "epoch", "first", "later"),
    [("a", 7, 4, 9), ("a", 6, NEVER, NEVER), ("a", 8, 1, 9), ("b", 7, 1, 9)],
)
def test_it_says_what_comes_first_after_it(run_id: str, epoch: int, first: int, later: int) -> None:
    assert at(3).first_after(run_id, epoch, 1) == first
    assert at(3).first_after(run_id, epoch, 9) == later


def test_what_a_cursor_of_a_newer_epoch_skips_is_no_overflow() -> None:
    ledger = Ledger(Limits(capacity=4, retain=2), lambda: 0.0)
    stream = ledger.open(RunMeta(run_id="a"), 7)
    reader = ledger.subscribe("c", None, {"a": Cursor(8, 2)}, True)

    for _ in range(10):
        ledger.append(stream, *sealed(EVENT))

    assert reader.read_nowait() == []
    assert ledger.stats().overflow == reader.stats().overflow == 0


def test_a_stream_renewed_to_the_epoch_of_a_cursor_is_acked_up_to_it() -> None:
    ledger = Ledger(Limits(), lambda: 0.0, held=Limits())
    reader = ledger.subscribe("c", None, {"a": Cursor(8, 5)}, True)
    before = ledger.attach(RunMeta(run_id="a"), 7, 1)
    ledger.append(before, *sealed(EVENT))
    renewed = ledger.renew(before, 8, [])
    for _ in range(5):
        ledger.append(renewed, *sealed(EVENT))

    assert reader.read_nowait() == []
    assert ledger.lags("c") == {}
    ledger.append(renewed, *sealed(EVENT))
    assert ledger.lags("c") == {"a": 1}


def stream(ended: tuple[Cursor, ...] = ()) -> RunStream:
    """Seqs 11 to 13 of a run, which had 20 upstream when it was found."""
    log = RunLog("a", 7, Limits(), first=11)
    for _ in range(3):
        log.append(b"{}")
    return RunStream(RunMeta(run_id="a"), log, 0.0, ended, newest=20)


@pytest.mark.parametrize(
    ("start", "origin", "seq"),
    [
        ("oldest", "held", 10),
        ("oldest", "found", 0),
        ("oldest", "new", 0),
        ("newest", "held", 20),
        ("newest", "found", 20),
        ("newest", "new", 0),
        ("newest", "opened", 10),
        ("oldest", "opened", 10),
        ({"a": Cursor(7, 15)}, "found", 15),
        ({"a": Cursor(7, 99)}, "held", 99),
        ({"b": Cursor(7, 15)}, "found", 0),
        ({"a": Cursor(6, 15)}, "opened", 0),
    ],
)
def test_where_a_subscription_starts(start: Start, origin: Origin, seq: int) -> None:
    assert start_in(stream(), start, origin) == (Cursor(7, seq), [])


def test_what_was_missed_of_earlier_streams_are_gaps() -> None:
    ended = (Cursor(5, 8), Cursor(6, 0))

    missed = [Gap("a", 5, 1, 8, "reset")]
    assert start_in(stream(ended), {}, "found") == (Cursor(7, 0), missed)
    _, gaps = start_in(stream(ended), {"a": Cursor(5, 6)}, "found")
    assert gaps == [Gap("a", 5, 7, 8, "reset")]
