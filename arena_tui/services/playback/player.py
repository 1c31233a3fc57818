"""Playback of one run: the position, and the state of the run there. Draws nothing."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Final

from arena_tui.broker.protocol import Cursor
from arena_tui.errors import UsageError
from arena_tui.events import Delivery, Envelope, Gap
from arena_tui.folds.view import Instant, RunView
from arena_tui.services.playback.address import address_of
from arena_tui.services.playback.detail import Details
from arena_tui.services.playback.filtered import Filtered
from arena_tui.services.playback.finder import Finder
from arena_tui.services.playback.goto import parse_target, parse_time
from arena_tui.services.playback.nearby import Nearby
from arena_tui.services.playback.overview import Overviews
from arena_tui.services.playback.playhead import Playhead, Position
from arena_tui.services.playback.reading import ReadsOn
from arena_tui.services.playback.stops import Stop, stops_of
from arena_tui.services.playback.tape import RunTape
from arena_tui.services.playback.turns import Turns
from arena_tui.store.history import History
from arena_tui.store.windows import WINDOW

BOOKMARK: Final = "bookmark"
"""Passed to `jump` instead of a kind: go to events with a bookmark, and from the last of them to
the first."""

GAP: Final = "gap"
"""Likewise: go to gaps."""

_AROUND: Final = 100
"""Extra events read on each side of those requested."""

_AHEAD_MAX: Final = 4_000
"""Most events that are read ahead of playing."""

_FOLD_MAX: Final = 2_000
"""Most events folded into the view in one step; beyond that it is read again."""

_TURN_MAX: Final = 2**31 - 1


class Player(ReadsOn):
    """Shows one run, live or finished, as it was at `position.at`, a place (see `Places`).

    Call `open` first, and `tick` while it is shown. A move changes the position at once, but the
    data there may have to be read: while the player is `lacking`, run `read_on`; `instant` and
    `delivery()` follow. No move waits for a read in progress. Use it on one event loop.

    Args:
        tape: Reads the run; the player opens and closes it.
        history: The store, for bookmarks.
        opens_at: Where in the run to go first; the newest epoch stands for an epoch of 0.

    Attributes:
        instant: State of the run at the position, or at the previous one until that is read; None
            before the first read.
        finder: Looks for text; filtered: the events that match a filter, while one is on.
        stops: What playing stops at.
        turns: The run's turns; details: what the inspector shows. Each has a `read_on` of its own.
        overview: The whole run at a glance.
        told: What is to be said of where it opened; None: nothing.
    """

    def __init__(
        self, tape: RunTape, history: History | None, opens_at: Cursor | None = None
    ) -> None:
        self.instant: Instant | None = None
        self.finder = Finder(tape)
        self.turns = Turns(tape)
        self.details = Details(tape)
        self.filtered = Filtered(tape)
        self.overview = Overviews(tape)
        self._tape = tape
        self._history = history
        self._opens_at = opens_at
        self._head = Playhead()
        self._nearby = Nearby(tape.places_of)
        self._view: RunView | None = None
        self._folded = 0
        self._renumbered = 0
        self._ticked = Position()
        self._missing: tuple[int, int] | None = None
        self._view_due = False
        self._opened = False
        self._ahead = _AROUND
        self.stops: frozenset[Stop] = frozenset()
        self.told: str | None = None

    async def open(self) -> None:
        """Open the tape; go to where it opens, else to the first event, to the newest error of a
        run that crashed, or follow the run if it is live. Idempotent."""
        if self._opened:
            return
        await self._tape.open()
        self._opened = True
        self._renumbered = self._tape.renumbered
        self._head.following = self._tape.live and self._opens_at is None
        place = self._tape.last if self._tape.live else 1
        if self._opens_at is not None:
            nearest = self._tape.seek.within(self._opens_at)
            place = self._tape.place_of(nearest)
            if nearest != self._opens_at:
                wanted = address_of(self._tape.run_id, self._opens_at)
                self.told = f"no event {wanted.rpartition(':')[2]}: the last before it is shown"
        elif not self._tape.live and (end := self._tape.end) and end.status == "crashed":
            error = await self._tape.seek.next_of_kind("error", self._tape.last + 1, -1)
            place = self._tape.last if error is None else error
        self._place(place)

    def close(self) -> None:
        self._tape.close()

    @property
    def position(self) -> Position:
        delivery = self.delivery()
        head, tape = self._head, self._tape
        ts = delivery.event.ts if isinstance(delivery, Envelope) else None
        behind_s = None
        if tape.live and not head.following and ts is not None and tape.newest_at is not None:
            behind_s = max(0.0, (tape.newest_at - ts).total_seconds())
        return Position(
            cursor=None if delivery is None else tape.cursor_of(delivery),
            mode=head.mode(tape.live), at=head.at, last=tape.last, live=tape.live, ts=ts,
            behind_s=behind_s, idle_s=head.idle_s if head.playing else None,
            turns=self.turns.starts.highest, began_at=tape.began_at, end=tape.end,
        )  # fmt: skip

    @property
    def lacking(self) -> bool:
        """Whether data at the position is still to be read."""
        return self._view_due or self._missing is not None

    def delivery(self, place: int | None = None) -> Delivery | None:
        """The delivery at `place`, by default at the position; None until it is read."""
        return self._nearby.get(self._head.at if place is None else place)

    def tick(self, passed_s: float) -> bool:
        """Take in new deliveries, then follow them or play for `passed_s` more seconds.

        Playback waits for events that are not read yet, and stops at the end of a finished run.
        Returns whether there is anything new to show or to read since the last tick.
        """
        head, tape = self._head, self._tape
        news = tape.pump()
        renumbered = tape.renumbered != self._renumbered
        if renumbered:
            self._renumbered = tape.renumbered
            self._nearby.clear()
            self.turns.clear()
            self.finder.look_for(self.finder.needle)
            self.filtered.again()
            self._view = None
        at = tape.last if head.following else head.at
        self._nearby.keep(news, at)
        self.turns.extend(news)
        self.finder.hits.extend(news)
        if renumbered or (head.following and (news or at != head.at)):
            self._place(at)
        if head.playing and head.at < tape.last:
            place = head.advance(passed_s, tape.last, self._time_of, self._stops_at)
            if place != head.at:
                self._place(place)
            if place < tape.last and self._time_of(place + 1) is None:
                self._ahead = min(2 * self._ahead, _AHEAD_MAX)
            self.want(head.at + 1, min(head.at + self._ahead, tape.last))
        if head.playing and head.at >= tape.last:
            head.catch_up(tape.live)
        before, self._ticked = self._ticked, self.position
        return self._ticked != before or (self.lacking and not self.reading)

    def toggle(self) -> None:
        """Pause playing or following; else play from here, or from the start when at the end."""
        head = self._head
        if head.playing or head.following:
            head.playing = head.following = False
        elif self._opened:
            if head.at >= self._tape.last:
                if self._tape.live:
                    head.catch_up(live=True)
                    return
                self._place(1)
            head.play(self._time_of(head.at) or None)

    def change_speed(self, step: int) -> None:
        """Play one step faster (1) or slower (-1)."""
        self._head.change_speed(step)

    def go_to(self, to: int | Cursor) -> None:
        """Stop playing and go to a place, or where a cursor is, clamped to the run's events."""
        self._head.playing = False
        self.turns.try_again()
        self._place(self._tape.place_of(to) if isinstance(to, Cursor) else to)

    async def go_to_words(self, words: str, zone: tzinfo | None = UTC) -> None:
        """Go to what `parse_target` or, in that zone, `parse_time` understands.

        Raises:
            UsageError: `words` is none of these, or there is no such turn.
        """
        target = parse_target(words)
        if target is None:
            at = parse_time(words, self.position.ts, self._tape.began_at, zone)
            place = await self._tape.seek.at_time(at)
            self.go_to(self._tape.last if place is None else place)
        elif target.kind == "turn":
            place = await self._tape.seek.turn(int(min(target.value, _TURN_MAX)))
            if place is None:
                raise UsageError(f"no turn {target.value:g}")
            self.go_to(place)
        else:
            last, value = self._tape.last, target.value
            self.go_to(int(min(value * last / 100 if target.kind == "percent" else value, last)))

    async def jump(self, kind: str, step: int) -> str | None:
        """Go to the next (`step` 1) or previous (-1) event of a kind, of any (`event`), or with a
        `BOOKMARK`.

        Returns a message if there is none.
        """
        place: int | None
        at = self._head.at
        none = f"no {'next' if step > 0 else 'earlier'} {kind.partition('_')[0]}"
        if kind == "event" and self.filtered.is_on:
            place = self.filtered.beside(at, step)
            none = f"no {'later' if step > 0 else 'earlier'} event matches the filter"
        elif kind == "event":
            place = at + step
        elif kind == BOOKMARK:
            places = await self._tape.bookmarks()
            ahead = [each for each in places if (each > at if step > 0 else each < at)]
            place = next(iter((ahead or places)[:: 1 if step > 0 else -1]), None)
            none = "no other bookmark" if places else "no bookmark in this run yet"
            place = None if place == at else place
        elif kind == GAP:
            place = await self._tape.seek.next_gap(at, step)
        elif kind == "turn_start" and self.turns.known:
            place = self.turns.starts.beside(at, step)
        else:
            place = await self._tape.seek.next_of_kind(kind, at, step)
        if place is None:
            return none
        self.go_to(place)
        return None

    def want(self, first: int, last: int) -> None:
        """Request `first` to `last` and the events around them; replaces an earlier request."""
        if not self._nearby.holds(first, last):
            self._missing = (first - _AROUND, min(last + _AROUND, self._tape.last))

    def give_up(self) -> None:
        """See `ReadsOn`."""
        self._missing, self._view_due = None, False

    async def read_next(self) -> None:
        """Read events first, then the view."""
        at, numbering = self._head.at, self._tape.renumbered
        if self._missing is not None:
            (first, last), self._missing = self._missing, None
            if last - first >= WINDOW:
                last, self._missing = first + WINDOW - 1, (first + WINDOW, last)
            if self._view_due and first <= at <= last:
                start, _ = await self._tape.stretch(at)
                first = min(first, start) if last - start < WINDOW else first
            found = await self._tape.window(first, last)
            if numbering == self._tape.renumbered:
                self._nearby.keep(found, self._head.at)
        else:
            start, _ = await self._tape.stretch(at)
            view = await self._tape.view_at(at, self._nearby.between(start, at) or ())
            if numbering == self._tape.renumbered:
                self._view, self._folded, self.instant = view, at, view.instant()
        self._view_due = not self._fold_on()

    async def bookmark(self) -> bool | None:
        """Toggle the bookmark at the position; returns whether it is set now.

        Returns None without a store, or without an event at the position.
        """
        here = self.delivery()
        if self._history is None or not isinstance(here, Envelope):
            return None
        return await self._history.bookmark(here.run_id, here.epoch, here.seq, "", here.event.ts)

    def _place(self, place: int) -> None:
        if self._tape.last == 0:
            return
        self._head.place(place, self._tape.last, self._tape.live)
        self._view_due = not self._fold_on()
        self.want(self._head.at, self._head.at)

    def _fold_on(self) -> bool:
        """Fold the view forward to the position; False if it must be read instead."""
        at, view = self._head.at, self._view
        if view is None or not 0 <= at - self._folded <= _FOLD_MAX:
            return False
        ahead = self._nearby.between(self._folded + 1, at)
        if ahead is None:
            return False
        for delivery in ahead:
            view.add(delivery)
        if self._folded != at:
            self._folded, self.instant = at, view.instant()
        return True

    def _stops_at(self, place: int) -> bool:
        if not self.stops:
            return False
        overview = self.overview.shown
        marked = frozenset[int]() if overview is None else overview.bookmarks
        found = stops_of(self._nearby.get(place), place in marked, self.finder.needle)
        return bool(self.stops & found)

    def _time_of(self, place: int) -> float | None:
        """Time of an event in seconds since 1970; 0 for a gap, None if it is not cached."""
        delivery = self._nearby.get(place)
        if isinstance(delivery, Gap):
            return 0.0
        return None if delivery is None else delivery.event.ts.timestamp()
