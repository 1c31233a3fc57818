"""A minute behind each figure, and those in trouble first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arena_tui.broker.protocol import RunInfo, RunMeta
from arena_tui.broker.stats import BrokerStats, RunProgress, RunStats
from arena_tui.consumers.protocol import ConsumerInfo, Counters
from arena_tui.folds.gauges import SECONDS, FlowGauges, Growth, RunGauges, level_of

MARKS = (50.0, 80.0, 100.0)


def run(run_id: str, held: int = 0, trimmed: int = 0, lag: int = 0, overflow: int = 0) -> RunStats:
    progress = RunProgress(name="persister", lag=lag, lag_peak=lag, overflow=overflow)
    return RunStats(run_id=run_id, held=held, high_water=held, trimmed=trimmed, overflow=overflow,
                    consumers=(progress,))  # fmt: skip


def stats(*runs: RunStats) -> BrokerStats:
    return BrokerStats(capacity=100, published=0, trimmed=0, overflow=0, runs=runs, consumers=())


def consumer(name: str, **counts: int) -> ConsumerInfo:
    return ConsumerInfo(name=name, durable=False, state="ok", failures=0, last_error=None,
                        unacked=0, stats=Counters(), **counts)  # fmt: skip


def test_a_gauge_is_marked_from_each_mark_on() -> None:
    assert [level_of(share, MARKS) for share in (0, 0.49, 0.5, 0.79, 0.8, 0.99, 1, 3)] == [
        0, 0, 1, 1, 2, 2, 3, 3,
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 1_000), st.integers(1, 90)), min_size=1, max_size=80))
def test_a_minute_is_kept_and_nothing_is_counted_twice(steps: list[tuple[int, int]]) -> None:
    growth, total, grown = Growth(0), 0, []
    for more, seconds in steps:
        total += more
        growth.add(total, seconds)
        grown += [round(more / seconds)] * min(seconds, SECONDS)

    assert list(growth.values) == grown[-SECONDS:]


def test_a_counter_that_begins_anew_is_no_fall() -> None:
    growth = Growth(10)
    for total in (30, 5, 9):
        growth.add(total, 1)

    assert list(growth.values) == [20, 0, 4]


def test_a_run_shows_what_was_published_in_each_second_and_what_it_is() -> None:
    gauges = RunGauges()
    info = RunInfo(meta=RunMeta(run_id="a", game="go", label="b"), epoch=1, first_seq=1,
                   last_seq=30, state="silent", silent_s=0.0)  # fmt: skip
    gauges.sample(stats(run("a", held=20)), [info], MARKS, 1)
    (gauge,) = gauges.sample(stats(run("a", held=10, trimmed=20)), [info], MARKS, 1)

    assert gauge.per_second == (20, 10)
    assert (gauge.title, gauge.state, gauge.fill, gauge.rate) == ("go · b", "silent", 0.1, 10)


def test_runs_in_trouble_come_first_and_calm_ones_keep_their_order() -> None:
    gauges = RunGauges()
    gauges.sample(stats(run("lost before", overflow=5)), [], MARKS, 1)
    for _ in range(SECONDS):
        gauges.sample(stats(run("lost before", overflow=5)), [], MARKS, 1)
    shown = gauges.sample(
        stats(run("calm 1", lag=1), run("calm 2", lag=9), run("behind", lag=60),
              run("lost before", overflow=5), run("full", lag=100), run("losing", overflow=1)),
        [], MARKS, 1,
    )  # fmt: skip

    assert [each.run_id for each in shown] == [
        "losing", "full", "behind", "lost before", "calm 1", "calm 2",
    ]  # fmt: skip
    assert [each.level for each in shown] == [0, 3, 1, 0, 0, 0]


def test_a_consumer_shows_its_lag_its_rate_and_what_it_loses_of_the_minute() -> None:
    gauges = FlowGauges()
    gauges.sample([consumer("a", lag=5, delivered=10)], {"a": 5}, 100, 1)
    (flow,) = gauges.sample([consumer("a", lag=50, delivered=30, in_gaps=7)], {"a": 40}, 100, 2)

    assert (flow.lag, flow.per_second, flow.in_gaps) == ((5, 50, 50), (10, 10, 10), (0, 4, 4))
    assert (flow.fullest, flow.rate, flow.losing) == (0.4, 10, True)


def test_consumers_of_one_name_are_told_apart_and_one_that_left_is_forgotten() -> None:
    gauges = FlowGauges()
    two = [consumer("sse", delivered=10), consumer("sse", delivered=100)]
    gauges.sample(two, {}, 100, 1)
    flows = gauges.sample(two, {}, 100, 1)
    assert [flow.per_second for flow in flows] == [(10, 0), (100, 0)]

    gauges.sample([], {}, 100, 1)
    (flow,) = gauges.sample(two[:1], {}, 100, 1)
    assert flow.per_second == (10,)


def test_of_one_whose_runs_are_not_told_all_its_lag_counts() -> None:
    (flow,) = FlowGauges().sample([consumer("sse", lag=30)], {"other": 90}, 100, 1)

    assert flow.fullest == 0.3
