"""The dashboard's consumer: folds every run, and samples immutable frames. Paints nothing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from arena_tui.broker.protocol import STORE, Cursor, RunInfo, RunState
from arena_tui.broker.stats import BrokerStats
from arena_tui.consumers.panes import Panes, Shared
from arena_tui.consumers.protocol import Consumer, ConsumerInfo, ConsumerState, Context
from arena_tui.events import (
    AgentInfo,
    Delivery,
    Envelope,
    Gap,
    LlmResponse,
    RunEnd,
    RunStart,
    utc_now,
)
from arena_tui.folds.accounts import Account
from arena_tui.folds.costs import (
    NoPrices,
    PriceList,
    SessionCost,
    Spending,
    Spent,
    dearest_first,
)
from arena_tui.folds.totals import RunTotals
from arena_tui.folds.trouble import overspent
from arena_tui.folds.view import Pane, RunView

_Series: TypeAlias = tuple[str, str | None, tuple[AgentInfo, ...]]
"""Game, label and players."""

_LATE_S: Final = 1.0
_RUNS_EVERY_S = 1.0
_FINISHED_KEPT = 200
_SECONDS = 60

Group: TypeAlias = Literal["run", "agent", "model", "game"]
"""What costs can be looked at by."""
GROUPS: Final[tuple[Group, ...]] = ("run", "agent", "model", "game")


class Truth(Struct, frozen=True, kw_only=True):
    """What the truth bar shows.

    Attributes:
        account: Where every event is; of a store, if there is one.
        store: `off`, or the state of the persister; None before the first look.
        store_error: Why storing fails; None while it works.
        lag_s: Seconds since the oldest event not yet read by the store arrived here.
        queued: Events emitted by game threads but not yet published.
        behind: Events published but not yet folded here.
        per_second: Events published in each of the last seconds, newest last.
        second: The number of the second that is not over yet.
        link: What is wrong with the connection to the broker's server; None while it works.

    It begins with this process: what earlier ones stored or lost is in the store. With a shared
    broker, the account has the events this process has seen, those stored before included.
    """

    account: Account = Account()
    store: ConsumerState | Literal["off"] | None = None
    store_error: str | None = None
    lag_s: float = 0.0
    queued: int = 0
    behind: int = 0
    per_second: tuple[int, ...] = ()
    second: int = 0
    link: str | None = None

    @property
    def is_late(self) -> bool:
        """Whether the store is further behind than its rhythm of commits makes it."""
        return self.lag_s > _LATE_S


class Frame(Struct, frozen=True, kw_only=True):
    """Everything the screen shows of live runs, at one instant.

    Attributes:
        panes: In order of appearance.
        broker: The broker's counters; None in the first, empty frame.
        consumers: Snapshots of all consumers.
        place: Where the events are: the broker, and who else uses it.
        cost: What the session costs, as of the last second.
    """

    number: int = 0
    panes: tuple[Pane, ...] = ()
    truth: Truth = Truth()
    broker: BrokerStats | None = None
    consumers: tuple[ConsumerInfo, ...] = ()
    place: str = ""
    cost: SessionCost = SessionCost()


class Feed(Consumer):
    """The dashboard's consumer: `handle` folds deliveries, `frame` samples the folds.

    It is polled, so the cost of the screen depends on frames, not on events.

    Args:
        clock: Monotonic seconds.
        wall: The time of day, by which events are told to be recent.
        prices: What models cost whose producers do not say.

    Attributes:
        runs_seen: How many runs it has folded, those included that are forgotten.
    """

    name = "dashboard"
    durable = False
    polled = True

    def __init__(
        self, context: Context, clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = utc_now, prices: PriceList | None = None,
    ) -> None:  # fmt: skip
        self._context = context
        self._broker = context.broker
        self._clock = clock
        self._wall = wall
        self._prices = NoPrices() if prices is None else prices
        self._spending = Spending()
        self._cost = SessionCost()
        self._overspent: str | None = None
        self._views: dict[str, RunView] = {}
        self._finished: dict[_Series, dict[str, None]] = {}
        self._place_since: dict[str, datetime] = {}
        self._panes = Panes(context, self._views, self._prices)
        self._states: dict[str, RunState] = {}
        self._states_at = float("-inf")
        self._second_at = clock()
        self._second = 0
        self._published = 0
        self._per_second: deque[int] = deque(maxlen=_SECONDS)
        self._frames = 0
        self.runs_seen = 0

    async def start(self) -> Literal["oldest"]:
        self._views.clear()
        self._finished.clear()
        self._place_since.clear()
        self._panes.clear()
        self._spending = Spending()
        return "oldest"

    async def handle(self, batch: Sequence[Delivery]) -> Mapping[str, Cursor]:
        now = self._clock()
        for delivery in batch:
            view = self._views.get(delivery.run_id)
            if isinstance(delivery, Gap) and delivery.reason == "reaped":
                self.forget(delivery.run_id)  # it ended unseen, and is in History
                continue
            if view is None:
                self.runs_seen += 1
                limits = self._context.config.trouble
                view = RunView(delivery.run_id, self.runs_seen, now, limits=limits)
                self._views[delivery.run_id] = view
                if isinstance(delivery, Envelope) and isinstance(delivery.event, RunStart):
                    self._take_place(view, delivery.event)
                elif isinstance(delivery, Gap) and self._broker.shared and not delivery.unknown:
                    view.begin_at(delivery.to_seq + 1)
                    self._panes.moved[delivery.run_id] = None
                    continue
            view.add(delivery, now)
            self._panes.moved[delivery.run_id] = None
            if type(delivery) is not Envelope:
                continue
            event = delivery.event
            if type(event) is LlmResponse:
                self._spending.add(view.totals.game, event)
            elif type(event) is RunEnd and event.status == "finished":
                self._finished.setdefault(_series(view.totals), {})[delivery.run_id] = None
        return {}

    def look_at(self, run_ids: Collection[str] | None) -> None:
        """Of these runs alone the times are to be those of each frame, to the second: they are in
        sight. All other panes change with what happens to the run, and when its state does; None:
        all are in sight."""
        self._panes.in_sight = run_ids

    def all_panes(self) -> tuple[Pane, ...]:
        """The panes of the newest frame with the times of now, in sight or not."""
        return self._panes.all_now(self._clock())

    def view(self, run_id: str) -> RunView | None:
        """The fold of one live or recently finished run."""
        return self._views.get(run_id)

    def place_since(self, run_id: str) -> datetime | None:
        """When the first game began whose place this run has taken, UTC; None if it took none."""
        return self._place_since.get(run_id)

    def spent(self) -> Spent:
        """What this session has used: all runs it has seen, those forgotten included."""
        return self._spending.total(self._prices)

    def spent_by(self, group: Group) -> list[Spent]:
        """The same by agent, model or game, or by the runs still shown; the dearest first."""
        if group != "run":
            return self._spending.by(group, self._prices)
        rows = (view.spent(self._prices) for view in self._views.values())
        return dearest_first(row for row in rows if row.responses)

    def _take_place(self, view: RunView, start: RunStart) -> None:
        """Let the next game of a series replace the finished one, which is in History."""
        for run_id in self._finished.get(_series(start), ()):
            old = self._views.get(run_id)
            if old is not None and old.totals.status == "finished":  # else it has begun again
                view.number = old.number
                since = self._place_since.get(run_id, old.totals.started_at)
                self.forget(run_id)
                if since is not None:
                    self._place_since[view.totals.run_id] = since
                return

    def forget(self, run_id: str) -> None:
        """Show a run no longer, until more of it arrives."""
        if view := self._views.pop(run_id, None):
            series = _series(view.totals)
            finished = self._finished.get(series, {})
            finished.pop(run_id, None)
            if not finished:
                self._finished.pop(series, None)
        self._place_since.pop(run_id, None)
        self._panes.drop(run_id)

    def clear(self, forwarded: Callable[[str], bool] = lambda _: False) -> None:
        """Drop the runs that have ended, or of which nothing more comes; they stay in the store.

        Args:
            forwarded: Whether a run is only forwarded, so that nobody can know whether it lives:
                it is dropped when it is stuck, and comes back with its next event.
        """
        for run_id, view in list(self._views.items()):
            state = view.state(self._states.get(run_id, "open"), self._clock())
            if state not in ("running", "stuck") or (state == "stuck" and forwarded(run_id)):
                self.forget(run_id)

    async def frame(
        self, consumers: Sequence[ConsumerInfo] = (), queued: int = 0, place: str = ""
    ) -> Frame:
        """Sample a frame; panes that did not change are the same objects as before, and so are all
        together if none did; see `look_at`."""
        now = self._clock()
        stats = await self._broker.stats()
        if now - self._states_at >= _RUNS_EVERY_S:
            self._states_at = now
            infos = await self._broker.runs()
            self._states = {info.meta.run_id: info.state for info in infos}
            self._introduce(infos)
            self._limit_finished()
            self._cost = self._spending.session(self._prices, self._wall())
            used, limits = self.spent(), self._context.config.trouble
            self._overspent = overspent(used.cost.usd or 0.0, used.tokens or 0, limits)
        seconds = int(now - self._second_at)
        if seconds > 0:
            self._second_at += seconds
            self._second += seconds
            rate = round((stats.published - self._published) / seconds)
            self._per_second += [rate] * min(seconds, _SECONDS)
            self._published = stats.published
            for view in self._views.values():
                view.end_seconds(seconds)
        truth = self._truth(stats, {each.name: each for each in consumers}, queued)
        self._frames += 1
        shared = Shared(
            states=self._states, second=self._second, capacity=stats.capacity,
            overspent=self._overspent, is_store_late=truth.is_late, prices=self._prices.version,
            prices_pending=self._prices.pending,
        )  # fmt: skip
        panes = self._panes.sample(now, stats.runs, shared)
        return Frame(number=self._frames, panes=panes, truth=truth, broker=stats,
                     consumers=tuple(consumers), place=place, cost=self._cost)  # fmt: skip

    def _truth(
        self, stats: BrokerStats, consumers: Mapping[str, ConsumerInfo], queued: int
    ) -> Truth:
        own, store = consumers.get(self.name), consumers.get(STORE)
        truth = Truth(
            account=Account(published=stats.published, in_flight=stats.published),
            store="off" if self._context.config.db is None else "starting", queued=queued,
            behind=own.lag if own else 0, per_second=tuple(self._per_second),
            second=self._second, link=stats.link,
        )  # fmt: skip
        if store is None:
            return truth
        return replace(
            truth, account=store.account(stats.published),
            store=store.state, store_error=store.last_error, lag_s=store.lag_s,
        )  # fmt: skip

    def _introduce(self, infos: Iterable[RunInfo]) -> None:
        """Fill in the metadata of runs whose `run_start` this consumer missed."""
        for info in infos:
            view = self._views.get(info.meta.run_id)
            if view is not None and view.partial:
                view.introduce(info.meta)
                self._panes.moved[info.meta.run_id] = None

    def _limit_finished(self) -> None:
        over = [run for run, view in self._views.items() if view.totals.status != "running"]
        for run_id in over[:-_FINISHED_KEPT]:
            self.forget(run_id)


def _series(of: RunStart | RunTotals) -> _Series:
    return of.game, of.label, tuple(of.agents)
