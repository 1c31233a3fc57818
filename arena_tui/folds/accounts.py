"""Where every event is. Pure; whoever shows such a figure takes it from here."""

from __future__ import annotations

from msgspec import Struct

from arena_tui.broker.stats import RunStats


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
