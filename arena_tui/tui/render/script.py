"""One script as a framed pane of the mosaic, and its output as rows of a screen."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.cells import chop_cells

from arena_tui.services.scripts.output import LINE_MAX_BYTES, Output
from arena_tui.services.scripts.scripts import ScriptPane
from arena_tui.tui.render.canvas import Piece, bottom_edge, fitted, top_edge
from arena_tui.tui.render.clean import clean, fit, wrapped
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.states import LOOKS
from arena_tui.tui.render.text import duration

_NAME_MAX: Final = 60
_EXCEPTION_MAX: Final = 240
_ROWS_KEPT: Final = 50_000
_TAB: Final = 8
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_LOOKS: Final = {
    "running": LOOKS["running"], "finished": LOOKS["finished"], "failed": LOOKS["crashed"],
}  # fmt: skip


def script_name(pane: ScriptPane) -> str:
    return clean(pane.name, _NAME_MAX)


def script_state(pane: ScriptPane) -> str:
    """`▶ running 12 s`, `✓ exited 0`, `✗ killed by SIGSEGV`."""
    sign = _LOOKS[pane.state].sign
    return f"{sign} {pane.ending or f'running {whole_seconds(pane.seconds)}'}"


def script_style_name(pane: ScriptPane) -> str:
    return _LOOKS[pane.state].style


def whole_seconds(seconds: int) -> str:
    """`7 s`, `3:07`."""
    return f"{seconds} s" if seconds < 10 else duration(seconds)


def crash_lines(pane: ScriptPane, width: int) -> list[str]:
    """`KeyError: 'x'` in as many rows as it needs, and below it `agent.py, line 12`."""
    if pane.crash is None:
        return []
    where = f"{Path(pane.crash.file).name}, line {pane.crash.line}"
    exception = clean(f"{LOOKS['crashed'].sign} {pane.crash.exception}", _EXCEPTION_MAX)
    return [*wrapped(exception, width), clean(where, width)]


def counted_lines(count: int) -> str:
    return f"{count:,} line{'' if count == 1 else 's'} printed"


def counts_text(panes: Sequence[ScriptPane]) -> str:
    """`2 scripts, 1 failed`, for the title line; of those that have ended well nothing is said."""
    running = sum(pane.state == "running" for pane in panes)
    failed = sum(pane.state == "failed" for pane in panes)
    told = [f"{running} script{'' if running == 1 else 's'}"] if running else []
    if failed:
        told.append(f"{failed} failed" if told else f"{failed} script{'s' * (failed > 1)} failed")
    return ", ".join(told)


def paint_script(
    pane: ScriptPane, palette: Palette, width: int, height: int, selected: bool
) -> list[list[Piece]]:
    """`height` rows of pieces, each `width` cells wide."""
    inner, edge = width - 4, palette.accent if selected else palette.dim
    bad = [[(line, palette.bad)] for line in crash_lines(pane, inner)]
    room = max(0, height - 2 - len(bad))
    lines = pane.lines[-room:] if room else ()
    rows: list[list[Piece]] = [[(fit(shown_line(line), inner), palette.text)] for line in lines]
    if not rows and room:
        what = "nothing printed yet" if pane.state == "running" else "it printed nothing"
        rows = [[(what, palette.dim)]]
    rows = [*bad, *rows]
    rows += [[] for _ in range(height - 2 - len(rows))]
    name = palette.accent if selected else palette.strong
    title = (script_name(pane), name)
    state = (script_state(pane), getattr(palette, script_style_name(pane)))
    framed = [top_edge(title, state, width, edge)]
    for row in rows[: height - 2]:
        framed.append([("│ ", edge), *fitted(row, inner, palette.text), (" │", edge)])
    framed.append(bottom_edge([(f" {counted_lines(pane.count)} ", palette.dim)], width, edge))
    return framed


def shown_line(line: str) -> str:
    """A line without its colours."""
    return clean(_COLOURS.sub("", line).expandtabs(_TAB), LINE_MAX_BYTES)


class Rows:
    """A script's output in rows of one width: a line that is longer goes on in the next row.

    Only lines that are new are cut. Of the oldest rows some may be left out.

    Attributes:
        version: Of the output as it was read last.
    """

    def __init__(self, width: int) -> None:
        self.version = -1
        self._width = max(1, width)
        self._rows: deque[str] = deque(maxlen=_ROWS_KEPT)
        self._next = 1  # the first line that has no rows for good
        self._unfinished = 0  # rows of the line that is still being written

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> str:
        return self._rows[index]

    def read(self, output: Output) -> bool:
        """Take what is new; returns whether anything is."""
        if output.version == self.version:
            return False
        self.version = output.version
        for _ in range(self._unfinished):
            self._rows.pop()
        count = output.count
        first, lines = output.since(self._next)
        done = max(0, count - first + 1)
        for line in lines[:done]:
            self._rows.extend(self._cut(line))
        self._next = first + done
        rest = [row for line in lines[done:] for row in self._cut(line)]
        self._unfinished = len(rest)
        self._rows.extend(rest)
        return True

    def find(self, needle: str, start: int, step: int) -> int | None:
        """The next row from `start` on that has the text, in capitals or not, going round."""
        wanted, count = needle.casefold(), len(self._rows)
        rows = list(self._rows)
        for away in range(count):
            at = (start + step * away) % count
            if wanted in rows[at].casefold():
                return at
        return None

    def _cut(self, line: str) -> Iterator[str]:
        text = shown_line(line)
        if len(text) <= self._width and text.isascii():  # what most lines are
            return iter([text])
        return iter(chop_cells(text, self._width) or [""])
