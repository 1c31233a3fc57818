"""Colours that a text brings with it, as emphasis; every other terminal sequence is dropped.

An allowlist: ground and reverse, the eight colours, bold. What is left is not clean yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

_SEQUENCE: Final = re.compile(
    r"\x1b\[(?P<sgr>[0-9;]{0,64})m"
    r"|\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b\n]{0,4096}(?:\x07|\x1b\\)"
)
"""Of ECMA-48: SGR, any other control sequence, and control strings up to their end."""
_ROLES: Final = ("", "bad", "good", "warn", "accent", "second", "accent", "")
"""What the eight colours stand for in a palette: black and white for nothing."""
_ARGUMENTS: Final = {"5": 1, "2": 3}
"""How many numbers follow 38 or 48 and this one."""


class Emphasis(Struct, frozen=True, kw_only=True):
    """How a piece of text stands out.

    Attributes:
        ground: Whether it has a ground of its own, or is reversed.
        role: Name of the palette's style that stands for its colour; empty for none.
    """

    ground: bool = False
    role: str = ""
    bold: bool = False


NONE: Final = Emphasis()


def plain(text: str) -> str:
    """The text without terminal sequences."""
    return _SEQUENCE.sub("", text) if "\x1b" in text else text


def emphasised(text: str, before: Emphasis = NONE) -> Iterator[tuple[str, Emphasis]]:
    """The text without terminal sequences, in pieces; `before` holds until the first sequence.

    The last piece may be empty, and has what holds after the text.
    """
    end = 0
    for found in _SEQUENCE.finditer(text):
        if found.start() > end:
            yield text[end : found.start()], before
        end = found.end()
        if found["sgr"] is not None:
            before = _after(before, found["sgr"])
    yield text[end:], before


def _after(emphasis: Emphasis, numbers: str) -> Emphasis:
    codes = iter(numbers.split(";"))
    for code in codes:
        value = int(code or 0)
        if value in (38, 48):
            for _ in range(_ARGUMENTS.get(next(codes, ""), 0)):
                next(codes, None)
            fields = {"role": "accent"} if value == 38 else {"ground": True}
        elif value == 0:
            emphasis, fields = NONE, {}
        elif value in (1, 22):
            fields = {"bold": value == 1}
        elif value in (7, 27, 49) or 40 <= value <= 47 or 100 <= value <= 107:
            fields = {"ground": value not in (27, 49)}
        elif 30 <= value <= 37 or 90 <= value <= 97:
            fields = {"role": _ROLES[value % 10]}
        elif value == 39:
            fields = {"role": ""}
        else:
            continue
        emphasis = replace(emphasis, **fields)
    return emphasis
