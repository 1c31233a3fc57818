"""All keys of the dashboard that can be changed: the app's, and those of every screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final

from textual.binding import Binding

from arena_tui.tui.keymap import bindings_of
from arena_tui.tui.keys import said_of
from arena_tui.tui.tabs import Tab

_BASE: Final = "arena_tui.tui.screens.base:ArenaScreen"
_OTHER_SCREENS: Final = (
    "arena_tui.tui.screens.compare:CompareScreen",
    "arena_tui.tui.screens.costs:CostsScreen",
    "arena_tui.tui.screens.hits:HitsScreen",
    "arena_tui.tui.screens.openings:OpeningsScreen",
    "arena_tui.tui.screens.output:OutputScreen",
    "arena_tui.tui.screens.run:RunScreen",
)
"""Those that no tab leads to."""
_TABLE: Final = "arena_tui.tui.widgets.table:VirtualTable"
_WIDGETS: Final = {
    "live": (_TABLE, "arena_tui.tui.widgets.mosaic:Mosaic"),
    "run": (_TABLE, "arena_tui.tui.widgets.panels:RunPanels",
            "arena_tui.tui.widgets.turns:TurnList"),
    "sql": (_TABLE, "arena_tui.tui.widgets.completing:CompletingLine",
            "arena_tui.tui.widgets.query_line:QueryLine"),
}  # fmt: skip
"""What has the focus on a screen; on all others it is a table."""


def changeable(app: type, tabs: Sequence[Tab]) -> Mapping[str, Sequence[Binding]]:
    """The bindings with ids by place; it imports every screen."""
    screens = [_loaded(each) for each in (_BASE, *(tab.source for tab in tabs), *_OTHER_SCREENS)]
    found: dict[str, list[Binding]] = {}
    for place, bindings in bindings_of([app, *screens]):
        found.setdefault(place, []).extend(bindings)
    return found


def fixed(place: str, tabs: Sequence[Tab]) -> Mapping[str, str]:
    """What the keys of a place do that cannot be changed: those of its widgets and of the tabs."""
    meant = {tab.key: tab.name for tab in tabs}
    for source in _WIDGETS.get(place, (_TABLE,)):
        for binding in Binding.make_bindings(vars(_loaded(source)).get("BINDINGS", ())):
            meant.setdefault(binding.key, said_of(binding).lower())
    return meant


def _loaded(source: str) -> type:
    module, _, name = source.partition(":")
    found: type = getattr(import_module(module), name)
    return found
