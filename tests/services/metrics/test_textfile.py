"""The file of metrics: always a whole one, and no failure to write it stops anything else."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest

from arena_tui.broker.protocol import RunMeta
from arena_tui.config import Config
from arena_tui.events import LogEvent
from arena_tui.services.metrics.exporter import Exporter
from arena_tui.services.metrics.textfile import MetricsFile
from arena_tui.services.runtime import Runtime
from arena_tui.services.session import Session
from tests.services.metrics.read import parsed, promtool, tool
from tests.waiting import until

Daemon: TypeAlias = Callable[..., str]


@asynccontextmanager
async def writing(path: Path) -> AsyncIterator[Runtime]:
    """A runtime whose metrics are written as fast as can be, a last time when it is closed."""
    runtime = Runtime(Config(db=":memory:"))
    await runtime.open()
    file = MetricsFile(Exporter(runtime), runtime.broker.warnings, path, every_s=0.001)
    await file.start()
    try:
        yield runtime
    finally:
        await runtime.aclose()
        await file.aclose()


async def test_every_reader_has_a_whole_file_and_the_last_one_tells_all(tmp_path: Path) -> None:
    path = tmp_path / "arena.prom"
    reads = []
    async with writing(path) as runtime:
        await until(path.exists)
        await runtime.broker.open_run(RunMeta(run_id="a"))
        for _ in range(50):
            await runtime.broker.publish("a", LogEvent())
            text = path.read_text()
            await until(lambda before=text: path.read_text() != before)
            reads.append(path.read_text())

    last = parsed(path.read_text())
    assert all("arena_cost_usd_total" in text and text.endswith("\n") for text in reads)
    assert len({len(parsed(text)) for text in reads}) == 1
    assert {parsed(text)['arena_running{process="arena"}'] for text in reads} == {1}
    assert last['arena_running{process="arena"}'] == 0
    assert last['arena_persister_stored_total{process="arena"}'] == 50
    assert not any(name.startswith("process_") for name in last)
    assert [each.name for each in tmp_path.iterdir()] == ["arena.prom"]
    assert promtool("check", "metrics", text=path.read_text()).returncode == 0


async def test_what_cannot_be_written_is_warned_of_once_until_it_can_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    path = folder / "arena.prom"
    caplog.set_level(logging.WARNING)
    async with writing(path) as runtime:
        warnings = runtime.broker.warnings
        await until(lambda: warnings.counts().get("metrics_unwritten"))
        newest = [str(each) for each in warnings.newest()]
        folder.mkdir()
        await until(lambda: path.exists() and not warnings.newest())
        once = warnings.counts()["metrics_unwritten"]
        found = parsed(path.read_text())
        folder.rename(tmp_path / "gone")
        await until(lambda: warnings.counts()["metrics_unwritten"] == 2)

    told = f"cannot write the metrics to {path}: No such file or directory: trying again"
    assert newest == [told]
    assert once == 1
    assert found['arena_warnings_total{code="metrics_unwritten",process="arena"}'] == 1
    assert [record.getMessage() for record in caplog.records] == [told, told]


async def test_a_dashboard_writes_them_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "watch.prom"
    session = Session(Config(db=str(tmp_path / "a.duckdb")), metrics=path)

    await session.begin(lambda: 0.0)
    await session.open()
    await until(path.exists)
    await session.runtime.broker.open_run(RunMeta(run_id="a"))
    await session.runtime.broker.publish("a", LogEvent())
    assert await session.aclose(20) is None

    last = parsed(path.read_text())
    assert last['arena_persister_stored_total{process="watch"}'] == 1
    assert 'arena_consumer_lag_events{consumer="dashboard",process="watch"}' in last


@pytest.fixture
def node_exporter(tmp_path: Path) -> Iterator[Daemon]:
    """Starts a real node exporter on files in a folder; returns the address of its metrics."""
    started: list[subprocess.Popen[bytes]] = []

    def start(folder: Path, port: int) -> str:
        words = [
            tool("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{port}",
            "--collector.disable-defaults", "--collector.textfile",
            f"--collector.textfile.directory={folder}",
        ]  # fmt: skip
        with (tmp_path / "log").open("wb") as log:
            started.append(subprocess.Popen(words, stdout=log, stderr=log))
        return f"http://127.0.0.1:{port}/metrics"

    yield start
    for each in started:
        each.kill()
        each.wait()


async def test_a_node_exporter_shows_the_files_of_several_processes(
    tmp_path: Path, node_exporter: Daemon, free_port: int
) -> None:
    folder = tmp_path / "textfiles"
    folder.mkdir()
    async with writing(folder / "one.prom"), writing(folder / "two.prom"):
        await until(lambda: len(list(folder.glob("*.prom"))) == 2)
        url = node_exporter(folder, free_port)
        async with httpx.AsyncClient(trust_env=False) as http:

            async def shown() -> str | None:
                try:
                    return (await http.get(url)).text
                except httpx.TransportError:
                    return None

            found = parsed(await until(shown))

    assert found["node_textfile_scrape_error"] == 0
    for process in ("one", "two"):
        assert found[f'arena_persister_up{{process="{process}"}}'] == 1
    assert f'node_textfile_mtime_seconds{{file="{folder}/one.prom"}}' in found
