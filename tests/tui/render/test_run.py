"""The parts of the Run screen as literal text."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest
from msgspec.structs import replace

from arena_tui.events import (
    AgentInfo,
    Delivery,
    Event,
    Gap,
    LlmPrompt,
    LlmResponse,
    LogEvent,
    Observation,
    RunEnd,
    ToolCall,
)
from arena_tui.folds.density import Density, density_of
from arena_tui.folds.view import Instant
from arena_tui.services.playback.playhead import Position
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.run import (
    event_cells,
    paint_header,
)
from tests.envelopes import envelope
from tests.tui.scenario import NOW

LOSS = Gap("r", 7, 4, 3, "unknown")
ZONE = UTC


def losing(slices: int = 24) -> Density:
    """Three events, two lost, and a loss of unknown length after the third."""
    at = [NOW + timedelta(seconds=second) for second in (0, 50, 100)]
    run: list[Delivery] = [
        envelope("r", 6, 1, LogEvent(ts=at[0])),
        Gap("r", 6, 2, 3, "trimmed"),
        envelope("r", 6, 4, LogEvent(ts=at[1])),
        Gap("r", 6, 5, 4, "unknown"),
        envelope("r", 6, 5, LogEvent(ts=at[2])),
    ]
    return density_of(run, slices)


@pytest.mark.parametrize("width", [60, 100])
def test_the_header_says_that_events_were_lost_and_that_nobody_knows_how_many(width: int) -> None:
    def header(density: Density | None) -> str:
        position = Position(mode="REPLAY 1x", at=3, last=5)
        return paint_header(Instant(game="go"), position, density, Palette(), width, ZONE).text

    assert "lost ≥2  REPLAY 1x" in header(losing())
    assert "lost 2  REPLAY 1x" in header(replace(losing(), lost_unknown=0))
    assert "lost" not in header(None) + header(replace(losing(), lost=0, lost_unknown=0))


def test_the_header_says_when_the_run_began_and_how_it_came_out() -> None:
    instant = Instant(game="go", run_id="r7f3a", turn=17,
                      agents=[AgentInfo(id="x", name="mcts:500"), AgentInfo(id="o")])  # fmt: skip
    end = RunEnd(ts=NOW, outcome={"x": 1.0, "o": 0.0})
    position = Position(mode="REPLAY 1x", at=3, last=5, turns=31, began_at=NOW, end=end, ts=NOW)

    def header(position: Position, width: int) -> str:
        return paint_header(instant, position, None, Palette(), width, ZONE).text.rstrip()

    assert header(position, 105) == (
        " go · 7f3a  mcts:500 vs o  14 Mar, ✓ mcts:500 won"
        "           REPLAY 1x  event 3/5  turn 17/31  12:03:14.0"
    )
    assert header(position, 80) == (
        " go · 7f3a  mcts:500…  14 Mar, ✓ mcts:500 won  REPLAY 1x  event 3/5  turn 17/31"
    )
    crashed = replace(position, end=RunEnd(ts=NOW, status="crashed"))
    assert "14 Mar, ✗ crashed  " in header(crashed, 105)
    assert "turn 17 " in header(replace(position, live=True, end=None), 105)


def test_a_loss_of_unknown_length_is_worded_in_the_list() -> None:
    text = "┄┄ gap: an unknown number of events lost ┄┄"

    assert event_cells(LOSS, ZONE)[-1] == (text, "bad")


PICTURE = {"type": "image_url", "image_url": {"url": "[image/png, 3,000 bytes]"}}
LOOK = {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}}
ASKED = [
    {"role": "system", "content": "You explore."},
    {"role": "user", "content": [{"type": "text", "text": "Look.\nWhat now?"}, PICTURE]},
    {"role": "assistant", "content": None, "tool_calls": [LOOK]},
    {"role": "assistant", "content": [{"type": "tool_use", "name": "go", "input": {"to": "n"}}]},
    {"role": "user", "content": [{"type": "tool_result", "content": "A wall."}, {"odd": 1}]},
    ["no", "role"],
]


def headline(event: Event) -> str:
    return event_cells(envelope("r", 1, 1, event), ZONE)[-1][0]


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (ASKED[:2], "m  [image/png, 3,000 bytes]"),
        (ASKED[:4], "m  → go(to=n)"),
        ([{"role": "user", "content": [PICTURE]}], "m  [image/png, 3,000 bytes]"),
        ([], "m"),
        ([{"role": "user"}], 'm  {"role":"user"}'),
    ],
)
def test_a_prompt_in_the_list_is_what_was_said_last(messages: list[object], text: str) -> None:
    assert headline(LlmPrompt(ts=NOW, model="m", messages=messages)) == text


def test_tool_calls_are_shown_as_calls() -> None:
    calls = [ToolCall(id="c1", name="move", arguments={"dir": "east"}), ToolCall(name="look")]

    assert headline(LlmResponse(ts=NOW, tool_calls=calls)) == "→ move(dir=east)  → look()"


def test_an_event_that_lost_something_says_so_in_the_list() -> None:
    event = Observation(ts=NOW, text="big", extra={"coerced": {"data.x": "object"}})

    assert headline(event) == "~ big"
