"""Dialogs of saved filters: one gives the present filter a name, one lists them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from arena_tui.errors import UsageError
from arena_tui.services.saved_filters import SavedFilters
from arena_tui.tui.render.clean import clean
from arena_tui.tui.screens.dialog import LineDialog


class SaveFilterScreen(LineDialog):
    """Asks for the name of a filter, and saves it."""

    def __init__(self, saved: SavedFilters, filter_text: str) -> None:
        super().__init__(
            f"Save {clean(filter_text, 60)}", "enter save  esc close", placeholder="name"
        )
        self._saved = saved
        self._filter_text = filter_text

    async def take(self, text: str) -> None:
        await asyncio.to_thread(self._saved.save, text, self._filter_text)
        self.notify(f"saved as {text}: ctrl+o in the line lists it")
        self.dismiss()


class SavedFiltersScreen(ModalScreen[str | None]):
    """Lists what is saved, by name; returns the filter that is chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+x", "delete", "delete"),
        Binding("escape", "dismiss", "close"),
    ]

    def __init__(self, saved: SavedFilters, filters: Mapping[str, str]) -> None:
        super().__init__(classes="dialog")
        self._saved = saved
        self._filters = dict(filters)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static("Saved filters", classes="title", markup=False)
            yield OptionList(*self._options())
            yield Static("", classes="error", markup=False)
            yield Static("enter apply  ctrl+x delete  esc close", classes="answers", markup=False)

    def on_mount(self) -> None:
        if self.app.return_code is None:  # else it is leaving, and has mounted no widgets
            self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss([*self._filters.values()][event.option_index])

    async def action_delete(self) -> None:
        """Delete the one under the cursor; without another one, close."""
        options = self.query_one(OptionList)
        if (at := options.highlighted) is None:
            return
        name = [*self._filters][at]
        try:
            await asyncio.to_thread(self._saved.delete, name)
        except UsageError as error:
            self.query_one(".error", Static).update(clean(str(error)))
            return
        del self._filters[name]
        options.clear_options().add_options(self._options())
        if not self._filters:
            self.dismiss(None)

    def _options(self) -> list[Option]:
        return [
            Option(Content(f"{clean(name, 60)}   {clean(text, 120)}"))
            for name, text in self._filters.items()
        ]
