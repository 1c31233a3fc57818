"""Rows of the table of stored runs, read page by page around what is visible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from arena_tui.errors import UsageError
from arena_tui.folds.totals import RunTotals
from arena_tui.store.history import History, SortKey

_PAGE: Final = 200


class Listed(NamedTuple):
    """What a list of stored runs shows, for what can be done with it.

    Attributes:
        run: The one under the cursor; None without any.
        where, parameters: The SQL condition of those listed; told: the filter as it was written.
        reload: Reads the list anew.
    """

    run: RunTotals | None
    where: str
    parameters: list[Any]
    told: str
    reload: Callable[[], None]

    def chosen(self) -> RunTotals:
        """The run under the cursor.

        Raises:
            UsageError: There is none.
        """
        if self.run is None:
            raise UsageError("no run stands here: esc clears a filter, n starts a game")
        return self.run


class Found(NamedTuple):
    """What was read of the table: how many runs match, where the wanted one is, and pages."""

    matching: int
    place: int | None
    pages: dict[int, list[RunTotals]]


class Pages:
    """The table's rows read so far, and the filter and order they were read with.

    Attributes:
        where: SQL condition and its parameters.
        sort, descending: The order.
    """

    def __init__(self) -> None:
        self.where: tuple[str, list[Any]] = ("TRUE", [])
        self.sort: SortKey = "started_at"
        self.descending = True
        self._pages: dict[int, list[RunTotals]] = {}

    def totals(self, index: int) -> RunTotals | None:
        """The run of a row; None until it is read."""
        page = self._pages.get(index // _PAGE, [])
        place = index % _PAGE
        return page[place] if place < len(page) else None

    def run_id(self, index: int) -> str | None:
        """Of a row's run; None until it is read."""
        totals = self.totals(index)
        return None if totals is None else totals.run_id

    async def around(self, history: History, run_id: str | None, row: int, rows: int) -> Found:
        """Read as many rows on both sides of a run, or of the row it was in if it is gone."""
        while True:
            place = None
            if run_id is not None:
                place = await history.place(
                    run_id, *self.where, sort=self.sort, descending=self.descending
                )
            matching = await history.count(*self.where)
            near = min(row, max(0, matching - 1)) if place is None else place
            pages = await self._read(history, near - rows, near + rows)
            if place is None:
                return Found(matching, None, pages)
            for page, runs in pages.items():  # it may have moved since
                for index, totals in enumerate(runs):
                    if totals.run_id == run_id:
                        return Found(matching, page * _PAGE + index, pages)

    def take(self, found: Found) -> None:
        """Show these rows and no others."""
        self._pages = found.pages

    async def load(self, history: History, first: int, last: int) -> None:
        """Read these rows, keeping the others, unless all were read anew meanwhile."""
        before = self._pages
        read = await self._read(history, first, last)
        if self._pages is before:
            before.update(read)

    async def _read(self, history: History, first: int, last: int) -> dict[int, list[RunTotals]]:
        pages = range(max(0, first) // _PAGE, last // _PAGE + 1)
        return {
            page: await history.runs(
                *self.where, sort=self.sort, descending=self.descending, limit=_PAGE,
                offset=page * _PAGE,
            )
            for page in pages
        }  # fmt: skip
