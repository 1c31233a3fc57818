"""The broker's gauges as text: two tables, and a few lines of what is behind them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final, NamedTuple

from arena_tui.broker.protocol import RunState
from arena_tui.broker.stats import ServerStats, StoreSeen
from arena_tui.broker.warned import Warned
from arena_tui.events import short_id
from arena_tui.folds.conditions import Condition, Facts
from arena_tui.folds.gauges import RunGauge, level_of
from arena_tui.services.panel import ConsumerGauge, LoopGauge, Panel, StoreGauge
from arena_tui.store.owner import Attached
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.states import LOOKS
from arena_tui.tui.render.table import Cell, Column
from arena_tui.tui.render.text import bar, clock_time, count, duration, spark, with_short_ids
from arena_tui.tui.widgets.lines import Line

GAUGE: Final = "gauge"
MINUTE: Final = "minute"
"""The columns whose cells are drawn as wide as they are."""

CONSUMERS: Final = (
    Column(name="consumer", key="name", width=0),
    Column(name="lag", key="lag", width=8, right=True),
    Column(name="behind", key="behind", width=7, right=True),
    Column(name="peak", key="peak", width=8, right=True, least=110),
    Column(name="delivered", key="delivered", width=11, right=True, least=96),
    Column(name="in gaps", key="in_gaps", width=8, right=True),
    Column(name="ev/s", key="rate", width=7, right=True),
    Column(name="state", key="state", width=8),
    Column(name="of capacity", key=GAUGE, width=16),
    Column(name="lag, 60 s", key=MINUTE, width=30, least=150),
)
RUNS: Final = (
    Column(name="run", key="run", width=0),
    Column(name="state", key="state", width=9),
    Column(name="fill", key=GAUGE, width=16),
    Column(name="high", key="high", width=5, right=True),
    Column(name="lag", key="lag", width=7, right=True),
    Column(name="trimmed", key="trimmed", width=9, right=True, least=96),
    Column(name="overflow", key="overflow", width=8, right=True),
    Column(name="ev/s", key="rate", width=7, right=True),
    Column(name="ev/s, 60 s", key=MINUTE, width=20, least=110),
)


_DAY_S: Final = 24 * 3_600.0
_SOON_S: Final = 7 * _DAY_S
"""A disk that is full so soon is a warning."""

_FULL: Final = 0.8
_LATE_MS: Final = 250.0


RUN_FIELDS: Final = ("game", "label", "run", "status", "lost", "events")
"""What runs are filtered by."""

_STATES: Final[dict[RunState, str]] = {"open": "running", "silent": "silent", "closed": "ended"}


class Level(NamedTuple):
    """How a gauge above a mark is marked: a sign, a word and the palette's style."""

    sign: str
    word: str
    style: str


LEVELS: Final = (
    Level(" ", "ok", "good"),
    Level("△", "behind", "warn"),
    Level("▲", "slow", "warn"),
    Level("■", "full", "bad"),
)
"""Calm, and from each of the three marks on."""


def verdict(panel: Panel) -> Line:
    """In one line whether anything is being lost, and who is slow."""
    if panel.broker is None:
        return Line("", "Taking the first sample …", "dim")
    losing = [each.info.name for each in panel.consumers if each.flow.losing]
    failing = [each.info.name for each in panel.consumers if each.info.state == "error"]
    slow = [each.info.name for each in panel.consumers if each.level and each.info.state != "error"]
    lost = sum(each.losing for each in panel.runs)
    said = [
        *([f"{_names(losing)} losing events"] if losing else []),
        *([f"{lost:,} run{'' if lost == 1 else 's'} lost events within the minute"]
          if lost and not losing else []),
        *([f"{_names(failing)} failing"] if failing else []),
        *([f"{_names(slow)} behind"] if slow and not losing else []),
    ]  # fmt: skip
    if said:
        return Line("", "; ".join(said), "bad" if losing or failing or lost else "warn")
    before = f"; {panel.broker.overflow:,} lost before" if panel.broker.overflow else ""
    return Line("", f"nothing is being lost, nobody is behind{before}", "good")


def consumer_cells(gauge: ConsumerGauge, gauge_room: int, minute_room: int) -> list[Cell]:
    """One row of the consumers; the rooms are those of the drawn columns, in cells."""
    info, flow, level = gauge.info, gauge.flow, LEVELS[gauge.level]
    state, style = level.word, level.style
    if info.state != "ok":
        state, style = info.state, "bad" if info.state == "error" else "dim"
    return [
        (f"{_sign(gauge)} {clean(info.name, 60)}", "strong"),
        (count(gauge.lag), style if gauge.level else "text"),
        (duration(info.lag_s), "text" if info.lag_s else "dim"),
        (count(info.lag_peak), "dim"),
        (count(info.delivered), "text"),
        (count(info.in_gaps), _lost_style(info.in_gaps, flow.losing)),
        (count(flow.rate), "text"),
        (state, style),
        (_gauge(flow.fullest, gauge_room), style if gauge.level else "dim"),
        (spark(flow.lag, minute_room), style if gauge.level else "dim"),
    ]


