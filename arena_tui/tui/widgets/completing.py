"""An input whose words are completed by `tab`. Knows no words."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from textual.binding import Binding, BindingType

from arena_tui.tui.widgets.one_line import OneLine


class CompletingLine(OneLine):
    """Posts what an `Input` does; subclasses say what a begun word may become."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "complete", tooltip="complete the word"),
    ]

    @property
    @abstractmethod
    def completions(self) -> list[str]:
        """What the word before the cursor may become."""

    @abstractmethod
    def completed(self, before: str, after: str, found: list[str]) -> tuple[str, str]:
        """What stands before and after the cursor once the word between is one of `found`, or as
        far as these agree."""

    def put(self, text: str, cursor: int | None = None) -> None:
        """Write this instead, with the cursor there or at its end."""
        self.value = text
        self.cursor_position = len(text) if cursor is None else cursor

    def action_complete(self) -> None:
        """Complete the word before the cursor; where there is none, go on to what is next."""
        found, at = self.completions, self.cursor_position
        if found:
            before, after = self.completed(self.value[:at], self.value[at:], found)
            self.put(before + after, len(before))
        else:
            self.screen.focus_next()
