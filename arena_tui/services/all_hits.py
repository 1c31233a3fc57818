"""The hits of a text in all runs of a store that match a filter. Draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from arena_tui.services.playback.hits import HITS_MAX, HitList
from arena_tui.store.history import History, read_runs
from arena_tui.store.searching import Search

_ALL: Final = 2**31
"""More runs than any store has."""


class AllHits(HitList):
    """Hits of the newest run first, those of each run in order. Each call of `read_next` reads one
    batch, in a thread; a cancelled one is not to be gone on with.

    Args:
        where, values: The runs to look at, as `parse_filter` tells them.

    Attributes:
        games: Of the runs, by their ids.
    """

    def __init__(self, history: History, text: str, where: str, values: Sequence[Any]) -> None:
        super().__init__(text)
        self.games: dict[str, str] = {}
        self._history = history
        self._matching = partial(read_runs, where=where, parameters=values, limit=_ALL)
        self._search: Search | None = None

    @property
    def where(self) -> str:
        if self._search is None:
            return "looking for the runs"
        runs = len(self.games)
        looked = runs - self._search.runs_left
        return f"{looked:,} of {'1 run' if runs == 1 else f'{runs:,} runs'} looked at"

    async def read_next(self) -> None:
        """One batch."""
        if self._search is None:
            runs = await self._history.read(self._matching)
            self.games = {each.run_id: each.game for each in runs}
            self._search = Search(self.text, runs)
        else:
            found = await self._history.read(self._search.read)
            self.hits += found[: HITS_MAX - len(self.hits)]
        self.version += 1
        if self._search.is_over or self.is_full:
            self.stop()
