"""One fixed moment of an arena, for pictures and tests: its times never change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

from textual.notifications import SeverityLevel
from textual.widgets import Input

from arena_tui.codec import sealed
from arena_tui.config import Config
from arena_tui.events import (
    Action,
    ActionResult,
    AgentInfo,
    ErrorEvent,
    Event,
    LlmPrompt,
    LlmResponse,
    Metric,
    Observation,
    RunEnd,
    RunStart,
    TurnStart,
)
from arena_tui.services.runtime import Runtime
from arena_tui.services.session import Session
from arena_tui.settings import Keys, Prices
from arena_tui.tui.app import ArenaApp
from arena_tui.tui.tabs import TABS, Tab
from tests.waiting import until

_FRAMES_MAX = 15
"""To publish any number of events: what is drawn meanwhile is no test's own."""

START = datetime(2026, 3, 14, 12, 1, 10, 200_000, tzinfo=UTC)
NOW = datetime(2026, 3, 14, 12, 3, 14, tzinfo=UTC)

CONNECT_FOUR = """\
· · · · · · ·
· · · · · · ·
· · · o · · ·
· · x x o · ·
· x o x o · ·
o x x o x · ·
0 1 2 3 4 5 6"""
CHESS = """\
8 r · b q k b · r
7 p p p p · p p p
6 · · n · · n · ·
5 · · · · p · · ·
4 · · B · P · · ·
3 · · · · · N · ·
2 P P P P · P P P
1 R N B Q K · · R
  a b c d e f g h"""
TIC_TAC_TOE = "x o ·\n· x o\no · x"
GO = """\
9 · · · · · · · · ·
8 · · x · · · o · ·
7 · · · · · · · · ·
6 · · · · x · · · ·
5 · · o · o x · · ·
4 · · · · · o · · ·
3 · · x · · · o · ·
2 · · · · · · · · ·
1 · · · · · · · · ·
  a b c d e f g h j"""
LEDUC = "public  Q    pot 6\np0      K     97\np1      ?     97\nround 2  raise"
ISLAND = """\
1 ~ ~ · · · · # · $ ~
2 ~ · M # · · # · · ·
3 · · · # $ · · · T ·
4 · $ · · · · · # · ~
5 ~ ~ · · · $ · · ~ ~
coins  M 10  T 6"""


class Clock:
    """Monotonic seconds that move only when told."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def agents(*ids: str) -> list[AgentInfo]:
    return [AgentInfo(id=each) for each in ids]


class Tape:
    """Builds one run's events at a steady pace."""

    def __init__(self, run_id: str, game: str, players: Sequence[str], **start: Any) -> None:
        self.run_id = run_id
        self.events: list[Event] = []
        self._at = START
        self._turn: int | None = None
        self.add(RunStart, game=game, agents=agents(*players), **start)

    def add(self, kind: type[Event], after_s: float = 0.9, **fields: Any) -> None:
        self._at += timedelta(seconds=after_s)
        self.events.append(kind(ts=self._at, turn=self._turn, **fields))

    def turn(self, turn: int, player: str, board: str, action: str, legal: int = 7) -> None:
        self._turn = turn
        self.add(TurnStart, agent_id=player, player=player, state=None)
        legal_actions = [str(each) for each in range(legal)]
        self.add(Observation, 0.1, agent_id=player, text=board, legal_actions=legal_actions)
        self.add(Action, 0.8, agent_id=player, action=action, index_in_turn=1)
        self.add(ActionResult, 0.1, agent_id=player, index_in_turn=1, ok=True, reward=0.0)


