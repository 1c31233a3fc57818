"""Start a game or a script: pick a game, or type what to play."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from arena_tui.games.specs import GameSpec, demo_specs
from arena_tui.services.playables import Playable, parse_playable
from arena_tui.tui.screens.dialog import LineDialog


class NewGameScreen(LineDialog):
    """An input for a game spec above a list of presets."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("down", "to_list", "list", show=False)]

    def __init__(self, start: Callable[[Playable], Awaitable[None]]) -> None:
        """`start` starts a game or a script, or raises ArenaError."""
        super().__init__(
            "New game",
            "enter start  ↓ list  esc close",
            placeholder="connect_four mcts:200 random games=4 delay=0.5",
            hint="agents: random  mcts:N  minimax:D  uci:PATH\n"
            "or a Python file, with its arguments: agent.py --model x",
        )
        self._start = start
        self._presets = [_text(spec) for spec in demo_specs()]

    def below(self) -> list[Widget]:
        return [OptionList(*(Option(Content(preset)) for preset in self._presets))]

    async def take(self, text: str) -> None:
        await self._start(parse_playable(text or self._presets[0]))
        self.dismiss()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.enter(self._presets[event.option_index])

    def action_to_list(self) -> None:
        self.query_one(OptionList).focus()


def _text(spec: GameSpec) -> str:
    """The spec as a user would type it."""
    delay = f" delay={spec.delay_s:g}" if spec.delay_s else ""
    return " ".join([spec.game, *spec.agents]) + delay
