"""The cursors of a simple consumer are kept for it: over every broker, and whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from arena_tui.broker.protocol import BrokerProtocol, Cursor, RunMeta
from arena_tui.config import Config
from arena_tui.consumer import Context, Delivery, SimpleConsumer
from arena_tui.consumers.cursor_file import CURSOR_FILE, CursorFile, look_at
from arena_tui.events import LogEvent, RunEnd
from arena_tui.services.consumption import Consumption
from tests.conftest import MakeBroker, arrived


class Noting(SimpleConsumer):
    """Notes what it takes; refuses as long as `refusals` last."""

    name = "noting"
    refusals = 0

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.taken: list[tuple[str, int]] = []

    async def process(self, batch: Sequence[Delivery]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OSError("no")
        self.taken += [(each.run_id, each.last_seq) for each in batch]


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "arena-tui" / "consumers" / "noting" / CURSOR_FILE


async def publish(broker: BrokerProtocol, run_id: str, count: int, ended: bool = False) -> None:
    for _ in range(count):
        await broker.publish(run_id, LogEvent())
    if ended:
        await broker.publish(run_id, RunEnd(status="finished"))
    await arrived(broker)


async def consumed(broker: BrokerProtocol, refusals: int = 0) -> list[tuple[str, int]]:
    """What a new one takes of all that was published, until it is stopped."""
    running = Consumption(Noting(Context(broker, Config())), broker, retry_s=(0.001,))
    running.consumer.refusals = refusals
    await running.start()
    runs = [info.meta.run_id for info in await broker.runs()]
    await asyncio.wait_for(broker.settled(runs, "noting"), 30)
    await running.stop()
    assert running.health.failures == refusals
    return running.consumer.taken


async def test_the_next_goes_on_where_it_was(make_broker: MakeBroker, path: Path) -> None:
    broker = await make_broker()
    for run_id in "ab":
        await broker.open_run(RunMeta(run_id=run_id), 7)
        await publish(broker, run_id, 3)

    first = await consumed(broker)
    await publish(broker, "a", 2)
    await publish(broker, "b", 0, ended=True)
    second = await consumed(broker)

    assert sorted(first) == [(run_id, seq) for run_id in "ab" for seq in (1, 2, 3)]
    assert sorted(second) == [("a", 4), ("a", 5), ("b", 4)]
    file = CursorFile(path)
    assert file.read() == {"a": Cursor(7, 5), "b": Cursor(7, 4)}
    assert file.unfinished() == ["a"]
    file.close()


async def test_what_it_refuses_comes_again_whole(make_broker: MakeBroker, path: Path) -> None:
    broker = await make_broker()
    await broker.open_run(RunMeta(run_id="a"))
    await publish(broker, "a", 3)

    assert await consumed(broker, refusals=2) == [("a", 1), ("a", 2), ("a", 3)]

    assert await consumed(broker) == []
    seen = look_at(path)
    assert seen is not None
    assert seen.runs == 1


async def test_closed_before_it_starts_and_twice_it_is_closed(make_broker: MakeBroker) -> None:
    consumer = Noting(Context(await make_broker(), Config()))

    await consumer.aclose()
    await consumer.start()
    await consumer.aclose()
    await consumer.aclose()

    assert await consumer.start() == {}
    await consumer.aclose()
