"""The age of what is unread counts from its arrival, whatever its producer's clock says."""

from __future__ import annotations

from arena_tui.broker.behind import Behind
from arena_tui.broker.ledger import Ledger
from arena_tui.broker.protocol import RunMeta
from tests.broker.test_ledger import LIMITS, append, recover
from tests.conftest import FakeClock


async def test_old_events_are_as_old_as_they_have_been_here(clock: FakeClock) -> None:
    ledger = Ledger(LIMITS, clock, held=LIMITS)
    reader = ledger.subscribe("reader", None, "oldest", False, recover)
    stream = ledger.attach(RunMeta(run_id="a"), 7, 0)
    append(ledger, stream)  # its ts is of the wall clock, which this one is far from
    ages = [reader.stats().lag_s]
    clock.now += 5
    append(ledger, stream)
    ages.append(reader.stats().lag_s)
    await anext(reader)
    ages.append(reader.stats().lag_s)

    assert ages == [0.0, 5.0, 0.0]


def test_what_was_read_no_longer_counts_and_what_came_later_does() -> None:
    behind = Behind()
    ages = [
        behind.age_s(published, unread, now)
        for published, unread, now in [
            (10, 10, 0.0), (20, 20, 3.0), (20, 10, 4.0), (20, 5, 6.0), (20, 0, 7.0), (30, 10, 9.0),
        ]
    ]  # fmt: skip

    assert ages == [0.0, 3.0, 1.0, 3.0, 0.0, 0.0]


def test_a_reader_that_never_reads_keeps_its_first_sample() -> None:
    behind = Behind()

    ages = [behind.age_s(number, number, float(number)) for number in range(1, 5_000)]

    assert ages[-1] == 4_998.0
