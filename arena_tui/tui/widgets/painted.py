"""The base of all Line API widgets: the current theme's styles as one palette."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from arena_tui.tui.render.palette import Palette
from arena_tui.tui.roles import palette_on


class _Line(Strip):
    """A strip that is freed as soon as nobody has it.

    Undivided, a `Strip` refers to itself and waits for the garbage collector (`strip.py` of Textual
    8.2): at some hundred lines a second, that stops the screen again and again.
    """

    __slots__ = ()

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        cuts = list(cuts)
        return [self] if cuts == [self.cell_length] else super().divide(cuts)


class Painted(Widget):
    """Paints lines itself; `palette` follows the theme."""

    DEFAULT_CSS = "Painted { background: $background; }"

    _palette: Palette | None = None
    _palette_key: object = None

    @property
    def palette(self) -> Palette:
        """Styles of the current theme."""
        key = (self.app.theme, self.app.ansi_color, self.app.no_color)
        if self._palette is None or self._palette_key != key:
            self._palette_key = key
            self._palette = palette_on(self.background_colors[1], self.app.theme_variables)
        return self._palette

    def render_lines(self, crop: Region) -> list[Strip]:
        return [_Line(line, line.cell_length) for line in super().render_lines(crop)]

    def get_line_filters(self) -> Sequence[LineFilter]:
        """All but the one that finds nothing to do: it would copy each line."""
        filters = super().get_line_filters()
        if self.palette.is_truecolor:
            return [each for each in filters if not isinstance(each, ANSIToTruecolor)]
        return filters

    def notify_style_update(self) -> None:
        """Paint anew what has other colours now, even if no rule of its own says so: those of the
        theme, or what it stands on."""
        super().notify_style_update()
        before, self._palette = self._palette, None
        if before is not None and self.is_attached and self.palette is not before:
            self.repaint()

    def repaint(self) -> None:
        """Paint all lines again, with the palette there is now."""
        self.refresh()
