"""The files that a runtime follows: here, or through the process that has the store open."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import BrokerProtocol
from arena_tui.errors import UsageError
from arena_tui.producers.follow import Follower
from arena_tui.producers.sink import MultiRunBrokerSink

if TYPE_CHECKING:
    from arena_tui.store.history import History


class Following:
    """See the module. A file is followed once, however often it is given.

    Args:
        sink: What all else of this process is published through.
        published: See `Follower`.
        history: Gives what is stored.
    """

    def __init__(
        self, broker: BrokerProtocol, sink: MultiRunBrokerSink,
        published: Callable[[], Awaitable[object]],
        history: Callable[[], History | None], event_max_bytes: int,
    ) -> None:  # fmt: skip
        self._broker = broker
        self._sink = sink
        self._published = published
        self._history = history
        self._event_max_bytes = event_max_bytes
        self._files: set[Path] = set()
        self._followers: list[Follower] = []

    @property
    def sinks(self) -> list[MultiRunBrokerSink]:
        """All that this process publishes through: each file waits in one of its own."""
        return [self._sink, *(each.sink for each in self._followers)]

    def add(self, files: Sequence[Path]) -> None:
        """Publish the lines of these JSON Lines files, and lines appended later.

        Raises:
            UsageError: The broker is a server.
        """
        new = [each for each in dict.fromkeys(each.absolute() for each in files)
               if each not in self._files]  # fmt: skip
        if not new:
            return
        follow = getattr(self._broker, "follow", None)
        if follow is not None:
            follow([str(each) for each in new])
        elif isinstance(self._broker, InProcessBroker):
            history = self._history()
            follower = Follower(
                self._broker, new, self._published, event_max_bytes=self._event_max_bytes,
                known=None if history is None else history.known,
            )  # fmt: skip
            self._followers.append(follower)
            follower.start()
        else:
            raise UsageError("files are followed into a broker of this machine only")
        self._files |= set(new)

    def is_silent(self, run_id: str) -> bool:
        """Whether a file forwards this run, which has not ended, and nothing more arrives of it."""
        return any(each.is_silent(run_id) for each in self._followers)

    @contextlib.asynccontextmanager
    async def letting_go(self, run_id: str) -> AsyncIterator[bool]:
        """Read no file of it while a silent run is deleted; gives whether there is such a file.

        Raises:
            UsageError: More of it arrives, or is not stored yet.
        """
        async with contextlib.AsyncExitStack() as stack:
            found = [each for each in self._followers if each.is_silent(run_id)]
            for each in found:
                await stack.enter_async_context(each.letting_go(run_id))
            yield bool(found)

    async def aclose(self) -> None:
        """Stop reading and publish what was read."""
        for each in self._followers:
            await each.aclose()
