"""An overflow as it is seen: announced once, and drawn where it lies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from textual.pilot import Pilot

from arena_tui.broker.protocol import STORE
from arena_tui.broker.stats import BrokerStats
from arena_tui.broker.warned import Warned
from arena_tui.codec import sealed
from arena_tui.consumers.feed import Frame
from arena_tui.events import LogEvent, RunStart
from arena_tui.tui.announcing import Overflows
from arena_tui.tui.render.scrubber import A_CELL
from arena_tui.tui.widgets.bars import TruthBar
from arena_tui.tui.widgets.run import RunHeader, Scrubber
from tests.faults.test_overflow import standing_still
from tests.tui.scenario import NOW, Scenario

RUN = "01ARENA000000000000000F10D"


def frame(*runs: str) -> Frame:
    warnings = [Warned(number, 0.0, "overflow", run, STORE) for number, run in enumerate(runs)]
    return Frame(broker=BrokerStats(
        capacity=10, published=0, trimmed=0, overflow=0, runs=(), consumers=(),
        warnings=tuple(warnings), warned={"overflow": len(warnings)},
    ))  # fmt: skip


def test_overflows_are_announced_as_they_begin_and_those_of_many_runs_together() -> None:
    overflows = Overflows()

    said = [
        overflows.news(frame(), 0.0),
        overflows.news(frame("a"), 1.0),
        overflows.news(frame("a", "b", "c"), 2.0),
        overflows.news(frame("a", "b", "c"), 7.0),
        overflows.news(frame("a", "b", "c"), 70.0),
    ]

    assert said == [
        None, "run a: overflow, persister is losing events", None,
        "2 overflows: events are being lost, see the log", None,
    ]  # fmt: skip


class Listening(Scenario):
    """Keeps what it announces."""

    def __init__(self) -> None:
        super().__init__([])
        self.said: list[str] = []

    def notify(self, message: str, **options: Any) -> None:
        self.said.append(message)
        super().notify(message, **options)


async def shown(app: Scenario, pilot: Pilot[int]) -> str:
    """The scrubber, a second later."""
    await app.settle()
    await app.workers.wait_for_complete()
    await pilot.pause()
    return app.screen.query_one(Scrubber).render_line(0).text


async def test_an_overflow_is_announced_once_and_drawn_live_and_from_the_store() -> None:
    app = Listening()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await app.runtime.open()
        seconds = iter(range(100_000))

        async def publish(count: int) -> None:
            events = [LogEvent(ts=NOW + timedelta(seconds=next(seconds))) for _ in range(count)]
            await app.runtime.broker.publish_all([(RUN, *sealed(event)) for event in events])
            await app.sample()

        start = RunStart(ts=NOW, game="flood")
        await app.runtime.broker.publish_all([(RUN, *sealed(start))])
        await publish(999)
        await app.runtime.broker.settled([RUN])
        app.open_run(RUN)
        calm = await shown(app, pilot)
        async with standing_still(app.runtime):
            for _ in range(8):  # of which it has 2,000 in hand
                await publish(2_000)
            note = app.screen.query_one(TruthBar).note
        await app.runtime.broker.settled([RUN])
        live = await shown(app, pilot)
        header = app.screen.query_one(RunHeader).render_line(0).text
        lost = app.session.frame.panes[0].lost
        history = app.runtime.history
        assert history is not None
        width = app.screen.query_one(Scrubber).slices
        stored = await history.density(RUN, width)

    assert "┆" not in calm
    assert app.said == ["run f10d: overflow, persister is losing events"]
    assert note == f"run {RUN}: overflow, persister is losing events"
    assert lost > 3_000
    assert f"lost {lost:,}" in header
    assert stored.lost == lost
    cells = {each // A_CELL for each in stored.missing()}
    assert live.count("┆") >= len(cells) - 1 > 10
