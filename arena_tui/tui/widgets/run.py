"""The parts of the Run screen as widgets: header and scrubber."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from arena_tui.folds.density import Density
from arena_tui.folds.view import Instant
from arena_tui.services.playback.playhead import Position
from arena_tui.tui.render.run import paint_header, paint_scrubber
from arena_tui.tui.widgets.painted import Painted


@dataclass
class Goto(Message):
    """Go to this place in the run."""

    place: int


class RunHeader(Painted):
    """The game, its players, and the position in the run."""

    DEFAULT_CSS = "RunHeader { height: 1; background: $surface; }"

    instant: reactive[Instant] = reactive(Instant())
    """The state of the run at `position`."""
    position: reactive[Position] = reactive(Position())
    """The position in the run."""
    density: reactive[Density | None] = reactive(None)
    """The run's events and losses over time."""

    def __init__(self, zone: tzinfo | None) -> None:
        super().__init__()
        self._zone = zone

    def render_line(self, y: int) -> Strip:
        return paint_header(
            self.instant, self.position, self.density, self.palette, self.size.width, self._zone
        )


class Scrubber(Painted):
    """The whole run on one line; click or drag to go anywhere in it."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Scrubber { height: 1; background: $surface; }"

    density: reactive[Density | None] = reactive(None)
    """The run's events over time, in `slices` slices."""
    position: reactive[Position] = reactive(Position())
    """The current position in the run."""

    def __init__(self, zone: tzinfo | None) -> None:
        super().__init__()
        self._zone = zone
        self._dragging = False

    @property
    def slices(self) -> int:
        """Number of slices there is room for."""
        return max(1, self.size.width - 22)

    def render_line(self, y: int) -> Strip:
        return paint_scrubber(
            self.density, self.position, self.palette, self.size.width, self._zone
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
            index = max(0, min(len(self.density.places) - 1, x - 11))
            self.post_message(Goto(self.density.places[index]))
