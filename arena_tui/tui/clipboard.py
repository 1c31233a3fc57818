"""Copies text: with a tool of the desktop, else through the terminal, else into a file.

Knows nothing of what is copied.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Final, TypeAlias

from arena_tui.errors import UsageError

Command: TypeAlias = tuple[str, ...]

_TOOL_WITHIN_S: Final = 2.0
_OSC_MOST_BYTES: Final = 74_994
"""Of text: its sequence then has 100,000 characters, the least limit of terminals (hterm)."""
_SCREEN_PIECE: Final = 254
"""Characters of one string that GNU screen hands on; it cuts longer ones at 256."""
_WITHOUT_OSC: Final = frozenset({"linux", "dumb", "unknown"})


def tools(
    environment: Mapping[str, str],
    platform: str = sys.platform,
    which: Callable[[str], str | None] = shutil.which,
) -> list[Command]:
    """The commands that copy their input to where the user sits, the best first."""
    is_remote = bool(environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"))
    found: list[Command] = []
    if platform == "darwin" and not is_remote:
        found.append(("pbcopy",))
    if environment.get("WAYLAND_DISPLAY"):
        found.append(("wl-copy",))
    if environment.get("DISPLAY"):
        found += [("xclip", "-selection", "clipboard"), ("xsel", "--clipboard", "--input")]
    return [command for command in found if which(command[0])]


def osc52(text: str, environment: Mapping[str, str]) -> str | None:
    """The sequence by which a terminal is asked to copy; None where that is sure to fail.

    tmux takes it for itself (`set-clipboard on`) or hands it on (`allow-passthrough on`).
    """
    data = text.encode()
    if len(data) > _OSC_MOST_BYTES or environment.get("TERM", "") in _WITHOUT_OSC:
        return None
    sequence = f"\x1b]52;c;{b64encode(data).decode()}\a"
    if environment.get("TMUX"):
        doubled = sequence.replace("\x1b", "\x1b\x1b")
        return f"{sequence}\x1bPtmux;{doubled}\x1b\\"
    if environment.get("STY"):
        pieces = range(0, len(sequence), _SCREEN_PIECE)
        return "".join(f"\x1bP{sequence[at : at + _SCREEN_PIECE]}\x1b\\" for at in pieces)
    return sequence


class Copier:
    """Copies, and says how.

    Args:
        write: Writes to the terminal; returns whether there is one.
        path: The file for what can be copied by no other means.
    """

    def __init__(
        self,
        write: Callable[[str], bool],
        path: Path,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._write = write
        self._path = path
        self._environment = environment

    async def copy(self, text: str) -> str:
        """Copy the text; returns what became of it, which is `copied` only if that is known.

        Takes no longer than a few seconds.

        Raises:
            UsageError: Nothing worked, and the file cannot be written.
        """
        data = text.encode(errors="replace")
        for command in tools(self._environment):
            if await _takes(command, data):
                return f"copied with {command[0]}"
        sequence = osc52(text, self._environment)
        if sequence is not None and self._write(sequence):
            return "sent to the terminal (OSC 52)"
        try:
            await asyncio.to_thread(self._keep, data)
        except OSError as error:
            raise UsageError(f"cannot write {self._path}: {error.strerror}") from None
        many = len(data) > _OSC_MOST_BYTES
        why = f": {len(data):,} bytes are too many for a terminal" if many else ""
        return f"written to {self._path}{why}"

    def _keep(self, data: bytes) -> None:
        """Write the file, for the user alone: events may say anything."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open(self._path, flags, 0o600), "wb") as file:
            file.write(data)


async def _takes(command: Command, data: bytes) -> bool:
    """Whether the command takes all of it and ends well; it is killed when it does not end.

    Its output leads nowhere: xclip leaves a process behind that would keep a pipe open.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
        )
    except OSError:
        return False
    try:
        await asyncio.wait_for(process.communicate(data), _TOOL_WITHIN_S)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    except OSError:  # it reads no more
        await process.wait()
    return process.returncode == 0
