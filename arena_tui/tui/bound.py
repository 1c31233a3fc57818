"""All keys of the dashboard that can be changed: the app's, and those of every screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

from textual.binding import Binding

from arena_tui.tui.keymap import bindings_of
from arena_tui.tui.tabs import Tab

_OTHER_SCREENS = (
    "arena_tui.tui.screens.costs:CostsScreen",
    "arena_tui.tui.screens.output:OutputScreen",
    "arena_tui.tui.screens.run:RunScreen",
)
"""Those that no tab leads to."""


def changeable(app: type, tabs: Sequence[Tab]) -> Mapping[str, Sequence[Binding]]:
    """The bindings with ids by place; it imports every screen."""
    sources = [*(tab.source for tab in tabs), *_OTHER_SCREENS]
    names = [source.partition(":")[::2] for source in sources]
    screens = [getattr(import_module(module), name) for module, name in names]
    return dict(bindings_of([app, *screens]))
