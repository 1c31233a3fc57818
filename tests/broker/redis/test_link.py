"""Warnings of a link that fails and recovers."""

from __future__ import annotations

import pytest
from redis.exceptions import AuthenticationError, ConnectionError, TimeoutError

from arena_tui.broker.redis.advice import Advice
from arena_tui.broker.redis.link import RedisLink
from arena_tui.broker.timing import Timing
from arena_tui.broker.warnings import Warnings
from arena_tui.broker_url import BrokerUrl
from tests.conftest import FakeClock


async def test_a_link_was_away_from_the_last_answer_to_the_next_whenever_that_was_noticed(
    clock: FakeClock,
) -> None:
    warnings = Warnings()
    link = RedisLink(BrokerUrl("redis://127.0.0.1"), warnings, Timing(), clock)

    link.on_success("reader")
    clock.now += 5
    await link.on_failure("reader", TimeoutError(), 0)
    clock.now += 2
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


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("redis://127.0.0.1", "is it running? `arena-tui redis` starts one"),
        ("redis://localhost:6390", "is it running? `arena-tui redis --port 6390` starts one"),
        ("redis://games.example", "is it running, and may this machine reach it?"),
        ("rediss://127.0.0.1", "is it running?"),
        ("unix:///run/redis.sock", "is it running?"),
    ],
)
def test_advice_on_a_server_that_is_not_there_fits_its_url(url: str, advice: str) -> None:
    refusal = Advice(BrokerUrl(url)).refusal(ConnectionError("Error 111 connecting to x. Refused."))

    assert refusal.partition("): ")[2] == advice


def test_advice_on_a_wrong_password_does_not_ask_for_one_that_was_given() -> None:
    with_one, without = (
        Advice(BrokerUrl(url)).refusal(AuthenticationError("WRONGPASS"))
        for url in ("redis://:secret@127.0.0.1", "redis://127.0.0.1")
    )

    assert with_one.endswith("the password: check both in the URL, or REDIS_PASSWORD")
    assert without.endswith("give both in the URL, or set REDIS_PASSWORD")
