"""What all dialogs with a list to choose from have in common. Knows none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option


class ListDialog(ModalScreen[None]):
    """Lists lines: `enter` closes it and chooses one, `escape` closes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "close")]

    def __init__(
        self, title: str, lines: Sequence[str], answers: str, choose: Callable[[int], None], *,
        hint: str = "",
    ) -> None:  # fmt: skip
        """`choose` is given the place of a line. `answers` says what the keys do, `hint` what else
        there is; all texts must be harmless."""
        super().__init__(classes="dialog")
        self._title = title
        self._lines = lines
        self._answers = answers
        self._choose = choose
        self._hint = hint

    @property
    def highlighted(self) -> int | None:
        """The place of the line under the cursor; None where there is none."""
        return self.query_one(OptionList).highlighted

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(self._title, classes="title", markup=False)
            yield OptionList(*_options(self._lines))
            yield Static("", classes="error", markup=False)
            if self._hint:
                yield Static(self._hint, classes="hint", markup=False)
            yield Static(self._answers, classes="answers", markup=False)

    def on_mount(self) -> None:
        if self.app.return_code is None:  # else it is leaving, and has mounted no widgets
            self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss()
        self._choose(event.option_index)

    def show(self, lines: Sequence[str]) -> None:
        """Show these in place of those before, with the cursor as near as it can be."""
        options, at = self.query_one(OptionList), self.highlighted
        options.clear_options().add_options(_options(lines))
        if at is not None and lines:
            options.highlighted = min(at, len(lines) - 1)

    def object_to(self, error: str) -> None:
        """Show a harmless text below the list, as what is wrong."""
        self.query_one(".error", Static).update(error)


def _options(lines: Sequence[str]) -> list[Option]:
    return [Option(Content(line)) for line in lines]
