"""Values as games have them: kept as near as their field can express, and marked where not."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import random
from collections import OrderedDict, deque, namedtuple
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from types import MappingProxyType, SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import pytest

from arena_tui.codec import sealed
from arena_tui.events import (
    EVENT_MAX_BYTES,
    Action,
    ActionResult,
    AgentInfo,
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
    utc_now,
)
from arena_tui.producers.fitting import fitted

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


class Text(str):
    pass


class Whole(int):
    pass


class Side(enum.Enum):
    WHITE = "white"
    BOTH = ("white", "black")


@dataclasses.dataclass
class Move:
    start: str
    to: Any


Point = namedtuple("Point", "x y")


class Model:
    """Has its fields as pydantic's models do."""

    def model_dump(self) -> dict[str, Any]:
        return {"to": "e4"}


class Board:
    def __str__(self) -> str:
        return "r n b q"


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError


class Table:
    """Has its columns as data frames do."""

    columns = ("a", "b")

    def __getitem__(self, name: str) -> list[int]:
        return {"a": [1, 2], "b": [3, 4]}[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return 2

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __str__(self) -> str:
        return "a b: 1 3, 2 4"

    def to_dict(self) -> dict[str, Any]:
        raise ValueError("this frame has no index")


class Graph:
    """Has more than what it iterates over."""

    def __iter__(self) -> Iterator[str]:
        return iter("ab")

    def __len__(self) -> int:
        return 2

    def __contains__(self, name: object) -> bool:
        return name in ("a", "b")


class Proxy:
    """Stands for a value, as lazy objects do."""

    def __init__(self, value: Any) -> None:
        self._value = value

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        return type(self._value)

    def __str__(self) -> str:
        return str(self._value)

    def __int__(self) -> int:
        return int(self._value)

    def __float__(self) -> float:
        return float(self._value)


def fit(event: Any, max_bytes: int = EVENT_MAX_BYTES) -> tuple[Any, dict[str, str]]:
    """The event as all consumers will see it, its mark apart, and its notes."""
    event, notes = fitted(event, max_bytes)
    event, _ = sealed(event, max_bytes)
    extra = dict(event.extra)
    assert extra.pop("coerced", {}) == notes
    return msgspec.structs.replace(event, extra=extra), notes


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (np.int64(3), 3), (np.float32(0.5), 0.5), (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]), (np.array(7), 7),
        (np.longdouble(0.5), 0.5), (np.array([0.5], np.longdouble), [0.5]),
        (Table(), {"a": [1, 2], "b": [3, 4]}),
        (Proxy("e4"), "e4"), (Proxy(4), 4), (Proxy(0.5), 0.5),
        (Text("e4"), "e4"), (Whole(4), 4), (Side.WHITE, "white"), (Side.BOTH, ["white", "black"]),
        (PurePosixPath("a/b"), "a/b"), (Decimal("1.50"), "1.50"), (UUID(int=5), str(UUID(int=5))),
        (date(2026, 1, 2), "2026-01-02"), (timedelta(seconds=90), "PT90S"),
        ({3}, [3]), (frozenset({3}), [3]), (deque([1, 2]), [1, 2]), (range(3), [0, 1, 2]),
        ({"a": 1}.values(), [1]), (b"\xff", "/w=="), ((1, (2,)), [1, [2]]),
        (Move("e2", Side.WHITE), {"start": "e2", "to": "white"}), (Point(1, 2), {"x": 1, "y": 2}),
        (Model(), {"to": "e4"}), (AgentInfo(id="a"), {"id": "a", "name": "", "spec": ""}),
        (OrderedDict(a=1), {"a": 1}), (MappingProxyType({"a": 1}), {"a": 1}),
        ({1: 2, (3, 4): 5, None: 6, Side.WHITE: 7}, {"1": 2, "[3,4]": 5, "": 6, "white": 7}),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_json_can_express_is_kept_whole_and_not_marked(value: Any, kept: Any) -> None:
    event, notes = fit(Action(action={"at": [value]}))

    assert event.action == {"at": [kept]}
    assert notes == {}


