"""Event streams: how late events reach many clients, and what those cost that never read."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from arena_tui.bench.load import RUNS, EmittingThread, run_ids
from arena_tui.bench.measure import (
    OWN,
    BenchError,
    Figure,
    Plan,
    alternate,
    at_most,
    compare,
    percentile,
    remove,
)
from arena_tui.bench.sse_clients import Crowd, Heard
from arena_tui.bench.sse_peers import QueuePerClient, serving
from arena_tui.config import Config
from arena_tui.producers.record import Emit
from arena_tui.services.http.address import Address, Listening
from arena_tui.services.http.server import HttpServer
from arena_tui.services.runtime import Runtime

_RATE_PER_S: Final = 2_000
_READING: Final = 450
_SILENT: Final = 50
_PEER: Final = "starlette, a queue a client"
_LIMIT: Final = 16 * 1024 * 1024
"""Of a line that the clients print, in bytes."""

_Serving = Callable[[Path], AbstractAsyncContextManager[tuple[int, Emit]]]


class _Sample(Struct, frozen=True, kw_only=True):
    """`late_*_ms`: from an event's timestamp until a client has it. `cpu`: of one core, in %.
    `grown_mb`: memory of the server since before its clients came."""

    late_p50_ms: float
    late_p99_ms: float
    delivered_per_s: float
    cpu: float
    grown_mb: float


_FIGURES: Final = (
    ("late_p50_ms", "late by, p50", "ms", at_most(1, "ratio")),
    ("late_p99_ms", "late by, p99", "ms", at_most(1, "ratio")),
    ("delivered_per_s", "delivered", "ev/s", None),
    ("cpu", "CPU of the server", "% of a core", None),
    ("grown_mb", "memory grown", "MB", None),
)


def measure_sse(plan: Plan) -> Iterator[Figure]:
    """Latency, CPU and memory with clients of which a tenth never reads."""
    figure = f"{_READING + _SILENT} clients, {_SILENT} of them silent, {_RATE_PER_S:,} ev/s"
    contenders = {name: partial(_sample, plan, name) for name in (OWN, _PEER)}
    samples = alternate(contenders, plan, figure)
    for field, title, unit, goal in _FIGURES:
        values = {
            name: [float(getattr(sample, field)) for sample in each]
            for name, each in samples.items()
        }
        goals = {_PEER: goal} if goal else {}
        yield from compare("sse", f"{figure}: {title}", unit, values, goals)


def _sample(plan: Plan, way: str) -> _Sample:
    """In a process of its own, so that memory is that of one server."""
    command = (
        sys.executable,
        "-m",
        "arena_tui.bench.sse",
        way,
        str(plan.folder),
        str(plan.sizes.sse_s),
    )
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise BenchError(f"the server ended: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return msgspec.json.decode(done.stdout, type=_Sample)


async def _listen(serving: _Serving, folder: Path, seconds: float) -> _Sample:
    ids = run_ids(RUNS)
    async with serving(folder) as (port, emit):
        before_kb = _memory_kb()
        games = EmittingThread(emit, _RATE_PER_S, dict.fromkeys(run_ids(RUNS), "synth"))
        try:
            crowd = Crowd(
                port=port,
                reading=[f"/runs/{ids[number % RUNS]}/events" for number in range(_READING)],
                silent=["/events"] * _SILENT,
            )
            async with _clients(crowd) as stop:
                started, cpu = time.perf_counter(), time.process_time()
                await asyncio.sleep(seconds)
                cpu = (time.process_time() - cpu) / (time.perf_counter() - started)
                grown_kb = _memory_kb() - before_kb
                heard = await stop()
                elapsed_s = time.perf_counter() - started
        finally:
            await asyncio.to_thread(games.stop)
    if not heard.late_ms:
        raise BenchError(f"no event came in {seconds} s")
    return _Sample(
        late_p50_ms=percentile(heard.late_ms, 50), late_p99_ms=percentile(heard.late_ms, 99),
        delivered_per_s=len(heard.late_ms) / elapsed_s, cpu=cpu * 100, grown_mb=grown_kb / 1024,
    )  # fmt: skip


@asynccontextmanager
async def _own(folder: Path) -> AsyncIterator[tuple[int, Emit]]:
    path = folder / "sse.duckdb"
    runtime = Runtime(Config(db=str(path)))
    server = HttpServer(runtime, Listening(Address(port=0)))
    try:
        await runtime.open()
        await server.start()
        yield server.address.port, runtime.sink.emit
    finally:
        await server.aclose()
        await runtime.aclose()
        remove(path)


@asynccontextmanager
async def _peer(_: Path) -> AsyncIterator[tuple[int, Emit]]:
    source = QueuePerClient()
    async with serving(source) as port:
        yield port, source.emit


@asynccontextmanager
async def _clients(crowd: Crowd) -> AsyncIterator[Callable[[], asyncio.Future[Heard]]]:
    """A process of clients that listen; what it gives ends them, and returns what they heard."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "arena_tui.bench.sse_clients", stdin=PIPE, stdout=PIPE, limit=_LIMIT
    )
    assert process.stdin is not None
    assert process.stdout is not None
    writing, reading = process.stdin, process.stdout

    async def stop() -> Heard:
        writing.write(b"\n")
        return msgspec.json.decode(await reading.readline(), type=Heard)

    try:
        writing.write(msgspec.json.encode(crowd) + b"\n")
        if await reading.readline() != b"ready\n":
            raise BenchError("the clients could not connect")
        yield lambda: asyncio.ensure_future(stop())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _memory_kb() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    WAYS: dict[str, _Serving] = {OWN: _own, _PEER: _peer}
    way, folder, seconds = sys.argv[1:]
    sample = asyncio.run(_listen(WAYS[way], Path(folder), float(seconds)))
    sys.stdout.buffer.write(msgspec.json.encode(sample))
