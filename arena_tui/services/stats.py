"""Makes the lines of `stats_lines` from a sample and from what is stored. Counts nothing itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec.structs import replace

from arena_tui.broker.protocol import NO_CURSOR, Cursor, RunInfo
from arena_tui.broker.stats import ServerStats, StoreSeen
from arena_tui.consumers.protocol import ConsumerInfo
from arena_tui.folds.accounts import stored_account
from arena_tui.folds.gauges import level_of
from arena_tui.services.brokers import server_of
from arena_tui.services.disk import Disk, DiskGauge
from arena_tui.services.panel import ConsumerGauge, LoopGauge, Panel, StoreGauge
from arena_tui.services.runtime import Runtime
from arena_tui.services.stats_lines import (
    LEVELS,
    BrokerLine,
    ConsumerLine,
    Line,
    LoopLine,
    RunLine,
    ServerLine,
    StoreLine,
)
from arena_tui.store.kept import Kept, read_kept

_ACCOUNT: Final = ("published", "stored", "in_flight", "lost", "lost_unknown")


async def stats_of(runtime: Runtime) -> list[Line]:
    """One round of what runs in this process, as of its newest sample; its server is asked."""
    panel, broker, history = runtime.instruments.panel, runtime.broker, runtime.history
    if panel.broker is None:
        panel = await runtime.instruments.next()
    if (ask := server_of(broker)) is not None:
        panel = replace(panel, server=await ask())
    if history is None:
        return _round(panel, broker.name, await broker.runs())
    kept = await history.read(read_kept)
    return _round(panel, broker.name, await broker.runs(), kept, history.path)


def stats_of_file(kept: Sequence[Kept], path: str) -> list[Line]:
    """One round of a store that nobody has open."""
    return _round(Panel(at=time.time()), None, (), kept, path)


def _round(
    panel: Panel, broker: str | None, infos: Sequence[RunInfo], kept: Sequence[Kept] | None = None,
    path: str = "",
) -> list[Line]:  # fmt: skip
    runs = list(_run_lines(panel, infos, kept))
    lines: list[Line] = [_broker_line(panel, broker), *_consumer_lines(panel), *runs]
    if kept is not None:
        lines.append(_store_line(panel.store, path, len(kept), runs))
    if panel.server is not None:
        lines.append(_server_line(panel.server))
    if panel.broker is not None:
        lines.append(_loop_line(panel.loop))
    return lines


def _broker_line(panel: Panel, name: str | None) -> BrokerLine:
    at, stats = datetime.fromtimestamp(panel.at, UTC), panel.broker
    if stats is None:
        return BrokerLine(at=at)
    return BrokerLine(
        at=at, name=name, published=stats.published, held=sum(each.held for each in stats.runs),
        trimmed=stats.trimmed, let_go=stats.let_go, not_held=stats.unheld,
        overflow=stats.overflow, capacity=stats.capacity, link=stats.link, unsent=stats.unsent,
        refused=stats.refused.events, failures=stats.failures,
        warned={str(code): count for code, count in stats.warned.items()},
        attached=panel.attached, discrepancies=panel.discrepancies,
    )  # fmt: skip


def _consumer_lines(panel: Panel) -> Iterator[ConsumerLine]:
    for gauge in panel.consumers:
        yield _consumer_here(gauge)
    if panel.broker is not None:
        for seen in panel.elsewhere:
            yield _consumer_on_server(seen, seen.lag_most / panel.broker.capacity, panel)


def _consumer_here(gauge: ConsumerGauge) -> ConsumerLine:
    info, flow = gauge.info, gauge.flow
    return ConsumerLine(
        name=info.name, where="here", durable=info.durable, state=info.state,
        level=LEVELS[gauge.level], published=info.published, delivered=info.delivered,
        in_gaps=info.in_gaps, skipped=info.skipped, in_flight=info.lag, in_hand=info.in_hand,
        lag=gauge.lag, lag_s=info.lag_s, lag_peak=info.lag_peak, overflow=info.overflow,
        capacity_used=flow.fullest, delivered_per_s=flow.rate, failures=info.failures,
        last_error=info.last_error, **_kept_by(info),
    )  # fmt: skip


def _kept_by(info: ConsumerInfo) -> dict[str, Any]:
    if not info.durable:
        return {}
    account = info.account(info.published)
    return {"stored": account.stored, "already_stored": account.already_stored,
            "lost": account.lost, "lost_unknown": account.lost_unknown}  # fmt: skip


def _consumer_on_server(seen: StoreSeen, share: float, panel: Panel) -> ConsumerLine:
    return ConsumerLine(
        name=seen.name, where="server", durable=True, level=LEVELS[level_of(share, panel.marks)],
        lag=seen.lag, capacity_used=share, silent_s=seen.silent_s,
    )  # fmt: skip


def _run_lines(
    panel: Panel, infos: Sequence[RunInfo], kept: Sequence[Kept] | None
) -> Iterator[RunLine]:
    stored = {each.run_id: each for each in kept or ()}
    held = {each.meta.run_id: each for each in infos}
    for gauge in panel.runs:
        run_id = gauge.run_id
        account = {} if kept is None else _account(stored.get(run_id), held.get(run_id), gauge.lag)
        yield RunLine(
            run_id=run_id, title=gauge.title, level=LEVELS[gauge.level], held=gauge.held,
            capacity=gauge.capacity, high_water=gauge.high_water, trimmed=gauge.trimmed,
            overflow=gauge.overflow, lag=gauge.lag, losing=gauge.losing,
            published_per_s=gauge.rate, **_newest(stored.get(run_id), held.get(run_id)), **account,
        )  # fmt: skip
    sampled = {gauge.run_id for gauge in panel.runs}
    for each in stored.values():
        if each.run_id not in sampled:
            info = held.get(each.run_id)
            title = " · ".join(filter(None, (each.game, each.label)))
            yield RunLine(
                run_id=each.run_id, title=title, **_newest(each, info), **_account(each, info, 0)
            )


def _newest(kept: Kept | None, info: RunInfo | None) -> dict[str, Any]:
    """Where the newest event is, and the run's state in the broker."""
    stored = Cursor(kept.epoch, kept.seq) if kept else NO_CURSOR
    held = Cursor(info.epoch, info.last_seq) if info else NO_CURSOR
    epoch, seq = max(stored, held)
    return {"state": info.state if info else None, "epoch": epoch, "last_seq": seq}


