"""The Run screen's board: whose turn it is, what each agent used, and how a figure went."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

from arena_tui.folds.costs import PriceList, cost_of
from arena_tui.folds.numbers import number
from arena_tui.folds.series import COST, TOKENS, Series
from arena_tui.folds.totals import AgentTally
from arena_tui.folds.view import Instant
from arena_tui.tui.render.board import Shown, board_part
from arena_tui.tui.render.braille import braille
from arena_tui.tui.render.canvas import Piece, line, width_of
from arena_tui.tui.render.clean import clean, fit
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.text import cost, cost_text, short_count

_AGENTS_MAX: Final = 6
_SERIES_MAX: Final = 4
_NAME_CELLS: Final = 14
_WIDE: Final = 30
"""From which width on the agents' names have all their cells."""
_FIGURE_CELLS: Final = 7
"""Of a figure's name, and of its value."""
_LINE_MIN: Final = 4
_BOARD_MIN: Final = 4
"""Lines that the board keeps before figures have any."""


class Look(Struct, frozen=True, kw_only=True):
    """How the board is looked at.

    Attributes:
        fresh: Whether it has only just changed, so that the last move is bright.
        up, left: How far it is scrolled from its end, and from its left edge.
        roomy: Whether cells are two wide where that fits.
    """

    fresh: bool = False
    up: int = 0
    left: int = 0
    roomy: bool = False


_PLAIN: Final = Look()


def series_slices(width: int) -> int:
    """Into how many slices a panel of that width can show a run's turns."""
    return 2 * max(_LINE_MIN, width - 2 * _FIGURE_CELLS - 4)


def paint_board(
    instant: Instant, prices: PriceList, palette: Palette, width: int, height: int,
    look: Look = _PLAIN, series: Series | None = None,
) -> tuple[list[Strip], Shown]:  # fmt: skip
    """`height` lines, and which part of the board they show."""
    lines = _series_lines(instant, series, palette, width)
    footer = _footer(instant, prices, palette, width, lines)
    part = _part(instant, palette, width, height - len(footer), look)
    if lines and height - len(footer) < min(_BOARD_MIN, len(part.lines) + part.above + part.below):
        footer = _footer(instant, prices, palette, width, {})
        part = _part(instant, palette, width, height - len(footer), look)
    rows = [[(" ", palette.text), *row] for row in part.lines]
    rows = [*rows, *footer][:height]
    rows += [[] for _ in range(height - len(rows))]
    return [line(row, width, palette.text) for row in rows], part


def _part(instant: Instant, palette: Palette, width: int, room: int, look: Look) -> Shown:
    return board_part(
        instant.board, palette, width - 1, max(1, room), before=instant.board_before,
        fresh=look.fresh, up=look.up, left=look.left, roomy=look.roomy,
    )  # fmt: skip


def _footer(
    instant: Instant, prices: PriceList, palette: Palette, width: int,
    lines: dict[str, list[Piece]],
) -> list[list[Piece]]:  # fmt: skip
    """A blank line, each agent with its tally and its line, that of no agent, the last error."""
    agents = _agents(instant)
    names = {agent: clean(agent, 20) for agent in agents[:_AGENTS_MAX]}
    longest = max(map(cell_len, names.values()), default=0)
    name_cells = _NAME_CELLS if width >= _WIDE else min(_NAME_CELLS, longest)
    footer: list[list[Piece]] = [[]]
    for index, (agent, name) in enumerate(names.items()):
        mark = "▸" if agent == instant.player and instant.status == "running" else " "
        mark = "★" if agent in instant.winners else mark
        tally = instant.tallies.get(agent, AgentTally())
        footer.append(
            [
                (mark, palette.accent),
                (f"{fit(name, max(name_cells, cell_len(name)))} ", palette.player(index)),
                *_tally(tally, prices, palette, width - name_cells - 2),
            ]
        )
        footer += [lines[agent]] if agent in lines else []
    footer += [lines[""]] if "" in lines else []
    if instant.last_error:
        footer.append([(f" last error: {clean(instant.last_error, 200)}", palette.bad)])
    return footer


def _agents(instant: Instant) -> list[str]:
    return [agent.id for agent in instant.agents] or sorted(instant.tallies)


def _series_lines(
    instant: Instant, series: Series | None, palette: Palette, width: int
) -> dict[str, list[Piece]]:
    """By agent, or "" of none: ` tokens ⣀⣠⣤⣶┃⣀⣀  1,204`, what comes after the turn dim."""
    if series is None:
        return {}
    agents = [agent for agent in _agents(instant) if agent in series.lines]
    shown = [*agents, *([""] if "" in series.lines else [])][:_SERIES_MAX]
    order = {agent: palette.player(index) for index, agent in enumerate(_agents(instant))}
    return {
        agent: _series_line(series, agent, instant.turn, palette, order.get(agent, palette.text))
        for agent in shown
        if width >= 2 * _FIGURE_CELLS + 4 + _LINE_MIN
    }


def _series_line(
    series: Series, agent: str, turn: int, palette: Palette, style: Style
) -> list[Piece]:
    values = series.lines[agent]
    here = series.turns.slice_of(turn)
    dots = braille(values, series.low, series.high)
    value = values[here] if turn >= series.turns.first else None
    at = here // 2
    is_last = here == len(values) - 1
    cursor = dots[at] if is_last else "┃"
    return [
        (f" {fit(clean(series.name), _FIGURE_CELLS)} ", palette.dim),
        (dots[:at], style),
        (cursor, style if is_last else palette.strong),
        (dots[at + 1 :], palette.dim),
        (f" {_value(series.name, value)}", palette.text),
    ]


def _value(name: str, value: float | None) -> str:
    if name == COST:
        return cost(value)
    if name == TOKENS:
        return short_count(value)
    return "–" if value is None else number(value) if abs(value) < 10_000 else short_count(value)


def _tally(tally: AgentTally, prices: PriceList, palette: Palette, room: int) -> list[Piece]:
    """What an agent used; where that is more than `room` cells, without the tokens."""
    usage = tally.usage()
    if usage.tokens is None and usage.cost_usd is None:
        return [(f"{tally.actions} actions", palette.dim)]
    amount = cost_of(tally.by_model.items(), prices)
    used: list[Piece] = [
        ("tok ", palette.dim),
        (f"{short_count(usage.tokens or 0):<6}", palette.text),
        (" cost ", palette.dim),
        (cost_text(amount), palette.text),
    ]
    if width_of(used) <= room:
        return used
    return used[2:] if amount.usd is not None else used[:2]
