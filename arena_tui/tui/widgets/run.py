"""The parts of the Run screen as widgets: header, board, scrubber."""

from __future__ import annotations

from datetime import timedelta

from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from arena_tui.folds.density import Density
from arena_tui.folds.totals import RunTotals
from arena_tui.folds.view import RunView
from arena_tui.tui.render.run import Position, paint_board, paint_header, paint_scrubber
from arena_tui.tui.widgets.painted import Painted

__all__ = ["BoardPanel", "RunHeader", "Scrubber"]


class RunHeader(Painted):
    """What is played, by whom, and where in it we are."""

    DEFAULT_CSS = "RunHeader { height: 1; background: $surface; }"

    position: reactive[Position] = reactive(Position())
    """Where the screen stands."""

    def __init__(self, offset: timedelta) -> None:
        super().__init__()
        self._offset = offset
        self._totals = RunTotals(run_id="")

    def show(self, totals: RunTotals) -> None:
        """Who plays what."""
        self._totals = totals
        self.refresh()

    def render_line(self, y: int) -> Strip:
        return paint_header(
            self._totals, self.position, self.palette, self.size.width, self._offset
        )


class BoardPanel(Painted):
    """The board and the agents' tallies at one instant."""

    DEFAULT_CSS = "BoardPanel { border: round $panel-lighten-2; border-title-color: $text-muted; }"
    BORDER_TITLE = "board"

    def __init__(self) -> None:
        super().__init__()
        self._view: RunView | None = None
        self._strips: list[Strip] = []

    def show(self, view: RunView) -> None:
        """Paint this view."""
        self._view = view
        self._strips = []
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self._view is None:
            return Strip.blank(width, self.palette.text)
        if len(self._strips) != height:
            self._strips = paint_board(self._view, self.palette, width, height)
        return self._strips[y]

    def on_resize(self) -> None:
        self._strips = []

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips = []


class Scrubber(Painted):
    """The whole run on one line; click or drag to go anywhere in it."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Scrubber { height: 1; background: $surface; }"

    density: reactive[Density | None] = reactive(None)
    """How busy the run was, in `slices` slices."""
    position: reactive[Position] = reactive(Position())
    """Where the screen stands."""
    live: reactive[bool] = reactive(False)
    """Whether the right end is now."""

    class Goto(Message):
        """Go to this seq."""

        def __init__(self, seq: int) -> None:
            self.seq = seq
            super().__init__()

    def __init__(self, offset: timedelta) -> None:
        super().__init__()
        self._offset = offset
        self._dragging = False

    @property
    def slices(self) -> int:
        """Cells there are for slices of the run."""
        return max(1, self.size.width - 22)

    def render_line(self, y: int) -> Strip:
        return paint_scrubber(
            self.density, self.position, self.live, self.palette, self.size.width, self._offset
        )

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._dragging = True
        self.capture_mouse()
        self._go(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragging:
            self._go(event.x)

    def on_mouse_up(self) -> None:
        self._dragging = False
        self.release_mouse()

    def _go(self, x: int) -> None:
        if self.density is not None:
            index = max(0, min(len(self.density.seqs) - 1, x - 11))
            self.post_message(self.Goto(self.density.seqs[index]))
