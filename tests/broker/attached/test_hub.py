"""What the owner does with what producers send: each event once, whatever comes again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest

from arena_tui.broker.attached.frames import frames_of
from arena_tui.broker.attached.hub import Hub
from arena_tui.broker.attached.wire import Append, Claim, Events, Missing, Sent
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.mirror.calls import CLOSED, NO_RUN
from arena_tui.broker.numbered import Recalled
from arena_tui.broker.owner import own_name
from arena_tui.broker.protocol import Cursor, RunMeta
from arena_tui.codec import sealed
from arena_tui.errors import UsageError
from arena_tui.events import Delivery, Envelope, Gap, LogEvent, RunEnd

ALIVE = own_name()
GONE = f"{ALIVE}0"
"""Of this process id, but another beginning."""

FOREIGN = "elsewhere 1 1"
"""Of another machine, where nobody can look for it."""


class Past:
    """What is stored of runs, as a test says."""

    def __init__(self, **runs: Recalled) -> None:
        self._runs = runs

    async def recall(self, run_ids: Collection[str]) -> Mapping[str, Recalled]:
        return {run_id: self._runs[run_id] for run_id in run_ids if run_id in self._runs}

    async def window(self, *_: object) -> Sequence[Delivery]:
        return ()


def stored(over: bool = False, **numbers: int) -> Recalled:
    """Ten events of a run in epoch 5, from these producers."""
    alone = next(iter(numbers)) if len(numbers) == 1 else None
    return Recalled(5, 10, over, numbers, alone)


def events(first: int, last: int, ends: bool = False) -> list[bytes]:
    found = [sealed(LogEvent(text=str(number)))[1] for number in range(first, last + 1)]
    return [*found[:-1], sealed(RunEnd())[1]] if ends else found


class Owner:
    """A hub, and what its broker holds of the run `a`."""

    def __init__(self, past: Past | None = None) -> None:
        self.now = 1_000.0
        self.broker = InProcessBroker(clock=lambda: self.now)
        self.hub = Hub(self.broker, past or Past())

    async def append(
        self, first: int, last: int, producer: str = "p", lost: int = 0, ends: bool = False,
        may_open: bool = True, process: str = FOREIGN,
    ) -> Any:  # fmt: skip
        sent = Sent(producer, first, lost, ends, may_open, RunMeta(run_id="a"),
                    events(first, last, ends))  # fmt: skip
        (row,) = await self.hub.answer(Append(owner=self.hub.id, process=process, calls=[sent]))
        return row

    async def claim(self, process: str) -> bool:
        """Whether the process has the id now."""
        asked = Claim(owner=self.hub.id, process=process, run_id="a")
        answer: bool = await self.hub.answer(asked)
        return answer

    @property
    def held(self) -> list[str]:
        """Texts of the events, and lengths of the gaps."""
        log = self.broker.ledger.streams["a"].log
        found, _ = log.read(log.first - 1, 1_000, log.last)
        return [_text(each) for each in found]

    @property
    def epoch(self) -> int:
        return self.broker.ledger.streams["a"].log.epoch


def _text(each: Delivery) -> str:
    if isinstance(each, Gap):
        return f"gap of {each.count}"
    return each.event.text if isinstance(each.event, LogEvent) else each.event.kind


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


@pytest.mark.parametrize("first", [ALIVE, FOREIGN])
async def test_of_several_who_ask_for_an_id_the_first_has_it(first: str) -> None:
    owner = Owner()

    assert await owner.claim(first)
    assert not await owner.claim("elsewhere 2 2")
    assert await owner.claim(first)


async def test_an_id_whose_process_is_gone_is_handed_over() -> None:
    owner = Owner()

    assert await owner.claim(GONE)
    assert await owner.claim(ALIVE)
    assert not await owner.claim(FOREIGN)


@pytest.mark.parametrize(("holder", "silent_s", "handed_over"), [
    (ALIVE, 0, False), (ALIVE, 100, False), (GONE, 0, True),
    (FOREIGN, 0, False), (FOREIGN, 100, True),
])  # fmt: skip
async def test_an_open_run_is_handed_over_once_its_process_is_gone_or_silent_and_unseen(
    holder: str, silent_s: float, handed_over: bool
) -> None:
    owner = Owner()
    await owner.append(1, 3, process=holder)
    await owner.broker.runs()  # which notices when the newest event came
    owner.now += silent_s

    assert await owner.claim("elsewhere 2 2") is handed_over


@pytest.mark.parametrize("asking", [ALIVE, GONE, FOREIGN])
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
