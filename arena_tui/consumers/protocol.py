"""The contract between consumers and their caller. No implementation lives here.

Guarantees to a consumer, kept by `services.consumption`:

1.  Batches come in order and one at a time: per run, seqs strictly increase, and a `Gap` stands in
    place of events that can no longer be read.
2.  A batch whose `handle` raised is retried, unchanged, after a backoff, until it succeeds:
    delivery is at least once.
3.  A batch is acked only after `handle` has returned, up to the cursors it returned. A consumer
    that stores its cursors atomically with its data, and skips what they cover, applies every
    event exactly once, whatever crashes when.
4.  `start` is called before the first batch and `aclose` after the last. A restart calls `aclose`,
    then `start`; deliveries resume after the cursors that `start` returns.
5.  A failing or slow consumer falls behind and eventually gets a gap. It delays no other consumer,
    no producer and not the broker.

Everything is called on the broker's event loop: run what blocks in a thread. `handle` may be
cancelled at shutdown; its batch then counts as not handled.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from arena_tui.broker.protocol import Cursor, Start
from arena_tui.events import Delivery

ConsumerState: TypeAlias = Literal["starting", "ok", "error", "stopped"]


class Consumer(Protocol):
    """Processes the events of all runs, or of some. See the module for the guarantees.

    Attributes:
        name: Used in logs and counters; unique among the durable consumers of a broker.
        durable: Whether the broker holds events, as long as it can, until they are acked.
        batch_events: A batch is handed over at this many events,
        batch_interval_s: or when its oldest event has waited this long.
        unfinished: Runs it was reading when it stopped last, set by `start`. Of one that a shared
            broker no longer has, it is handed a gap of unknown length.
        identity: The name by which a server knows a durable one across restarts; empty: `name`.
            Two of one identity are the same consumer to it, in two processes, too: name the place
            of its cursors. None: these do not outlive it.
    """

    name: str
    durable: bool
    batch_events: int
    batch_interval_s: float
    unfinished: Collection[str] = ()
    identity: str | None = ""

    @abstractmethod
    async def start(self) -> Start:
        """Get ready; returns where to start: its own cursors, `oldest` or `newest`."""
        ...

    @abstractmethod
    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        """Process a batch; returns the cursor to ack for each of its runs, none if not durable.

        Raises:
            Exception: Of any type; the batch is retried.
        """
        ...

    @abstractmethod
    def stats(self) -> Struct:
        """Its current counters."""
        ...

    async def aclose(self) -> None:
        """Release what `start` opened. Idempotent; does nothing by default."""
        return


class Health(Struct, frozen=True, kw_only=True):
    """Health of a consumer.

    Attributes:
        state: `error` from a failure until the next success.
        failures: Number of times that start, subscription, `handle` or `aclose` failed.
        last_error: Why the last attempt failed; None once one succeeded.
    """

    state: ConsumerState
    failures: int
    last_error: str | None
