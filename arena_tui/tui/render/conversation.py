"""Messages and tool calls of chat models as plain text. The text is raw: the caller cleans it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

_FILES: Final = " bytes]"
"""What the placeholder of a file ends with."""


def said(message: Any) -> str:
    """What stands in one message, or in one part of it: its texts, calls and files, by line."""
    return "\n".join(_lines(message))


def called(call: Any) -> str:
    """`move({"dir":"east"})`, of a tool call of any of the usual shapes."""
    if not isinstance(call, dict):
        return compact(call)
    of = call["function"] if isinstance(call.get("function"), dict) else call
    arguments = next((of[key] for key in ("arguments", "input", "args") if of.get(key)), "")
    return f"{of.get('name', '')}({'' if arguments == '{}' else compact(arguments)})"


def compact(value: Any) -> str:
    """A text as it is, anything else as JSON in one line; nothing for None."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode() if value is not None else ""


def _lines(part: Any) -> Iterator[str]:
    if isinstance(part, list):
        for each in part:
            yield from _lines(each)
    elif not isinstance(part, dict):
        yield compact(part)
    elif "content" in part:
        if part["content"]:
            yield from _lines(part["content"])
        yield from (f"→ {called(call)}" for call in part.get("tool_calls") or [])
    elif isinstance(part.get("text"), str):
        yield part["text"]
    elif isinstance(part.get("name"), str) and ("input" in part or "arguments" in part):
        yield f"→ {called(part)}"
    else:
        yield next(_files(part), compact(part))


def _files(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _files(each)
    elif isinstance(value, str) and value.startswith("[") and value.endswith(_FILES):
        yield value
