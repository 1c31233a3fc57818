"""A filter finds the same runs in the store as among those that are being played."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_tui.broker.warnings import Warnings
from arena_tui.events import AgentInfo
from arena_tui.folds.conditions import read_conditions
from arena_tui.folds.facts import facts_of
from arena_tui.folds.totals import RunTotals
from arena_tui.folds.view import RunView
from arena_tui.store.filters import parse_filter
from arena_tui.store.history import read_runs, read_scores
from arena_tui.store.mending import open_store
from arena_tui.store.reading import Reader
from arena_tui.store.rows import insert_runs
from tests.faults.accounts import FULL

BEGAN = datetime(2026, 7, 1, 12, tzinfo=UTC)
FILTERS = (
    "won:sonnet", "lost:sonnet", "draw", "-draw", "won=o", "-won:x", "agent:gpt", "agent=x",
    "status:silent", "status=crashed", "status:s", "-status:finished", "game=go", "label:b",
    "err>0", "cost<=$0.5", "-cost>0", "turns>=1k", "tokens=0", "duration>5m", "lost>0",
    "duration<1s", "duration<0",
    "started>2026-06-30 started<2026-08-01", "ended>2026-07-01T13:00Z", "reason:a", "outcome:0",
)  # fmt: skip

_AGENTS = st.lists(
    st.builds(AgentInfo, id=st.sampled_from(["x", "o", "0", "1"]),
              name=st.sampled_from(["", "Sonnet", "gpt"])),
    max_size=3, unique_by=lambda agent: agent.id,
)  # fmt: skip
_OUTCOMES = st.dictionaries(
    st.sampled_from(["x", "o", "0", "1", "2"]), st.sampled_from([-1.0, 0.0, 0.5, 1.0]), max_size=3
)
_RUNS = st.builds(
    RunTotals, run_id=st.just("r"), agents=_AGENTS, outcome=_OUTCOMES,
    status=st.sampled_from(["running", "finished", "crashed", "stopped"]),
    game=st.sampled_from(["go", "chess"]), label=st.sampled_from([None, "a", "B"]),
    reason=st.sampled_from([None, "a", "b"]), turns=st.sampled_from([0, 999, 1_000]),
    errors=st.integers(0, 1), lost=st.integers(0, 1), cost_usd=st.sampled_from([None, 0.0, 0.5, 2]),
    started_at=st.just(BEGAN),
    last_at=st.sampled_from([BEGAN + timedelta(hours=hours) for hours in (-1, 0, 2)]),
    ended_at=st.sampled_from([None, BEGAN + timedelta(hours=2)]),
)  # fmt: skip


@pytest.fixture(scope="module")
def store() -> Reader:
    return open_store(":memory:", Warnings())


@settings(deadline=None, max_examples=150 if FULL else 60)
@given(totals=_RUNS, text=st.sampled_from(FILTERS))
def test_store_and_live_agree(store: Reader, totals: RunTotals, text: str) -> None:
    view = RunView("r")
    view.totals = totals
    state = "closed" if totals.status != "running" else "silent"
    pane = view.pane(0.0, state, 0, 0, None, 0)
    store.execute("DELETE FROM runs")
    insert_runs(store, [totals])

    found = read_runs(store, *parse_filter(text))

    facts = facts_of(pane)
    assert bool(found) == all(facts.hold(each) for each in read_conditions(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("status:running", ["played"]),
        ("status:stuck", ["hung"]),
        ("status:silent", ["gone"]),
        ("-status:silent", ["hung", "played"]),
    ],
)
def test_a_run_without_an_end_is_in_the_state_it_has_on_the_screen(
    store: Reader, text: str, found: list[str]
) -> None:
    store.execute("DELETE FROM runs")
    insert_runs(store, [RunTotals(run_id=each) for each in ("played", "hung", "gone")])

    where, parameters = parse_filter(text, {"played": "running", "hung": "stuck"})

    assert sorted(run.run_id for run in read_runs(store, where, parameters)) == found


def test_counts_at_their_greatest_add_up(store: Reader) -> None:
    most = 2**63 - 1
    store.execute("DELETE FROM runs")
    insert_runs(store, [RunTotals(run_id=each, input_tokens=most, output_tokens=most)
                        for each in "ab"])  # fmt: skip

    found = read_runs(store, *parse_filter("tokens>5"), sort="tokens")

    assert [run.run_id for run in found] == ["b", "a"]
    assert read_scores(store, "TRUE", []).tokens == 4 * most
