"""What is said of a link that breaks and mends."""

from __future__ import annotations

from redis.exceptions import ConnectionError, TimeoutError

from arena_tui.broker.redis.link import Link
from arena_tui.broker.timing import Timing
from arena_tui.broker_url import BrokerUrl
from tests.conftest import FakeClock


async def test_a_link_was_away_from_the_first_failure_to_the_last_success(
    clock: FakeClock,
) -> None:
    said: list[str] = []
    link = Link(BrokerUrl("redis://127.0.0.1"), said.append, Timing(), clock)

    await link.failed("reader", TimeoutError(), 0)
    clock.now += 7
    await link.failed("acks", ConnectionError(), 0)
    problem = link.problem
    clock.now += 3
    link.works("reader")
    clock.now += 1
    link.works("acks")

    assert problem == "redis 127.0.0.1:6379 does not answer for 7 s"
    assert said == [
        "redis 127.0.0.1:6379 does not answer: trying again",
        "redis 127.0.0.1:6379 works again, after 11.0 s",
    ]
