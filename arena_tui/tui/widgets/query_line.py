"""The line in which a query is written: it completes names, and brings what was asked before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from arena_tui.folds.sql_text import completed, completions, one_line
from arena_tui.tui.widgets.completing import CompletingLine


class QueryLine(CompletingLine):
    """Posts what an `Input` does; a paste of several lines becomes one.

    Attributes:
        names: What words are completed to, besides keywords.
        earlier: What was asked before, oldest first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "run"),
        Binding("up", "earlier(-1)", "earlier", key_display="↑↓", tooltip="what was asked before"),
        Binding("down", "earlier(1)", "what was asked after", show=False),
    ]

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder)
        self.names: Sequence[str] = ()
        self.earlier: Sequence[str] = ()
        self._back = 0
        self._draft = ""

    @property
    def completions(self) -> list[str]:
        """What the word before the cursor may become."""
        return completions(self.value[: self.cursor_position], self.names)

    def completed(self, before: str, after: str, found: list[str]) -> tuple[str, str]:
        return completed(before, found), after

    def on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        self.insert_text_at_cursor(" ".join(one_line(event.text).split("\n")))

    def on_input_submitted(self) -> None:
        self._back = 0

    def action_earlier(self, step: int) -> None:
        """Bring the query before this one, or after it; the last is what was being written."""
        if not self._back:
            self._draft = self.value
        self._back = max(0, min(len(self.earlier), self._back - step))
        self.put(self.earlier[-self._back] if self._back else self._draft)
