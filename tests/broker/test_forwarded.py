"""What a forwarder can tell of a run: that it goes on, begins again, or has lost something."""

from __future__ import annotations

import pytest

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import Cursor, RunMeta
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery, Gap, LogEvent, RunEnd


def told(batch: list[Delivery]) -> list[tuple[int, int]]:
    """Epoch and seq of each event."""
    return [(each.epoch, each.last_seq) for each in batch if not isinstance(each, Gap)]


async def test_a_run_that_goes_on_elsewhere_is_no_gap_to_those_who_have_it() -> None:
    broker = InProcessBroker()
    screen = broker.subscribe("screen")
    late = broker.subscribe("late", start="newest")
    store = broker.subscribe("store", start={"a": Cursor(7, 5)}, durable=True)
    other = broker.subscribe("other", start={}, durable=True)

    await broker.open_run(RunMeta(run_id="a"), 7, first=6)
    await broker.publish("a", LogEvent())

    assert [told(each.read_nowait()) for each in (screen, late, store)] == [[(7, 6)]] * 3
    assert other.read_nowait()[0] == Gap("a", 7, 1, 5, "trimmed")
    assert broker.lags("store") == {"a": 1}


@pytest.mark.parametrize("ended", [False, True], ids=["open", "ended"])
async def test_a_run_that_begins_again_is_a_new_epoch_and_loses_nothing(ended: bool) -> None:
    broker = InProcessBroker()
    store = broker.subscribe("store", durable=True)
    await broker.open_run(RunMeta(run_id="a"), 7)
    await broker.publish("a", RunEnd() if ended else LogEvent())

    await broker.forwarded.begin_again(RunMeta(run_id="a", game="chess"), 3)
    await broker.publish("a", LogEvent())

    assert told(store.read_nowait()) == [(7, 1), (8, 1)]
    [info] = await broker.runs()
    assert (info.meta.game, info.epoch, info.state) == ("chess", 8, "open")
    assert (await broker.stats()).published == 2
    store.ack({"a": Cursor(8, 1)})
    assert broker.lags("store") == {}


async def test_only_a_run_that_is_held_begins_again() -> None:
    with pytest.raises(UnknownRunError):
        await InProcessBroker().forwarded.begin_again(RunMeta(run_id="a"), 1)


async def test_a_loss_is_told_where_it_lies_and_not_of_a_run_that_has_ended() -> None:
    broker = InProcessBroker()
    store = broker.subscribe("store", durable=True)
    await broker.open_run(RunMeta(run_id="a"), 7)
    await broker.publish("a", LogEvent())

    await broker.forwarded.tell_loss("a")
    await broker.publish("a", RunEnd())
    await broker.forwarded.tell_loss("a")

    gaps = [each for each in store.read_nowait() if isinstance(each, Gap)]
    assert gaps == [Gap("a", 7, 2, 1, "unknown")]
