"""Moves a password from the arguments, which `ps` shows, to the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from arena_tui.broker_url import split_password
from arena_tui.errors import UsageError

_SERVERS: Final = ("redis://", "rediss://", "unix://")


def hide_passwords() -> None:
    """Re-execute this process without the password in its arguments; without one, do nothing.

    `ps` shows arguments to every user of the machine. The process keeps its id, streams and
    interpreter options; the password is passed on in `REDIS_PASSWORD`.

    Raises:
        UsageError: The system cannot execute it.
    """
    given = sys.argv[1:]
    words, password = without_passwords(given)
    if words == given or sys.orig_argv[-len(given) :] != given:
        return
    command = [sys.executable, *sys.orig_argv[1 : -len(given)], *words]
    environment = {**os.environ, "REDIS_PASSWORD": password} if password else dict(os.environ)
    with suppress(OSError, ValueError):
        os.execve(sys.executable, command, environment)
    raise UsageError("cannot hide the password in the broker's URL: give it in REDIS_PASSWORD")


def without_passwords(words: Sequence[str]) -> tuple[list[str], str | None]:
    """The arguments with passwords removed from broker URLs, and that of the last URL, if any."""
    kept: list[str] = []
    password: str | None = None
    for word in words:
        option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        safe, found = split_password(value.strip())
        kept.append(word if found is None else f"{option}{equals}{safe}")
        if safe.startswith(_SERVERS):
            password = found
    return kept, password
