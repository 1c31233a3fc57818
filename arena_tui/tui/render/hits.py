"""A list of hits as rows: where each is, and its line. All event text is cleaned here."""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import Final

from arena_tui.events import short_id
from arena_tui.store.searching import Hit
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.table import Cell, Column, Marked
from arena_tui.tui.render.text import clock_time, stamp

LINE: Final = "text"
"""Key of the column with the line of the hit."""

OF_A_RUN: Final = (
    Column(name="event", key="seq", width=9, right=True),
    Column(name="time", key="time", width=10, least=60),
    Column(name="turn", key="turn", width=6, right=True, least=70),
    Column(name="kind", key="kind", width=13, least=50),
    Column(name="agent", key="agent", width=16, least=90),
    Column(name="text", key=LINE, width=0),
)
OF_ALL_RUNS: Final = (
    Column(name="run", key="run", width=5),
    Column(name="game", key="game", width=18, least=80),
    Column(name="time", key="time", width=19, least=100),
    Column(name="kind", key="kind", width=13, least=60),
    Column(name="text", key=LINE, width=0),
)

_BEFORE: Final = 3
"""Of a line without room for what stands before the hit, one part in so many is shown."""


def cells_in_run(hit: Hit, wanted: str, room: int, zone: tzinfo | None) -> list[Cell | Marked]:
    """The cells of `OF_A_RUN`; `room` is that of the line."""
    return [
        (f"{hit.seq:,}", "dim"),
        (clock_time(hit.ts, zone, tenths=True), "dim"),
        ("" if hit.turn is None else str(hit.turn), "dim"),
        (hit.kind, "bad" if hit.kind == "error" else "text"),
        (clean(hit.agent_id or "", 40), "text"),
        line_of(hit.text, wanted, room),
    ]


def cells_in_all(
    hit: Hit, game: str, wanted: str, room: int, zone: tzinfo | None
) -> list[Cell | Marked]:
    """The cells of `OF_ALL_RUNS`."""
    return [
        (clean(short_id(hit.run_id)), "dim"),
        (clean(game, 40), "text"),
        (stamp(hit.ts, zone), "dim"),
        (hit.kind, "bad" if hit.kind == "error" else "text"),
        line_of(hit.text, wanted, room),
    ]


def line_of(text: str, wanted: str, room: int) -> Marked:
    """The line with the hit emphasised, from so far on that the hit is within `room` cells."""
    shown = clean(text)
    found = re.search(re.escape(clean(wanted)), shown, re.IGNORECASE)
    start, end = (0, 0) if found is None else found.span()
    if end > room > 0 and start > room // _BEFORE:
        left_out = start - room // _BEFORE
        shown, start, end = f"…{shown[left_out + 1 :]}", start - left_out, end - left_out
    return Marked(shown, "text", start, end)
