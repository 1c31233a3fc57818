"""The players' colours, in the app's themes and in those of others."""

from __future__ import annotations

import pytest
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from arena_tui.tui.theme import THEMES, players_of


def contrast(colour: str, ground: str) -> float:
    """As WCAG 2.1 defines it."""
    dark, light = sorted(luminance(Color.parse(each)) for each in (colour, ground))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: Color) -> float:
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in colour.normalized
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize("name", ["third", "fourth"])
def test_the_colours_of_more_players_are_read_easily_on_each_ground(
    theme: Theme, name: str
) -> None:
    for ground in (theme.background, theme.surface):
        assert ground is not None
        assert contrast(theme.variables[name], ground) >= 4.5


@pytest.mark.parametrize("theme", BUILTIN_THEMES.values(), ids=lambda theme: theme.name)
def test_four_players_have_four_colours_in_a_theme_that_names_two(theme: Theme) -> None:
    more = players_of(theme)

    assert len({theme.accent, theme.secondary, more["third"], more["fourth"]}) == 4
    assert theme.error not in more.values()
