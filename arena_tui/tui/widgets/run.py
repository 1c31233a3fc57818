"""The parts of the Run screen as widgets: header and scrubber."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from msgspec.structs import replace
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from arena_tui.folds.density import Density
from arena_tui.folds.view import Instant
from arena_tui.services.playback.overview import ZOOM
from arena_tui.services.playback.playhead import Position
from arena_tui.tui.render.run import paint_header
from arena_tui.tui.render.scrubber import A_CELL, AROUND, BEFORE, Timeline, paint_scrubber
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
    """The whole run, or a part of it; click or drag to go anywhere, turn the wheel to zoom."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Scrubber { height: 1; background: $surface; }"

    timeline: reactive[Timeline] = reactive(Timeline())
    """What it shows."""

    @dataclass
    class Zoomed(Message):
        """Show a part that many times shorter (longer below 1) around a time, UTC."""

        factor: float
        at: datetime

    def __init__(self, zone: tzinfo | None, turn_of: Callable[[int], int | None]) -> None:
        """`turn_of` tells the turn that a place lies in, if it is in any."""
        super().__init__()
        self._zone = zone
        self._turn_of = turn_of
        self._dragging = False
        self._painted: list[Strip] = []

    @property
    def slices(self) -> int:
        """Number of slices there is room for."""
        return A_CELL * max(1, self.size.width - AROUND)

    def watch_timeline(self) -> None:
        self._painted = []

    def on_resize(self) -> None:
        self._painted = []

    def render_line(self, y: int) -> Strip:
        if not self._painted or y == 0:
            self._painted = paint_scrubber(
                self.timeline, self.palette, self.size.width, self.size.height, self._zone
            )
        return self._painted[min(y, len(self._painted) - 1)]

    def show(self, timeline: Timeline) -> None:
        """Show this; what the pointer is over stays."""
        self.timeline = replace(timeline, pointed=self.timeline.pointed,
                                pointed_turn=self.timeline.pointed_turn)  # fmt: skip

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._dragging = True
        self.capture_mouse()
        self._go(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        cell = self._cell(event.x)
        place = None if cell is None else self.timeline.place_of(cell)
        turn = None if place is None else self._turn_of(place)
        self.timeline = replace(self.timeline, pointed=cell, pointed_turn=turn)
        if self._dragging:
            self._go(event.x)

    def on_leave(self) -> None:
        self.timeline = replace(self.timeline, pointed=None, pointed_turn=None)

    def on_mouse_up(self) -> None:
        self._dragging = False
        self.release_mouse()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._zoom(event, ZOOM)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._zoom(event, 1 / ZOOM)

    def _zoom(self, event: events.MouseEvent, factor: float) -> None:
        density, cell = self.timeline.density, self._cell(event.x)
        if density is None or density.first_at is None or density.last_at is None or cell is None:
            return
        event.stop()
        share = (cell + 0.5) * A_CELL / max(1, len(density.counts))
        at = density.first_at + (density.last_at - density.first_at) * share
        self.post_message(self.Zoomed(factor, at))

    def _cell(self, x: int) -> int | None:
        """The cell of the run at a column; None beside it."""
        cell = x - BEFORE
        return cell if 0 <= cell < self.size.width - AROUND else None

    def _go(self, x: int) -> None:
        cells = max(1, self.size.width - AROUND)
        place = self.timeline.place_of(max(0, min(cells - 1, x - BEFORE)))
        if place is not None:
            self.post_message(Goto(place))
