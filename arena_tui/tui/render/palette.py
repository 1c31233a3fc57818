"""The few styles everything is painted with. One accent; meaning never by colour alone."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from rich.style import Style


class Palette(Struct, frozen=True, kw_only=True):
    """Styles by role; plain text by default.

    Attributes:
        text: Data. dim: Chrome and labels. strong: Emphasis.
        accent: Selection and the one colour. good, warn, bad: States, beside their glyphs.
        first, second: The two sides of a board. selected: The cursor's row.
    """

    text: Style = Style()
    dim: Style = Style()
    strong: Style = Style()
    accent: Style = Style()
    good: Style = Style()
    warn: Style = Style()
    bad: Style = Style()
    first: Style = Style()
    second: Style = Style()
    selected: Style = Style()


PALETTE_NAMES: Final = Palette.__struct_fields__
