"""Start a game or a script: pick a game, or type what to play."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from arena_tui.errors import ArenaError
from arena_tui.games.specs import GameSpec, demo_specs
from arena_tui.services.playables import Playable, parse_playable
from arena_tui.tui.widgets.one_line import OneLine


class NewGameScreen(ModalScreen[None]):
    """An input for a game spec above a list of presets."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "close"),
        Binding("down", "to_list", "list", show=False),
    ]

    def __init__(self, start: Callable[[Playable], Awaitable[None]]) -> None:
        """`start` starts a game or a script, or raises ArenaError."""
        super().__init__(classes="dialog")
        self._start_games = start
        self._presets = [_text(spec) for spec in demo_specs()]

    @property
    def is_settled(self) -> bool:
        """Whether nothing is being started, after which the box closes or says why not."""
        return not any(worker.node is self and not worker.is_finished for worker in self.workers)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static("New game", classes="title", markup=False)
            yield OneLine(placeholder="connect_four mcts:200 random games=4 delay=0.5")
            yield OptionList(*(Option(Content(preset)) for preset in self._presets))
            yield Static("", classes="error", markup=False)
            yield Static(
                "agents: random  mcts:N  minimax:D  uci:PATH\n"
                "or a Python file, with its arguments: agent.py --model x",
                classes="hint",
                markup=False,
            )
            yield Static("enter start  ↓ list  esc close", classes="answers", markup=False)

    def on_mount(self) -> None:
        if self.app.return_code is None:  # else it is leaving, and has mounted no widgets
            self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._start(event.value.strip() or self._presets[0])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._start(self._presets[event.option_index])

    def action_to_list(self) -> None:
        self.query_one(OptionList).focus()

    @work(exclusive=True)
    async def _start(self, text: str) -> None:
        try:
            await self._start_games(parse_playable(text))
        except ArenaError as error:
            self.query_one(".error", Static).update(str(error))
        else:
            self.dismiss()


def _text(spec: GameSpec) -> str:
    """The spec as a user would type it."""
    delay = f" delay={spec.delay_s:g}" if spec.delay_s else ""
    return " ".join([spec.game, *spec.agents]) + delay
