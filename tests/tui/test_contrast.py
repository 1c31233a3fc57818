"""Every theme can be read."""

from __future__ import annotations

import pytest
from rich.style import Style
from textual.color import BLACK, WHITE, Color
from textual.theme import BUILTIN_THEMES

from arena_tui.tui.contrast import (
    LEAST_RATIO,
    ratio,
    readable,
    readable_style,
    readable_variables,
)
from arena_tui.tui.render.palette import PALETTE_NAMES
from arena_tui.tui.theme import THEMES
from arena_tui.tui.widgets.bars import TitleBar
from arena_tui.tui.widgets.mosaic import Mosaic
from arena_tui.tui.widgets.painted import Painted
from tests.tui.scenario import Scenario

OF_THE_TERMINAL = {"ansi-dark", "ansi-light"}
"""Their colours are what the terminal makes of them."""
ALL = {theme.name: theme for theme in (*BUILTIN_THEMES.values(), *THEMES)}


def test_contrast_is_that_of_wcag() -> None:
    assert ratio(WHITE, BLACK) == pytest.approx(21)
    assert ratio(Color.parse("#777777"), WHITE) == pytest.approx(4.48, abs=0.005)


def test_a_colour_that_can_be_read_stays_as_it_is() -> None:
    assert readable(Color.parse("#767676"), [WHITE]) == Color.parse("#767676")


def test_one_that_cannot_is_moved_just_as_far_as_it_takes() -> None:
    moved = readable(Color.parse("#ffcc00"), [WHITE])

    assert LEAST_RATIO <= ratio(moved, WHITE) < LEAST_RATIO + 0.5
    assert moved.r > moved.g > moved.b


def test_a_colour_of_the_terminal_is_left_to_it() -> None:
    style = Style(color="red", bgcolor="default")

    assert readable_style(style) == style


@pytest.mark.parametrize("name", sorted(ALL.keys() - OF_THE_TERMINAL))
def test_text_can_be_read_on_every_ground(name: str) -> None:
    theme = ALL[name]
    variables = readable_variables({**theme.to_color_system().generate(), **theme.variables})
    grounds = [Color.parse(variables[each]) for each in ("background", "surface", "panel")]
    texts = [each for each in variables if each.startswith("text-") and "style" not in each]

    assert len(texts) == 8
    assert {
        text: found
        for text in (*texts, "foreground", "accent", "error", "footer-key-foreground")
        if (found := min(ratio(Color.parse(variables[text]), each) for each in grounds))
        < LEAST_RATIO
    } == {}


async def test_every_role_can_be_read_in_every_theme() -> None:
    app = Scenario([])
    faint = []
    async with app.run_test() as pilot:
        await pilot.pause()
        for name in sorted(app.available_themes.keys() - OF_THE_TERMINAL):
            app.theme = name
            await pilot.pause()
            for kind in (TitleBar, Mosaic):
                faint += [f"{name}: {each}" for each in unreadable(app.screen.query_one(kind))]

    assert faint == []


def unreadable(widget: Painted) -> list[str]:
    """Roles whose colour is too near to their ground."""
    found = []
    for role in PALETTE_NAMES:
        style: Style = getattr(widget.palette, role)
        assert style.color is not None
        assert style.bgcolor is not None
        colors = style.color.get_truecolor(), style.bgcolor.get_truecolor()
        contrast = ratio(*(Color(*each) for each in colors))
        if contrast < LEAST_RATIO:
            found.append(f"{role} {contrast:.1f}")
    return found
