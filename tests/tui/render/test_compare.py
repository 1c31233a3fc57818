"""Two runs side by side as literal text."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from arena_tui.events import AgentInfo, RunEnd, RunStart
from arena_tui.folds.comparing import Beside, Measured, Step
from arena_tui.folds.totals import RunTotals
from arena_tui.folds.turns import Turn
from arena_tui.tui.render.compare import Compared, paint_band, parted_text, row_cells
from arena_tui.tui.render.palette import Palette
from tests.tui.scenario import NOW

FIRST = RunTotals(
    run_id="01ARENA00000000000000007F3A", game="chess", status="finished", turns=31, events=12_400,
    agents=[AgentInfo(id="ann"), AgentInfo(id="bob")], outcome={"ann": 1.0, "bob": 0.0},
    input_tokens=18_240, output_tokens=900, cost_usd=0.5, started_at=NOW,
    last_at=NOW + timedelta(seconds=187),
)  # fmt: skip
SECOND = RunTotals(
    run_id="01ARENA00000000000000009C21", game="chess", status="crashed", turns=28, events=12_400,
    agents=[AgentInfo(id="ann\x1b"), AgentInfo(id="cid")], errors=2, lost=7, started_at=NOW,
    last_at=NOW + timedelta(seconds=41),
)  # fmt: skip
BAND = Compared(first=Measured(totals=FIRST, latency_s=1.25), second=Measured(totals=SECOND))


def step(**fields: object) -> Step:
    return Step(turn=Turn(**fields))  # type: ignore[arg-type]


def lines(band: Compared, width: int) -> list[str]:
    return [strip.text.rstrip() for strip in paint_band(band, Palette(), width)]


def test_the_band_has_the_figures_of_both_and_what_the_second_has_more() -> None:
    assert lines(BAND, 80) == [
        "          turns  events  tok in tok out    cost latency  errors    lost    took",
        " A           31   12.4k   18.2k     900  $0.500   1.2 s       0       0    3:07",
        " B           28   12.4k       –       –       –       –       2       7    41 s",
        " B - A       -3       =       –       –       –       –      +2      +7   -2:26",
        "                                                                        by turn",
        "         ▶A chess · 7f3a  ann won  ann vs …  B chess · 9c21  crashed  ann␛ vs…",
    ]


def test_a_wide_band_explains_the_signs() -> None:
    assert lines(BAND, 120)[4].endswith("≠ action  # board  ≈ answer  + alone  ~ timing   by turn")


def test_it_says_where_they_part_or_how_far_that_was_looked_for() -> None:
    here = Beside(first=step(number=9), second=step(number=9), differs=("board", "action"))
    alone = Beside(first=None, second=step(number=4), differs=("alone",))

    assert parted_text(BAND) == ""
    assert parted_text(replace(BAND, reach=1_200)) == "the same up to turn 1,200 …"
    assert parted_text(replace(BAND, parted=here)) == (
        "first difference: turn 9, the board and the action"
    )
    assert parted_text(replace(BAND, parted=alone)) == (
        "first difference: turn 4, which only B has"
    )
    assert parted_text(replace(BAND, done=True)) == "they have no turn in common"
    assert parted_text(replace(BAND, done=True, shared=28)) == (
        "no difference in what was seen and done, in 28 turns"
    )
    assert parted_text(replace(BAND, numbered=(False, True))) == (
        "A: no turns, so there is nothing to set side by side"
    )
    assert parted_text(replace(BAND, seeking=52_000)) == (
        "looking for a difference … turn 52,000   esc ends it"
    )


def test_a_row_has_a_sign_for_what_differs_most() -> None:
    ann = step(number=9, agent="ann", actions=("e4",), actions_count=1, duration_s=2.3)
    cid = step(number=9, agent="cid", actions=({"to": "\x9bd4"},), actions_count=3, errors=1)
    row = Beside(first=ann, second=cid, differs=("board", "action", "timing"))

    assert row_cells(row, (FIRST, SECOND)) == [
        ("9", "strong"), ("≠", "bad"), ("ann  e4  2.3 s", "strong"),
        ('cid  {"to":"�d4"} and 2 more  ! 1 error', "strong"),
    ]  # fmt: skip
    assert row_cells(replace(row, differs=("timing",)), (FIRST, SECOND)) == [
        ("9", "dim"), ("~", "dim"), ("ann  e4  2.3 s", "text"),
        ('cid  {"to":"�d4"} and 2 more  ! 1 error', "text"),
    ]  # fmt: skip
    assert row_cells(None, (FIRST, SECOND)) is None


def test_what_is_no_turn_and_what_is_missing_is_told() -> None:
    started = step(start=RunStart(ts=NOW, game="chess"))
    won = step(number=31, end=RunEnd(ts=NOW, outcome={"ann": 1.0, "bob": 0.0}))
    said = step(number=3, agent="ann", answer=" I resign.\n", gaps=1)

    start = row_cells(Beside(first=started, second=None, differs=("alone",)), (FIRST, SECOND))
    end = row_cells(Beside(first=won, second=None, differs=("alone",)), (FIRST, SECOND))
    talk = row_cells(Beside(first=None, second=said, differs=("alone",)), (FIRST, SECOND))

    assert start == [
        ("", "dim"), (" ", "dim"), ("start", "dim"), ("·", "dim")
    ]  # fmt: skip
    assert end == [("", "dim"), (" ", "dim"), ("end  ann won", "dim"), ("·", "dim")]
    assert talk == [
        ("3", "strong"), ("+", "warn"), ("·", "dim"), ("ann  “I resign.”  ┆ gap", "strong")
    ]  # fmt: skip
