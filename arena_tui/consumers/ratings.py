"""Ratings that follow what is played: the stored matches, and those that ended since.

Not durable: everything it knows can be read again from the store, so that the broker need hold
nothing for it. That is also what it does when events are missing, or a run is deleted. Whatever it
shows equals what `rate` makes of the stored matches once everything is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from arena_tui.broker.protocol import Cursor
from arena_tui.consumers.protocol import Consumer, Context
from arena_tui.events import Delivery, Envelope, RunEnd
from arena_tui.folds.matches import Match, MatchFold
from arena_tui.folds.ratings import Ratings, rate


class LiveRatings(Struct, frozen=True, kw_only=True):
    """Ratings now and before.

    Attributes:
        before: Of the matches that had ended when this process began to read.
    """

    now: Ratings = Ratings()
    before: Ratings = Ratings()

    def movements(self, game: str) -> dict[str, float]:
        """Points won or lost since, by player, in a game's table or the overall one (empty).

        Of those who were rated then and are now, and against their mean: a newcomer's strength
        moves nobody.
        """
        before, now = _points(self.before, game), _points(self.now, game)
        both = before.keys() & now.keys()
        drift = sum(now[each] - before[each] for each in sorted(both)) / max(1, len(both))
        return {each: round(now[each] - before[each] - drift, 1) for each in both}


class RatingsConsumer(Consumer):
    """Folds runs into matches. It is polled, and rates only when asked: nobody waits for it."""

    name = "ratings"
    durable = False
    polled = True

    def __init__(self, context: Context) -> None:
        self._context = context
        self._folds: dict[str, MatchFold] = {}
        self._ended: dict[str, Match] = {}
        self._partial: set[str] = set()  # ended runs of which events were missed here
        self._stored: dict[str, Match] | None = None
        self._before: frozenset[str] | None = None
        self._rated_before: dict[str, Match] = {}
        self._version = 0
        self._rated: tuple[int, bool] | None = None
        self._latest = LiveRatings()
        self._rating = asyncio.Lock()

    @property
    def is_current(self) -> bool:
        """Whether `current` would give what it gave last."""
        stores = self._context.history is not None
        return self._rated == (self._version, stores) and not (stores and self._partial)

    async def start(self) -> Literal["oldest"]:
        self._folds.clear()
        return "oldest"

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        await self._note_before()
        for delivery in batch:
            run_id = delivery.run_id
            fold = self._folds.get(run_id)
            if fold is None:
                fold = self._folds[run_id] = MatchFold(run_id)
                fold.whole = delivery.first_seq == 1 and run_id not in self._ended
            fold.add(delivery)
            is_end = isinstance(delivery, Envelope) and type(delivery.event) is RunEnd
            if is_end and (match := fold.match()) is not None:
                self._ended[run_id] = match
                self._version += 1
                if not fold.whole:
                    self._partial.add(run_id)
                del self._folds[run_id]
        return {}

    def forget(self, run_id: str) -> None:
        """Count a run no longer, since it was deleted."""
        self._folds.pop(run_id, None)
        self._ended.pop(run_id, None)
        self._partial.discard(run_id)
        if self._stored is not None:
            self._stored.pop(run_id, None)
        self._version += 1

    async def current(self) -> LiveRatings:
        """The ratings of all that has ended; rated in a thread, if anything ended since."""
        async with self._rating:
            if self.is_current:
                return self._latest
            await self._note_before()
            version, history = self._version, self._context.history
            if history is not None and (self._stored is None or self._partial):
                self._stored = {match.run_id: match for match in await history.matches()}
                for run_id in self._partial & self._stored.keys():
                    self._partial.discard(run_id)
                    self._ended.pop(run_id, None)
            matches = {**(self._stored or {}), **self._ended}
            before = {run_id: matches[run_id] for run_id in self._before or () if run_id in matches}
            then = self._latest.before if before == self._rated_before else None
            self._latest = await asyncio.to_thread(_rate, matches.values(), before.values(), then)
            self._rated_before = before
            self._rated = (version, history is not None)
            return self._latest

    async def _note_before(self) -> None:
        """Note what the store has before anything of this session ends in it."""
        if self._before is None and (history := self._context.history) is not None:
            known = await history.known()
            self._before = frozenset(run_id for run_id, run in known.items() if run.over)


def _rate(now: Iterable[Match], before: Iterable[Match], then: Ratings | None) -> LiveRatings:
    """Rate both; `then` is what those before gave already."""
    return LiveRatings(now=rate(now), before=rate(before) if then is None else then)


def _points(ratings: Ratings, game: str) -> dict[str, float]:
    """Of the rated players of a table."""
    tables = {table.game: table for table in (*ratings.games, ratings.overall)}
    rows = tables[game].rows if game in tables else ()
    return {row.player: row.rating for row in rows if row.rating is not None}
