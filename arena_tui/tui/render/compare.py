"""Two runs side by side as lines: the table of differences over them, and their rows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from rich.style import Style
from textual.strip import Strip

from arena_tui.events import short_id
from arena_tui.folds.aligning import By
from arena_tui.folds.comparing import (
    SIGNS,
    Beside,
    Figure,
    Measured,
    Step,
    Thing,
    actions_text,
    figures,
)
from arena_tui.folds.result import result_text
from arena_tui.folds.totals import RunTotals
from arena_tui.tui.render.canvas import Piece, between, fitted, line
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.table import Cell, Column
from arena_tui.tui.render.text import cost, duration, short_count

COLUMNS: Final = (
    Column(name="turn", key="turn", width=6, right=True),
    Column(name="", key="sign", width=1),
    Column(name="A", key="first", width=0),
    Column(name="B", key="second", width=0),
)
"""Of the list of rows."""

_STYLES: Final[dict[Thing, str]] = {
    "action": "bad", "board": "warn", "answer": "accent", "alone": "warn", "timing": "dim"
}  # fmt: skip
_SHORT: Final = {"tokens in": "tok in", "tokens out": "tok out", "duration": "took"}
_NAME_CELLS: Final = 7
_CELLS: Final = 8
"""Of a figure, with a blank before it; all have room in 80."""
_WIDE: Final = 116
"""Cells from which on signs are explained."""
_ACTION_MAX: Final = 160
_ANSWER_MAX: Final = 200


class Compared(Struct, frozen=True, kw_only=True):
    """What the band over two runs shows.

    Attributes:
        focused: The run that enter opens: 0 or 1.
        parted: Where they part, if that is found; reach: up to which turn it was looked for.
        done: Whether nothing more is to be looked at.
        shared: Turns that stand beside one of the other run.
        numbered: Whether each has turns, as far as is known.
        seeking: Up to which turn the next difference is looked for; None: it is not.
    """

    first: Measured
    second: Measured
    focused: int = 0
    by: By = "turn"
    parted: Beside | None = None
    reach: int | None = None
    done: bool = False
    shared: int = 0
    numbered: tuple[bool, bool] = (True, True)
    seeking: int | None = None


def paint_band(band: Compared, palette: Palette, width: int) -> list[Strip]:
    """The figures of both and what the second has more, where they part, and who they are."""
    told = figures(band.first, band.second)
    shown = told[: max(1, (width - _NAME_CELLS) // _CELLS)]
    rows = [
        _figures_line("", [_SHORT.get(each.name, each.name) for each in shown], palette.dim,
                      palette),
        _figures_line("A", [_value(each, each.first) for each in shown], palette.text, palette),
        _figures_line("B", [_value(each, each.second) for each in shown], palette.text, palette),
        _figures_line("B - A", [_change(each) for each in shown], palette.strong, palette),
        between([(f" {parted_text(band)}", palette.strong)], _how(band, palette, width), width - 1,
                palette.text),
        _names(band, palette, width),
    ]  # fmt: skip
    return [line(row, width, palette.text) for row in rows]


def parted_text(band: Compared) -> str:
    """Where they part, or how far that was looked for."""
    if band.seeking is not None:
        return f"looking for a difference … turn {band.seeking:,}   esc ends it"
    found = band.parted
    if found is not None and "alone" in found.differs:
        return f"first difference: turn {found.number}, which only {_side(found)} has"
    if found is not None:
        what = " and the ".join(each for each in found.differs if each in ("board", "action"))
        return f"first difference: turn {found.number}, the {what}"
    if all(band.numbered) and not band.done:
        return "" if band.reach is None else f"the same up to turn {band.reach:,} …"
    if not all(band.numbered):
        without = " and ".join("AB"[side] for side in (0, 1) if not band.numbered[side])
        return f"{without}: no turns, so there is nothing to set side by side"
    if not band.shared:
        return "they have no turn in common"
    return f"no difference in what was seen and done, in {band.shared:,} turns"


def row_cells(row: Beside | None, runs: Sequence[RunTotals]) -> list[Cell] | None:
    """One row of the list; None while it is not read."""
    if row is None:
        return None
    number = "" if row.number is None or not row.is_turn else str(row.number)
    thing = next((each for each in SIGNS if each in row.differs and row.is_turn), None)
    sign: Cell = (" ", "dim") if thing is None else (SIGNS[thing], _STYLES[thing])
    is_strong = thing not in (None, "timing")
    style = "strong" if is_strong else "text"
    return [
        (number, "strong" if is_strong else "dim"),
        sign,
        _cell(row.first, runs[0], style),
        _cell(row.second, runs[1], style),
    ]


def _cell(step: Step | None, run: RunTotals, style: str) -> Cell:
    if step is None:
        return "·", "dim"
    turn = step.turn
    if turn.end is not None:
        is_finished = turn.end.status == "finished"
        ended = result_text(run.agents, turn.end.outcome) if is_finished else turn.end.status
        return clean(f"end  {ended}", _ACTION_MAX), "dim"
    if turn.number is None:
        return clean("start" if turn.start is not None else "before the first turn"), "dim"
    told = [clean(turn.agent or "–", 20), clean(actions_text(turn), _ACTION_MAX)]
    if not turn.actions and turn.answer:
        told[1] = f"“{clean(turn.answer.strip(), _ANSWER_MAX)}”"
    if turn.gaps:
        told.append("┆ gap")
    if turn.errors:
        told.append(f"! {turn.errors} error{'' if turn.errors == 1 else 's'}")
    if turn.duration_s:
        told.append(duration(turn.duration_s))
    return "  ".join(each for each in told if each), style


def _figures_line(name: str, values: Sequence[str], style: Style, palette: Palette) -> list[Piece]:
    told: list[Piece] = [(f" {name:<{_NAME_CELLS - 1}}", palette.dim)]
    return [*told, *((f"{clean(value):>{_CELLS}}", style) for value in values)]


def _value(figure: Figure, value: float | None) -> str:
    if figure.unit == "usd":
        return cost(value)
    return duration(value) if figure.unit == "s" else short_count(value)


def _change(figure: Figure) -> str:
    change = figure.change
    if not change:
        return "–" if change is None else "="
    return f"{'+' if change > 0 else '-'}{_value(figure, abs(change))}"


def _how(band: Compared, palette: Palette, width: int) -> list[Piece]:
    """What the signs of rows mean, where there is room, and what rows are set side by side by."""
    told = "  ".join(f"{sign} {thing}" for thing, sign in SIGNS.items())
    return [(f" {told}  " if width >= _WIDE else "", palette.dim), (f" by {band.by}", palette.dim)]


def _names(band: Compared, palette: Palette, width: int) -> list[Piece]:
    """Both runs, over their columns: the sign shows which of them enter opens."""
    half = (width - 9) // 2
    pieces: list[Piece] = [(" " * 9, palette.dim)]
    for side, run in enumerate((band.first.totals, band.second.totals)):
        is_focused = side == band.focused
        lead = f"{'▶' if is_focused else ' '}{'AB'[side]} "
        style = palette.accent if is_focused else palette.dim
        agents = " vs ".join(clean(agent.id, 24) for agent in run.agents)
        told: list[Piece] = [
            (lead, style), (f"{clean(run.game, 24) or 'run'} · {clean(short_id(run.run_id))}",
                            palette.strong if is_focused else palette.text),
            (f"  {_outcome(run)}", palette.text), (f"  {agents}", palette.dim),
        ]  # fmt: skip
        pieces += fitted(told, half - 1, palette.text)
        pieces.append((" ", palette.text))
    return pieces


def _outcome(run: RunTotals) -> str:
    if run.status == "finished":
        return result_text(run.agents, run.outcome, lambda each: clean(each, 24))
    return run.status


def _side(row: Beside) -> str:
    return "A" if row.first is not None else "B"
