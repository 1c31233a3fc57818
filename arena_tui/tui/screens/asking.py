"""Ask other agents what they would play at a turn. Nothing is played, and nothing recorded."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from arena_tui.errors import ArenaError
from arena_tui.games.asking import Asking
from arena_tui.games.protocol import AgentClosedError
from arena_tui.services.forking import TurnHere
from arena_tui.services.playback.player import Player
from arena_tui.tui.render.forking import answer_line, board_lines, played_line, turn_line
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.screens.forking import standing
from arena_tui.tui.widgets.one_line import OneLine

_OTHER_LINES: Final = 19
"""Of the dialog, beside the board."""
_ANSWERS_KEPT: Final = 4


class AskScreen(ModalScreen[None]):
    """The turn and what was played, above the answers of those asked, one after the other."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "stop asking, or close")]

    is_settled = True
    """Keys do not wait for an answer: one of them ends it."""

    def __init__(self, here: TurnHere) -> None:
        super().__init__(classes="dialog")
        self._here = here
        self._answers: list[Content] = []
        self._asking: Asking | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(Content(f"Ask at {turn_line(self._here)}"), classes="title")
            yield Static(
                Content("\n").join(board_lines(self._here, self.app.size.height, _OTHER_LINES)),
                classes="board",
            )
            yield Static("", classes="told")
            yield OneLine(placeholder="mcts:500")
            yield Static("", classes="error", markup=False)
            yield Static("agents: random  mcts:N  minimax:D  uci:PATH", classes="hint")
            yield Static("enter ask  esc close", classes="answers", markup=False)

    def on_mount(self) -> None:
        if self.app.return_code is None:  # else it is leaving, and has mounted no widgets
            self._show()
            self.query_one(Input).focus()

    def on_unmount(self) -> None:
        self._close()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._ask(event.value.strip() or event.input.placeholder)

    def action_back(self) -> None:
        """End the question under way; without one, close."""
        if self._asking is None:
            self.dismiss()
        else:
            self._close()
            self._show()

    @work(exclusive=True, group="asking")
    async def _ask(self, agent: str) -> None:
        self._close()
        error_line = self.query_one(".error", Static)
        error_line.update("")
        asking = None
        try:
            asking = self._asking = Asking(self._here.position, agent)
            self._show()
            answer = await asyncio.to_thread(asking.answer)
        except AgentClosedError:
            pass
        except ArenaError as error:
            error_line.update(str(error))
        else:
            line = answer_line(self._here, answer)
            self._answers = [*self._answers, line][-_ANSWERS_KEPT:]
            self.query_one(Input).clear()
        finally:
            if asking is not None:
                asking.close()
            if self._asking is asking:
                self._asking = None
                self._show()

    def _close(self) -> None:
        if self._asking is not None:
            self._asking.close()
            self._asking = None

    def _show(self) -> None:
        if not self.is_attached:
            return
        told = [played_line(self._here), *self._answers]
        if self._asking is not None:
            told.append(Content.styled("asking…", "$text-muted"))
        self.query_one(".told", Static).update(Content("\n").join(told))
        how = "enter ask  esc close" if self._asking is None else "esc stop asking"
        self.query_one(".answers", Static).update(how)


async def ask_here(screen: ArenaScreen, player: Player) -> bool:
    """Ask agents what they would play in the turn one stands in."""
    here = await standing(screen, player)
    if here is not None:
        screen.app.push_screen(AskScreen(here))
    return False
