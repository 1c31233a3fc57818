"""Matches read from the store are those that folding the same events gives."""

from __future__ import annotations

from datetime import timedelta

import pytest

from arena_tui.events import AgentInfo, Envelope, Event, LlmResponse, RunEnd, RunStart
from arena_tui.folds.matches import Match, MatchFold
from arena_tui.store.database import Database
from arena_tui.store.filters import parse_filter
from arena_tui.store.matches import read_matches
from tests.envelopes import envelope
from tests.rated_runs import START, run_of, some_runs
from tests.store_fixture import store


def enveloped(run_id: str, events: list[Event]) -> list[Envelope]:
    return [envelope(run_id, 7, seq, event) for seq, event in enumerate(events, 1)]


def folded(run_id: str, events: list[Event]) -> Match | None:
    fold = MatchFold(run_id)
    for each in enveloped(run_id, events):
        fold.add(each)
    return fold.match()


def read(database: Database, **chosen: object) -> list[Match]:
    found = database.read_now(lambda connection: read_matches(connection, **chosen))  # type: ignore[arg-type]
    return sorted(found, key=lambda match: match.order)


@pytest.fixture
async def filled(database: Database) -> Database:
    for run_id, events in some_runs():
        await store(database, enveloped(run_id, events))
    return database


async def test_the_store_and_the_fold_agree(filled: Database) -> None:
    assert read(filled) == [folded(*each) for each in some_runs()]


async def test_a_refused_action_is_told_from_one_that_only_says_so(database: Database) -> None:
    await store(database, enveloped("a", run_of(1, {"x": 1, "y": 0})))
    await store(database, enveloped("b", run_of(3, {"x": 1, "y": 0})))

    assert [[p.usage.illegal for p in match.players] for match in read(database)] == [
        [0, 0],
        [1, 1],
    ]


@pytest.mark.parametrize(
    "answers",
    [
        [LlmResponse(agent_id="x", input_tokens=2**53) for _ in range(3_000)],
        [LlmResponse(agent_id="x", cost_usd=each, latency_s=each) for each in (0.1, 1e300, -1, 0)],
        [LlmResponse(agent_id="x", cost_usd=each / 7, latency_s=each / 3) for each in range(99)],
        [LlmResponse(agent_id="x", cost_usd=5e-10, latency_s=1.5e-9)],
    ],
    ids=["more tokens than fit", "not plausible", "thirds", "halves"],
)
async def test_they_agree_on_odd_figures(database: Database, answers: list[Event]) -> None:
    events: list[Event] = [RunStart(agents=[AgentInfo(id="x")]), *answers, RunEnd()]

    await store(database, enveloped("a", events))

    assert read(database) == [folded("a", events)]


async def test_a_filter_a_game_and_a_time_choose(filled: Database) -> None:
    where, parameters = parse_filter("agent:cyd")
    since = START + timedelta(minutes=8)

    by_filter = read(filled, where=where, parameters=parameters)

    assert {match.game for match in by_filter} == {"hearts"}
    assert by_filter == read(filled, game="hearts")
    assert [match.run_id for match in read(filled, since=since)] == [
        f"run-{n}" for n in range(8, 12)
    ]
    assert [match.run_id for match in read(filled, game="hearts", since=since)] == ["run-11"]


async def test_a_run_that_goes_on_is_no_match(database: Database) -> None:
    await store(database, enveloped("a", run_of(1, {"x": 1, "y": 0})[:-1]))

    assert read(database) == []
