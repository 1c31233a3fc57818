"""What a begun word of a filter may become. Reads nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Final

_FIELD: Final = re.compile(r"(?:^|\s)-?([a-z_]*)$", re.IGNORECASE)
_VALUE: Final = re.compile(r"""(?:^|\s)-?([a-z_]+)([:=])("?[^"\s]*|"[^"]*)$""", re.IGNORECASE)


def completions(
    before: str, fields: Sequence[str], values: Mapping[str, Sequence[str]]
) -> list[str]:
    """What the last word of `before` may become, in the order in which they are given.

    Args:
        fields: Names with the sign after them: `game:`, `cost>`.
        values: What occurs, by the name of the field; begun or contained, case ignored. One with
            blanks is put in quotes.
    """
    if found := _FIELD.search(before):
        begun = found[1].lower()
        return [each for each in fields if each.startswith(begun) and each != begun]
    if found := _VALUE.search(before):
        name, sign, begun = found[1], found[2], found[3].lstrip('"').lower()
        known = values.get(name.lower(), ())
        begin = [each for each in known if each.lower().startswith(begun)]
        contain = [each for each in known if begun in each.lower() and each not in begin]
        words = [f"{name}{sign}{_quoted(each)}" for each in (*begin, *contain)]
        return [each for each in words if each != f"{name}{sign}{found[3]}"]
    return []


def completed(before: str, found: Sequence[str]) -> str:
    """The text with its last word as far as all completions agree, if that is longer than what
    is there, else as the first of them; a whole value ends with a blank."""
    if not found:
        return before
    match = _FIELD.search(before) or _VALUE.search(before)
    assert match is not None
    word = before[match.start(1) :]
    common = common_start(found)
    is_further = common.startswith(word) and len(common) > len(word) and len(found) > 1
    wanted = common if is_further else found[0]
    is_whole = not is_further and wanted[-1] not in ":=<>"
    return f"{before[: match.start(1)]}{wanted}{' ' * is_whole}"


def common_start(words: Sequence[str]) -> str:
    """What all of the words begin with, of which there is one at least."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(min(words), max(words), strict=False))
    return "".join(letter for letter, _ in alike)


def _quoted(value: str) -> str:
    return value if re.fullmatch(r"[^\s\"']+", value) else '"{}"'.format(value.replace('"', ""))
