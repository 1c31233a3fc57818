"""Events as one line each: what happened, in words."""

from __future__ import annotations

import pytest

from arena_tui.events import (
    Action,
    ActionResult,
    Event,
    LlmPrompt,
    LlmResponse,
    Metric,
    Observation,
    ToolCall,
)
from arena_tui.tui.render.conversation import called, said
from arena_tui.tui.render.lines import headline
from tests.envelopes import envelope

BOARD = "· · ·\n· x ·\no · ·\n1 2 3"


def line(event: Event) -> str:
    return headline(envelope("r", 1, 1, event))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ({"name": "look"}, "→ look()"),
        ({"name": "move", "arguments": {"dir": "east", "steps": 3}}, "→ move(dir=east, steps=3)"),
        ({"function": {"name": "go", "arguments": '{"to":"n"}'}}, "→ go(to=n)"),
        ({"name": "go", "arguments": '{"to":'}, '→ go({"to":)'),
        ({"name": "go", "arguments": [1, 2]}, "→ go([1,2])"),
        ({"name": "put", "input": {"at": {"x": 1}, "ok": True}}, '→ put(at={"x":1}, ok=true)'),
        ({"name": "say", "args": {"text": "no, b=2"}}, '→ say(text="no, b=2")'),
        ({"name": "say", "args": {"text": ""}}, '→ say(text="")'),
        ("odd", '→ odd'),
    ],
)  # fmt: skip
def test_a_call_names_its_arguments(call: object, text: str) -> None:
    assert called(call) == text


def test_a_long_argument_is_cut_in_a_headline_and_whole_in_the_conversation() -> None:
    long = "word " * 40
    call = ToolCall(name="say", arguments={"text": long, "to": "bob"})

    assert line(LlmResponse(tool_calls=[call])).endswith("word word…, to=bob)")
    assert called({"name": "say", "arguments": {"text": long}}) == f"→ say(text={long})"


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (LlmResponse(text="Left.\nBecause."), "“Left.”"),
        (LlmResponse(text="", reasoning="\nI must block."), "thinks: I must block."),
        (LlmResponse(text="", output_tokens=12), "no answer  12 tok"),
        (
            LlmResponse(text="So.", reasoning="Hm.", tool_calls=[ToolCall(name="pass")]),
            "“So.”  → pass()",
        ),
    ],
)
def test_a_response_without_an_answer_shows_its_reasoning(response: LlmResponse, text: str) -> None:
    assert line(response) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({"type": "thinking", "thinking": "Hm.", "signature": "x"}, "Hm."),
        ({"type": "output_text", "text": "Yes.", "annotations": []}, "Yes."),
        ({"type": "refusal", "refusal": "No."}, "No."),
        ({"type": "text", "text": ""}, ""),
        ({"role": "model", "parts": [{"text": "Go."}, {"name": "go", "args": {}}]}, "Go.\n→ go()"),
    ],
)
def test_a_content_part_is_shown_as_its_text(part: object, text: str) -> None:
    assert said(part) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("You play x.\nThe last move was b2.", "The last move was b2."),
        (f"Turn 7\n{BOARD}\n", "Turn 7"),
        (BOARD, "···/·x·/o··/123"),
        ("  (Right)\nSFF\n\x1b[41mF\x1b[0mHF\nFFG", "(Right)"),
        ("SFF\n\x1b[41mF\x1b[0mHF\nFFG", "SFF/FHF/FFG"),
        ("x" * 3_000 + "\nnewest", "newest"),
        ("\n \n", ""),
    ],
)
def test_a_prompt_and_an_observation_are_told_by_what_is_newest_in_them(
    text: str, shown: str
) -> None:
    assert line(Observation(text=text)) == shown
    assert line(LlmPrompt(model="m", text=text)) == (f"m  {shown}" if shown else "m")


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Metric(name="score", value=123_456_789.0), "score 123,456,789"),
        (ActionResult(reward=1234567.0), "ok  reward 1,234,567"),
        (ActionResult(detail={"at": "b2", "left": 3}), "ok  at=b2, left=3"),
        (Action(agent_id="x", action={"dir": "east"}), "x  dir=east"),
        (
            Action(action={"name": "move", "arguments": {"dir": "east"}}),
            "→ move(dir=east)",
        ),
        (Observation(data={"room": 4}), '{"room":4}'),
    ],
)
def test_values_are_named_and_keep_their_digits(event: Event, text: str) -> None:
    assert line(event) == text
