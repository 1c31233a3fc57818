"""One line over a list of runs: who is better among them."""

from __future__ import annotations

from textual.strip import Strip

from arena_tui.folds.scores import Scores
from arena_tui.tui.render.history import paint_scores
from arena_tui.tui.widgets.painted import Painted


class ScoreLine(Painted):
    """Empty until `show`."""

    DEFAULT_CSS = "ScoreLine { height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[Scores, str] | None = None

    def show(self, scores: Scores, text: str) -> None:
        """Show what these runs come to, and the filter that they match."""
        self._shown = scores, text
        self.refresh()

    def render_line(self, y: int) -> Strip:
        if self._shown is None:
            return Strip.blank(self.size.width, self.palette.text)
        return paint_scores(*self._shown, self.palette, self.size.width)
