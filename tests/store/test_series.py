"""A stored run's series is that of its events."""

from __future__ import annotations

from functools import partial

import pytest

from arena_tui.events import ActionResult, Event, LlmResponse, LogEvent, Metric
from arena_tui.folds.series import series_of
from arena_tui.store.database import Database
from arena_tui.store.series import read_series
from tests.envelopes import envelope
from tests.store_fixture import store

PLAYED: list[Event] = [
    event
    for turn in range(-2, 40)
    for event in (
        ActionResult(agent_id="xo"[turn % 2], turn=turn, reward=turn % 5 / 8),
        ActionResult(agent_id="x", turn=turn),
        LogEvent(turn=turn + 1),
    )
]
ASKED: list[Event] = [
    LlmResponse(agent_id=agent, turn=turn, input_tokens=turn, output_tokens=given)
    for turn in range(1, 30)
    for agent, given in (("x", 3), ("o", None))
]
PRICED: list[Event] = [LlmResponse(agent_id="x", turn=turn, cost_usd=turn / 8) for turn in (4, 9)]
MEASURED: list[Event] = [
    Metric(turn=turn, name=f"m{index}", value=None if turn == 3 else float(index * turn))
    for turn in range(1, 9)
    for index in range(5)
]
SILENT: list[Event] = [LogEvent(turn=1), LogEvent()]


@pytest.mark.parametrize("events", [PLAYED, ASKED, PRICED, MEASURED, SILENT, PRICED + MEASURED])
async def test_the_store_tells_the_same_as_the_fold(
    database: Database, events: list[Event]
) -> None:
    run = [envelope("r", 7, seq, each) for seq, each in enumerate(events, 1)]
    other = [envelope("s", 7, 1, ActionResult(agent_id="x", turn=99, reward=1e9))]
    await store(database, [*run, *other])

    for slices in (1, 7, 100):
        stored = await database.read(partial(read_series, run_id="r", slices=slices))
        assert stored == series_of(run, slices)
