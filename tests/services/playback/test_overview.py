"""When a run's overview is read, and of which part of its time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from arena_tui.broker.protocol import RunMeta
from arena_tui.config import Config
from arena_tui.events import LogEvent, RunStart
from arena_tui.folds.density import Within
from arena_tui.services.playback.overview import Overviews
from arena_tui.services.playback.playhead import Position
from arena_tui.services.playback.tape import RunTape
from arena_tui.services.runtime import Runtime

START = datetime(2026, 3, 14, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def whole(seconds: float = 1_600) -> Within:
    return Within(START, at(seconds))


@pytest.mark.parametrize("seconds", [0, 100, 800, 1_600])
def test_a_zoom_keeps_what_it_is_made_at_where_it_was(seconds: float) -> None:
    part = whole().zoomed(4, at(seconds))

    share = (at(seconds) - part.first_at) / (part.last_at - part.first_at)
    assert share == pytest.approx(seconds / 1_600)
    assert part.last_at - part.first_at == timedelta(seconds=400)
    assert part.zoomed(0.25, at(seconds)) == whole()


def test_a_part_stays_inside_the_whole() -> None:
    assert Within(at(-50), at(50)).inside(whole()) == Within(at(0), at(100))
    assert Within(at(1_550), at(1_650)).inside(whole()) == Within(at(1_500), at(1_600))
    assert Within(at(-9), at(9_000)).inside(whole()) == whole()


@pytest.fixture
async def runtime() -> Runtime:
    runtime = Runtime(Config(db=None))
    await runtime.open()
    await runtime.broker.open_run(RunMeta.of("run", RunStart(game="go")))
    for second in range(0, 1_601, 10):
        await runtime.broker.publish("run", LogEvent(ts=at(second)))
    return runtime


async def overview_of(runtime: Runtime) -> tuple[Overviews, Position]:
    tape = RunTape("run", runtime)
    await tape.open()
    return Overviews(tape), Position(at=1, last=tape.last, live=True)


async def test_a_part_has_more_slices_for_each_second(runtime: Runtime) -> None:
    overview, position = await overview_of(runtime)
    await overview.read(position, 16, 8, lambda: 0.0)
    overview.zoom_by(4, at(800))
    part = await overview.read(position, 16, 8, lambda: 0.0)

    assert overview.zoom == 4
    assert (part.density.first_at, part.density.last_at) == (at(600), at(1_000))
    assert sum(part.density.counts) == 41
    overview.zoom_by(1 / 4, at(800))
    assert (overview.zoom, overview.part) == (1, None)
    await runtime.aclose()


async def test_a_part_goes_with_the_position(runtime: Runtime) -> None:
    overview, position = await overview_of(runtime)
    await overview.read(position, 16, 8, lambda: 0.0)
    overview.zoom_by(4, at(800))

    overview.follow(at(999))
    assert overview.part == Within(at(600), at(1_000))
    overview.follow(at(1_100))
    assert overview.part == Within(at(900), at(1_300))
    overview.follow(at(1_590))
    assert overview.part == Within(at(1_200), at(1_600))
    await runtime.aclose()


async def test_a_live_run_is_read_again_after_a_while_and_another_part_at_once(
    runtime: Runtime,
) -> None:
    overview, position = await overview_of(runtime)
    later = Position(at=1, last=position.last + 9, live=True)
    assert overview.due(position, 16, 0.0)
    await overview.read(position, 16, 8, lambda: 0.0)

    assert not overview.due(position, 16, 99.0)
    assert not overview.due(later, 16, 0.5)
    assert overview.due(later, 16, 1.5)
    assert overview.due(later, 20, 0.5)
    overview.zoom_by(4, at(800))
    assert overview.due(position, 16, 0.5)
    await runtime.aclose()


async def test_what_was_cancelled_is_due_again(runtime: Runtime) -> None:
    overview, position = await overview_of(runtime)
    reading = asyncio.ensure_future(overview.read(position, 16, 8, lambda: 0.0))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert overview.due(position, 16, 0.0)
    await runtime.aclose()


async def test_changed_marks_are_read_at_once(runtime: Runtime) -> None:
    overview, position = await overview_of(runtime)
    await overview.read(position, 16, 8, lambda: 0.0)

    overview.mark_anew()

    assert overview.due(position, 16, 0.0)
    await runtime.aclose()
