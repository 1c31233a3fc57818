"""Hundreds of clients, some of which never read: the others miss nothing, and memory is bounded."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import msgspec
import pytest

from arena_tui.bench.load import EmittingThread, run_ids
from arena_tui.bench.sse_clients import Crowd, Heard
from arena_tui.broker.protocol import Limits
from tests.faults.accounts import FULL
from tests.services.http.served import serving
from tests.waiting import pause, until

RUNS = 50
READING = 450 if FULL else 200
SILENT = 50
RATE_PER_S = 2_000
SECONDS = 60.0 if FULL else 2.0
MEMORY_MB = 200
PATIENCE_S = 240.0
"""8,000 frames a second, 18,000 in full, may be more than a busy machine can send at once."""


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
@pytest.mark.timeout(600)
async def test_those_who_never_read_are_dropped_and_the_others_have_every_event_once(
    tmp_path: Path,
) -> None:
    ids = run_ids(RUNS)
    async with serving(tmp_path / "a.duckdb", limits=Limits(retain=100), stalled_s=1.0) as served:
        broker, clients = served.runtime.broker, served.server.clients
        before = memory_mb()
        games = EmittingThread(
            served.runtime.sink.emit, RATE_PER_S, dict.fromkeys(run_ids(RUNS), "synth")
        )

        async def all_begun() -> bool:
            return len(await broker.runs()) == RUNS

        await until(all_begun)
        crowd = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "arena_tui.bench.sse_clients",
            stdin=PIPE, stdout=PIPE, limit=1 << 26,
        )  # fmt: skip
        assert crowd.stdin is not None
        assert crowd.stdout is not None
        wanted = Crowd(
            port=served.server.address.port,
            reading=[f"/runs/{ids[number % RUNS]}/events" for number in range(READING)],
            silent=["/events"] * SILENT,
        )
        crowd.stdin.write(msgspec.json.encode(wanted) + b"\n")
        assert await crowd.stdout.readline() == b"ready\n"

        await pause(SECONDS)
        await until(lambda: clients.dropped >= SILENT, PATIENCE_S)
        grown = memory_mb() - before
        await asyncio.to_thread(games.stop)
        await until(lambda: len(clients) == 0, PATIENCE_S)
        crowd.stdin.write(b"\n")
        heard = msgspec.json.decode(await crowd.stdout.readline(), type=Heard)
        await crowd.wait()

        published = {info.meta.run_id: info.last_seq for info in await broker.runs()}
        stats = await broker.stats()
        dropped = broker.warnings.counts()["client_dropped"]

    expected = [published[ids[number % RUNS]] for number in range(READING)]
    assert (heard.repeated, heard.missed) == (0, 0)
    assert heard.events == expected
    assert stats.overflow == 0
    assert dropped == SILENT
    assert grown < MEMORY_MB


def memory_mb() -> float:
    status = Path("/proc/self/status").read_text()
    (line,) = [each for each in status.splitlines() if each.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024
