"""The board of the Run screen as a widget: it scrolls, and its newest move fades."""

from __future__ import annotations

from textual.app import ComposeResult

from arena_tui.config import Config
from arena_tui.folds.costs import NoPrices
from arena_tui.folds.view import Instant
from arena_tui.services.playback.filtered import Filtered
from arena_tui.services.playback.tape import RunTape
from arena_tui.services.playback.turns import Turns
from arena_tui.services.runtime import Runtime
from arena_tui.tui.themed import ThemedApp
from arena_tui.tui.widgets.board import BoardPanel
from arena_tui.tui.widgets.panels import RunPanels
from tests.waiting import until

GRID = "\n".join(f"{line % 10} " + " ".join("·" * 30) for line in range(40))


class Alone(ThemedApp[None]):
    """Shows nothing but a board."""

    CSS = "BoardPanel { width: 30; height: 12; }"

    def compose(self) -> ComposeResult:
        yield BoardPanel(NoPrices())


class Among(ThemedApp[None]):
    """Shows all panels of a run, with the list of events in focus."""

    def compose(self) -> ComposeResult:
        runtime = Runtime(Config(db=None))
        tape = RunTape("r", runtime)
        yield RunPanels(lambda _: None, Turns(tape), NoPrices(), None, Filtered(tape))

    def on_mount(self) -> None:
        self.query_one(RunPanels).take_focus()


def shown(board: BoardPanel) -> list[str]:
    return [board.render_line(y).text for y in range(board.size.height)]


def bright(board: BoardPanel) -> str:
    """The cells that are reversed."""
    lines = [board.render_line(y) for y in range(board.size.height)]
    return "".join(text for line in lines for text, style, _ in line if style and style.reverse)


async def test_a_board_without_room_is_scrolled_with_the_wheel_and_tells_what_is_beyond() -> None:
    async with Alone().run_test() as pilot:
        board = pilot.app.query_one(BoardPanel)
        board.instant = Instant(board=GRID)
        at_end = board.border_subtitle
        board.scroll_board(100, 100)
        scrolled = board.border_subtitle, shown(board)[0]
        board.scroll_board(-1, 0)
        back = board.border_subtitle

    assert (at_end, scrolled[0], back) == ("↑31 →34", "↓31 ←34", "↑1 ↓30 ←34")
    assert scrolled[1].rstrip().endswith("· ·")


async def test_the_board_is_scrolled_with_shift_and_the_arrows_from_the_list() -> None:
    async with Among().run_test(size=(80, 24)) as pilot:
        board = pilot.app.query_one(BoardPanel)
        board.instant = Instant(board=GRID)
        seen = [board.border_subtitle]
        for key in ("shift+up", "shift+right", "shift+down", "shift+left"):
            await pilot.press(key)
            seen.append(board.border_subtitle)

    assert seen == ["↑19 →38", "↑17 ↓2 →38", "↑17 ↓2 ←4 →34", "↑19 ←4 →34", "↑19 →38"]


async def test_the_newest_move_is_bright_until_it_fades() -> None:
    async with Alone().run_test() as pilot:
        board = pilot.app.query_one(BoardPanel)
        board.instant = Instant(board="· · ·\n· · ·")
        board.instant = Instant(board="· x ·\n· · ·", board_before="· · ·\n· · ·")
        moved = bright(board)
        board.instant = Instant(board="· x ·\n· · ·", board_before="· · ·\n· · ·", turn=2)
        still = bright(board)
        await until(lambda: not bright(board))

    assert (moved, still) == ("x", "x")