def seen_cells(seen: StoreSeen, capacity: int, panel: Panel, gauge_room: int) -> list[Cell]:
    """One row of a consumer that another process runs, as the server knows it."""
    share = seen.lag_most / capacity
    level = LEVELS[level_of(share, panel.marks)]
    heard = "gone" if seen.silent_s is None else f"{level.word}"
    blank: Cell = ("–", "dim")
    return [
        (f"{level.sign} {clean(seen.name, 60)}", "strong"),
        (count(seen.lag), level.style if level.sign.strip() else "text"),
        blank, blank, blank, blank, blank,
        (heard, "warn" if seen.silent_s is None else level.style),
        (_gauge(share, gauge_room), "dim"),
        ("", "dim"),
    ]  # fmt: skip


def run_cells(gauge: RunGauge, lag: int, gauge_room: int, minute_room: int) -> list[Cell]:
    """One row of the runs; `lag` is that of the consumer looked at, else of the slowest."""
    level = LEVELS[gauge.level]
    marked = level.style if gauge.level else "text"
    look = {"open": LOOKS["running"], "silent": LOOKS["silent"]}.get(gauge.state, LOOKS["stopped"])
    sign = "▼" if gauge.losing else level.sign
    return [
        (f"{sign} {clean(gauge.title or 'run', 60)} · {short_id(gauge.run_id)}", "strong"),
        (f"{look.sign} {_STATES[gauge.state]}", look.style),
        (_gauge(gauge.fill, gauge_room), marked if gauge.level else "dim"),
        (f"{round(100 * gauge.high_water / gauge.capacity)} %", "dim"),
        (count(lag), marked),
        (count(gauge.trimmed), "dim"),
        (count(gauge.overflow), _lost_style(gauge.overflow, gauge.losing)),
        (count(gauge.rate), "text"),
        (spark(gauge.per_second, minute_room), "accent"),
    ]


def lines_of(panel: Panel) -> list[Line]:
    """The store, the server or the loop, who is attached; without what there is not."""
    found = [] if panel.store is None else store_lines(panel.store)
    if panel.server is not None and panel.broker is not None:
        reconnects = panel.broker.warned.get("link_restored", 0)
        found.append(server_line(panel.server, reconnects, panel.broker.link))
    elif panel.broker is not None and panel.broker.link:
        found.append(Line("server", clean(panel.broker.link, 160), "bad"))
    found.append(loop_line(panel.loop))
    if panel.attached:
        found.append(attached_line(panel.attached))
    return found


def store_lines(store: StoreGauge) -> list[Line]:
    """`1,190 rows/s · batch 240 · commit p50 3.1 ms p99 9.2 ms`, and its disk in a second line."""
    rate = store.per_second[-1] if store.per_second else 0
    lines = [Line("store", (
        f"{rate:,} rows/s · batch {store.batch:,} · commit p50 {store.commit_p50_ms:.1f} ms "
        f"p99 {store.commit_p99_ms:.1f} ms  {spark(store.per_second, 20).strip()}"
    ))]  # fmt: skip
    disk = store.disk
    if disk is not None:
        grows = "growth not known yet"
        if disk.growth_bytes_per_day is not None:
            grows = f"{size(disk.growth_bytes_per_day)} a day"
        full = "" if disk.full_in_s is None else f", full in {days(disk.full_in_s)}"
        free = "" if disk.free_bytes is None else f" · {size(disk.free_bytes)} free{full}"
        soon = disk.full_in_s is not None and disk.full_in_s < _SOON_S
        lines.append(Line("disk", (
            f"{size(disk.store_bytes)} and {size(disk.wal_bytes)} of write-ahead log · "
            f"{grows}{free}"
        ), "bad" if soon else "text"))  # fmt: skip
    if store.last_error:
        lines.append(Line("failing", clean(store.last_error, 160), "bad"))
    return lines


