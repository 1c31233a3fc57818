"""Keys and clicks that come faster than the screen follows: each waits until the one before has
done all it does. Knows nothing of what that is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, TypeAlias, TypeGuard, runtime_checkable

from textual import events
from textual.app import App
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

Typed: TypeAlias = events.Key | events.Paste | events.MouseEvent

HOLD_AT_MOST_S: Final = 5.0
"""Longest that what is held waits for the screen, in seconds in which the app itself runs."""

_CLICKS: Final = (
    events.MouseDown,
    events.MouseUp,
    events.MouseMove,
    events.MouseScrollDown,
    events.MouseScrollUp,
)
_MOVES: Final = frozenset(
    {"up", "down", "left", "right", "pageup", "pagedown", "home", "end", "h", "j", "k", "l"}
)
"""Keys that open and focus nothing, on no screen: those after them need not wait."""

_EDITING: Final = frozenset({"backspace", "delete", "left", "right", "home", "end"})
"""Keys that do nothing but edit the line they are typed into."""

_ROUNDS: Final = 4
"""How often what a key has set off may set off something more, from widget to screen to app."""
_LOOK_S: Final = 0.02
"""How often one looks after keys that are held."""
_LOST_S: Final = 0.1
"""After which a probe is sent again: its widget may have been removed with it."""


@runtime_checkable
class Settling(Protocol):
    """A screen that reads something before its next key has a meaning."""

    @property
    def is_settled(self) -> bool:
        """Whether the screen shows what the keys up to now asked for."""


class Digested(Message, verbose=True):
    """A probe that goes the way of a key, from the focused widget up to the app, behind it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def is_typed(event: events.Event) -> TypeGuard[Typed]:
    """Whether it comes from keyboard or mouse and has been handed to nobody yet; ctrl+c never
    waits."""
    is_one = isinstance(event, (events.Paste, *_CLICKS)) or (
        isinstance(event, events.Key) and event.key != "ctrl+c"
    )
    return is_one and not event.is_forwarded


def _writes(event: Typed, focused: Widget | None) -> bool:
    """Whether it does nothing but change the text of the line that has the focus."""
    if not isinstance(focused, Input):
        return False
    return isinstance(event, events.Paste) or (
        isinstance(event, events.Key) and (event.is_printable or event.key in _EDITING)
    )


def _moves(event: Typed) -> bool:
    return isinstance(event, events.Key) and event.key in _MOVES


class TypedAhead:
    """Lets keys, pastes and clicks through one by one, in order.

    A key is handled in several steps, each a message in the queue of some widget, and acts upon
    the screen and the focus of the last of them (Textual 8.2). What is typed in one burst would
    act upon the screen below, or be lost. Where the screen does not follow in time, what is held
    is given up rather than let loose on a screen it was not meant for.

    Args:
        let_through: Hands one to the screen. All that is awaited here runs in the app's queue.
    """

    def __init__(
        self, app: App[int], let_through: Callable[[Typed], Coroutine[Any, Any, None]]
    ) -> None:
        self._app = app
        self._let_through = let_through
        self._held: deque[Typed] = deque()
        self._rounds = 0
        self._number = 0
        self._looks = 0
        self._probed_at = 0.0
        self._place: tuple[object, object] = (None, None)
        self._timer: Timer | None = None
        self._waits_no_more = False
        self._line: Widget | None = None
        """Into which the newest of them was written, if into any."""

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is held, and what was let through has done all it does."""
        return not self._held and self._is_free()

    async def take(self, event: Typed) -> None:
        """Let it through, now or behind those before it."""
        if not self._held and (isinstance(event, events.MouseMove) or self._is_free(event)):
            await self._pass(event)
            return
        self._held.append(event)
        if len(self._held) == 1:
            self._looks = 0
        self._look_on()

    async def digested(self, number: int) -> None:
        """A probe has come back."""
        if number != self._number or not self._rounds:
            return
        moved = self._place != self._here()
        self._rounds = _ROUNDS if moved else self._rounds - 1
        if self._rounds:
            self._probe()
        else:
            await self._go_on()

    async def _pass(self, event: Typed) -> None:
        line = self._app.focused
        self._line = line if _writes(event, line) else None
        await self._let_through(event)
        if not (isinstance(event, events.MouseMove) or _moves(event)):
            self._rounds = _ROUNDS
            self._looks = 0
            self._probe()
            self._look_on()

    def _here(self) -> tuple[object, Widget | None]:
        return self._app.screen, self._app.focused

    def _probe(self) -> None:
        self._number += 1
        self._probed_at = time.monotonic()
        self._place = _, focused = self._here()
        (focused or self._app.screen).post_message(Digested(self._number))

    def _look_on(self) -> None:
        """Look after what is held, and after probes that are lost."""
        if self._timer is None:
            self._timer = self._app.set_interval(_LOOK_S, self._look, name="keys held")

    async def _look(self) -> None:
        self._looks += 1
        if self._held and self._looks * _LOOK_S >= HOLD_AT_MOST_S:
            self._give_up()
        elif not self._rounds:
            await self._go_on()
        elif time.monotonic() - self._probed_at >= _LOST_S:
            self._probe()

    async def _go_on(self) -> None:
        while self._held and self._is_free(self._held[0]):
            await self._pass(self._held.popleft())
        if not (self._held or self._rounds):
            self._stop_looking()

    def _give_up(self) -> None:
        """Drop what is held, and say so; what comes then waits for this screen no more."""
        dropped = sum(not isinstance(event, events.MouseMove) for event in self._held)
        self._held.clear()
        self._rounds = 0
        self._waits_no_more = True
        self._stop_looking()
        if dropped:
            what = "1 key or click" if dropped == 1 else f"{dropped} keys or clicks"
            self._app.notify(
                f"dropped {what}: the screen was busy for {HOLD_AT_MOST_S:g} s; "
                "from now on they act at once",
                severity="warning",
            )

    def _stop_looking(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _is_free(self, event: Typed | None = None) -> bool:
        """Whether it may be let through: in a line, a letter does not wait for what the one before
        has begun to read."""
        line = self._app.focused
        if event is not None and _writes(event, line) and line is self._line:
            return not self._rounds
        is_settled = self._is_settled()
        self._waits_no_more = self._waits_no_more and not is_settled
        return not self._rounds and (is_settled or self._waits_no_more)

    def _is_settled(self) -> bool:
        screen = self._app.screen
        if isinstance(screen, Settling):
            return screen.is_mounted and screen.is_settled
        return screen.is_mounted and all(
            worker.node is not screen or worker.is_finished for worker in screen.workers
        )
