"""How the events of a script call are divided and resolved."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from arena_tui.broker.mirror.calls import Call, Job, PublishedRun
from arena_tui.broker.protocol import Cursor, RunMeta
from arena_tui.errors import BrokerError

SIZES = st.lists(st.sampled_from([1, 100, 16_384, 262_144]), min_size=1, max_size=20)


def call_of(sizes: list[int]) -> Call:
    call = Call(PublishedRun(RunMeta(run_id="run")))
    for size in sizes:
        call.add(Job(1, strict=True), b"x" * size)
    call.ends = True
    return call


@given(sizes=SIZES, count=st.integers(1, 25), size=st.integers(1, 600_000))
async def test_a_split_call_is_whole_and_no_part_of_it_is_empty(
    sizes: list[int], count: int, size: int
) -> None:
    whole = call_of(sizes)
    payloads, jobs = list(whole.payloads), list(whole.jobs)

    parts, rest = [], whole
    while rest is not None:
        part, rest = rest, rest.split(count, size)
        parts.append(part)

    assert [payload for part in parts for payload in part.payloads] == payloads
    assert [job for part in parts for job in part.jobs] == jobs
    assert all(1 <= len(part.payloads) <= count for part in parts)
    assert all(part.bytes == sum(map(len, part.payloads)) for part in parts)
    assert all(part.bytes <= size or len(part.payloads) == 1 for part in parts)
    assert [part.ends for part in parts] == [False] * (len(parts) - 1) + [True]


async def test_a_batch_is_answered_after_the_last_of_its_events() -> None:
    job = Job(3, strict=False)

    job.resolve(1)
    job.resolve(1, BrokerError("no"))
    early = job.answer.done()
    job.resolve(1)

    assert (early, job.answer.done()) == (False, True)
    assert job.refused == (1, "no")


async def test_who_waits_for_one_event_gets_its_refusal() -> None:
    job = Job(1, strict=True)

    job.resolve(1, BrokerError("no"))
    (answer,) = await asyncio.gather(job.answer, return_exceptions=True)

    assert str(answer) == "no"


async def test_an_event_resolved_twice_does_not_hang_its_batch() -> None:
    job = Job(2, strict=False)

    job.resolve(1)
    job.resolve(2)

    assert job.answer.done()


async def test_what_was_given_up_is_missing_until_the_log_knows_of_it() -> None:
    run = PublishedRun(RunMeta(run_id="run"))
    run.give_up(count=3, lost=2)
    run.give_up(count=4, lost=1)
    assert (run.next, run.acked, run.lost) == (8, 0, 3)

    run.on_appended(2, Cursor(1, 5))
    assert (run.next, run.acked, run.lost) == (10, 9, 0)

    run.go_back_to(6, lost=2)
    assert (run.next, run.acked, run.lost) == (6, 5, 2)
