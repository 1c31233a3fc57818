"""One run as a framed pane of the mosaic: players, board, state and cost."""

from __future__ import annotations

from datetime import tzinfo

from rich.style import Style

from arena_tui.events import Delivery, Envelope, ErrorEvent, Gap, short_id
from arena_tui.folds.result import result_text as result
from arena_tui.folds.totals import lost_text
from arena_tui.folds.view import Pane
from arena_tui.folds.words import is_waiting
from arena_tui.settings import TroubleKind
from arena_tui.tui.render.board import board_lines, board_size
from arena_tui.tui.render.canvas import Piece, between, fitted, width_of
from arena_tui.tui.render.clean import clean, fit
from arena_tui.tui.render.lines import headline, tag
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.states import LOOKS, LOSING, TROUBLE_LOOKS, Look
from arena_tui.tui.render.text import bar, clock_time, cost_text, duration, short_count, spark

_STATS_MIN = 15
_STATS_GAP = 3
_TIMES_FROM = 34
_ALARMS_MAX = 2


def title_text(pane: Pane) -> str:
    """`connect_four · 7f3a`, with the label when there is one."""
    game = clean(pane.game, 40).partition("(")[0] or "run"
    name = f"{game} · {clean(short_id(pane.run_id))}"
    return f"{name} · {clean(pane.label, 30)}" if pane.label else name


def state_text(pane: Pane) -> str:
    """What matters most about the run now, with its glyph; and that it has lost events."""
    if not pane.losing:
        return _state_text(pane)
    if pane.state == "running":
        return f"{LOSING.sign} lost {lost_text(pane.lost, pane.lost_unknown)}"
    return f"{_state_text(pane)} {LOSING.sign}"


def _state_text(pane: Pane) -> str:
    glyph = LOOKS[pane.state].sign
    if pane.state == "stuck":
        return f"{glyph} stuck {duration(pane.idle_s)}"
    if pane.state == "silent":
        return f"{glyph} silent {duration(pane.idle_s)}"
    if pane.state != "running":
        return f"{glyph} {result_text(pane)}"
    kind = _titled(pane)
    if is_waiting(pane) and kind in (None, "waiting"):
        return f"{_look(pane).sign} waiting for model {duration(pane.waiting_s)}"
    if kind is not None:
        return f"{TROUBLE_LOOKS[kind].sign} {kind}"
    return f"{glyph} turn {pane.turn}" if pane.turn else f"{glyph} starting"


def loss_text(pane: Pane) -> str:
    """`▼17.9k`, `▼≥12`: how many events were lost; empty when none were."""
    least = "≥" if pane.lost_unknown else ""
    return f"{LOSING.sign}{least}{short_count(pane.lost)}" if pane.losing else ""


def result_text(pane: Pane) -> str:
    """`x won`, `draw`, `random -1`, `crashed`, `stopped`."""
    if pane.state != "finished":
        return pane.state
    names = {agent.id: agent.name for agent in pane.agents}
    return result(pane.agents, pane.outcome, lambda agent: clean(names.get(agent) or agent, 16))


def state_style_name(pane: Pane) -> str:
    return _look(pane).style


def _look(pane: Pane) -> Look:
    if pane.losing:
        return LOSING
    kind = _titled(pane) if pane.state == "running" else None
    return LOOKS[pane.state] if kind is None else TROUBLE_LOOKS[kind]


def _titled(pane: Pane) -> TroubleKind | None:
    """The trouble that a running run is in; an unknown cost matters less than its turn."""
    worst = pane.troubles[0].kind if pane.troubles else None
    return None if worst == "unpriced" else worst


def paint_pane(
    pane: Pane, palette: Palette, width: int, height: int, selected: bool, zone: tzinfo | None
) -> list[list[Piece]]:
    """`height` rows of pieces, each `width` cells wide; `zone` is the viewer's time zone."""
    inner = width - 4
    edge = palette.accent if selected else palette.dim
    framed = [_top(pane, palette, width, edge)]
    for row in _body(pane, palette, inner, height - 2, zone):
        framed.append([("│ ", edge), *fitted(row, inner, palette.text), (" │", edge)])
    framed.append(_bottom(pane, palette, width, edge))
    return framed


def _top(pane: Pane, palette: Palette, width: int, edge: Style) -> list[Piece]:
    state = f" {state_text(pane)} "
    room = width - 2 - len(state)
    title = f" {title_text(pane)} "
    if len(title) > room:
        title = fit(title.rstrip(), max(0, room - 1)) + " " if room > 3 else ""
    name = palette.accent if edge is palette.accent else palette.strong
    corner = "╭" if len(title) >= room else "╭─"
    rule = "─" * (width - 1 - len(corner) - len(title) - len(state))
    style = getattr(palette, state_style_name(pane))
    pieces = [(corner, edge), (title, name), (rule, edge), (state, style), ("╮", edge)]
    return fitted(pieces, width, edge)


def _bottom(pane: Pane, palette: Palette, width: int, edge: Style) -> list[Piece]:
    """The frame's bottom edge: how full the run's buffer is, and how much is not stored yet."""
    if pane.is_live:
        share = pane.held / pane.capacity if pane.capacity else 0.0
        full, empty = bar(share, max(4, min(10, width - 26)))
        hot = palette.bad if share >= 0.8 else palette.warn if share >= 0.5 else palette.good
        gauge = [
            (" buf ▕", palette.dim),
            (full, hot),
            (empty, palette.dim),
            (f"▏{share:>4.0%} ", palette.dim),
            ("" if pane.lag is None else f" lag {pane.lag:,} ", palette.dim),
        ]
    else:
        stored = f"{pane.lag:,} not stored yet" if pane.lag else "stored"
        stored = "not stored" if pane.lag is None else stored
        text = f" {pane.events:,} events, {stored} "
        if len(text) > width - 4:
            text = f" {pane.events:,}, {stored} "
        gauge = [(text, palette.dim)]
    if pane.losing:
        gauge.append((f"lost {lost_text(pane.lost, pane.lost_unknown)} ", palette.bad))
    rest = "─" * max(0, width - 3 - width_of(gauge))
    return fitted([("╰─", edge), *gauge, (rest + "╯", edge)], width, edge)


