"""One turn of a run as one line, and what stands below it. All event text is cleaned here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct, to_builtins
from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

from arena_tui.events import AgentInfo
from arena_tui.folds.numbers import number
from arena_tui.folds.result import names_of, result_text
from arena_tui.folds.totals import lost_text
from arena_tui.folds.turns import Turn
from arena_tui.tui.render.canvas import Piece, between, line, width_of
from arena_tui.tui.render.clean import clean, fit
from arena_tui.tui.render.conversation import called, named
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.prose import first_sentence
from arena_tui.tui.render.states import LOOKS
from arena_tui.tui.render.text import FELT_S, cost, duration, short_count

_NAME_MAX: Final = 14
_AGENTS_MAX: Final = 64
"""Of a run of more, the width of a name is that of the first."""
_ACTION_MIN: Final = 14
"""Cells an action has before tokens, cost and time give way."""
_ACTION_MAX: Final = 160


class TurnsLook(Struct, frozen=True, kw_only=True):
    """What all rows of a list of turns have in common.

    Attributes:
        agents: The run's players, whose order gives them their styles.
        highest: The highest turn number of the run.
        has_tokens: Whether the run's turns use any.
    """

    agents: tuple[AgentInfo, ...] = ()
    highest: int = 0
    has_tokens: bool = False

    @property
    def name_cells(self) -> int:
        names = (cell_len(clean(each.name or each.id, 40)) for each in self.agents[:_AGENTS_MAX])
        return min(_NAME_MAX, max(names, default=_NAME_MAX))

    @property
    def number_cells(self) -> int:
        return max(3, len(str(self.highest)) + 1)


def paint_turn(
    turn: Turn | None, look: TurnsLook, palette: Palette, width: int, *, is_here: bool = False,
    ground: Style | None = None, is_marked: bool = False, is_faint: bool = False,
) -> list[Strip]:  # fmt: skip
    """`▶ 17 o  column 3  ! 1 retry   2.3 s  212 tok  $0.002`, and below it a loss, an error or the
    answer.

    Args:
        turn: None while it is not read.
        is_here: Whether it is the one shown; ground: the style on which the chosen row stands.
        is_marked: Whether a bookmark lies in it; is_faint: whether all of it is dim.
    """
    rows = [[(" …", palette.dim)]] if turn is None else _rows(turn, look, palette, width)
    if is_faint:
        rows = [[(text, palette.dim) for text, _ in row] for row in rows]
    sign = "▶" if is_here else "◆" if is_marked else " "
    lead = (sign, palette.accent if is_here else palette.warn)
    rows[0] = [lead, *rows[0]]
    if ground is not None:
        on = Style(bgcolor=ground.bgcolor, bold=ground.bold)
        rows = [[(text, style + on) for text, style in row] for row in rows]
    fill = palette.text if ground is None else ground
    return [line(row, width, fill) for row in rows]


def height_of(turn: Turn | None) -> int:
    """Lines that `paint_turn` makes of it."""
    return 1 if turn is None or not _has_more(turn) else 2


def side_style(agent: str | None, agents: Sequence[AgentInfo], palette: Palette) -> Style:
    """The style of a player, by its place among the players."""
    for index, each in enumerate(agents):
        if agent in (each.id, each.name):
            return palette.player(index)
    return palette.text


def result_words(turn: Turn) -> str:
    """A result that is not routine: `reward 1`, or what the detail says."""
    reward = f"reward {number(turn.reward)}" if turn.reward else ""
    detail = turn.detail if isinstance(turn.detail, str) else ""
    return "  ".join(part for part in (reward, detail) if part)


def _rows(turn: Turn, look: TurnsLook, palette: Palette, width: int) -> list[list[Piece]]:
    number = "" if turn.number is None or turn.end is not None else str(turn.number)
    left: list[Piece] = [(f"{number:>{look.number_cells}} ", palette.dim)]
    if turn.end is not None or (turn.start is not None and turn.number is None):
        first = _start_or_end(turn, look, palette)
        rows = [between([*left, *first], [], width - 1, palette.text)]
    else:
        rows = [_row(turn, look, palette, left, width - 1)]
    below = _below(turn, palette)
    if below is not None:
        indent = " " * (look.number_cells + 2)
        text, style = below
        rows.append([(indent, palette.text), (fit(text, max(0, width - len(indent))), style)])
    return rows


def _row(
    turn: Turn, look: TurnsLook, palette: Palette, left: list[Piece], width: int
) -> list[Piece]:
    names = names_of(look.agents)
    name = clean(names.get(turn.agent or "", turn.agent or ""), 40)
    left = [*left, (fit(name, look.name_cells) + " ", side_style(turn.agent, look.agents, palette))]
    marks = [(f"  {sign} {text}", getattr(palette, style)) for sign, text, style in _marks(turn)]
    right = [*marks, *_figures(turn, look, palette, width - width_of(left) - width_of(marks))]
    words = _did(turn)
    extra = result_words(turn)
    told: list[Piece] = [(words, palette.text)]
    if extra:
        told.append((f"  {clean(extra, 60)}", palette.dim))
    return between([*left, *told], right, width, palette.text)


def _did(turn: Turn) -> str:
    """The actions, or what there is of an answer that was not acted on yet."""
    if turn.actions:
        texts = [named(each) for each in turn.actions]
        more = turn.actions_count - len(texts)
        said = ", ".join(texts) + (f" and {more:,} more" if more else "")
    elif turn.calls:
        said = "  ".join(called(to_builtins(call)) for call in turn.calls)
    else:
        said = ""
    return clean(said, _ACTION_MAX)


def _figures(turn: Turn, look: TurnsLook, palette: Palette, room: int) -> list[Piece]:
    """Time, tokens, cost: as many of them as leave room for the action; the same in each row."""
    is_felt = turn.duration_s is not None and turn.duration_s >= FELT_S
    figures = [(duration(turn.duration_s) if is_felt else "", 8)]
    if look.has_tokens:
        used = turn.output_tokens if turn.output_tokens is not None else turn.input_tokens
        least = "≥" if turn.left_out else ""
        figures += [
            ("" if used is None else f"{least}{short_count(used)} tok", 10),
            ("" if turn.cost_usd is None else f"{least}{cost(turn.cost_usd)}", 9),
        ]
    shown: list[Piece] = []
    for text, cells in figures:
        room -= cells
        if room < _ACTION_MIN:
            break
        shown.append((text.rjust(cells), palette.dim))
    return shown


def _marks(turn: Turn) -> list[tuple[str, str, str]]:
    """Sign, text and style of what is out of the ordinary."""
    marks: list[tuple[str, str, str]] = []
    if turn.refused:
        marks.append(("!", "illegal" if turn.refused == 1 else f"{turn.refused} illegal", "bad"))
    if turn.retries:
        marks.append(("!", _some(turn.retries, "retry", "retries"), "warn"))
    elif turn.errors:
        marks.append(("!", _some(turn.errors, "error", "errors"), "bad"))
    if turn.gaps:
        marks.append(("┆", "gap" if turn.gaps == 1 else f"{turn.gaps} gaps", "bad"))
    return marks


def _has_more(turn: Turn) -> bool:
    return bool(turn.gaps or turn.last_error is not None or (turn.answer and turn.answer.strip()))


def _below(turn: Turn, palette: Palette) -> Piece | None:
    """What most wants to be read: a loss, an error, an answer."""
    if not _has_more(turn):
        return None
    if turn.gaps:
        unknown = turn.gaps if not turn.lost else 0
        events = lost_text(turn.lost, unknown) if turn.lost else "an unknown number of"
        return f"┄┄ gap: {events} events lost ┄┄", palette.bad
    if turn.last_error is not None:
        return f"! {clean(turn.last_error, 300)}", palette.bad
    said = first_sentence(turn.answer or "")
    return f"“{said}”", palette.dim + Style(italic=True)


def _start_or_end(turn: Turn, look: TurnsLook, palette: Palette) -> list[Piece]:
    if turn.end is not None:
        end = turn.end
        state = LOOKS[end.status]
        names = names_of(look.agents)
        text: str = end.status
        if end.status == "finished":
            text = result_text(look.agents, end.outcome, lambda agent: names.get(agent, agent))
        reason = f"  {clean(end.reason, 200)}" if end.reason else ""
        pieces = [(f"{state.sign} {clean(text, 120)}", getattr(palette, state.style))]
        return [*pieces, (reason, palette.dim)]
    start = turn.start
    assert start is not None
    players = " vs ".join(clean(each.name or each.id, 24) for each in start.agents)
    return [(f"start  {clean(start.game, 40)}", palette.text), (f"  {players}", palette.dim)]


def _some(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
