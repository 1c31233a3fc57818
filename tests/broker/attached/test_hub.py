"""What the owner does with what producers send: each event once, whatever comes again."""

from __future__ import annotations

import pytest

from arena_tui.broker.attached.frames import frames_of
from arena_tui.broker.attached.wire import Append, Events, Missing, Sent
from arena_tui.broker.mirror.calls import CLOSED, NO_RUN
from arena_tui.broker.numbered import Numbered
from arena_tui.broker.protocol import Cursor, RunMeta
from arena_tui.codec import sealed
from arena_tui.errors import UsageError
from arena_tui.events import Envelope, Gap, LogEvent
from tests.broker.attached.hubs import ALIVE, FOREIGN, GONE, HOLDERS, Owner, Past, events, stored


async def test_a_call_that_comes_again_is_answered_as_done() -> None:
    owner = Owner()
    first = await owner.append(1, 3)

    assert await owner.append(1, 3) == first
    assert owner.held == ["1", "2", "3"]


async def test_of_a_call_that_was_half_known_only_the_rest_is_appended() -> None:
    owner = Owner()
    await owner.append(1, 3)

    epoch, seq = await owner.append(2, 5)

    assert (epoch, seq) == (owner.epoch, 5)
    assert owner.held == ["1", "2", "3", "4", "5"]


async def test_producers_of_a_run_are_counted_apart() -> None:
    owner = Owner()
    await owner.append(1, 2, "p")
    await owner.append(1, 2, "q")
    await owner.append(2, 3, "p")

    assert owner.held == ["1", "2", "1", "2", "3"]


async def test_what_a_producer_gave_up_is_a_gap_told_once() -> None:
    owner = Owner()
    await owner.append(1, 2)

    await owner.append(6, 7, lost=3)
    await owner.append(6, 7, lost=3)

    assert owner.held == ["1", "2", "gap of 3", "6", "7"]


@pytest.mark.parametrize(("first", "lost", "found"), [
    (5, 9, ["1", "2", "gap of 2", "5", "6"]),  # of what was given up, what had come is not missing
    (5, 1, ["1", "2", "gap of 1", "5", "6"]),
    (5, 0, ["1", "2", "5", "6"]),
    (3, 2, ["1", "2", "3", "4"]),
    (2, 1, ["1", "2", "3"]),
])  # fmt: skip
async def test_only_what_has_not_come_before_is_missing(
    first: int, lost: int, found: list[str]
) -> None:
    owner = Owner()
    await owner.append(1, 2)

    await owner.append(first, first + 1, lost=lost)

    assert owner.held == found


async def test_each_event_takes_its_producer_s_number_of_it_along() -> None:
    owner = Owner()
    await owner.append(1, 3, "p")
    await owner.append(1, 1, "q")
    await owner.append(2, 5, "p")

    found, _ = owner.log.read(0, 100, owner.log.last)
    raws = [each.raw for each in found]
    assert [(raw.producer, raw.number) for raw in raws if isinstance(raw, Numbered)] == [
        ("p", 1), ("p", 2), ("p", 3), ("q", 1), ("p", 4), ("p", 5),
    ]  # fmt: skip


async def test_an_ended_run_takes_nothing_but_answers_its_last_call_again() -> None:
    owner = Owner()
    end = await owner.append(1, 3, ends=True)

    assert await owner.append(1, 3, ends=True) == end
    assert await owner.append(4, 4) == (CLOSED, 0)


async def test_a_run_that_nobody_holds_is_opened_only_where_it_may_be() -> None:
    owner = Owner()

    assert await owner.append(1, 1, may_open=False) == (NO_RUN, 0)
    assert owner.broker.ledger.streams == {}


async def test_a_stored_run_of_one_producer_goes_on_in_its_stream() -> None:
    owner = Owner(Past(a=stored(p=10)))

    assert await owner.append(9, 12) == (5, 12)
    assert owner.held == ["11", "12"]


async def test_a_stored_run_of_two_producers_goes_on_in_a_new_stream() -> None:
    owner = Owner(Past(a=stored(p=6, q=4)))

    epoch, seq = await owner.append(5, 8)

    assert epoch > 5
    assert seq == 2
    assert owner.held == ["7", "8"]
    (info,) = await owner.broker.runs()
    assert info.ended == (Cursor(5, 10),)


