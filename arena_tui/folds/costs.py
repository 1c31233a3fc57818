"""What runs cost: as their producers say, else estimated from tokens by price. Pure.

Knows no prices: whoever asks brings a `PriceList`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from typing import Final, Literal, Protocol

from msgspec import Struct

from arena_tui.events import LlmResponse
from arena_tui.folds.totals import Usage
from arena_tui.settings import Price

_MILLION: Final = 1e6
_SLICE_S: Final = 10
_SLICES: Final = 60
"""The rate is that of so many slices of time."""
_LEAST_S: Final = 60.0
"""A rate of less time than this would say more than is known."""
_HOUR_S: Final = 3_600.0
_DAY_HOURS: Final = 24
_MOST: Final = 5_000
"""Combinations of game, agent and model; what comes on top is summed up as `others`."""


class PriceList(Protocol):
    """Prices, as far as they are known by now.

    Attributes:
        version: Changes when a price becomes known.
    """

    @property
    def version(self) -> int: ...

    def of(self, model: str) -> Price | None:
        """The price of a model; None while it is unknown. Never blocks."""


class NoPrices:
    """Knows no price: nothing is estimated."""

    version = 0

    def of(self, model: str) -> Price | None:
        return None


class Cost(Struct, frozen=True, kw_only=True):
    """An amount in US dollars.

    Attributes:
        known_usd: What producers gave; None if they gave nothing.
        estimated_usd: What comes on top by tokens and price; None if nothing could be estimated.
        incomplete: Whether some of it is unknown, so that the amount is the least it can be.
    """

    known_usd: float | None = None
    estimated_usd: float | None = None
    incomplete: bool = False

    @property
    def usd(self) -> float | None:
        """Known and estimated together; None is unknown."""
        return _sum(self.known_usd, self.estimated_usd)

    def plus(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(
            known_usd=_sum(self.known_usd, other.known_usd),
            estimated_usd=_sum(self.estimated_usd, other.estimated_usd),
            incomplete=self.incomplete or other.incomplete,
        )

    def times(self, factor: float) -> Cost:
        """So many times as much."""
        return Cost(
            known_usd=None if self.known_usd is None else self.known_usd * factor,
            estimated_usd=None if self.estimated_usd is None else self.estimated_usd * factor,
            incomplete=self.incomplete,
        )


class Spent(Struct, frozen=True, kw_only=True):
    """What one run, agent, model or game has used, or all of them.

    Attributes:
        name: Its name; of a run, its id. Empty where events give none.
        cached_input_tokens, reasoning_tokens: Those among the input, and among the output.
    """

    name: str = ""
    responses: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: Cost = Cost()


class SessionCost(Struct, frozen=True, kw_only=True):
    """What all runs seen by this process have cost, and what they go on to cost.

    Attributes:
        total: Since this process began to watch.
        an_hour: What an hour costs, at the rate of the last `over_s` seconds.
    """

    total: Cost = Cost()
    an_hour: Cost = Cost()
    over_s: float = 0.0

    @property
    def in_an_hour(self) -> Cost:
        """The total in an hour, at this rate."""
        return self.total.plus(self.an_hour)

    @property
    def a_day(self) -> Cost:
        """What a day costs, at this rate."""
        return self.an_hour.times(_DAY_HOURS)


class Spending:
    """What a session has used, by game, agent and model, and in the last minutes by model. It has
    no part in how long runs are kept: what they used stays in the sums."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, str], Usage] = {}
        self._recent: dict[int, dict[str, Usage]] = {}  # by slice of time, of the events' clock

    def add(self, game: str, response: LlmResponse) -> None:
        """Add what one answer used."""
        model = response.model or ""
        key = (game, response.agent_id or "", model)
        usage = self._sums.get(key)
        if usage is None:
            key = key if len(self._sums) < _MOST else ("others", "others", "")
            usage = self._sums.setdefault(key, Usage())
        usage.add(response)
        slice_ = self._recent.setdefault(int(response.ts.timestamp()) // _SLICE_S, {})
        usage = slice_.get(model)
        if usage is None:
            usage = slice_[model] = Usage()
        usage.add(response)

    def session(self, prices: PriceList, now: datetime) -> SessionCost:
        """The sums, and the rate as of `now`; forgets what is too old for a rate."""
        total = cost_of(((model, usage) for (*_, model), usage in self._sums.items()), prices)
        newest = int(now.timestamp()) // _SLICE_S
        oldest = newest - _SLICES + 1
        self._recent = {at: each for at, each in self._recent.items() if oldest <= at <= newest}
        if not self._recent:
            return SessionCost(total=total)
        over_s = max(_LEAST_S, now.timestamp() - min(self._recent) * _SLICE_S)
        recent = cost_of((used for each in self._recent.values() for used in each.items()), prices)
        return SessionCost(total=total, an_hour=recent.times(_HOUR_S / over_s), over_s=over_s)

    def total(self, prices: PriceList) -> Spent:
        """All of it."""
        return spent("", ((key[2], usage) for key, usage in self._sums.items()), prices)

    def by(self, group: Literal["agent", "model", "game"], prices: PriceList) -> list[Spent]:
        """The same, grouped, the dearest first."""
        place = ("game", "agent", "model").index(group)
        groups: dict[str, list[tuple[str, Usage]]] = {}
        for key, usage in self._sums.items():
            groups.setdefault(key[place], []).append((key[2], usage))
        return dearest_first(spent(name, used, prices) for name, used in groups.items())


def cost_of(used: Iterable[tuple[str, Usage]], prices: PriceList) -> Cost:
    """What the usage of each model costs together."""
    known: float | None = None
    estimated: float | None = None
    incomplete = False
    for model, usage in used:
        known = _sum(known, usage.cost_usd)
        if not usage.unpriced:
            continue
        price = prices.of(model) if model else None
        incomplete = incomplete or price is None or usage.unmeasured > 0
        if price is not None and usage.unpriced > usage.unmeasured:
            estimated = _sum(estimated, estimate(usage, price))
    return Cost(known_usd=known, estimated_usd=estimated, incomplete=incomplete)


def estimate(usage: Usage, price: Price) -> float:
    """US dollars for the tokens of which no producer gave the cost."""
    cached = min(usage.unpriced_cached_tokens, usage.unpriced_input_tokens)
    cached_price = price.input if price.cached is None else price.cached
    fresh = usage.unpriced_input_tokens - cached
    dear = fresh * price.input + cached * cached_price + usage.unpriced_output_tokens * price.output
    return dear / _MILLION


def spent(name: str, used: Iterable[tuple[str, Usage]], prices: PriceList) -> Spent:
    """The usage of each model summed up."""
    used = list(used)
    whole = Usage()
    for _, usage in used:
        whole.add_usage(usage)
    return Spent(
        name=name, responses=whole.responses,
        input_tokens=whole.input_tokens, output_tokens=whole.output_tokens,
        cached_input_tokens=whole.cached_input_tokens, reasoning_tokens=whole.reasoning_tokens,
        cost=cost_of(used, prices),
    )  # fmt: skip


def dearest_first(rows: Iterable[Spent]) -> list[Spent]:
    """Sorted by cost; of unknown cost last, by their tokens."""

    def dear(row: Spent) -> tuple[bool, float, int, str]:
        tokens = (row.input_tokens or 0) + (row.output_tokens or 0)
        return row.cost.usd is None, -(row.cost.usd or 0.0), -tokens, row.name

    return sorted(rows, key=dear)


def sum_of(costs: Iterable[Cost]) -> Cost:
    """All of them together."""
    return reduce(Cost.plus, costs, Cost())


def _sum(total: float | None, more: float | None) -> float | None:
    return total if more is None else (total or 0.0) + more
