"""Messages and tool calls, in the shapes that the libraries of chat models have."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import pytest

from arena_tui.events import ToolCall
from arena_tui.producers.messages import messages_of, tool_calls_of

PNG = b"\x89PNG" + bytes(3_000)
ENCODED = base64.b64encode(PNG).decode()


@dataclasses.dataclass
class Binary:
    """A file as pydantic-ai has it."""

    data: bytes
    media_type: str
    vendor_metadata: None = None
    kind: str = "binary"


@dataclasses.dataclass
class Call:
    """A call as pydantic-ai has it."""

    tool_name: str
    args: Any
    tool_call_id: str
    part_kind: str = "tool-call"


class Model:
    """Has its fields as the models of OpenAI, Anthropic and LangChain do."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def model_dump(self) -> dict[str, Any]:
        return self.fields


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        ("hi", [{"role": "user", "content": "hi"}]),
        ({"role": "user", "content": "hi"}, [{"role": "user", "content": "hi"}]),
        (({"role": "user", "content": part} for part in "ab"),
         [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]),
        ([("system", "be brief"), ("human", "hi"), ("ai", "yes")],
         [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"},
          {"role": "assistant", "content": "yes"}]),
        ([Model(content="ok", type="tool", tool_call_id="c1", name=None, id=None)],
         [{"role": "tool", "content": "ok", "tool_call_id": "c1"}]),
        ([Model(content="", type="ai", tool_calls=[{"name": "move", "args": {}, "id": "c"}])],
         [{"role": "assistant", "content": "",
           "tool_calls": [{"name": "move", "args": {}, "id": "c"}]}]),
        ([Model(role="assistant", content=None, refusal=None)],
         [{"role": "assistant", "content": None}]),
        ([Model(kind="request", parts=[
            {"part_kind": "system-prompt", "content": "be"},
            {"part_kind": "user-prompt", "content": ["look", Binary(PNG, "image/png")]},
            {"part_kind": "tool-return", "content": "ok", "tool_name": "move"},
        ]), Model(kind="response", parts=[
            {"part_kind": "text", "content": "hm"}, Call("move", {"to": "e4"}, "c"),
        ])],
         [{"role": "system", "content": "be"},
          {"role": "user", "content": [
              "look", {"data": "[3,004 bytes]", "media_type": "image/png", "kind": "binary"}]},
          {"role": "tool", "content": "ok", "tool_name": "move"},
          {"role": "assistant", "content": "hm"},
          {"role": "assistant", "content": None,
           "tool_calls": [ToolCall(id="c", name="move", arguments={"to": "e4"})]}]),
        ([{"some": "shape"}, 5], [{"some": "shape"}, 5]),
    ],
)  # fmt: skip
def test_messages_of_any_library_have_a_role_and_a_content(given: Any, kept: Any) -> None:
    assert messages_of(given) == kept


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{ENCODED}"}},
         {"type": "image_url", "image_url": {"url": "[image/png, 3,006 bytes]"}}),
        ({"type": "image", "source": {"type": "base64", "data": ENCODED}},
         {"type": "image", "source": {"type": "base64", "data": "[base64, 3,006 bytes]"}}),
        ({"type": "input_audio", "input_audio": {"data": ENCODED, "format": "wav"}},
         {"type": "input_audio",
          "input_audio": {"data": "[base64, 3,006 bytes]", "format": "wav"}}),
        ({"type": "image", "base64": ENCODED},
         {"type": "image", "base64": "[base64, 3,006 bytes]"}),
        ({"type": "image_url", "image_url": {"url": "https://x.org/" + "y" * 300}},) * 2,
        ({"type": "text", "text": "e4" * 500},) * 2,
        ({"type": "text", "data": "short"},) * 2,
    ],
)  # fmt: skip
def test_a_file_in_a_message_becomes_its_size(part: Any, kept: Any) -> None:
    message = {"role": "user", "content": [part]}

    assert messages_of([message]) == [{"role": "user", "content": [kept]}]
    assert message["content"] == [part]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"id": "c", "type": "function", "function": {"name": "move", "arguments": '{"to":"e4"}'}},
         ToolCall(id="c", name="move", arguments={"to": "e4"})),
        (Model(id="c", function=Model(name="move", arguments="{broken")),
         ToolCall(id="c", name="move", arguments="{broken")),
        (Model(type="function_call", call_id="c", name="move", arguments="{}"),
         ToolCall(id="c", name="move", arguments={})),
        ({"type": "tool_use", "id": "c", "name": "move", "input": {"to": "e4"}},
         ToolCall(id="c", name="move", arguments={"to": "e4"})),
        ({"name": "move", "args": {"to": "e4"}, "id": None},
         ToolCall(name="move", arguments={"to": "e4"})),
        (Call("move", '{"to":"e4"}', "c"), ToolCall(id="c", name="move", arguments={"to": "e4"})),
        ("move", ToolCall(name="move")),
        (ToolCall(id="c", name="move"),) * 2,
    ],
)  # fmt: skip
def test_tool_calls_of_any_library_have_id_name_and_arguments(given: Any, kept: ToolCall) -> None:
    assert tool_calls_of([given]) == [kept]
    assert tool_calls_of(given) == [kept]


def test_no_tool_calls_are_none() -> None:
    assert tool_calls_of(None) is None
    assert tool_calls_of([]) is None


def test_messages_in_themselves_end() -> None:
    message: dict[str, Any] = {"role": "user"}
    message["content"] = [message, message]

    assert messages_of([message])[0] is message
