"""Live with far more runs than fit: only those in sight are told anew each second."""

from __future__ import annotations

from arena_tui.tui.widgets.table import VirtualTable
from tests.tui.scenario import Scenario, Tape
from tests.tui.test_screens import running, settled, text_of

IDLE_S = 20
RUNS = 120
TURN = ("x", "· ·", "left", 2)


def many() -> list[Tape]:
    tapes = [Tape(f"01ARENA{number:019d}", "chess", ["x", "o"]) for number in range(RUNS)]
    for tape in tapes:
        tape.turn(1, *TURN)
    return tapes


def idle_times(screen: str) -> set[str]:
    """The last column of the rows of a table, the same for runs published together."""
    return {" ".join(row.split()[-2:]) for row in screen.splitlines()[2:-2]}


async def pass_seconds(app: Scenario) -> None:
    for _ in range(IDLE_S):
        app.clock.now += 1.0
        await app.sample()


async def test_rows_that_come_into_sight_tell_the_time_of_the_next_frame() -> None:
    app = Scenario(many())
    async with running(app, (100, 20)) as pilot:
        await pass_seconds(app)
        first = idle_times(await settled(app, pilot))
        await pilot.press("end")
        last = idle_times(await settled(app, pilot))
        old = {round(pane.idle_s) for pane in app.session.frame.panes}

    assert (first, last) == ({"23 s"}, {"25 s"})  # `settled` lets two seconds pass
    assert len(old) > 1  # those between are not made anew for it


async def test_a_held_screen_has_the_times_of_one_instant_in_all_rows() -> None:
    app = Scenario(many())
    async with running(app, (100, 20)) as pilot:
        await pass_seconds(app)
        await pilot.press("space")
        top = idle_times(await settled(app, pilot))
        app.screen.query_one(VirtualTable).action_jump_to(-1)
        await pilot.pause()
        bottom = idle_times(text_of(app))

    assert top == bottom == {"21 s"}
