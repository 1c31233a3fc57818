"""The Run screen's board, tallies and lines over the turns, as literal text."""

from __future__ import annotations

import pytest
from rich.style import Style

from arena_tui.events import AgentInfo, LlmResponse
from arena_tui.folds.costs import NoPrices
from arena_tui.folds.series import Series, Turns
from arena_tui.folds.totals import AgentTally
from arena_tui.folds.view import Instant
from arena_tui.tui.render.board_panel import Look, paint_board, series_slices
from arena_tui.tui.render.palette import Palette

DUEL = [AgentInfo(id="x"), AgentInfo(id="o")]
REWARDS = Series(
    name="reward", turns=Turns(first=1, last=8, slices=50),
    lines={"x": (None, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0), "o": (0.0,) * 6 + (-1.5, -1.5)},
)  # fmt: skip
GRID = "\n".join(" ".join("·" * 30) for _ in range(30))


def painted(
    instant: Instant, width: int, height: int, look: Look | None = None,
    series: Series | None = None,
) -> list[str]:  # fmt: skip
    strips, _ = paint_board(instant, NoPrices(), Palette(), width, height, look or Look(), series)
    return [strip.text for strip in strips]


@pytest.mark.parametrize(
    ("width", "row"),
    [
        (45, " claude         tok 4,651  cost $0.018"),
        (30, " claude          cost $0.018"),
        (22, " claude  cost $0.018"),
    ],
)
def test_what_an_agent_used_is_never_cut_in_a_number(width: int, row: str) -> None:
    tally = AgentTally(actions=1)
    tally.add(LlmResponse(input_tokens=4_600, output_tokens=51, cost_usd=0.018))
    instant = Instant(agents=[AgentInfo(id="claude")], tallies={"claude": tally})
    rows = [row.rstrip() for row in painted(instant, width, 3)]

    assert row in rows


def test_a_narrow_board_has_room_for_the_actions_of_its_agents() -> None:
    instant = Instant(agents=[AgentInfo(id="ann"), AgentInfo(id="bob")])
    rows = [row.rstrip() for row in painted(instant, 24, 4)]

    assert {" ann 0 actions", " bob 0 actions"} <= set(rows)


def test_a_line_of_each_agent_shows_how_its_figure_went_and_where_the_turn_is() -> None:
    instant = Instant(agents=DUEL, board="· x\no ·", turn=5, player="o")
    rows = [row.rstrip() for row in painted(instant, 40, 9, series=REWARDS)]

    assert rows == [
        " · x",
        " o ·",
        "",
        " x              0 actions",
        " reward  ⢠⣶┃⣿ 2",
        "▸o              0 actions",
        " reward  ⣤⣤┃⣀ 0",
        "",
        "",
    ]


def test_what_comes_after_the_turn_is_dim_and_at_the_end_there_is_no_cursor() -> None:
    palette = Palette(dim=Style(dim=True), first=Style(bold=True))

    def line_at(turn: int) -> list[tuple[str, Style | None]]:
        instant = Instant(agents=DUEL[:1], turn=turn)
        strips, _ = paint_board(instant, NoPrices(), palette, 40, 9, series=REWARDS)
        return [(text.strip(), style) for text, style, _ in strips[2] if text.strip()]

    assert line_at(3)[1:] == [
        ("⢠", palette.first), ("┃", palette.strong), ("⣶⣿", palette.dim), ("1", palette.text),
    ]  # fmt: skip
    assert line_at(8)[1:] == [("⢠⣶⣶⣿", palette.first), ("3", palette.text)]


def test_before_the_first_turn_no_value_is_told() -> None:
    rows = painted(Instant(agents=DUEL), 40, 9, series=REWARDS)

    assert [row.rstrip() for row in rows if "reward" in row] == [
        " reward  ┃⣶⣶⣿ –",
        " reward  ┃⣤⣤⣀ –",
    ]


def test_the_board_has_its_lines_before_a_figure_has_any() -> None:
    instant = Instant(agents=DUEL, board=GRID, turn=8)

    low = painted(instant, 40, 8, series=REWARDS)
    high = painted(instant, 40, 9, series=REWARDS)

    assert not any("reward" in row for row in low)
    assert sum("reward" in row for row in high) == 2


def test_a_metric_of_no_agent_has_its_own_line() -> None:
    series = Series(name="material\x1b[2J", turns=Turns(first=1, last=2, slices=9),
                    lines={"": (123_456_789.0, -1.0)})  # fmt: skip
    rows = painted(Instant(agents=DUEL, turn=1), 40, 9, series=series)

    assert rows[3].rstrip() == " materi… ┃ 123M"


def test_there_is_room_for_all_slices_that_a_panel_asks_for() -> None:
    for width in (24, 30, 56):
        turns = Turns(first=1, last=1_000, slices=series_slices(width))
        series = Series(name="cost", turns=turns, lines={"x": (0.123,) * turns.count})
        row = painted(Instant(agents=DUEL, turn=1_000), width, 9, series=series)[2]

        assert row.rstrip().endswith("⣿ $0.123")


def test_a_board_without_room_is_scrolled_and_tells_what_is_beyond() -> None:
    instant = Instant(agents=DUEL[:1], board=GRID)

    _, part = paint_board(instant, NoPrices(), Palette(), 22, 12, Look(up=3, left=4))

    assert (part.above, part.below, part.left, part.right) == (17, 3, 4, 34)
    assert part.beyond == "↑17 ↓3 ←4 →34"


def test_cells_are_two_wide_only_where_asked_for() -> None:
    instant = Instant(agents=DUEL[:1], board="· x ·\no · ·")

    assert painted(instant, 22, 5, Look(roomy=True))[0].rstrip() == " ·  x  ·"
    assert painted(instant, 22, 5)[0].rstrip() == " · x ·"
