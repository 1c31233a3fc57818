"""What goes through the codec comes out equal, and what cannot is refused by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from arena_tui.codec import (
    decode_event,
    decode_line,
    encode_event,
    encode_line,
    sealed,
)
from arena_tui.errors import EventError, EventTooLargeError
from arena_tui.events import (
    EVENT_MAX_BYTES,
    Action,
    ActionResult,
    Event,
    Fork,
    LlmResponse,
    LogEvent,
    Metric,
    Observation,
    OtherEvent,
    RunEnd,
    RunStart,
    check_run_id,
    new_run_id,
    short_id,
)
from tests.envelopes import envelope
from tests.events_strategies import events, json_values, texts

AT = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)


@given(events)
@settings(max_examples=300)
def test_an_event_decoded_again_is_equal_and_byte_stable(event: Event) -> None:
    first, _ = sealed(event)
    raw = encode_event(first)

    again = decode_event(raw)

    assert again == first
    assert type(again) is type(first)
    assert encode_event(again) == raw
    assert sealed(again) == (again, raw)
    assert first == event


def test_an_answer_written_before_its_newer_fields_is_read_as_it_was() -> None:
    old = b'{"kind":"llm_response","ts":"2026-03-04T05:06:07Z","input_tokens":9,"output_tokens":3}'

    answer = decode_event(old)

    assert isinstance(answer, LlmResponse)
    assert (answer.cached_input_tokens, answer.reasoning_tokens) == (None, None)
    assert encode_event(answer) == old


def test_cached_and_reasoning_tokens_are_counts() -> None:
    raw = b'{"kind":"llm_response","cached_input_tokens":7,"reasoning_tokens":2}'
    answer = decode_event(raw)

    assert isinstance(answer, LlmResponse)
    assert (answer.cached_input_tokens, answer.reasoning_tokens, answer.extra) == (7, 2, {})


@given(events, st.integers(1, 2**53), st.integers(1, 2**53))
def test_a_line_holds_the_envelope_flat_and_gives_the_event_back(
    event: Event, epoch: int, seq: int
) -> None:
    line = encode_line(envelope("run-1", epoch, seq, event))

    fields = json.loads(line)
    assert (fields["run_id"], fields["epoch"], fields["seq"]) == ("run-1", epoch, seq)
    assert fields["kind"] == event.kind
    assert decode_line(line) == ("run-1", decode_event(encode_event(event)))
    assert b"\n" not in line


@given(
    texts.map("kind ".__add__),
    st.dictionaries(texts.map("own ".__add__), json_values, max_size=4),
)
def test_unknown_kinds_and_fields_survive(kind: str, own: dict[str, Any]) -> None:
    fields = {"kind": kind, "ts": "2026-01-01T00:00:00Z", "turn": 3, **own}

    event = decode_event(json.dumps(fields))

    assert (event.kind, event.turn, event.extra) == (kind, 3, own)
    assert json.loads(encode_event(event)) == fields


@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
@example(b'{"kind": "log", "ts": "0001-01-01T00:00:00+14:00"}')
@example(b'{"kind": "log", "ts": 5}')
@example(b'{"kind": null}')
@example(b'{"kind": "__other__", "__name__": "x", "__extra__": {"a": 1}}')
@example(b'{"kind":"log","text":"\xff"}')
@example(b"[" * 2_000)
@example(b'{"kind":"log","a":' + b"[" * 5_000)
def test_any_bytes_are_an_event_or_an_event_error(raw: bytes) -> None:
    try:
        event = decode_event(raw)
    except EventError:
        return
    assert event.ts.tzinfo is UTC
    encode_event(event)


def test_a_known_kind_keeps_fields_it_does_not_declare() -> None:
    raw = b'{"kind":"log","ts":"2026-03-04T05:06:07.890123Z","text":"hi","colour":{"r":[1]}}'

    event = decode_event(raw)

    assert event == LogEvent(ts=AT, text="hi", extra={"colour": {"r": [1]}})
    assert encode_event(event) == raw


def test_what_was_stored_with_a_misfit_is_still_read() -> None:
    raw = b'{"kind":"action_result","ts":"2026-03-04T05:06:07.890123Z","ok":"perhaps"}'

    event = decode_event(raw)

    assert isinstance(event, OtherEvent)
    assert (event.kind, event.extra) == ("action_result", {"ok": "perhaps"})
    with pytest.raises(EventError, match=r"\$\.ok"):
        decode_event(raw, strict=True)


def test_times_come_back_in_utc() -> None:
    east = timezone(timedelta(hours=5, minutes=30))

    event, _ = sealed(LogEvent(ts=AT.astimezone(east)))

    assert event.ts == AT
    assert event.ts.tzinfo is UTC


@pytest.mark.parametrize(
    ("built", "seen"),
    [
        (Metric(ts=AT, value=float("nan")), Metric(ts=AT, value=None)),
        (Action(ts=AT, action=("e2", "e4")), Action(ts=AT, action=["e2", "e4"])),
        (Observation(ts=AT, data={1: {2}}), Observation(ts=AT, data={"1": [2]})),
        (LlmResponse(ts=AT, cost_usd=1), LlmResponse(ts=AT, cost_usd=1.0)),
        (OtherEvent(ts=AT, name="log", extra={"text": "x"}), LogEvent(ts=AT, text="x")),
        (LogEvent(ts=AT, text="a", extra={"text": "b"}), LogEvent(ts=AT, text="a")),
        (RunStart(ts=AT, agents=({"id": "a"},)), RunStart(ts=AT, agents=[{"id": "a"}])),  # type: ignore[arg-type]
    ],
    ids=["nan", "tuple", "set", "int", "other", "declared", "agents"],
)
def test_every_consumer_sees_what_the_store_will_hold(built: Event, seen: Event) -> None:
    event, _ = sealed(built)

    assert event == decode_event(encode_event(seen))
    assert decode_event(encode_event(event)) == event


def test_what_a_producer_changes_later_changes_nothing() -> None:
    board = {"a1": "rook"}

    event, _ = sealed(Observation(data=board))
    board["a1"] = "queen"

    assert isinstance(event, Observation)
    assert event.data == {"a1": "rook"}


@pytest.mark.parametrize(
    ("event", "named"),
    [
        (Action(turn="three"), r"`\$\.turn`"),  # type: ignore[arg-type]
        (LlmResponse(input_tokens=-1), r"`\$\.input_tokens`"),
        (LogEvent(text=3), r"`\$\.text`"),  # type: ignore[arg-type]
        (LogEvent(ts=datetime(2026, 1, 1)), r"`\$\.ts`"),
        (LogEvent(ts=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))), r"`\$\.ts`"),
        (RunEnd(outcome={"a": float("nan")}), r"`\$\.outcome"),
        (RunEnd(status="won"), r"`\$\.status`"),  # type: ignore[arg-type]
        (RunStart(seed=2**63), r"`\$\.seed`"),
        (Fork(parent_run_id=None), r"`\$\.parent_run_id`"),  # type: ignore[arg-type]
        (OtherEvent(name="x", extra={"turn": 0.5}), r"`\$\.turn`"),
        (LogEvent(extra={"seq": 4}), '"seq"'),
        (OtherEvent(name=""), '"kind"'),
        (Action(action=object()), "action event"),
        (Action(action="\ud800"), "action event"),
        (Action(action=10**5_000), "action event"),
        (Event(), "no kind"),
    ],
)
def test_a_refusal_names_the_field(event: Event, named: str) -> None:
    with pytest.raises(EventError, match=named):
        sealed(event)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b'{"kind": "log"}', "run_id"),
        (b'{"run_id": 4, "kind": "log"}', "run_id"),
        (b'{"run_id": "a b", "kind": "log"}', "a b"),
        (b'{"run_id": "a"}', "kind"),
        (b'{"run_id": "a", "kind": ""}', "kind"),
        (b'{"run_id": "a", "kind": "log", "text": 3}', r"\$\.text"),
        (b'{"run_id": "a", "kind": "log", "text": "\xff"}', "UTF-8"),
        (b"nonsense", "JSON"),
        (b"[1]", "JSON"),
        (b"", "JSON"),
    ],
)
def test_a_bad_line_is_refused_by_what_is_wrong(line: bytes, named: str) -> None:
    with pytest.raises(EventError, match=named):
        decode_line(line)


def test_a_line_needs_no_more_than_a_run_and_a_kind() -> None:
    run_id, event = decode_line('{"run_id": "r", "kind": "log", "epoch": 7, "seq": "any"}')

    assert (run_id, event) == ("r", LogEvent(ts=event.ts))
    assert event.ts.tzinfo is UTC


def test_the_size_limit_is_exact_and_a_line_of_that_size_comes_back() -> None:
    room = EVENT_MAX_BYTES - len(encode_event(LogEvent(ts=AT, text="x"))) + 1
    largest = LogEvent(ts=AT, text="x" * room)

    assert len(sealed(largest)[1]) == EVENT_MAX_BYTES
    assert decode_line(encode_line(envelope("r" * 128, 2**53, 2**53, largest)))[1] == largest
    with pytest.raises(EventTooLargeError, match="262,144"):
        sealed(LogEvent(ts=AT, text="x" * (room + 1)))
    assert sealed(LogEvent(text="x" * (room + 1)), 2 * EVENT_MAX_BYTES)
    with pytest.raises(EventTooLargeError, match="4,194,304"):
        decode_line(b'{"run_id": "r", "kind": "log", "text": "' + b"x" * 5_000_000 + b'"}')


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_the_nesting_limit_is_the_same_wherever_it_is_read() -> None:
    deepest = Action(ts=AT, action=nested(199))

    assert decode_event(encode_event(sealed(deepest)[0])) == deepest
    for levels in (200, 900, 5_000):
        with pytest.raises(EventTooLargeError, match="200 levels"):
            sealed(Action(action=nested(levels)))


def test_brackets_in_a_text_are_not_nesting() -> None:
    board = Observation(ts=AT, text="[ ][ ]{}" * 500)

    assert sealed(board)[0] == board


def test_run_ids_sort_by_time_and_are_their_own_kind() -> None:
    ids = [new_run_id(now_ms) for now_ms in (1, 2, 1_700_000_000_000, 1_800_000_000_000)]

    assert ids == sorted(ids)
    assert {len(run_id) for run_id in ids} == {26}
    assert short_id("01ABCDWXYZ") == "wxyz"
    for run_id in (*ids, "a", "A.b_c:d-e", "exp/1", "x" * 128):
        check_run_id(run_id)


@pytest.mark.parametrize("run_id", ["", "x" * 129, "a b", "ü", "a\n"])
def test_an_unusable_run_id_is_refused(run_id: str) -> None:
    with pytest.raises(EventError, match="not usable"):
        check_run_id(run_id)


def test_a_reward_is_never_made_up() -> None:
    raw = encode_event(ActionResult(ts=AT, reward=None))

    assert b"reward" not in raw
    assert decode_event(raw) == ActionResult(ts=AT)
