"""Two runs side by side, as a person meets them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from arena_tui.events import LogEvent, RunEnd
from arena_tui.services.comparing import Comparison
from arena_tui.tui.screens.compare import CompareScreen
from arena_tui.tui.screens.comparing import WithWhichScreen
from arena_tui.tui.screens.run import RunScreen
from arena_tui.tui.widgets.run import Goto
from arena_tui.tui.widgets.table import VirtualTable
from tests.tui.scenario import Scenario, Tape
from tests.tui.test_fork_screen import at_turn, forked
from tests.tui.test_screens import running, settled

FIRST, SECOND, SHORT, TALK = (f"01ARENA000000000000000{each * 4}" for each in "ABCD")
MOVES = "abcdefghijklmnopqrstuvwx"


def played(run_id: str, moves: Sequence[str], game: str = "line") -> Tape:
    tape = Tape(run_id, game, ["mcts x", "random o"])
    for turn, move in enumerate(moves, 1):
        player = "mcts x" if turn % 2 else "random o"
        tape.turn(turn, player, f"{''.join(moves[: turn - 1]) or '·'} |", f"go {move}")
    tape.add(RunEnd, outcome={"mcts x": 1.0, "random o": -1.0})
    return tape


def tapes() -> Iterator[Tape]:
    yield played(FIRST, MOVES)
    yield played(SECOND, [*MOVES[:16], "Z", *MOVES[17:]])
    yield played(SHORT, MOVES[:3])
    talk = Tape(TALK, "talk", ["mcts x"])
    talk.add(LogEvent, text="hello")
    yield talk


async def compare(app: Scenario, pilot: Pilot[int], first: str, second: str) -> str:
    app.push_screen(CompareScreen(app, first, second))
    return await settled(app, pilot)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_two_runs_stand_side_by_side_where_they_part(size: tuple[int, int]) -> None:
    app = Scenario(tapes())
    async with running(app, size) as pilot:
        text = await compare(app, pilot, FIRST, SECOND)
        lines = text.splitlines()

    assert "first difference: turn 17, the action" in text
    assert lines[1].split() == ["turns", "events", "tok", "in", "tok", "out", "cost", "latency",
                                "errors", "lost", "took"]  # fmt: skip
    assert lines[2].split()[:3] == ["A", "24", "98"]
    assert lines[4].split()[:5] == ["B", "-", "A", "=", "="]
    assert "▶A line · aaaa  mcts x won" in lines[6]
    assert "  B line · bbbb  mcts x won" in lines[6]
    assert any(line.split()[:2] == ["17", "≠"] for line in lines)
    assert any("go q" in line and "go Z" in line for line in lines)
    boards = text.replace(" ", "").count("abcdefghijklmnop|")
    assert boards == (2 if size[1] >= 32 else 0)


async def test_keys_walk_the_differences_and_the_turns() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        await compare(app, pilot, FIRST, SECOND)
        table = app.screen.query_one(VirtualTable)
        at = [table.cursor]
        for key in ("d", "d", "D", "D"):
            await pilot.press(key)
            said = await settled(app, pilot)
            at.append(table.cursor)
        await pilot.press("g")
        await pilot.press(*"t9", "enter")
        await settled(app, pilot)

    assert at == [17, 18, 18, 17, 17]
    assert "no previous difference" in said
    assert table.cursor == 9


async def test_what_cannot_be_gone_to_is_said() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        await compare(app, pilot, FIRST, SECOND)
        await pilot.press("g", *"99", "enter")
        far = await settled(app, pilot)
        app.screen.query_one(Input).value = "soon"
        await pilot.press("enter")
        wrong = await settled(app, pilot)

    assert "neither run has that turn" in far
    assert "write a number: 17" in wrong


async def test_enter_opens_the_chosen_run_at_the_row() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        await compare(app, pilot, FIRST, SECOND)
        await pilot.press("tab", "enter")
        text = await settled(app, pilot)
        opened = app.screen
        await pilot.press("escape")
        await settled(app, pilot)
        back = app.screen

    assert isinstance(opened, RunScreen)
    assert "line · bbbb" in text
    assert "turn 17/24" in text
    assert isinstance(back, CompareScreen)


async def test_by_time_the_turns_stay_side_by_side_and_the_cursor_on_its_turn() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        await compare(app, pilot, FIRST, SECOND)
        await pilot.press("t")
        text = await settled(app, pilot)

        assert "by time" in text
        assert app.screen.query_one(VirtualTable).cursor == 17
        assert "first difference: turn 17, the action" in text


async def test_the_scrubber_moves_both() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        await compare(app, pilot, FIRST, SECOND)
        app.screen.post_message(Goto(2 + 4 * 5))
        text = await settled(app, pilot)

        assert app.screen.query_one(VirtualTable).cursor == 6
        assert text.count("abcde |") == 2


async def test_a_place_without_a_row_leaves_the_cursor_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        await compare(app, pilot, FIRST, SECOND)
        await pilot.press("g", *"9", "enter")
        await settled(app, pilot)
        before = app.screen.query_one(VirtualTable).cursor
        # as long as that part of a long run is not set beside the other one
        monkeypatch.setattr(Comparison, "row_of_place", lambda *_: None)
        app.screen.post_message(Goto(90))
        text = await settled(app, pilot)
        after = app.screen.query_one(VirtualTable).cursor

    assert before == after > 0
    assert "no row is known of that place yet" in text


async def test_what_only_one_has_and_what_has_no_turns_is_said() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        short = await compare(app, pilot, FIRST, SHORT)
        talk = await compare(app, pilot, FIRST, TALK)
        same = await compare(app, pilot, FIRST, FIRST)
        stays = app.screen

    assert "first difference: turn 4, which only A has" in short
    assert "B: no turns, so there is nothing to set side by side" in talk
    assert "these are runs of different games" in talk
    assert "aaaa is compared with itself: give the id of another run" in same
    assert isinstance(stays, CompareScreen)


async def test_from_a_run_it_asks_which_other_and_takes_part_of_its_id() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        app.open_run(FIRST)
        await settled(app, pilot)
        await pilot.press("c")
        asks = await settled(app, pilot)
        dialog = app.screen
        app.screen.query_one(Input).value = "nowhere"
        await pilot.press("enter")
        refused = await settled(app, pilot)
        app.screen.query_one(Input).value = "bbbb"
        await pilot.press("enter")
        text = await settled(app, pilot)

    assert isinstance(dialog, WithWhichScreen)
    assert "Compare with which run?" in asks
    assert "the store has no run" in refused
    assert "A line · aaaa" in text
    assert "B line · bbbb" in text


async def test_a_marked_run_is_what_a_run_is_compared_with() -> None:
    app = Scenario(tapes())
    async with running(app) as pilot:
        app.marked.append(SECOND)
        app.open_run(FIRST)
        await settled(app, pilot)
        await pilot.press("c")
        text = await settled(app, pilot)

    assert "first difference: turn 17, the action" in text


async def test_a_fork_is_compared_with_its_parent_where_it_begins() -> None:
    app = Scenario([])
    async with at_turn(app, 6) as (pilot, parent):
        *_, fork = await forked(app, pilot, "random random seed=11", 2)
        app.open_run(fork.run_id)
        await settled(app, pilot)
        await pilot.press("c")
        text = await settled(app, pilot)
        table = app.screen.query_one(VirtualTable)

        assert f"A connect_four · {parent.run_id[-4:].lower()}" in text
        assert f"▶B connect_four · {fork.run_id[-4:].lower()}" in text
        assert table.cursor == 6
        assert any(line.split()[:1] == ["6"] for line in text.splitlines())


async def test_a_live_run_is_compared_as_it_grows() -> None:
    grown = played(SECOND, MOVES[:9])
    rest = grown.events[30:]
    del grown.events[30:]
    app = Scenario([played(FIRST, MOVES[:9]), grown])
    async with running(app) as pilot:
        before = await compare(app, pilot, FIRST, SECOND)
        grown.events[:] = rest
        await app.publish([grown])
        after = await settled(app, pilot)

    assert "the same up to turn 7 …" in before
    assert "no difference in what was seen and done, in 9 turns" in after


async def test_hostile_text_stays_text() -> None:
    hostile = played(SECOND, ["a", "\x1b]52;c;aGk=\x07", "[red]b"])
    app = Scenario([played(FIRST, MOVES[:3]), hostile])
    async with running(app) as pilot:
        text = await compare(app, pilot, FIRST, SECOND)

    assert "\x1b" not in text
    assert "␛]52;c;aGk=␇" in text
    assert "[red]b" in text
