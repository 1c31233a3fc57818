"""One run as it was at a time of its past, to be shown as a pane. Knows no other run."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from arena_tui.broker.protocol import Cursor
from arena_tui.errors import UnknownRunError
from arena_tui.events import Delivery, Envelope
from arena_tui.folds.absent import NOT_BEGUN, NOT_HELD, REPLACED, absent
from arena_tui.folds.costs import PriceList
from arena_tui.folds.own_time import own_time
from arena_tui.folds.view import Pane, RunView
from arena_tui.services.playback.tape import RunTape
from arena_tui.services.runtime import Runtime
from arena_tui.store.windows import WINDOW

_RECENT: Final = 24
"""Deliveries that a pane shows the newest of."""
_NEAR: Final = 280
"""Places read before a time: those of a stretch, and what a pane shows besides."""
_DRY_READS_MAX: Final = 30
"""After so many frames in which something was not stored yet, it is taken for lost."""
_AHEAD_MIN: Final = 300
"""With fewer deliveries ahead, more is read, so that playing on does not wait for it."""
_SECONDS: Final = 60
_STORED_HELD: Final = 3_000
_UNSTORED_HELD: Final = 10_000
"""Deliveries kept in memory at least, with a store and without: then the rest is lost."""


class PastRun:
    """One run: `read` its state at a time, then `fold_to` later ones. It opens a tape when it is
    first read, and must be closed.

    Args:
        now: Its pane as it is now: where it stands, and when it began.
        prices: What models cost whose producers do not say.
        place_since: When the first game began whose place it has taken; None if it took none.
    """

    def __init__(
        self, now: Pane, runtime: Runtime, prices: PriceList, place_since: datetime | None = None
    ) -> None:
        self._now = now
        self._runtime = runtime
        self._prices = prices
        self._place_since = place_since
        self._tape: RunTape | None = None
        self._view: RunView | None = None
        self._ahead: deque[Delivery] = deque()
        self._read_to = 0  # the last place that is folded or ahead
        self._numbering = 0
        self._is_gone = False
        self._is_dry = False
        self._dry_reads = 0
        self._counts: dict[int, int] = {}  # events by second
        self._made_of: tuple[object, ...] = ()
        self._pane = now
        self._asked = 0
        self._is_closed = False

    @property
    def cursor(self) -> Cursor | None:
        """Where it stands; the first event while it has not begun. None until that is read."""
        view = self._view
        if view is None:
            return None
        return Cursor(view.totals.epoch, max(1, view.totals.seq))

    def is_at(self, at: datetime) -> bool:
        """Whether all is folded that happened until then, and nothing that happened later."""
        tape, view = self._tape, self._view
        if self._is_gone:
            return True
        if tape is None or view is None or self._has_passed(at):
            return False
        if self._ahead:
            return own_time(self._ahead[0]) > at.timestamp()
        return self._read_to >= tape.last

    @property
    def must_read(self) -> bool:
        """Whether `read` is needed to be, or to stay, at the time asked for."""
        tape = self._tape
        if self._is_gone or self._is_dry or self._is_closed:
            return False
        if tape is None or self._view is None:
            return True
        return len(self._ahead) < _AHEAD_MIN and self._read_to < tape.last

    def turn_back(self, at: datetime) -> None:
        """Be at that time next, which may be earlier: what is folded is of no use for that, if it
        is, or if what was read does not reach there."""
        self._is_dry = False
        self._asked += 1
        known = self._ahead[-1] if self._ahead else None
        reaches = self._tape is not None and self._read_to >= self._tape.last
        reaches = reaches or (known is not None and own_time(known) > at.timestamp())
        if self._has_passed(at) or not reaches:
            self._view = None
            self._ahead.clear()

    def fold_to(self, at: datetime, most: int) -> int:
        """Fold what was read and what is at hand, up to a time, at most so many deliveries; returns
        how many it was."""
        tape, view = self._tape, self._view
        self._is_dry = False
        if tape is None or view is None:
            return 0
        if tape.renumbered != self._numbering:  # places are others now: read it again
            self._view = None
            self._ahead.clear()
            return 0
        count, at_s = 0, at.timestamp()
        while count < most:
            if not self._ahead:
                self._take(tape, tape.at_hand(self._read_to + 1, tape.last))
            if not self._ahead or own_time(self._ahead[0]) > at_s:
                break
            self._fold(view, self._ahead.popleft())
            count += 1
        return count

    async def read(self, at: datetime) -> None:
        """Read its state at that time, or, if it is on the way there, what comes next.

        Raises:
            StoreError: The store cannot be read.
        """
        asked = self._asked
        tape = await self._opened()
        if tape is None:
            return
        numbering = tape.renumbered
        if self._view is not None:
            last = min(tape.last, self._read_to + WINDOW)
            first = self._read_to + 1
            found = await tape.window(first, last)
            if asked == self._asked and not self._is_closed:
                self._take(tape, self._stored(tape, found, first))
                await self._look_whether_it_is_gone(tape)
            return
        later = await tape.seek.first_after(at)
        place = tape.last if later is None else later - 1
        if place < tape.seek.first:
            view, near = RunView(self._now.run_id, limits=self._runtime.config.trouble), []
            place = tape.seek.first - 1
        elif tape.seek.first > 1:
            near = await _from(tape, tape.seek.first, place)
            view = self._folded(near)
        else:
            first = max(1, place - _NEAR + 1)
            near = await tape.window(first, place)
            sure = self._stored(tape, near, first)
            if len(sure) < len(near) or not near:
                await self._look_whether_it_is_gone(tape)
                return
            if own_time(near[-1]) > at.timestamp():  # it was stored since then
                self._is_dry = True
                return
            view = await tape.view_at(place, near)
        if (asked, numbering) == (self._asked, tape.renumbered) and not self._is_closed:
            self._begin(view, near, place, numbering)

    def pane(self, at: datetime) -> Pane:
        """What is to be seen of it at that time; the same object until that changes."""
        view = self._view
        if view is None:
            return absent(self._now, NOT_HELD) if self._is_gone else self._pane
        second = int(at.timestamp())
        made_of = id(view), view.version, second, self._prices.version
        if made_of != self._made_of:
            self._made_of = made_of
            self._pane = self._made(view, at, second)
        return self._pane

    def close(self) -> None:
        """Let go of the tape. Idempotent."""
        self._is_closed = True
        if self._tape is not None:
            self._tape.close()
            self._tape = None
        self._view = None

    async def _opened(self) -> RunTape | None:
        """The tape; None if there is nothing to read any more."""
        if self._tape is None:
            is_stored = self._runtime.history is not None
            held = _STORED_HELD if is_stored else _UNSTORED_HELD
            tape = RunTape(self._now.run_id, self._runtime, held)
            try:
                await tape.open()
            except UnknownRunError:
                self._is_gone = True
                return None
            except BaseException:
                tape.close()
                raise
            if self._is_closed:
                tape.close()
                return None
            self._tape = tape
        return self._tape

    def _has_passed(self, at: datetime) -> bool:
        view = self._view
        return view is not None and view.arrived_at > at.timestamp()

    def _take(self, tape: RunTape, found: Sequence[Delivery]) -> None:
        for each in found:
            places = tape.places_of(each)
            if places[-1] > self._read_to:
                self._ahead.append(each)
                self._read_to = places[-1]

    def _stored(self, tape: RunTape, found: Sequence[Delivery], first: int) -> Sequence[Delivery]:
        """What is certain of what was found: the store may be behind, but not for ever."""
        sure = tape.certain(found, first)
        self._is_dry = len(sure) < len(found) or not found
        self._dry_reads = self._dry_reads + 1 if self._is_dry else 0
        if self._dry_reads > _DRY_READS_MAX:
            self._is_dry = not found
            return found
        return sure

    async def _look_whether_it_is_gone(self, tape: RunTape) -> None:
        """If nothing has come for a while: it may have been deleted, and nothing ever will."""
        stored = tape.seek.stored
        if self._is_dry and self._dry_reads > _DRY_READS_MAX and stored is not None:
            try:
                await stored.run(self._now.run_id)
            except UnknownRunError:
                self._is_gone, self._view = True, None

    def _begin(self, view: RunView, near: Sequence[Delivery], place: int, numbering: int) -> None:
        """Go on from this state, the last deliveries of which are near."""
        self._view, self._read_to, self._numbering = view, place, numbering
        self._ahead.clear()
        self._counts.clear()
        view.recent.clear()
        view.recent.extend(near[-_RECENT:])
        for each in near:
            self._count(each)

    def _folded(self, deliveries: Sequence[Delivery]) -> RunView:
        limits = self._runtime.config.trouble
        view = RunView(self._now.run_id, now=own_time(deliveries[0]), limits=limits)
        for each in deliveries:
            view.add(each, own_time(each))
        return view

    def _fold(self, view: RunView, delivery: Delivery) -> None:
        if not view.version:
            view.arrived_at = own_time(delivery)
        view.add(delivery, own_time(delivery))
        self._count(delivery)

    def _count(self, delivery: Delivery) -> None:
        if isinstance(delivery, Envelope):
            second = int(delivery.event.ts.timestamp())
            self._counts[second] = self._counts.get(second, 0) + 1
            if len(self._counts) > 2 * _SECONDS:
                newest = second - _SECONDS
                self._counts = {at: count for at, count in self._counts.items() if at >= newest}

    def _made(self, view: RunView, at: datetime, second: int) -> Pane:
        now = self._now
        if not view.version:
            began = now.started_at
            is_whole = self._tape is None or self._tape.seek.first == 1
            has_begun = began is not None and began <= at and not is_whole
            if not has_begun and self._place_since is not None and self._place_since <= at:
                is_stored = self._runtime.history is not None
                return absent(now, REPLACED, "It is in History." if is_stored else "")
            return absent(now, NOT_HELD if has_begun else NOT_BEGUN)
        lag = 0 if self._runtime.history is not None else None
        pane = view.pane(at.timestamp(), "open", 0, 0, lag, 0, None, self._prices)
        first = max(min(self._counts, default=second), second - _SECONDS)
        return replace(
            pane, number=now.number, game=pane.game or now.game, label=pane.label or now.label,
            per_second=tuple(self._counts.get(each, 0) for each in range(first, second)),
        )  # fmt: skip


async def _from(tape: RunTape, first: int, last: int) -> list[Delivery]:
    """All that is in memory of these places."""
    found: list[Delivery] = []
    while first <= last and (some := tape.at_hand(first, last)):
        found += some
        first = tape.places_of(some[-1]).stop
    return found
