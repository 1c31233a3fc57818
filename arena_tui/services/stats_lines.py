"""The accounts as JSON lines: what the Broker screen shows, for scripts. Counts nothing.

A round is one `broker` line, then a line for each `consumer` and each `run`, those in most trouble
first, then the `store`, the `server` and the `loop` where there is one. Every line has all its
keys; null stands for what nobody knows there. Counts are events unless the key says otherwise;
`_s`, `_ms`, `_bytes` and `_per_s` are units. `level` is one of `LEVELS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from arena_tui.folds.accounts import Account, Discrepancy
from arena_tui.store.owner import Attached

STATS: Final = "/stats"
"""Where a server answers with one round."""

LEVELS: Final = ("calm", "raised", "high", "full")
"""By how many of the configured marks a gauge is at, or above."""


class BrokerLine(Struct, frozen=True, kw_only=True, tag_field="type", tag="broker"):
    """The broker of the process that was asked; all null where nobody has the store open.

    Attributes:
        at: When the figures were taken, UTC.
        published: Since that process began: `published == held + trimmed + let_go + not_held`.
        overflow: Lost by any durable consumer since then, each once.
        capacity: Of each run.
        link: What is wrong with the connection to the server.
        unsent: Accepted there, and not on the server yet.
        warned: How many warnings there were of each code.
        attached: The other processes that use the store, and as what.
        discrepancies: The accounts that do not add up.
    """

    at: datetime
    name: str | None = None
    published: int | None = None
    held: int | None = None
    trimmed: int | None = None
    let_go: int | None = None
    not_held: int | None = None
    overflow: int | None = None
    capacity: int | None = None
    link: str | None = None
    unsent: int | None = None
    refused: int | None = None
    failures: int | None = None
    warned: Mapping[str, int] = {}
    attached: tuple[Attached, ...] = ()
    discrepancies: tuple[Discrepancy, ...] = ()


class ConsumerLine(Struct, frozen=True, kw_only=True, tag_field="type", tag="consumer"):
    """One consumer, since it began to read: `published == delivered + in_gaps + skipped +
    in_flight`; of a durable one also `published == stored + already_stored + lag + lost`.

    Of one that another process runs, only what the server knows: `lag`, `level`, `silent_s`.

    Attributes:
        where: `here`, or `server` for one that another process runs.
        in_flight: Not delivered yet; in_hand: delivered, and not handled yet.
        lag: Not acked yet or, of one that is not durable, not delivered; lag_peak: its most.
        lag_s: Age of the oldest event that is not delivered.
        capacity_used: The largest share of a run's capacity that it has yet to ack, or to read.
        silent_s: Since its last ack; null when that has expired.
    """

    name: str
    where: str
    durable: bool
    state: str | None = None
    level: str
    published: int | None = None
    delivered: int | None = None
    in_gaps: int | None = None
    skipped: int | None = None
    in_flight: int | None = None
    in_hand: int | None = None
    lag: int
    lag_s: float | None = None
    lag_peak: int | None = None
    stored: int | None = None
    already_stored: int | None = None
    lost: int | None = None
    lost_unknown: int | None = None
    overflow: int | None = None
    capacity_used: float
    delivered_per_s: int | None = None
    failures: int | None = None
    last_error: str | None = None
    silent_s: float | None = None


class RunLine(Struct, frozen=True, kw_only=True, tag_field="type", tag="run"):
    """One run. Where there is a store: `published == stored + in_flight + lost`, of all its epochs;
    as `verify` has it. Where a broker holds it: its log there.

    Attributes:
        state: `open`, `silent` or `closed`; null when no broker holds it.
        epoch, last_seq: Its newest event.
        held, capacity, high_water, trimmed: Of its log in the process that was asked.
        lag: Not acked by the slowest durable consumer there.
        losing: Whether it lost events within the minute.
    """

    run_id: str
    title: str
    state: str | None = None
    level: str | None = None
    epoch: int
    last_seq: int
    published: int | None = None
    stored: int | None = None
    in_flight: int | None = None
    lost: int | None = None
    lost_unknown: int | None = None
    held: int | None = None
    capacity: int | None = None
    high_water: int | None = None
    trimmed: int | None = None
    overflow: int | None = None
    lag: int | None = None
    losing: bool | None = None
    published_per_s: int | None = None


class StoreLine(Struct, frozen=True, kw_only=True, tag_field="type", tag="store"):
    """The store, with all its runs: `published == stored + in_flight + lost`.

    Attributes:
        state, last_error, batch, commit_p50_ms, commit_p99_ms, stored_per_s: Of what fills it;
            null when it is not filled by the process that was asked.
        full_in_s: Until its disk is full at the rate of the last minutes.
    """

    path: str
    runs: int
    published: int
    stored: int
    in_flight: int
    lost: int
    lost_unknown: int
    state: str | None = None
    last_error: str | None = None
    batch: int | None = None
    commit_p50_ms: float | None = None
    commit_p99_ms: float | None = None
    stored_per_s: int | None = None
    store_bytes: int | None = None
    wal_bytes: int | None = None
    growth_bytes_per_day: float | None = None
    free_bytes: int | None = None
    full_in_s: float | None = None

    @property
    def account(self) -> Account:
        """What became of all events of its runs."""
        return Account(
            published=self.published, stored=self.stored, in_flight=self.in_flight,
            lost=self.lost, lost_unknown=self.lost_unknown,
        )  # fmt: skip


class ServerLine(Struct, frozen=True, kw_only=True, tag_field="type", tag="server"):
    """See `ServerStats`."""

    product: str
    version: str
    ping_ms: float
    memory_bytes: int | None
    memory_max_bytes: int | None
    policy: str | None
    aof: bool | None
    clients: int | None


class LoopLine(Struct, frozen=True, kw_only=True, tag_field="type", tag="loop"):
    """The event loop of the process that was asked; see `LoopGauge`.

    Attributes:
        late_ms, late_peak_ms: How late it was at worst in the last second, and in the last minute.
        held_back: Producers that wait for room.
    """

    late_ms: float
    late_peak_ms: float
    queued: int
    queued_peak: int
    held_back: int
    held_back_s: float
    unsent: int


Line: TypeAlias = BrokerLine | ConsumerLine | RunLine | StoreLine | ServerLine | LoopLine

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)


def encode_round(lines: Sequence[Line]) -> bytes:
    """The lines as JSON, each with its newline."""
    return _encoder.encode_lines(lines)


def decode_round(text: bytes) -> list[Line]:
    """The inverse of `encode_round`."""
    return _decoder.decode_lines(text)
