from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from arena_tui.bench.machine import Looked, Machine, why_busy

BEGUN = Looked(all=1_000, idle=500, stolen=10, own=100)


def looked(idle: int = 0, stolen: int = 0, own: int = 0) -> Looked:
    """After 1,000 more ticks, of which so many were idle, stolen, and one's own."""
    return Looked(all=2_000, idle=500 + idle, stolen=10 + stolen, own=100 + own)


@pytest.mark.parametrize(
    ("load", "now", "why"),
    [
        (0.9, looked(idle=400, own=600), None),
        (1.1, looked(idle=400, own=600), "load average 1.1 on 2 cores before it began"),
        (0.0, looked(idle=300, own=360), "others took 34 % of the machine"),
        (0.0, looked(idle=400, stolen=120, own=480), "its host took 12 %"),
        (2.0, looked(idle=400, own=300),
         "load average 2.0 on 2 cores before it began, others took 30 % of the machine"),
    ],
)  # fmt: skip
def test_a_machine_is_busy_by_its_load_by_others_and_by_its_host(
    load: float, now: Looked, why: str | None
) -> None:
    assert why_busy(load, 2, BEGUN, now) == why


def test_where_no_clock_tells_only_the_load_average_counts() -> None:
    assert why_busy(0.1, 2, Looked(), Looked()) is None
    assert why_busy(4.0, 2, Looked(), Looked()) == "load average 4.0 on 2 cores before it began"


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="clocks of all cores: Linux alone")
def test_what_a_bench_starts_itself_makes_no_machine_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[Looked, Looked]] = []
    monkeypatch.setattr(
        "arena_tui.bench.machine.why_busy", lambda _load, _cores, *looks: said.append(looks)
    )
    machine = Machine()
    machine.begin()

    subprocess.run([sys.executable, "-c", "sum(range(10_000_000))"], check=True)
    machine.busy()

    ((begun, now),) = said
    assert now.own - begun.own >= 5
    assert now.all - now.idle - (begun.all - begun.idle) >= now.own - begun.own - 5