def tapes() -> Iterator[Tape]:
    """Six games under way or over, and one that hangs on its model."""
    four = Tape("01ARENA00000000000000007F3A", "connect_four", ["mcts:500 x", "random o"], seed=42)
    for turn in range(1, 10):
        player = "mcts:500 x" if turn % 2 else "random o"
        four.turn(turn, player, CONNECT_FOUR, f"column {turn % 7}")
    yield four

    chess = Tape("01ARENA00000000000000002D11", "chess", ["mcts:200 w", "minimax:2 b"], seed=7)
    for turn in range(1, 8):
        player = "mcts:200 w" if turn % 2 else "minimax:2 b"
        chess.turn(
            turn, player, CHESS, ["e4", "e5", "Nf3", "Nc6", "Bc4", "Nf6", "O-O"][turn - 1], 20
        )
    yield chess

    tic = Tape("01ARENA000000000000000091BC", "tic_tac_toe", ["minimax x", "random o"], seed=3)
    for turn in range(1, 6):
        tic.turn(turn, "minimax x" if turn % 2 else "random o", TIC_TAC_TOE, f"({turn % 3},1)", 4)
    tic.add(RunEnd, outcome={"minimax x": 1.0, "random o": -1.0})
    yield tic

    go = Tape("01ARENA0000000000000000A9G0", "go(board_size=9)", ["mcts:60 x", "mcts:30 o"])
    for turn in range(1, 7):
        go.turn(turn, "mcts:60 x" if turn % 2 else "mcts:30 o", GO, f"{'abcdefg'[turn]}{turn}", 60)
    yield go

    poker = Tape("01ARENA0000000000000000C02E", "leduc_poker", ["llm:reed-2 p0", "mcts:200 p1"],
                 label="evening")  # fmt: skip
    poker.turn(1, "llm:reed-2 p0", LEDUC, "Raise", 3)
    poker.add(LlmPrompt, agent_id="llm:reed-2 p0", model="reed-2", text="Your card is K. Raise?")
    poker.add(LlmResponse, 2.3, agent_id="llm:reed-2 p0", model="reed-2", input_tokens=17_204,
              output_tokens=996, cost_usd=0.021, latency_s=2.31,
              reasoning="A king with a queen on the board.\nRaising makes most hands fold.",
              text="Raise: the king is the best hand here.")  # fmt: skip
    poker.add(ErrorEvent, agent_id="llm:reed-2 p0", where="HTTP", message="429 rate limited")
    poker.add(LlmPrompt, agent_id="llm:reed-2 p0", model="reed-2", text="It is your turn again.")
    yield poker

    synth = Tape("01ARENA0000000000000000A77C", "synth", ["marlow-2", "thistle-mini"])
    synth.turn(1, "marlow-2", ISLAND, "go east", 4)
    synth.add(
        LlmResponse,
        agent_id="marlow-2",
        model="marlow-2",
        input_tokens=1_204,
        output_tokens=212,
        cost_usd=0.0021,
        latency_s=1.4,
        text="The coins are east of me.",
    )
    synth.add(Metric, name="coins", value=10.0)
    yield synth

    crash = Tape("01ARENA0000000000000000DEAD", "backgammon", ["mcts:20 x", "random o"])
    crash.turn(1, "mcts:20 x", "o · · · x · │ x · · · · o", "8/4 6/4", 12)
    crash.add(ErrorEvent, where="ValueError", message="dice must be 1 to 6", fatal=True)
    crash.add(RunEnd, status="crashed", reason="dice must be 1 to 6")
    yield crash


class Scenario(ArenaApp):
    """The app at the fixed moment; frames are drawn by `settle` only, and notices stay.

    Attributes:
        toast_s: How long a notice is shown that has no time of its own; None: as in the app.
    """

    toast_s: float | None = 3_600

    def __init__(self, playables: Iterator[Tape] | list[Tape] | None = None, store: bool = True,
                 theme: str | None = None, tabs: Sequence[Tab] = TABS,
                 prices: Prices = (), keys: Keys = ()) -> None:  # fmt: skip
        self.clock = Clock()
        config = Config(db=":memory:" if store else None, theme=theme, prices=prices, keys=keys)
        super().__init__(
            Session(config),
            clock=lambda: NOW,
            monotonic=self.clock,
            frame_s=None,
            tabs=tabs,
            zone=UTC,
        )
        self.tapes = list(tapes() if playables is None else playables)
        self.pace = (10.0, 3.0)
        self.animation_level = "none"

    @property
    def runtime(self) -> Runtime:
        return self.session.runtime

    async def play_all(self) -> None:
        """Publish everything, second by second, store it, and show it."""
        await self.runtime.open()
        await self.runtime.instruments.aclose()  # how late the loop is depends on the machine
        await self.publish(self.tapes)
        await self.runtime.broker.settled([tape.run_id for tape in self.tapes])
        await until(lambda: not self.session.prices.pending)  # Live tells of what has none
        await self.settle()

    async def publish(self, some: list[Tape]) -> None:
        """Publish these runs side by side, a frame a second; of long ones, more at a time."""
        left = {tape.run_id: list(tape.events) for tape in some}
        each_second = max([3, *(ceil(len(events) / _FRAMES_MAX) for events in left.values())])
        while any(left.values()):
            batch = []
            for run_id, events in left.items():
                for event in events[:each_second]:
                    batch.append((run_id, *sealed(event)))
                del events[:each_second]
            await self.runtime.broker.publish_all(batch)
            self.clock.now += 1.0
            await self.sample()

    async def settle(self) -> None:
        """One more frame, as things are now."""
        self.clock.now += 1.0
        await self.sample()

    def stop_blinking(self) -> None:
        """Show the text cursor for good, where there is one."""
        if isinstance(field := self.focused, Input):
            self.screen.set_focus(None)
            field.cursor_blink = False
            field.focus()

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        timeout = self.toast_s if timeout is None else timeout
        super().notify(message, title=title, severity=severity, timeout=timeout, markup=markup)


PICTURES = Path(__file__).parents[2] / "screenshots"
