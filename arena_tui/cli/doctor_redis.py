"""`doctor` findings on a Redis server, its stores and its runs. Leaves measuring to `examine`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Final

from arena_tui.broker.protocol import Limits
from arena_tui.broker.redis.advice import Facts
from arena_tui.broker.redis.examine import Report, examine
from arena_tui.broker.stats import StoreSeen
from arena_tui.broker.stream import HEARTBEAT_S
from arena_tui.broker_url import BrokerUrl
from arena_tui.cli.findings import Finding, Section
from arena_tui.errors import BrokerError

_SILENT_S: Final = 3 * HEARTBEAT_S
_SKEW_MAX_MS: Final = 1_000
_DELIVERY_MAX_MS: Final = 250
_FULL_SHARE: Final = 0.8
_LAG_MAX: Final = Limits().capacity // 2
_NAMED_MAX: Final = 3
_RISKS: Final[Mapping[str, Section]] = {"evicts": "Redis evicts", "forgets": "Redis has no AOF"}
_GONE: Final[Section] = "The process is gone"
_LAGS: Final[Section] = "A consumer lags"


def redis_findings(url: BrokerUrl) -> list[Finding]:
    """Examine the server; an unreachable one is a finding, too."""
    try:
        report = asyncio.run(examine(url))
    except BrokerError as error:
        return [Finding("broker", False, str(url), str(error), "Redis is down")]
    return list(findings_of(url, report))


def findings_of(url: BrokerUrl, report: Report) -> Iterator[Finding]:
    facts = report.facts
    server = f"{facts.product} {facts.version}, answers in {report.ping_ms:.2f} ms"
    yield Finding("broker", True, f"{url}: {server}")
    yield _memory(facts)
    for risk in report.risks:
        yield Finding("risk", False, risk.what, risk.remedy, _RISKS.get(risk.kind))
    if facts.aof:
        yield Finding("kept", True, "on disk (AOF): outlives the server's end")
    yield _clock(report)
    yield _delivery(report)
    yield from _stores(report)
    yield _runs(url, report)


def _memory(facts: Facts) -> Finding:
    if facts.memory is None or facts.memory_max is None:
        advice = "permit the command INFO to have memory, eviction and AOF looked at"
        return Finding("memory", True, "not told to this user", advice)
    used = f"{facts.memory / 1e6:,.1f} MB used"
    if not facts.memory_max:
        return Finding("memory", True, f"{used}, no limit (maxmemory 0)")
    detail = f"{used} of {facts.memory_max / 1e6:,.1f} MB, {facts.policy} beyond it"
    full = _is_full(facts)
    advice = "nothing can be published once it is full: raise maxmemory" if full else ""
    return Finding("memory", not full, detail, advice, "Redis is full" if full else None)


def _is_full(facts: Facts) -> bool:
    return bool(facts.memory and facts.memory_max) and (
        (facts.memory or 0) > _FULL_SHARE * (facts.memory_max or 0)
    )


def _clock(report: Report) -> Finding:
    skew, error = report.skew_ms, report.skew_error_ms
    if abs(skew) <= error:
        detail = f"as here, as far as can be told (± {error:.2f} ms)"
    else:
        detail = f"{abs(skew):,.1f} ms {'ahead' if skew > 0 else 'behind'} (± {error:.2f} ms)"
    bad = abs(skew) - error > _SKEW_MAX_MS
    advice = "set both by NTP: runs of several machines are sorted by time" if bad else ""
    return Finding("clock", not bad, f"the server's is {detail}", advice)


def _delivery(report: Report) -> Finding:
    if report.delivery_ms is None:
        problem = report.delivery_problem or ""
        section: Section = "Redis is full" if _is_full(report.facts) else "Redis is down"
        return Finding("delivery", False, "nothing can be published", problem, section)
    detail = f"{report.delivery_ms:,.1f} ms from publishing to reading (median)"
    slow = report.delivery_ms > _DELIVERY_MAX_MS
    advice = "the network or the server is slow: use one nearer, or less busy" if slow else ""
    return Finding("delivery", not slow, detail, advice, "Redis is slow" if slow else None)


def _stores(report: Report) -> Iterator[Finding]:
    if not report.stores:
        advice = "arena-tui persist stores what is published, and so does the dashboard"
        yield Finding("stores", True, "none has been there within the hour", advice)
    yield from map(_store, report.stores)


def _store(store: StoreSeen) -> Finding:
    seen = "not heard of" if store.silent_s is None else f"last heard {_ago(store.silent_s)}"
    is_silent = store.silent_s is None or store.silent_s > _SILENT_S
    advice, section = "", None
    if is_silent and store.lag:
        section = _GONE
        advice = (
            "its process has ended: start arena-tui persist with that --db before it is trimmed"
        )
    elif store.lag_most >= _LAG_MAX:
        section = _LAGS
        advice = "it cannot keep up, and is near to losing events: look at its disk and its log"
    detail = f"{store.name}: {seen}, {store.lag:,} events behind"
    return Finding("stores", not advice, detail, advice, section)


def _runs(url: BrokerUrl, report: Report) -> Finding:
    silent = [each for each in report.open_runs if each.silent_s > _SILENT_S]
    detail = f"{len(report.open_runs):,} open, {report.runs_closed:,} closed"
    if not silent:
        return Finding("runs", True, detail)
    named = ", ".join(f"{run.run_id} (last {_ago(run.silent_s)})" for run in silent[:_NAMED_MAX])
    more = f" and {len(silent) - _NAMED_MAX:,} more" if len(silent) > _NAMED_MAX else ""
    advice = (
        "look for their processes and machines; if they are gone: arena-tui close "
        f"{silent[0].run_id} --broker {url}"
    )
    found = f"{detail}; no sign of life: {named}{more}"
    return Finding("runs", False, found, advice, "A run is silent")


def _ago(seconds: float) -> str:
    seconds = max(0.0, seconds)
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min ago"
    return f"{seconds / 3_600:,.0f} h ago"
