"""What consumers read without decoding it again, and what the window lets go."""

from __future__ import annotations

from arena_tui.broker.ledger import Ledger
from arena_tui.broker.protocol import Limits, RunMeta
from arena_tui.broker.ring import RunLog
from arena_tui.broker.stream import RunStream
from arena_tui.broker.window import Window
from arena_tui.codec import sealed
from arena_tui.events import Delivery, Envelope, Event, Gap, LogEvent

RUNS = 20


def publish(ledger: Ledger, count: int) -> list[Event]:
    """Append to each of `RUNS` runs in turn; returns the events."""
    published: list[Event] = []
    for number in range(count):
        run_id = f"run-{number % RUNS}"
        stream = ledger.streams.get(run_id) or ledger.open(RunMeta(run_id=run_id), 1)
        event, raw = sealed(LogEvent(turn=number))
        ledger.append(stream, event, raw)
        published.append(event)
    return published


def same(deliveries: list[Delivery], events: list[Event]) -> bool:
    """Whether these are the very objects that were published, not decoded again."""
    found = [each.event for each in deliveries if isinstance(each, Envelope)]
    return len(found) == len(events) and all(a is b for a, b in zip(found, events, strict=True))


async def test_a_consumer_far_behind_reads_the_very_events_that_were_published() -> None:
    ledger = Ledger(Limits(), lambda: 0.0)
    fast = ledger.subscribe("fast", None, "oldest", durable=True)
    slow = ledger.subscribe("slow", None, "oldest", durable=False)

    published: list[Event] = []
    stored: list[Delivery] = []
    for _ in range(20):
        published += publish(ledger, 1_000)
        stored += fast.read_nowait(1_000)
    seen = slow.read_nowait(20_000)

    assert same(stored, published)
    assert same(seen, published)


async def test_what_every_consumer_has_read_leaves_the_window() -> None:
    ledger = Ledger(Limits(), lambda: 0.0)
    readers = [ledger.subscribe(name, None, "oldest", durable=False) for name in ("one", "two")]

    for _ in range(50):
        publish(ledger, 1_000)
        for reader in readers:
            reader.read_nowait(1_000)

    assert ledger.window.end == 50_000
    assert ledger.window.start > 40_000


async def test_a_consumer_too_far_behind_for_the_window_still_reads_all() -> None:
    ledger = Ledger(Limits(), lambda: 0.0)
    slow = ledger.subscribe("slow", None, "oldest", durable=False)

    published = publish(ledger, 100_000)
    found: list[Delivery] = []
    while batch := slow.read_nowait(1_000):
        found += batch

    assert len(found) == len(published)
    by_run: dict[str, list[int]] = {}
    for each in found:
        by_run.setdefault(each.run_id, []).append(each.first_seq)
    assert all(seqs == list(range(1, 5_001)) for seqs in by_run.values())
    assert not same(found, published)


async def test_a_reader_pushed_out_by_the_resets_of_a_run_gets_each_of_them_once() -> None:
    limits = Limits(capacity=4, retain=2)
    ledger = Ledger(limits, lambda: 0.0, held=limits)
    slow = ledger.subscribe("slow", None, "oldest", durable=False)
    stream = ledger.open(RunMeta(run_id="a"), 1)
    resets = [Gap("a", epoch, 1, 2, "reset") for epoch in range(2, 9)]

    for _ in range(3):
        ledger.append(stream, *sealed(LogEvent()))
    ledger.renew(stream, 9, resets)
    found: list[Delivery] = []
    while batch := slow.read_nowait():
        found += batch

    assert found[3:] == resets
    assert slow.stats().in_gaps == 14


def test_what_is_too_long_for_the_window_leaves_it_entry_by_entry() -> None:
    stream = RunStream(RunMeta(run_id="a"), RunLog("a", 7, Limits()), 0.0)
    window = Window(events_max=100, bytes_max=10)
    for size in (1, 1, 5, 5, 5):
        window.append(stream, Gap("a", 7, 1, 1, "trimmed"), size)

    assert window.slide(0) == 3
