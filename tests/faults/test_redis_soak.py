"""Many runs from another process into one dashboard, for as long as configured.

`ARENA_FULL=1`: 200 runs of 50 events a second for ten minutes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import quantiles

import duckdb
import redis

from arena_tui.store.verify import verify_store
from tests.redis_fixture import MakeRedis
from tests.tui.terminal import OpenTerminal, Terminal

FULL = os.environ.get("ARENA_FULL") == "1"
RUNS, RATE, SECONDS = (200, 50, 600) if FULL else (20, 50, 5)

PRODUCER = """
import sys, time, arena_tui
url, runs, rate, seconds = sys.argv[1], *map(int, sys.argv[2:])
with arena_tui.connect(url) as arena:
    all_runs = [arena.run(game="soak", label=str(n), agents=["a", "b"]) for n in range(runs)]
    for run in all_runs:
        run.__enter__()
    began = time.monotonic()
    for tick in range(rate * seconds):  # sleeps are the load's rate: nothing waits for them
        for run in all_runs:
            run.llm_response(f"words of tick {tick}", model="m", input_tokens=9, output_tokens=3)
        time.sleep(max(0.0, began + (tick + 1) / rate - time.monotonic()))
    for run in all_runs:
        run.end()
print(runs * (rate * seconds + 2))
"""


def test_many_runs_into_one_dashboard(
    make_redis: MakeRedis, tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    server = make_redis(aof=True)
    db = tmp_path / "a.duckdb"
    dashboard = open_terminal(
        [sys.executable, "-m", "arena_tui", "--broker", server.url, "--db", str(db)]
    )
    dashboard.wait_for("no events yet")
    dashboard.press(b"a")  # lag is to be seen
    producer = subprocess.Popen(
        [sys.executable, "-c", PRODUCER, server.url, *map(str, (RUNS, RATE, SECONDS))],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    watched = _watch(dashboard, producer, server.url)
    published = int(producer.communicate()[0])

    dashboard.wait_for(f"published {published:,} = stored {published:,} + in flight 0 + lost 0")
    dashboard.press(b"q")

    assert dashboard.wait() == 0
    with duckdb.connect(str(db), read_only=True) as connection:
        verdicts = verify_store(connection)
    assert [each for each in verdicts if each.problems or each.lost] == []
    assert sum(each.events for each in verdicts) == published
    assert max(watched["connections"]) <= 4
    print(
        f"\n{RUNS} runs, {RATE} ev/s each, {SECONDS} s: {published:,} published and stored, 0 lost"
    )
    for name, values in watched.items():
        course = ", ".join(f"{values[len(values) * part // 10]:g}" for part in range(1, 10))
        most = quantiles(values * 2, n=100, method="inclusive")[-1]
        print(f"{name}: after each tenth {course}; p99 {most:g}")


def _watch(
    dashboard: Terminal, producer: subprocess.Popen[str], url: str
) -> dict[str, list[float]]:
    """Sample what the dashboard shows and uses, about twice a second while the producer runs."""
    found: dict[str, list[float]] = {"lag s": [], "rss MB": [], "connections": []}
    looked_at = 0.0
    with redis.Redis.from_url(url) as client:
        while producer.poll() is None:
            dashboard.read(1)
            if time.monotonic() < looked_at + 0.5:
                continue
            looked_at = time.monotonic()
            if lag := re.search(r"lag ([\d.]+) s", dashboard.text()):
                found["lag s"].append(float(lag[1]))
            status = Path(f"/proc/{dashboard.pid}/status")
            if status.exists():
                rss_kb = re.search(r"VmRSS:\s+(\d+)", status.read_text())
                found["rss MB"].append(int(rss_kb[1]) / 1024 if rss_kb else 0.0)
            clients = [each for each in client.client_list() if each["name"] == "arena-tui"]
            producers = 2  # a publishing-only process has one connection to write and one to query
            found["connections"].append(len(clients) - producers)
    return found
