"""One run as a framed pane of the mosaic: its title, its state, and the frame's edges."""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len

from arena_tui.events import short_id
from arena_tui.folds.absent import AbsentPane
from arena_tui.folds.result import names_of
from arena_tui.folds.result import result_text as result
from arena_tui.folds.totals import lost_text
from arena_tui.folds.trouble import Trouble
from arena_tui.folds.view import Pane
from arena_tui.folds.words import is_waiting
from arena_tui.settings import TroubleKind
from arena_tui.tui.render.canvas import Piece, bottom_edge, fitted, top_edge, width_of
from arena_tui.tui.render.clean import clean, fit
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.pane_rows import Inside, pane_rows
from arena_tui.tui.render.pane_turns import last_move
from arena_tui.tui.render.states import LOOKS, LOSING, TROUBLE_LOOKS, Look
from arena_tui.tui.render.text import bar, duration, short_count

_GAME_MIN: Final = 5
_LABEL_MAX: Final = 30
_FULL_FROM: Final = 0.5
_FULL_BAD: Final = 0.8
"""From what share on a buffer is said to fill, and to overflow soon."""
_BAR_CELLS: Final = 10


def title_text(pane: Pane) -> str:
    """`connect_four · 7f3a`, with the label when there is one."""
    return f"{_game(pane)}{_particulars(pane)}"


def _short_title(pane: Pane, width: int) -> str:
    """The title in that width: of two runs of one game, what tells them apart is cut last."""
    game, rest = _game(pane), _particulars(pane)
    if cell_len(game + rest) > width and pane.label:
        rest = f" · {clean(pane.label, _LABEL_MAX)}"
    room = width - cell_len(rest)
    if room < min(_GAME_MIN, cell_len(game)):
        return game
    return f"{fit(game, min(room, cell_len(game)))}{rest}"


def _game(pane: Pane) -> str:
    return clean(pane.game, 40).partition("(")[0] or "run"


def _particulars(pane: Pane) -> str:
    name = f" · {clean(short_id(pane.run_id))}"
    return f"{name} · {clean(pane.label, _LABEL_MAX)}" if pane.label else name


def state_text(pane: Pane) -> str:
    """What matters most about the run now, with its glyph; and that it has lost events."""
    if isinstance(pane, AbsentPane):
        return pane.why
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
    names = names_of(pane.agents)
    return result(pane.agents, pane.outcome, lambda agent: clean(names.get(agent, agent), 16))


def state_style_name(pane: Pane) -> str:
    return "dim" if isinstance(pane, AbsentPane) else _look(pane).style


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
    pane: Pane, palette: Palette, width: int, height: int, selected: bool
) -> list[list[Piece]]:
    """`height` rows of pieces, each `width` cells wide."""
    inner = width - 4
    edge = palette.accent if selected else palette.dim
    if isinstance(pane, AbsentPane):
        told: list[Piece] = [(pane.more, palette.dim)]
        inside = Inside([told, *[[] for _ in range(height - 3)]], None)
    else:
        inside = pane_rows(pane, palette, inner, height - 2)
    state = (state_text(pane), getattr(palette, state_style_name(pane)))
    room = width - 6 - cell_len(state[0])
    title = (_short_title(pane, room), palette.accent if selected else palette.strong)
    framed = [top_edge(title, state, width, edge)]
    for row in inside.rows:
        framed.append([("│ ", edge), *fitted(row, inner, palette.text), (" │", edge)])
    framed.append(bottom_edge(_edge_text(pane, inside.untold, palette, width - 6), width, edge))
    return framed


def _edge_text(pane: Pane, untold: Trouble | None, palette: Palette, width: int) -> list[Piece]:
    """What the frame says below: losses, a trouble that stands nowhere else, a buffer that fills, a
    store that is late; while all is well, the last move."""
    said: list[Piece] = []
    if pane.losing:
        said.append((f"lost {lost_text(pane.lost, pane.lost_unknown)}  ", palette.bad))
    if untold is not None:
        look = TROUBLE_LOOKS[untold.kind]
        text = f"{look.sign} {clean(untold.text, 120)}  "
        said.append((text, getattr(palette, look.style)))
    said += (
        _buffer(pane, palette) if pane.is_live else _ended(pane, palette, width - width_of(said))
    )
    if not said:
        said = last_move(pane, palette)
    if not said:
        return []
    text, style = said[-1]
    return [(" ", palette.dim), *said[:-1], (f"{text.rstrip()} ", style)]


def _buffer(pane: Pane, palette: Palette) -> list[Piece]:
    """How full the run's buffer is, and how much is not stored yet, where that is much."""
    said: list[Piece] = []
    share = pane.held / pane.capacity if pane.capacity else 0.0
    if share >= _FULL_FROM:
        full, empty = bar(share, _BAR_CELLS)
        hot = palette.bad if share >= _FULL_BAD else palette.warn
        said += [("buf ▕", palette.dim), (full, hot), (empty, palette.dim)]
        said.append((f"▏{share:>4.0%}  ", palette.dim))
    if pane.lag and pane.is_store_late:
        said.append((f"lag {pane.lag:,}  ", palette.warn))
    return said


def _ended(pane: Pane, palette: Palette, width: int) -> list[Piece]:
    stored = "" if pane.lag == 0 else ", not stored"
    stored = f", {pane.lag:,} not stored yet" if pane.lag else stored
    text = f"{pane.events:,} event{'' if pane.events == 1 else 's'}{stored}"
    return [(text if len(text) <= width else f"{pane.events:,}{stored}", palette.dim)]
