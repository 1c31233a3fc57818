"""One run as the recording of a terminal, which asciinema players play. Reads and writes no file.

asciicast v2: a header, then a line for each piece of output, with its time in seconds; see
https://docs.asciinema.org/manual/asciicast/v2/
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
from rich.color import ColorSystem
from rich.style import Style
from textual.strip import Strip

from arena_tui.errors import UsageError
from arena_tui.events import Delivery, Envelope, Gap, RunEnd, RunStart, short_id
from arena_tui.folds.costs import NoPrices
from arena_tui.folds.turns import Turn, TurnStarts, fold_turn
from arena_tui.folds.view import RunView
from arena_tui.services.playback.playhead import Position
from arena_tui.store.archive_files import Rows
from arena_tui.store.archive_lines import decode_archived, line_of
from arena_tui.store.changes import Bookmark
from arena_tui.tui.render.board import board_size
from arena_tui.tui.render.board_panel import Look, paint_board
from arena_tui.tui.render.canvas import Piece, fitted
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.lines import headline
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.run import paint_header
from arena_tui.tui.render.turns import TurnsLook, height_of, paint_turn

FRAME_S: Final = 0.1
"""Between two pictures; what happens meanwhile is in the second."""

LAST_S: Final = 2.0
"""For how long the last picture stays."""

_TURN_MAX: Final = 400
"""Newest deliveries that are kept of the turn that goes on: a run may be one turn."""

_BOARD_MIN: Final = 30
_TURNS_MIN: Final = 30
"""Columns of the board, in which each agent's figures are, and of the turns: at least so many."""

_PRICES: Final = NoPrices()
_LOOK: Final = Look(fresh=True)

_PALETTE: Final = Palette(
    dim=Style(color="bright_black"), strong=Style(bold=True), accent=Style(color="cyan", bold=True),
    good=Style(color="green"), warn=Style(color="yellow"), bad=Style(color="red"),
    first=Style(color="cyan"), second=Style(color="yellow"), third=Style(color="magenta"),
    fourth=Style(color="green"),
)  # fmt: skip
"""The sixteen colours of whatever terminal plays it."""

Line = Sequence[Piece]


class Size(NamedTuple):
    """Of the terminal, in cells."""

    columns: int = 100
    lines: int = 30


def cast_texts(rows: Rows, size: Size, idle_s: float) -> Iterator[bytes]:
    """The recording as UTF-8, in pieces of whole lines.

    Args:
        rows: Of one run with an event at least.
        idle_s: Longest silence that is kept, in seconds; longer ones are cut to it.

    Raises:
        UsageError: It has none.
    """
    drawing, clock = _Drawing(size), _Clock(idle_s)
    drawn_s, is_first = 0.0, True
    for delivery in _deliveries(rows):
        if is_first:
            yield _header(delivery, size, idle_s)
            is_first = False
        passes = clock.passes(delivery)
        if passes and clock.now_s - drawn_s >= FRAME_S and (text := drawing.text()):
            drawn_s = clock.before_s
            yield _output(drawn_s, text)
        drawing.add(delivery)
    if is_first:
        raise UsageError("the run has no event yet: there is nothing to record")
    yield _output(clock.now_s, drawing.text() + f"\x1b[{size.lines};1H\x1b[?25h")
    yield _output(clock.now_s + LAST_S, "\r")


class _Clock:
    """The time of the recording, in seconds, which never goes back.

    Attributes:
        now_s: That of the newest event; before_s: of the one before.
    """

    def __init__(self, idle_s: float) -> None:
        self.now_s = self.before_s = 0.0
        self._idle_s = idle_s
        self._at: datetime | None = None

    def passes(self, delivery: Delivery) -> bool:
        """Let the time pass until then; False where it does not, as at a gap."""
        if isinstance(delivery, Gap):
            return False
        at = delivery.event.ts
        silence_s = 0.0 if self._at is None else (at - self._at).total_seconds()
        self._at = at
        self.before_s = self.now_s
        self.now_s += max(0.0, min(self._idle_s, silence_s))
        return self.now_s > self.before_s