@pytest.mark.parametrize(
    ("value", "kept", "note"),
    [
        (float("nan"), None, "nan"), (float("-inf"), None, "-inf"),
        (np.float64("inf"), None, "inf"),
        ("a\udc80", "a\\udc80", "lone surrogates, written as escapes"),
        (2**16_000, hex(2**16_000), "an integer of 16,001 bits"),
        (ValueError("no such move"), "ValueError: no such move", "ValueError"),
        (Board(), "r n b q", "tests.Board"), (1 + 2j, "(1+2j)", "complex"),
        (Graph(), ["a", "b"], "tests.Graph, of which these are the items"),
        (Silent(), "<tests.Silent, whose text raised RuntimeError>", "tests.Silent"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_json_cannot_express_is_kept_as_near_as_it_goes_and_marked(
    value: Any, kept: Any, note: str
) -> None:
    event, notes = fit(Action(action={"at": [1, value]}))

    assert event.action == {"at": [1, kept]}
    assert notes == {"action.at[1]": note}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (TurnStart(turn=np.int64(3), player=0), TurnStart(turn=3, player="0")),
        (LogEvent(agent_id=0), LogEvent(agent_id="0")),
        (Observation(text=None, legal_actions=[1, np.int64(2)]),
         Observation(legal_actions=["1", "2"])),
        (Observation(text={"hp": 3}, legal_actions="wait"),
         Observation(text='{"hp":3}', legal_actions=["wait"])),
        (Observation(text=Table()), Observation(text="a b: 1 3, 2 4")),
        (Observation(text=np.zeros((2, 2), int)), Observation(text="[[0 0]\n [0 0]]")),
        (LlmResponse(text=b"e4", input_tokens=12.0, output_tokens="7"),
         LlmResponse(text="e4", input_tokens=12, output_tokens=7)),
        (LlmPrompt(messages={"role": "user"}), LlmPrompt(messages=[{"role": "user"}])),
        (ActionResult(ok=1, reward=True), ActionResult(ok=True, reward=1.0)),
        (Metric(name=5, value="1.5"), Metric(name="5", value=1.5)),
        (RunStart(agents=[0, {"id": 1, "spec": Side.WHITE}, {"name": "x"}, ("a",)]),
         RunStart(agents=[AgentInfo(id="0"), AgentInfo(id="1", spec="white"),
                          AgentInfo(id="x", name="x"), AgentInfo(id='["a"]')])),
        (RunStart(game=Text("g"), label=7, tags="t"), RunStart(game="g", label="7", tags=["t"])),
        (RunStart(config=Model()), RunStart(config={"to": "e4"})),
        (RunEnd(outcome={0: np.float32(1), "b": True}), RunEnd(outcome={"0": 1.0, "b": 1.0})),
        (RunEnd(outcome=[1, -1], status="STOPPED"),
         RunEnd(outcome={"0": 1.0, "1": -1.0}, status="stopped")),
        (Fork(parent_run_id=UUID(int=1)), Fork(parent_run_id=str(UUID(int=1)))),
        (OtherEvent(name="dice", extra={"rolled": np.int64(6)}),
         OtherEvent(name="dice", extra={"rolled": 6})),
        (LogEvent(extra={"seq": 1, "text": 3, "a": 2}),
         LogEvent(extra={"seq_": 1, "text_": 3, "a": 2})),
        ({"kind": "log", "text": "x", "ts": AT}, LogEvent(text="x")),
    ],
    ids=lambda event: getattr(event, "kind", "dict"),
)  # fmt: skip
def test_a_field_has_the_type_of_its_kind(given: Any, kept: Event) -> None:
    event, notes = fit(given)

    assert msgspec.structs.replace(event, ts=AT) == msgspec.structs.replace(kept, ts=AT)
    assert notes == {}


@pytest.mark.parametrize(
    ("given", "field", "kept", "note"),
    [
        (TurnStart(turn="first"), "turn", None, "was first"),
        (RunStart(seed=2**64), "seed", None, "was 18446744073709551616"),
        (LlmResponse(input_tokens=-3), "input_tokens", None, "was -3"),
        (Metric(value=float("nan")), "value", None, "nan"),
        (Metric(value="nan"), "value", None, "was nan"),
        (ActionResult(ok="perhaps"), "ok", True, "was perhaps"),
        (Action(index_in_turn=None), "index_in_turn", 0, "was "),
        (RunEnd(status="won"), "status", "finished", "was won"),
        (RunEnd(outcome=1.0), "outcome", {"0": 1.0}, None),
        (LogEvent(v="2nd"), "v", 1, "was 2nd"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_does_not_fit_its_field_stands_in_the_mark(
    given: Event, field: str, kept: Any, note: str | None
) -> None:
    event, notes = fit(given)

    assert type(event) is type(given)
    assert getattr(event, field) == kept
    assert notes == ({} if note is None else {field: note})


def test_a_score_that_is_none_is_left_out_and_the_others_stay() -> None:
    event, notes = fit(RunEnd(outcome={"a": 1, "b": "lost", "c": float("inf")}))  # type: ignore[dict-item]

    assert event.outcome == {"a": 1.0}
    assert notes == {"outcome.b": "was lost", "outcome.c": "inf"}


def test_a_time_without_zone_is_local_and_marked() -> None:
    naive = datetime(2026, 3, 4, 5, 6, 7)

    event, notes = fit(LogEvent(ts=naive))

    assert event.ts == naive.astimezone()
    assert notes == {"ts": "has no time zone, taken as local time"}


@pytest.mark.parametrize("ts", ["soon", None, 5])
def test_what_is_no_time_is_now(ts: Any) -> None:
    before = utc_now()

    event, notes = fit(LogEvent(ts=ts))

    assert before <= event.ts <= utc_now()
    assert list(notes) == ["ts"]


def test_what_is_no_event_is_logged() -> None:
    event, notes = fit(SimpleNamespace(a=1))

    assert (event.kind, event.text) == ("log", "namespace(a=1)")
    assert notes == {"event": "types.SimpleNamespace"}


def test_an_object_is_not_asked_for_attributes_that_it_may_make_up() -> None:
    asked: list[str] = []

    class Remembering:  # as mocks do, whose tests look at what they were asked for
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            raise AttributeError(name)

    fit(Action(action=[Remembering()]))

    assert asked == []


def test_values_in_themselves_end() -> None:
    inside: dict[str, Any] = {"a": 1}
    inside["self"] = inside
    twice: list[Any] = []
    twice.extend([twice, twice])

    event, notes = fit(Action(action=[inside, twice]))

    assert event.action == [{"a": 1, "self": "dict"}, ["list", "list"]]
    assert notes.keys() == {"action[0].self", "action[1][0]", "action[1][1]"}


def test_values_shared_a_billion_times_end() -> None:
    laughs: list[Any] = ["ha"]
    for _ in range(90):
        laughs = [laughs, laughs]

    event, notes = fit(Action(action=laughs))

    assert isinstance(event, Action)
    assert "nested too deep" in next(iter(notes.values()))


def test_a_generator_is_not_consumed_where_no_list_is_asked_for() -> None:
    moves = (move for move in ["e4", "d4"])

    _, notes = fit(Action(action=moves))

    assert list(moves) == ["e4", "d4"]
    assert notes == {"action": "generator"}


def test_a_long_text_is_cut_in_its_middle_with_its_length_and_hash() -> None:
    text = "".join(random.Random(1).choices('abcdef ü€😀\n"', k=400_000))

    event, notes = fit(Observation(text=text, data="short"))

    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    head, mark, tail = event.text.partition("\n[… ")
    assert text.startswith(head)
    assert text.endswith(tail.partition("…]\n")[2])
    assert f"of 400,000 characters cut, sha256 {digest}" in mark + tail
    assert notes == {"text": "cut, it had 400,000 characters"}
    assert event.data == "short"
    assert len(event.text.encode()) > EVENT_MAX_BYTES // 2


def test_the_longest_texts_are_cut_first() -> None:
    messages = [{"role": "user", "content": char * (200_000 if char in "bd" else 10_000)}
                for char in "abcde"]  # fmt: skip

    event, notes = fit(LlmPrompt(messages=messages))

    assert notes.keys() == {"messages[1].content", "messages[3].content"}
    assert [len(each["content"]) for each in event.messages][::2] == [10_000] * 3


@pytest.mark.parametrize(
    "event",
    [
        Observation(legal_actions=["e4"] * 150_000),
        Action(action=list(range(190_000))),
        RunStart(agents=[AgentInfo(id=f"agent {number}") for number in range(50_000)]),
        RunEnd(outcome={f"agent {number}": 1.0 for number in range(50_000)}),
        LogEvent(
            text="x" * 300_000, extra={f"field {number}": "y" * 60 for number in range(9_000)}
        ),
        Action(action={"k" * 1_000_000: 1}),
        OtherEvent(name="z" * 1_000_000),
        LogEvent(text="\x00" * 260_000, agent_id="a" * 300_000),
    ],
    ids=lambda event: event.kind[:20],
)
def test_whatever_is_too_large_is_made_to_fit(event: Event) -> None:
    fit_event, notes = fit(event)

    assert fit_event.kind == event.kind or event.kind.startswith("z")
    assert notes
    assert fit_event.ts == event.ts


def test_a_higher_limit_cuts_less() -> None:
    text = "x" * 500_000

    event, notes = fit(LogEvent(text=text, ts=AT), 1_000_000)

    assert (event.text, notes) == (text, {})


@pytest.mark.parametrize("max_bytes", [64 * 1024, EVENT_MAX_BYTES, 1_000_000])
def test_of_very_many_texts_that_are_cut_the_first_are_named_and_the_others_counted(
    max_bytes: int,
) -> None:
    said = {"what every player of this game said": ["y" * 1_000] * 1_200}

    event, notes = fit(Observation(data=said), max_bytes)

    assert event.data
    assert len(msgspec.json.encode(notes)) <= 16 * 1024
