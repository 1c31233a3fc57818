"""Background tasks that fail, and what asyncio reports of them."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from arena_tui.broker.tasks import Failures, keep_quiet_of_lost_connections, restart_on_failure
from arena_tui.broker.warnings import Warnings
from tests.waiting import until


async def test_a_task_that_fails_again_and_again_is_restarted_and_said_to_have_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun = 0
    warnings = Warnings()

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun > 3:
            await asyncio.Event().wait()
        raise ZeroDivisionError

    task = asyncio.create_task(restart_on_failure("reader", work, warnings, (0.0, 0.0)))
    await until(lambda: begun == 4)
    task.cancel()

    assert caplog.messages == ["the reader failed and is started again: ZeroDivisionError()"] * 3


async def test_a_connection_that_was_given_up_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    keep_quiet_of_lost_connections(loop)

    with caplog.at_level(logging.ERROR):
        for error in (ConnectionResetError(), ValueError("a bug")):
            future: asyncio.Future[None] = loop.create_future()
            future.set_exception(error)
            del future
        gc.collect()

    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["a bug"]


async def test_keeping_quiet_again_on_the_same_loop_adds_nothing() -> None:
    loop = asyncio.get_running_loop()

    keep_quiet_of_lost_connections(loop)
    first = loop.get_exception_handler()
    keep_quiet_of_lost_connections(loop)

    assert first is not None
    assert loop.get_exception_handler() is first


async def test_what_its_user_handles_goes_on_to_be_handled() -> None:
    loop = asyncio.get_running_loop()
    handled: list[object] = []
    loop.set_exception_handler(lambda _, context: handled.append(context["message"]))

    keep_quiet_of_lost_connections(loop)
    loop.call_exception_handler({"message": "a bug"})

    assert handled == ["a bug"]


def test_failing_work_is_warned_of_once_until_it_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    warnings = Warnings()
    failures = Failures(warnings)

    for _ in range(2):
        for _ in range(3):
            failures.record("checking run a", ValueError("odd"))
        with failures.survived("checking run a"):
            pass

    said = "checking run a failed and goes on: ValueError('odd'): see the log"
    assert [str(each) for each in warnings.newest()] == caplog.messages == [said] * 2
    assert failures.count == 6


def test_only_the_newest_failing_work_is_remembered() -> None:
    warnings = Warnings()
    failures = Failures(warnings)

    for number in [*range(2_000), 1_999, 0]:
        failures.record(f"checking run {number}", ValueError("odd"))

    assert warnings.counts() == {"work_failed": 2_001}
    assert "checking run 0 " in str(warnings.newest()[-1])
