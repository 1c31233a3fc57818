"""What the store remembers of runs, for the owner's side of attached brokers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from arena_tui.broker.numbered import Recalled
from arena_tui.events import Delivery
from arena_tui.store.history import History
from arena_tui.store.rows import recall_runs


class StoredPast:
    """See `Past`."""

    is_kept = True

    def __init__(self, history: History) -> None:
        self._history = history

    async def recall(self, run_ids: Collection[str]) -> Mapping[str, Recalled]:
        return await self._history.read(partial(recall_runs, run_ids=run_ids))

    async def window(
        self, run_id: str, from_seq: int, to_seq: int, epoch: int
    ) -> Sequence[Delivery]:
        return await self._history.window(run_id, from_seq, to_seq, epoch)
