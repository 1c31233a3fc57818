"""The frozen mosaic as a recorder: moved, played on, opened, and left again."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Input

from arena_tui.events import RunEnd
from arena_tui.folds.absent import AbsentPane
from arena_tui.folds.view import Pane
from arena_tui.store.changes import Delete
from arena_tui.tui.render.mosaic import key_of
from arena_tui.tui.screens.live import LiveScreen
from arena_tui.tui.screens.run import RunScreen
from arena_tui.tui.widgets.bars import TitleBar
from arena_tui.tui.widgets.mosaic import Mosaic
from tests.tui.scenario import Scenario, Tape, tapes
from tests.tui.test_screens import running, settled
from tests.waiting import until

CHESS = "01ARENA00000000000000002D11"
OVER = "01ARENA000000000000000091BC"


def badge(app: Scenario) -> str:
    return app.screen.query_one(TitleBar).badge


def panes(app: Scenario) -> dict[str, Pane]:
    shown = app.screen.query_one(Mosaic).panes
    return {pane.run_id: pane for pane in shown if isinstance(pane, Pane)}


async def there(app: Scenario, pilot: Pilot[int]) -> str:
    """The badge once all panes show its time."""

    async def is_there() -> bool:
        await app.sample()
        await pilot.pause()
        return not badge(app).endswith("…")

    await until(is_there)
    return badge(app)


def tapes_open(app: Scenario) -> int:
    return sum(each.name.startswith("run ") for each in app.runtime.consumers())


def expected(app: Scenario) -> dict[str, int]:
    """How many events of each run there were at the time shown, of those that had begun."""
    at = live(app).past.at
    assert at is not None
    counts = {tape.run_id: sum(each.ts <= at for each in tape.events) for tape in app.tapes}
    return {run_id: count for run_id, count in counts.items() if count}


def live(app: Scenario) -> LiveScreen:
    return next(each for each in app.screen_stack if isinstance(each, LiveScreen))


def shown(app: Scenario) -> dict[str, int]:
    return {
        run_id: pane.events
        for run_id, pane in panes(app).items() if not isinstance(pane, AbsentPane)
    }  # fmt: skip


@pytest.mark.parametrize("store", [True, False], ids=["stored", "not-stored"])
async def test_the_frozen_mosaic_moves_back_and_on_and_is_live_again(store: bool) -> None:
    app = Scenario(store=store)
    async with running(app, (200, 60)) as pilot:
        await settled(app, pilot)
        before = [each.run_id for each in app.screen.query_one(Mosaic).panes]
        now = shown(app)
        await pilot.press("space")
        frozen = await there(app, pilot)
        assert (shown(app), tapes_open(app)) == (now, 0)
        assert re.fullmatch(r"FROZEN 12:0\d:\d\d, \d s behind", frozen)
        for keys in (["comma"], ["comma", "comma"], ["less_than_sign"], ["full_stop"]):
            await pilot.press(*keys)
            said = await there(app, pilot)
            assert said.endswith("s behind" if store else "s behind, from memory alone")
            assert shown(app) == expected(app)
            assert [each.run_id for each in app.screen.query_one(Mosaic).panes] == before
            assert tapes_open(app) == len(before)
        await pilot.press("greater_than_sign")
        await settled(app, pilot)

        assert badge(app) == ""
        assert shown(app) == now
        await app.sample()
        assert tapes_open(app) == 0


async def test_a_run_that_had_not_begun_keeps_its_place_and_says_so() -> None:
    app = Scenario()
    late = app.tapes.pop()
    late.events = [replace(each, ts=each.ts + timedelta(seconds=40)) for each in late.events]
    app.tapes.append(late)
    async with running(app, (200, 60)) as pilot:
        await settled(app, pilot)
        await pilot.press("space", "less_than_sign")
        await there(app, pilot)
        screen = await settled(app, pilot)
        absent = [each.run_id for each in panes(app).values() if isinstance(each, AbsentPane)]
        await pilot.press("t")
        table = await settled(app, pilot)

    assert late.run_id in absent
    assert "backgammon · dead" in screen
    assert "not begun yet" in screen
    assert "not begun yet" in table


@pytest.mark.parametrize("store", [True, False], ids=["stored", "not-stored"])
async def test_where_a_finished_game_was_that_another_one_replaced_that_is_told(
    store: bool,
) -> None:
    four = next(tapes())
    chess = Tape(CHESS, "chess", ["a", "b"])
    chess.turn(1, "a", "board", "e4")
    chess.add(RunEnd, outcome={"a": 1.0, "b": -1.0})
    again = Tape(f"{CHESS[:-1]}2", "chess", ["a", "b"])
    for tape, seconds in ((chess, 3), (again, 20)):  # the other game began before both
        later = timedelta(seconds=seconds)
        tape.events = [replace(each, ts=each.ts + later) for each in tape.events]
    app = Scenario([four, chess], store=store)
    async with running(app, (60, 24)) as pilot:
        await app.publish([again])
        await settled(app, pilot)
        await pilot.press("space", "comma", "comma")
        await there(app, pilot)
        then = await settled(app, pilot)
        await pilot.press("less_than_sign")
        await there(app, pilot)
        before = await settled(app, pilot)
        await pilot.press("t")
        table = await settled(app, pilot)

    assert "not begun yet" not in then
    assert "an earlier game" in then
    assert ("It is in History." in then) == store
    assert "not begun yet" in before + table


async def test_it_plays_at_a_speed_pauses_and_is_live_at_the_present() -> None:
    app = Scenario()
    async with running(app, (200, 60)) as pilot:
        await settled(app, pilot)
        now = shown(app)
        await pilot.press("space", "comma", "comma", "comma")
        paused = await there(app, pilot)
        await pilot.press("p", "right_square_bracket", "right_square_bracket")
        playing = await there(app, pilot)
        past = live(app).past
        before = past.at
        app.clock.now += 0.5
        await there(app, pilot)
        assert (before is not None, past.at) == (True, before + timedelta(seconds=2))
        assert shown(app) == expected(app)
        await pilot.press("p")
        again = await there(app, pilot)
        assert past.at == before + timedelta(seconds=2)
        await pilot.press("p", "left_square_bracket")
        slower = await there(app, pilot)
        seen = [shown(app)]
        while past.at is not None:
            app.clock.now += 0.5
            await there(app, pilot)
            seen.append(shown(app))
            assert past.at is None or seen[-1] == expected(app)
        await app.sample()

        assert [each.partition(" 12")[0] for each in (paused, playing, again, slower)] == [
            "FROZEN", "REPLAY 4x", "FROZEN", "REPLAY 2x",
        ]  # fmt: skip
        assert len(seen) > 10
        assert all(
            one[run_id] <= other.get(run_id, 0)
            for one, other in pairwise(seen) for run_id in one
        )  # fmt: skip
        assert (seen[-1], badge(app), tapes_open(app)) == (now, "", 0)


@pytest.mark.parametrize("key", ["end", "space"])
async def test_now_is_shown_again_at_once_and_what_came_meanwhile(key: str) -> None:
    app = Scenario()
    late = app.tapes.pop()
    async with running(app, (200, 60)) as pilot:
        await settled(app, pilot)
        await pilot.press("space", "comma", "p")
        await there(app, pilot)
        await app.publish([late])
        behind = await settled(app, pilot)
        await pilot.press(key)
        screen = await settled(app, pilot)
        await app.runtime.broker.settled([late.run_id])

        assert "backgammon" not in behind
        assert "backgammon" in screen
        assert (badge(app), tapes_open(app)) == ("", 0)
        assert app.session.frame.truth.account.lost == 0


async def test_enter_opens_the_run_at_that_very_moment() -> None:
    app = Scenario()
    async with running(app, (200, 60)) as pilot:
        await settled(app, pilot)
        await pilot.press("space", "comma", "comma")
        await there(app, pilot)
        mosaic = app.screen.query_one(Mosaic)
        mosaic.choose([each.run_id for each in mosaic.panes].index(CHESS))
        events = shown(app)[CHESS]
        await pilot.press("enter")
        screen = await settled(app, pilot)
        assert isinstance(app.screen, RunScreen)
        await pilot.press("escape")
        await there(app, pilot)

        assert re.search(rf"event {events}/\d+", screen)
        assert shown(app) == expected(app)
        assert badge(app).startswith("FROZEN")


async def test_a_run_that_is_gone_says_so_when_it_is_to_be_opened() -> None:
    app = Scenario()
    async with running(app, (200, 60)) as pilot:
        await settled(app, pilot)
        await pilot.press("space")
        await app.runtime.broker.reap(OVER)
        assert app.session.history is not None
        await app.session.history.change(Delete(OVER))
        await pilot.press("comma")
        await there(app, pilot)
        mosaic = app.screen.query_one(Mosaic)
        mosaic.choose([key_of(each) for each in mosaic.panes].index(OVER))
        await pilot.press("enter")
        screen = await settled(app, pilot)

        assert app.screen is live(app)
    assert "this run is no longer held" in screen


async def test_while_now_is_shown_and_while_one_writes_its_keys_do_nothing() -> None:
    app = Scenario()
    async with running(app, (200, 60)) as pilot:
        await settled(app, pilot)
        await pilot.press("comma", "p", "less_than_sign")
        before = await settled(app, pilot)
        await pilot.press("space", "slash", *"chess", "comma", "p")
        await settled(app, pilot)

        assert live(app).past.at is not None
        assert tapes_open(app) == 0
        assert app.screen.query_one(Input).value == "chess,p"
        assert "FROZEN" not in before


async def test_keys_for_it_are_in_the_footer_only_while_it_is_frozen() -> None:
    app = Scenario()
    async with running(app, (200, 60)) as pilot:
        calm = await settled(app, pilot)
        await pilot.press("space")
        frozen = await settled(app, pilot)

    assert "p play" not in calm
    assert "p play  , back  . on" in re.sub(r" +", "  ", frozen).replace(
        "p  play", "p play"
    ).replace(",  back", ", back").replace(".  on", ". on")


async def test_alarms_go_on_meanwhile() -> None:
    app = Scenario()
    async with running(app, (200, 60)) as pilot:
        await settled(app, pilot)
        await pilot.press("space", "comma")
        await there(app, pilot)
        app.clock.now += 70
        for _ in range(3):
            screen = await settled(app, pilot)

        assert "runs: stuck" in screen


@pytest.mark.parametrize("width", [60, 80, 120, 200])
async def test_the_title_line_has_room_for_the_badge_at_any_width(width: int) -> None:
    app = Scenario()
    async with running(app, (width, 24)) as pilot:
        await settled(app, pilot)
        await pilot.press("space", "comma")
        await there(app, pilot)
        screen = await settled(app, pilot)

        assert f" {badge(app)} " in screen.splitlines()[0]
        await pilot.click(TitleBar, offset=(2, 0))
        assert app.screen is live(app), "no screen is there that is not named"
