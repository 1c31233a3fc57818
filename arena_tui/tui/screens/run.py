"""Run: one run, live or finished; board, events, inspector and scrubber show the same instant."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Static

from arena_tui.codec import encode_event
from arena_tui.consumers.feed import Frame
from arena_tui.errors import ArenaError
from arena_tui.events import Delivery, Envelope, Gap
from arena_tui.folds.view import RunView
from arena_tui.services.playback.playhead import Playhead
from arena_tui.services.playback.tape import RunTape
from arena_tui.tui.render.run import Position, event_cells, inspect
from arena_tui.tui.screens.base import ArenaScreen, guarded
from arena_tui.tui.widgets.question import Question
from arena_tui.tui.widgets.run import BoardPanel, RunHeader, Scrubber
from arena_tui.tui.widgets.table import Cell, Column, VirtualTable

__all__ = ["RunScreen"]

_AROUND: Final = 200
_NUMBER: Final = re.compile(r"[0-9]{1,15}(\.[0-9]+)?")
_HINTS: Final = {
    "search": "text of any event   enter find   then n next, N previous   esc close",
    "go to": "120 event   t17 turn   50 % of the run   enter go   esc close",
}
_CACHE_MAX: Final = 20_000
_DENSITY_EVERY_S: Final = 1.0
_COLUMNS: Final = (
    Column(name="event", key="seq", width=7, right=True),
    Column(name="time", key="time", width=10, least=48),
    Column(name="kind", key="kind", width=5),
    Column(name="what", key="what", width=0),
)


class RunScreen(ArenaScreen):
    """One run at one seq, `at`; following means that `at` stays the newest."""

    TITLE_NAME = "Run"
    NOT_WHILE_WRITING = frozenset({"step", "go_to", "follow", "speed", "ask"})
    DEFAULT_CSS = """
    RunScreen {
        #parts { height: 1fr; }
        BoardPanel { width: 25%; min-width: 26; max-width: 56; height: 1fr; }
        VirtualTable { width: 1fr; border: round $panel-lighten-2;
                       border-title-color: $text-muted; }
        VirtualTable:focus { border: round $accent; }
        #inspector { width: 31%; border: round $panel-lighten-2; border-title-color: $text-muted;
                     padding: 0 1; scrollbar-size-vertical: 1; }
        #inspector:focus { border: round $accent; }
        &.-narrow #inspector { display: none; }
        &.-zoomed #inspector { display: block; width: 1fr; }
        &.-zoomed VirtualTable, &.-zoomed BoardPanel { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "play", "play"),
        Binding("left", "step(-1)", "event", key_display="←/→", priority=True),
        Binding("right", "step(1)", "next event", show=False, priority=True),
        Binding("left_square_bracket", "jump('turn_start', -1)", "turn", key_display="[ ]"),
        Binding("right_square_bracket", "jump('turn_start', 1)", "next turn", show=False),
        Binding("e", "jump('error', 1)", "error", key_display="e/E"),
        Binding("E", "jump('error', -1)", "previous error", show=False),
        Binding("g", "ask('go to')", "goto"),
        Binding("slash", "ask('search')", "find", key_display="/"),
        Binding("plus,equals_sign", "speed(1)", "speed", key_display="+/-"),
        Binding("minus", "speed(-1)", "slower", show=False),
        Binding("n", "again(False)", "next match", show=False),
        Binding("N", "again(True)", "previous match", show=False),
        Binding("m", "bookmark", "bookmark", show=False),
        Binding("y", "copy", "copy the event as JSON", show=False),
        Binding("home", "go_to(1)", "first event", show=False, priority=True),
        Binding("end", "follow", "last event, or now", show=False, priority=True),
        Binding("escape", "back", "back"),
    ]

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self._run_id = run_id
        self._tape: RunTape | None = None
        self._cache: dict[int, Delivery] = {}
        self._view = RunView(run_id)
        self._head = Playhead()
        self._ticked_at = 0.0
        self._density_at = float("-inf")
        self._asking = ""
        self._needle = ""

    def body(self) -> list[Widget]:
        offset = self.arena.utc_offset
        return [
            RunHeader(offset),
            _Parts(VirtualTable(_COLUMNS, self._row, "no events yet")),
            Scrubber(offset),
            Question(),
        ]

    def on_mount(self) -> None:
        self.query_one(VirtualTable).focus()
        self.query_one(VirtualTable).border_title = "events"
        self._ticked_at = self.arena.monotonic()
        self._open()

    def on_unmount(self) -> None:
        if self._tape is not None:
            self._tape.close()

    def on_resize(self) -> None:
        self.set_class(self.size.width < 100, "-narrow")
        self._density_at = float("-inf")

    def show_frame(self, frame: Frame) -> None:
        super().show_frame(frame)
        now = self.arena.monotonic()
        passed_s, self._ticked_at = now - self._ticked_at, now
        tape = self._tape
        if tape is None:
            return
        if news := tape.pump():
            self._keep(news)
            self._note_count()
            if self._head.following:
                self._go(tape.last_seq)
        if self._head.playing:
            self._play_on(passed_s)
        if now - self._density_at >= _DENSITY_EVERY_S and (tape.live or self._density_at < 0):
            self._density_at = now
            self._load_density()
        self._show_position()

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        self._head.playing = False
        self._go(message.index + 1)

    def on_virtual_table_opened(self) -> None:
        self._zoom(not self.has_class("-zoomed"))

    def on_virtual_table_rows_needed(self, message: VirtualTable.RowsNeeded) -> None:
        self._load_rows(message.first + 1, message.last + 1)

    def on_scrubber_goto(self, message: Scrubber.Goto) -> None:
        self._head.playing = False
        self._go(message.seq)

    @guarded
    async def on_input_submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        self._leave_question()
        if not text:
            return
        if self._asking == "search":
            self._needle = text
            await self.action_again(False)
        else:
            await self._go_to_words(text)

    def action_play(self) -> None:
        head = self._head
        if head.playing or head.following:
            head.playing = head.following = False
            return
        if self._tape is not None:
            if self._head.at >= self._tape.last_seq:
                self._go(1)
            self._head.play(self._time_of(self._head.at) or 0.0)

    def action_step(self, step: int) -> None:
        self._head.playing = False
        self._go(self._head.at + step)

    @guarded
    async def action_jump(self, kind: str, step: int) -> None:
        if self._tape is not None:
            seq = await self._tape.next_of_kind(kind, self._head.at, step)
            if seq is None:
                self.notify(f"no {'next' if step > 0 else 'earlier'} {kind.partition('_')[0]}")
            else:
                self._head.playing = False
                self._go(seq)

    def action_speed(self, step: int) -> None:
        self._head.change_speed(step)

    def action_go_to(self, seq: int) -> None:
        self._head.playing = False
        self._go(seq)

    def action_follow(self) -> None:
        if self._tape is not None:
            self._head.playing = False
            self._go(self._tape.last_seq)

    def action_ask(self, what: str) -> None:
        self._asking = what
        self.query_one(Question).ask(what, _HINTS[what])

    @guarded
    async def action_again(self, backwards: bool) -> None:
        if self._tape is None or not self._needle:
            return
        seq = await self._tape.search(self._needle, self._head.at, backwards)
        if seq is None:
            self.notify(f"no {'earlier' if backwards else 'further'} event contains it")
        else:
            self._head.playing = False
            self._go(seq)

    @guarded
    async def action_bookmark(self) -> None:
        history = self.arena.runtime.history
        delivery = self._cache.get(self._head.at)
        if history is None or not isinstance(delivery, Envelope):
            self.notify("bookmarks need a store and an event", severity="warning")
            return
        now = delivery.event.ts
        is_set = await history.bookmark(delivery.run_id, delivery.epoch, delivery.seq, "", now)
        self.notify("bookmark set" if is_set else "bookmark removed", timeout=2)
        self._density_at = float("-inf")

    def action_copy(self) -> None:
        delivery = self._cache.get(self._head.at)
        if isinstance(delivery, Envelope):
            self.app.copy_to_clipboard(encode_event(delivery.event).decode())
            self.notify(f"event {delivery.seq:,} copied as JSON", timeout=2)

    def action_back(self) -> None:
        if self.query_one(Question).display:
            self._leave_question()
        elif self.has_class("-zoomed"):
            self._zoom(False)
        else:
            self.app.pop_screen()

    @work(exclusive=True, group="open", exit_on_error=False)
    async def _open(self) -> None:
        tape = RunTape(self._run_id, self.arena.runtime)
        try:
            await tape.open()
        except ArenaError as error:
            self.notify(str(error), severity="error")
            self.app.pop_screen()
            return
        self._tape = tape
        self._note_count()
        self._go(tape.last_seq if tape.live else 1)

    @work(exclusive=True, group="goto", exit_on_error=False)
    async def _load_instant(self, seq: int) -> None:
        """Read what the screen shows at `seq`; a newer request cancels this one."""
        assert self._tape is not None
        await self._fill(seq - _AROUND, seq + _AROUND)
        self._show_event(seq)
        self._view = await self._tape.view_at(seq)
        self._show_view()

    @work(exclusive=True, group="rows", exit_on_error=False)
    async def _load_rows(self, first: int, last: int) -> None:
        await self._fill(first - _AROUND, last + _AROUND)
        self.query_one(VirtualTable).refresh()

    @work(exclusive=True, group="density", exit_on_error=False)
    async def _load_density(self) -> None:
        assert self._tape is not None
        scrubber = self.query_one(Scrubber)
        scrubber.density = await self._tape.density(scrubber.slices)
        scrubber.live = self._tape.live

    async def _fill(self, first: int, last: int) -> None:
        assert self._tape is not None
        if len(self._cache) > _CACHE_MAX:
            self._cache.clear()
        self._keep(await self._tape.window(first, min(last, self._tape.last_seq)))

    def _keep(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            if isinstance(delivery, Envelope):
                self._cache[delivery.seq] = delivery
            else:
                for seq in range(delivery.from_seq, delivery.to_seq + 1)[-_CACHE_MAX:]:
                    self._cache[seq] = delivery

    def _go(self, seq: int) -> None:
        """Show the run as it was at `seq`."""
        tape = self._tape
        if tape is None or tape.last_seq == 0:
            return
        before = self._head.at
        self._head.place(seq, tape.last_seq, tape.live)
        self.query_one(VirtualTable).move_to(self._head.at - 1)
        ahead = [self._cache.get(number) for number in range(before + 1, self._head.at + 1)]
        if 0 < len(ahead) <= _AROUND and None not in ahead and self._view.totals.seq == before:
            for delivery in ahead:
                assert delivery is not None
                self._view.add(delivery)
            self._show_view()
            self._show_event(self._head.at)
        else:
            self._load_instant(self._head.at)

    def _play_on(self, passed_s: float) -> None:
        """Move on by the time that has passed; stop at the end of a run that is over."""
        tape, head = self._tape, self._head
        assert tape is not None
        if head.at >= tape.last_seq:
            head.playing = tape.live
            return
        seq = head.advance(passed_s, tape.last_seq, self._time_of)
        if seq != head.at:
            self._go(seq)
        if self._time_of(seq + 1) is None:
            self._load_rows(seq, seq + _AROUND)

    def _time_of(self, seq: int) -> float | None:
        """When it happened, seconds since 1970; None while it is not loaded."""
        delivery = self._cache.get(seq)
        if isinstance(delivery, Gap):
            return 0.0
        return None if delivery is None else delivery.event.ts.timestamp()

    async def _go_to_words(self, text: str) -> None:
        tape = self._tape
        if tape is None:
            return
        words = text.removesuffix("%").removeprefix("t").strip().replace(",", "")
        if not _NUMBER.fullmatch(words):
            self.notify("go to 120 (event), t17 (turn) or 50 %", severity="warning")
            return
        number = float(words)
        if text.endswith("%"):
            number = tape.last_seq * number / 100
        elif text.startswith("t"):
            found = await tape.turn_seq(int(number))
            if found is None:
                self.notify(f"no turn {int(number)}")
                return
            number = found
        self._head.playing = False
        self._go(int(number))

    def _row(self, index: int) -> list[Cell] | None:
        delivery = self._cache.get(index + 1)
        return None if delivery is None else event_cells(delivery, self.arena.utc_offset)

    def _note_count(self) -> None:
        assert self._tape is not None
        table = self.query_one(VirtualTable)
        table.show(self._tape.last_seq)

    def _show_view(self) -> None:
        self.query_one(BoardPanel).show(self._view)
        self.query_one(RunHeader).show(self._view.totals)

    def _show_event(self, seq: int) -> None:
        inspector = self.query_one("#inspector", VerticalScroll)
        table = self.query_one(VirtualTable)
        content = inspect(
            self._cache.get(seq), table.palette, self.arena.utc_offset, inspector.size.width
        )
        inspector.query_one(Static).update(content)
        inspector.scroll_home(animate=False)
        self._show_position()

    def _show_position(self) -> None:
        tape = self._tape
        delivery = self._cache.get(self._head.at)
        position = Position(
            mode=self._head.mode(live=tape is not None and tape.live),
            at=self._head.at,
            last=tape.last_seq if tape else 0,
            ts=delivery.event.ts if isinstance(delivery, Envelope) else None,
        )
        self.query_one(RunHeader).position = position
        self.query_one(Scrubber).position = position

    def _zoom(self, zoomed: bool) -> None:
        self.set_class(zoomed, "-zoomed")
        target = "#inspector" if zoomed else "VirtualTable"
        self.query_one(target).focus()

    def _leave_question(self) -> None:
        self.query_one(Question).clear()
        self.query_one(VirtualTable).focus()


class _Parts(Horizontal):
    """Board, event list and inspector, side by side."""

    def __init__(self, table: VirtualTable) -> None:
        super().__init__(id="parts")
        self._table = table

    def compose(self) -> ComposeResult:
        yield BoardPanel()
        yield self._table
        with VerticalScroll(id="inspector") as inspector:
            inspector.border_title = "inspector"
            yield Static(markup=False)
