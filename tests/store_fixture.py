"""Stores with runs in them, and a broker that delivers what a test says."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TypeAlias

import pytest

from arena_tui.broker.protocol import BrokerProtocol, Cursor
from arena_tui.broker.subscription import one_by_one
from arena_tui.consumers.persister import Persister
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery
from arena_tui.store.database import Database
from arena_tui.store.history import History
from arena_tui.store.replay import RunReplay
from arena_tui.store.verify import verify_store

Store: TypeAlias = Callable[..., "Database"]


async def store(database: Database, *batches: Sequence[Delivery]) -> None:
    """Commit the batches as the persister does, one transaction each."""
    persister = Persister(database)
    for batch in batches:
        if batch:
            async with asyncio.timeout(20):
                await persister.handle(batch)


async def replay(
    history: History, broker: BrokerProtocol | None, run_id: str, from_seq: int = 1, epoch: int = 0
) -> AsyncIterator[Delivery]:
    """Every event of the run from there on, from the store and a subscription of the broker's."""
    reading = RunReplay(history, run_id, Cursor(epoch, from_seq - 1))
    while True:
        held = [] if broker is None else await broker.runs()
        live = next((info for info in held if info.meta.run_id == run_id), None)
        await reading.open(live)
        async for window in reading.stored():
            for each in window:
                yield each
        if broker is None or live is None or live.epoch < reading.cursor.epoch:
            return
        try:
            rest = broker.subscribe("replay", [run_id], {run_id: reading.cursor})
        except UnknownRunError:
            continue  # reaped in between
        async with aclosing(one_by_one(rest)) as deliveries:
            async for delivery in deliveries:
                async for news in reading.news([delivery]):
                    for each in news:
                        yield each
        return


def problems(database: Database) -> list[str]:
    """Everything `verify` finds."""
    return [
        f"{verdict.run_id}: {problem}"
        for verdict in database.read_now(verify_store)
        for problem in verdict.problems
    ]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "arena.duckdb")


@pytest.fixture
def database(path: str) -> Iterator[Database]:
    opened = Database(path)
    yield opened
    opened.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root to mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    if subprocess.run(["umount", str(folder)], capture_output=True, check=False).returncode:
        # What failed still has a file open there: let it go when that is closed.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
