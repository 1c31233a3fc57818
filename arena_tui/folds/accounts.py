"""Where every event is. Pure; whoever shows such a figure takes it from here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from arena_tui.broker.stats import BrokerStats, RunStats

Equation: TypeAlias = Literal[
    "published = held + trimmed + let go + not held",
    "published = delivered + in gaps + skipped + in flight",
    "published = kept + skipped + in flight",
    "not acked <= in flight",
]
"""What must hold at any time, of the broker and of each consumer."""


class Account(Struct, frozen=True, kw_only=True):
    """What became of the events published to a durable consumer, in one run or in all:
    `published == stored + already_stored + in_flight + lost`.

    Attributes:
        stored: Acked, and new to it.
        already_stored: Published again, a file's lines say, though it had them already.
        in_flight: Not acked yet.
        lost: Acked as gaps.
        lost_unknown: Gaps of unknown length; none of their events is in `lost`.
    """

    published: int = 0
    stored: int = 0
    already_stored: int = 0
    in_flight: int = 0
    lost: int = 0
    lost_unknown: int = 0

    def __str__(self) -> str:
        """`published 90,312 = stored 90,201 + in flight 111 + lost 0, and an unknown number`;
        `+ already stored 12` only when there are any."""
        already = f"already stored {self.already_stored:,} + " if self.already_stored else ""
        return (
            f"published {self.published:,} = stored {self.stored:,} + {already}"
            f"in flight {self.in_flight:,} + lost {self.lost:,}"
            + (", and an unknown number" if self.lost_unknown else "")
        )


def account_of(
    published: int, unacked: int, lost: int, lost_unknown: int = 0, already: int = 0
) -> Account:
    """The account of all runs; `lost`, `lost_unknown` and `already` are the consumer's counters.

    They are read at slightly different times: what does not add up yet counts as in flight.
    """
    rest = max(0, published - lost)
    in_flight = min(unacked, rest)
    already = min(already, rest - in_flight)
    return Account(
        published=published, stored=rest - in_flight - already, already_stored=already,
        in_flight=in_flight, lost=published - rest, lost_unknown=lost_unknown,
    )  # fmt: skip


def run_account(stats: RunStats, consumer: str) -> Account:
    """The account of one run with a durable consumer, as far as this process has seen it."""
    published = stats.held + stats.trimmed
    for each in stats.consumers:
        if each.name == consumer:
            return account_of(published, each.lag, each.overflow)
    return Account(published=published, stored=published)


def stored_account(stored: int, in_flight: int, lost: int, lost_unknown: int = 0) -> Account:
    """The account of a run by what is stored of it, and what a broker has beyond that."""
    return Account(
        published=stored + in_flight + lost, stored=stored, in_flight=in_flight, lost=lost,
        lost_unknown=lost_unknown,
    )  # fmt: skip


class Keeper(Protocol):
    """A consumer as its account needs it; see `ConsumerStats` and `ConsumerInfo`."""

    @property
    def name(self) -> str: ...
    @property
    def published(self) -> int: ...
    @property
    def delivered(self) -> int: ...
    @property
    def in_gaps(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    @property
    def lag(self) -> int: ...
    @property
    def unacked(self) -> int: ...
    @property
    def in_hand(self) -> int: ...
    @property
    def kept(self) -> int | None: ...


class Discrepancy(Struct, frozen=True):
    """An account that does not add up.

    Attributes:
        account: Whose: `broker`, or a consumer's name.
        equation: What does not hold.
        expected: Events published or, of the last equation, in flight.
        found: Events counted where they are held, read, kept or acked.
    """

    account: str
    equation: Equation
    expected: int
    found: int


def discrepancies(stats: BrokerStats, consumers: Iterable[Keeper]) -> list[Discrepancy]:
    """The accounts that do not add up. Both were sampled without a wait in between."""
    held = sum(each.held for each in stats.runs)
    found = [
        Discrepancy("broker", "published = held + trimmed + let go + not held", stats.published,
                    held + stats.trimmed + stats.let_go + stats.unheld)
    ]  # fmt: skip
    for each in consumers:
        read = each.delivered + each.in_gaps + each.skipped
        found.append(Discrepancy(each.name, "published = delivered + in gaps + skipped + in flight",
                                 each.published, read + each.lag))  # fmt: skip
        if each.kept is not None:
            in_flight = each.lag + each.in_hand
            kept = each.kept + each.skipped
            found.append(Discrepancy(each.name, "published = kept + skipped + in flight",
                                     each.published, kept + in_flight))  # fmt: skip
            # Less than that: what ends a stream lost upstream is in no log to be acked.
            found.append(Discrepancy(each.name, "not acked <= in flight",
                                     in_flight, max(in_flight, each.unacked)))  # fmt: skip
    return [each for each in found if each.expected != each.found]
