"""Copying, and what is said of it."""

from __future__ import annotations

import stat
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path

import pytest

from arena_tui.errors import UsageError
from arena_tui.tui.clipboard import Copier, osc52, tools

LONG = "ä€" * 40_000
"""200 kB."""
TERMINAL = {"TERM": "xterm-256color"}


class Desk:
    """A place to copy from, with tools that are scripts, and a terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: list[str] = []
        self.path = folder / "state" / "copied.json"

    def tool(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)

    def copier(self, environment: Mapping[str, str], has_terminal: bool = True) -> Copier:
        def write(text: str) -> bool:
            self.written.append(text)
            return has_terminal

        return Copier(write, self.path, environment)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Desk(tmp_path)


@pytest.mark.parametrize(
    ("environment", "platform", "found"),
    [
        ({}, "linux", []),
        ({"DISPLAY": ":0"}, "linux", ["xclip", "xsel"]),
        ({"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, "linux", ["wl-copy", "xclip", "xsel"]),
        ({}, "darwin", ["pbcopy"]),
        ({"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, "darwin", []),
    ],
)
def test_a_tool_is_used_only_where_its_display_is(
    environment: dict[str, str], platform: str, found: list[str]
) -> None:
    commands = tools(environment, platform, lambda name: f"/usr/bin/{name}")

    assert [command[0] for command in commands] == found


async def test_a_tool_that_ends_well_has_copied_all_of_it(desk: Desk) -> None:
    desk.tool("xclip", f"cat > {desk.folder}/got")
    said = await desk.copier({**TERMINAL, "DISPLAY": ":0"}).copy(LONG)

    assert said == "copied with xclip"
    assert (desk.folder / "got").read_text() == LONG
    assert desk.written == []


@pytest.mark.parametrize("script", ["exit 1", "cat > /dev/null; exit 3", "exec sleep 60"])
async def test_what_a_tool_does_not_take_goes_to_the_terminal(desk: Desk, script: str) -> None:
    for name in ("xclip", "xsel"):
        desk.tool(name, script)
    said = await desk.copier({**TERMINAL, "DISPLAY": ":0"}).copy("move")

    assert said == "sent to the terminal (OSC 52)"
    assert desk.written == ["\x1b]52;c;bW92ZQ==\a"]


async def test_what_is_too_long_for_a_terminal_is_in_a_file_of_the_user(desk: Desk) -> None:
    said = await desk.copier(TERMINAL).copy(LONG)

    assert said == f"written to {desk.path}: 200,000 bytes are too many for a terminal"
    assert desk.path.read_text() == LONG
    assert stat.S_IMODE(desk.path.stat().st_mode) == 0o600
    assert desk.written == []


async def test_without_a_terminal_it_is_in_the_file(desk: Desk) -> None:
    said = await desk.copier(TERMINAL, has_terminal=False).copy("move")

    assert said == f"written to {desk.path}"


async def test_where_nothing_works_it_is_said(desk: Desk) -> None:
    desk.path.parent.write_text("no folder")

    with pytest.raises(UsageError, match="cannot write"):
        await desk.copier({"TERM": "linux"}).copy("move")


def test_tmux_gets_it_for_itself_and_to_hand_on() -> None:
    assert osc52("move", {**TERMINAL, "TMUX": "/tmp/tmux"}) == (
        "\x1b]52;c;bW92ZQ==\a\x1bPtmux;\x1b\x1b]52;c;bW92ZQ==\a\x1b\\"
    )


def test_screen_hands_it_on_in_pieces_it_does_not_cut() -> None:
    sequence = osc52("move " * 200, {**TERMINAL, "STY": "1.pts"})

    assert sequence is not None
    pieces = [each.removeprefix("\x1bP") for each in sequence.split("\x1b\\")][:-1]
    assert max(map(len, pieces)) <= 254
    whole = "".join(pieces)
    assert whole.startswith("\x1b]52;c;")
    assert b64decode(whole[7:-1]).decode() == "move " * 200
