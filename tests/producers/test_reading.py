"""Lines as programs write them are taken, and say what they lost; what a line is never depends on
the limit in force."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena_tui.codec import encode_line, sealed
from arena_tui.errors import EventError, EventTooLargeError
from arena_tui.events import EVENT_MAX_BYTES, KNOWN_KINDS, Event, run_id_of
from arena_tui.producers.fitting import fitted
from arena_tui.producers.reading import own_time, read_line
from tests.envelopes import envelope

AT = datetime(2026, 1, 1, tzinfo=UTC)
PRECISE = AT.replace(microsecond=123456)
ROUND = AT.replace(microsecond=123000)
LEAST_BYTES = 64 * 1024


def read(line: str | bytes) -> tuple[str, Any, dict[str, str]]:
    """Run id, event as consumers see it without its mark, and its notes."""
    run_id, event, notes = read_line(line if isinstance(line, bytes) else line.encode())
    event, _ = sealed(event)
    extra = dict(event.extra)
    assert extra.pop("coerced", {}) == notes
    return run_id, msgspec.structs.replace(event, extra=extra), notes


def log(**fields: Any) -> bytes:
    return json.dumps({"run_id": "a", "kind": "log"} | fields).encode()


@pytest.mark.parametrize(
    ("ts", "at"),
    [
        (1767225600, AT), (1767225600.123456, PRECISE), (1767225600123, ROUND),
        (1767225600123456, PRECISE), (1767225600123456789, PRECISE), (1767225600123.456, PRECISE),
        ("1767225600", AT), ("1767225600.123456", PRECISE), ("1767225600123", ROUND),
        ("2026-01-01T00:00:00", AT), ("2026-01-01 00:00:00.123456", PRECISE),
        ("2026-01-01T02:00:00+0200", AT), ("2026-01-01T00:00:00.1234561Z", PRECISE),
        ("2026-01-01", AT), ("20260101", AT), (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_time_is_taken_in_every_common_form_and_is_utc_unless_it_says_more(
    ts: Any, at: datetime
) -> None:
    _, event, notes = read(log(ts=ts))

    assert (event.ts, notes) == (at, {})
    assert own_time(log(ts=ts)) == at


@pytest.mark.parametrize("ts", ["noon", "", True, [1], {}, 1e300, 10**30, "9" * 5_000])
def test_what_is_no_time_is_now_and_said(ts: Any) -> None:
    before = datetime.now(UTC)

    _, event, notes = read(log(ts=ts))

    assert before <= event.ts <= datetime.now(UTC)
    assert [*notes] == ["ts"]
    assert own_time(log(ts=ts)) is None


@pytest.mark.parametrize("line", [log(), log(ts=None)], ids=["missing", "null"])
def test_a_line_without_a_time_happens_now(line: bytes) -> None:
    before = datetime.now(UTC)

    _, event, notes = read(line)

    assert before <= event.ts <= datetime.now(UTC)
    assert (notes, own_time(line)) == ({}, None)


@pytest.mark.parametrize(
    ("given", "run_id"),
    [
        (7, "7"), (7.0, "7"), (1.5, "1.5"), (10**30, str(10**30)), ("exp/1", "exp/1"),
        ("b1946ac9-2492-d234-7c6f-235b4d2611184", "b1946ac9-2492-d234-7c6f-235b4d2611184"),
    ],
)  # fmt: skip
def test_a_run_id_may_be_a_number(given: Any, run_id: str) -> None:
    assert read(log(run_id=given))[::2] == (run_id, {})


@pytest.mark.parametrize("given", ["a b", "Zürich → 東京", "x" * 300, " ", "\ud800"])
def test_any_other_text_is_made_a_run_id_always_the_same(given: str) -> None:
    run_id, _, notes = read(log(run_id=given))

    assert run_id == run_id_of(given)
    assert [*notes] == ["run_id"]


@pytest.mark.parametrize(
    ("line", "fields", "notes"),
    [
        ('{"value":NaN}', {"value": None}, {"value": "nan"}),
        ('{"value":-Infinity}', {"value": None}, {"value": "-inf"}),
        ('{"value":1e999}', {"value": None}, {"value": "inf"}),
        ('{"value":"1.5"}', {"value": 1.5}, {}),
        ('{"value":"many"}', {"value": None}, {"value": "was many"}),
        ('{"name":7,"value":true}', {"name": "7", "value": 1.0}, {}),
        ('{"name":null,"value":1}', {"name": "", "value": 1.0}, {}),
        ('{"agent_id":7,"turn":"3"}', {"agent_id": "7", "turn": 3}, {}),
        ('{"turn":2.0}', {"turn": 2}, {}),
        ('{"turn":2.5}', {"turn": None}, {"turn": "was 2.5"}),
        ('{"data":[1,NaN],"x":{"y":Infinity}}', {"extra": {"data": [1, None], "x": {"y": None}}},
         {"data": "", "x": ""}),
        ('{"name":"\\ud800 x"}', {"name": "\\ud800 x"},
         {"name": "lone surrogates, written as escapes"}),
        (f'{{"x":{"9" * 5_000}}}', {"extra": {"x": "9" * 5_000}}, {}),
        ('{"name":"a\tb"}', {"name": "a\tb"}, {}),
        ('\ufeff{"name":"x"}', {"name": "x"}, {}),
        (b'{"name":"caf\xe9"}', {"name": "caf\\udce9"},
         {"name": "lone surrogates, written as escapes"}),
    ],
)  # fmt: skip
def test_values_are_fitted_to_their_fields_and_what_is_lost_is_said(
    line: str | bytes, fields: dict[str, Any], notes: dict[str, str]
) -> None:
    raw = line if isinstance(line, bytes) else line.encode()
    bom, _, rest = raw.partition(b"{")

    run_id, event, lost = read(bom + b'{"run_id":"a","kind":"metric",' + rest)

    assert run_id == "a"
    assert {name: getattr(event, name) for name in fields} == fields
    if "data" in notes:
        assert [*lost] == ["extra.data[1]", "extra.x.y"]
    else:
        assert lost == notes


@pytest.mark.parametrize(
    "agents", ["a", ["a"], [{"id": "a"}], {"name": "a"}, [{"id": "a", "x": 1}]]
)
def test_players_need_no_list_and_no_names(agents: Any) -> None:
    _, event, notes = read(log(kind="run_start", agents=agents))

    assert ([each.id for each in event.agents], notes) == (["a"], {})


def test_what_must_be_there_and_is_not_is_said() -> None:
    _, event, notes = read(log(kind="fork"))

    assert (event.parent_run_id, notes) == ("unknown", {"parent_run_id": "was missing"})


def test_an_unknown_status_is_said() -> None:
    _, event, notes = read(log(kind="run_end", status="done"))

    assert (event.status, notes) == ("finished", {"status": "was done"})


def test_a_line_of_an_unknown_kind_keeps_all_its_fields() -> None:
    _, event, notes = read(log(kind="of its own", z=1, turn="x", v=3, a=[1], agent_id=2))

    assert (event.kind, event.v, event.agent_id) == ("of its own", 3, "2")
    assert [*event.extra.items()] == [("z", 1), ("a", [1])]
    assert notes == {"turn": "was x"}


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b"nonsense", "JSON"), (b"[1]", "JSON"), (b"NaN", "JSON"), (b"", "JSON"),
        (b'{"run_id": "a", "kind": "log"', "JSON"),
        (b'{"kind": "log"}', "run_id"), (log(run_id=None), "run_id"), (log(run_id=True), "run_id"),
        (log(run_id=""), "run_id"), (log(run_id=[1]), "run_id"),
        (log(run_id=float("nan")), "run_id"),
        (b'{"run_id": "a"}', "kind"), (log(kind=""), "kind"), (log(kind=3), "kind"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_event_of_a_run_is_refused_by_what_is_wrong(line: bytes, named: str) -> None:
    with pytest.raises(EventError, match=named):
        read_line(line)


@pytest.mark.parametrize("levels", [600, 5_000])
def test_what_is_nested_without_end_is_refused(levels: int) -> None:
    line = b'{"run_id":"a","kind":"log","x":%s%s}' % (b"[" * levels, b"]" * levels)

    with pytest.raises(EventTooLargeError, match="nested"):
        read_line(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
NAMES = sorted({name for kind in KNOWN_KINDS.values() for name in kind.__struct_fields__})


@given(
    st.sampled_from([*KNOWN_KINDS, "own"]),
    st.dictionaries(st.sampled_from([*NAMES, "coerced", "seq", "__extra__", "__name__"]), JSON),
)
def test_whatever_the_fields_of_a_line_are_it_can_be_published_under_any_limit(
    kind: str, fields: dict[str, Any]
) -> None:
    line = json.dumps(fields | {"run_id": "a", "kind": kind}).encode()

    _, event, _ = read_line(line)

    assert event.kind == kind
    assert publishable(event).kind == kind


def publishable(event: Event, max_bytes: int = LEAST_BYTES) -> Event:
    """The event as it is published under a limit, by default the least there is."""
    try:
        return sealed(event, max_bytes)[0]
    except EventError:
        return sealed(fitted(event, max_bytes)[0], max_bytes)[0]


@pytest.mark.parametrize("max_bytes", [LEAST_BYTES, EVENT_MAX_BYTES, 1_000_000])
@pytest.mark.parametrize(
    "value",
    ["x" * 4_000_000, {"what every player of this game said": ["y" * 1_000] * 1_200},
     {f"k{number}": "z" * 65 for number in range(40_000)},
     list(range(500_000)), "\u0001" * 600_000, "東" * 1_000_000],
    ids=["text", "texts", "object", "numbers", "escapes", "wide"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["observation", "own"])
def test_a_line_of_any_size_up_to_the_longest_can_be_published_under_any_limit(
    value: Any, kind: str, max_bytes: int
) -> None:
    line = json.dumps({"run_id": "a", "kind": kind, "data": value}, ensure_ascii=False).encode()

    event = publishable(read_line(line)[1], max_bytes)

    assert event.kind == kind
    assert event.extra["coerced"]


def test_a_recorded_line_gives_the_same_event_again() -> None:
    _, event, _ = read_line(log(text="\ud800", ts=AT.isoformat(), level=7))
    event, raw = sealed(event)

    again = read_line(encode_line(envelope("a", 7, 1, event)))

    assert (sealed(again[1])[1], again[2]) == (raw, {})
