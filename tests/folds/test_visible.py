"""What a search finds in an event: the same in memory and in the store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena_tui.codec import encode_event
from arena_tui.events import Action, Event, LlmResponse, LogEvent, Observation, ToolCall
from arena_tui.folds.visible import VISIBLE_SQL, visible
from tests.tui.scenario import NOW

EVENTS: list[Event] = [
    LogEvent(ts=NOW, text='He said \\"kind\\": no, then: "Go", \n{"a":1}'),
    LlmResponse(ts=NOW, agent_id="Qwen3", text=", then \\\\", tool_calls=[
        ToolCall(id="c1", name="move", arguments={"dir": "East", "steps": 3})], cost_usd=0.5),
    Action(ts=NOW, turn=17, agent_id="x", action={":odd": [":x", "y:", ""], "n": {"kind": "Rook"}}),
    Observation(ts=NOW, text="ÄÖ ß 汉", legal_actions=["a", "b"]),
]  # fmt: skip


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_the_store_and_the_fold_see_the_same(event: Event) -> None:
    payload = encode_event(event).decode()
    query = f"SELECT {VISIBLE_SQL} FROM (SELECT ? AS payload)"

    assert duckdb.execute(query, [payload]).fetchone() == (visible(payload),)


@pytest.mark.parametrize(
    ("needle", "count"),
    [
        ("agent_id", 0), ("llm_response", 0), ("legal_actions", 0), ("2026", 0), ("17", 0),
        ("0.5", 0), ("qwen3", 1), ("east", 1), ("move", 1), ("rook", 1), ("kind", 1), ("then", 2),
    ],
)  # fmt: skip
def test_texts_actions_and_names_are_found_but_not_keys_kinds_numbers_and_times(
    needle: str, count: int
) -> None:
    assert sum(needle in visible(encode_event(each).decode()) for each in EVENTS) == count


def texts_in(value: Any) -> Iterator[str]:
    """All strings of a JSON value but its keys, as JSON."""
    if isinstance(value, str):
        yield msgspec.json.encode(value).decode()
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_in(each)


_TEXT = st.text('",:{}\\\\ka', max_size=8)
_VALUES = st.recursive(_TEXT, lambda inner: st.lists(inner, max_size=3)
                       | st.dictionaries(_TEXT, inner, max_size=3), max_leaves=6)  # fmt: skip


@given(st.dictionaries(_TEXT, _VALUES, max_size=4))
def test_every_text_is_seen_whole_and_no_key(action: dict[str, Any]) -> None:
    payload = encode_event(Action(ts=NOW, action=action)).decode()

    assert visible(payload) == " ".join(texts_in(action)).lower()
