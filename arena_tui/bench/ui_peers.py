"""The peer of the dashboard: one scroll view per run, each painting its newest events."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from arena_tui.bench.load import run_ids
from arena_tui.config import Config
from arena_tui.events import Delivery, Envelope
from arena_tui.services.connect import PROCESS
from arena_tui.services.runtime import Runtime
from arena_tui.tui.render.lines import headline, tag
from arena_tui.tui.render.text import clock_time

_CAPACITY = 1_000
_WIDTH = 400
_DIM, _ACCENT, _TEXT = Style(color="grey50"), Style(color="cyan"), Style(color="white")


class Ring(ScrollView):
    """The newest events of one run. Its virtual size is fixed: growing it triggers a layout."""

    DEFAULT_CSS = "Ring { border: round $primary; scrollbar-size: 1 1; }"

    def __init__(self, name: str) -> None:
        super().__init__()
        self.virtual_size = Size(_WIDTH, _CAPACITY)
        self.border_title = name
        self._entries: deque[Delivery] = deque(maxlen=_CAPACITY)

    def on_mount(self) -> None:
        self.scroll_end(animate=False)

    def add(self, deliveries: Sequence[Delivery]) -> None:
        self._entries.extend(deliveries)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height = self.scrollable_content_region.size
        index = len(self._entries) - height + y
        if not 0 <= index < len(self._entries):
            return Strip.blank(width, self.rich_style)
        delivery = self._entries[index]
        assert isinstance(delivery, Envelope)
        segments = [
            Segment(clock_time(delivery.event.ts), _DIM),
            Segment(f" {tag(delivery):<5} ", _ACCENT),
            Segment(headline(delivery), _TEXT),
        ]
        return Strip(segments).crop_extend(0, width, self.rich_style)


class Status(Widget):
    """A status line at the bottom."""

    DEFAULT_CSS = "Status { dock: bottom; height: 1; }"

    published = 0

    def render_line(self, y: int) -> Strip:
        text = f"published {self.published:,}"
        return Strip([Segment(text)]).crop_extend(0, self.size.width, self.rich_style)


class ScrollViews(App[None]):
    """One view per run of the process, updated at a fixed interval.

    Args:
        names: One per run.
        frame_s: Seconds between two updates.
    """

    DEFAULT_CSS = "Grid { grid-gutter: 0; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("l", "select(1)"), Binding("h", "select(-1)")]

    def __init__(self, names: Sequence[str], frame_s: float) -> None:
        super().__init__()
        self._names = names
        self._rings = dict(zip(run_ids(len(names)), map(Ring, names), strict=True))
        self._frame_s = frame_s
        self._selected = 0

    def compose(self) -> ComposeResult:
        with Grid() as grid:
            grid.styles.grid_size_columns = 3 if len(self._names) <= 6 else 7
            yield from self._rings.values()
        yield Status()

    def on_mount(self) -> None:
        self._runtime = Runtime(Config(db=None))
        PROCESS.offer(self._runtime)
        self._subscription = self._runtime.broker.subscribe("screen")
        self.action_select(0)
        self.set_interval(self._frame_s, self._update_views)

    def action_select(self, step: int) -> None:
        rings = list(self._rings.values())
        rings[self._selected].border_title = self._names[self._selected]
        self._selected = (self._selected + step) % len(rings)
        rings[self._selected].border_title = f"▸{self._names[self._selected]}"

    def _update_views(self) -> None:
        by_run: dict[str, list[Delivery]] = {}
        count = 0
        while batch := self._subscription.read_nowait():
            count += len(batch)
            for delivery in batch:
                by_run.setdefault(delivery.run_id, []).append(delivery)
        for run_id, deliveries in by_run.items():
            self._rings[run_id].add(deliveries)
        if count:
            status = self.query_one(Status)
            status.published += count
            status.refresh()
