"""The turns of a run as rows of its pane: moves, answers and errors, and what it crashed with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from rich.style import Style

from arena_tui.events import (
    Action,
    ActionResult,
    Delivery,
    Envelope,
    ErrorEvent,
    Event,
    Gap,
    LlmPrompt,
    LlmResponse,
    Observation,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.folds.result import names_of
from arena_tui.folds.view import Pane
from arena_tui.tui.render.canvas import Piece, between, cut, width_of
from arena_tui.tui.render.clean import clean, wrapped
from arena_tui.tui.render.lines import action_text, headline
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.states import LOOKS
from arena_tui.tui.render.text import FELT_S, duration

_NAME_MAX: Final = 24
_CRASH_ROWS: Final = 3
"""Rows for the text of the exception that ended a run."""
_ROUTINE: Final = (RunStart, TurnStart, Observation, LlmPrompt)
"""What title, players and board tell, or the answer that follows."""
_PLACE: Final = re.compile(r'File "([^"\n]+)", line (\d+)')
_SLASH: Final = r"[/\\]"
_NEWEST_FRAMES: Final = 20_000
"""Characters at the end of a traceback, where the place is."""


def turn_rows(pane: Pane, palette: Palette, width: int, room: int) -> list[list[Piece]]:
    """The newest moves, answers and errors, one a row."""
    told = list(_told(pane))[-room:] if room > 0 else []
    return [_line(pane, delivery, seconds, palette, width) for delivery, seconds in told]


def last_move(pane: Pane, palette: Palette) -> list[Piece]:
    """`o  column 4`: the newest move; empty while there is none."""
    for delivery in reversed(pane.recent):
        if not isinstance(delivery, Gap) and isinstance(delivery.event, Action):
            return _moved(pane, delivery.event, palette)
    return []


def crash_rows(pane: Pane, palette: Palette, width: int) -> list[list[Piece]]:
    """Where a crashed run failed, and by what."""
    if pane.state != "crashed":
        return []
    event = _crash_event(pane)
    place, said = (event.where, event.message) if event else (None, pane.reason)
    frames = _PLACE.findall((event.traceback or "")[-_NEWEST_FRAMES:]) if event else []
    if frames:
        said = f"{place}: {said}" if place and place not in (said or "") else said
        file, number = frames[-1]
        place = f"{re.split(_SLASH, file)[-1]}, line {number}"
    said = said or pane.reason or pane.last_error or "no reason given"
    rows = wrapped(f"{LOOKS['crashed'].sign} {clean(said, 400)}", width)
    if len(rows) > _CRASH_ROWS:
        rows = [*rows[: _CRASH_ROWS - 1], f"{rows[_CRASH_ROWS - 1]}…"]
    where = [cut([(f"  {clean(place, 120)}", palette.bad)], width)] if place else []
    return [*where, *(cut([(row, palette.bad)], width) for row in rows)]


def ends_in_error(pane: Pane) -> bool:
    """Whether the newest of its turns is an error."""
    newest = next((each for each, _ in reversed(list(_told(pane)))), None)
    return isinstance(newest, Envelope) and isinstance(newest.event, ErrorEvent)


def side_of(pane: Pane, agent_id: str | None, palette: Palette) -> Style:
    """The style of a player."""
    ids = [agent.id for agent in pane.agents]
    return palette.player(ids.index(agent_id)) if agent_id in ids else palette.text


def _told(pane: Pane) -> Iterator[tuple[Delivery, float | None]]:
    """What is worth a row, and how many seconds it took."""
    began: dict[int, datetime] = {}
    crash = _crash_event(pane)
    for delivery in pane.recent:
        if isinstance(delivery, Gap):
            yield delivery, None
            continue
        event = delivery.event
        if isinstance(event, TurnStart) and event.turn is not None:
            began[event.turn] = event.ts
        if event is crash or _is_routine(event, pane):
            continue
        seconds = event.latency_s if isinstance(event, LlmResponse) else None
        if isinstance(event, Action) and event.turn in began:
            seconds = (event.ts - began[event.turn]).total_seconds()
        yield delivery, seconds


def _is_routine(event: Event, pane: Pane) -> bool:
    """Whether nobody would miss it: it goes well, or stands elsewhere in the pane."""
    if isinstance(event, ActionResult):
        return event.ok and not event.reward and event.detail is None
    if isinstance(event, RunEnd):
        return event.reason is None or pane.state == "crashed"
    return isinstance(event, _ROUTINE)


def _line(
    pane: Pane, delivery: Delivery, seconds: float | None, palette: Palette, width: int
) -> list[Piece]:
    """` 8 x  column 3     0.1 s`; without the seconds where there is little room."""
    if isinstance(delivery, Gap):
        return cut([(headline(delivery), palette.bad)], width)
    event = delivery.event
    pieces: list[Piece] = []
    if event.turn is not None:
        pieces.append((f"{event.turn:>3} ", palette.dim))
    if isinstance(event, Action):
        pieces += _moved(pane, event, palette)
    elif isinstance(event, ErrorEvent):
        pieces.append((f"! {headline(delivery)}", palette.bad))
    else:
        if isinstance(event, LlmResponse) and event.agent_id:
            pieces += _named(pane, event.agent_id, palette)
        pieces.append((headline(delivery), palette.text))
    is_felt = seconds is not None and seconds >= FELT_S
    took = [(f"  {duration(seconds)}", palette.dim)] if is_felt else []
    if width_of(pieces) + width_of(took) > width:
        took = []
    return between(pieces, took, width, palette.text)


def _moved(pane: Pane, event: Action, palette: Palette) -> list[Piece]:
    agent = _named(pane, event.agent_id, palette) if event.agent_id else []
    return [*agent, (clean(action_text(event), 160), palette.text)]


def _named(pane: Pane, agent_id: str, palette: Palette) -> list[Piece]:
    name = clean(names_of(pane.agents).get(agent_id, agent_id), _NAME_MAX)
    return [(name, side_of(pane, agent_id, palette)), ("  ", palette.text)]


def _crash_event(pane: Pane) -> ErrorEvent | None:
    """The error that ended the run, where it is among the newest events."""
    if pane.state != "crashed":
        return None
    events = [each.event for each in pane.recent if not isinstance(each, Gap)]
    return next((each for each in reversed(events) if isinstance(each, ErrorEvent)), None)
