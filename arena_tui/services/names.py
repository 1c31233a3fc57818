"""Gives each run an id of its own: the one that is wanted, or the next one that is free."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from itertools import count
from typing import TYPE_CHECKING, Final

from arena_tui.broker.own_log import own_log
from arena_tui.broker.protocol import BrokerProtocol
from arena_tui.broker.recent import Recent
from arena_tui.errors import BrokerError
from arena_tui.events import RUN_ID_MAX_CHARS, check_run_id
from arena_tui.producers.sink import MultiRunBrokerSink

if TYPE_CHECKING:
    from arena_tui.store.history import History

_LOOK_S: Final = 1.0
"""Interval of checking whether the loop still runs."""

_GIVEN_KEPT: Final = 10_000

_log = own_log(__name__)


class Names:
    """See the module. Create it on the broker's loop.

    An id is taken while a run of it goes on, and after one of it has ended, as far as this process,
    the broker or the store remembers. A run whose producer is gone without having ended it goes on.
    """

    def __init__(
        self,
        broker: BrokerProtocol,
        sink: MultiRunBrokerSink,
        history: Callable[[], History | None],
    ) -> None:
        self._broker = broker
        self._sink = sink
        self._history = history
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._one = asyncio.Lock()
        # Up to which number each name is taken, else the thousandth of a name would ask for all.
        self._given: Recent[str, int] = Recent(_GIVEN_KEPT)

    def name(self, wanted: str) -> str:
        """`claim` from any thread; on the loop's own, which cannot wait, the id is `wanted`.

        Raises:
            BrokerError: The broker is closed.
        """
        if threading.get_ident() == self._thread:
            return wanted
        claim = self.claim(wanted)
        try:
            claimed = asyncio.run_coroutine_threadsafe(claim, self._loop)
            while True:  # a loop that has just stopped takes calls, and never runs them
                with contextlib.suppress(TimeoutError):
                    return claimed.result(_LOOK_S)
                if not self._loop.is_running():
                    break
        except (RuntimeError, CancelledError):  # the loop is closed, or was while it was asked
            claim.close()
        raise _closed()

    async def claim(self, wanted: str) -> str:
        """The id for a new run: `wanted`, else `wanted-2` and so on, which is warned of.

        While the server does not answer, or the store cannot be read, `wanted` is given unseen: a
        game is not kept waiting.

        Raises:
            BrokerError: The broker is closed.
        """
        check_run_id(wanted)
        run_id, known = wanted, self._given.get(wanted, 1)
        if not await self._take(run_id):
            for number in count(known + 1):
                run_id = _numbered(wanted, number)
                if await self._take(run_id):
                    self._given[wanted] = number
                    break
        if run_id != wanted:
            self._broker.warnings.add("run_renamed", run_id, wanted=wanted)
        return run_id

    async def _take(self, run_id: str) -> bool:
        async with self._one:  # else closing finds many on their way to the server, and they stay
            if self._sink.closed:
                raise _closed()
            try:
                return await self._is_free(run_id) and await self._broker.claim(run_id)
            except Exception as error:  # noqa: BLE001 - of the server's or the store's library
                if self._sink.closed:
                    raise _closed() from None
                _log.warning("run id %s is used unseen: %s", run_id, error)
                return True

    async def _is_free(self, run_id: str) -> bool:
        """Whether neither this process nor the store has a run of this id; one in the store whose
        producer died before its end goes on."""
        history = self._history()
        if self._sink.is_open(run_id) or run_id in self._sink.ended:
            return False
        ended = "run_id = ? AND ended_at IS NOT NULL"
        return history is None or not await history.count(ended, [run_id])


def _closed() -> BrokerError:
    return BrokerError("the broker is closed: nothing more can be published")


def _numbered(wanted: str, number: int) -> str:
    end = f"-{number}"
    return wanted[: RUN_ID_MAX_CHARS - len(end)] + end
