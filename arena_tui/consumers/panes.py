"""The newest pane of each run, made anew only where it may have changed. Folds nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from arena_tui.broker.protocol import STORE, RunState
from arena_tui.broker.stats import RunStats
from arena_tui.consumers.protocol import Context
from arena_tui.folds.accounts import run_account
from arena_tui.folds.costs import PriceList
from arena_tui.folds.view import Pane, RunView
from arena_tui.folds.words import WAIT_MIN_S


class Shared(Struct, frozen=True, kw_only=True):
    """What is the same for all panes of a frame.

    Attributes:
        states: What the broker says of each run.
        second: The number of the second that is not over yet.
        prices: The version of the prices.
    """

    states: Mapping[str, RunState] = {}
    second: int = 0
    capacity: int = 0
    overspent: str | None = None
    is_store_late: bool = False
    prices: int = 0
    prices_pending: bool = False

    def is_like(self, other: Shared) -> bool:
        """Whether both say the same, but for the time."""
        return replace(self, second=other.second) == other


class _Figures(NamedTuple):
    """What the broker says of one run; see `Pane`."""

    held: int
    lag: int | None
    lost: int
    is_store_late: bool


class _Known(Struct, kw_only=True):
    """A run's newest pane, and what it was made of.

    Attributes:
        second: That in which it was made; made_at: when.
        is_live: Whether its times go on.
        is_restless: Whether its rate changes with the next second.
        calm_until: When its state may change by itself; None as long as nobody needed to know.
    """

    at: _Figures
    version: int
    key: tuple[object, ...]
    pane: Pane
    second: int
    made_at: float
    is_live: bool
    is_restless: bool
    calm_until: float | None = None


class Panes:
    """What is at rest and out of sight costs nothing.

    Attributes:
        moved: Ids of the runs to which something has happened since the last sample.
        in_sight: The runs whose times are shown, so that they change each second; None: all.
    """

    def __init__(self, context: Context, views: Mapping[str, RunView], prices: PriceList) -> None:
        self.moved: dict[str, None] = {}
        self.in_sight: Collection[str] | None = None
        self._context = context
        self._views = views
        self._prices = prices
        self._known: dict[str, _Known] = {}
        self._stats: dict[str, RunStats] = {}
        self._runs: Sequence[RunStats] = ()
        self._shared = Shared()
        self._fresh: dict[str, None] = {}
        self._sampled: tuple[Pane, ...] | None = ()

    def drop(self, run_id: str) -> None:
        """Forget a run."""
        self.moved.pop(run_id, None)
        if self._known.pop(run_id, None) is not None:
            self._sampled = None

    def clear(self) -> None:
        """Forget all runs."""
        for run_id in list(self._known):
            self.drop(run_id)
        self.moved.clear()

    def sample(self, now: float, runs: Sequence[RunStats], shared: Shared) -> tuple[Pane, ...]:
        """The panes of all runs; the same tuple if none of them has changed."""
        before, self._shared = self._shared, shared
        self._take_stats(runs)
        self.moved |= self._fresh
        self._fresh.clear()
        for run_id in self._views if not shared.is_like(before) else self.moved:
            if run_id in self._views:
                self._look(run_id, now)
        self.moved.clear()
        if shared.second != before.second:
            self._end_second(now)
        elif self.in_sight is not None:
            self._look_again(self.in_sight, now)
        return self._all()

    def all_now(self, now: float) -> tuple[Pane, ...]:
        """The panes as sampled last, with the times of now."""
        self._look_again(list(self._known), now)
        return self._all()

    def _all(self) -> tuple[Pane, ...]:
        if self._sampled is None:
            self._sampled = tuple([known.pane for known in self._known.values()])
        return self._sampled

    def _take_stats(self, runs: Sequence[RunStats]) -> None:
        """Note of which runs the broker has a new snapshot, or none any more."""
        changed = {
            each.run_id: None
            for pair in zip_longest(runs, self._runs) if pair[0] is not pair[1]
            for each in pair if each is not None
        }  # fmt: skip
        if changed:
            self._stats = {each.run_id: each for each in runs}
            self.moved |= changed
        self._runs = runs

    def _end_second(self, now: float) -> None:
        """Make those anew that are in sight, and of the others those that changed by themselves."""
        in_sight = self._known if self.in_sight is None else self.in_sight
        self._look_again(list(in_sight), now)
        for run_id, known in list(self._known.items()):
            if known.is_live and (known.is_restless or now >= self._calm_until(known, now)):
                self._look_again((run_id,), now)

    def _look_again(self, run_ids: Collection[str], now: float) -> None:
        """Make those anew that were made in an earlier second."""
        for run_id in run_ids:
            known = self._known.get(run_id)
            if known is not None and known.is_live and known.second != self._shared.second:
                self._make(run_id, known.at, known.key, now)

    def _calm_until(self, known: _Known, now: float) -> float:
        if known.calm_until is None:
            pane, made_at = known.pane, known.made_at
            state = self._shared.states.get(pane.run_id, "open")
            calm_s = self._views[pane.run_id].calm_s(state, made_at)
            if pane.waiting_s is not None and pane.waiting_s < WAIT_MIN_S:
                calm_s = min(calm_s, WAIT_MIN_S - pane.waiting_s)
            known.calm_until = made_at + calm_s
        return known.calm_until

    def _look(self, run_id: str, now: float) -> None:
        """Make a run's pane anew if that would be another one."""
        view, stats, shared = self._views[run_id], self._stats.get(run_id), self._shared
        known = self._known.get(run_id)
        is_live, is_fresh = view.totals.status == "running", view.board_is_fresh(now)
        lag = 0 if self._context.config.db is not None else None
        held, lost = 0, 0 if known is None else known.pane.lost
        if stats is not None:
            held, lost = stats.held, stats.overflow
            lag = None if lag is None else run_account(stats, STORE).in_flight
        at = _Figures(held, lag, lost, is_live and shared.is_store_late)
        key = (
            at, view.version, shared.states.get(run_id, "open"), shared.prices,
            shared.overspent if is_live else None, is_live and shared.prices_pending,
            is_fresh,
        )  # fmt: skip
        if is_fresh:
            self._fresh[run_id] = None
        if known is None or known.key != key:
            self._make(run_id, at, key, now)

    def _make(self, run_id: str, at: _Figures, key: tuple[object, ...], now: float) -> None:
        view, shared, before = self._views[run_id], self._shared, self._known.get(run_id)
        history = self._context.history
        stored = history.live_totals(run_id) if history is not None and view.partial else None
        pane = view.pane(
            now, shared.states.get(run_id, "open"), at.held, shared.capacity, at.lag, at.lost,
            stored, self._prices, shared.overspent,
        )  # fmt: skip
        if at.is_store_late:
            pane = replace(pane, is_store_late=True)
        has_news = before is None or before.version != view.version
        self._known[run_id] = _Known(
            at=at, version=view.version, key=key, pane=pane, second=shared.second, made_at=now,
            is_live=view.totals.status == "running", is_restless=has_news or pane.rate > 0,
        )  # fmt: skip
        self._sampled = None