def _body(
    pane: Pane, palette: Palette, width: int, height: int, zone: tzinfo | None
) -> list[list[Piece]]:
    """Players, board with figures beside it, newest events: as many as there is room for."""
    rows: list[list[Piece]] = [_players(pane, palette, width)] if height >= 4 else []
    rows += _board_and_figures(pane, palette, width, height - len(rows))
    room = height - len(rows)
    alarms = _alarms(pane, palette, width)[: max(0, min(_ALARMS_MAX, room - 1))]
    recent = pane.recent[-(room - len(alarms)) :] if room > len(alarms) else ()
    rows += [event_line(each, palette, width, zone) for each in recent] + alarms
    rows += [[] for _ in range(height - len(rows))]
    return rows[:height]


def _players(pane: Pane, palette: Palette, width: int) -> list[Piece]:
    rate = f"{pane.rate:,.1f} ev/s" if pane.is_live else "done"
    left: list[Piece] = []
    for index, agent in enumerate(pane.agents):
        turn = pane.is_live and agent.id == pane.player
        won = agent.id in pane.winners
        mark = "▸" if turn else "★" if won else " "
        left += [
            (mark, palette.accent if turn else palette.good),
            (clean(agent.name or agent.id, 24), palette.player(index)),
            ("  ", palette.text),
        ]
    right = [(rate, palette.dim)]
    if width_of(left) + len(rate) > width:
        right = []
    return between(left, right, width, palette.text)


def _board_and_figures(pane: Pane, palette: Palette, width: int, room: int) -> list[list[Piece]]:
    columns, lines = board_size(pane.board)
    keep_for_events = max(0, min(2, room - lines))
    height = min(lines, max(1, room - keep_for_events))
    board = board_lines(pane.board, palette, width, height, pane.board_before, pane.board_is_fresh)
    if width - columns - _STATS_GAP < _STATS_MIN:
        return board
    figures = _figures(pane, palette, width - columns - _STATS_GAP)
    height = max(len(board), min(len(figures), room - keep_for_events))
    joined: list[list[Piece]] = []
    for index in range(height):
        left = board[index] if index < len(board) else []
        used = width_of(left)
        right = figures[index] if index < len(figures) else []
        joined.append([*left, (" " * (columns + _STATS_GAP - used), palette.text), *right])
    return joined


def _figures(pane: Pane, palette: Palette, width: int) -> list[list[Piece]]:
    figures: list[list[Piece]] = []
    least = "≥" if pane.partial else ""
    if pane.is_live and width >= 8:
        figures.append([(spark(pane.per_second, min(width, 24)).lstrip(), palette.accent)])
    else:
        turns = f"{pane.turn} turn{'' if pane.turn == 1 else 's'}"
        figures.append([(f"{turns}  {least}{duration(pane.duration_s)}", palette.text)])
    if pane.tokens is not None:
        figures.append(_figure("tok", least + short_count(pane.tokens), palette))
    if pane.cost.usd is not None or pane.cost_incomplete:
        figures.append(_figure("cost", cost_text(pane.cost), palette))
    bad = palette.bad if pane.errors else None
    figures.append(_figure("err", f"{least}{pane.errors}", palette, bad))
    figures.append(_figure("ev", f"{pane.events:,}", palette))
    return figures


def _figure(name: str, value: str, palette: Palette, style: Style | None = None) -> list[Piece]:
    return [(f"{name:<5}", palette.dim), (value, style or palette.text)]


def event_line(
    delivery: Delivery, palette: Palette, width: int, zone: tzinfo | None
) -> list[Piece]:
    """`12:03:13 act   mcts:500  column 3`; without the time where there is little room."""
    if isinstance(delivery, Gap):
        return [(headline(delivery), palette.bad)]
    event = delivery.event
    failed = isinstance(event, ErrorEvent)
    pieces = [(f"{tag(delivery):<5} ", palette.bad if failed else palette.accent)]
    if width >= _TIMES_FROM:
        pieces.insert(0, (f"{clock_time(event.ts, zone)} ", palette.dim))
    said = fit(headline(delivery), max(0, width - width_of(pieces)))
    return [*pieces, (said, palette.bad if failed else palette.text)]


def _alarms(pane: Pane, palette: Palette, width: int) -> list[list[Piece]]:
    """What the user should act on, or wait for: troubles, else the newest error."""
    if pane.troubles:
        looks = [(TROUBLE_LOOKS[each.kind], each.text) for each in pane.troubles]
        said = [(f"{look.sign} {clean(text, 120)}", look.style) for look, text in looks]
        return [[(fit(text, width), getattr(palette, style))] for text, style in said]
    newest = pane.recent[-1] if pane.recent else None
    if isinstance(newest, Envelope) and isinstance(newest.event, ErrorEvent):
        return []  # it stands there already
    if pane.errors and pane.last_error and pane.is_live:
        said_last = f"err {pane.errors}  {clean(pane.last_error, 120)}"
        return [[(fit(said_last, width), palette.bad)]]
    return []
