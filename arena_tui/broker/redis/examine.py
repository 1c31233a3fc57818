"""A server and those around it, looked at once. Judges nothing, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, Final

from msgspec import Struct
from redis.asyncio import Redis

from arena_tui.broker.redis.advice import FAILURES, Facts
from arena_tui.broker.redis.link import Link
from arena_tui.broker.redis.looking import AT_ONCE, look, runs_in_index
from arena_tui.broker.redis.scripts import CONSUMERS, INDEX, acks_key
from arena_tui.broker.timing import Timing
from arena_tui.broker_url import BrokerUrl
from arena_tui.errors import BrokerError

__all__ = ["Report", "Silent", "StoreSeen", "examine"]

_CLOCK_LOOKS: Final = 5
_DELIVERIES: Final = 21
_BLOCK_MS: Final = 1_000
_KEY_S: Final = 60
"""What is left of a doctor that was killed goes by itself."""


class StoreSeen(Struct, frozen=True, kw_only=True):
    """One store as the server knows it.

    Attributes:
        silent_s: Seconds since it last said how far it is; None: it has long been silent.
        lag: Events it has not said to have, of all runs; lag_most: of the run with most of them.
    """

    name: str
    silent_s: float | None
    lag: int
    lag_most: int


class Silent(Struct, frozen=True, kw_only=True):
    """An open run, and for how long its producer has given no sign of life."""

    run_id: str
    silent_s: float


class Report(Struct, frozen=True, kw_only=True):
    """What `examine` has seen.

    Attributes:
        risks: What may lose events or secrets, each with what to do.
        ping_ms: Shortest time from a question to its answer.
        skew_ms: By how much the server's clock is ahead of this machine's; `skew_error_ms` is the
            most that can be wrong, for nobody knows when within the question it was read.
        runs_open, runs_closed: Runs the server holds.
        open_runs: The open ones, the most silent first.
        delivery_ms: Median time from publishing an entry until a waiting reader has it.
        delivery_problem: Why nothing can be published; None when it can.
    """

    facts: Facts
    risks: tuple[tuple[str, str], ...]
    ping_ms: float
    skew_ms: float
    skew_error_ms: float
    stores: tuple[StoreSeen, ...]
    runs_closed: int
    open_runs: tuple[Silent, ...]
    delivery_ms: float | None
    delivery_problem: str | None


async def examine(url: BrokerUrl) -> Report:
    """Look at everything once: a second or two.

    Deliveries are measured on a key that no other process looks at, and that is removed.

    Raises:
        BrokerError: The server cannot be reached or used; says what to do.
    """
    link = Link(url, _unheard, Timing())
    try:
        facts = await link.check()
        try:
            ping_ms, skew_ms = await _clock(link)
            rows = await _rows(link)
            stores = [await _store(link, name, rows) for name in await _stores(link)]
            delivery_ms, problem = await _delivery(link)
        except FAILURES as error:
            raise BrokerError(link.advice.refusal(error)) from None
        silent = [
            Silent(run_id=run_id, silent_s=row[3] / 1_000)
            for run_id, row in rows.items()
            if row[2] == b"open"
        ]
        return Report(
            facts=facts,
            risks=tuple(link.advice.risks(facts)),
            ping_ms=ping_ms,
            skew_ms=skew_ms,
            skew_error_ms=ping_ms / 2,
            stores=tuple(stores),
            runs_closed=len(rows) - len(silent),
            open_runs=tuple(sorted(silent, key=lambda each: -each.silent_s)),
            delivery_ms=delivery_ms,
            delivery_problem=problem,
        )
    finally:
        await link.aclose()


def _unheard(text: str) -> None:
    """Nothing is tried twice here, so there is nothing to tell."""


async def _clock(link: Link) -> tuple[float, float]:
    """The quickest of a few looks at the server's clock: how long it took, and the skew; ms."""
    looks = []
    for _ in range(_CLOCK_LOOKS):
        asked, before = time.time(), time.perf_counter()
        seconds, micros = await link.control.time()
        took = time.perf_counter() - before
        skew = int(seconds) + int(micros) / 1e6 - (asked + took / 2)
        looks.append((took * 1_000, skew * 1_000))
    return min(looks)


async def _rows(link: Link) -> dict[str, Sequence[Any]]:
    """Every run in the index: epoch, seq, status, ms since its last sign of life."""
    rows: dict[str, Sequence[Any]] = {}
    after = b"-"
    while entries := await link.command(
        link.control, "XRANGE", INDEX, after, "+", "COUNT", AT_ONCE
    ):
        after = b"(" + entries[-1][0]
        run_ids = runs_in_index(entries)
        found = await look(link, run_ids)
        rows.update((run_id, row) for run_id, row in zip(run_ids, found, strict=True) if row)
    return rows


async def _stores(link: Link) -> list[str]:
    names: Iterable[bytes] = await link.command(link.control, "SMEMBERS", CONSUMERS)
    return sorted(name.decode(errors="replace") for name in names)


async def _store(link: Link, name: str, rows: dict[str, Sequence[Any]]) -> StoreSeen:
    answer = await link.command(link.control, "HGETALL", acks_key(name))
    acks: dict[bytes, bytes] = answer or {}
    seconds, micros = await link.control.time()
    last = acks.pop(b"", None)
    lags = [0]
    for run_id, (epoch, seq, *_) in rows.items():
        known = acks.get(run_id.encode(), b"0-0").partition(b"-")
        lags.append(max(0, seq - int(known[2])) if int(known[0]) == epoch else seq)
    silent_s = None if last is None else int(seconds) + int(micros) / 1e6 - int(last) / 1_000
    return StoreSeen(name=name, silent_s=silent_s, lag=sum(lags), lag_most=max(lags))


async def _delivery(link: Link) -> tuple[float | None, str | None]:
    """Median of a few deliveries to a reader that waits, in ms; or why there is none."""
    key = f"arena:doctor:{secrets.token_hex(8)}"
    reader = link.client(_BLOCK_MS / 1_000 + 1)
    took = []
    try:
        last = await link.command(link.control, "XADD", key, "*", "e", "")
        await link.command(link.control, "EXPIRE", key, _KEY_S)
        for _ in range(_DELIVERIES):
            reading = asyncio.create_task(_read(link, reader, key, last))
            try:
                await asyncio.sleep(0)
                before = time.perf_counter()
                last = await link.command(link.control, "XADD", key, "*", "e", "")
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


async def _read(link: Link, client: Redis, key: str, after: bytes) -> Any:
    return await link.command(
        client, "XREAD", "COUNT", 1, "BLOCK", _BLOCK_MS, "STREAMS", key, after
    )
