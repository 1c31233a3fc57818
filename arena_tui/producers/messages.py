"""Messages and tool calls of chat models in one shape, whichever library they come from.

Known are the shapes of OpenAI (chat and responses), Anthropic, LangChain and pydantic-ai, as their
objects or as dicts; others are kept as they are. Files in them become a placeholder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from arena_tui.events import ToolCall
from arena_tui.producers.values import NODES_MAX, is_listing, listed, opened, text_of

_ROLES: Final = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}
_PART_ROLES: Final = {"system-prompt": "system", "tool-return": "tool", "retry-prompt": "user"}
_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?[^,]{0,100};base64,")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=_\s-]{256,}")
_ENCODED: Final = frozenset({"data", "base64", "file_data", "b64_json", "image_data", "url"})
"""Keys whose text is a file if it is long and all base64."""


def messages_of(value: Any) -> Any:
    """A list of messages, each a dict with at least `role` and `content`, as far as their shape is
    known; None stays None. One that raises is kept as it is."""
    if value is None:
        return None
    copy = _WithoutFiles()
    return [
        part
        for each in (listed(value) if is_listing(value) else [value])
        for part in _or_as_it_is(lambda message: _messages(copy.of(message)), each)
    ]


def tool_calls_of(value: Any) -> Any:
    """A list of `ToolCall`, None for none. One that raises is kept as it is."""
    if value is None:
        return None
    return [
        call
        for each in (listed(value) if is_listing(value) else [value])
        for call in _or_as_it_is(lambda call: [_tool_call(opened(call))], each)
    ] or None


def _or_as_it_is(shape: Callable[[Any], list[Any]], value: Any) -> list[Any]:
    try:
        return shape(value)
    except Exception:  # noqa: BLE001 - the program's values may raise anything
        return [value]


def _messages(message: Any) -> list[Any]:
    if isinstance(message, str):
        return [{"role": "user", "content": message}]
    if isinstance(message, list) and len(message) == 2:  # LangChain's short form
        message = {"type": message[0], "content": message[1]}
    if not isinstance(message, dict):
        return [message]
    if "parts" in message and message.get("kind") in ("request", "response"):  # pydantic-ai
        return [_part(part, message["kind"]) for part in message["parts"]]
    if "role" in message:
        return [message]
    if "content" in message and "type" in message:  # LangChain
        kind = text_of(message["type"])
        kept = {name: message[name] for name in ("name", "tool_call_id") if message.get(name)}
        calls = message.get("tool_calls")
        return [{
            "role": _ROLES.get(kind, kind), "content": message["content"], **kept,
            **({"tool_calls": calls} if calls else {}),
        }]  # fmt: skip
    return [message]


def _part(part: Any, kind: str) -> Any:
    """A message of one part of pydantic-ai."""
    if not isinstance(part, dict):
        return part
    name = text_of(part.get("part_kind"))
    if name == "tool-call":
        return {"role": "assistant", "content": None, "tool_calls": [_tool_call(part)]}
    role = "assistant" if kind == "response" else _PART_ROLES.get(name, "user")
    kept = {key: part[key] for key in ("tool_name", "tool_call_id") if part.get(key)}
    return {"role": role, "content": part.get("content"), **kept}


def _tool_call(call: Any) -> Any:
    if isinstance(call, ToolCall) or not isinstance(call, Mapping):
        return call if isinstance(call, ToolCall) else ToolCall(name=text_of(call))
    function = opened(call.get("function"))
    inner: Mapping[str, Any] = function if isinstance(function, Mapping) else call
    arguments = next(
        (inner[key] for key in ("arguments", "args", "input") if inner.get(key) is not None), None
    )
    number = call.get("id") or call.get("call_id") or call.get("tool_call_id")
    return ToolCall(
        id=None if number is None else text_of(number),
        name=text_of(inner.get("name") or inner.get("tool_name")),
        arguments=_decoded(arguments),
    )


def _decoded(arguments: Any) -> Any:
    """Arguments that a model gave as JSON, decoded; text that is none, as it is."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return msgspec.json.decode(arguments)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return arguments


class _WithoutFiles:
    """Copies values as dicts and lists, with a placeholder in place of each file in them."""

    def __init__(self) -> None:
        self._left = NODES_MAX

    def of(self, value: Any, key: str = "") -> Any:
        self._left -= 1
        if isinstance(value, str):
            return _without_file(value, key)
        if isinstance(value, bytes | bytearray):
            return f"[{len(value):,} bytes]"
        if (fields := opened(value)) is not value and isinstance(fields, Mapping):
            value = {
                name: each for name, each in fields.items()
                if not name.startswith("_") and (each is not None or name == "content")
            }  # fmt: skip
        if isinstance(value, Mapping) and self._left > 0:
            return {name: self.of(each, text_of(name)) for name, each in value.items()}
        if isinstance(value, list | tuple) and self._left > 0:
            return [self.of(each, key) for each in value]
        return value


def _without_file(text: str, key: str) -> str:
    if found := _DATA_URL.match(text, 0, 256):
        encoded = len(text) - found.end()
        return f"[{found[1] or 'data'}, {encoded * 3 // 4:,} bytes]"
    if key in _ENCODED and _BASE64.fullmatch(text):
        return f"[base64, {len(text) * 3 // 4:,} bytes]"
    return text
