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
    then `start`; deliveries resume after the cursors that `start` returns, and nothing before them
    is delivered.
5.  A failing or slow consumer falls behind and eventually gets a gap. It delays no other consumer,
    no producer and not the broker.

Everything is called on the broker's event loop: run what blocks in a thread. `handle` may be
cancelled at shutdown; its batch then counts as not handled.
"""

from __future__ import annotations

import os
import socket
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from arena_tui.broker.protocol import BrokerProtocol, Cursor, Start
from arena_tui.broker.stats import ConsumerStats
from arena_tui.config import Config, consumers_path
from arena_tui.errors import ConsumerError
from arena_tui.events import Delivery
from arena_tui.folds.accounts import Account, account_of

if TYPE_CHECKING:
    from arena_tui.store.history import History  # DuckDB takes 100 ms to import

ConsumerState: TypeAlias = Literal["starting", "ok", "error", "stopped"]


class Counters(Struct, frozen=True, kw_only=True):
    """What a consumer counts itself, since its creation; a subclass adds what is its own.

    Attributes:
        lost: Events in the gaps it has handled.
        lost_unknown: Gaps of unknown length; none of their events is in `lost`.
        repeated: Events it was handed and had already.
    """

    lost: int = 0
    lost_unknown: int = 0
    repeated: int = 0

    @property
    def kept(self) -> int | None:
        """All events it has handled for good, those in gaps included; None: it does not count."""
        return None


@runtime_checkable
class Consumer(Protocol):
    """Processes the events of all runs, or of some. See the module for the guarantees.

    Attributes:
        name: Used in logs and counters; unique among the durable consumers of a broker.
        durable: Whether the broker holds events, as long as it can, until they are acked.
        runs: The runs to subscribe to, which the broker must hold by then; None: all, including
            future ones.
        group: The name under which figures of all such consumers are added up where they come and
            go, with clients or runs say, so that their names have no end; empty: each its own.
        polled: Whether deliveries are handled only when the runtime's `catch_up` is called.
        batch_events: A batch is handed over at this many events,
        batch_interval_s: or when its oldest event has waited this long.
        batch_max: Most events of a batch, for one that has fallen behind; it holds them all.
        unfinished: Runs it was reading when it stopped last, set by `start`. Of one that a shared
            broker no longer has, it is handed a gap of unknown length.
        identity: The name by which a server knows a durable one across restarts; empty: `name`.
            Two of one identity are the same consumer to it, in two processes, too: name the place
            of its cursors. None: these do not outlive it.
        resumes: Whether what it has not acked when it stops is handed to it at its next start, be
            it from the store: then nobody who leaves waits for it while it fails.
    """

    name: str
    durable: bool
    runs: Collection[str] | None = None
    group: str = ""
    polled: bool = False
    batch_events: int = 1_000
    batch_max: int = 10_000
    batch_interval_s: float = 0.2
    unfinished: Collection[str] = ()
    identity: str | None = ""
    resumes: bool = False

    @abstractmethod
    async def start(self) -> Start:
        """Get ready; returns where to start: its own cursors, `oldest` or `newest`."""

    @abstractmethod
    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        """Process a batch; returns the cursor to ack for each of its runs, none if not durable.

        Raises:
            Exception: Of any type; the batch is retried.
        """

    def stats(self) -> Counters:
        """Its current counters."""
        return Counters()

    async def aclose(self) -> None:
        """Release what `start` opened. Idempotent; does nothing by default."""
        return


class Context:
    """What a consumer may use of the runtime it runs in.

    Attributes:
        broker: The broker it reads.
        config: The settings in force.

    Args:
        history: Gives the store's reader.
        place: A subfolder of every consumer's folder; empty: none.
    """

    def __init__(
        self,
        broker: BrokerProtocol,
        config: Config,
        history: Callable[[], History | None] = lambda: None,
        place: str = "",
    ) -> None:
        self.broker = broker
        self.config = config
        self._history = history
        self._place = place

    @property
    def history(self) -> History | None:
        """The store's reader; None while no store is open."""
        return self._history()

    def folder(self, name: str) -> Path:
        """The folder for the own state of the consumer of this name, made if missing.

        Raises:
            ConsumerError: The name is none of a folder.
        """
        if not name or name.startswith(".") or Path(name).name != name:
            raise ConsumerError(f"{name!r} cannot be the name of a folder: use letters and digits")
        folder = consumers_path() / name / self._place
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def at(self, place: str) -> Context:
        """The same, but with folders of the consumers for this place alone."""
        return Context(self.broker, self.config, self._history, place)


def identity_in(path: str | os.PathLike[str], role: str) -> str:
    """The identity of the consumer that keeps its cursors in this file of this machine."""
    return f"{socket.gethostname()}:{os.path.realpath(path)} {role}"


ConsumerFactory: TypeAlias = Callable[[Context], Consumer]
"""Makes a consumer for one runtime; the consumer's class, when it takes nothing but the context."""


class ConsumerInfo(ConsumerStats, frozen=True, kw_only=True):
    """A snapshot of one consumer as it runs, in events.

    Attributes:
        state: `error` from a failure until the next success.
        failures: How often start, subscription, `handle` or `aclose` failed.
        last_error: Why the last attempt failed; None once one succeeded.
        unacked: Published and not acked; 0 if it is not durable.
        stats: Its own counters.
        group, identity: See `Consumer`.
        kept: See `Counters`, but since it subscribed.
        in_hand: Delivered, and not handled yet.
    """

    state: ConsumerState
    failures: int
    last_error: str | None
    unacked: int
    stats: Counters
    group: str = ""
    identity: str = ""
    kept: int | None = None
    in_hand: int = 0

    @property
    def acked(self) -> int:
        """Acked, or before its start cursors; 0 if it is not durable."""
        return max(0, self.published - self.unacked) if self.durable else 0

    def account(self, published: int) -> Account:
        """Where `published` events are, by what this durable consumer has of them."""
        own = self.stats
        already = self.skipped + own.repeated
        return account_of(published, self.unacked, own.lost, own.lost_unknown, already)
