"""Panes as literal text."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from arena_tui.events import (
    Action,
    ActionResult,
    AgentInfo,
    ErrorEvent,
    Gap,
    LlmPrompt,
    LlmResponse,
    Observation,
    RunEnd,
    TurnStart,
)
from arena_tui.folds.conditions import read_conditions
from arena_tui.folds.trouble import Trouble
from arena_tui.folds.view import Pane, PaneState
from arena_tui.settings import TROUBLE_KINDS, TroubleKind
from arena_tui.tui.render.canvas import width_of
from arena_tui.tui.render.mosaic import Grid, lay_out, matches, order
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.pane import loss_text, paint_pane, state_text
from arena_tui.tui.render.states import LOOKS, TROUBLE_LOOKS
from tests.envelopes import envelope
from tests.tui.scenario import NOW, TIC_TAC_TOE


def pane(**fields: object) -> Pane:
    event = Action(ts=NOW, turn=5, agent_id="minimax x", action="e4")
    values: dict[str, object] = {
        "run_id": "0000000000000000000000ABCD", "number": 1, "game": "tic_tac_toe", "label": None,
        "agents": (AgentInfo(id="minimax x"), AgentInfo(id="random o")), "state": "running",
        "turn": 5, "player": "minimax x", "board": TIC_TAC_TOE, "outcome": {}, "winners": (),
        "recent": (envelope("r", 1, 7, event),), "per_second": (1, 2, 3), "events": 7,
        "tokens": None, "cost_usd": None, "errors": 0, "last_error": None, "waiting_s": None,
        "idle_s": 0.0, "duration_s": 4.0, "held": 49, "capacity": 100, "lag": 3, "lost": 0,
        "reason": None, **fields,
    }  # fmt: skip
    return Pane(**values)  # type: ignore[arg-type]


def painted(which: Pane, width: int = 40, height: int = 9) -> list[str]:
    rows = paint_pane(which, Palette(), width, height, selected=False)
    return ["".join(text for text, _ in row) for row in rows]


def test_a_pane_tells_who_plays_what_and_how_far_it_is() -> None:
    assert painted(pane()) == [
        "╭─ tic_tac_toe · abcd ─────── ▶ turn 5 ╮",
        "│ ▸minimax x   random o       2.0 ev/s │",
        "│ x o ·   ▃▆█                          │",
        "│ · x o                                │",
        "│ o · x                                │",
        "│   5 minimax x  e4                    │",
        "│                                      │",
        "│                                      │",
        "╰─ minimax x  e4 ──────────────────────╯",
    ]


def test_a_finished_pane_names_the_winner() -> None:
    text = painted(pane(state="finished", outcome={"minimax x": 1.0, "random o": -1.0},
                        winners=("minimax x",), lag=0))  # fmt: skip

    assert "✓ minimax x won" in text[0]
    assert "★minimax x" in text[1]
    assert "─ 7 events ─" in text[-1]
    assert "ev/s" not in "".join(text)


@pytest.mark.parametrize(
    ("lag", "text"),
    [(0, " 7 events ─"), (3, " 7 events, 3 not stored yet ─"), (None, " 7 events, not stored ─")],
)
def test_an_ended_pane_tells_what_of_it_is_not_stored(lag: int | None, text: str) -> None:
    assert text in painted(pane(lag=lag, state="finished"))[-1]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"held": 49, "lag": 1_204}, "╰─ minimax x  e4 ──────────────────────╯"),
        ({"held": 50}, "╰─ buf ▕█████░░░░░▏ 50% ───────────────╯"),
        ({"lag": 1_204, "is_store_late": True}, "╰─ lag 1,204 ──────────────────────────╯"),
        ({"lag": 0, "is_store_late": True}, "╰─ minimax x  e4 ──────────────────────╯"),
        ({"recent": ()}, "╰──────────────────────────────────────╯"),
    ],
)
def test_buffer_and_lag_take_the_place_of_the_last_move_only_when_they_matter(
    fields: dict[str, object], text: str
) -> None:
    assert painted(pane(**fields))[-1] == text


@pytest.mark.parametrize(
    ("state", "fields", "text"),
    [
        ("running", {}, "▶ turn 5"),
        ("running", {"lost": 128}, "▼ lost 128"),
        ("running", {"waiting_s": 2.0}, "▶ turn 5"),
        ("running", {"waiting_s": 18.0}, "▶ waiting for model 18 s"),
        (
            "running",
            {"waiting_s": 41.0, "troubles": (Trouble("waiting", "no llm_response for 41 s"),)},
            "… waiting for model 41 s",
        ),
        ("stuck", {"idle_s": 41.0}, "! stuck 41 s"),
        ("silent", {"idle_s": 41.0}, "? silent 41 s"),
        ("crashed", {}, "✗ crashed"),
        ("stopped", {}, "■ stopped"),
        ("finished", {"outcome": {"a": 0.0, "b": 0.0}}, "✓ draw"),
        ("stuck", {"idle_s": 41.0, "lost": 128}, "! stuck 41 s ▼"),
        ("finished", {"outcome": {"a": 0.0, "b": 0.0}, "lost": 128}, "✓ draw ▼"),
    ],
)
def test_every_state_has_a_sign_of_its_own(
    state: PaneState, fields: dict[str, object], text: str
) -> None:
    assert state_text(pane(state=state, **fields)) == text


def test_a_loss_of_unknown_length_is_a_loss_whatever_is_known_besides() -> None:
    unknown, some = pane(lost_unknown=1), pane(lost=12, lost_unknown=1)

    assert [state_text(each) for each in (unknown, some)] == ["▼ lost ≥0", "▼ lost ≥12"]
    assert [loss_text(each) for each in (pane(), unknown, some)] == ["", "▼≥0", "▼≥12"]
    assert loss_text(pane(lost=17_913)) == "▼17.9k"
    assert "lost ≥12" in painted(some, width=60)[-1]
    assert matches(unknown, read_conditions("lost>0"))
    assert not matches(pane(), read_conditions("lost>0"))


def test_a_gap_is_drawn_where_it_lies() -> None:
    text = painted(pane(recent=(Gap("r", 1, 1, 128, "trimmed"),)))

    assert "│ ┄┄ gap: 128 events trimmed before s… │" in text


@pytest.mark.parametrize("width", range(26, 60, 3))
@pytest.mark.parametrize("height", [8, 12])
def test_every_line_is_exactly_as_wide_as_the_pane(width: int, height: int) -> None:
    hostile = pane(game="漢字" * 9, label="\x1b[31m" * 5, board="漢 字\n" * 30)

    rows = paint_pane(hostile, Palette(), width, height, selected=True)

    assert [width_of(row) for row in rows] == [width] * height


def in_trouble(*kinds: TroubleKind, **fields: object) -> Pane:
    return pane(troubles=tuple(Trouble(kind, f"text of {kind}") for kind in kinds), **fields)


def test_runs_in_trouble_come_first_the_worst_before_the_others_and_the_rest_stay_in_place() -> (
    None
):
    panes = [pane(number=1), pane(number=2, state="finished"), in_trouble("looping", number=3),
             in_trouble("crashed", number=4), in_trouble("stuck", "waiting", number=5),
             pane(number=6, lost=1)]  # fmt: skip

    assert [each.number for each in order(panes, "attention")] == [5, 4, 6, 3, 1, 2]


@pytest.mark.parametrize("kind", TROUBLE_KINDS)
def test_every_trouble_is_told_by_a_mark_and_its_text(kind: TroubleKind) -> None:
    assert f"│ {TROUBLE_LOOKS[kind].sign} text of {kind}" in "\n".join(painted(in_trouble(kind)))


@pytest.mark.parametrize(
    ("kinds", "title"),
    [(["looping", "waiting"], "! looping"), (["waiting", "unpriced"], "… waiting"),
     (["unpriced"], "▶ turn 5")],
)  # fmt: skip
def test_the_worst_trouble_stands_in_the_title_unless_it_is_only_a_price(
    kinds: list[TroubleKind], title: str
) -> None:
    assert state_text(in_trouble(*kinds)) == title


@pytest.mark.parametrize(
    ("text", "found"),
    [("trouble:loop", True), ("trouble:LOOPING", True), ("trouble:any", True),
     ("trouble:stuck", False), ("trouble:", True)],
)  # fmt: skip
def test_a_filter_chooses_runs_by_their_trouble(text: str, found: bool) -> None:
    assert matches(in_trouble("looping"), read_conditions(text)) is found
    assert not matches(pane(), read_conditions("trouble:any"))


def test_what_a_trouble_quotes_of_events_is_cleaned() -> None:
    hostile = pane(troubles=(Trouble("retrying", "3 errors in a row: \x1b]52;c;x\x07"),))

    assert "␛]52;c;x␇" in "\n".join(painted(hostile))


@pytest.mark.parametrize(
    ("count", "size", "columns", "rows"),
    [(1, (120, 36), 1, 1), (6, (120, 36), 3, 2), (6, (80, 21), 3, 2), (9, (120, 36), 3, 3),
     (48, (200, 56), 7, 7), (4, (120, 37), 2, 2), (9, (200, 57), 3, 3)],
)  # fmt: skip
def test_panes_share_the_screen_sensibly(
    count: int, size: tuple[int, int], columns: int, rows: int
) -> None:
    grid = lay_out(count, *size)

    assert grid is not None
    assert (grid.columns, grid.rows) == (columns, rows)


def test_a_last_row_that_is_not_full_is_stretched_and_moved_through_as_it_stands() -> None:
    grid = Grid(count=5, columns=3, rows=2, width=120, height=37)

    assert [grid.column_edges(row) for row in range(2)] == [[0, 40, 80, 120], [0, 60, 120]]
    assert [grid.at(x, 1) for x in (0, 59, 60, 119)] == [3, 3, 4, 4]
    assert [grid.moved(index, 0, 1) for index in range(5)] == [3, 3, 4, 3, 4]
    assert [grid.moved(index, 0, -1) for index in range(5)] == [0, 1, 2, 0, 2]
    assert [grid.moved(index, 1, 0) for index in range(5)] == [1, 2, 3, 4, 4]


def test_no_grid_fits_a_terminal_too_small_for_one_pane() -> None:
    assert lay_out(3, 20, 5) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", True),
        ("TIC minimax", True),
        ("minimax chess", False),
        ("game:tac", True),
        ("game:minimax", False),
        ("agent:random status:stuck", True),
        ("run:abcd label:night", True),
        ("tag:x", False),
        ("turns>4 turns<=5 err=1 events>=7", True),
        ("cost>0", False),
        ("tokens=0", True),
        ("in>0", False),
        ('"rate limit"', True),
        ('"rate lim', True),
    ],
)
def test_a_filter_chooses_panes(text: str, found: bool) -> None:
    which = pane(state="stuck", label="Night", errors=1, last_error="429 rate limited")

    assert matches(which, read_conditions(text)) is found


def test_a_narrow_pane_keeps_its_corner() -> None:
    finished = pane(state="finished", events=2_195, lag=None)

    assert painted(finished, 26)[-1] == "╰─ 2,195, not stored ────╯"


def test_a_narrow_pane_gives_its_name_all_the_room_there_is() -> None:
    state = " ▶ turn 5 "
    exact = len(f"╭ tic_tac_toe · abcd {state}╮")

    assert painted(pane(), exact)[0] == f"╭ tic_tac_toe · abcd {state}╮"
    assert painted(pane(), exact - 1)[0] == f"╭ tic_tac_t… · abcd {state}╮"
    assert painted(pane(), 26)[0] == "╭ tic_… · abcd  ▶ turn 5 ╮"
    assert painted(pane(turn=12_345), 26)[0] == "╭ tic_tac…  ▶ turn 12345 ╮"
    assert painted(pane(), exact + 1)[0] == f"╭─ tic_tac_toe · abcd {state}╮"


def test_a_narrow_title_keeps_the_label_that_tells_games_of_one_name_apart() -> None:
    named = pane(label="round 7")

    assert painted(named, 60)[0].startswith("╭─ tic_tac_toe · abcd · round 7 ───")
    assert painted(named, 36)[0] == "╭─ tic_tac_toe · round 7  ▶ turn 5 ╮"
    assert painted(named, 30)[0] == "╭ tic_t… · round 7  ▶ turn 5 ╮"


def test_a_move_that_is_wider_than_the_pane_is_cut_with_a_sign() -> None:
    event = Action(ts=NOW, turn=5, agent_id="x", action="north by northwest, then east")

    rows = painted(pane(recent=(envelope("r", 1, 7, event),)), 26)

    assert "│   5 x  north by north… │" in rows


def test_rows_of_a_pane_are_turns_without_what_goes_as_it_should() -> None:
    turn = {"turn": 9, "agent_id": "random o"}
    routine = [
        TurnStart(ts=NOW, player="random o", **turn), Observation(ts=NOW, text=TIC_TAC_TOE, **turn),
        LlmPrompt(ts=NOW, text="Your move.", **turn),
    ]  # fmt: skip
    after = NOW + timedelta(seconds=2)
    told = [
        LlmResponse(ts=after, text="I take 4.", output_tokens=83, latency_s=1.9, **turn),
        Action(ts=after, action="column 4", **turn),
        ActionResult(ts=after, ok=True, reward=0.0, **turn),
        ActionResult(ts=after, ok=False, detail="full", **turn),
        ErrorEvent(ts=after, where="HTTP", message="429 rate limited", **turn),
    ]
    events = [envelope("r", 1, at, event) for at, event in enumerate([*routine, *told], start=1)]

    rows = painted(pane(recent=tuple(events)), 48, 11)

    assert rows[5:-1] == [
        "│   9 random o  “I take 4.”  83 tok      1.9 s │",
        "│   9 random o  column 4                 2.0 s │",
        "│   9 refused  full                            │",
        "│   9 ! HTTP  429 rate limited                 │",
        "│                                              │",
    ]


def crashed(traceback: str | None, width: int, height: int) -> list[str]:
    error = ErrorEvent(ts=NOW, turn=5, where="ValueError", message="dice must be 1 to 6",
                       traceback=traceback, fatal=True)  # fmt: skip
    end = RunEnd(ts=NOW, status="crashed", reason="dice must be 1 to 6")
    move = Action(ts=NOW, turn=5, agent_id="random o", action="8/4")
    events = [envelope("r", 1, at, each) for at, each in enumerate([move, error, end], start=1)]
    trouble = Trouble("crashed", "dice must be 1 to 6")
    return painted(pane(state="crashed", recent=tuple(events), troubles=(trouble,)), width, height)


def test_the_last_rows_of_a_crashed_pane_are_place_and_exception() -> None:
    traced = 'Traceback\n  File "/srv/agent.py", line 12, in roll\n    raise ValueError'

    assert crashed(traced, 44, 10)[5:-1] == [
        "│   5 random o  8/4                        │",
        "│   agent.py, line 12                      │",
        "│ ✗ ValueError: dice must be 1 to 6        │",
        "│                                          │",
    ]
    assert [line for line in crashed(None, 26, 10)[:-1] if line.strip("│ ")][-2:] == [
        "│   ValueError           │",
        "│ ✗ dice must be 1 to 6  │",
    ]


GO_19 = "\n".join(f"{row:>2} " + " ".join("·" * 19) for row in range(19, 0, -1))


@pytest.mark.parametrize(
    ("width", "height", "told"),
    [
        (60, 23, []),
        (60, 21, []),
        (60, 20, ["│ 18 · · · · · · · · · · · · · · · · · · ·  ↑ 1 more line  │"]),
        (34, 24, ["│ → 5 more columns               │"]),
        (34, 20, ["│ ↑2 →5                          │"]),
    ],
)
def test_a_board_that_does_not_fit_says_how_much_of_it_is_missing(
    width: int, height: int, told: list[str]
) -> None:
    rows = painted(pane(board=GO_19, recent=()), width, height)

    assert [row for row in rows if "↑" in row or "→" in row] == told


@pytest.mark.parametrize(("height", "first", "last"), [
    (10, "8 · k · ·", "1 · · R K"), (11, "8 · k · ·", "a b c d"),
    (12, "▸minimax x   random o", "a b c d"),
])  # fmt: skip
def test_a_board_is_whole_before_the_players_and_the_names_of_its_columns_are_there(
    height: int, first: str, last: str
) -> None:
    ranks = [f"{rank} · · · ·" for rank in range(7, 1, -1)]
    board = "\n".join(["8 · k · ·", *ranks, "1 · · R K", "  a b c d"])

    rows = [row.strip("│ ") for row in painted(pane(board=board, recent=()), 26, height)[1:-1]]

    assert (rows[0], rows[-1]) == (first, last)
    assert not any("more" in row for row in rows)


def test_of_a_board_that_is_text_a_line_too_long_ends_in_a_sign() -> None:
    rows = painted(pane(board="one line of a text adventure, much too long"), 26)

    assert "│ one line of a text ad… │" in rows


def test_a_board_keeps_its_last_line_before_the_players_do() -> None:
    rows = painted(pane(), 26, 5)

    assert rows[1:-1] == ["│ x o ·                  │", "│ · x o                  │",
                          "│ o · x                  │"]  # fmt: skip


def test_of_many_players_the_one_to_move_is_shown_and_how_many_more_there_are() -> None:
    many = tuple(AgentInfo(id=f"player {number}") for number in range(80))
    of_80 = pane(agents=many, player="player 40")

    assert painted(replace(of_80, agents=(*many, *many)), 50)[1].rstrip("│ ").endswith("+157")
    assert painted(of_80, 50)[1] == "│  player 0   player 1  ▸player 40  +77          │"
    assert painted(of_80, 26)[1] == "│ ▸player 40  +79        │"


def test_a_trouble_that_has_no_room_inside_stands_on_the_edge() -> None:
    tall = in_trouble("waiting", board="x o\n" * 40)

    assert "… text of waiting" not in "".join(painted(tall)[1:-1])
    assert painted(tall)[-1] == "╰─ … text of waiting ──────────────────╯"
    assert "text of" not in painted(in_trouble("waiting"))[-1]


WIDE_TEXTS = st.text(st.sampled_from("ab ·漢字e\u0301👩🦀ｱ\u0915\u093f"), max_size=40)


@given(
    width=st.integers(26, 70), height=st.integers(5, 20), name=WIDE_TEXTS, game=WIDE_TEXTS,
    label=WIDE_TEXTS, board=WIDE_TEXTS, said=WIDE_TEXTS, state=st.sampled_from(list(LOOKS)),
)  # fmt: skip
def test_whatever_the_texts_each_row_is_as_wide_as_the_pane_and_the_state_is_whole(
    width: int, height: int, name: str, game: str, label: str, board: str, said: str,
    state: PaneState,
) -> None:  # fmt: skip
    event = Action(ts=NOW, turn=5, agent_id=name, action=said)
    hostile = pane(
        game=game, label=label, board=f"{board}\n{board}", state=state, player=name,
        last_error=said,
        agents=(AgentInfo(id=name), AgentInfo(id="b")), recent=(envelope("r", 1, 7, event),),
        errors=1, winners=(name,), outcome={name: 1.0, "b": 0.0}, idle_s=41.0,
    )  # fmt: skip

    rows = painted(hostile, width, height)

    assert [cell_len(row) for row in rows] == [width] * height
    assert {row[-1] for row in rows} == {"╮", "│", "╯"}
    told = state_text(hostile)
    assert told in rows[0] or cell_len(told) > width - 2


def test_what_is_known_of_a_part_only_is_said_to_be_the_least() -> None:
    text = painted(pane(partial=True, state="finished", tokens=1_200, cost_usd=0.5))

    assert "≥4.0 s" in text[2]
    assert "tok  ≥1,200" in text[3]
    assert "cost ≥$0.500" in text[4]


@pytest.mark.parametrize(
    ("known", "estimated", "incomplete", "said"),
    [
        (0.5, None, False, "cost $0.500"),
        (0.5, 0.021, False, "cost ~$0.521"),
        (None, 0.021, False, "cost ~$0.021"),
        (None, 0.00012, True, "cost ≥~$0.0001"),
        (None, None, True, "cost –"),
        (0.0, None, False, "cost $0.00"),
    ],
)
def test_what_is_estimated_or_unknown_of_the_cost_is_marked(
    known: float | None, estimated: float | None, incomplete: bool, said: str
) -> None:
    text = painted(pane(
        state="finished", cost_usd=known, cost_estimated_usd=estimated, cost_incomplete=incomplete
    ))  # fmt: skip

    assert any(f"{said} " in row for row in text)


def test_a_run_that_asked_no_model_says_nothing_of_its_cost() -> None:
    assert not any("cost" in row for row in painted(pane(cost_usd=None)))
