"""Stores with runs in them, and a broker that delivers what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

from arena_tui.consumers.persister import Persister
from arena_tui.events import Delivery
from arena_tui.store.database import Database
from arena_tui.store.verify import verify_store

Store: TypeAlias = Callable[..., "Database"]


async def store(database: Database, *batches: Sequence[Delivery]) -> None:
    """Commit the batches as the persister does, one transaction each."""
    persister = Persister(database)
    for batch in batches:
        if batch:
            async with asyncio.timeout(20):
                await persister.handle(batch)


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