def server_line(server: ServerStats, reconnects: int, link: str | None) -> Line:
    """`valkey 9.1.2 · ping 0.3 ms · 41 MB of 512 MB · noeviction ✓ · AOF ✓ · 12 clients`."""
    said = [f"{server.product} {server.version}", f"ping {server.ping_ms:.1f} ms"]
    full = False
    if server.memory is not None:
        of = f" of {size(server.memory_max)}" if server.memory_max else ", no limit"
        said.append(f"memory {size(server.memory)}{of}")
        full = bool(server.memory_max) and server.memory > _FULL * (server.memory_max or 0)
    evicts = bool(server.policy) and server.policy != "noeviction" and bool(server.memory_max)
    if server.policy:
        said.append(f"{server.policy} {'✗' if evicts else '✓'}")
    if server.aof is not None:
        said.append("AOF ✓" if server.aof else "no AOF ✗")
    if server.clients is not None:
        said.append(f"{server.clients:,} clients")
    said.append(f"{reconnects:,} reconnects")
    if link:
        return Line("server", clean(link, 160), "bad")
    return Line("server", " · ".join(said), "warn" if full or evicts else "text")


def loop_line(loop: LoopGauge) -> Line:
    """`2 ms late · 0 queued, most 512 · no producer held back, 0.0 s so far  ▁▁▂`."""
    late = loop.lag_ms[-1] if loop.lag_ms else 0.0
    held = f"{loop.held_back or 'no'} producer{'' if loop.held_back < 2 else 's'} held back"
    said = [
        f"{late:.0f} ms late",
        f"{loop.queued:,} queued, most {loop.queued_peak:,}",
        f"{held}, {duration(loop.held_back_s)} so far",
        *([f"{loop.unsent:,} not on the server yet"] if loop.unsent else []),
    ]
    text = f"{' · '.join(said)}  {spark(loop.lag_ms, 20).strip()}"
    return Line("loop", text, "warn" if loop.held_back or late > _LATE_MS else "text")


def attached_line(attached: Sequence[Attached]) -> Line:
    """`2 producers (811, 812), 1 mirror (900)`."""
    kinds: dict[str, list[int]] = {}
    for each in attached:
        kinds.setdefault(each.kind, []).append(each.pid)
    said = [
        f"{len(pids)} {kind}{'' if len(pids) == 1 else 's'} ({', '.join(map(str, pids[:6]))}"
        f"{', …' if len(pids) > 6 else ''})"
        for kind, pids in sorted(kinds.items())
    ]
    return Line("attached", ", ".join(said))


def warning_lines(warnings: Sequence[Warned], most: int, zone: tzinfo | None) -> list[Line]:
    """The newest warnings, newest first."""
    lines = []
    for each in reversed(warnings[-most:] if most else ()):
        at = clock_time(datetime.fromtimestamp(each.time, tz=UTC), zone)
        style = {"error": "bad", "warning": "warn"}.get(each.severity, "dim")
        lines.append(Line(at, clean(with_short_ids(str(each)), 200), style))
    return lines


def run_matches(gauge: RunGauge, conditions: Sequence[Condition]) -> bool:
    """Whether all conditions hold; words without a field match the title, id or state."""
    facts = Facts(
        texts={
            "game": (gauge.title,),
            "label": (gauge.title,),
            "run": (gauge.run_id,),
            "status": (_STATES[gauge.state],),
        },
        numbers={"lost": gauge.overflow, "events": gauge.held + gauge.trimmed},
    )
    return all(facts.hold(each) for each in conditions)


def size(bytes_: float) -> str:
    """`812 B`, `41 MB`, `1.2 GB`."""
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(bytes_) >= limit:
            scaled = bytes_ / limit
            return f"{scaled:.1f} {unit}" if scaled < 10 else f"{scaled:,.0f} {unit}"
    return f"{bytes_:.0f} B"


def days(seconds: float) -> str:
    """`41 min`, `7 h`, `12 days`, `over a year`."""
    if seconds < 2 * 3_600:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * _DAY_S:
        return f"{seconds / 3_600:.0f} h"
    return "over a year" if seconds > 365 * _DAY_S else f"{seconds / _DAY_S:.0f} days"


def _names(names: Sequence[str]) -> str:
    """`persister and sse 1.2.3.4:5 are`; of many, how many there are."""
    if len(names) > 2:
        return f"{len(names):,} consumers are"
    return f"{' and '.join(clean(name, 30) for name in names)} {'is' if len(names) == 1 else 'are'}"


def _sign(gauge: ConsumerGauge) -> str:
    if gauge.info.state == "error":
        return "✗"
    return "▼" if gauge.flow.losing else LEVELS[gauge.level].sign


def _lost_style(lost: int, losing: bool) -> str:
    return "bad" if losing else "warn" if lost else "dim"


def _gauge(share: float, width: int) -> str:
    """`▕███░░░░▏ 43 %`."""
    percent = f"{min(999, round(100 * share))} %"
    full, empty = bar(share, max(1, width - 8))
    return f"▕{full}{empty}▏{percent:>6}"
