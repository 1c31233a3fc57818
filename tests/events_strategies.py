"""Events of every kind, as a producer may build them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from arena_tui.events import (
    Action,
    ActionResult,
    AgentInfo,
    ErrorEvent,
    Event,
    Fork,
    LlmPrompt,
    LlmResponse,
    LogEvent,
    Metric,
    Observation,
    OtherEvent,
    RunEnd,
    RunStart,
    TurnStart,
    WorldMutation,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_floats = st.floats(allow_nan=False, allow_infinity=False)
_json_ints = st.integers()
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | _json_ints | _floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
_counts = st.none() | st.integers(0, 2**53)
_RESERVED = {"run_id", "epoch", "seq", "kind", "ts", "agent_id", "turn", "v"}
_extras = st.dictionaries(
    texts.filter(lambda name: name not in _RESERVED and not name.startswith("__")),
    json_values,
    max_size=2,
)
_common: dict[str, st.SearchStrategy[Any]] = {
    "ts": st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(
        lambda at: at.replace(tzinfo=UTC)
    ),
    "agent_id": st.none() | texts,
    "turn": st.none() | st.integers(-(2**31), 2**31 - 1),
    "v": st.integers(1, 9),
}


def _optional(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | inner


def _of(struct: type[Event], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Event]:
    return st.builds(struct, **_common, **fields)


_agents = st.lists(st.builds(AgentInfo, id=texts, name=texts, spec=texts), max_size=3)
_objects = st.dictionaries(texts, json_values, max_size=3)

known_events: st.SearchStrategy[Event] = st.one_of(
    _of(RunStart, game=texts, agents=_agents, seed=_optional(st.integers(-(2**63), 2**63 - 1)),
        label=_optional(texts), tags=st.lists(texts, max_size=3), config=_objects),
    _of(TurnStart, player=_optional(texts), state=_optional(texts)),
    _of(Observation, text=texts, legal_actions=_optional(st.lists(texts, max_size=3)),
        data=json_values),
    _of(LlmPrompt, model=_optional(texts), messages=_optional(st.lists(json_values, max_size=3)),
        text=_optional(texts)),
    _of(LlmResponse, text=texts, reasoning=_optional(texts), model=_optional(texts),
        input_tokens=_counts, output_tokens=_counts, cached_input_tokens=_counts,
        reasoning_tokens=_counts, cost_usd=_optional(_floats),
        latency_s=_optional(_floats), finish_reason=_optional(texts)),
    _of(Action, index_in_turn=_json_ints, action=json_values),
    _of(ActionResult, index_in_turn=_json_ints, ok=st.booleans(),
        changed=_optional(st.booleans()), reward=_optional(_floats), detail=json_values),
    _of(WorldMutation, before_summary=_optional(texts), after_summary=_optional(texts),
        reason=_optional(texts)),
    _of(Fork, parent_run_id=texts, parent_seq=_counts, mutation_summary=_optional(texts)),
    _of(Metric, name=texts, value=_optional(_floats), unit=_optional(texts)),
    _of(ErrorEvent, where=_optional(texts), message=texts, traceback=_optional(texts),
        fatal=st.booleans()),
    _of(LogEvent, level=texts, text=texts),
    _of(RunEnd, status=st.sampled_from(["finished", "crashed", "stopped"]),
        outcome=st.dictionaries(texts, _floats, max_size=3), reason=_optional(texts)),
)  # fmt: skip

_unknown_names = texts.filter(lambda name: bool(name) and name != "log")
_own_extras = _extras.filter(lambda extra: not {"text", "level"} & set(extra))

events: st.SearchStrategy[Event] = st.one_of(
    known_events,
    st.builds(LogEvent, **_common, level=texts, text=texts, extra=_own_extras),
    st.builds(OtherEvent, **_common, name=_unknown_names.map("x-".__add__), extra=_extras),
)

stored_events: st.SearchStrategy[Event] = events.filter(lambda event: type(event) is not RunEnd)
"""Events that may stand anywhere in a run."""
