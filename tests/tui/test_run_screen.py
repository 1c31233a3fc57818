"""The Run screen as one reads a game in it."""

from __future__ import annotations

from arena_tui.events import LlmResponse, LogEvent, RunEnd
from arena_tui.tui.widgets.inspector import Inspector
from arena_tui.tui.widgets.question import Question
from arena_tui.tui.widgets.turns import TurnList
from tests.tui.scenario import Scenario, Tape
from tests.tui.test_screens import running, settled

TIC_TAC_TOE = "01ARENA000000000000000091BC"


async def test_a_run_reads_as_turns_and_by_key_as_events() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(TIC_TAC_TOE)
        turns = await settled(app, pilot)
        await pilot.press("down", "down")
        second = await settled(app, pilot)
        await pilot.press("v")
        events = await settled(app, pilot)
        await pilot.press("v", "end")
        end = await settled(app, pilot)

    assert "start  tic_tac_toe" in turns
    assert "1 minimax x" in turns
    assert "✓ minimax x won" in turns
    assert "▶  2 random o" in second
    assert "event 9/22  turn 2/5" in second
    assert "turn 2 · random o" in second
    assert "res   ok  reward 0" in events
    assert "event 9 · action_result" in events
    assert "event 22/22" in end


async def test_a_run_without_turns_is_a_list_of_events() -> None:
    tape = Tape("01ARENA0000000000000000L065", "batch", ["a"])
    for each in range(3):
        tape.add(LogEvent, text=f"step {each}")
    app = Scenario([tape])
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(tape.run_id)
        screen = await settled(app, pilot)
        await pilot.press("v")
        refused = await settled(app, pilot)

    assert "log   step 1" in screen
    assert "turn" not in screen.splitlines()[1]
    assert "no event of this run belongs to a turn" in refused


async def test_the_cursor_of_the_turns_keeps_rows_in_sight_below_it() -> None:
    tape = Tape("01ARENA0000000000000000L0N6", "go", ["x", "o"])
    for turn in range(1, 101):
        tape.turn(turn, "xo"[turn % 2], "·", f"move {turn}")
    app = Scenario([tape])
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(tape.run_id)
        newest = await settled(app, pilot)
        await pilot.press("home")
        await settled(app, pilot)
        await pilot.press("pagedown")
        page = await settled(app, pilot)
        row = next(line for line in page.splitlines() if "▶" in line and "move" in line)
        cursor = int(row.partition("move")[2].split()[0])

    assert "▶ 100 x" in newest
    assert "  70 x" in newest
    assert f"move {cursor + 5}" in page
    assert f"move {cursor + 6}" not in page


async def test_a_very_long_answer_is_read_and_searched_to_its_end_on_the_whole_screen() -> None:
    tape = Tape("01ARENA0000000000000000L0N7", "talk", ["a"])
    tape.turn(1, "a", "·", "hm")
    text = "\n".join(f"thought {each} of the machine" for each in range(7_000))
    tape.add(LlmResponse, agent_id="a", text=f"{text}\nThe very end.")
    tape.add(RunEnd)
    app = Scenario([tape])
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(tape.run_id)
        await settled(app, pilot)
        await pilot.press("down", "enter")
        await settled(app, pilot)
        app.screen.query_one(Inspector).action_scroll_end()
        end = await settled(app, pilot)
        await pilot.press("slash", *"THOUGHT 41 of", "enter")
        found = await settled(app, pilot)
        await pilot.press("escape")
        await settled(app, pilot)
        focused = app.focused

    assert "The very end." in end
    assert "thought 41 of the machine" in found
    assert "from the beginning again" in found
    assert isinstance(focused, TurnList)


async def test_a_match_in_what_is_hidden_again_is_left_for_one_in_sight() -> None:
    tape = Tape("01ARENA0000000000000000L0N8", "talk", ["a"])
    tape.turn(1, "a", "·", "hm")
    tape.add(LlmResponse, agent_id="a", text="a thought")
    tape.add(RunEnd)
    app = Scenario([tape])
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(tape.run_id)
        await settled(app, pilot)
        await pilot.press("down", "enter", "r", "slash", *"thought", "enter", "N")
        raw = await settled(app, pilot)
        await pilot.press("r", "N")
        page = await settled(app, pilot)

    assert "RAW" in raw
    assert "RAW" not in page
    assert "a thought" in page


async def test_a_refused_place_stays_written_with_the_reason_beside_it() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(TIC_TAC_TOE)
        await settled(app, pilot)
        await pilot.press("g", *"turn 9", "enter")
        refused = await settled(app, pilot)
        written = app.screen.query_one(Question).value
        await pilot.press("backspace", "3")
        corrected = await settled(app, pilot)
        await pilot.press("enter")
        there = await settled(app, pilot)

    assert "no turn 9" in refused
    assert written == "turn 9"
    assert "no turn 9" not in corrected
    assert "turn 3/5" in there


async def test_a_live_run_is_searched_in_what_is_there_already() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run("01ARENA0000000000000000C02E")
        live = await settled(app, pilot)
        await pilot.press("slash", *"king with a queen", "enter")
        found = await settled(app, pilot)

    assert "LIVE ●" in live
    assert "event 7/9" in found
    assert "from the beginning again" in found


async def test_what_playing_stops_at_is_said() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(TIC_TAC_TOE)
        await settled(app, pilot)
        await pilot.press("o", *"gaps errors", "enter")
        some = await settled(app, pilot)
        await pilot.press("o", "enter")
        nothing = await settled(app, pilot)

    assert "playing stops at error, gap" in some
    assert "playing stops at nothing" in nothing


async def test_a_zoom_that_can_go_no_further_says_so() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await settled(app, pilot)
        app.open_run(TIC_TAC_TOE)
        await settled(app, pilot)
        await pilot.press("Z")
        whole = await settled(app, pilot)
        await pilot.press(*"z" * 20)
        least = await settled(app, pilot)

    assert "this is the whole run" in whole
    assert "no shorter part can be shown" in least
