"""The parts of the Run screen: header, event rows, scrubber, inspector."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final

from rich.cells import cell_len
from textual.content import Content
from textual.strip import Strip

from arena_tui.codec import encode_event
from arena_tui.events import Delivery, ErrorEvent, Event, Gap, short_id
from arena_tui.folds.density import Density
from arena_tui.folds.totals import lost_text
from arena_tui.folds.view import Instant
from arena_tui.services.playback.playhead import Position
from arena_tui.tui.render.canvas import Piece, between, line
from arena_tui.tui.render.clean import clean, clean_lines, fit
from arena_tui.tui.render.lines import details, headline, tag
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.text import (
    clock_time,
)

_DETAIL_LINES: Final = 400
_LONG_LINE: Final = 2_000
_MARKS: Final = {"error": ("!", "bad"), "gap": ("┆", "bad"), "bookmark": ("◆", "warn")}
_BLOCKS: Final = "▁▂▃▄▅▆▇█"


def paint_header(
    instant: Instant,
    position: Position,
    density: Density | None,
    palette: Palette,
    width: int,
    zone: tzinfo | None,
) -> Strip:
    """`connect_four · 7f3a  mcts:500 vs random  seed 42      REPLAY 4x ▶  turn 17  12:04:08.2`.

    A run that lost events says so before its position.
    """
    seed = "" if instant.seed is None else f"  seed {instant.seed}"
    name = f" {clean(instant.game, 40) or 'run'} · {clean(short_id(instant.run_id))}"
    label = f"  {clean(instant.label, 30)}" if instant.label else ""
    left: list[Piece] = [
        (name, palette.strong),
        ("  ", palette.text),
        *_players(instant, palette),
        (seed + label, palette.dim),
    ]
    when = "" if position.ts is None else f"  {clock_time(position.ts, zone, tenths=True)}"
    right = [
        (position.mode, palette.accent),
        (f"  event {position.at:,}/{position.last:,}", palette.text),
        (f"  turn {instant.turn}", palette.text),
        (f"{when} ", palette.dim),
    ]
    if width < 70:
        right = right[:2]
    if density is not None and (density.lost or density.lost_unknown):
        lost = f"  lost {lost_text(density.lost, density.lost_unknown)}  "
        right.insert(0, (lost, palette.bad))
    return line(between(left, right, width, palette.text), width, palette.text)


def _players(instant: Instant, palette: Palette) -> list[Piece]:
    """`x vs o`, each in the colour that it has on the board."""
    pieces: list[Piece] = []
    for index, agent in enumerate(instant.agents):
        between_them = [(" vs ", palette.dim)] if index else []
        pieces += [*between_them, (clean(agent.name or agent.id, 24), palette.player(index))]
    return pieces


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


def paint_scrubber(
    density: Density | None, position: Position, palette: Palette, width: int, zone: tzinfo | None
) -> Strip:
    """`12:01:10 ▕▁▂▂▃!▅▇┆▃◆┃▁▂▏ 12:06:31`: the run's events over time, and the position."""
    if density is None or density.first_at is None or density.last_at is None:
        return line([(" no events yet", palette.dim)], width, palette.dim)
    first, last = clock_time(density.first_at, zone), clock_time(density.last_at, zone)
    here = density.slice_of(position.at)
    top = max(*density.counts, 1)
    pieces: list[Piece] = [(f" {first} ▕", palette.dim)]
    marked = {mark.slice: mark.kind for mark in density.marks if mark.kind != "gap"}
    missing = density.missing()
    for index, events in enumerate(density.counts):
        kind = "gap" if index in missing else marked.get(index)
        if index == here:
            pieces.append(("┃", palette.bad if kind == "gap" else palette.strong))
        elif kind is not None:
            sign, style = _MARKS[kind]
            pieces.append((sign, getattr(palette, style)))
        else:
            block = _BLOCKS[min(7, round(events / top * 7))] if events else " "
            pieces.append((block, palette.accent if index < here else palette.dim))
    pieces += [("▏ ", palette.dim), ("now" if position.live else last, palette.dim)]
    return line(pieces, width, palette.dim)


def inspect(delivery: Delivery | None, zone: tzinfo | None) -> Content:
    """All of one event: its fields, long texts in full, and the raw JSON."""
    if delivery is None:
        return Content("")
    if isinstance(delivery, Gap):
        return Content.styled(headline(delivery), "bold $error")
    event = delivery.event
    parts: list[Content] = [
        Content.styled(f"event {delivery.seq:,} · {clean(event.kind, 40)}", "bold"),
        Content.styled(clock_time(event.ts, zone, tenths=True), "$text-muted"),
        Content(""),
    ]
    for name, text in details(event):
        parts += _field(clean(name, 40), text)
    parts += [Content(""), Content.styled("raw", "$accent"), *_raw(event)]
    return Content("\n").join(parts)


def _field(name: str, text: str) -> list[Content]:
    if "\n" not in text and len(text) <= 60:
        label = fit(name, max(14, cell_len(name)))
        return [Content.assemble((label, "$text-muted"), clean(text))]
    lines = clean_lines(text, _DETAIL_LINES, _LONG_LINE)
    return [Content(""), Content.styled(name, "$accent"), *map(Content, lines)]


def _raw(event: Event) -> list[Content]:
    text = encode_event(event).decode()
    shown = clean(text, _LONG_LINE)
    more = f"… {len(text):,} characters in all: y copies them" if len(text) > _LONG_LINE else ""
    return [Content.styled(shown, "$text-muted"), *([Content(more)] if more else [])]
