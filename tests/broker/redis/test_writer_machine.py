"""Any batches, sizes and answers against a real server: the writer neither stops nor lies.

Answers get lost before or after the script has run, the server refuses what it may have appended,
and a bug garbles what it says. Whatever happens, every caller is answered, what was acknowledged is
on the server, nothing is doubled or out of order, and only what was refused is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from redis.exceptions import NoPermissionError, ResponseError, TimeoutError

from arena_tui.broker.mirror.writer import Writer
from arena_tui.broker.protocol import Limits
from arena_tui.broker.redis.connection import Command, Line
from arena_tui.broker.redis.link import RedisLink
from arena_tui.broker.redis.outlet import RedisOutlet
from arena_tui.broker.tasks import cancel_until_done
from arena_tui.broker.timing import Timing
from arena_tui.broker.warnings import Warnings
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import sealed
from arena_tui.events import LogEvent
from tests.conftest import SERVERS
from tests.faults.accounts import entries

Answer: TypeAlias = Literal[
    "given", "cut before", "cut after", "not permitted", "refused before", "refused after", "bug"
]

TIMING = Timing(backoff_s=(0.0, 0.0))
SIZES = (1, 90, 5_000, 20_000, 100_000, 200_000)
RUNS = ("a", "b", "c", "d", "e")
AT_MOST_S = 30


class Unreliable(Line):
    """A line on which the next exchanges end as listed."""

    next: list[Answer]

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        answer = self.next.pop(0) if self.next else "given"
        if answer == "cut before":
            raise TimeoutError("cut before")
        if answer == "not permitted":
            return [NoPermissionError("not now")] * len(commands)
        if answer == "refused before":
            return [ResponseError("refused")] * len(commands)
        *opened, rows = await super().exchange(commands)
        if answer == "cut after":
            raise TimeoutError("cut after")
        if answer == "refused after":
            return [*opened, [ResponseError("refused")] * len(rows)]
        if answer == "bug":
            return [*opened, [None] * len(rows)]
        return [*opened, rows]


class UnreliableLink(RedisLink):
    """A link whose line is unreliable."""

    def line(self, block_s: float = 0.0) -> Unreliable:
        self.unreliable = Unreliable(self.client(None), block_s + TIMING.command_s)
        self.unreliable.next = []
        return self.unreliable


class WriterMachine(RuleBasedStateMachine):
    url: Callable[[], str]

    @initialize()
    def setup(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.at = self.url()
        self.loop.run_until_complete(self.open())
        self.sent: dict[str, list[int]] = {run_id: [] for run_id in RUNS}
        self.acknowledged: dict[str, set[int]] = {run_id: set() for run_id in RUNS}
        self.refused = 0

    async def open(self) -> None:
        self.link = UnreliableLink(BrokerUrl(self.at), Warnings(), TIMING)
        await self.link.check()
        self.writer = Writer(self.link, RedisOutlet(self.link, Limits().capacity), TIMING)
        self.task = asyncio.create_task(self.writer.run())

    @rule(
        answers=st.lists(
            st.sampled_from(["given", "cut before", "cut after", "not permitted"]), max_size=12
        )
    )
    def the_link_gets_worse(self, answers: list[Answer]) -> None:
        self.link.unreliable.next += answers

    @rule(
        answer=st.sampled_from(["refused before", "refused after", "bug"]), times=st.integers(1, 4)
    )
    def an_answer_is_wrong(self, answer: Answer, times: int) -> None:
        self.link.unreliable.next += [answer] * times

    @rule(
        batch=st.lists(
            st.tuples(st.sampled_from(RUNS), st.sampled_from(SIZES), st.integers(1, 8)),
            min_size=1, max_size=12,
        ),
        callers=st.integers(1, 3),
    )  # fmt: skip
    def publish(self, batch: list[tuple[str, int, int]], callers: int) -> None:
        events = [(run_id, size) for run_id, size, times in batch for _ in range(times)]
        parts = [events[number::callers] for number in range(callers)]
        self.loop.run_until_complete(self.all_published(parts))

    async def all_published(self, parts: list[list[tuple[str, int]]]) -> None:
        async with asyncio.timeout(AT_MOST_S):
            await asyncio.gather(*map(self.published, parts))

    async def published(self, part: list[tuple[str, int]]) -> None:
        outgoing = []
        numbers: dict[str, set[int]] = {run_id: set() for run_id in RUNS}
        for run_id, size in part:
            number = len(self.sent[run_id]) + 1
            self.sent[run_id].append(number)
            numbers[run_id].add(number)
            outgoing.append((run_id, *sealed(LogEvent(text=f"{number} ".ljust(size, "x")))))
        before = self.writer.late.refused.events
        refused = await self.writer.publish_all(outgoing)
        await self.writer.flush()
        self.refused += refused.events
        if not refused and self.writer.late.refused.events == before:
            for run_id in RUNS:
                self.acknowledged[run_id] |= numbers[run_id]

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        self.loop.run_until_complete(cancel_until_done([self.task]))
        self.loop.run_until_complete(self.link.aclose())
        self.loop.close()
        assert self.writer.unsent == 0
        missing = 0
        for run_id, sent in self.sent.items():
            kept = [int(each.text.split()[0]) for each in entries(self.at, run_id)]
            assert kept == sorted(set(kept))
            assert self.acknowledged[run_id] <= set(kept)
            missing += len(sent) - len(kept)
        assert missing <= self.refused + self.writer.late.refused.events


@pytest.mark.parametrize("server", SERVERS)
def test_the_writer_neither_stops_nor_lies(server: str, request: Any) -> None:
    class OnServer(WriterMachine):
        @staticmethod
        def url() -> str:
            return request.getfixturevalue("redis_url_of")(server)

    run_state_machine_as_test(
        OnServer, settings=settings(max_examples=25, stateful_step_count=12, deadline=None)
    )
