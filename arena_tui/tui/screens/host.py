"""What screens need from the app that opens them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Protocol

from arena_tui.broker.protocol import Cursor
from arena_tui.services.session import Session
from arena_tui.tui.clipboard import Copier
from arena_tui.tui.tabs import Tab


class Host(Protocol):
    """The app as its screens see it."""

    session: Session
    """What is shown."""
    tabs: Sequence[Tab]
    """The screens that the title line names."""
    pace: tuple[float, float]
    """Frames per second, and how long one takes, in ms."""
    low_bandwidth: bool
    """Whether bytes to the terminal are dear."""
    copier: Copier
    """Copies to the clipboard."""
    zone: tzinfo | None
    """The time zone to show; None: that of this machine."""
    marked: list[str]
    """The runs marked in History, in the order in which they were."""
    began: tuple[datetime, float]
    """When this process began to count, by the wall clock and by `monotonic`."""

    def monotonic(self) -> float:
        """Monotonic clock in seconds, for durations."""

    def clock_text(self) -> str:
        """The time of day."""

    def action_go(self, name: str) -> None:
        """Go to the tab of that name."""

    def open_run(self, run_id: str, at: Cursor | None = None) -> None:
        """Open the Run screen on one run, live or stored; `at` a position of it if one is given."""
