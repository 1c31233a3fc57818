"""What screens need from the app that opens them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from arena_tui.config import Config
from arena_tui.consumers.feed import Feed, Frame
from arena_tui.tui.tabs import Tab

if TYPE_CHECKING:
    from arena_tui.store.history import History  # DuckDB takes 100 ms to import


class Host(Protocol):
    """The app as its screens see it."""

    @property
    def config(self) -> Config:
        """The settings in force."""

    @property
    def tabs(self) -> Sequence[Tab]:
        """The screens that the title line names."""

    @property
    def feed(self) -> Feed:
        """The folds of live runs."""

    @property
    def history(self) -> History | None:
        """The store; None while it is not open."""

    @property
    def frame(self) -> Frame:
        """The newest frame."""

    @property
    def pace(self) -> tuple[float, float]:
        """Frames per second, and how long one takes, in ms."""

    @property
    def note(self) -> str | None:
        """A current notice or warning for the user."""

    @property
    def broker_name(self) -> str:
        """The source of events, as the title line names it."""

    @property
    def began(self) -> tuple[datetime, float]:
        """When this process began to count, by the wall clock and by `monotonic`."""

    @property
    def utc_offset(self) -> timedelta:
        """The viewer's offset from UTC."""

    def monotonic(self) -> float:
        """Monotonic clock in seconds, for durations."""

    def clock_text(self) -> str:
        """The time of day."""

    def action_go(self, name: str) -> None:
        """Go to the tab of that name."""

    def open_run(self, run_id: str) -> None:
        """Open the Run screen on one run, live or stored."""
