"""What runs cost: known, estimated and unknown parts, which add up whoever they are grouped by."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from arena_tui.events import LlmResponse
from arena_tui.folds.costs import Cost, NoPrices, Spending, Spent, cost_of, estimate
from arena_tui.folds.totals import Usage
from arena_tui.settings import Price

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


class Listed:
    """A price list of one model."""

    version = 1

    def of(self, model: str) -> Price | None:
        return Price(input=2, output=10, cached=0.5) if model == "reed-2" else None


def used(*answers: LlmResponse) -> Usage:
    usage = Usage()
    for answer in answers:
        usage.add(answer)
    return usage


def answer(**fields: object) -> LlmResponse:
    given = {"ts": NOW, "model": "reed-2", "input_tokens": 1_000_000, "output_tokens": 100_000}
    return LlmResponse(**(given | fields))


def test_what_a_producer_gave_is_not_estimated() -> None:
    usage = used(answer(cost_usd=0.25))

    assert cost_of([("reed-2", usage)], Listed()) == Cost(known_usd=0.25)


def test_tokens_without_a_cost_are_estimated_beside_what_is_known() -> None:
    usage = used(answer(cost_usd=0.25), answer())

    cost = cost_of([("reed-2", usage)], Listed())

    assert cost == Cost(known_usd=0.25, estimated_usd=3.0)
    assert cost.usd == 3.25


def test_cached_tokens_have_their_own_price() -> None:
    usage = used(answer(cached_input_tokens=400_000))

    assert estimate(usage, Price(input=2, output=10, cached=0.5)) == pytest.approx(2.4)
    assert estimate(usage, Price(input=2, output=10)) == pytest.approx(3.0)


def test_more_cached_tokens_than_there_are_cost_nothing_on_top() -> None:
    usage = used(answer(input_tokens=10, output_tokens=0, cached_input_tokens=1_000))

    assert estimate(usage, Price(input=2, output=10, cached=0.5)) == pytest.approx(5e-6)


@pytest.mark.parametrize(
    "unknown",
    [
        answer(model="thistle"),
        answer(model=None),
        answer(input_tokens=None, output_tokens=None),
    ],
    ids=["no price", "no model", "no tokens"],
)
def test_an_unknown_cost_is_none_and_never_0(unknown: LlmResponse) -> None:
    cost = cost_of([(unknown.model or "", used(unknown))], Listed())

    assert (cost.known_usd, cost.estimated_usd, cost.usd) == (None, None, None)
    assert cost.incomplete


def test_what_is_known_beside_an_unknown_cost_is_the_least_it_can_be() -> None:
    cost = cost_of([("reed-2", used(answer(cost_usd=0.25))), ("thistle", used(answer()))], Listed())

    assert cost == Cost(known_usd=0.25, incomplete=True)


def test_half_of_the_tokens_give_a_cost_that_is_incomplete() -> None:
    cost = cost_of([("reed-2", used(answer(), answer(output_tokens=None)))], Listed())

    assert cost == Cost(estimated_usd=5.0, incomplete=True)


def test_a_model_that_is_free_costs_0_and_that_is_known() -> None:
    assert cost_of([("own", used(answer(cost_usd=0.0)))], NoPrices()) == Cost(known_usd=0.0)


@pytest.fixture
def spending() -> Spending:
    spending = Spending()
    for game, agent, given in (
        ("chess", "ann", {"cost_usd": 0.5, "cached_input_tokens": 7}),
        ("chess", "bob", {}),
        ("go", "ann", {"reasoning_tokens": 9}),
        ("go", "bob", {"model": "thistle"}),
        ("go", None, {"model": None, "cost_usd": 0.125}),
    ):
        spending.add(game, answer(agent_id=agent, **given))
    return spending


def sums(rows: list[Spent]) -> Iterator[object]:
    yield sum(row.responses for row in rows)
    yield sum(row.input_tokens or 0 for row in rows)
    yield sum(row.cached_input_tokens or 0 for row in rows)
    yield sum(row.reasoning_tokens or 0 for row in rows)
    yield sum(row.cost.known_usd or 0 for row in rows)
    yield sum(row.cost.estimated_usd or 0 for row in rows)
    yield any(row.cost.incomplete for row in rows)


@pytest.mark.parametrize("group", ["agent", "model", "game"])
def test_every_grouping_adds_up_to_the_whole_session(spending: Spending, group: str) -> None:
    whole = spending.total(Listed())

    assert list(sums(spending.by(group, Listed()))) == list(sums([whole]))
    assert whole.cost == Cost(known_usd=0.625, estimated_usd=6.0, incomplete=True)
    assert spending.session(Listed(), NOW).total == whole.cost


def test_the_dearest_comes_first_and_the_unknown_last(spending: Spending) -> None:
    rows = spending.by("model", Listed())

    assert [(row.name, row.cost.usd) for row in rows] == [
        ("reed-2", 6.5), ("", 0.125), ("thistle", None),
    ]  # fmt: skip


def test_the_rate_is_that_of_the_last_ten_minutes() -> None:
    spending = Spending()
    for minutes, usd in ((60, 100.0), (9, 1.0), (2, 0.5)):
        spending.add("chess", answer(ts=NOW - timedelta(minutes=minutes), cost_usd=usd))

    session = spending.session(Listed(), NOW)

    assert session.total.usd == 101.5
    assert session.over_s == 540
    assert session.an_hour.usd == pytest.approx(10)
    assert session.in_an_hour.usd == pytest.approx(111.5)
    assert session.a_day.usd == pytest.approx(240)


def test_a_first_answer_is_not_taken_for_one_every_second() -> None:
    spending = Spending()
    spending.add("chess", answer(ts=NOW, cost_usd=0.01))

    assert spending.session(Listed(), NOW).an_hour.usd == pytest.approx(0.6)


def test_a_session_at_rest_costs_nothing_more_that_is_known() -> None:
    spending = Spending()
    spending.add("chess", answer(ts=NOW - timedelta(hours=1), cost_usd=0.01))

    session = spending.session(Listed(), NOW)

    assert (session.an_hour, session.over_s) == (Cost(), 0.0)
    assert session.in_an_hour == session.total


def test_any_number_of_names_is_kept_in_bounds_and_still_adds_up() -> None:
    spending = Spending()
    for number in range(5_100):
        spending.add("chess", answer(agent_id=f"agent {number}", cost_usd=1.0))
    spending.session(Listed(), NOW + timedelta(hours=1))

    rows = spending.by("agent", Listed())

    assert len(rows) == 5_001
    assert (rows[0].name, rows[0].cost.usd) == ("others", 100.0)
    assert spending.total(Listed()).cost.usd == 5_100.0
