"""The line in which a filter is written: it completes words, and underlines what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.highlighter import Highlighter
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message

from arena_tui.folds.completing import completed, completions
from arena_tui.tui.widgets.completing import CompletingLine


class _Underlining(Highlighter):
    """Underlines the characters from `start` to before `end`."""

    def __init__(self) -> None:
        self.start = self.end = 0

    def highlight(self, text: Text) -> None:
        if self.end > self.start:
            text.stylize("underline bold", self.start, self.end)


class FilterLine(CompletingLine):
    """Posts what an `Input` does.

    Attributes:
        fields: Names of fields with the sign after them.
        values: What occurs, by the name of the field.
    """

    def __init__(self, fields: Sequence[str] = (), placeholder: str = "") -> None:
        self._underlining = _Underlining()
        super().__init__(placeholder=placeholder, highlighter=self._underlining)
        self.fields = fields
        self.values: Mapping[str, Sequence[str]] = {}

    @property
    def completions(self) -> list[str]:
        """What the word before the cursor may become."""
        return completions(self.value[: self.cursor_position], self.fields, self.values)

    def completed(self, before: str, after: str, found: list[str]) -> tuple[str, str]:
        return completed(before, found), after.lstrip()

    def know(self, values: Mapping[str, Sequence[str]]) -> None:
        """Complete to these values from now on."""
        self.values = values

    def underline(self, start: int = 0, end: int = 0) -> None:
        """Underline what is wrong; nothing without an argument."""
        self._underlining.start, self._underlining.end = start, end
        self.refresh()


class RunFilterLine(FilterLine):
    """The filter of a list of runs, which can be saved and brought back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "save", tooltip="save the filter"),
        Binding("ctrl+o", "saved", "saved", tooltip="saved filters"),
        Binding("down", "saved_if_empty", "saved filters", show=False),
    ]

    @dataclass
    class Save(Message):
        """Save this filter."""

        text: str

    class ShowSaved(Message):
        """Show the saved filters."""

    def action_save(self) -> None:
        self.post_message(self.Save(self.value.strip()))

    def action_saved(self) -> None:
        self.post_message(self.ShowSaved())

    def action_saved_if_empty(self) -> None:
        if not self.value:
            self.action_saved()
