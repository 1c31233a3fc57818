"""The list of turns, as literal text."""

from __future__ import annotations

from typing import Any

import pytest
from rich.style import Style

from arena_tui.events import AgentInfo, RunEnd, RunStart, ToolCall
from arena_tui.folds.turns import Turn
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.turns import TurnsLook, height_of, paint_turn
from tests.tui.scenario import NOW

LOOK = TurnsLook(agents=(AgentInfo(id="x"), AgentInfo(id="o")), highest=31, has_tokens=True)


def rows(turn: Turn | None, width: int = 60, **given: Any) -> list[str]:
    painted = paint_turn(turn, LOOK, Palette(), width, **given)
    assert {strip.cell_length for strip in painted} == {width}
    assert len(painted) == height_of(turn)
    return [strip.text.rstrip() for strip in painted]


def turn(**fields: Any) -> Turn:
    plain = {"number": 17, "agent": "o", "actions": ("column 3",), "actions_count": 1}
    return Turn(**(plain | {"duration_s": 2.3} | fields))


def test_a_turn_is_one_line_without_what_is_routine() -> None:
    assert rows(turn(reward=0.0), is_here=True) == ["▶ 17 o column 3                     2.3 s"]


def test_an_answer_stands_below_its_turn_by_its_first_sentence() -> None:
    answered = turn(answer="Column 3 blocks it. Then I win.", output_tokens=212, cost_usd=0.002)

    assert rows(answered) == [
        "  17 o column 3                     2.3 s   212 tok   $0.002",
        "     “Column 3 blocks it.”",
    ]


@pytest.mark.parametrize(
    ("fields", "marks"),
    [
        ({"refused": 1}, "! illegal"),
        ({"retries": 1, "errors": 1}, "! 1 retry"),
        ({"errors": 2}, "! 2 errors"),
        ({"refused": 2, "retries": 3}, "! 2 illegal  ! 3 retries"),
        ({"gaps": 1, "lost": 5}, "┆ gap"),
    ],
)
def test_what_is_out_of_the_ordinary_is_marked(fields: dict[str, Any], marks: str) -> None:
    assert f"  {marks}  " in rows(turn(**fields), width=76)[0]


def test_a_gap_is_worded_below_its_turn_before_anything_else() -> None:
    lost = {"answer": "No.", "last_error": "429"}

    assert rows(turn(gaps=1, lost=1_280, **lost))[1] == "     ┄┄ gap: 1,280 events lost ┄┄"
    assert rows(turn(gaps=1, **lost))[1] == ("     ┄┄ gap: an unknown number of events lost ┄┄")
    assert rows(turn(**lost))[1] == "     ! 429"


def test_a_result_that_is_no_routine_stands_beside_the_action() -> None:
    assert "column 3  reward 1  you win" in rows(turn(reward=1.0, detail="you win"), 70)[0]


def test_actions_are_shown_as_words_whatever_they_were_given_as() -> None:
    def shown(*actions: Any, count: int | None = None) -> str:
        given = turn(actions=actions, actions_count=count or len(actions), duration_s=None)
        return rows(given, 78)[0].partition(" o ")[2].strip()

    assert shown({"dir": "east", "steps": 2}) == "dir=east, steps=2"
    assert shown("a", "b", count=12) == "a, b and 10 more"
    assert shown({"to": [1]}) == "to=[1]"


def test_before_an_action_a_turn_shows_the_tools_that_are_called() -> None:
    waiting = turn(actions=(), actions_count=0, calls=(ToolCall(name="look"),))

    assert "o → look()" in rows(waiting)[0]


def test_start_and_end_of_a_run_say_what_they_are() -> None:
    start = RunStart(ts=NOW, game="go", agents=list(LOOK.agents))

    assert rows(Turn(start=start)) == ["     start  go  x vs o"]
    assert rows(Turn(end=RunEnd(ts=NOW, outcome={"x": 1.0, "o": 0.0}))) == ["     ✓ x won"]
    assert rows(Turn(end=RunEnd(ts=NOW, status="crashed", reason="no\nmore"))) == [
        "     ✗ crashed  no⏎more"
    ]


def test_what_is_not_read_yet_is_a_line_of_its_own() -> None:
    assert rows(None) == ["  …"]


@pytest.mark.parametrize("width", [20, 30, 45, 60, 120])
def test_a_row_is_cut_with_a_sign_at_any_width_and_keeps_its_marks(width: int) -> None:
    long = turn(actions=("word " * 40,), refused=1, output_tokens=3, cost_usd=1.0, answer="a " * 99)
    first, below = rows(long, width)

    assert "! illegal" in first
    assert "…" in first
    assert below.endswith("…")


def test_the_chosen_row_keeps_the_colour_of_what_is_bad() -> None:
    palette = Palette(bad=Style(color="red"))
    (first, _) = paint_turn(
        turn(errors=1, last_error="429"), LOOK, palette, 60, ground=Style(bgcolor="blue")
    )

    styles = {segment.text.strip(): segment.style for segment in first if segment.style}
    assert styles["! 1 error"] == Style(color="red", bgcolor="blue")


def test_a_bookmark_is_marked() -> None:
    assert rows(turn(), is_marked=True)[0].startswith("◆ 17 o")
