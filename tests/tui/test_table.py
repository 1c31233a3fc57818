"""The table of every list: what stays in sight, and which column sorts."""

from __future__ import annotations

import pytest
from textual.app import ComposeResult

from arena_tui.tui.render.table import Cell, Column
from arena_tui.tui.themed import ThemedApp
from arena_tui.tui.widgets.table import VirtualTable

ROWS = 100
HEIGHT = 21
COLUMNS = (
    Column(name="name", key="name", width=0),
    Column(name="cost", key="cost", width=6, right=True),
)


class Listing(ThemedApp[None]):
    """A hundred numbered rows, of which some twenty are in sight."""

    def compose(self) -> ComposeResult:
        yield VirtualTable(COLUMNS, self._row)

    def on_mount(self) -> None:
        table = self.query_one(VirtualTable)
        table.focus()
        table.show(ROWS)

    def in_sight(self) -> list[int]:
        """The numbers of the rows in sight."""
        table = self.query_one(VirtualTable)
        texts = [table.render_line(y).text for y in range(1, table.size.height)]
        return [int(text.split()[1]) for text in texts if text.strip()]

    def _row(self, index: int) -> list[Cell] | None:
        return [(f"row {index}", "text"), ("–", "dim")]


@pytest.mark.parametrize(
    "keys", [["down"] * 30, ["end", *["up"] * 40], ["pagedown", "pagedown"], ["end", "pageup"]]
)
async def test_five_rows_beyond_the_cursor_stay_in_sight(keys: list[str]) -> None:
    app = Listing()
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        await pilot.press(*keys)
        cursor, shown = app.query_one(VirtualTable).cursor, app.in_sight()

    assert max(0, cursor - 5) >= shown[0]
    assert min(ROWS - 1, cursor + 5) <= shown[-1]


async def test_a_click_at_the_edge_scrolls_nothing_so_that_a_second_finds_the_same_row() -> None:
    app = Listing()
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        table = app.query_one(VirtualTable)
        await pilot.click(VirtualTable, offset=(2, HEIGHT - 1))
        chosen = table.cursor
        table.show(ROWS)
        await pilot.click(VirtualTable, offset=(2, HEIGHT - 1))

    assert (chosen, table.cursor) == (HEIGHT - 2, HEIGHT - 2)


async def test_a_hidden_column_leaves_its_room_to_the_others() -> None:
    app = Listing()
    async with app.run_test(size=(40, HEIGHT)):
        table = app.query_one(VirtualTable)
        before = table.room_of("name"), table.room_of("cost")
        table.hidden = frozenset({"cost"})

        assert before == (32, 6)
        assert (table.room_of("name"), table.room_of("cost")) == (39, 0)
