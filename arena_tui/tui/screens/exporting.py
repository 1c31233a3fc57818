"""Write runs to a file: pick a format, or name a file that says one."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from arena_tui.errors import UsageError
from arena_tui.events import short_id
from arena_tui.folds.totals import RunTotals
from arena_tui.services.exporting import (
    FORMS,
    OF_ONE_RUN,
    Exported,
    Form,
    check_one,
    export_runs,
    format_of,
    suffix_of,
)
from arena_tui.services.playback.player import Player
from arena_tui.store.history import History
from arena_tui.tui.forms import maker
from arena_tui.tui.pages import Listed
from arena_tui.tui.render.broker import size
from arena_tui.tui.render.clean import clean
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.screens.dialog import LineDialog

_ABOUT: Final[dict[Form, str]] = {
    "jsonl": "all events, for other programs and to import again",
    "csv": "the same as a table, for spreadsheets",
    "parquet": "the same, small and fast to query",
    "html": "a page that plays in a browser",
    "asciicast": "a recording for asciinema players",
}
_NO_STORE: Final = "runs are exported from a store, and none is open here"
_ANSWERS: Final = "enter write  ↓ formats  esc close"
_ALL: Final = 2**31
"""More runs than any store has."""


class ExportScreen(LineDialog):
    """An input for the file above a list of formats; it closes once the file is written."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "stop, or close"),
        Binding("down", "to_list", "formats", show=False),
    ]

    is_settled = True
    """Keys do not wait for what is written: one of them ends it."""

    def __init__(self, history: History, runs: Sequence[RunTotals], title: str) -> None:
        """`runs` are written in this order; `title` says which they are."""
        super().__init__(title, _ANSWERS, text=_name_of(runs))
        self._history = history
        self._runs = runs
        self._forms = [each for each in FORMS if len(runs) == 1 or each not in OF_ONE_RUN]
        self._replaced = ""

    def below(self) -> list[Widget]:
        width = max(map(len, self._forms))
        lines = (Content(f"{each:<{width}}  {_ABOUT[each]}") for each in self._forms)
        return [OptionList(*map(Option, lines)), Static("", classes="told", markup=False)]

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Name the file as the format has it."""
        if self.focused is event.option_list:
            field = self.query_one(Input)
            plain = field.value.removesuffix(".gz").removesuffix(".zst")
            stem = plain.removesuffix(suffix_of(format_of(plain)))
            field.value = stem + suffix_of(self._forms[event.option_index])

    def on_option_list_option_selected(self) -> None:
        self.enter(self.query_one(Input).value.strip())

    def action_to_list(self) -> None:
        self.query_one(OptionList).focus()

    def action_back(self) -> None:
        """End what is being written; else close."""
        if self.is_trying:
            self.workers.cancel_node(self)
        else:
            self.dismiss()

    def enter(self, text: str) -> None:
        """Write this, unless something is being written."""
        if not self.is_trying:
            super().enter(text)

    async def take(self, text: str) -> None:
        path = self._path(text)
        self._show_progress(Exported())
        self.put("esc stops", "answers")
        try:
            done = await self._written(path)
        except asyncio.CancelledError:
            self.put("stopped before it was written", "error")
            raise
        finally:
            self.put("", "told")
            self.put(_ANSWERS, "answers")
        self.app.notify(_told(path, done))
        self.dismiss()

    def _path(self, text: str) -> Path:
        """The file that is meant.

        Raises:
            UsageError: It is there and that was not said yet.
        """
        path = Path(os.path.expanduser(text or _name_of(self._runs)))  # no error for ~nobody
        if os.path.lexists(path) and self._replaced != str(path):
            self._replaced = str(path)
            raise UsageError(f"{path} is there already: enter again replaces it")
        return path

    async def _written(self, path: Path) -> Exported:
        loop = asyncio.get_running_loop()

        def show(done: Exported) -> None:
            loop.call_soon_threadsafe(self._show_progress, done)

        form = format_of(path.name)
        check_one(form, len(self._runs))
        ids = [each.run_id for each in self._runs]
        return await export_runs(self._history, ids, maker(form), str(path), show)

    def _show_progress(self, done: Exported) -> None:
        of = "" if len(self._runs) == 1 else f" of {len(self._runs):,}"
        self.put(f"{done.runs:,}{of} runs, {done.events:,} events", "told")


async def export_here(screen: ArenaScreen, player: Player) -> bool:
    """Ask where to write the run one stands in, as far as it is stored."""
    delivery, history = player.delivery(), _history(screen)
    if delivery is None:
        screen.notify("this place is still being read: try again", severity="warning")
    else:
        _ask_where(screen, history, await history.run(delivery.run_id))
    return False


async def export_run(screen: ArenaScreen, listed: Listed) -> bool:
    """Ask where to write the run under the cursor."""
    _ask_where(screen, _history(screen), listed.chosen())
    return False


async def export_all(screen: ArenaScreen, listed: Listed) -> bool:
    """Ask where to write all runs that are listed, the oldest first."""
    history = _history(screen)
    listed.chosen()
    runs = await history.runs(listed.where, listed.parameters, descending=False, limit=_ALL)
    what = "1 run" if len(runs) == 1 else f"all {len(runs):,} runs shown"
    screen.app.push_screen(ExportScreen(history, runs, f"Export {what}"))
    return False


def _history(screen: ArenaScreen) -> History:
    history = screen.arena.session.history
    if history is None:
        raise UsageError(_NO_STORE)
    return history


def _ask_where(screen: ArenaScreen, history: History, run: RunTotals) -> None:
    name = f"{clean(run.game, 40) or 'run'} · {clean(short_id(run.run_id))}"
    screen.app.push_screen(ExportScreen(history, [run], f"Export {name}"))


def _name_of(runs: Sequence[RunTotals]) -> str:
    """`chess-7f3a.jsonl`: harmless, whatever the game is called."""
    stem = "runs"
    if len(runs) == 1:
        words = re.findall(r"[A-Za-z0-9_]+", f"{runs[0].game[:40]} {short_id(runs[0].run_id)}")
        stem = "-".join(words)
    return stem + suffix_of("jsonl")


def _told(path: Path, done: Exported) -> str:
    """`1,204 events of 1 run, 410 kB, are in /home/me/chess-7f3a.html`."""
    runs = f"{done.runs:,} run{'' if done.runs == 1 else 's'}"
    events = f"{done.events:,} event{'' if done.events == 1 else 's'}"
    return f"{events} of {runs}, {size(path.stat().st_size)}, are in {path.absolute()}"
