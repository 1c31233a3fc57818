"""How long publishing waits for the store, counted in looks at it, not in seconds."""

from __future__ import annotations

from collections.abc import Iterable

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import STORE, Cursor, Limits, RunMeta
from arena_tui.codec import sealed
from arena_tui.events import LogEvent
from arena_tui.producers.pacing import StorePacing

LOOKS = 5


class Looked(InProcessBroker):
    """Its store has all of run-0 after so many looks, and nothing else."""

    def __init__(self, moves_after: int) -> None:
        super().__init__(Limits(capacity=1_000, decoded=4_000))
        self.store = self.subscribe(STORE, durable=True)
        self.looks: list[int] = []
        self._moves_after = moves_after

    async def settled(self, run_ids: Iterable[str], consumer: str | None = None) -> None:
        self.looks.append(len(list(run_ids)))
        if len(self.looks) == self._moves_after:
            self.store.ack({"run-0": Cursor(1, 1_000)})

    async def fill(self, *counts: int) -> None:
        """Publish so many events to each run."""
        for number, count in enumerate(counts):
            await self.open_run(RunMeta(run_id=f"run-{number}"), epoch=1)
            outgoing = (f"run-{number}", *sealed(LogEvent()))
            assert not await self.publish_all([outgoing] * count)


async def test_for_all_runs_together_publishing_pauses_for_a_few_looks() -> None:
    broker = Looked(moves_after=1_000)
    await broker.fill(*[400] * 6)

    await StorePacing(broker, patience_s=3_600, pause_at=0.5).wait()

    assert broker.looks == [6] * LOOKS


async def test_for_a_run_that_is_about_to_lose_events_it_pauses_until_the_store_moves() -> None:
    broker = Looked(moves_after=4 * LOOKS)
    await broker.fill(600)

    await StorePacing(broker, patience_s=3_600, pause_at=0.5).wait()

    assert broker.looks == [1] * 4 * LOOKS


async def test_after_such_a_run_it_does_not_pause_for_the_others_as_well() -> None:
    broker = Looked(moves_after=4 * LOOKS)
    await broker.fill(600, *[400] * 6)

    await StorePacing(broker, patience_s=3_600, pause_at=0.5).wait()

    assert broker.looks == [1] * 4 * LOOKS


async def test_up_to_its_share_it_does_not_pause() -> None:
    broker = Looked(moves_after=1)
    await broker.fill(500, *[375] * 4)

    await StorePacing(broker, patience_s=3_600, pause_at=0.5).wait()

    assert broker.looks == []
