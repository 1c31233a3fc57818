"""Dialogs of saved filters: one gives the present filter a name, one lists them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import ClassVar

from textual.binding import Binding, BindingType

from arena_tui.errors import UsageError
from arena_tui.services.saved_filters import SavedFilters
from arena_tui.tui.render.clean import clean
from arena_tui.tui.screens.dialog import LineDialog
from arena_tui.tui.screens.list_dialog import ListDialog


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


class SavedFiltersScreen(ListDialog):
    """Lists what is saved, by name; hands on the filter that is chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+x", "delete", "delete")]

    def __init__(
        self, saved: SavedFilters, filters: Mapping[str, str], apply: Callable[[str], None]
    ) -> None:
        self._saved = saved
        self._filters = dict(filters)

        def choose(index: int) -> None:
            apply([*self._filters.values()][index])

        super().__init__(
            "Saved filters", _lines(filters), "enter apply  ctrl+x delete  esc close", choose
        )

    async def action_delete(self) -> None:
        """Delete the one under the cursor; without another one, close."""
        if (at := self.highlighted) is None:
            return
        name = [*self._filters][at]
        try:
            await asyncio.to_thread(self._saved.delete, name)
        except UsageError as error:
            self.object_to(clean(str(error)))
            return
        del self._filters[name]
        self.show(_lines(self._filters))
        if not self._filters:
            self.dismiss()


def _lines(filters: Mapping[str, str]) -> list[str]:
    return [f"{clean(name, 60)}   {clean(text, 120)}" for name, text in filters.items()]
