"""Looks for text in a run, from where one stands and around its end. Draws nothing."""

from __future__ import annotations

from collections.abc import Callable

from arena_tui.errors import StoreError
from arena_tui.services.playback.hits import RunHits
from arena_tui.services.playback.tape import RunTape


class Finder:
    """One search at a time: `request` steps, and run `find`, which may be cancelled and run again.

    Attributes:
        needle: The text looked for; "" until there is one.
        hits: All its places in the run, as they are found.
    """

    def __init__(self, tape: RunTape) -> None:
        self.needle = ""
        self.hits = RunHits(tape)
        self._tape = tape
        self._from = 0
        self._steps = 0

    def look_for(self, needle: str) -> None:
        """Look for another text; steps that were still to be made are dropped."""
        self.needle, self._steps = needle, 0
        self.hits.look_for(needle)

    def request(self, step: int, at: int) -> None:
        """One match further (1) or back (-1): from place `at`, or from where a search that is not
        done yet will end."""
        if not self._steps:
            self._from = at
        self._steps += step

    async def find(self, go: Callable[[int], None], tell: Callable[[str | None], None]) -> None:
        """Make the steps requested: `go` to where they lead, and `tell` what is to be said of it.

        Raises:
            StoreError: The store cannot be read.
        """
        first, notice, is_back = self._from, None, self._steps < 0
        try:
            while self._steps:
                found = await self._tape.seek.search(self.needle, self._from, is_back)
                if found is None:
                    around = self._tape.last + 1 if is_back else 0
                    found = await self._tape.seek.search(self.needle, around, is_back)
                    notice = f"from the {'end' if is_back else 'beginning'} again"
                if found is None or found == self._from:
                    notice = "no event contains it" if found is None else "no other event has it"
                    break
                self._from = found
                self._steps += 1 if is_back else -1
        except StoreError:
            self._steps = 0
            raise
        self._steps = 0
        if self._from != first:
            go(self._from)
        tell(notice)
