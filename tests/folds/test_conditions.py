"""The filter language: what a text asks for, also while it is being written."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena_tui.errors import UsageError
from arena_tui.folds.conditions import (
    EXAMPLE,
    Anywhere,
    Compared,
    Condition,
    Contained,
    Drawn,
    Not,
    begun_fields,
    read_conditions,
)

NOW = datetime(2026, 7, 12, 12, tzinfo=UTC)
NOW_S = NOW.timestamp()
DAY_S = 86_400.0


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("", []),
        (EXAMPLE, [Contained("game", "chess"), Compared("cost", ">", 0.1),
                   Compared("started", ">=", NOW_S - 2 * DAY_S), Not(Contained("agent", "x")),
                   Anywhere("rate limit")]),
        ("Agents:X ERRORS<=2", [Contained("agent", "X"), Compared("err", "<=", 2.0)]),
        ('"rate li', [Anywhere("rate li")]),
        ("'rate limit' don't", [Anywhere("rate limit"), Anywhere("don't")]),
        ('"colour:red" -5 12:30', [Anywhere("colour:red"), Anywhere("-5"), Anywhere("12:30")]),
        ("status=crashed", [Contained("status", "crashed", whole=True)]),
        ("cost>$0.1 turns>=1k", [Compared("cost", ">", 0.1), Compared("turns", ">=", 1_000.0)]),
        ("tokens<1,500 out>2M", [Compared("tokens", "<", 1_500.0), Compared("out", ">", 2e6)]),
        ("took>5m duration<1:30",
         [Compared("duration", ">", 300.0), Compared("duration", "<", 90.0)]),
        ('-game:go -"rate limit"', [Not(Contained("game", "go")), Not(Anywhere("rate limit"))]),
        ("turns:5 lost:2", [Compared("turns", "=", 5.0), Compared("lost", "=", 2.0)]),
        ("won:sonnet lost:sonnet draw",
         [Contained("won", "sonnet"), Contained("lost", "sonnet"), Drawn()]),
        ("since:1d", [Compared("started", ">=", NOW_S - DAY_S)]),
    ],
)  # fmt: skip
def test_a_text_becomes_conditions(text: str, conditions: list[Condition]) -> None:
    assert read_conditions(text, now=NOW) == conditions


def test_a_date_is_a_whole_day_here() -> None:
    day = datetime(2026, 7, 1).astimezone().timestamp()
    after, until, within, at = (
        read_conditions(f"started{text}", now=NOW)
        for text in (">2026-07-01", "<=2026-07-01", "=2026-07-01", ">=2026-07-01T12:30")
    )

    assert after == [Compared("started", ">=", day + DAY_S)]
    assert until == [Compared("started", "<", day + DAY_S)]
    assert within == [Compared("started", ">=", day), Compared("started", "<", day + DAY_S)]
    assert at == [Compared("started", ">=", day + 12.5 * 3_600)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gmae:x", "no field 'gmae': did you mean game?; as text: \"gmae:x\""),
        ("colour=red", "no field 'colour': fields are game, agent, status"),
        ("status:lost", "lost is said of events: use status:silent, or lost>0"),
        ("status:foo", "no status 'foo': use one of running, waiting, stuck, silent"),
        ("game>3", "game is no number: write game:3 or game=3"),
        ("cost>cheap", "cost: 'cheap' is no number: write cost>0.1 or $0.1"),
        ("err>", "err: '' is no number: write err>20 or 1k"),
        ("duration>soon", "duration: 'soon' is no number: write duration>90s, 5m or 2h"),
        ("since:2026-13-01", "since: '2026-13-01' is no time: write 2d, 3h, 2026-07-01 or 12:30"),
        ("draw:x", "draw has no value: write draw"),
        ("-started=2026-07-01", "ask for the days before and after it with < and >"),
    ],
)
def test_what_looks_like_a_field_is_never_silently_text(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        read_conditions(text, now=NOW)


def test_a_field_that_is_not_known_of_these_runs_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="in is not known of these runs: use game, err"):
        read_conditions("game:chess in>5", fields=("game", "err"))


@pytest.mark.parametrize(
    ("text", "fields"),
    [("", ["game", "agent", "err"]), ("err>0 -a", ["agent"]), ("game:ch", []), ("zz", [])],
)
def test_the_last_word_tells_which_fields_it_may_become(text: str, fields: list[str]) -> None:
    assert begun_fields(text, ("game", "agent", "err")) == fields


@pytest.mark.parametrize(
    ("sign", "values"), [("<", [1]), ("<=", [1, 2]), (">", [3]), (">=", [2, 3]), ("=", [2])]
)
def test_numbers_compare_and_what_is_unknown_never_holds(sign: str, values: list[int]) -> None:
    condition = Compared("turns", sign, 2.0)

    assert [value for value in (1, 2, 3, None) if condition.holds(value)] == values


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UsageError):
        assert len(read_conditions(text)) <= 2 * len(text)


def test_more_conditions_than_anybody_types_are_refused() -> None:
    assert len(read_conditions("x " * 50)) == 50
    with pytest.raises(UsageError, match="51 conditions: give at most 50"):
        read_conditions("x " * 51)


def test_a_trouble_that_there_is_not_is_named_with_those_there_are() -> None:
    assert read_conditions("trouble:lo") == [Contained("trouble", "lo")]
    with pytest.raises(
        UsageError, match=r"no trouble 'lop': use one of stuck, silent, crashed, .*any"
    ):
        read_conditions("trouble:lop")
