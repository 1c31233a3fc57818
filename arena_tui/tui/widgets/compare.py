"""The band over two runs as a widget."""

from __future__ import annotations

from textual.reactive import reactive
from textual.strip import Strip

from arena_tui.tui.render.compare import Compared, paint_band
from arena_tui.tui.widgets.painted import Painted


class ComparedBand(Painted):
    """Empty until it has something to show."""

    DEFAULT_CSS = "ComparedBand { height: 6; background: $surface; }"

    band: reactive[Compared | None] = reactive(None)
    """What it shows."""

    def render_line(self, y: int) -> Strip:
        if self.band is None:
            return Strip.blank(self.size.width, self.palette.text)
        return paint_band(self.band, self.palette, self.size.width)[y]
