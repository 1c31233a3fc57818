"""Warnings of a link that fails and recovers."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError, TimeoutError

from arena_tui.broker.redis.link import RedisLink
from arena_tui.broker.timing import Timing
from arena_tui.broker.warnings import Warnings
from arena_tui.broker_url import BrokerUrl
from tests.conftest import FakeClock


async def test_a_link_was_away_from_the_first_failure_to_the_last_success(
    clock: FakeClock,
) -> None:
    warnings = Warnings()
    link = RedisLink(BrokerUrl("redis://127.0.0.1"), warnings, Timing(), clock)

    await link.on_failure("reader", TimeoutError(), 0)
    clock.now += 7
    await link.on_failure("acks", ConnectionError(), 0)
    problem = link.problem
    clock.now += 3
    link.on_success("reader")
    clock.now += 1
    link.on_success("acks")

    assert problem == "redis 127.0.0.1:6379 does not answer for 7 s"
    assert [str(each) for each in warnings.newest()] == [
        "redis 127.0.0.1:6379 does not answer: trying again",
        "redis 127.0.0.1:6379 works again, after 11.0 s",
    ]


async def test_the_first_retry_is_the_soonest(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[int] = []
    answers = iter([TimeoutError(), ConnectionError(), None])

    async def note(link: RedisLink, role: str, error: BaseException, attempt: int) -> None:
        attempts.append(attempt)

    async def work() -> str:
        if error := next(answers):
            raise error
        return "done"

    monkeypatch.setattr(RedisLink, "on_failure", note)
    link = RedisLink(BrokerUrl("redis://127.0.0.1"), Warnings(), Timing())

    assert await link.retry("test", work) == "done"
    assert attempts == [0, 1]


async def test_after_any_number_of_attempts_it_is_tried_again() -> None:
    timing = Timing(backoff_s=(1e-9, 1e-6))
    link = RedisLink(BrokerUrl("redis://127.0.0.1"), Warnings(), timing)

    for attempt in (0, 1_000, 2_000, 10**6):
        await link.on_failure("writer", TimeoutError(), attempt)

    assert link.problem is not None
