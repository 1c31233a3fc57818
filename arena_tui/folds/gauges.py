"""How full every buffer is, how fast it fills, and who is in trouble: folded from samples. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from arena_tui.broker.protocol import RunInfo, RunState
from arena_tui.broker.stats import BrokerStats, RunStats

SECONDS: Final = 60
"""A minute of history stands behind each figure."""

Marks = tuple[float, float, float]
"""Shares of capacity, in percent, from which on a gauge is raised, high and full."""


def level_of(share: float, marks: Marks) -> int:
    """0 calm, 1 raised, 2 high, 3 full; `share` of the capacity is used."""
    return sum(100 * share >= mark for mark in marks)


class RunGauge(Struct, frozen=True, kw_only=True):
    """One run's log, in events.

    Attributes:
        title: The game, and the label if it has one.
        capacity: What the log holds at most; held: what it holds now.
        high_water: Most it ever held.
        lag: Not yet acked by the slowest durable consumer.
        level: See `level_of`, of the lag; 0 where nothing is durable.
        losing: Whether events were lost within the minute.
        per_second: Events published in each of the last seconds, newest last.
    """

    run_id: str
    title: str
    state: RunState
    held: int
    capacity: int
    high_water: int
    trimmed: int
    overflow: int
    lag: int
    level: int
    losing: bool
    per_second: tuple[int, ...]

    @property
    def fill(self) -> float:
        """The share of its capacity that is held."""
        return self.held / self.capacity

    @property
    def rate(self) -> int:
        """Events a second, newest."""
        return self.per_second[-1] if self.per_second else 0

    @property
    def severity(self) -> tuple[bool, int, bool, int]:
        """The greater, the more trouble; calm runs are all alike, so that they keep their order."""
        return self.losing, self.level, self.overflow > 0, self.lag if self.level else 0


class Flow(Struct, frozen=True, kw_only=True):
    """How one consumer moved in the last minute, a value a second, newest last.

    Attributes:
        lag: Events it had yet to read, or to ack if it is durable.
        per_second: Events it was delivered.
        in_gaps: Events it was told it would never be delivered.
        fullest: Largest share of one run's capacity that it has yet to read, or to ack.
    """

    lag: tuple[int, ...] = ()
    per_second: tuple[int, ...] = ()
    in_gaps: tuple[int, ...] = ()
    fullest: float = 0.0

    @property
    def rate(self) -> int:
        """Events delivered a second, newest."""
        return self.per_second[-1] if self.per_second else 0

    @property
    def losing(self) -> bool:
        """Whether it lost events within the minute."""
        return any(self.in_gaps)


class Growth:
    """A minute of one counter: what it grew by in each second."""

    def __init__(self, total: int) -> None:
        self._total = total
        self.values: deque[int] = deque(maxlen=SECONDS)

    def add(self, total: int, seconds: int) -> None:
        """The counter's new value, after so many seconds; one that began anew begins here, too."""
        grown = max(0, total - self._total)
        self._total = total
        self.values += [round(grown / seconds)] * min(seconds, SECONDS)


class RunGauges:
    """Folds the samples of all runs."""

    def __init__(self) -> None:
        self._published: dict[str, Growth] = {}
        self._lost: dict[str, Growth] = {}

    def sample(
        self, stats: BrokerStats, infos: Iterable[RunInfo], marks: Marks, seconds: int
    ) -> tuple[RunGauge, ...]:
        """The gauges now, those in most trouble first; `seconds` since the last sample, from 1."""
        by_id = {info.meta.run_id: info for info in infos}
        for gone in self._published.keys() - {each.run_id for each in stats.runs}:
            del self._published[gone], self._lost[gone]
        gauges = [
            self._gauge(each, by_id.get(each.run_id), stats.capacity, marks, seconds)
            for each in stats.runs
        ]
        return tuple(sorted(gauges, key=lambda gauge: gauge.severity, reverse=True))

    def _gauge(
        self, stats: RunStats, info: RunInfo | None, capacity: int, marks: Marks, seconds: int
    ) -> RunGauge:
        run_id, published = stats.run_id, stats.held + stats.trimmed
        if run_id not in self._published:
            self._published[run_id], self._lost[run_id] = Growth(0), Growth(0)
        flow, lost = self._published[run_id], self._lost[run_id]
        flow.add(published, seconds)
        lost.add(stats.overflow, seconds)
        lag = max((each.lag for each in stats.consumers), default=0)
        meta = info and info.meta
        return RunGauge(
            run_id=run_id, title=" · ".join(filter(None, (meta.game, meta.label))) if meta else "",
            state=info.state if info else "open", held=stats.held, capacity=capacity,
            high_water=stats.high_water, trimmed=stats.trimmed, overflow=stats.overflow, lag=lag,
            level=level_of(lag / capacity, marks), losing=any(lost.values),
            per_second=tuple(flow.values),
        )  # fmt: skip


class Counted(Protocol):
    """A consumer's counters; see `ConsumerStats`."""

    @property
    def name(self) -> str: ...
    @property
    def durable(self) -> bool: ...
    @property
    def lag(self) -> int: ...
    @property
    def unacked(self) -> int: ...
    @property
    def delivered(self) -> int: ...
    @property
    def in_gaps(self) -> int: ...


class FlowGauges:
    """Folds the samples of all consumers, which are told apart by name and, of one name, by
    order."""

    def __init__(self) -> None:
        self._folds: dict[tuple[str, int], tuple[deque[int], Growth, Growth]] = {}

    def sample(
        self, consumers: Sequence[Counted], fullest: Mapping[str, int], capacity: int, seconds: int
    ) -> list[Flow]:
        """How each of them flows now.

        Args:
            fullest: By name, the events it has yet to ack, or to be delivered, in the run in which
                these are most; of one that is not named, those of all its runs count.
            seconds: Since the last sample, from 1.
        """
        before, self._folds = self._folds, {}
        seen: Counter[str] = Counter()
        flows = []
        for each in consumers:
            key = each.name, seen[each.name]
            seen[each.name] += 1
            known = before.get(key)
            lags, delivered, in_gaps = known or (deque(maxlen=SECONDS), Growth(0), Growth(0))
            self._folds[key] = lags, delivered, in_gaps
            lags += [each.unacked if each.durable else each.lag] * min(seconds, SECONDS)
            delivered.add(each.delivered, seconds)
            in_gaps.add(each.in_gaps, seconds)
            flows.append(Flow(
                lag=tuple(lags), per_second=tuple(delivered.values),
                in_gaps=tuple(in_gaps.values), fullest=fullest.get(each.name, each.lag) / capacity,
            ))  # fmt: skip
        return flows
