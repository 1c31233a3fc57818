"""Inspects a server, its stores and its runs once. Judges nothing, leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from statistics import median
from typing import Any, Final

from msgspec import Struct

from arena_tui.broker.protocol import Cursor
from arena_tui.broker.redis.advice import FAILURES, Facts, Risk
from arena_tui.broker.redis.link import RedisLink
from arena_tui.broker.redis.lookup import AT_ONCE, Row, look_up, runs_in_index, stores_seen
from arena_tui.broker.stats import StoreSeen
from arena_tui.broker.timing import Timing
from arena_tui.broker.warnings import Warnings
from arena_tui.broker_url import BrokerUrl
from arena_tui.errors import BrokerError

_CLOCK_LOOKS: Final = 5
_DELIVERIES: Final = 21
_BLOCK_MS: Final = 1_000
_KEY_S: Final = 60
"""Expires the test key of an examination that was killed."""


class Silent(Struct, frozen=True, kw_only=True):
    """An open run, and the seconds since its producer's last sign of life."""

    run_id: str
    silent_s: float


class Report(Struct, frozen=True, kw_only=True):
    """The findings of `examine`.

    Attributes:
        risks: What may lose events or expose secrets.
        ping_ms: Shortest round trip.
        skew_ms: How far the server's clock is ahead of this machine's, give or take
            `skew_error_ms`: half the round trip in which it was read.
        open_runs: The runs without an end, the longest silent first; those included that their
            producers left so long ago that only word of them is kept.
        delivery_ms: Median time from publishing an entry until a blocked reader has it.
        delivery_problem: Why nothing can be published; None when it can.
    """

    facts: Facts
    risks: tuple[Risk, ...]
    ping_ms: float
    skew_ms: float
    skew_error_ms: float
    stores: tuple[StoreSeen, ...]
    runs_closed: int
    open_runs: tuple[Silent, ...]
    delivery_ms: float | None
    delivery_problem: str | None


async def examine(url: BrokerUrl) -> Report:
    """Inspect everything once; takes a second or two.

    Deliveries are measured on a key of its own, which is deleted afterwards.

    Raises:
        BrokerError: The server cannot be reached or used; contains the remedy.
    """
    link = RedisLink(url, Warnings(), Timing())  # nothing is retried here, so nothing warned of
    try:
        facts = await link.check()
        try:
            ping_ms, skew_ms = await _clock(link)
            rows = await _rows(link)
            newest = {run_id: Cursor(row[0], row[1]) for run_id, row in rows.items()}
            stores = await stores_seen(link, newest)
            delivery_ms, problem = await _delivery(link)
        except FAILURES as error:
            raise BrokerError(link.advice.refusal(error)) from None
        silent = [
            Silent(run_id=run_id, silent_s=row[3] / 1_000)
            for run_id, row in rows.items()
            if row[2] in (b"open", b"left")
        ]
        return Report(
            facts=facts, risks=tuple(link.advice.risks(facts)),
            ping_ms=ping_ms, skew_ms=skew_ms, skew_error_ms=ping_ms / 2,
            stores=tuple(stores), runs_closed=len(rows) - len(silent),
            open_runs=tuple(sorted(silent, key=lambda each: -each.silent_s)),
            delivery_ms=delivery_ms, delivery_problem=problem,
        )  # fmt: skip
    finally:
        await link.aclose()


async def _clock(link: RedisLink) -> tuple[float, float]:
    """The fastest of a few clock readings: its round trip and the skew, in ms."""
    looks = []
    for _ in range(_CLOCK_LOOKS):
        asked, before = time.time(), time.perf_counter()
        seconds, micros = await link.control.time()
        took = time.perf_counter() - before
        skew = int(seconds) + int(micros) / 1e6 - (asked + took / 2)
        looks.append((took * 1_000, skew * 1_000))
    return min(looks)


async def _rows(link: RedisLink) -> dict[str, Row]:
    """Every run in the index: epoch, seq, status, ms since its last sign of life."""
    rows: dict[str, Row] = {}
    after = b"-"
    while entries := await link.command("XRANGE", link.keys.index, after, "+", "COUNT", AT_ONCE):
        after = b"(" + entries[-1][0]
        run_ids = runs_in_index(entries)
        found = await look_up(link, run_ids)
        rows.update((run_id, row) for run_id, row in zip(run_ids, found, strict=True) if row)
    return rows


async def _delivery(link: RedisLink) -> tuple[float | None, str | None]:
    """Median of a few deliveries to a blocked reader, in ms; or why there was none."""
    key = link.keys.doctor(secrets.token_hex(8))
    reader = link.client(_BLOCK_MS / 1_000 + 1)
    took = []
    try:
        last = await link.command("XADD", key, "*", "e", "")
        await link.command("EXPIRE", key, _KEY_S)
        for _ in range(_DELIVERIES):
            reading: asyncio.Future[Any] = asyncio.ensure_future(
                reader.xread({key: last}, count=1, block=_BLOCK_MS)
            )
            try:
                await asyncio.sleep(0)
                before = time.perf_counter()
                last = await link.command("XADD", key, "*", "e", "")
                if await reading:
                    took.append((time.perf_counter() - before) * 1_000)
            finally:
                reading.cancel()
    except FAILURES as error:
        return None, link.advice.refusal(error)
    finally:
        with contextlib.suppress(*FAILURES):
            await link.control.delete(key)
    return (median(took), None) if took else (None, f"{link.advice.place} delivers nothing")
