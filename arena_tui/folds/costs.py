"""What runs cost: as their producers say, else estimated from tokens by price. Pure.

Knows no prices: whoever asks brings a `PriceList`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import reduce
from typing import Final, Literal, Protocol, TypeAlias

from msgspec import Struct

from arena_tui.events import LlmResponse
from arena_tui.folds.totals import Usage, together
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
"""Combinations of game, agent and model that are kept; what comes on top is of the `others`."""

_Key: TypeAlias = tuple[str, str, str]
"""Game, agent and model; empty where they are not told."""
_Sums: TypeAlias = dict[_Key, Usage]
_OTHERS: Final[_Key] = ("others", "others", "")


class PriceList(Protocol):
    """Prices, as far as they are known by now.

    Attributes:
        version: Changes when a price becomes known.
        pending: Whether some are being looked up.
    """

    @property
    def version(self) -> int: ...

    @property
    def pending(self) -> bool: ...

    def of(self, model: str) -> Price | None:
        """The price of a model; None while it is unknown. Never blocks."""


class NoPrices:
    """Knows no price: nothing is estimated."""

    version = 0
    pending = False

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

    @property
    def tokens(self) -> int | None:
        """Input and output together."""
        return together(self.input_tokens, self.output_tokens)


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
    """What a session has used, by game, agent and model, and when, as far as that tells a rate. It
    has no part in how long runs are kept: what they used stays in the sums."""

    def __init__(self) -> None:
        self._recent: dict[int, dict[_Key, Usage]] = {}  # by slice of time, of the events' clock
        self._before: dict[_Key, Usage] = {}

    def add(self, game: str, response: LlmResponse) -> None:
        """Add what one answer used."""
        at = int(response.ts.timestamp()) // _SLICE_S
        slice_ = self._recent.get(at)
        if slice_ is None:
            slice_ = self._recent[at] = {}
        key = (game, response.agent_id or "", response.model or "")
        usage = slice_.get(key)
        if usage is None:
            usage = slice_[key] = Usage()
        usage.add(response)

    def session(self, prices: PriceList, now: datetime) -> SessionCost:
        """The sums, and the rate as of `now`. What is too old for a rate is summed up; call it now
        and then."""
        newest = int(now.timestamp()) // _SLICE_S
        for at in [at for at in self._recent if not newest - _SLICES < at <= newest]:
            for key, usage in self._recent.pop(at).items():
                known = key in self._before or len(self._before) < _MOST
                self._before.setdefault(key if known else _OTHERS, Usage()).add_usage(usage)
        recent = cost_of(_by_model(self._recent.values()), prices)
        total = cost_of(_by_model([self._before]), prices).plus(recent)
        if not self._recent:
            return SessionCost(total=total)
        over_s = max(_LEAST_S, now.timestamp() - min(self._recent) * _SLICE_S)
        return SessionCost(total=total, an_hour=recent.times(_HOUR_S / over_s), over_s=over_s)

    def total(self, prices: PriceList) -> Spent:
        """All of it."""
        return spent("", _by_model(self._all()), prices)

    def by(self, group: Literal["agent", "model", "game"], prices: PriceList) -> list[Spent]:
        """The same, grouped, the dearest first."""
        place = ("game", "agent", "model").index(group)
        groups: dict[str, list[tuple[str, Usage]]] = {}
        for sums in self._all():
            for key, usage in sums.items():
                groups.setdefault(key[place], []).append((key[2], usage))
        return dearest_first(spent(name, used, prices) for name, used in groups.items())

    def _all(self) -> Iterable[_Sums]:
        return [self._before, *self._recent.values()]


def _by_model(some: Iterable[_Sums]) -> Iterator[tuple[str, Usage]]:
    return ((key[2], usage) for sums in some for key, usage in sums.items())


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
        tokens = row.tokens or 0
        return row.cost.usd is None, -(row.cost.usd or 0.0), -tokens, row.name

    return sorted(rows, key=dear)


def sum_of(costs: Iterable[Cost]) -> Cost:
    """All of them together."""
    return reduce(Cost.plus, costs, Cost())


def _sum(total: float | None, more: float | None) -> float | None:
    return total if more is None else (total or 0.0) + more
