"""Pictures of whole screens at three sizes, from the fixed scenario."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.scenario import PICTURES, Scenario

SIZES = [(80, 24), (120, 40), (200, 60)]
SCREENS: dict[str, list[list[str]]] = {
    "live": [],
    "table": [["t"]],
    "run": [["right", "right", "right", "right", "enter"], ["g", "7", "enter"]],
    "history": [["2"], ["down"]],
    "new_game": [["n"]],
    "help": [["question_mark"]],
    "quit": [["q"]],
}


def steps(keys: list[list[str]]) -> Callable[[Pilot[Any]], Awaitable[None]]:
    async def press_all(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, Scenario)
        await pilot.pause()
        await app.play_all()
        await pilot.pause()
        await pilot.press("home")
        await pilot.pause()
        for some in keys:
            await pilot.press(*some)
            await app.workers.wait_for_complete()
            await app.settle()
            await app.workers.wait_for_complete()
            app.stop_blinking()
            await pilot.pause()

    return press_all


class Playing(Scenario):
    """The scenario with games under way, so that leaving asks."""

    async def play_all(self) -> None:
        await super().play_all()
        self.runtime.games = type("Some", (), {"playing": 6, "stop": lambda _: None})()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", SCREENS)
def test_screen_looks_as_it_did(snap_compare: Any, name: str, size: tuple[int, int]) -> None:
    app = Playing() if name == "quit" else Scenario()

    assert snap_compare(app, run_before=steps(SCREENS[name]), terminal_size=size)


@pytest.mark.parametrize("theme", ["arena-light", "ansi-dark"])
def test_live_looks_right_in_other_themes(snap_compare: Any, theme: str) -> None:
    app = Scenario(theme=theme)

    assert snap_compare(app, run_before=steps([]), terminal_size=(120, 40))


@pytest.mark.parametrize("name", ["live", "run", "history"])
async def test_the_pictures_in_the_readme_are_of_this_version(name: str) -> None:
    app = Scenario()
    async with app.run_test(size=(120, 36)) as pilot:
        await steps(SCREENS[name])(pilot)
        picture = app.export_screenshot(title="arena-tui", simplify=True)

    path = PICTURES / f"{name}.svg"
    if os.environ.get("ARENA_PICTURES") == "1":
        path.write_text(picture)

    assert text_of(path.read_text()) == text_of(picture)


def text_of(svg: str) -> list[str]:
    """What the picture says, apart from the ids that each export makes anew."""
    return [part.partition("</text>")[0].rpartition(">")[2] for part in svg.split("<text")[1:]]
