"""The board of the Run screen as a widget, which scrolls where it has too little room."""

from __future__ import annotations

from typing import Final

from textual.reactive import reactive
from textual.strip import Strip
from textual.timer import Timer

from arena_tui.folds.costs import PriceList
from arena_tui.folds.series import Series
from arena_tui.folds.view import BOARD_FRESH_S, Instant
from arena_tui.tui.render.board_panel import Look, paint_board, series_slices
from arena_tui.tui.widgets.painted import Painted

_ROOMY_FROM: Final = 160
"""Columns of the terminal from which on cells are two wide."""
_WHEEL_LINES: Final = 2


class BoardPanel(Painted):
    """The board and the agents' tallies at one instant, with a line of each over the turns."""

    DEFAULT_CSS = """
    BoardPanel { border: round $panel-lighten-2; border-title-color: $text-muted;
                 border-subtitle-color: $warning; }
    """
    BORDER_TITLE = "board"

    instant: reactive[Instant | None] = reactive(None)
    """The state of the run; None until it is known."""
    priced: reactive[int] = reactive(0)
    """The version of the prices."""
    series: reactive[Series | None] = reactive(None)
    """How a figure went over the turns, in `slices` slices; None where there is none."""

    def __init__(self, prices: PriceList) -> None:
        super().__init__()
        self._prices = prices
        self._strips: list[Strip] = []
        self._up = self._left = 0
        self._fading: Timer | None = None

    @property
    def slices(self) -> int:
        """Number of slices there is room for."""
        return series_slices(self.size.width)

    def render_line(self, y: int) -> Strip:
        if len(self._strips) != self.size.height:
            return Strip.blank(self.size.width, self.palette.text)
        return self._strips[y]

    def watch_instant(self, before: Instant | None, instant: Instant | None) -> None:
        if before is not None and instant is not None and before.board != instant.board:
            if self._fading is not None:
                self._fading.stop()
            self._fading = self.set_timer(BOARD_FRESH_S, self._fade)
        self._paint()

    def watch_priced(self) -> None:
        self._paint()

    def watch_series(self) -> None:
        self._paint()

    def on_resize(self) -> None:
        self._paint()

    def on_mouse_scroll_down(self) -> None:
        self.scroll_board(-_WHEEL_LINES, 0)

    def on_mouse_scroll_up(self) -> None:
        self.scroll_board(_WHEEL_LINES, 0)

    def on_mouse_scroll_right(self) -> None:
        self.scroll_board(0, _WHEEL_LINES)

    def on_mouse_scroll_left(self) -> None:
        self.scroll_board(0, -_WHEEL_LINES)

    def scroll_board(self, up: int, right: int) -> bool:
        """Show what is so many lines above, and so many columns to the right, as far as there is
        any; returns whether there was."""
        before = self._up, self._left
        self._up = max(0, self._up + up)
        self._left = max(0, self._left + right)
        self._paint()
        return (self._up, self._left) != before

    def repaint(self) -> None:
        self._paint()

    def _fade(self) -> None:
        self._fading = None
        self._paint()

    def _paint(self) -> None:
        """Paint all lines, and say in the border what is beyond them."""
        width, height = self.size
        if self.instant is None or not height:
            return
        look = Look(fresh=self._fading is not None, up=self._up, left=self._left,
                    roomy=self.app.size.width >= _ROOMY_FROM)  # fmt: skip
        self._strips, part = paint_board(
            self.instant, self._prices, self.palette, width, height, look, self.series
        )
        self._up, self._left = part.below, part.left
        self.border_subtitle = part.beyond
        self.refresh()
