"""What every consumer promises and is promised. No implementation lives here.

Promises to a consumer, which `services.consumption` keeps:

1.  Batches come in order and one at a time: per run, seqs strictly increase, and a `Gap` stands in
    place of events that cannot be had any more.
2.  A batch whose handling raised is handed over again, unchanged, after a backoff, until it is
    taken: every event at least once.
3.  A batch is acked after `handle` returned, never before, up to the cursors it returned. A
    consumer that keeps its cursors together with its data, and leaves out what they cover, has
    every event exactly once, whatever is killed when.
4.  `start` is called before the first batch and `aclose` after the last; both again, in this order,
    when the consumer is restarted. Deliveries then begin after the cursors that `start` returns.
5.  A consumer that fails or is slow falls behind and is handed a gap in the end. It delays no
    other consumer, no producer, and not the broker.

Everything is called on the broker's loop: what blocks belongs into a thread. `handle` may be
cancelled when the process ends; its batch then counts as not taken.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from arena_tui.broker.protocol import Cursor, Start
from arena_tui.events import Delivery

__all__ = ["Consumer", "ConsumerState", "Health"]

ConsumerState: TypeAlias = Literal["starting", "ok", "error", "stopped"]


class Consumer(Protocol):
    """A cursor on every run, or on some, and what becomes of the events. See the module.

    Attributes:
        name: In logs and counters; unique among the durable consumers of a broker.
        durable: Whether the broker is to hold events, as long as it can, until they are acked.
        batch_events: A batch is handed over at this many events,
        batch_interval_s: or when its oldest event has waited this long.
    """

    name: str
    durable: bool
    batch_events: int
    batch_interval_s: float

    @abstractmethod
    async def start(self) -> Start:
        """Get ready; returns where to begin: its own cursors, `oldest` or `newest`."""
        ...

    @abstractmethod
    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        """Take a batch; returns how far each of its runs is safely kept, nothing when not durable.

        Raises:
            Exception: Whatever it is, the batch comes again.
        """
        ...

    @abstractmethod
    def stats(self) -> Struct:
        """Its own counters, now."""
        ...

    async def aclose(self) -> None:
        """Let go of what `start` opened. Idempotent; nothing to do for most."""
        return


class Health(Struct, frozen=True, kw_only=True):
    """How a consumer fares.

    Attributes:
        state: `error` from a failure until a batch is taken again.
        failures: Of its start, its subscription and its handling; each is tried again.
        last_error: Why the last try failed; None once one succeeded.
    """

    state: ConsumerState
    failures: int
    last_error: str | None
