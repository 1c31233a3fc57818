"""The Broker screen: what its keys do, and that it paints only the rows in sight."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from textual.pilot import Pilot

from arena_tui.events import LogEvent
from arena_tui.folds.gauges import RunGauge
from arena_tui.services.runtime import Runtime
from arena_tui.tui.render.broker import run_cells
from arena_tui.tui.render.table import Cell
from arena_tui.tui.screens.broker import BrokerScreen
from arena_tui.tui.screens.run import RunScreen
from arena_tui.tui.widgets.lines import Lines
from arena_tui.tui.widgets.table import VirtualTable
from tests.tui.broker_scenario import BrokerScenario


class Scene:
    """The Broker screen under pressure, opened by its key."""

    def __init__(self, app: BrokerScenario, pilot: Pilot[Any]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def runtime(self) -> Runtime:
        return self.app.runtime

    @property
    def screen(self) -> BrokerScreen:
        assert isinstance(self.app.screen, BrokerScreen)
        return self.app.screen

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.app.settle()
        await self.pilot.pause()

    def rows(self, table: str) -> list[str]:
        """What a table shows, without its header."""
        found = self.screen.query_one(f"#{table}", VirtualTable)
        lines = [found.render_line(y).text.strip() for y in range(1, found.size.height)]
        return [line for line in lines if line]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    app = BrokerScenario(8_500)
    async with app.run_test(size=(120, 40)) as pilot:
        await app.play_all()
        scene = Scene(app, pilot)
        await scene.press("3")
        yield scene


async def test_who_is_in_trouble_comes_first_and_a_run_opens(scene: Scene) -> None:
    assert scene.rows("consumers")[0].startswith("✗ webhook")
    assert scene.rows("runs")[0].startswith("▲ synth · a77c")

    await scene.press("home", "enter")
    await scene.app.workers.wait_for_complete()

    assert isinstance(scene.app.screen, RunScreen)


async def test_a_consumer_shows_its_runs_by_lag_until_escape(scene: Scene) -> None:
    scene.screen.query_one("#consumers").focus()
    await scene.press("down", "enter")  # the dashboard, which is behind nowhere
    assert [row.split("%")[-1].split()[0] for row in scene.rows("runs")] == ["0"] * 7

    scene.screen.query_one("#consumers").focus()
    await scene.press("home", "enter")
    assert "by lag of webhook" in scene.screen.query_one("#of", Lines).render_line(0).text
    lags = [int(row.split("%")[-1].split()[0].replace(",", "")) for row in scene.rows("runs")]
    assert lags == sorted(lags, reverse=True)
    assert lags[0] == 8_507

    await scene.press("escape")
    assert isinstance(scene.app.screen, BrokerScreen)
    await scene.press("escape")
    assert not isinstance(scene.app.screen, BrokerScreen)


async def test_a_filter_leaves_the_runs_that_match(scene: Scene) -> None:
    await scene.press("slash", *"game:go")
    assert [row.split(" · ")[0] for row in scene.rows("runs")] == ["go(board_size=9)"]
    await scene.press("enter", "escape")
    assert len(scene.rows("runs")) == 7
    await scene.press("slash", *"lost>0")
    assert scene.rows("runs") == ["No runs."]


async def test_of_two_thousand_runs_only_those_in_sight_are_painted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2_000):
        scene.runtime.sink.emit(f"run-{number}", LogEvent(), owned=False)
    await scene.runtime.sink.flush()
    painted: set[str] = set()

    def paint(gauge: RunGauge, *rooms: int) -> list[Cell]:
        painted.add(gauge.run_id)
        return run_cells(gauge, *rooms)

    monkeypatch.setattr("arena_tui.tui.screens.broker.run_cells", paint)
    table = scene.screen.query_one("#runs", VirtualTable)

    await scene.press("end")

    assert len(scene.rows("runs")) == table.visible_rows
    assert len(painted) <= 2 * table.visible_rows
