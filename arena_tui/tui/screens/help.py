"""The keys of the screen below, and what the signs mean."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from arena_tui.tui.keys import key_rows
from arena_tui.tui.render.help import help_lines


class HelpScreen(ModalScreen[None]):
    """Lists what works on the screen below; esc closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "close")]

    def __init__(self, about: Screen[Any]) -> None:
        super().__init__(classes="dialog -full")
        self._about = about

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box") as box:
            box.border_title, box.border_subtitle = "help", "esc close"
            yield Static()

    def on_resize(self, event: events.Resize) -> None:
        width = min(event.size.width, 80) - 4
        rows = key_rows(self._about, self.app.get_key_display)
        self.query_one(Static).update(Content("\n").join(help_lines(rows, width)))
