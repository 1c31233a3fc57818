"""Reads what stores, record files and servers hold, with plain SQL and JSON, no reader of ours."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import duckdb
import redis

_EVENTS: Final = """
SELECT run_id, epoch, seq, kind,
       coalesce(payload->>'$.text', payload->>'$.label', payload->>'$.reason')
FROM events ORDER BY run_id, epoch, seq
"""
_GAPS: Final = "SELECT run_id, epoch, from_seq, to_seq, reason FROM gaps"
_PAGE: Final = 1_000


@dataclass(frozen=True)
class Event:
    """A stored event; `text` is what its producer made for it."""

    epoch: int
    seq: int
    kind: str
    text: str | None

    @property
    def place(self) -> tuple[int, int, int]:
        return self.epoch, self.seq, 1


@dataclass(frozen=True)
class Gap:
    """A recorded loss."""

    epoch: int
    first: int
    last: int
    reason: str

    @property
    def place(self) -> tuple[int, int, int]:
        return self.epoch, self.first, 0

    @property
    def unknown(self) -> bool:
        """Whether it claims no number: "at least"."""
        return self.reason == "unknown"

    @property
    def length(self) -> int:
        return max(0, self.last - self.first + 1)


@dataclass
class Holding:
    """What one place holds.

    Attributes:
        items: Events and gaps of each run; a store's by position, a file's as written.
        totals: Events and lost by the store's own totals of each run; None of other places.
        quarantined: Entries set aside as no event.
    """

    name: str
    items: dict[str, list[Event | Gap]] = field(default_factory=dict)
    totals: dict[str, tuple[int, int]] | None = None
    quarantined: int = 0

    def add(self, run: str, item: Event | Gap) -> None:
        self.items.setdefault(run, []).append(item)

    def newest(self, run: str) -> tuple[int, int]:
        """Epoch and seq up to which it accounts for the run."""
        return max(
            ((each.epoch, each.seq if isinstance(each, Event) else each.last)
             for each in self.items.get(run, [])),
            default=(0, 0),
        )  # fmt: skip


def read_store(path: Path, name: str) -> Holding:
    """Everything a store's file holds; nobody else may have it open."""
    holding = Holding(name)
    with duckdb.connect(str(path)) as connection:
        for run, epoch, seq, kind, text in connection.execute(_EVENTS).fetchall():
            holding.add(run, Event(epoch, seq, kind, text))
        for run, epoch, first, last, reason in connection.execute(_GAPS).fetchall():
            holding.add(run, Gap(epoch, first, last, reason))
        rows = connection.execute("SELECT run_id, events, lost FROM runs").fetchall()
        holding.totals = {run: (events, lost) for run, events, lost in rows}
        counted = connection.execute("SELECT count(*) FROM quarantine").fetchone()
        holding.quarantined = counted[0] if counted else 0
    for items in holding.items.values():
        items.sort(key=lambda each: each.place)
    return holding


def read_record(path: Path, name: str) -> Holding:
    """Everything in a record file, without the line that is being written."""
    holding = Holding(name)
    data = path.read_bytes() if path.exists() else b""
    for line in data.rpartition(b"\n")[0].splitlines():
        fields = json.loads(line)
        holding.add(fields["run_id"], item_of(fields))
    return holding


def item_of(fields: dict[str, Any]) -> Event | Gap:
    """What a flat JSON line says."""
    if fields["kind"] == "gap":
        return Gap(fields["epoch"], fields["from_seq"], fields["to_seq"], fields["reason"])
    text = next((fields[key] for key in ("text", "label", "reason") if fields.get(key)), None)
    return Event(fields["epoch"], fields["seq"], fields["kind"], text)


def read_server(url: str) -> Holding:
    """All events in a server's streams."""
    holding = Holding("server")
    with redis.Redis.from_url(url, protocol=2) as client:
        for key in client.scan_iter("arena:*:events", count=1_000):
            run, after = key.decode().split(":")[1], "-"
            while page := client.xrange(key, after, "+", _PAGE):
                for raw_id, entry in page:
                    epoch, _, seq = raw_id.decode().partition("-")
                    fields = json.loads(entry[b"e"]) | {"epoch": int(epoch), "seq": int(seq)}
                    holding.add(run, item_of(fields))
                after = f"({page[-1][0].decode()}"
    return holding
