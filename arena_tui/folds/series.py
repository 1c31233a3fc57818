"""How a figure of each agent went over a run's turns, in equal slices. Reads nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from arena_tui.events import ActionResult, Delivery, Envelope, LlmResponse, Metric
from arena_tui.folds.totals import together

REWARD: Final = "reward"
TOKENS: Final = "tokens"
COST: Final = "cost"
METRIC: Final = "metric "
"""What the name of a metric's figure begins with."""
METRICS_MAX: Final = 3
"""Most metrics that are looked at, those given most often."""


class Turns(Struct, frozen=True, kw_only=True):
    """The turns from `first` to `last`, both inclusive, in at most `slices` slices: one a turn
    where there is room for that."""

    first: int
    last: int
    slices: int

    @property
    def count(self) -> int:
        """How many slices there are."""
        return max(1, min(self.slices, self.last - self.first + 1))

    def slice_of(self, turn: int) -> int:
        """The slice that a turn lies in; the nearest of a turn outside."""
        turns = self.last - self.first + 1
        return max(0, min(self.count - 1, (turn - self.first) * self.count // max(1, turns)))


class Point(Struct, kw_only=True):
    """A figure of an agent in one slice: its sum, how many there were, and the newest."""

    total: float = 0.0
    count: int = 0
    newest: float = 0.0


class Series(Struct, frozen=True, kw_only=True):
    """One figure over the turns.

    Attributes:
        name: `reward` (all until then), `tokens` or `cost` (of one answer, on average), or that of
            a metric (its newest value).
        lines: By agent, or "" of none; a value a slice, None before the first.
    """

    name: str
    turns: Turns
    lines: Mapping[str, tuple[float | None, ...]]

    @property
    def low(self) -> float:
        """The least of all values and 0."""
        return min((each for each in self._values() if each < 0), default=0.0)

    @property
    def high(self) -> float:
        """The greatest of all values and 0."""
        return max((each for each in self._values() if each > 0), default=0.0)

    def _values(self) -> Iterator[float]:
        return (each for line in self.lines.values() for each in line if each is not None)


def series_of(deliveries: Iterable[Delivery], slices: int) -> Series | None:
    """The series of deliveries, in order; see `best_series`."""
    events = [each.event for each in deliveries if isinstance(each, Envelope)]
    numbers = [event.turn for event in events if event.turn is not None]
    if not numbers:
        return None
    turns = Turns(first=min(numbers), last=max(numbers), slices=slices)
    points: dict[tuple[str, str, int], Point] = {}
    for event in events:
        if event.turn is not None and type(event) in _TELLING:
            for name, value in _figures(event):
                key = name, event.agent_id or "", turns.slice_of(event.turn)
                point = points.setdefault(key, Point())
                point.total += value
                point.count += 1
                point.newest = value
    return best_series(points, turns)


def best_series(points: Mapping[tuple[str, str, int], Point], turns: Turns) -> Series | None:
    """The figure that tells most of a run: the first that changes of reward, a metric (the one
    given most often), tokens and cost; None where none does.

    Args:
        points: By figure, agent and slice.
    """
    given: Counter[str] = Counter()
    for (name, _, _), point in points.items():
        given[name] += point.count
    metrics = sorted((name for name in given if name.startswith(METRIC)),
                     key=lambda name: (-given[name], name))  # fmt: skip
    for name in (REWARD, *metrics[:METRICS_MAX], TOKENS, COST):
        lines = {agent: _line(points, name, agent, turns) for agent in
                 sorted({agent for each, agent, _ in points if each == name})}  # fmt: skip
        if len({value for line in lines.values() for value in line if value is not None}) > 1:
            return Series(name=name.removeprefix(METRIC), turns=turns, lines=lines)
    return None


def _line(
    points: Mapping[tuple[str, str, int], Point], name: str, agent: str, turns: Turns
) -> tuple[float | None, ...]:
    values: list[float | None] = []
    value: float | None = None
    for index in range(turns.count):
        if (point := points.get((name, agent, index))) is not None:
            if name == REWARD:
                value = (value or 0.0) + point.total
            else:
                value = point.newest if name.startswith(METRIC) else point.total / point.count
        values.append(value)
    return tuple(values)


def _figures(event: object) -> Iterator[tuple[str, float]]:
    found: list[tuple[str, float | None]] = []
    if isinstance(event, ActionResult):
        found = [(REWARD, event.reward)]
    elif isinstance(event, Metric):
        found = [(METRIC + event.name, event.value)]
    elif isinstance(event, LlmResponse):
        found = [(TOKENS, together(event.input_tokens, event.output_tokens)),
                 (COST, event.cost_usd)]  # fmt: skip
    return ((name, value) for name, value in found if value is not None and math.isfinite(value))


_TELLING = frozenset({ActionResult, Metric, LlmResponse})
