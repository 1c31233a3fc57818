"""What a run that was let go still owes to durable consumers, and how long."""

from __future__ import annotations

from arena_tui.broker.ledger import Ledger
from arena_tui.broker.protocol import Cursor, Limits, RunMeta
from arena_tui.codec import sealed
from arena_tui.events import Gap, LogEvent, RunEnd


def played(ledger: Ledger, run_id: str = "a", epoch: int = 7) -> None:
    """Three events of a run that has ended."""
    stream = ledger.open(RunMeta(run_id=run_id), epoch)
    for event in (LogEvent(), LogEvent(), RunEnd(status="finished")):
        ledger.append(stream, *sealed(event))


def reaped(ledger: Ledger) -> None:
    played(ledger)
    ledger.reap("a")


def only() -> Ledger:
    return Ledger(Limits(), lambda: 0.0)


def test_a_consumer_is_owed_nothing_of_a_run_it_had_acked() -> None:
    ledger = only()
    first = ledger.subscribe("c", None, {}, True)
    played(ledger)
    first.ack({"a": Cursor(7, 3)})
    ledger.reap("a")
    first.close()

    again = ledger.subscribe("c", None, {}, True)
    other = ledger.subscribe("d", None, {}, True)

    assert again.read_nowait() == []
    assert other.read_nowait() == [Gap("a", 7, 1, 3, "reaped")]


def test_who_starts_with_what_is_held_or_comes_next_is_owed_nothing() -> None:
    ledger = only()
    reaped(ledger)

    ledger.subscribe("oldest", None, "oldest", True)
    ledger.subscribe("newest", None, "newest", True)

    assert ledger.lags("oldest") == ledger.lags("newest") == {}


def test_what_a_closed_consumer_had_not_acked_is_no_lag_of_the_others() -> None:
    ledger = only()
    one, two = (ledger.subscribe(name, None, {}, True) for name in ("one", "two"))
    reaped(ledger)
    two.ack({"a": Cursor(7, 2)})

    one.close()

    assert (ledger.lags("one"), ledger.lags("two")) == ({}, {"a": 1})


def test_a_run_that_is_back_still_lacks_the_acks_of_before() -> None:
    ledger = only()
    reader = ledger.subscribe("c", None, {}, True)
    reaped(ledger)
    played(ledger, epoch=8)

    lags = [ledger.lags("c")]
    for cursor in (Cursor(7, 3), Cursor(8, 1), Cursor(8, 3)):
        reader.ack({"a": cursor})
        lags.append(ledger.lags("c"))

    assert lags == [{"a": 6}, {"a": 3}, {"a": 2}, {}]


def test_who_replaces_a_consumer_is_owed_what_it_lacks_itself() -> None:
    ledger = only()
    ledger.subscribe("c", None, {}, True)
    reaped(ledger)

    new = ledger.subscribe("c", None, {"a": Cursor(7, 2)}, True, replace=True)

    assert ledger.lags("c") == {"a": 1}
    assert new.read_nowait() == [Gap("a", 7, 3, 3, "reaped")]
    new.ack({"a": Cursor(7, 3)})
    assert ledger.lags("c") == {}
