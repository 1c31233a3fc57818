"""Run: one run, live or finished; board, events, inspector and scrubber show the same instant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import ClassVar, Final

from textual import work
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from arena_tui.consumers.feed import Frame
from arena_tui.errors import ArenaError, UsageError
from arena_tui.services.playback.address import address_of
from arena_tui.services.playback.goto import UNDERSTOOD
from arena_tui.services.playback.overview import Overview
from arena_tui.services.playback.player import BOOKMARK, GAP, Player
from arena_tui.services.playback.stops import STOPS, parse_stops, stops_text
from arena_tui.tui.render.scrubber import A_CELL, Timeline
from arena_tui.tui.screens.base import ArenaScreen, guarded
from arena_tui.tui.screens.host import Host
from arena_tui.tui.tools import TOOLS
from arena_tui.tui.widgets.board import BoardPanel
from arena_tui.tui.widgets.panels import RunPanels
from arena_tui.tui.widgets.question import Question
from arena_tui.tui.widgets.run import Goto, RunHeader, Scrubber

_CELLS_A_TURN: Final = 2
"""Where turns have less room on the scrubber, they are not marked."""
_HINTS: Final = {
    "search": "text of any event   enter find   then n next, N previous   esc close",
    "go to": f"{UNDERSTOOD}   enter go   esc close",
    "stop at": f"{' '.join(STOPS)}, or all; nothing to play on   enter keep   esc close",
}


def timeline_of(player: Player) -> Timeline:
    """What the scrubber shows of the run."""
    overview, position = player.overview, player.position
    density = None if overview.shown is None else overview.shown.density
    turns: Sequence[int] = ()
    if density is not None and density.places:
        most = len(density.places) // (A_CELL * _CELLS_A_TURN)
        last = position.last if overview.part is None else density.places[-1]
        turns = player.turns.starts.between(density.places[0], last, most)
    silences = () if overview.shown is None else overview.shown.silences
    return Timeline(
        density=density, position=position, turns=turns, silences=silences,
        hits=player.finder.hits.places, zoom=overview.zoom,
    )  # fmt: skip


class RunScreen(ArenaScreen):
    """Translates keys and messages into calls to the player, and shows its state."""

    DEFAULT_CSS = "RunScreen.-tall Scrubber { height: 2; }"
    NOT_WHILE_WRITING = frozenset({"jump", "go_to", "speed", "ask", "tool"})
    AWAITED = frozenset({"opening"})
    VERTICAL_BREAKPOINTS = [(0, "-low"), (14, "-high"), (30, "-tall")]  # noqa: RUF012 - as the app's
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "play", "play"),
        Binding(
            "left",
            "jump('event', -1)",
            "event",
            key_display="←/→",
            priority=True,
            tooltip="previous event",
        ),
        Binding("right", "jump('event', 1)", "next event", show=False, priority=True),
        Binding(
            "left_square_bracket",
            "jump('turn_start', -1)",
            "turn",
            key_display="[ ]",
            tooltip="previous turn",
        ),
        Binding("right_square_bracket", "jump('turn_start', 1)", "next turn", show=False),
        Binding("e", "jump('error', 1)", "error", key_display="e/E", tooltip="next error"),
        Binding("E", "jump('error', -1)", "previous error", show=False),
        Binding("l", f"jump('{GAP}', 1)", "next gap", show=False),
        Binding("L", f"jump('{GAP}', -1)", "previous gap", show=False),
        Binding("g", "ask('go to')", "goto", tooltip="go to"),
        Binding("slash", "ask('search')", "find", key_display="/"),
        Binding("plus,equals_sign", "speed(1)", "speed", key_display="+/-", tooltip="faster"),
        Binding("minus", "speed(-1)", "slower", show=False),
        Binding("n", "match(1)", "next match", show=False),
        Binding("N", "match(-1)", "previous match", show=False),
        Binding("apostrophe", f"jump('{BOOKMARK}', 1)", "next bookmark", show=False),
        Binding("quotation_mark", f"jump('{BOOKMARK}', -1)", "previous bookmark", show=False),
        Binding("o", "ask('stop at')", "stop playing at", show=False),
        *(tool.binding for tool in TOOLS.values()),
        Binding("home", "go_to('1')", "first event", show=False),
        Binding("end", "go_to('100%')", "last event, or now", show=False),
        Binding("escape", "back", "back"),
    ]

    def __init__(self, arena: Host, player: Player) -> None:
        super().__init__(arena, "Run")
        self._player = player
        self._ticked_at = 0.0
        self._priced = 0
        self._asking = ""

    def body(self) -> list[Widget]:
        zone, prices, player = self.arena.zone, self.arena.session.prices, self._player
        return [
            RunHeader(zone),
            RunPanels(player.delivery, player.turns, prices, zone, player.filtered),
            Scrubber(zone, self._player.turns.starts.turn_at),
            Question(),
        ]

    def on_mount(self) -> None:
        self.query_one(RunPanels).take_focus()
        self._ticked_at = self.arena.monotonic()
        self._open()

    def on_unmount(self) -> None:
        self._player.close()

    def show_frame(self, frame: Frame) -> None:
        super().show_frame(frame)
        now = self.arena.monotonic()
        passed_s, self._ticked_at = now - self._ticked_at, now
        before, self._priced = self._priced, self.arena.session.prices.version
        if self._player.tick(passed_s) or self._priced != before or self._player.filtered.waits:
            self._show()
        overview, position = self._player.overview, self._player.position
        overview.follow(position.ts if position.mode.startswith("REPLAY") else None)
        if overview.due(position, self.query_one(Scrubber).slices, now):
            self._load_density()

    def on_goto(self, message: Goto) -> None:
        self._player.go_to(message.place)
        self._show()

    def on_scrubber_zoomed(self, message: Scrubber.Zoomed) -> None:
        self._player.overview.zoom_by(message.factor, message.at)

    def on_run_panels_rows_needed(self, message: RunPanels.RowsNeeded) -> None:
        player = self._player
        want = player.turns.want if message.of_turns else player.want
        if not message.of_turns and player.filtered.is_on:
            want = player.filtered.want
        want(message.first, message.last)
        self._show()

    @guarded
    async def on_input_submitted(self, event: Input.Submitted) -> None:
        text, panels = event.value.strip(), self.query_one(RunPanels)
        try:
            if self._asking == "stop at":
                self._player.stops = parse_stops(text)
                self.notify(stops_text(self._player.stops), timeout=2)
            elif text and self._asking == "go to":
                await self.action_go_to(text)
        except UsageError as error:
            self.query_one(Question).object_to(str(error))
            return
        self.action_back()
        if text and self._asking == "search" and panels.zoomed:
            self.notify(panels.find(text, 1), timeout=2)
        elif text and self._asking == "search":
            self._player.finder.look_for(text)
            self.action_match(1)

    def action_play(self) -> None:
        self._player.toggle()
        self._show()

    @guarded
    async def action_jump(self, kind: str, step: int) -> None:
        self._show(await self._player.jump(kind, step))

    def action_match(self, step: int) -> None:
        """One match further or back; keys do not wait for it, and a new search ends it."""
        player, panels = self._player, self.query_one(RunPanels)
        if panels.zoomed:
            self.notify(panels.find(None, step), timeout=2)
        elif player.finder.needle:
            player.finder.request(step, player.position.at)
            search = player.finder.find(player.go_to, self._show)
            self.run_worker(search, "the search", group="find", exclusive=True, exit_on_error=False)
        else:
            self.notify("nothing is searched for yet: / asks for it", timeout=2)

    def action_speed(self, step: int) -> None:
        self._player.change_speed(step)
        self._show()

    async def action_go_to(self, words: str) -> None:
        await self._player.go_to_words(words, self.arena.zone)
        self._show()

    def action_ask(self, what: str) -> None:
        self._asking = what
        self.query_one(Question).ask(what, _HINTS[what])

    @guarded
    async def action_tool(self, name: str) -> None:
        """Use one of `TOOLS` here."""
        if await TOOLS[name].use(self, self._player):
            self._player.overview.mark_anew()

    def action_back(self) -> None:
        question, panels = self.query_one(Question), self.query_one(RunPanels)
        if question.display:
            question.clear()
            panels.take_focus()
        elif not panels.zoom_out():
            if not self._player.filtered.is_on:
                self.app.pop_screen()
                return
            self._player.filtered.keep("", ())
            self._show()

    @work(group="opening", exit_on_error=False)
    async def _open(self) -> None:
        """Open the run, then read what there is to see."""
        try:
            await self._player.open()
        except ArenaError as error:
            self.notify(str(error), severity="error")
            self.app.pop_screen()
            return
        self.show_frame(self.arena.session.frame)
        self._show(self._player.told)
        await self._player.read_on(self._show)  # keys wait for what there is to see first

    @work(exclusive=True, group="density", exit_on_error=False)
    async def _load_density(self) -> None:
        player, scrubber, board = self._player, self.query_one(Scrubber), self.query_one(BoardPanel)

        def show(overview: Overview) -> None:
            self.query_one(RunHeader).density = overview.density
            board.series = overview.series
            self._show()

        show(await player.overview.read(
            player.position, scrubber.slices, board.slices, self.arena.monotonic, show
        ))  # fmt: skip

    def _show(self, notice: str | None = None) -> None:
        """Show the player's state and any `notice`; start reading what the player lacks."""
        player = self._player
        position, panels = player.position, self.query_one(RunPanels)
        if position.at:
            player.details.want(panels.places(position.at))
        header, shown = self.query_one(RunHeader), player.overview.shown
        bookmarks = frozenset[int]() if shown is None else shown.bookmarks
        panels.show(position, player.instant, player.details.shown, bookmarks)
        header.instant = player.instant or header.instant
        header.position = position
        if position.cursor is not None and player.instant is not None:
            self.address = address_of(player.instant.run_id, position.cursor)
        self.query_one(Scrubber).show(timeline_of(player))
        hits = player.finder.hits
        for reader in (player, player.details, player.turns, hits, player.filtered):
            if reader.lacking and not reader.reading:
                reads: Callable[[], Awaitable[None]] = partial(reader.read_on, self._show)
                self.run_worker(reads, "reading the run", group="read", exit_on_error=False)
        for each in (notice, hits.news()):
            if each:
                self.notify(each)
