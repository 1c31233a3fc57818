"""The user's command: run for each run in trouble, without a shell, and never for long."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from arena_tui.broker.warnings import Warnings
from arena_tui.folds.alerts import Alert
from arena_tui.folds.trouble import Trouble
from arena_tui.services.on_trouble import OnTrouble
from arena_tui.settings import Notify
from tests.waiting import pause, until

HOSTILE = "$(touch pwned) `id`; rm -rf x\n\x1b]52;c;x\x07\x00\ud800 'quote"
TELL = """\
import json, os, pathlib, sys
names = ("ARENA_RUN", "ARENA_GAME", "ARENA_TROUBLE", "ARENA_TEXT")
told = {name: os.environ[name] for name in names}
path = pathlib.Path(sys.argv[1]) / str(os.getpid())
path.with_suffix(".new").write_text(json.dumps([sys.argv[2:], told]))
path.with_suffix(".new").rename(path.with_suffix(".json"))
"""


def alert(run_id: str = "r1", text: str = "silent 41 s") -> Alert:
    return Alert(run_id=run_id, game=text, trouble=Trouble("stuck", text))


def told(folder: Path) -> list[list[object]]:
    return [json.loads(path.read_text()) for path in folder.glob("*.json")]


def failures(warnings: Warnings) -> list[str]:
    return [str(each) for each in warnings.newest()]


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "tell.py"
    path.write_text(TELL)
    return f"{sys.executable} -S {path} {tmp_path}"


async def test_what_events_say_is_in_the_environment_alone_and_harmless(
    script: str, tmp_path: Path
) -> None:
    warnings = Warnings()
    command = OnTrouble(Notify(on_trouble=f"{script} '$ARENA_TEXT' ;"), warnings)

    command.run(alert(text=HOSTILE))
    await until(lambda: told(tmp_path))
    await command.aclose()

    ((arguments, environment),) = told(tmp_path)
    said = "$(touch pwned) `id`; rm -rf x  ]52;c;x    'quote"
    assert arguments == ["$ARENA_TEXT", ";"]
    assert environment == {
        "ARENA_RUN": "r1", "ARENA_GAME": said, "ARENA_TROUBLE": "stuck", "ARENA_TEXT": said,
    }  # fmt: skip
    assert failures(warnings) == []


async def test_at_most_so_many_run_at_a_time_and_each_has_its_turn(tmp_path: Path) -> None:
    wait = f"while [ ! -e {tmp_path}/go ]; do sleep 0.01; done"
    started = f"sh -c ': > {tmp_path}/began-$ARENA_RUN; {wait}'"
    command = OnTrouble(Notify(on_trouble=started, at_most=2), Warnings())

    for number in range(5):
        command.run(alert(f"r{number}"))
    await until(lambda: len(list(tmp_path.glob("began-*"))) == 2)
    await pause(0.05)
    assert len(list(tmp_path.glob("began-*"))) == 2
    (tmp_path / "go").touch()
    await until(lambda: len(list(tmp_path.glob("began-*"))) == 5)
    await command.aclose()


@pytest.mark.parametrize(
    ("on_trouble", "within_s", "why"),
    [
        ("/nowhere/notify x", 30, "/nowhere/notify: No such file or directory"),
        ("sh -c 'exit 3'", 30, "sh: it exited with 3"),
        ("sh -c 'sleep 60 & sleep 60'", 0.05, "sh: it was killed after 0.05 s"),
    ],
)
async def test_a_failure_is_a_warning_once_until_it_works_again(
    on_trouble: str, within_s: float, why: str
) -> None:
    warnings = Warnings()
    settings = Notify(on_trouble=on_trouble, at_most=1, within_s=within_s)
    command = OnTrouble(settings, warnings)

    for number in range(3):
        command.run(alert(f"r{number}"))
    await until(lambda: failures(warnings))
    await command.aclose()

    assert failures(warnings) == [f"on_trouble: {why}"]
    assert warnings.counts() == {"on_trouble_failed": 1}


async def test_what_would_wait_too_long_for_its_turn_is_left_out(tmp_path: Path) -> None:
    warnings = Warnings()
    command = OnTrouble(Notify(on_trouble="sleep 60", at_most=1), warnings)

    for number in range(200):
        command.run(alert(f"r{number}"))
    await command.aclose()

    (said,) = failures(warnings)
    assert said == "on_trouble: sleep: too many runs are in trouble: it is left out for some"


async def test_without_a_command_nothing_is_run() -> None:
    warnings = Warnings()
    command = OnTrouble(Notify(), warnings)

    command.run(alert())
    await command.aclose()

    assert failures(warnings) == []
