"""Counts what a server holds, bypassing the broker's own code, and what a reader received."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec
import redis

from arena_tui.broker.protocol import BrokerProtocol, Subscription
from arena_tui.broker.redis.scripts import events_key
from arena_tui.events import Envelope, Gap, LogEvent

FULL = bool(os.environ.get("ARENA_FULL"))
"""Whether to run the long version of the tests."""

CLIENT_NAME = "arena-tui"
_PAGE = 10_000


class Entry(msgspec.Struct, frozen=True):
    """One event on the server; `text` of a log event, else its kind."""

    epoch: int
    seq: int
    text: str


class _Payload(msgspec.Struct):
    kind: str
    text: str | None = None


def entries(url: str, run_id: str) -> Iterator[Entry]:
    """All entries of a run's stream, oldest first."""
    decoder = msgspec.json.Decoder(_Payload)
    with redis.Redis.from_url(url, protocol=2) as client:
        after = "-"
        while page := client.xrange(events_key(run_id), after, "+", _PAGE):
            for raw_id, fields in page:
                epoch, _, seq = raw_id.decode().partition("-")
                event = decoder.decode(fields[b"e"])
                yield Entry(int(epoch), int(seq), event.text or event.kind)
            after = f"({page[-1][0].decode()}"


def runs_in(url: str) -> list[str]:
    """Run ids in the server's index."""
    with redis.Redis.from_url(url, protocol=2) as client:
        return [fields[b"run"].decode() for _, fields in client.xrange("arena:runs")]


def clients(url: str) -> int:
    """Number of connections from brokers to a server."""
    with redis.Redis.from_url(url, protocol=2) as client:
        return sum(each["name"] == CLIENT_NAME for each in client.client_list())


class Tally:
    """Counts what one reader received, by run.

    Attributes:
        delivered: Events received.
        in_gaps: Events reported as lost in gaps.
        duplicates, jumps: Deliveries that repeated seqs, or skipped some.
        ended: Runs whose `run_end` was received.
        texts: Texts of each run's log events, in order.
    """

    def __init__(self) -> None:
        self.delivered = self.in_gaps = self.duplicates = self.jumps = 0
        self.ended: set[str] = set()
        self.texts: dict[str, list[str]] = {}
        self._cursors: Counter[str] = Counter()

    def take(self, batch: Iterable[Envelope | Gap]) -> None:
        """Count a batch."""
        for each in batch:
            first, last = (each.from_seq, each.to_seq) if isinstance(each, Gap) else (each.seq,) * 2
            expected = self._cursors[each.run_id] + 1
            self.duplicates += first < expected
            self.jumps += first > expected
            self._cursors[each.run_id] = max(last, expected - 1)
            if isinstance(each, Gap):
                self.in_gaps += each.count
                continue
            self.delivered += 1
            if isinstance(each.event, LogEvent):
                self.texts.setdefault(each.run_id, []).append(each.event.text)
            elif each.event.kind == "run_end":
                self.ended.add(each.run_id)

    async def read(self, subscription: Subscription, runs: int) -> None:
        """Read until this many runs have ended."""
        while len(self.ended) < runs:
            self.take(await anext(subscription))

    def __str__(self) -> str:
        return (
            f"delivered {self.delivered:,}, in gaps {self.in_gaps:,}, "
            f"duplicates {self.duplicates:,}, jumps {self.jumps:,}"
        )


async def link_of(broker: BrokerProtocol) -> str | None:
    """The current problem of the broker's connection, or None."""
    return (await broker.stats()).link


async def reached(broker: BrokerProtocol) -> bool:
    """Whether the broker's server responds."""
    return await link_of(broker) is None
