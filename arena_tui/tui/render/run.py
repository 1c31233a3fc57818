"""The parts of the Run screen: header, event rows, scrubber."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final

from rich.cells import cell_len
from textual.strip import Strip

from arena_tui.events import Delivery, ErrorEvent, Gap, short_id
from arena_tui.folds.density import Density
from arena_tui.folds.result import names_of, result_text
from arena_tui.folds.totals import lost_text
from arena_tui.folds.view import Instant
from arena_tui.services.playback.playhead import Position
from arena_tui.tui.render.canvas import Piece, between, cut, line, width_of
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.lines import headline, tag
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.states import LOOKS
from arena_tui.tui.render.text import (
    clock_time,
    day,
    duration,
)

_PLAYERS_MIN: Final = 8


def paint_header(
    instant: Instant,
    position: Position,
    density: Density | None,
    palette: Palette,
    width: int,
    zone: tzinfo | None,
) -> Strip:
    """`connect_four · 7f3a   mcts:500 vs random   28 Nov, ✓ x won    REPLAY 4x ▶  turn 17/31  …`.

    A run that lost events says so before its position. Where room is short, the time goes first,
    then the players.
    """
    players = _players(instant, palette)
    name = f" {clean(instant.game, 40) or 'run'} · {clean(short_id(instant.run_id))}"
    label = f"  {clean(instant.label, 30)}" if instant.label else ""
    began, outcome = _outcome(instant, position, palette, zone)
    right = [
        (position.mode, palette.accent),
        *_pace(position, palette),
        (f"  event {position.at:,}/{position.last:,}", palette.text),
        (f"{turn_text(instant, position)} ", palette.text),
    ]
    if width < 70:
        right = right[:-1]
    if density is not None and (density.lost or density.lost_unknown):
        lost = f"  lost {lost_text(density.lost, density.lost_unknown)}  "
        right.insert(0, (lost, palette.bad))
    ends: list[Piece] = [(began, palette.dim), outcome, (label, palette.dim)]
    room = width - width_of([(name, palette.strong), *ends, *right]) - 2
    when = "" if position.ts is None else f" {clock_time(position.ts, zone, tenths=True)} "
    if width >= 70 and room >= cell_len(when) + width_of(players) + 2:
        right.append((when, palette.dim))
    shown = [("  ", palette.text), *players]
    if width_of(shown) > room:
        shown = cut(shown, room) if room > _PLAYERS_MIN else []
    left = [(name, palette.strong), *shown, *ends]
    return line(between(left, right, width, palette.text), width, palette.text)


def _pace(position: Position, palette: Palette) -> list[Piece]:
    """`  41 s behind` the newest event of a live run, `  idle 3:07, cut short`."""
    pieces: list[Piece] = []
    if position.behind_s is not None:
        pieces.append((f"  {duration(position.behind_s)} behind", palette.warn))
    if position.idle_s is not None:
        pieces.append((f"  idle {duration(position.idle_s)}, cut short", palette.dim))
    return pieces


def _players(instant: Instant, palette: Palette) -> list[Piece]:
    """`x vs o`, each in the colour that it has on the board."""
    pieces: list[Piece] = []
    for index, agent in enumerate(instant.agents):
        between_them = [(" vs ", palette.dim)] if index else []
        pieces += [*between_them, (clean(agent.name or agent.id, 24), palette.player(index))]
    return pieces


def _outcome(
    instant: Instant, position: Position, palette: Palette, zone: tzinfo | None
) -> tuple[str, Piece]:
    """`   28 Nov`, and `, ✓ x won` with the sign of its state."""
    began = "" if position.began_at is None else f"  {day(position.began_at, zone)}"
    end = position.end
    if end is None:
        return began, ("", palette.dim)
    look = LOOKS[end.status]
    text: str = end.status
    if end.status == "finished":
        names = names_of(instant.agents)
        text = result_text(instant.agents, end.outcome, lambda each: names.get(each, each))
    comma = ", " if began else "  "
    return began, (f"{comma}{look.sign} {clean(text, 60)}", getattr(palette, look.style))


def turn_text(instant: Instant, position: Position) -> str:
    """`  turn 17/31`; nothing in a run without turns."""
    if not (instant.turn or position.turns):
        return ""
    total = max(instant.turn, position.turns)
    return f"  turn {instant.turn}" + ("" if position.live else f"/{total}")


def event_cells(delivery: Delivery, zone: tzinfo | None) -> list[tuple[str, str]]:
    """Cells of one row of the event list: seq, time, kind, what."""
    if isinstance(delivery, Gap):
        return [
            (f"{delivery.from_seq:,}", "bad"),
            ("", "dim"),
            ("gap", "bad"),
            (headline(delivery), "bad"),
        ]
    event = delivery.event
    style = "bad" if isinstance(event, ErrorEvent) else "text"
    return [
        (f"{delivery.seq:,}", "dim"),
        (clock_time(event.ts, zone, tenths=True), "dim"),
        (tag(delivery), "accent" if style == "text" else "bad"),
        (headline(delivery), style),
    ]


def hidden_cells(count: int) -> list[tuple[str, str]]:
    """Cells of the row that stands for events that a filter hides."""
    return [("", "dim"), ("", "dim"), ("", "dim"), (f"… {count:,} hidden …", "dim")]
