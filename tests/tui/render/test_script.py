"""A script's pane and its output as literal text."""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from arena_tui.folds.conditions import read_conditions
from arena_tui.services.scripts.output import Crash, Output
from arena_tui.services.scripts.scripts import ScriptPane
from arena_tui.tui.render.mosaic import script_matches, with_scripts
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.script import Rows, counts_text, paint_script


def pane(**fields: Any) -> ScriptPane:
    given: dict[str, Any] = {
        "number": 1, "name": "agent.py --model x", "state": "running", "seconds": 12,
        "ending": None, "crash": None, "lines": (), "count": 0, "has_run": False, **fields,
    }  # fmt: skip
    return ScriptPane(**given)


def painted(width: int, height: int, **fields: Any) -> list[str]:
    rows = paint_script(pane(**fields), Palette(), width, height, selected=False)
    lines = ["".join(text for text, _ in row) for row in rows]
    assert [cell_len(line) for line in lines] == [width] * height
    return lines


def test_a_script_that_runs_shows_its_last_lines() -> None:
    assert painted(46, 5, lines=("one", "two", "a\tb 漢字"), count=1_203) == [
        "╭─ agent.py --model x ─────── ▶ running 12 s ╮",
        "│ one                                        │",
        "│ two                                        │",
        "│ a       b 漢字                             │",
        "╰─ 1,203 lines printed ──────────────────────╯",
    ]


def test_one_that_has_printed_nothing_says_so() -> None:
    assert "nothing printed yet" in painted(40, 5)[1]
    assert "it printed nothing" in painted(40, 5, state="finished", ending="exited 0")[1]


def test_one_that_has_crashed_says_with_what_and_where() -> None:
    lines = painted(
        40, 7, state="failed", ending="exited 1", lines=("loading", "Traceback …"), count=2,
        crash=Crash("/home/me/agent.py", 12, "ValueError: there is no model today, come back"),
    )  # fmt: skip

    assert "✗ exited 1" in lines[0]
    assert lines[1:6] == [
        "│ ✗ ValueError: there is no model      │",
        "│ today, come back                     │",
        "│ agent.py, line 12                    │",
        "│ loading                              │",
        "│ Traceback …                          │",
    ]


def test_a_name_that_does_not_fit_is_cut_and_the_state_is_whole() -> None:
    assert painted(40, 4, name="漢字" * 20)[0] == "╭ 漢字漢字漢字漢字漢 …  ▶ running 12 s ╮"


@pytest.mark.parametrize("size", [(26, 8), (27, 8), (12, 3), (80, 24)])
def test_a_pane_fills_its_room_exactly(size: tuple[int, int]) -> None:
    painted(*size, lines=("x" * 300, "漢" * 100) * 20, count=40)
    painted(*size, state="failed", ending="killed by SIGSEGV", name="漢" * 50,
            crash=Crash("f" * 300, 3, "E" * 400))  # fmt: skip


def test_colours_are_left_out_and_other_control_characters_shown() -> None:
    assert "red ␛[2J" in painted(40, 4, lines=("\x1b[1;31mred\x1b[0m \x1b[2J",))[1]


def test_the_title_counts_what_runs_and_what_has_failed() -> None:
    running, failed, finished = pane(), pane(state="failed"), pane(state="finished")

    told = [
        counts_text(each)
        for each in ([], [finished], [running], [running] * 2 + [failed], [failed], [failed] * 2)
    ]

    assert told == ["", "", "1 script", "2 scripts, 1 failed", "1 script failed",
                    "2 scripts failed"]  # fmt: skip


def test_a_script_gives_its_place_to_its_runs_unless_it_has_something_to_say() -> None:
    silent, starting = pane(number=1, has_run=True), pane(number=2)
    talking = pane(number=3, has_run=True, lines=("x",), count=1)
    failed = pane(number=4, has_run=True, state="failed")

    assert with_scripts([], [silent, starting, talking, failed]) == [failed, starting, talking]


def test_a_filter_looks_for_words_in_name_and_lines() -> None:
    script = pane(lines=("Loading",))

    found = [
        script_matches(script, read_conditions(text))
        for text in ("", "agent", "loading", "chess", "game:chess", "agent running")
    ]

    assert found == [True, True, True, False, False, True]


def rows_of(rows: Rows) -> list[str]:
    return [rows[index] for index in range(len(rows))]


def test_a_long_line_goes_on_in_the_next_row() -> None:
    output, rows = Output(), Rows(4)
    output.feed("abcdefghij\n\n漢字漢\nlast".encode())

    assert rows.read(output)
    assert rows_of(rows) == ["abcd", "efgh", "ij", "", "漢字", "漢", "last"]


def test_only_new_rows_are_added_and_an_unfinished_line_is_replaced() -> None:
    output, rows = Output(), Rows(80)
    output.feed(b"one\nha")
    rows.read(output)
    first = rows_of(rows)
    output.feed(b"lf\n10 %")
    rows.read(output)
    second = rows_of(rows)
    output.feed(b"\r20 %")
    rows.read(output)

    assert first == ["one", "ha"]
    assert second == ["one", "half", "10 %"]
    assert rows_of(rows) == ["one", "half", "20 %"]
    assert not rows.read(output)


def test_rows_that_came_and_went_between_two_reads_are_left_out() -> None:
    output, rows = Output(), Rows(80)
    output.feed(b"first\n")
    rows.read(output)
    output.feed(b"".join(b"%d\n" % number for number in range(20_000)))
    rows.read(output)

    assert rows_of(rows)[:2] == ["first", "10000"]
    assert rows_of(rows)[-1] == "19999"


def test_text_is_found_up_and_down_and_round_the_end() -> None:
    output, rows = Output(), Rows(80)
    output.feed(b"Alpha\nbeta\nalpha 2\n")
    rows.read(output)

    assert [rows.find("ALPHA", start, 1) for start in (0, 1, 3)] == [0, 2, 0]
    assert [rows.find("alpha", start, -1) for start in (1, -1)] == [0, 2]
    assert rows.find("gamma", 0, 1) is None
    assert Rows(80).find("x", 0, 1) is None
