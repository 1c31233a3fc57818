"""Runs in trouble are told of: on the screen, by the bell, and to the desktop."""

from __future__ import annotations

import re

import pytest

from arena_tui.folds.alerts import Alert
from arena_tui.folds.trouble import Trouble
from arena_tui.settings import Notify
from arena_tui.tui.notices import Notices, desktop_sequence
from tests.tui.scenario import Scenario
from tests.tui.test_screens import running, settled

HOSTILE = "a;b\x1b\\\x1b]52;c;x\x07\x9c\x9d52\x90\n"
SEQUENCES = {
    "osc9": "\x1b]9;arena-tui: chess · 0001 stuck: silent\x1b\\",
    "osc777": "\x1b]777;notify;arena-tui;chess · 0001 stuck: silent\x1b\\",
}
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Told:
    """What became of notices."""

    def __init__(self, environment: dict[str, str] | None = None, **settings: object) -> None:
        self.toasts: list[str] = []
        self.bells = 0
        self.written = ""
        self.notices = Notices(
            Notify(**settings), self.toasts.append, self._ring, self._write, environment or {}
        )

    def _ring(self) -> None:
        self.bells += 1

    def _write(self, text: str) -> None:
        self.written += text


def alert(number: int = 1, text: str = "silent") -> Alert:
    return Alert(run_id=f"r{number:04}", game="chess", trouble=Trouble("stuck", text))


def test_by_default_there_is_a_toast_and_nothing_else() -> None:
    told = Told()

    told.notices.tell([alert()])
    told.notices.tell([])

    assert told.toasts == ["chess · 0001 stuck: silent"]
    assert (told.bells, told.written) == (0, "")


def test_many_runs_at_once_are_one_toast_one_ring_and_one_notification() -> None:
    told = Told(bell=True, desktop="osc9")

    told.notices.tell([alert(number) for number in range(12)])

    assert told.toasts == ["12 runs: stuck"]
    assert (told.bells, told.written.count("\x1b]9;")) == (1, 1)


def test_what_the_screen_tells_of_has_no_toast_but_all_else() -> None:
    told = Told(bell=True, desktop="osc9")

    told.notices.tell([alert(1), alert(2)], {"r0001"})

    assert told.toasts == ["chess · 0002 stuck: silent"]
    assert (told.bells, told.written.count("\x1b]9;")) == (1, 2)


@pytest.mark.parametrize("desktop", SEQUENCES)
def test_a_terminal_is_asked_in_its_own_sequence(desktop: str) -> None:
    told = Told(desktop=desktop, toast=False)

    told.notices.tell([alert()])

    assert told.written == SEQUENCES[desktop]
    assert told.toasts == []


def test_tmux_hands_the_sequence_on_and_screen_gets_none() -> None:
    wrapped = desktop_sequence("osc9", "x", {"TMUX": "/tmp/tmux", "STY": "1"})

    assert wrapped == "\x1bPtmux;\x1b\x1b]9;arena-tui: x\x1b\x1b\\\x1b\\"
    assert desktop_sequence("osc9", "x", {"STY": "1"}) == ""


@pytest.mark.parametrize("desktop", SEQUENCES)
@pytest.mark.parametrize("environment", [{}, {"TMUX": "x"}])
def test_nothing_that_events_say_ends_the_sequence(
    desktop: str, environment: dict[str, str]
) -> None:
    calm = desktop_sequence(desktop, "a,b", environment)
    hostile = desktop_sequence(desktop, HOSTILE, environment)

    assert CONTROL.findall(hostile) == CONTROL.findall(calm)
    assert hostile.count(";") == calm.count(";") + 3 * (desktop == "osc9")


@pytest.mark.parametrize("keys", [["2"], ["space"]], ids=["history", "frozen"])
async def test_the_app_tells_of_each_run_once(keys: list[str]) -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press(*keys)
        await settled(app, pilot)
        app.clock.now += 70
        for _ in range(3):
            screen = await settled(app, pilot)

        assert screen.count("5 runs: stuck") == 1
        assert "leduc_poker · c02e waiting: no llm_response for" in screen


async def test_live_tells_of_it_in_the_panes_in_sight_alone() -> None:
    app = Scenario()
    async with running(app) as pilot:
        app.clock.now += 70
        for _ in range(3):
            screen = await settled(app, pilot)

        assert "! stuck" in screen
        assert "runs: stuck" not in screen


async def test_of_what_begins_out_of_sight_on_live_there_is_a_toast() -> None:
    app = Scenario()
    async with running(app, (80, 9)) as pilot:
        await pilot.press("t", "end")
        await settled(app, pilot)
        app.clock.now += 70
        for _ in range(3):
            screen = await settled(app, pilot)

        assert "connect_four · 7f3a stuck: no event" in screen
        assert "a9g0 stuck" not in screen


async def test_what_stands_in_sight_behind_a_dialog_is_not_said_again() -> None:
    app = Scenario()
    async with running(app) as pilot:
        await pilot.press("question_mark")
        app.clock.now += 70
        for _ in range(3):
            screen = await settled(app, pilot)

        assert app.screen.is_modal
        assert "runs: stuck" not in screen
