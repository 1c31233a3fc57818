"""Which of a theme's colours each role of the palette has. Paints nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from rich.style import Style
from textual.color import Color

from arena_tui.tui.contrast import readable_style
from arena_tui.tui.render.palette import Palette

_COLOURS: Final = {
    "text": "foreground", "dim": "text-disabled", "strong": "foreground", "accent": "accent",
    "good": "success", "warn": "warning", "bad": "error", "first": "accent",
    "second": "secondary", "third": "third", "fourth": "fourth", "selected": "foreground",
}  # fmt: skip
"""The theme's variable for each role."""
_BOLD: Final = {"strong", "bad", "first", "second", "third", "fourth", "selected"}
_SELECTED: Final = 0.25
"""Share of the accent in the ground of what is selected."""


def palette_on(ground: Color, variables: Mapping[str, str]) -> Palette:
    """The palette of a theme, given its variables, for text on that ground."""
    names = ("accent", *_COLOURS.values())
    return _palette(ground, tuple((name, variables[name]) for name in dict.fromkeys(names)))


@lru_cache(maxsize=64)
def _palette(ground: Color, variables: tuple[tuple[str, str], ...]) -> Palette:
    colours = {name: _color(value) for name, value in variables}
    styles: dict[str, Style] = {}
    for role, name in _COLOURS.items():
        under = ground
        if role == "selected":
            under += colours["accent"].multiply_alpha(_SELECTED)
        shown = Style.from_color((under + colours[name]).rich_color, under.rich_color)
        styles[role] = readable_style(Style(bold=role in _BOLD or None) + shown)
    return Palette(**styles)


def _color(value: str) -> Color:
    """A colour of a theme: its name or number, and how much of it shows if not all."""
    if not value.endswith("%"):
        return Color.parse(value)
    name, _, percent = value[:-1].rpartition(" ")
    return Color.parse(name).multiply_alpha(float(percent) / 100)
