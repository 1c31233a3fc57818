"""A thread pool that accepts work during interpreter exit. Knows nothing of databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonThreads:
    """A fixed-size pool of daemon threads; work starts in submission order.

    `ThreadPoolExecutor` stops accepting work before `atexit` functions run, and a program that did
    not close its arena stores its remaining events in one.
    """

    def __init__(self, count: int, name: str) -> None:
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._ended = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Queue `work`; raises RuntimeError after `shutdown`."""
        if self._ended:
            raise RuntimeError("the threads have ended")
        future: Future[T] = Future()
        self._queue.put((future, work))
        return future

    def shutdown(self, wait: bool = True) -> None:
        """Accept no more work, but finish what is queued."""
        if not self._ended:
            self._ended = True
            for _ in self._threads:
                self._queue.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _serve(self) -> None:
        while (item := self._queue.get()) is not None:
            future, work = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - raised in the caller by the future
                future.set_exception(error)
            else:
                future.set_result(result)
            del item, future, work  # else the last result lives until the next one
