"""Whole screens, as a person meets them, driven by keys."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from unittest.mock import patch

import pytest
from rich.console import Console
from textual import events
from textual.notifications import Notify
from textual.pilot import Pilot
from textual.widgets import Input
from textual.worker import WorkerCancelled

from arena_tui.tui.screens.confirm import ConfirmScreen
from arena_tui.tui.screens.history import HistoryScreen
from arena_tui.tui.screens.live import LiveScreen
from arena_tui.tui.screens.run import RunScreen
from arena_tui.tui.widgets.bars import TitleBar
from arena_tui.tui.widgets.mosaic import Mosaic
from arena_tui.tui.widgets.run import Scrubber
from arena_tui.tui.widgets.table import VirtualTable
from tests.tui.scenario import Scenario
from tests.waiting import until


@asynccontextmanager
async def running(app: Scenario, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Pilot[int]]:
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        await app.play_all()
        await pilot.pause()
        yield pilot


def text_of(app: Scenario, styles: bool = False) -> str:
    """What stands on the screen, line by line; with `styles`, as a terminal is sent it."""
    # A picture is made of this text, which takes ten times as long.
    with patch.object(Console, "export_svg", lambda self, title: self.export_text(styles=styles)):
        lines = app.export_screenshot().splitlines()
    return "\n".join(line.rstrip() for line in lines)


async def settled(app: Scenario, pilot: Pilot[int]) -> str:
    """The screen once all that was asked for is there."""
    await until(lambda: app.typed_ahead.is_at_rest)
    for _ in range(2):
        with suppress(WorkerCancelled):  # a newer request took its place
            await app.workers.wait_for_complete()
        await app.settle()
        await pilot.pause()
    with suppress(WorkerCancelled):
        await app.workers.wait_for_complete()
    await pilot.pause()
    return text_of(app)


async def test_the_mosaic_shows_every_run_with_board_and_state() -> None:
    app = Scenario()
    async with running(app) as pilot:
        screen = await settled(app, pilot)

    assert "connect_four · 7f3a" in screen
    assert "▶ turn 9" in screen
    assert "✓ minimax x won" in screen
    assert "✗ crashed" in screen
    assert "· · x x o · ·" in screen
    assert "8 r · b q k b · r" in screen


async def test_the_truth_bar_adds_up() -> None:
    app = Scenario()
    async with running(app) as pilot:
        calm = await settled(app, pilot)
        await pilot.press("a")
        full = await settled(app, pilot)
        await pilot.press("a")
        again = await settled(app, pilot)

    total = sum(len(tape.events) for tape in app.tapes)
    assert f" ● {total} events, all stored" in calm
    assert f"published {total} = stored {total} + in flight 0 + lost 0" in full
    assert f" ● {total} events, all stored" in again


async def test_without_a_store_nothing_is_called_stored() -> None:
    app = Scenario(store=False)
    async with running(app) as pilot:
        screen = await settled(app, pilot)

    assert "● 136 events, not stored" in screen
    assert screen.count("stored") == screen.count("not stored") == 3


async def test_an_unanswered_prompt_is_counted_and_silence_becomes_stuck() -> None:
    app = Scenario()
    async with running(app) as pilot:
        app.clock.now += 30
        waiting = await settled(app, pilot)
        app.clock.now += 31
        stuck = await settled(app, pilot)

    assert "… no llm_response for" in waiting
    assert "! stuck" in stuck


async def test_an_empty_arena_says_what_to_do() -> None:
    app = Scenario([])
    async with running(app) as pilot:
        screen = await settled(app, pilot)

    assert "No games are being played." in screen
    assert "n        start a game here" in screen


async def test_arrows_select_and_enter_opens_the_same_run() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        await pilot.press("right")
        selected = app.screen.query_one(Mosaic).selected
        assert selected is not None
        await pilot.press("enter")
        screen = await settled(app, pilot)

        assert isinstance(app.screen, RunScreen)
        assert f"{selected.game.partition('(')[0]} · {selected.run_id[-4:].lower()}" in screen


async def test_a_filter_hides_the_other_runs_and_escape_brings_them_back() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        await pilot.press("slash", *"chess")
        filtered = await settled(app, pilot)
        await pilot.press("escape")
        everything = await settled(app, pilot)

    assert "chess · 2d11" in filtered
    assert "connect_four" not in filtered
    assert "connect_four" in everything


async def test_freezing_holds_the_picture_and_says_how_far_one_is_behind() -> None:
    app = Scenario()
    late = app.tapes.pop()
    async with running(app) as pilot:
        await settled(app, pilot)
        await pilot.press("space")
        await app.publish([late])
        frozen = await settled(app, pilot)
        await pilot.press("end")
        live = await settled(app, pilot)

    assert re.search(r"FROZEN 12:0\d:\d\d, \d s behind", frozen)
    assert "backgammon" not in frozen
    assert "backgammon" in live


async def test_end_returns_to_now_in_the_table_too_and_goes_to_the_last_row_then() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        await pilot.press("t", "space")
        frozen = await settled(app, pilot)
        await pilot.press("end")
        live = await settled(app, pilot)
        at = app.screen.query_one(VirtualTable).cursor
        await pilot.press("end")

        assert ("FROZEN" in frozen, "FROZEN" in live, at) == (True, False, 0)
        assert app.screen.query_one(VirtualTable).cursor == len(app.session.frame.panes) - 1


async def test_the_mosaic_becomes_a_table_on_a_small_screen_and_by_key() -> None:
    app = Scenario()
    async with running(app, (60, 12)) as pilot:
        small = await settled(app, pilot)
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        await pilot.press("t")
        by_key = await settled(app, pilot)

    assert "ev/s" in small.splitlines()[1]
    assert "ev/s" in by_key.splitlines()[1]


async def test_a_finished_run_opens_at_its_beginning_and_steps_through() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        await pilot.press("2")
        await settled(app, pilot)
        assert isinstance(app.screen, HistoryScreen)
        await pilot.press("slash", *"tic", "enter")
        await settled(app, pilot)
        await pilot.press("enter")
        start = await settled(app, pilot)
        await pilot.press("right", "right")
        stepped = await settled(app, pilot)
        await pilot.press("right_square_bracket")
        turn = await settled(app, pilot)
        await pilot.press("end")
        end = await settled(app, pilot)

    assert "event 1/22" in start
    assert "event 3/22" in stepped
    assert "event 6/22  turn 2" in turn
    assert "event 22/22" in end
    assert "★minimax x" in end


async def test_search_jumps_to_the_event_and_shows_all_of_it() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run("01ARENA0000000000000000C02E")
        await settled(app, pilot)
        await pilot.press("home")
        await settled(app, pilot)
        await pilot.press("slash", *"best hand", "enter")
        found = await settled(app, pilot)
        await pilot.press("v")
        event = await settled(app, pilot)
        await pilot.press("e")
        error = await settled(app, pilot)

    assert "turn 1 · llm:" in found
    assert "A king with a queen on the board." in found
    assert "event 7 · llm_response" in event
    assert "A king with a queen on the board." in event
    assert "event 8 · error" in error


async def test_a_live_run_can_be_rewound_and_caught_up_with() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run("01ARENA00000000000000007F3A")
        live = await settled(app, pilot)
        await pilot.press("g", *"t2", "enter")
        rewound = await settled(app, pilot)
        await pilot.press("end")
        again = await settled(app, pilot)

    assert "LIVE ●  event 37/37" in live
    assert re.search(r"PAUSED 1x  \S+ s behind  event 6/37  turn 2", rewound)
    assert "LIVE ●  event 37/37" in again


async def test_a_click_on_the_scrubber_goes_there() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run("01ARENA000000000000000091BC")
        await settled(app, pilot)
        await pilot.click("Scrubber", offset=(11, 0))
        first = await settled(app, pilot)

    assert "event 1/22" in first


async def test_the_scrubber_zooms_to_where_one_stands_and_back() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run("01ARENA000000000000000091BC")
        await pilot.press("g", *"9", "enter")
        await settled(app, pilot)
        await pilot.press("z")
        await settled(app, pilot)
        scrubber = app.screen.query_one(Scrubber)
        zoomed = [scrubber.render_line(y).text for y in range(scrubber.size.height)]
        await pilot.press("Z")
        await settled(app, pilot)
        whole = [scrubber.render_line(y).text for y in range(scrubber.size.height)]

    assert "zoom 4x" in zoomed[1]
    assert "┃" in zoomed[0]
    assert "zoom" not in whole[1]
    assert zoomed[0].split()[0] != whole[0].split()[0]


async def test_the_pointer_shows_time_and_turn_and_the_wheel_zooms_there() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run("01ARENA000000000000000091BC")
        await settled(app, pilot)
        scrubber = app.screen.query_one(Scrubber)
        await pilot.hover(Scrubber, (60, 0))
        below = scrubber.render_line(scrubber.size.height - 1).text
        assert scrubber.timeline.density is not None
        before = scrubber.timeline.density
        scrubber.post_message(events.MouseScrollUp(
            scrubber, 60, 0, 0, -1, 0, False, False, False, 60, 0
        ))  # fmt: skip
        await settled(app, pilot)
        after = scrubber.timeline.density
        await pilot.hover("BoardPanel")
        elsewhere = scrubber.render_line(scrubber.size.height - 1).text

    assert re.search(r"12:\d\d:\d\d(\.\d)? turn \d", below)
    assert after is not None
    assert sum(after.counts) < sum(before.counts)
    assert "turn" not in elsewhere


async def test_a_bookmark_is_set_and_drawn() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run("01ARENA000000000000000091BC")
        await settled(app, pilot)
        await pilot.press("g", *"9", "enter")
        await settled(app, pilot)
        await pilot.press("m")
        await settled(app, pilot)
        history = app.runtime.history
        assert history is not None
        density = await history.density("01ARENA000000000000000091BC", 50)

    assert [(mark.kind, mark.place) for mark in density.marks] == [("bookmark", 9)]


async def test_history_sorts_filters_and_previews() -> None:
    app = Scenario()
    async with running(app, (160, 40)) as pilot:
        await settled(app, pilot)
        await pilot.press("2")
        await settled(app, pilot)
        await pilot.press("slash", *"err>0", "enter")
        screen = await settled(app, pilot)
        table = app.screen.query_one(VirtualTable)

        assert "leduc_poker" in screen
        assert "backgammon" in screen
        assert "chess" not in screen
        await pilot.press("home")
        preview = await settled(app, pilot)
        assert table.cursor == 0
        assert "errors  1" in preview


async def test_deleting_asks_first_and_then_is_gone() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        await pilot.press("2")
        await settled(app, pilot)
        await pilot.press("slash", *"tic", "enter")
        await settled(app, pilot)
        await pilot.press("d")
        question = await settled(app, pilot)
        await pilot.press("n")
        kept = await settled(app, pilot)
        await pilot.press("d", "y")
        gone = await settled(app, pilot)

    assert "Delete tic_tac_toe" in question
    assert "tic_tac_toe" in kept
    assert "No run matches" in gone


async def test_help_lists_the_keys_of_the_screen_it_came_from() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        await pilot.press("question_mark")
        screen = await settled(app, pilot)
        await pilot.press("escape")
        await pilot.pause()

        assert "new game" in screen
        assert "published = stored + already stored + in flight + lost" in screen
        assert isinstance(app.screen, LiveScreen)


async def test_a_bad_game_is_explained_where_it_was_written() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        await pilot.press("n", *"connect_four wizard", "enter")
        screen = await settled(app, pilot)

    assert "wizard" in screen
    assert "mcts" in screen


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (200, 60)])
async def test_every_screen_fits_any_terminal(size: tuple[int, int]) -> None:
    app = Scenario()
    async with running(app, size) as pilot:
        for keys in (["1"], ["t"], ["t", "2"], ["enter"], ["enter"], ["escape", "escape", "n"]):
            await pilot.press(*keys)
            screen = await settled(app, pilot)

            assert max(len(text) for text in screen.splitlines()) <= size[0]


async def test_a_finished_run_plays_back_at_its_own_pace_and_faster() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run("01ARENA000000000000000091BC")
        await settled(app, pilot)
        await pilot.press("space")
        playing = await settled(app, pilot)
        await pilot.press("space", "plus", "plus")
        paused = await settled(app, pilot)
        await pilot.press("space")
        app.clock.now += 10.0
        end = await settled(app, pilot)

    under_way = re.search(r"REPLAY 1x ▶  event (\d+)/22", playing)
    assert under_way is not None
    assert 1 < int(under_way[1]) < 22
    assert f"REPLAY 4x  event {under_way[1]}/22" in paused
    assert "event 22/22" in end


async def test_a_notice_is_never_markup() -> None:
    app = Scenario()
    async with running(app) as pilot:
        app.screen.notify("[b]no[/b] \x1b[31m[/nonsense]")
        screen = await settled(app, pilot)

    assert "[b]no[/b] ␛[31m[/nonsense]" in screen


async def test_a_store_that_cannot_be_read_is_said_and_the_screen_goes_on() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        database = app.runtime.database
        assert database is not None
        await database.write(lambda connection: connection.execute("DROP VIEW cursors"))
        await database.write(lambda connection: connection.execute("ALTER TABLE runs RENAME TO r"))
        await pilot.press("2")
        app.clock.now += 5
        await app.settle()
        await pilot.pause()
        screen = text_of(app)
        await pilot.press("1")
        await app.settle()
        await pilot.pause()

        assert "cannot read the store" in screen
        assert "connect_four" in text_of(app)


async def test_space_on_a_live_run_stops_following_where_it_is() -> None:
    app = Scenario()
    late = app.tapes[0].events[-4:]
    del app.tapes[0].events[-4:]
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run("01ARENA00000000000000007F3A")
        await settled(app, pilot)
        await pilot.press("space")
        app.tapes[0].events = late
        await app.publish(app.tapes[:1])
        held = await settled(app, pilot)
        await pilot.press("end")
        followed = await settled(app, pilot)

    assert re.search(r"PAUSED 1x  \S+ s behind  event 33/37", held)
    assert "LIVE ●  event 37/37" in followed


@pytest.mark.parametrize("words", ["²", "9" * 400, "t", "%", "abc", "-1"])
async def test_nonsense_to_go_to_is_refused_and_nothing_moves(words: str) -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run("01ARENA000000000000000091BC")
        await settled(app, pilot)
        await pilot.press("g")
        app.screen.query_one(Input).value = words
        await pilot.press("enter")
        screen = await settled(app, pilot)

    assert "event 1/22" in screen
    assert "go to 120 (event)" in screen


async def test_keys_move_the_text_cursor_while_something_is_written() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run("01ARENA000000000000000091BC")
        await settled(app, pilot)
        await pilot.press("g", "2", "home", "1", "enter")
        screen = await settled(app, pilot)

    assert "event 12/22" in screen


async def test_a_wrong_history_filter_says_what_there_is() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        await pilot.press("2", "slash", *"foo>3")
        screen = await settled(app, pilot)

    assert "no field 'foo': " in screen


async def test_the_screen_behind_a_question_goes_on() -> None:
    app = Scenario()
    late = app.tapes[0].events[-4:]
    del app.tapes[0].events[-4:]
    async with running(app) as pilot:
        await settled(app, pilot)
        app.push_screen(ConfirmScreen("End the games?"))
        await settled(app, pilot)
        app.tapes[0].events = late
        before = text_of(app)
        await app.publish(app.tapes[:1])
        await settled(app, pilot)
        after = text_of(app)

    total = sum(len(tape.events) for tape in app.tapes) + 33
    assert f"● {total - 4} events, all stored" in before
    assert "End the games?" in after
    assert f"● {total} events, all stored" in after


@pytest.mark.parametrize(
    ("width", "keys"),
    [
        (40, "⏎ open v events [ ] turn esc back ? help"),
        (60, "⏎ open v events space play ←/→ event g goto esc back ? help"),
        (80, "⏎ open v events space play ←/→ event [ ] turn e/E error g goto esc back ? help"),
        (120, "⏎ open v events space play ←/→ event [ ] turn e/E error g goto / find +/- speed "
              "esc back ? help ^p commands q quit"),
    ],
)  # fmt: skip
async def test_the_footer_shows_whole_keys_and_always_the_way_back(width: int, keys: str) -> None:
    app = Scenario()
    async with running(app, (width, 24)) as pilot:
        app.open_run("01ARENA000000000000000091BC")
        screen = await settled(app, pilot)

    assert screen.splitlines()[-1] == keys


async def test_the_footer_follows_the_width() -> None:
    app = Scenario()
    async with running(app, (120, 24)) as pilot:
        app.open_run("01ARENA000000000000000091BC")
        await settled(app, pilot)
        await pilot.resize_terminal(60, 24)
        narrow = await settled(app, pilot)
        await pilot.resize_terminal(120, 24)
        wide = await settled(app, pilot)

    assert narrow.splitlines()[-1].endswith("esc back ? help")
    assert wide.splitlines()[-1].endswith("q quit")


@pytest.mark.parametrize(("keys", "text"), [("2", "s/r sort"), ("1", "space freeze")])
async def test_while_something_is_written_the_footer_shows_no_key_that_would_be_written(
    keys: str, text: str
) -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press(keys)
        before = await settled(app, pilot)
        await pilot.press("slash")
        writing = await settled(app, pilot)

    assert text in before.splitlines()[-1]
    assert "/ filter" in before.splitlines()[-1]
    assert text not in writing.splitlines()[-1]
    assert "/ filter" not in writing.splitlines()[-1]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("keys", ["1", "2"])
async def test_what_a_filter_understands_stands_beside_it(keys: str, size: tuple[int, int]) -> None:
    app = Scenario()
    async with running(app, size) as pilot:
        await pilot.press(keys, "slash", *"err>0")
        writing = await settled(app, pilot)
        await pilot.press("enter")
        kept = await settled(app, pilot)

    hint = 'game:chess cost>0.1 since:2d -agent:x "rate limit"   enter keep   esc clear'
    assert hint in writing
    assert "leduc" in writing
    assert "connect_four" not in writing
    assert hint not in kept
    assert "connect_four" not in kept


@pytest.mark.parametrize("table", [False, True])
async def test_a_live_filter_that_no_run_matches_says_how_to_clear_it(table: bool) -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press(*["t"] * table, "slash", *"game:nosuch")
        nothing = await settled(app, pilot)
        await pilot.press("escape")
        cleared = await settled(app, pilot)

    assert "No run matches: esc clears the filter" in nothing
    assert "No run matches" not in cleared
    assert "connect_four" in cleared


async def test_a_wrong_live_filter_says_what_there_is_and_keeps_what_it_shows() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press("slash", *"foo>3")
        wrong = await settled(app, pilot)
        await pilot.press(*["backspace"] * 5, *"game:chess")
        right = await settled(app, pilot)

    assert "no field 'foo': " in wrong
    assert "no field" not in right
    assert "connect_four" not in right


@pytest.mark.parametrize(("key", "hint"), [("slash", "n next, N previous"), ("g", "t17 turn")])
async def test_what_a_question_about_a_run_understands_stands_beside_it(
    key: str, hint: str
) -> None:
    app = Scenario()
    async with running(app, (80, 24)) as pilot:
        app.open_run("01ARENA000000000000000091BC")
        await settled(app, pilot)
        await pilot.press(key, "5")
        asked = await settled(app, pilot)
        await pilot.press("escape")
        left = await settled(app, pilot)

    assert hint in asked
    assert "esc close" in asked
    assert hint not in left


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_notices_stand_at_the_top_and_hide_neither_position_nor_truth(
    size: tuple[int, int],
) -> None:
    app = Scenario()
    async with running(app, size) as pilot:
        app.open_run("01ARENA000000000000000091BC")
        before = await settled(app, pilot)
        for number in range(9):
            app.notify(f"notice {number} " + "which is long " * 9, severity="error")
        lines = (await settled(app, pilot)).splitlines()

    assert "notice 2" in "\n".join(lines[2 : size[1] // 2 + 2])
    assert "which is long" not in "\n".join([*lines[:2], *lines[size[1] // 2 + 2 :]])
    assert [*lines[:2], lines[-1]] == [*before.splitlines()[:2], before.splitlines()[-1]]
    assert lines[-2].startswith(" ● 136 events, all stored")


class Notified(Scenario):
    """Keeps for how long each notice is to be shown."""

    toast_s = None

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = {}

    def on_notify(self, event: Notify) -> None:
        self.seconds[event.notification.message] = event.notification.timeout


async def test_a_notice_goes_soon_and_what_went_wrong_stays_longer() -> None:
    app = Notified()
    async with running(app) as pilot:
        app.notify("sorted")
        app.notify("failed", severity="error")
        app.notify("set", timeout=1)
        await pilot.pause()

    assert app.seconds == {"sorted": 3, "failed": 6, "set": 1}


async def test_a_frame_that_comes_while_leaving_is_not_drawn() -> None:
    """Textual takes a screen apart widget by widget."""
    app = Scenario()
    async with running(app):
        await app.screen.query_one(TitleBar).remove()
        app.exit(0)

        await app.sample()
