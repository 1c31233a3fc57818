"""The values that a filter of runs is completed to: of the store, and of what is played."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from arena_tui.folds.view import Pane
from arena_tui.folds.words import STATE_WORDS
from arena_tui.settings import TROUBLE_KINDS

if TYPE_CHECKING:
    from arena_tui.store.history import History

_FRESH_S: Final = 30.0


class FilterWords:
    """Values by the name of the field; those of the store are read again after half a minute."""

    def __init__(self) -> None:
        self._stored: Mapping[str, Sequence[str]] = {}
        self._read_at_s = float("-inf")

    async def read(
        self, history: History | None, panes: Iterable[Pane], now_s: float
    ) -> dict[str, list[str]]:
        """What occurs now; `now_s` is of a monotonic clock.

        Raises:
            StoreError: The store cannot be read.
        """
        if history is not None and now_s - self._read_at_s >= _FRESH_S:
            from arena_tui.store.filter_words import read_filter_words

            self._stored, self._read_at_s = await history.read(read_filter_words), now_s
        panes = list(panes)
        played = {
            "game": [pane.game for pane in panes],
            "agent": [each.name or each.id for pane in panes for each in pane.agents],
        }
        found = {
            name: [*filter(None, dict.fromkeys([*played.get(name, ()), *stored]))]
            for name, stored in {"game": (), "agent": (), **self._stored}.items()
        }
        agents = found["agent"]
        return {
            **found, "won": agents, "lost": agents, "status": [*STATE_WORDS],
            "trouble": [*TROUBLE_KINDS],
        }  # fmt: skip
