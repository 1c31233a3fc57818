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
        first, second, third, fourth: Players, in the order of the run's agents.
        selected: The cursor's row.
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
    third: Style = Style()
    fourth: Style = Style()
    selected: Style = Style()

    @property
    def is_truecolor(self) -> bool:
        """Whether no colour depends on the terminal's, and none is dimmed."""
        styles: list[Style] = [getattr(self, name) for name in self.__struct_fields__]
        colours = [colour for each in styles for colour in (each.color, each.bgcolor)]
        return not any(each.dim for each in styles) and all(
            colour is None or colour.triplet is not None for colour in colours
        )

    def player(self, index: int) -> Style:
        """Of the run's agent at `index`; that of data beyond the fourth."""
        players = (self.first, self.second, self.third, self.fourth)
        return players[index] if index < len(players) else self.text


PALETTE_NAMES: Final = Palette.__struct_fields__
