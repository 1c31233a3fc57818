"""Title line, truth bar, and the line of keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Footer

from arena_tui.consumers.feed import Frame, Truth
from arena_tui.tui.render.bars import paint_title, paint_truth, steady
from arena_tui.tui.tabs import Tab
from arena_tui.tui.widgets.painted import Painted

_ALWAYS: Final = ("back", "help")
"""Actions whose keys are shown at any width."""


class TitleBar(Painted):
    """The screens, the broker, and how many runs are live."""

    DEFAULT_CSS = "TitleBar { height: 1; background: $panel; }"

    frame: reactive[Frame] = reactive(Frame(), always_update=True)
    """The newest frame."""
    clock: reactive[str] = reactive("")
    """Time of day, as shown."""
    badge: reactive[str] = reactive("")
    """Why the view is not the plain live one: frozen, filtered."""

    scripts: reactive[str] = reactive("")
    """How many scripts run and have failed, as shown."""

    @dataclass
    class ScreenChosen(Message):
        """The name of a screen was clicked."""

        name: str

    def __init__(self, here: str, tabs: Sequence[Tab]) -> None:
        super().__init__()
        self._here = here
        self._tabs = tabs

    def render_line(self, y: int) -> Strip:
        return paint_title(
            self._here,
            self._tabs,
            self.frame,
            self.clock,
            self.badge,
            self.palette,
            self.size.width,
            self.scripts,
        )

    def on_click(self, event: events.Click) -> None:
        text = self.render_line(0).text
        for tab in self._tabs:
            label = f" {tab.label} "
            at = text.find(label)
            if 0 <= at <= event.x < at + len(label):
                self.post_message(self.ScreenChosen(tab.name))


class TruthBar(Painted):
    """Where every event since the process began is; see `folds.accounts`."""

    DEFAULT_CSS = "TruthBar { height: 1; background: $panel; }"

    truth: reactive[Truth] = reactive(Truth())
    """The ledger, as of the newest frame."""
    note: reactive[str | None] = reactive(None)
    """A notice or warning for the user; replaces the figures on the right."""
    pace: reactive[tuple[float, float] | None] = reactive((0.0, 0.0))
    """Frames per second, and how long one takes, in ms; None where bytes are dear: nothing is shown
    that changes with every frame."""
    late_ms: reactive[float] = reactive(0.0)
    """How late the event loop was at worst within the last second."""
    since: reactive[str] = reactive("")
    """When counting began, as shown."""
    in_full: reactive[bool] = reactive(False)
    """Whether to show all figures, also while all is well."""

    def validate_truth(self, newest: Truth) -> Truth:
        return newest if self.in_full else steady(self.truth, newest)

    def render_line(self, y: int) -> Strip:
        return paint_truth(
            self.truth, self.pace, self.late_ms, self.note, self.palette, self.size.width,
            self.since, self.in_full,
        )  # fmt: skip


class KeyLine(Footer):
    """The active keys in order; those that do not fit are left out, not cut."""

    def __init__(self) -> None:
        super().__init__(compact=True, show_command_palette=False)
        self._width = 0
        self._shown: list[tuple[object, ...]] = []

    def compose(self) -> ComposeResult:
        keys = self._fitting()
        self._shown = [_told(key) for key in keys]
        yield from keys

    async def recompose(self) -> None:
        """Mount the keys anew if others are to be shown, or one of them otherwise.

        As a screen opens this is asked for three or four times, and mounting is what takes long.
        """
        if not self.is_attached:
            return  # its screen is gone, and the keys with it
        if [_told(key) for key in self._fitting()] != self._shown:
            await super().recompose()

    def _fitting(self) -> list[Widget]:
        keys = list(super().compose())
        self._width = self.app.size.width
        room = self._width + 1 - sum(_cells(key) for key in keys if _action(key) in _ALWAYS)
        fitting = []
        for key in keys:
            if _action(key) in _ALWAYS:
                fitting.append(key)
            elif _cells(key) <= room:
                room -= _cells(key)
                fitting.append(key)
        return fitting

    def on_resize(self) -> None:
        if self.app.size.width != self._width:
            self.call_after_refresh(self.recompose)


def _action(key: Widget) -> str:
    return str(getattr(key, "action", ""))


def _told(key: Widget) -> tuple[object, ...]:
    """All that tells a key from another one."""
    parts = (getattr(key, name, "") for name in ("key", "key_display", "description", "tooltip"))
    return _action(key), key.has_class("-disabled"), *parts


def _cells(key: Widget) -> int:
    """Cells a key takes, with the blank behind it."""
    return cell_len(f"{getattr(key, 'key_display', '')} {getattr(key, 'description', '')} ")
