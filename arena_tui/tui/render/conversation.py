"""Messages and tool calls of chat models as plain text. The text is raw: the caller cleans it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

_ARGUMENTS: Final = ("arguments", "input", "args")
_TEXTS: Final = ("text", "thinking", "reasoning", "refusal", "output")
"""Where the usual kinds of content parts have their text."""
_SEPARATORS: Final = re.compile(r"[,=()\[\]{}\"\n]")
_FILES: Final = " bytes]"
"""What the placeholder of a file ends with."""


def said(message: Any) -> str:
    """What stands in one message, or in one part of it: its texts, calls and files, by line."""
    return "\n".join(_lines(message))


def called(call: Any, value_max: int | None = None) -> str:
    """`→ move(dir=east)`, of a tool call of any of the usual shapes.

    Args:
        value_max: Most characters of one argument; None shows them all in full.
    """
    if not isinstance(call, dict):
        return f"→ {_value(call, value_max)}"
    of = call["function"] if isinstance(call.get("function"), dict) else call
    arguments = next((of[key] for key in _ARGUMENTS if of.get(key)), "")
    return f"→ {compact(of.get('name', ''))}({named(_decoded(arguments), value_max)})"


def named(value: Any, value_max: int | None = None) -> str:
    """`dir=east, steps=3`, of an object; a call as a call, anything else as `compact` shows it."""
    if not isinstance(value, dict):
        return compact(value)
    if isinstance(value.get("name"), str) and any(key in value for key in _ARGUMENTS):
        return called(value, value_max)
    return ", ".join(f"{name}={_value(each, value_max)}" for name, each in value.items())


def compact(value: Any) -> str:
    """A text as it is, anything else as JSON in one line; nothing for None."""
    if isinstance(value, str):
        return value
    return "" if value is None else _json(value)


def _value(value: Any, value_max: int | None) -> str:
    """As JSON where it has parts, or where its text alone could be mistaken for more of them."""
    is_plain = isinstance(value, str) and value.strip() and not _SEPARATORS.search(value)
    text = value if is_plain else _json(value)
    return text if value_max is None or len(text) <= value_max else text[: value_max - 1] + "…"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _decoded(arguments: Any) -> Any:
    """Arguments given as the JSON of an object, decoded."""
    if not (isinstance(arguments, str) and arguments.startswith("{")):
        return arguments
    try:
        return msgspec.json.decode(arguments)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return arguments


def _lines(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for each in part:
            yield from _lines(each)
    elif not isinstance(part, dict):
        yield compact(part)
    elif "content" in part:
        if part["content"]:
            yield from _lines(part["content"])
        yield from (called(call) for call in part.get("tool_calls") or [])
    elif "parts" in part:
        yield from _lines(part["parts"])
    elif texts := [part[key] for key in _TEXTS if isinstance(part.get(key), str)]:
        yield texts[0]
    elif isinstance(part.get("name"), str) and any(key in part for key in _ARGUMENTS):
        yield called(part)
    else:
        yield next(_files(part), compact(part))


def _files(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _files(each)
    elif isinstance(value, str) and value.startswith("[") and value.endswith(_FILES):
        yield value
