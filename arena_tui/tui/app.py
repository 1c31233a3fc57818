"""The app: each tick folds new events, samples a frame and passes it to the visible screens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.console import RenderableType
from textual import events
from textual.app import SystemCommand
from textual.binding import Binding, BindingType, Keymap
from textual.driver import Driver
from textual.notifications import SeverityLevel
from textual.reactive import reactive
from textual.screen import Screen

from arena_tui.broker.protocol import Cursor
from arena_tui.config import copy_path
from arena_tui.errors import ArenaError, UsageError
from arena_tui.services.session import Session
from arena_tui.tui.announcing import Overflows
from arena_tui.tui.background import AppTasks, LeavingSignals, can_be_suspended, save_picture
from arena_tui.tui.bound import changeable, fixed
from arena_tui.tui.clipboard import Copier
from arena_tui.tui.driver import InputLost, TerminalDriver
from arena_tui.tui.frames import FrameLoop
from arena_tui.tui.interpreter import Interpreter
from arena_tui.tui.keymap import keymap_of, with_ids
from arena_tui.tui.notices import Notices
from arena_tui.tui.render.clean import clean
from arena_tui.tui.render.text import clock_time, leaving_question, with_short_ids
from arena_tui.tui.screens.base import ArenaScreen
from arena_tui.tui.tabs import TABS, Tab
from arena_tui.tui.theme import DEFAULT_THEME
from arena_tui.tui.themed import ThemedApp
from arena_tui.tui.typed_ahead import Digested, TypedAhead, is_typed

_FRAME_S = 0.1
_LEAVING = "leaving"
_CLOSE_WITHIN_S = 7.0
_TASKS_END_WITHIN_S = 1.0
_TOAST_S: dict[SeverityLevel, float] = {"information": 3.0, "warning": 4.0, "error": 6.0}


class ArenaApp(ThemedApp[int]):
    """Shows the runs of one session, which it opens and closes. Its return value is the exit code.

    Args:
        session: What there is to show.
        clock: Wall clock, for the times shown.
        monotonic: Monotonic clock in seconds, for durations.
        frame_s: Seconds between frames; None: only when `sample` is called.
        on_signal: Called at once on a termination signal, even while the event loop is blocked.
        on_leaving: Called when it begins to end; at once on a signal, and perhaps more than once.
        tabs: The screens to offer, the first to start with.
        zone: The time zone to show; None: that of this machine, where each date has its own offset.
        opens_at: A run to open, by its id or a part of it, and where in it.
        driver: Reads keys and draws; None: what the environment names, to be shown in a browser.

    Attributes:
        frames: Draws; a driver tells it what has yet to leave.
        typed_ahead: Keys and clicks that wait for those before them.
        left_at: The address of the event that was shown last, if a run was shown.
        refusal: Why the session could not be opened, once it has ended for that.
    """

    CSS_PATH = Path(__file__).parent / "arena.tcss"
    TITLE = "arena-tui"
    VERTICAL_BREAKPOINTS = [(0, "-low"), (14, "-high")]  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = with_ids("app", [
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("ctrl+p", "command_palette", "commands", key_display="^p", priority=True),
        Binding("q", "quit", "quit"),
        Binding("ctrl+c,ctrl+q", "quit", "quit", show=False, priority=True, id="app.leave"),
    ])  # fmt: skip

    low_bandwidth: reactive[bool] = reactive(False, toggle_class="-low-bandwidth")
    """Whether bytes to the terminal are dear; may turn true as it runs."""

    def __init__(
        self,
        session: Session,
        clock: Callable[[], datetime] = lambda: datetime.now().astimezone(),
        monotonic: Callable[[], float] = time.monotonic,
        frame_s: float | None = _FRAME_S,
        on_signal: Callable[[], None] = lambda: None,
        on_leaving: Callable[[], None] = lambda: None,
        tabs: Sequence[Tab] = TABS,
        zone: tzinfo | None = None,
        opens_at: tuple[str, Cursor | None] | None = None,
        driver: type[Driver] | None = TerminalDriver,
    ) -> None:
        super().__init__(driver)
        self.session = session
        self.pace = (0.0, 0.0)
        self.low_bandwidth = session.config.low_bandwidth
        self.exit_message: str | None = None
        self.left_at: str | None = None
        self.refusal: ArenaError | None = None
        self.tabs = tabs
        for tab in tabs:
            self.bind(tab.key, f"go({tab.name!r})", description=tab.name.lower(), show=False)
        self._opens_at = opens_at
        self._keymap_wanted: Keymap = {}
        if session.config.keys:
            self._keymap_wanted = keymap_of(
                session.config.keys, changeable(type(self), tabs), lambda place: fixed(place, tabs)
            )
        self.zone = zone
        self.marked: list[str] = []
        self._clock = clock
        self.monotonic = monotonic
        self.began = (clock(), monotonic())
        self._frame_s = frame_s
        self._signals = LeavingSignals(on_signal, on_leaving)
        self._on_leaving = on_leaving
        self.frames = FrameLoop(self)
        self._overflows = Overflows()
        self._tasks = AppTasks(self)
        self._interpreter = Interpreter()

        def write(text: str) -> bool:
            """Send it to the terminal; returns whether there is one."""
            if self._driver is None:
                return False
            self._driver.write(text)
            return True

        self.copier = Copier(write, copy_path())
        self._notices = Notices(
            session.config.notify,
            toast=lambda text: self.notify(text, severity="warning"),
            bell=self.bell,
            write=write,
        )
        self.typed_ahead = TypedAhead(self, super().on_event)
        wanted = session.config.theme
        if wanted and wanted not in self.available_themes:
            themes = ", ".join(sorted(self.available_themes))
            raise UsageError(f"no theme {wanted!r}: use one of {themes}")
        self.theme = wanted or DEFAULT_THEME

    def clock_text(self) -> str:
        return clock_time(self._clock(), self.zone)[: 5 if self.low_bandwidth else None]

    async def on_load(self) -> None:
        await self.session.begin(self.monotonic, self._clock)

    def get_default_screen(self) -> Screen[Any]:
        return self.tabs[0].open(self)

    def on_mount(self) -> None:
        if not self.is_headless and can_be_suspended():
            self.bind("ctrl+z", "suspend_process", description="suspend", show=False)
        self._signals.handle(self.exit)
        self.set_keymap(self._keymap_wanted)
        self.app_resume_signal.subscribe(self, lambda _: self.screen.refresh())
        self.call_after_refresh(self._begin)

    async def _begin(self) -> None:
        """Start what is slow to import or open, after the first paint."""
        self._tasks.start(self._open(), "opening")
        if self._frame_s is not None:
            self._interpreter.tune()
            self._tasks.start(self.frames.run(self._frame_s), "drawing")

    async def _open(self) -> None:
        try:
            await self.session.open()
        except ArenaError as error:
            self.refusal = error
            self.exit(error.exit_code)
        if self._opens_at is not None:
            self.open_run(*self._opens_at)
        if self.session.url is not None:
            self.notify(f"also at {self.session.url}")

    def open_run(self, run_id: str, at: Cursor | None = None) -> None:
        from arena_tui.tui.screens.run import RunScreen

        self.push_screen(RunScreen(self, self.session.player(run_id, at)))

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show a toast; `message` is always plain text, whatever `markup` says."""
        seconds = _TOAST_S[severity] if timeout is None else timeout
        super().notify(
            clean(message, 200), title=title, severity=severity, timeout=seconds, markup=False
        )

    def exit(
        self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None
    ) -> None:
        """Exit the app; the message is printed once the terminal is restored."""
        self._on_leaving()
        self.left_at = next(
            (each.address for each in reversed(self.screen_stack)
             if isinstance(each, ArenaScreen) and each.address), None,
        )  # fmt: skip
        if message is not None:
            self.exit_message = str(message)
        super().exit(result, return_code)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        for tab in self.tabs:
            yield SystemCommand(tab.name, tab.description, partial(self.action_go, tab.name))
        yield SystemCommand("New game", "Start a game or a script here", self.action_new_game)
        yield SystemCommand("Help", "All keys", self.action_help)
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)
        yield SystemCommand("Picture", "Save the screen as an SVG", partial(save_picture, self))
        yield SystemCommand("Quit", "End what is played here and leave", self.action_quit)
        if isinstance(screen, ArenaScreen):
            yield from screen.commands()

    def action_go(self, name: str) -> None:
        """Go to a tab; one that is open below comes back as it was left."""
        if all(screen.name != name for screen in self.screen_stack):
            while len(self.screen_stack) > 1:
                self.pop_screen()
            self.push_screen(next(tab for tab in self.tabs if tab.name == name).open(self))
        while self.screen.name != name:
            self.pop_screen()

    def action_help(self) -> None:
        from arena_tui.tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen))

    def action_new_game(self) -> None:
        from arena_tui.tui.screens.new_game import NewGameScreen

        self.push_screen(NewGameScreen(self.session.play))

    async def action_quit(self) -> None:
        """Leave, after asking where that ends something; asked for once more, leave at once."""
        question = leaving_question(self.session.games.playing, self.session.scripts.running)
        from arena_tui.tui.screens.confirm import ConfirmScreen

        if question is None or self.screen.name == _LEAVING:
            self.exit(0)
            return
        self.push_screen(
            ConfirmScreen(question, _LEAVING), lambda yes: self.exit(0) if yes else None
        )

    async def on_event(self, event: events.Event) -> None:
        if is_typed(event):
            await self.typed_ahead.take(event)
        else:
            await super().on_event(event)

    async def on_digested(self, message: Digested) -> None:
        await self.typed_ahead.digested(message.number)

    def on_input_lost(self, message: InputLost) -> None:
        if self.return_code is None:  # else it is leaving, as on a signal
            self.exit(1, message=f"no more keys can be read: {message.reason}")

    async def sample(self) -> None:
        """Draw one frame: fold new events, sample them, update the visible screens."""
        for screen in self.screen_stack:  # a dialog leaves in sight what is behind it
            if isinstance(screen, ArenaScreen) and screen.is_mounted:
                self.session.feed.look_at(screen.runs_in_sight(soon=True))
        frame = await self.session.sample()
        if (news := self._overflows.news(frame, self.monotonic())) is not None:
            self.notify(with_short_ids(news), severity="warning")
        await self.frames.keys_first()
        if self.return_code is not None:
            return  # it is leaving, and takes the screens apart
        for screen in self.frames.screens_in_sight():
            if isinstance(screen, ArenaScreen) and screen.is_mounted:
                screen.show_frame(frame)
        seen = next(each for each in reversed(self.screen_stack) if not each.is_modal)
        told = seen.tells_of if isinstance(seen, ArenaScreen) else ()  # behind a dialog, too
        self._notices.tell(self.session.alerts, told)

    async def on_unmount(self) -> None:
        self._on_leaving()
        await self._tasks.cancel(_TASKS_END_WITHIN_S)
        if unsaved := await self.session.aclose(_CLOSE_WITHIN_S):
            self.exit_message = self.exit_message or unsaved
            self._return_code = 1
        self._signals.restore()
        self._interpreter.restore()
