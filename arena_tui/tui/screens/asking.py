"""Ask other agents what they would play at a turn. Nothing is played, and nothing recorded."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from arena_tui.games.asking import Asking
from arena_tui.games.protocol import AgentClosedError
from arena_tui.services.forking import TurnHere
from arena_tui.services.playback.player import Player
from arena_tui.tui.render.forking import answer_line, played_line, turn_line
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.screens.dialog import LineDialog
from arena_tui.tui.screens.forking import board_of, standing

_OTHER_LINES: Final = 19
"""Of the dialog, beside the board."""
_ANSWERS_KEPT: Final = 4
_ANSWERS: Final = "enter ask  esc close"
_PROPOSED: Final = "mcts:500"
"""Who is asked if nobody is named."""


class AskScreen(LineDialog):
    """The turn and what was played, above the answers of those asked, one after the other."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "stop asking, or close")]

    is_settled = True
    """Keys do not wait for an answer: one of them ends it."""

    def __init__(self, here: TurnHere) -> None:
        super().__init__(
            f"Ask at {turn_line(here)}",
            _ANSWERS,
            placeholder=_PROPOSED,
            hint="agents: random  mcts:N  minimax:D  uci:PATH",
        )
        self._here = here
        self._told = [played_line(here)]
        self._asking: Asking | None = None

    def above(self) -> list[Widget]:
        told = Static(Content("\n").join(self._told), classes="told")
        return [board_of(self, self._here, _OTHER_LINES), told]

    def on_unmount(self) -> None:
        self._close()

    def action_back(self) -> None:
        """End the question under way; without one, close."""
        if self._asking is None:
            self.dismiss()
        else:
            self._close()
            self._show()

    async def take(self, text: str) -> None:
        """Add the answer to those that are shown; the dialog stays."""
        self._close()
        asking = None
        try:
            asking = self._asking = Asking(self._here.position, text or _PROPOSED)
            self._show()
            answer = await asyncio.to_thread(asking.answer)
        except AgentClosedError:
            pass
        else:
            played, *answers = self._told
            line = answer_line(self._here, answer)
            self._told = [played, *[*answers, line][-_ANSWERS_KEPT:]]
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
        under_way = [] if self._asking is None else [Content.styled("asking…", "$text-muted")]
        self.put(Content("\n").join([*self._told, *under_way]), "told")
        self.put("esc stop asking" if under_way else _ANSWERS, "answers")


async def ask_here(screen: ArenaScreen, player: Player) -> bool:
    """Ask agents what they would play in the turn one stands in."""
    here = await standing(screen, player)
    if here is not None:
        screen.app.push_screen(AskScreen(here))
    return False
