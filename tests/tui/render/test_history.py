"""History as literal text: the strip over the list, its cells, and the run beside it."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from arena_tui.events import AgentInfo, Gap, LogEvent
from arena_tui.folds.density import density_of
from arena_tui.folds.ratings import Record
from arena_tui.folds.scores import AlikeRuns, Scores, scores_of_runs
from arena_tui.folds.totals import RunTotals, TotalsStatus
from arena_tui.folds.view import PaneState
from arena_tui.tui.render.history import empty_columns, paint_scores, preview, row_cells
from arena_tui.tui.render.palette import Palette
from tests.envelopes import envelope
from tests.tui.render.test_pane import pane
from tests.tui.scenario import NOW

X_O = [AgentInfo(id="x"), AgentInfo(id="o")]
SAME = [AgentInfo(id="random#1", spec="random"), AgentInfo(id="random#2", spec="random")]


def test_the_preview_of_a_stored_run_says_the_least_that_was_lost() -> None:
    def lost(**fields: int) -> str:
        text = preview(RunTotals(run_id="r", **fields), None, "", 30, UTC).plain
        return next(line for line in text.splitlines() if line.startswith("lost"))

    assert lost(lost=12, lost_unknown=1) == "lost    ≥12"
    assert lost(lost=1_200) == "lost    1,200"


def test_the_preview_of_a_stored_run_marks_where_events_are_missing() -> None:
    density = density_of(
        [envelope("r", 6, 1, LogEvent(ts=NOW)), Gap("r", 6, 2, 3, "trimmed"),
         envelope("r", 6, 4, LogEvent(ts=NOW + timedelta(seconds=100)))], 14,
    )  # fmt: skip

    lines = preview(RunTotals(run_id="r"), density, "", 14, UTC).plain.splitlines()

    assert lines[2] == "█┆┆┆┆┆┆┆┆┆┆┆┆█"


def test_the_preview_has_the_last_board_beside_or_above_what_is_known() -> None:
    totals = RunTotals(run_id="r", game="go", agents=X_O, outcome={"x": 1.0, "o": 0.0}, turns=3)

    narrow, wide = (
        preview(totals, None, "x o\no x", width, UTC).plain.splitlines() for width in (30, 100)
    )

    assert narrow == [
        "go · r", "r", "★ x                       1", "  o                       0", "",
        "x o", "o x", "", "turns   3", "events  0", "took    –",
    ]  # fmt: skip
    assert [line.split() for line in wide[:3]] == [
        ["go", "·", "r", "x", "o", "turns", "3"], ["r", "o", "x", "events", "0"],
        ["★", "x", "1", "took", "–"],
    ]  # fmt: skip


def alike(runs: int, outcome: dict[str, float], status: TotalsStatus = "finished") -> AlikeRuns:
    return AlikeRuns(agents=X_O, status=status, outcome=outcome, runs=runs, errors=runs)


def test_records_count_finished_runs_by_player_the_best_first() -> None:
    scores = scores_of_runs(
        [
            alike(1, {"x": 1.0, "o": 0.0}), alike(2, {"x": 0.0, "o": 1.0}),
            alike(4, {"x": 0.5, "o": 0.5}), alike(8, {"x": 1.0, "o": 0.0}, "crashed"),
            alike(16, {}),
            AlikeRuns(agents=SAME, status="finished", outcome={"random#1": 1.0, "random#2": 0.0},
                      runs=1, cost_usd=0.5),
        ]
    )  # fmt: skip

    assert list(scores.records.items()) == [
        ("o", Record(wins=2, draws=4, losses=1)),
        ("random", Record(wins=1, draws=0, losses=1)),
        ("x", Record(wins=1, draws=4, losses=2)),
    ]
    assert (scores.runs, scores.errors, scores.cost_usd, scores.tokens) == (32, 31, 0.5, None)


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (80, " 40 runs   mcts 6–1–1   random 1–1–6   $0.350   16 errors          game:connect "),
        (70, " 40 runs   mcts 6–1–1   +1 more   $0.350   16 errors     game:connect "),
    ],
)
def test_the_strip_tells_who_is_better_among_the_runs_shown(width: int, text: str) -> None:
    records = {
        "mcts": Record(wins=6, draws=1, losses=1), "random": Record(wins=1, draws=1, losses=6)
    }  # fmt: skip
    scores = Scores(records=records, runs=40, errors=16, cost_usd=0.35)

    assert paint_scores(scores, "game:connect", Palette(), width).text == text


def test_columns_in_which_there_is_nothing_give_way() -> None:
    assert empty_columns(Scores()) == {"tokens", "cost_usd", "lost"}
    assert empty_columns(Scores(tokens=0, cost_usd=0.0, lost=1)) == set()


@pytest.mark.parametrize(
    ("stored", "live", "text"),
    [
        ("running", None, "? silent"),
        ("running", "running", "▶ turn 5"),
        ("running", "stuck", "! stuck 41 s"),
        ("running", "silent", "? silent 41 s"),
        ("running", "finished", "✓ finished"),
        ("crashed", None, "✗ crashed"),
        ("stopped", "stopped", "■ stopped"),
        ("finished", None, "✓ x won"),
    ],
)
def test_history_says_of_a_run_what_live_says(
    stored: TotalsStatus, live: PaneState | None, text: str
) -> None:
    outcome = {"x": 1.0, "o": 0.0} if stored == "finished" else {}
    totals = RunTotals(run_id="r", status=stored, agents=X_O, outcome=outcome)
    played = None if live is None else pane(state=live, idle_s=41.0, outcome={})

    assert row_cells(totals, played, UTC)[4][0] == text
