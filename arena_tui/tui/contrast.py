"""Keeps text readable in every theme: WCAG's contrast of 4.5 to 1 on its ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.color import Color as RichColor
from rich.style import Style
from textual.color import BLACK, WHITE, Color, ColorParseError

LEAST_RATIO: Final = 4.5
"""Of normal text: WCAG 2.2, success criterion 1.4.3."""

_STEPS: Final = 40
_GROUNDS: Final = ("background", "surface", "panel")
_FAINT: Final = {"text-muted": 0.6, "text-disabled": 0.38}
"""Share of the foreground, where a theme leaves it to the ground."""
_TEXTS: Final = (
    "foreground", "secondary", "accent", "success", "warning", "error", "text-muted",
    "text-disabled", "text-primary", "text-secondary", "text-accent", "text-success",
    "text-warning", "text-error", "footer-key-foreground",
    "footer-description-foreground",
)  # fmt: skip


def ratio(one: Color, other: Color) -> float:
    """Contrast of two opaque colours, from 1 to 21."""
    lights = sorted((_luminance(one), _luminance(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def readable(color: Color, grounds: Sequence[Color], least: float = LEAST_RATIO) -> Color:
    """The colour, moved towards white or black no further than it takes on all these grounds.

    Where no step reaches `least`, it is the one with the best contrast.
    """

    def worst(each: Color) -> float:
        return min(ratio(each, ground) for ground in grounds)

    if worst(color) >= least:
        return color
    end = max((WHITE, BLACK), key=worst)
    moved = [color.blend(end, step / _STEPS) for step in range(1, _STEPS + 1)]
    return next((each for each in moved if worst(each) >= least), end)


def readable_style(style: Style) -> Style:
    """The style with a readable colour; one of the terminal's own colours stays as it is."""
    color, ground = style.color, style.bgcolor
    if color is None or ground is None or color.triplet is None or ground.triplet is None:
        return style
    found = readable(Color(*color.triplet), [Color(*ground.triplet)])
    return style + Style(color=RichColor.from_rgb(*found.rgb))


def readable_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """A theme's variables, those for text readable on each ground that text stands on."""
    grounds = [_parsed(variables.get(name)) for name in _GROUNDS]
    opaque = [each for each in grounds if each is not None and each.ansi is None and each.a == 1]
    foreground = _parsed(variables.get("foreground"))
    if len(opaque) < len(_GROUNDS) or foreground is None or foreground.ansi is not None:
        return dict(variables)
    changed = dict(variables)
    for name in _TEXTS:
        color = _parsed(variables.get(name))
        if color is None and name in _FAINT:
            color = foreground.with_alpha(_FAINT[name])
        if color is not None and color.ansi is None:
            shown = opaque[1].blend(color, color.a, 1.0) if color.a < 1 else color
            changed[name] = readable(shown, opaque).hex
    return changed


def _parsed(text: str | None) -> Color | None:
    """The colour; None for what depends on its ground."""
    try:
        return None if text is None else Color.parse(text)
    except ColorParseError:
        return None


def _luminance(color: Color) -> float:
    """Relative luminance of an opaque colour, as WCAG defines it."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in color.rgb)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
