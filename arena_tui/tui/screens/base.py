"""What every full screen has: title line, truth bar, footer, and the newest frame."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Callable, Collection, Coroutine, Iterator
from functools import partial, wraps
from typing import Any, ClassVar, Concatenate, Final, ParamSpec, TypeVar

from textual import work
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Event, Mount, Resize, ScreenResume
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input
from textual.worker import Worker, WorkerState

from arena_tui.config import filters_path
from arena_tui.consumers.feed import Frame
from arena_tui.errors import ArenaError, FilterError, UsageError
from arena_tui.folds.conditions import FIELDS, begun_fields, field_words
from arena_tui.services.filter_words import FilterWords
from arena_tui.services.saved_filters import SavedFilters
from arena_tui.tui.keymap import with_ids
from arena_tui.tui.keys import commands_here, said_of
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.script import counts_text
from arena_tui.tui.screens.host import Host
from arena_tui.tui.screens.saved_filters import SavedFiltersScreen, SaveFilterScreen
from arena_tui.tui.widgets.bars import KeyLine, TitleBar, TruthBar
from arena_tui.tui.widgets.filter_line import RunFilterLine
from arena_tui.tui.widgets.mosaic import Mosaic
from arena_tui.tui.widgets.question import FILTER_HINT, Question
from arena_tui.tui.widgets.table import VirtualTable

_log = logging.getLogger(__name__)


_SUGGESTED_MAX: Final = 12
"""Values that are named as one types."""

_DAY_S: Final = 24 * 3_600.0

_WITH_WIDGETS: Final = (Mount, Resize, ScreenResume)
"""Events upon which a screen fills its widgets."""

P = ParamSpec("P")
S = TypeVar("S", bound="ArenaScreen")


def guarded(
    action: Callable[Concatenate[S, P], Coroutine[Any, Any, None]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, None]]:
    """Make an action show usage errors, and show and log other failures; the screen stays up."""

    @wraps(action)
    async def guard(self: S, /, *words: P.args, **named: P.kwargs) -> None:
        try:
            await action(self, *words, **named)
        except UsageError as error:
            self.notify(str(error), severity="warning")
        except ArenaError as error:
            self.say_failed(action.__name__, error)

    return guard


class ArenaScreen(Screen[None]):
    """A screen between title line and truth bar; subclasses define `body`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "a", "account", "account", show=False, tooltip="where events are", id="app.account"
        ),
    ]

    NOT_WHILE_WRITING: ClassVar[frozenset[str]] = frozenset()
    """Actions whose keys edit text while an `Input` has the focus."""

    AWAITED: ClassVar[frozenset[str]] = frozenset()
    """Groups of workers for which keys wait."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Give the class's own keys ids, before Textual reads them."""
        if own := cls.__dict__.get("BINDINGS"):
            cls.BINDINGS = with_ids(cls.__name__.removesuffix("Screen").lower(), own)
        super().__init_subclass__(**options)

    def __init__(self, arena: Host, name: str) -> None:
        """`name` is what the title line says."""
        super().__init__(name=name)
        self.arena = arena
        self.address = ""
        """What it shows, for `arena-tui open`; "" where that is nothing of a run."""
        self.tells_of: Collection[str] = ()
        """The runs whose troubles it shows as they begin, so that no notice need say them again."""

    @property
    def is_settled(self) -> bool:
        """Whether the screen shows what the keys up to now asked for; else further keys wait."""
        return not any(
            worker.node is self and worker.group in self.AWAITED and not worker.is_finished
            for worker in self.workers
        )

    def compose(self) -> ComposeResult:
        yield TitleBar(self.name or "", self.arena.tabs)
        yield from self.body()
        yield TruthBar()
        yield KeyLine()

    def body(self) -> list[Widget]:
        """The widgets between the bars."""
        return []

    def commands(self) -> Iterator[SystemCommand]:
        """What the keys of the screen do now, for the palette."""
        for active in commands_here(self):
            binding = active.binding
            key = self.app.get_key_display(binding.with_key(binding.key))
            what = said_of(binding)
            do = partial(self.app.run_action, binding.action, active.node)
            yield SystemCommand(what[:1].upper() + what[1:], f"On this screen: {key}", do)

    async def on_event(self, event: Event) -> None:
        """Once the app is leaving, a screen that has just been opened never gets its widgets."""
        if self.app.return_code is None or not isinstance(event, _WITH_WIDGETS):
            await super().on_event(event)

    def on_mount(self) -> None:
        self.show_frame(self.arena.session.frame)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        writing = isinstance(self.focused, Input)
        return not (writing and action in self.NOT_WHILE_WRITING)

    def on_screen_resume(self) -> None:
        self.show_frame(self.arena.session.frame)

    def runs_in_sight(self, soon: bool = False) -> Collection[str]:
        """The runs that are shown, and, if `soon`, those that one key may bring into sight."""
        lists = [*self.query(VirtualTable), *self.query(Mosaic)]
        return [key for each in lists if each.display for key in each.keys_in_sight(soon)]

    def show_frame(self, frame: Frame) -> None:
        """Show a new frame; every screen updates its bars."""
        title = self.query_one(TitleBar)
        title.clock = self.arena.clock_text()
        title.frame = frame
        title.scripts = counts_text(self.arena.session.script_panes())
        truth = self.query_one(TruthBar)
        lag_ms = self.arena.session.runtime.instruments.panel.loop.lag_ms
        truth.pace = None if self.arena.low_bandwidth else self.arena.pace
        truth.late_ms = lag_ms[-1] if lag_ms else 0.0
        truth.note = self.arena.session.note
        truth.since = _since(self.arena)
        truth.truth = frame.truth

    def action_account(self) -> None:
        """Show all figures in the truth bar, or only what matters."""
        truth = self.query_one(TruthBar)
        truth.in_full = not truth.in_full

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show and log a failed read; the screen stays up."""
        if event.state is WorkerState.ERROR:
            self.say_failed(event.worker.name, event.worker.error)

    def say_failed(self, what: str, error: BaseException | None) -> None:
        _log.error("%s failed", what, exc_info=error)
        self.notify(str(error) or type(error).__name__, severity="error")

    def on_title_bar_screen_chosen(self, message: TitleBar.ScreenChosen) -> None:
        self.arena.action_go(message.name)


class Sought:
    """The run that was chosen last, though a filter may hide it: it is chosen again as soon as it
    is there, unless another was chosen meanwhile."""

    def __init__(self) -> None:
        self._run_id: str | None = None
        self._left_at: str | None = None

    def run_id(self, at: str | None) -> str | None:
        """The run to look for; `at` is the one selected now."""
        if at != self._left_at:
            self._run_id = self._left_at = at
        return self._run_id

    def leave(self, at: str | None, for_good: bool = False) -> None:
        """`at` is selected in place of the run sought, for good or until that is there again."""
        self._left_at = at
        if for_good:
            self._run_id = at


class FilteredScreen(ArenaScreen):
    """A screen of runs with a `Question` below that filters them as one types.

    Subclasses define `take_filter` and `focus_runs`.
    """

    FIELDS: ClassVar[Collection[str]] = FIELDS
    """What its runs can be filtered by."""

    NOT_WHILE_WRITING = frozenset({"filter", "tool"})

    def __init__(self, arena: Host, name: str) -> None:
        super().__init__(arena, name)
        self.sought = Sought()
        self._words = FilterWords()
        self._saved = SavedFilters(filters_path())

    def question(self) -> Question:
        """The line for the filter."""
        return Question(RunFilterLine(field_words(self.FIELDS)))

    @abstractmethod
    def take_filter(self, text: str) -> None:
        """Show the runs that match.

        Raises:
            UsageError: The text is no filter; what is shown stays.
        """

    @abstractmethod
    def focus_runs(self) -> None:
        """Focus what shows the runs."""

    def selected_run(self) -> str | None:
        """The run under the cursor; None where no run is."""
        return self.query_one(VirtualTable).key

    def on_input_changed(self, event: Input.Changed) -> None:
        question, line = self.query_one(Question), self.query_one(RunFilterLine)
        begun = begun_fields(event.value, self.FIELDS) if event.value else ()
        question.suggest(begun or [clean(each) for each in line.completions[:_SUGGESTED_MAX]])
        line.underline()
        try:
            self.take_filter(event.value)
        except UsageError as error:
            question.object_to(str(error))
            if isinstance(error, FilterError):
                line.underline(error.start, error.end)

    async def on_run_filter_line_save(self, message: RunFilterLine.Save) -> None:
        if not message.text or self.query_one(Question).is_refused:
            self.notify("write a filter first, then ctrl+s saves it", severity="warning")
        else:
            self.app.push_screen(SaveFilterScreen(self._saved, message.text))

    @guarded
    async def on_run_filter_line_show_saved(self) -> None:
        saved = await asyncio.to_thread(self._saved.read)
        if not saved:
            raise UsageError("no filter is saved yet: ctrl+s saves the one in the line")

        line = self.query_one(RunFilterLine)
        self.app.push_screen(SavedFiltersScreen(self._saved, saved, line.put))

    def on_input_submitted(self) -> None:
        question = self.query_one(Question)
        if question.is_refused:  # left like that, it would look as if it were in force
            return
        question.display = bool(question.value)
        if (selected := self.selected_run()) is not None:
            self.sought.leave(selected, for_good=True)
        self.focus_runs()

    def action_filter(self) -> None:
        self.query_one(Question).ask("filter", FILTER_HINT)
        self._load_words()

    @work(exclusive=True, group="words", exit_on_error=False)
    async def _load_words(self) -> None:
        session = self.arena.session
        values = await self._words.read(
            session.history, session.frame.panes, self.arena.monotonic()
        )
        self.query_one(RunFilterLine).know(values)


def _since(arena: Host) -> str:
    """When the process began to count: `12:03`, a day later `11-28 12:03`."""
    began_at, began_s = arena.began
    is_long_ago = arena.monotonic() - began_s >= _DAY_S
    return f"{began_at:%m-%d %H:%M}" if is_long_ago else f"{began_at:%H:%M}"
