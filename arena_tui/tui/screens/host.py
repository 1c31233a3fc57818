"""What screens need of the app that opens them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from arena_tui.config import Config
from arena_tui.consumers.feed import Feed, Frame

if TYPE_CHECKING:
    from arena_tui.store.history import History  # DuckDB takes 100 ms to import

__all__ = ["Host"]


class Host(Protocol):
    """The app as its screens see it."""

    @property
    def config(self) -> Config:
        """The settings in force."""

    @property
    def feed(self) -> Feed:
        """The runs watched live."""

    @property
    def history(self) -> History | None:
        """The store; None while it is not open."""

    @property
    def frame(self) -> Frame:
        """The newest frame."""

    @property
    def pace(self) -> tuple[float, float]:
        """Frames a second, and how long one takes, in ms."""

    @property
    def note(self) -> str | None:
        """Something the user should know at present."""

    @property
    def broker_name(self) -> str:
        """What the title line says of where events come from."""

    @property
    def utc_offset(self) -> timedelta:
        """The viewer's time zone."""

    def monotonic(self) -> float:
        """Seconds, for what is measured."""

    def clock_text(self) -> str:
        """The time of day."""

    def action_go(self, name: str) -> None:
        """Go to the screen of that name: `live` or `history`."""

    def open_run(self, run_id: str) -> None:
        """Look at one run, live or stored."""
