"""Sends the events of some runs in one script call, and opens the runs that need it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from arena_tui.broker.redis.advice import is_denied
from arena_tui.broker.redis.calls import Call, PublishedRun
from arena_tui.broker.redis.codec import encode_meta
from arena_tui.broker.redis.connection import Command, Line
from arena_tui.broker.redis.link import Link
from arena_tui.broker.redis.scripts import APPEND, OPEN


async def exchange(link: Link, line: Line, calls: Sequence[Call], capacity: int) -> list[Any]:
    """One answer per call: the row the script returned, or the error it raised.

    Raises:
        RedisError: An answer is missing; any of the calls may have been executed.
    """
    opening = [call for call in calls if call.may_open and not call.run.open]
    commands: list[Command] = []
    for run in (call.run for call in opening):
        commands.append(
            ("EVALSHA", link.sha(OPEN), 3, *run.keys, link.keys.index, *opening_of(run))
        )
    keys: list[str] = []
    words: list[str | int | bytes] = [capacity]
    for call in calls:
        run, payloads = call.run, call.payloads
        keys += run.keys
        words += [run.producer, *run.at, run.acked, run.next, int(call.ends), run.lost]
        words += [len(payloads), *payloads]
    commands.append(("EVALSHA", link.sha(APPEND), len(keys), *keys, *words))
    *opened, rows = await line.exchange(commands)
    if isinstance(rows, RedisError) and is_denied(rows) and len(calls) > 1:
        # The keys of one run may be all that is not permitted.
        return [(await exchange(link, line, [call], capacity))[0] for call in calls]
    answers: list[Any] = [rows] * len(calls) if isinstance(rows, RedisError) else rows
    refusals = {
        call.run: refusal
        for call, refusal in zip(opening, opened, strict=True)
        if isinstance(refusal, RedisError)
    }
    return [refusals.get(call.run, answer) for call, answer in zip(calls, answers, strict=True)]


def opening_of(run: PublishedRun) -> tuple[str | int | bytes, ...]:
    """Arguments of `OPEN` for a run that may exist; else it goes on where this producer was."""
    return run.meta.run_id, encode_meta(run.meta), "", 0, *run.at