async def test_a_stored_run_that_another_producer_goes_on_with_is_a_new_stream() -> None:
    owner = Owner(Past(a=stored(p=10)))

    epoch, _ = await owner.append(1, 1, "q")

    assert epoch > 5


async def test_what_is_stored_already_is_answered_without_opening_the_run() -> None:
    for past in (stored(p=10), stored(over=True, p=10)):
        owner = Owner(Past(a=past))

        assert await owner.append(8, 10) == (5, 10)
        assert owner.broker.ledger.streams == {}


async def test_a_stored_run_that_is_over_takes_nothing_more() -> None:
    owner = Owner(Past(a=stored(over=True, p=10)))

    assert await owner.append(11, 11) == (CLOSED, 0)


@pytest.mark.parametrize("first", ["alive", "foreign"])
async def test_of_several_who_ask_for_an_id_the_first_has_it(first: str) -> None:
    owner = Owner()

    assert await owner.claim(HOLDERS[first])
    assert not await owner.claim("elsewhere 2 2")
    assert await owner.claim(HOLDERS[first])


async def test_an_id_whose_process_is_gone_is_handed_over() -> None:
    owner = Owner()

    assert await owner.claim(GONE)
    assert await owner.claim(ALIVE)
    assert not await owner.claim(FOREIGN)


@pytest.mark.parametrize(("holder", "silent_s", "handed_over"), [
    ("alive", 0, False), ("alive", 100, False), ("gone", 0, True),
    ("foreign", 0, False), ("foreign", 100, True),
])  # fmt: skip
async def test_an_open_run_is_handed_over_once_its_process_is_gone_or_silent_and_unseen(
    holder: str, silent_s: float, handed_over: bool
) -> None:
    owner = Owner()
    await owner.append(1, 3, process=HOLDERS[holder])
    await owner.broker.runs()  # which notices when the newest event came
    owner.now += silent_s

    assert await owner.claim("elsewhere 2 2") is handed_over


@pytest.mark.parametrize("asking", HOLDERS.values(), ids=HOLDERS)
async def test_an_id_whose_run_is_over_is_taken_for_good(asking: str) -> None:
    held, kept = Owner(), Owner(Past(a=stored(over=True, p=10)))
    await held.append(1, 3, ends=True, process=asking)

    assert not await held.claim(asking)
    assert not await kept.claim(asking)


async def test_a_stored_run_that_has_not_ended_is_handed_over_once() -> None:
    owner = Owner(Past(a=stored(p=10)))

    assert await owner.claim(ALIVE)
    assert not await owner.claim(FOREIGN)


async def test_a_bad_event_in_a_call_keeps_all_of_it_out() -> None:
    owner = Owner()
    sent = Sent("p", 1, 0, False, True, RunMeta(run_id="a"), [*events(1, 2), b"no event"])

    (row,) = await owner.hub.answer(Append(owner=owner.hub.id, process="1-1", calls=[sent]))

    assert "not a JSON object" in row
    assert owner.broker.ledger.streams == {}


async def test_more_events_than_the_loop_may_be_held_for_are_refused() -> None:
    owner = Owner()
    with pytest.raises(UsageError, match="4,001 events at once"):
        await owner.append(1, 4_001)

    assert await owner.append(1, 4_000) == (owner.epoch, 4_000)


def test_large_events_are_sent_in_several_frames_and_small_ones_in_one() -> None:
    def deliveries(size: int) -> list[Envelope | Gap]:
        event, raw = sealed(LogEvent(text="x" * size))
        return [Envelope("a", 1, seq, event, raw) for seq in range(1, 201)]

    (small,) = frames_of(deliveries(1))
    large = frames_of([*deliveries(10_000), Gap("a", 1, 201, 300, "trimmed")])

    assert isinstance(small, Events)
    assert len(small.events) == 200
    assert len(large) > 10
    assert isinstance(large[-1], Missing)
    following = 1
    for each in large[:-1]:
        assert isinstance(each, Events)
        assert each.first_seq == following
        following += len(each.events)
    assert following == 201
