"""What stands inside a pane: players, board and figures, and what is wrong with the run.

Knows nothing of the frame around it; what gives way to what is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from msgspec.structs import replace
from rich.cells import cell_len
from rich.style import Style

from arena_tui.folds.trouble import Trouble
from arena_tui.folds.view import Pane
from arena_tui.tui.render.board import board_part, board_size, rulers
from arena_tui.tui.render.canvas import Piece, as_many, between, cut, width_of
from arena_tui.tui.render.clean import clean, fit
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.pane_turns import crash_rows, ends_in_error, turn_rows
from arena_tui.tui.render.states import TROUBLE_LOOKS
from arena_tui.tui.render.text import cost_text, duration, short_count, spark

_STATS_MIN: Final = 15
_STATS_GAP: Final = 3
_ALARMS_MAX: Final = 2
_NAME_MAX: Final = 24
_NAME_MIN: Final = 6
_PLAYERS_MAX: Final = 32
"""More have no room in any pane."""


class Inside(NamedTuple):
    """The rows of a pane, and the worst trouble if they have had no room for it."""

    rows: list[list[Piece]]
    untold: Trouble | None


def pane_rows(pane: Pane, palette: Palette, width: int, height: int) -> Inside:
    """`height` rows of at most `width` cells: the board has its room before players, turns and
    figures have theirs."""
    ending = crash_rows(pane, palette, width)[: max(0, height - 1)]
    alarms = _alarms(pane, palette, width)[:_ALARMS_MAX]
    lines = board_size(pane.board)[1]
    room = height - len(ending)
    rows: list[list[Piece]] = []
    if room >= 4 and not room <= lines <= room + 1:  # it is whole without them, or is not anyway
        rows.append(_players(pane, palette, width))
    rows += _board_and_figures(pane, palette, width, room - len(rows))
    room -= len(rows)
    alarms = alarms[: max(0, room)]
    rows += [*turn_rows(pane, palette, width, room - len(alarms)), *alarms, *ending]
    rows += [[] for _ in range(height - len(rows))]
    is_told = not pane.troubles or bool(alarms or ending)
    return Inside(rows, None if is_told else pane.troubles[0])


def _players(pane: Pane, palette: Palette, width: int) -> list[Piece]:
    """Those that have room, who is to move before all others, and `+74`; the rate beside them."""
    winners, count = set(pane.winners), len(pane.agents)
    is_won = [agent.id in winners for agent in pane.agents]
    is_next = [pane.is_live and agent.id == pane.player for agent in pane.agents]
    wanted = sorted(range(count), key=lambda at: (not is_next[at], not is_won[at], at))
    shown = wanted[:_PLAYERS_MAX]
    agents = {at: pane.agents[at] for at in shown}
    names = {at: clean(each.name or each.id, _NAME_MAX) for at, each in agents.items()}
    longest = max(map(cell_len, names.values()), default=0)
    if count * (_NAME_MIN + 3) - 2 <= width:
        while _taken(names.values()) > width and longest > _NAME_MIN:
            longest -= 1
            names = {at: fit(name, min(longest, cell_len(name))) for at, name in names.items()}
    more = len(f"+{count}")
    if len(shown) < count or _taken(names.values()) > width:
        while len(shown) > 1 and _taken([names[at] for at in shown]) + 2 + more > width:
            shown = shown[:-1]
        if len(shown) == 1:
            names[shown[0]] = _shortened(names[shown[0]], width - more - 3)
    left: list[Piece] = []
    for at in sorted(shown):
        mark = "▸" if is_next[at] else "★" if is_won[at] else " "
        style = palette.accent if is_next[at] else palette.good
        gap = [("  ", palette.text)] if left else []
        left += [*gap, (mark, style), (names[at], palette.player(at))]
    if len(shown) < count:
        left.append((f"  +{count - len(shown)}", palette.dim))
    rate = [(f"{pane.rate:,.1f} ev/s", palette.dim)] if pane.is_live else []
    if width_of(left) + 2 + width_of(rate) > width:
        rate = []
    return between(left, rate, width, palette.text)


def _taken(names: Collection[str]) -> int:
    """Cells that the names take, with marks and gaps."""
    return sum(map(cell_len, names)) + 3 * len(names) - 2


def _shortened(text: str, width: int) -> str:
    return fit(text, max(0, width)) if cell_len(text) > width else text


def _board_and_figures(pane: Pane, palette: Palette, width: int, room: int) -> list[list[Piece]]:
    """The board, and the figures beside it, or below it where there is more room."""
    if room <= 0:
        return []
    board = _fitted_board(pane, palette, width, room)
    widths = [width_of(row) for row in board]
    columns = max(widths, default=-_STATS_GAP)
    beside = width - columns - _STATS_GAP
    spare = room - len(board) - 2  # for the newest turns
    counters = _counters(pane, palette)
    if beside < _STATS_MIN:
        row = as_many([[*each, ("  ", palette.text)] for each in counters], width + 2)[:-1]
        return [*board, row] if spare > 0 and row else board
    figures = [*_pace(pane, palette, beside), *counters]
    figures = [figure for figure in figures if width_of(figure) <= beside]
    height = max(len(board), min(len(figures), len(board) + spare))
    joined: list[list[Piece]] = []
    for index in range(height):
        left, taken = (board[index], widths[index]) if index < len(board) else ([], 0)
        gap = " " * (columns + _STATS_GAP - taken)
        right = figures[index] if index < len(figures) else []
        joined.append([*left, (gap, palette.text), *right])
    return joined


def _fitted_board(pane: Pane, palette: Palette, width: int, height: int) -> list[list[Piece]]:
    """The board, or as much of its end as there is room for, and how much more there is: beside its
    first row, or else in place of one. The letters of the columns go first, unsaid."""
    columns, lines = board_size(pane.board)
    without = rulers(pane.board) if lines == height + 1 else 0
    shown = board_part(
        pane.board, palette, columns, height, up=without,
        before=pane.board_before, fresh=pane.board_is_fresh,
    )  # fmt: skip
    shown = replace(shown, below=shown.below - without)
    cut_rows = [_cut_row(row, width) for row in shown.lines]
    rows = [row for row, _ in cut_rows]
    right = max((left_out for _, left_out in cut_rows), default=0)
    mark = replace(shown, right=right).beyond
    if not mark or not rows:
        return rows
    if width_of(rows[0]) + 2 + cell_len(mark) <= width:
        rows[0] = [*rows[0], (f"  {mark}", palette.warn)]
        return rows
    if len(rows) < height:
        return [*rows, cut([(mark, palette.warn)], width)]
    mark = replace(shown, above=shown.above + 1, right=right).beyond
    return [cut([(mark, palette.warn)], width), *rows[1:]]


def _cut_row(row: list[Piece], width: int) -> tuple[list[Piece], int]:
    """A row of the board in that width, and how many of its columns have no room; a text that is
    no row of cells ends in `…` instead."""
    if width_of(row) <= width:
        return row, 0
    text = "".join(each for each, _ in row)
    words = text.split()
    if len(words) <= 3 or any(cell_len(word) > 3 for word in words):
        return cut(row, width), 0
    ends = [found.end() for found in re.finditer(r"\S+", text)]
    fitting = [end for end in ends if cell_len(text[:end]) <= width]
    room = fitting[-1] if fitting else 0
    kept: list[Piece] = []
    for piece, style in row:
        kept.append((piece[:room], style))
        room = max(0, room - len(piece))
    return [piece for piece in kept if piece[0]], len(ends) - len(fitting)


def _pace(pane: Pane, palette: Palette, width: int) -> list[list[Piece]]:
    """The sparkline of a live run; how many turns an ended one took, and how long."""
    if not pane.is_live:
        turns = f"{pane.turn} turn{'' if pane.turn == 1 else 's'}"
        took = f"{'≥' if pane.partial else ''}{duration(pane.duration_s)}"
        return [[(f"{turns}  {took}", palette.text)]]
    blocks = spark(pane.per_second, min(width, 24)).lstrip()
    return [[(blocks, palette.accent)]] if any(pane.per_second) else []


def _counters(pane: Pane, palette: Palette) -> list[list[Piece]]:
    """Tokens, cost and errors, where there are any."""
    counters: list[list[Piece]] = []
    least = "≥" if pane.partial else ""
    if pane.tokens is not None:
        counters.append(_figure("tok", least + short_count(pane.tokens), palette))
    if pane.cost.usd is not None or pane.cost_incomplete:
        counters.append(_figure("cost", cost_text(pane.cost), palette))
    if pane.errors:
        counters.append(_figure("err", f"{least}{pane.errors:,}", palette, palette.bad))
    return counters


def _figure(name: str, value: str, palette: Palette, style: Style | None = None) -> list[Piece]:
    return [(f"{name:<5}", palette.dim), (value, style or palette.text)]


def _alarms(pane: Pane, palette: Palette, width: int) -> list[list[Piece]]:
    """What the user should act on, or wait for: troubles, else the newest error."""
    if pane.state == "crashed":
        return []
    if pane.troubles:
        looks = [(TROUBLE_LOOKS[each.kind], each.text) for each in pane.troubles]
        said = [(f"{look.sign} {clean(text, 120)}", look.style) for look, text in looks]
        return [cut([(text, getattr(palette, style))], width) for text, style in said]
    if pane.errors and pane.last_error and pane.is_live and not ends_in_error(pane):
        return [cut([(f"! {clean(pane.last_error, 120)}", palette.bad)], width)]
    return []