class _Drawing:
    """The newest state of a run as a picture, of which only changed lines are written."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._view = RunView("")
        self._starts = TurnStarts()
        self._turns: deque[Turn] = deque(maxlen=size.lines)
        self._turn: deque[Delivery] = deque(maxlen=_TURN_MAX)
        self._left_out = self._seen = 0
        self._newest: Delivery | None = None
        self._end: RunEnd | None = None
        self._began_at: datetime | None = None
        self._shown: list[str] = []

    def add(self, delivery: Delivery) -> None:
        self._newest = delivery
        if not self._seen:
            self._view = RunView(delivery.run_id)
        self._seen += 1
        self._view.add(delivery)
        if isinstance(delivery, Envelope):
            event = delivery.event
            self._began_at = self._began_at or event.ts
            self._end = event if isinstance(event, RunEnd) else self._end
            if self._starts.begins(event.kind, event.turn) and self._turn:
                self._turns.append(fold_turn(self._turn, self._left_out))
                self._turn.clear()
                self._left_out = 0
        self._left_out += len(self._turn) == _TURN_MAX
        self._turn.append(delivery)

    def text(self) -> str:
        """What a terminal must be sent to show it; empty if that is nothing."""
        lines = [_ansi(each) for each in self._lines()]
        text = "" if self._shown else "\x1b[?25l\x1b[H\x1b[2J"
        before = self._shown or [""] * len(lines)
        for number, (line, shown) in enumerate(zip(lines, before, strict=True), 1):
            if line != shown:
                text += f"\x1b[{number};1H\x1b[0m\x1b[2K{line}"
        self._shown = lines
        return text

    def _lines(self) -> list[Line]:
        columns, count = self._size
        room = count - 4
        wide, _ = board_size(self._view.board)
        left = max(_BOARD_MIN, min(wide + 1, columns - _TURNS_MIN))
        board, _ = paint_board(self._view.instant(), _PRICES, _PALETTE, left, room, _LOOK)
        beside = zip(board, self._right(columns - left - 1, room), strict=True)
        body = [[*_pieces(one), (" ", _PALETTE.text), *other] for one, other in beside]
        return [self._header(), [], *body, [], self._footer()]

    def _header(self) -> Line:
        newest = self._newest
        at = newest.event.ts if isinstance(newest, Envelope) else None
        instant = self._view.instant()
        position = Position(
            at=self._seen, last=self._seen, ts=at, turns=instant.turn, end=self._end,
            began_at=self._began_at,
        )  # fmt: skip
        strip = paint_header(instant, position, None, _PALETTE, self._size.columns, UTC)
        return _pieces(strip)

    def _right(self, width: int, height: int) -> list[Line]:
        """The last turns, the one that goes on below."""
        turns = [*self._turns, fold_turn(self._turn, self._left_out)]
        view = self._view
        look = TurnsLook(
            agents=tuple(view.totals.agents), highest=view.totals.turns,
            has_tokens=view.totals.tokens is not None,
        )  # fmt: skip
        rows: list[Line] = []
        for turn in reversed(turns):
            if len(rows) + height_of(turn) > height:
                break
            strips = paint_turn(turn, look, _PALETTE, width, is_here=turn is turns[-1])
            rows = [*map(_pieces, strips), *rows]
        return [*rows, *([] for _ in range(height - len(rows)))]

    def _footer(self) -> Line:
        newest = self._newest
        if newest is None:
            return []
        kind = "gap" if isinstance(newest, Gap) else clean(newest.event.kind, 40)
        style = _PALETTE.bad if kind in ("gap", "error") else _PALETTE.text
        said = [(f" {kind}  ", _PALETTE.dim), (headline(newest), style)]
        return fitted(said, self._size.columns, _PALETTE.text)


def _pieces(strip: Strip) -> Line:
    return [(each.text, each.style or _PALETTE.text) for each in strip]


def _ansi(line: Iterable[Piece]) -> str:
    return "".join(f"\x1b[0{_codes(style)}m{text}" for text, style in line if text)


@lru_cache(maxsize=256)
def _codes(style: Style) -> str:
    """The style's attributes and colours, each with a semicolon before it."""
    rendered = style.render("x", color_system=ColorSystem.STANDARD)
    codes, found, _ = rendered.removeprefix("\x1b[").partition("mx")
    return f";{codes}" if found else ""


def _deliveries(rows: Rows) -> Iterator[Delivery]:
    for batch in rows:
        for row in batch:
            each = decode_archived(line_of(row))
            if each is not None and not isinstance(each, Bookmark):
                yield each


def _header(first: Delivery, size: Size, idle_s: float) -> bytes:
    start = first.event if isinstance(first, Envelope) else None
    fields: dict[str, Any] = {"version": 2, "width": size.columns, "height": size.lines}
    game = "run"
    if start is not None:
        fields["timestamp"] = max(0, int(start.ts.timestamp()))
        game = clean(start.game, 40) or game if isinstance(start, RunStart) else game
    fields |= {
        "idle_time_limit": idle_s, "title": f"{game} · {clean(short_id(first.run_id))}",
        "env": {"TERM": "xterm-256color"},
    }  # fmt: skip
    return msgspec.json.encode(fields) + b"\n"


def _output(at_s: float, text: str) -> bytes:
    return msgspec.json.encode([round(at_s, 3), "o", text]) + b"\n"
