"""A script as it is asked for. Runs nothing."""

from __future__ import annotations

import shlex
from pathlib import Path

from msgspec import Struct

from arena_tui.errors import UsageError

_SUFFIX = ".py"
_SHOWN = 200


class ScriptSpec(Struct, frozen=True, kw_only=True):
    """A Python file and its arguments.

    Attributes:
        file: Its path as it was given, which is its `sys.argv[0]`.
    """

    file: str
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`agent.py --model x`: the file's name and the arguments, as one types them."""
        return shlex.join([Path(self.file).name, *self.arguments])

    @classmethod
    def parse(cls, text: str) -> ScriptSpec | None:
        """Parse a text such as `agent.py --model x`, in words of a shell; None if it names no
        Python file. A path with blanks that has no arguments needs no quotes.

        Raises:
            UsageError: There is no such file, or a quote is not closed.
        """
        if text.endswith(_SUFFIX) and _is_file(text):
            return cls(file=_path(text))
        try:
            file, *arguments = shlex.split(text) or [""]
        except ValueError as error:
            file, arguments = text.partition(" ")[0], []
            if file.endswith(_SUFFIX):
                raise UsageError(f"{text[:_SHOWN]}: {error}: close it") from None
        if not file.endswith(_SUFFIX):
            return None
        if not _is_file(file):
            raise UsageError(
                f"no file {file[:_SHOWN]}: give a Python file, or a game and its agents"
            )
        return cls(file=_path(file), arguments=tuple(arguments))


def _is_file(text: str) -> bool:
    try:
        return Path(_path(text)).is_file()
    except (OSError, ValueError):  # the name is too long, or has a NUL
        return False


def _path(text: str) -> str:
    """The path with `~` expanded, else unchanged."""
    try:
        return str(Path(text).expanduser()) if text.startswith("~") else text
    except RuntimeError:  # no home directory
        return text
