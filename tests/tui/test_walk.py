"""The way from "which game cost the most?" to the very event, as README shows it."""

from __future__ import annotations

import os

from arena_tui.tui.screens.run import RunScreen
from tests.snapshots.test_snapshots import text_of
from tests.tui.scenario import PICTURES, Scenario
from tests.tui.test_screens import running, settled

WALK = (("2", "$", "home"), ("enter",), ("E",), ("enter",))
"""The keys up to each picture."""


async def test_few_keys_lead_from_which_game_cost_the_most_to_the_very_event() -> None:
    app, pictures, texts = Scenario(), [], []
    async with running(app, (120, 30)) as pilot:
        await settled(app, pilot)
        for keys in WALK:
            await pilot.press(*("dollar_sign" if key == "$" else key for key in keys))
            texts.append(await settled(app, pilot))
            app.stop_blinking()
            pictures.append(app.export_screenshot(title="arena-tui", simplify=True))
        screen = app.screen

    assert sum(map(len, WALK)) < 10
    assert "leduc_poker" in texts[0].splitlines()[3]
    assert isinstance(screen, RunScreen)
    assert "rate limited" in texts[-1]
    for number, picture in enumerate(pictures, start=1):
        path = PICTURES / f"walk-{number}.svg"
        if os.environ.get("ARENA_PICTURES") == "1":
            path.write_text(picture)
        assert text_of(path.read_text()) == text_of(picture)