def _account(kept: Kept | None, info: RunInfo | None, lag: int) -> dict[str, Any]:
    """What became of a run's events. The broker was asked after the store: whatever it has beyond
    that counts as in flight, so that none is counted twice."""
    if kept is None:  # not stored yet, or deleted
        account = stored_account(0, lag, 0)
    else:
        in_flight = 0
        if info is not None and info.epoch >= kept.epoch:
            begun = kept.seq if info.epoch == kept.epoch else 0
            in_flight = max(0, info.last_seq - begun)
        account = stored_account(kept.events, in_flight, kept.lost, kept.lost_unknown)
    return {name: getattr(account, name) for name in _ACCOUNT}


def _store_line(
    gauge: StoreGauge | None, path: str, stored: int, runs: Sequence[RunLine]
) -> StoreLine:
    filled: dict[str, Any] = {}
    disk = Disk(path).sample(0.0) if gauge is None else gauge.disk
    if gauge is not None:
        filled = {"state": gauge.state, "last_error": gauge.last_error, "batch": gauge.batch,
                  "commit_p50_ms": gauge.commit_p50_ms, "commit_p99_ms": gauge.commit_p99_ms,
                  "stored_per_s": gauge.per_second[-1] if gauge.per_second else 0}  # fmt: skip
    sums: dict[str, Any] = {
        name: sum(getattr(each, name) or 0 for each in runs) for name in _ACCOUNT
    }
    return StoreLine(path=path, runs=stored, **sums, **filled, **_on_disk(disk))


def _on_disk(disk: DiskGauge | None) -> dict[str, Any]:
    return {} if disk is None else {
        "store_bytes": disk.store_bytes, "wal_bytes": disk.wal_bytes,
        "growth_bytes_per_day": disk.growth_bytes_per_day, "free_bytes": disk.free_bytes,
        "full_in_s": disk.full_in_s,
    }  # fmt: skip


def _server_line(server: ServerStats) -> ServerLine:
    return ServerLine(
        product=server.product, version=server.version, ping_ms=server.ping_ms,
        memory_bytes=server.memory, memory_max_bytes=server.memory_max, policy=server.policy,
        aof=server.aof, clients=server.clients,
    )  # fmt: skip


def _loop_line(loop: LoopGauge) -> LoopLine:
    return LoopLine(
        late_ms=loop.lag_ms[-1] if loop.lag_ms else 0.0, late_peak_ms=max(loop.lag_ms, default=0.0),
        queued=loop.queued, queued_peak=loop.queued_peak, held_back=loop.held_back,
        held_back_s=loop.held_back_s, unsent=loop.unsent,
    )  # fmt: skip
