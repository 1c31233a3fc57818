"""Hits: where a text is found, in one run or in all: a list that fills as it is looked for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input, Static

from arena_tui.broker.protocol import Cursor
from arena_tui.consumers.feed import Frame
from arena_tui.errors import UsageError
from arena_tui.services.all_hits import AllHits
from arena_tui.services.playback.address import address_of
from arena_tui.services.playback.hits import HitList, RunHits
from arena_tui.services.playback.player import Player
from arena_tui.store.searching import Hit
from arena_tui.tui.pages import Listed
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.hits import LINE, OF_A_RUN, OF_ALL_RUNS, cells_in_all, cells_in_run
from arena_tui.tui.render.table import Cell, Marked
from arena_tui.tui.screens.base import ArenaScreen, guarded
from arena_tui.tui.screens.host import Host
from arena_tui.tui.widgets.question import Question
from arena_tui.tui.widgets.run import Goto
from arena_tui.tui.widgets.table import VirtualTable

_HINT: Final = "text of any event   enter find   esc close"


class HitsScreen(ArenaScreen):
    """A line that says how many there are, above the list.

    Args:
        look_for: Begins a search for another text, and gives the list that it fills.
        hits: The list to begin with; None: a text is asked for first.
        go: Shows a hit, by its place in the list; it closes this screen if it has to.
        below: The screen that goes on meanwhile, so that what it follows grows.
    """

    DEFAULT_CSS = """
    HitsScreen #found { height: 1; padding: 0 1; color: $text-muted; text-wrap: nowrap;
                        text-overflow: ellipsis; }
    """
    NOT_WHILE_WRITING = frozenset({"ask", "copy"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "ask", "find", key_display="/", tooltip="look for another text"),
        Binding("y", "copy", "copy", tooltip="copy the address of the event"),
        Binding("escape", "back", "back", tooltip="end the search, or go back"),
    ]

    def __init__(
        self, arena: Host, look_for: Callable[[str], HitList], go: Callable[[int], None],
        hits: HitList | None = None, below: ArenaScreen | None = None,
    ) -> None:  # fmt: skip
        super().__init__(arena, "Hits")
        self._look_for = look_for
        self._go = go
        self._hits = hits
        self._below = below
        self._shown: tuple[HitList, int, str] | None = None

    def body(self) -> list[Widget]:
        columns = OF_A_RUN if self._below is not None else OF_ALL_RUNS
        table = VirtualTable(columns, self._row, keys=self._key_of)
        return [Static(id="found", markup=False), table, Question()]

    def on_mount(self) -> None:
        self.query_one(VirtualTable).focus()
        if self._hits is None:
            self.action_ask()
        self._show()

    def runs_in_sight(self, soon: bool = False) -> Collection[str]:
        """None: rows are events, and nothing of them changes."""
        return ()

    def show_frame(self, frame: Frame) -> None:
        super().show_frame(frame)
        if self._below is not None:
            self._below.show_frame(frame)
        self._show()

    @guarded
    async def on_input_submitted(self, event: Input.Submitted) -> None:
        if text := event.value.strip():
            self.workers.cancel_group(self, "hits")
            self._hits = self._look_for(text)
            self.query_one(VirtualTable).move_to(0)
        self.action_back()
        self._show()

    def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        self._go(message.index)

    def action_ask(self) -> None:
        self.query_one(Question).ask("search", _HINT)

    @guarded
    async def action_copy(self) -> None:
        hit = self._hit(self.query_one(VirtualTable).cursor)
        if hit is None:
            raise UsageError("there is no hit to copy the address of")
        history = self.arena.session.history
        epochs = {} if history is None else await history.lengths(hit.run_id)
        at = Cursor(hit.epoch if len(epochs) > 1 else 0, hit.seq)
        address = address_of(hit.run_id, at)
        self.notify(f"{address}: {await self.arena.copier.copy(address)}")

    def action_back(self) -> None:
        question, hits = self.query_one(Question), self._hits
        if question.display and hits is not None:
            question.clear()
            self.query_one(VirtualTable).focus()
        elif hits is not None and hits.lacking and self._below is None:
            hits.stop()
            self.workers.cancel_group(self, "hits")
        else:
            self.app.pop_screen()

    def _show(self) -> None:
        """Show what is found by now, and look on."""
        hits = self._hits
        if hits is None:
            return
        if hits.lacking and not hits.reading:
            self.run_worker(
                hits.read_on(self._show), "the search", group="hits", exit_on_error=False
            )
        shown = hits, hits.version, hits.where
        if shown == self._shown:
            return
        table = self.query_one(VirtualTable)
        cursor, key = table.cursor, table.key
        if self._key_of(cursor) != key:  # hits have come before it
            keys = map(self._key_of, range(len(hits.hits)))
            cursor = next((index for index, each in enumerate(keys) if each == key), cursor)
        self._shown = shown
        text = f"“{clean(hits.text, 40)}”: {hits.counted}   {hits.where}"
        if hits.lacking and self._below is None:
            text += "   esc ends it"
        self.query_one("#found", Static).update(text)
        table.say_when_empty("" if hits.lacking else "No event contains it: / asks for another.")
        table.show(len(hits.hits), cursor=cursor)

    def _hit(self, index: int) -> Hit | None:
        found = () if self._hits is None else self._hits.hits
        return found[index] if index < len(found) else None

    def _key_of(self, index: int) -> str | None:
        hit = self._hit(index)
        return None if hit is None else f"{hit.run_id}:{hit.epoch}:{hit.seq}"

    def _row(self, index: int) -> list[Cell | Marked] | None:
        hit, hits = self._hit(index), self._hits
        if hit is None or hits is None:
            return None
        room, zone = self.query_one(VirtualTable).room_of(LINE), self.arena.zone
        if isinstance(hits, AllHits):
            game = hits.games.get(hit.run_id, "")
            return cells_in_all(hit, game, hits.text, room, zone)
        return cells_in_run(hit, hits.text, room, zone)


async def list_hits(screen: ArenaScreen, player: Player) -> bool:
    """List the hits of what was searched for in this run; ask for a text if nothing was."""
    found = player.finder.hits

    def look_for(text: str) -> RunHits:
        player.finder.look_for(text)
        return found

    def go(index: int) -> None:
        place = found.places[index]
        screen.app.pop_screen()
        screen.post_message(Goto(place))

    hits = found if found.text else None
    screen.app.push_screen(HitsScreen(screen.arena, look_for, go, hits, below=screen))
    return False


async def search_all(screen: ArenaScreen, listed: Listed) -> bool:
    """Ask for a text, and list where it is in the runs that are listed.

    Raises:
        UsageError: No store is open.
    """
    history = screen.arena.session.history
    if history is None:
        raise UsageError("nothing is stored here to search: start without --no-store")
    matching = listed.where, listed.parameters
    lists: list[AllHits] = []

    def look_for(text: str) -> AllHits:
        lists[:] = [AllHits(history, text, *matching)]
        return lists[0]

    def go(index: int) -> None:
        hit = lists[0].hits[index]
        screen.arena.open_run(hit.run_id, Cursor(hit.epoch, hit.seq))

    screen.app.push_screen(HitsScreen(screen.arena, look_for, go))
    return False
