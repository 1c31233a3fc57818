"""A filter of events means the same in the store and out of it."""

from __future__ import annotations

import re

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena_tui.errors import FilterError
from arena_tui.events import (
    Action,
    Envelope,
    ErrorEvent,
    Event,
    LlmPrompt,
    LlmResponse,
    LogEvent,
    Observation,
)
from arena_tui.folds.event_filter import Clause, Contains, OfTurn, Pattern, Says, read_event_filter
from arena_tui.store.event_filters import check_patterns, compiled, matching
from tests.envelopes import envelope
from tests.tui.scenario import NOW

TEXTS = st.text(alphabet='abAB01 "\\\n./[]äÖ', max_size=12)
AGENTS = st.sampled_from([None, "Qwen3", "gpt-x", "a b"])
TURNS = st.one_of(st.none(), st.integers(0, 9))
KINDS: list[type[Event]] = [LogEvent, ErrorEvent, Observation, LlmPrompt, LlmResponse, Action]


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(KINDS))
    name = {"error": "message", "action": "action"}.get(kind(ts=NOW).kind, "text")
    return kind(ts=NOW, agent_id=draw(AGENTS), turn=draw(TURNS), **{name: draw(TEXTS)})


PATTERNS = st.sampled_from(
    ["a.b", "^.a", "b+$", "[ab]{2}", r"\bA", r"\\", "ä|Ö", "(a|b)1?", r"\d", r'" "', "[^a]b"]
)
CONDITIONS = st.one_of(
    st.builds(
        Contains, st.sampled_from(["kind", "agent"]),
        st.sampled_from(["l", "log", "llm", "error", "qwen3", "x", ""]), st.booleans(),
    ),
    st.builds(OfTurn, st.sampled_from(["<", "<=", ">", ">=", "="]), st.integers(-1, 9)),
    st.builds(Says, TEXTS),
    st.builds(Pattern, PATTERNS),
)  # fmt: skip
CLAUSES = st.lists(
    st.builds(Clause, st.lists(CONDITIONS, min_size=1, max_size=3).map(tuple), st.booleans()),
    max_size=3,
)


def in_store(clauses: list[Clause], envelopes: list[Envelope]) -> list[bool]:
    condition, values = compiled(clauses)
    rows = [
        (each.event.kind, each.event.agent_id, each.event.turn, each.raw.decode(), index)
        for index, each in enumerate(envelopes)
    ]
    if not rows:
        return []
    columns = [list(column) for column in zip(*rows, strict=True)]
    found = duckdb.execute(
        f"SELECT {condition} FROM (SELECT unnest(?::VARCHAR[]) AS kind, "
        "unnest(?::VARCHAR[]) AS agent_id, unnest(?::BIGINT[]) AS turn, "
        "unnest(?::VARCHAR[]) AS payload, unnest(?) AS place) ORDER BY place",
        [*values, *columns],
    ).fetchall()
    return [flag for (flag,) in found]


@given(CLAUSES, st.lists(events(), max_size=6))
def test_the_store_and_the_events_at_hand_agree(clauses: list[Clause], some: list[Event]) -> None:
    envelopes = [envelope("r", 1, seq, each) for seq, each in enumerate(some, start=1)]

    assert matching(clauses, envelopes) == in_store(clauses, envelopes)


@pytest.mark.parametrize(
    ("text", "matched"),
    [
        ("", "abcdef"), ("kind:error kind:llm", "bcd"), ("kind=llm_prompt", "c"),
        ("kind:LLM agent:qwen3", "cd"), ("turn>5", "ef"), ("turn:5", "d"), ("-kind:llm", "abef"),
        ("-turn>5", "abcd"), ('"rate limit"', "bf"), ("/rate.(limit|x)/", "bf"),
        ("-/Rate/ turn>=5", "de"), ("kind:error -agent:qwen3", "b"), ("limit rate", "bf"),
    ],
)  # fmt: skip
def test_it_is_read_as_it_is_written(text: str, matched: str) -> None:
    some: list[Event] = [
        LogEvent(ts=NOW, text="hay"),
        ErrorEvent(ts=NOW, turn=2, message="a Rate limit"),
        LlmPrompt(ts=NOW, turn=4, agent_id="Qwen3-8b", text="go"),
        LlmResponse(ts=NOW, turn=5, agent_id="Qwen3-8b", text="no"),
        Action(ts=NOW, turn=6, agent_id="x", action="e4"),
        LogEvent(ts=NOW, turn=7, text="the rate LIMIT"),
    ]
    envelopes = [envelope("r", 1, seq, each) for seq, each in enumerate(some, start=1)]
    flags = matching(read_event_filter(text), envelopes)

    assert "".join(name for name, flag in zip("abcdef", flags, strict=True) if flag) == matched


@pytest.mark.parametrize(
    ("text", "wrong", "said"),
    [
        ("kind:error kimd:x", "kimd", "did you mean kind?"),
        ("turn>five", "five", "write turn>5"),
        ("agent>3", "agent>3", "write agent:3"),
        ("x nosuch:1", "nosuch", "use kind, agent or turn"),
        ("kind:", "kind:", "write a value"),
        ("a /b", "/b", "write /…/"),
        ("//", "//", "is empty"),
        ("x /a(/", "/a(/", "missing )"),
        (r"/(a)\1/", r"/(a)\1/", "invalid escape"),
        ("/(?=a)/", "/(?=a)/", "invalid perl operator"),
    ],
)
def test_a_mistake_is_pointed_at_with_what_would_be_right(text: str, wrong: str, said: str) -> None:
    with pytest.raises(FilterError, match=re.escape(said)) as raised:
        check_patterns(read_event_filter(text))

    assert text[raised.value.start : raised.value.end] == wrong
