"""The parts of the Run screen as literal text."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest
from msgspec.structs import replace

from arena_tui.events import (
    Delivery,
    Event,
    Gap,
    LlmPrompt,
    LlmResponse,
    LogEvent,
    Observation,
    ToolCall,
)
from arena_tui.folds.density import Density, Mark, density_of
from arena_tui.folds.view import Instant
from arena_tui.services.playback.playhead import Position
from arena_tui.tui.render.palette import Palette
from arena_tui.tui.render.run import (
    event_cells,
    inspect,
    paint_header,
    paint_scrubber,
)
from tests.envelopes import envelope
from tests.tui.scenario import NOW

LOSS = Gap("r", 7, 4, 3, "unknown")
ZONE = UTC


def losing() -> Density:
    """Three events, two lost, and a loss of unknown length after the third."""
    at = [NOW + timedelta(seconds=second) for second in (0, 50, 100)]
    run: list[Delivery] = [
        envelope("r", 6, 1, LogEvent(ts=at[0])),
        Gap("r", 6, 2, 3, "trimmed"),
        envelope("r", 6, 4, LogEvent(ts=at[1])),
        Gap("r", 6, 5, 4, "unknown"),
        envelope("r", 6, 5, LogEvent(ts=at[2])),
    ]
    return density_of(run, 12)


@pytest.mark.parametrize("width", [60, 100])
def test_the_header_says_that_events_were_lost_and_that_nobody_knows_how_many(width: int) -> None:
    def header(density: Density | None) -> str:
        position = Position(mode="REPLAY 1x", at=3, last=5)
        return paint_header(Instant(game="go"), position, density, Palette(), width, ZONE).text

    assert "lost ≥2  REPLAY 1x" in header(losing())
    assert "lost 2  REPLAY 1x" in header(replace(losing(), lost_unknown=0))
    assert "lost" not in header(None) + header(replace(losing(), lost=0, lost_unknown=0))


def test_a_loss_of_unknown_length_is_worded_in_list_and_inspector() -> None:
    text = "┄┄ gap: an unknown number of events lost ┄┄"

    assert event_cells(LOSS, ZONE)[-1] == (text, "bad")
    assert inspect(LOSS, ZONE).plain == text


def test_the_scrubber_draws_gaps_and_no_other_mark_hides_one() -> None:
    density = losing()
    bookmark = Mark(place=5, kind="bookmark", slice=5)
    position = Position(at=5, last=5)

    def scrubber(density: Density) -> str:
        return paint_scrubber(density, position, Palette(), 34, ZONE).text

    assert scrubber(density) == " 12:03:14 ▕█┆┆┆┆┆     ┃▏ 12:04:54 "
    assert scrubber(replace(density, marks=(*density.marks, bookmark))) == scrubber(density)


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


def seen(event: Event) -> tuple[str, str]:
    """Headline and inspector, the latter without the raw JSON."""
    delivery = envelope("r", 1, 1, event)
    return event_cells(delivery, ZONE)[-1][0], inspect(delivery, ZONE).plain.partition("\nraw")[0]


def test_a_prompt_is_shown_as_a_conversation() -> None:
    _, inspected = seen(LlmPrompt(ts=NOW, messages=ASKED))

    assert inspected.partition("messages\n")[2] == (
        "system: You explore.\nuser: Look.\nWhat now?\n[image/png, 3,000 bytes]\n"
        "assistant: → look()\nassistant: → go(to=n)\n"
        'user: A wall.\n{"odd":1}\nno\nrole\n'
    )


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
    headline, _ = seen(LlmPrompt(ts=NOW, model="m", messages=messages))

    assert headline == text


def test_tool_calls_are_shown_as_calls() -> None:
    calls = [ToolCall(id="c1", name="move", arguments={"dir": "east"}), ToolCall(name="look")]
    headline, inspected = seen(LlmResponse(ts=NOW, tool_calls=calls))

    assert headline == "→ move(dir=east)  → look()"
    assert "tool_calls\n→ move(dir=east)\n→ look()" in inspected


def test_an_event_that_lost_something_says_so_in_list_and_inspector() -> None:
    event = Observation(ts=NOW, text="big", extra={"coerced": {"data.x": "object"}})
    headline, inspected = seen(event)

    assert headline == "~ big"
    assert "coerced       data.x: object" in inspected
