"""What the owner answers about its runs and what is stored of them, and how it ends one."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from arena_tui.broker.attached.wire import (
    Beat,
    End,
    Events,
    Fetch,
    Frames,
    Missing,
    Newest,
    Reap,
    Stored,
)
from arena_tui.broker.protocol import STORE, Cursor
from arena_tui.errors import UsageError
from arena_tui.events import Delivery, Envelope, Gap, LogEvent, RunEnd
from tests.broker.attached.hubs import ALIVE, FOREIGN, GONE, Owner, Past, stored
from tests.envelopes import envelope
from tests.waiting import pause, until


async def fetched(owner: Owner, first: int, last: int, epoch: int | None = None) -> list[str]:
    """The seqs of a gap as they are answered, `first-last` for what is missing."""
    at = owner.epoch if epoch is None else epoch
    answer = await owner.ask(Fetch, run_id="a", epoch=at, from_seq=first, to_seq=last)
    found = []
    for frame in Frames().take(answer):
        assert isinstance(frame, Events | Missing)
        assert (frame.run_id, frame.epoch) == ("a", at)
        if isinstance(frame, Events):
            found += [str(frame.first_seq + number) for number in range(len(frame.events))]
        else:
            found.append(f"{frame.from_seq}-{frame.to_seq}")
    return found


def kept(epoch: int, *seqs: int) -> list[Delivery]:
    return [envelope("a", epoch, seq, LogEvent()) for seq in seqs]


async def test_a_gap_is_read_from_the_store_as_far_as_that_goes_then_from_the_broker() -> None:
    past = Past()
    owner = Owner(past)
    await owner.append(1, 10)
    owner.log.trim_to(6)
    past.deliveries = kept(owner.epoch, 1, 2, 3, 4)

    assert await fetched(owner, 1, 10) == ["1", "2", "3", "4"]
    assert await fetched(owner, 3, 3) == ["3"]
    assert await fetched(owner, 5, 10) == ["5-6", "7", "8", "9", "10"]
    assert await fetched(owner, 7, 8) == ["7", "8"]
    assert await fetched(owner, 10, 12) == ["10"]
    assert await fetched(owner, 11, 12) == []
    assert await fetched(owner, 5, 6) == []


async def test_what_the_store_has_not_is_missing_before_what_it_has() -> None:
    owner = Owner(Past([Gap("a", 5, 3, 4, "trimmed"), *kept(5, 5, 6)]))

    assert await fetched(owner, 1, 9, epoch=5) == ["1-2", "3-4", "5", "6"]
    assert await fetched(owner, 3, 9, epoch=5) == ["3-4", "5", "6"]


async def test_a_gap_of_another_stream_of_the_run_is_read_from_the_store_alone() -> None:
    owner = Owner(Past(kept(5, 1, 2)))
    await owner.append(1, 3)

    assert await fetched(owner, 1, 3, epoch=5) == ["1", "2"]
    assert await fetched(owner, 3, 3, epoch=5) == []


async def stored_to(owner: Owner, seq: int = 0) -> Cursor:
    """The answer to who knows that the run is stored up to there."""
    known = {"a": Cursor(owner.epoch, seq)}
    answer: dict[str, Cursor] = await owner.ask(Stored, known=known)
    return answer["a"]


async def test_what_is_stored_is_what_the_store_has_acked() -> None:
    owner = Owner()
    store = owner.broker.subscribe(STORE, durable=True)
    await owner.append(1, 3)
    store.ack({"a": Cursor(owner.epoch, 2)})

    assert await stored_to(owner) == (owner.epoch, 2)


async def test_who_asks_waits_until_more_is_stored() -> None:
    owner = Owner()
    store = owner.broker.subscribe(STORE, durable=True)
    await owner.append(1, 3)
    asking = asyncio.create_task(stored_to(owner))
    await pause(0.01)
    assert not asking.done()

    store.ack({"a": Cursor(owner.epoch, 3)})
    await until(asking.done)

    assert asking.result() == (owner.epoch, 3)


async def test_nothing_is_stored_while_the_store_has_yet_to_begin() -> None:
    owner = Owner()
    await owner.append(1, 3)

    assert await stored_to(owner) == (owner.epoch, 0)


async def test_where_nothing_is_kept_everything_counts_as_stored() -> None:
    owner = Owner(Past(is_kept=False))
    await owner.append(1, 3)

    assert await stored_to(owner) == (owner.epoch, 3)


async def test_a_run_that_is_let_go_is_stored() -> None:
    owner = Owner()

    answer = await owner.ask(Stored, known={"a": Cursor(7, 3)})

    assert answer["a"] > Cursor(7, 2**53)


async def end(owner: Owner) -> None:
    await owner.ask(End, run_id="a", status="stopped", reason="by hand")


async def test_a_run_whose_process_is_gone_is_ended_and_that_is_stored() -> None:
    owner = Owner()
    store = owner.broker.subscribe(STORE, durable=True)
    await owner.append(1, 3, process=GONE)
    ending = asyncio.create_task(end(owner))
    await until(lambda: owner.held == ["1", "2", "3", "run_end"])
    await pause(0.01)
    assert not ending.done()

    store.ack({"a": Cursor(owner.epoch, 4)})
    await ending

    (*_, last), _ = owner.log.read(0, 100, owner.log.last)
    assert isinstance(last, Envelope)
    assert isinstance(last.event, RunEnd)
    assert (last.event.status, last.event.reason) == ("stopped", "by hand")


async def test_a_run_that_is_only_stored_is_ended_after_its_newest_event() -> None:
    owner = Owner(Past(a=stored(p=10)))

    await end(owner)

    assert (owner.epoch, owner.log.last, owner.held) == (5, 11, ["run_end"])


async def test_a_run_of_this_process_or_of_one_that_is_alive_is_not_ended() -> None:
    for process in (ALIVE, None):
        owner = Owner()
        if process is None:
            await owner.broker.open_run(owner.meta)
        else:
            await owner.append(1, 3, process=process)

        with pytest.raises(UsageError, match="run a is alive"):
            await end(owner)

        assert "run_end" not in owner.held


@pytest.mark.parametrize("past", [Past(), Past(a=stored(over=True, p=10))])
async def test_a_run_that_is_over_or_unknown_cannot_be_ended(past: Past) -> None:
    owner = Owner(past)

    with pytest.raises(UsageError, match="run a has ended"):
        await end(owner)

    assert owner.broker.ledger.streams == {}


async def test_a_run_that_beats_is_no_silent_one() -> None:
    owner = Owner()
    await owner.append(1, 3)
    await owner.broker.runs()
    owner.now += 100

    await owner.ask(Beat, process=FOREIGN, run_ids=["a"])

    (info,) = await owner.broker.runs()
    assert (info.state, info.silent_s) == ("open", 0)


async def test_a_run_that_has_ended_is_let_go_and_an_unknown_one_is_no_error() -> None:
    owner = Owner()
    await owner.append(1, 3, ends=True)

    await owner.ask(Reap, run_id="a")
    await owner.ask(Reap, run_id="a")

    assert await owner.ask(Newest) == {}


async def test_who_publishes_or_beats_is_attached_and_who_only_asks_is_not() -> None:
    for asked, found in [
        ((Newest, {}), []),
        ((Beat, {"process": FOREIGN, "run_ids": []}), [(1, "producer")]),
    ]:
        owner = Owner()
        make, fields = asked
        await owner.ask(make, **fields)
        assert owner.hub.processes.attached() == found

    owner = Owner()
    await owner.append(1, 1)
    assert owner.hub.processes.attached() == [(1, "producer")]


async def test_a_producer_that_has_ended_is_attached_no_longer() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    owner = Owner()
    await owner.append(1, 1, process=f"{ALIVE.partition(' ')[0]} {process.pid} 1")
    await owner.append(1, 1, process=FOREIGN, run_id="b")

    assert owner.hub.processes.attached() == [(1, "producer")]


async def test_of_runs_that_are_let_go_it_is_forgotten_who_published_them() -> None:
    owner = Owner()
    await owner.append(1, 3, ends=True, process=GONE)
    await owner.append(1, 3, process=GONE, run_id="held")
    assert owner.hub.abandoned() == {"a", "held"}

    await owner.ask(Reap, run_id="a")
    for number in range(4, 258):  # the last one tidies
        row = await owner.append(number, number, process=GONE, run_id="held")

    assert owner.hub.abandoned() == {"held"}
    assert await owner.append(257, 257, run_id="held") == row
    assert await owner.append(256, 258, run_id="held") == (row[0], 258)
