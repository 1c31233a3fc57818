"""What a measurement is, and how contenders take turns. Measures nothing itself."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Final, Literal, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from arena_tui.errors import ArenaError

OWN: Final = "arena-tui"
"""The contender that the others are compared with."""

_LEAST: Final = 1e-9
_SPREAD_MAX: Final = 2.0
"""Rounds that differ by more say nothing about a goal."""

_On: TypeAlias = Literal["value", "ratio"]

T = TypeVar("T")


class BenchError(ArenaError):
    """Something could not be measured; the message says what it said."""


class Goal(Struct, frozen=True, kw_only=True):
    """A bound on a figure's own value, or on its ratio to a peer.

    Attributes:
        timed: Whether a busy machine may miss it for no other reason.
    """

    on: _On
    sign: Literal["≥", "≤"]
    bound: float
    timed: bool = True

    def text(self, unit: str) -> str:
        """`≥ 10 ×`, `≤ 40 ms`."""
        return f"{self.sign} {self.bound:g} {'×' if self.on == 'ratio' else unit}"

    def is_met(self, value: float, ratio: float) -> bool:
        """Whether the value, or the ratio, is within the bound."""
        figure = value if self.on == "value" else ratio
        return figure >= self.bound if self.sign == "≥" else figure <= self.bound


def at_least(bound: float, on: _On = "ratio", *, timed: bool = True) -> Goal:
    return Goal(on=on, sign="≥", bound=bound, timed=timed)


def at_most(bound: float, on: _On = "value", *, timed: bool = True) -> Goal:
    return Goal(on=on, sign="≤", bound=bound, timed=timed)


class Figure(Struct, frozen=True, kw_only=True):
    """One figure beside one peer (or floor) measured in turn with it.

    Attributes:
        value, peer_value: Medians over the rounds, in `unit`.
        ratio: Median of the rounds' own ratios, value to peer: both of a round saw the same load,
            so on a busy machine it says more than the ratio of the medians.
        goal: None where the design sets none.
        met: None without a goal, and where no verdict is possible.
        spread: Largest round to smallest, of what the goal is on; of the value without a goal.
        timed: Whether a busy machine makes a verdict impossible.
        busy: Why it was busy, or why the rounds say nothing; None if all is well.
    """

    what: str
    figure: str
    unit: str
    value: float
    peer: str
    peer_value: float
    ratio: float
    goal: str | None
    met: bool | None
    rounds: int
    spread: float
    timed: bool
    busy: str | None = None

    def judged(self, busy: str | None) -> Figure:
        """The same, without a verdict if that means nothing; `busy` says why the machine was."""
        why = [busy] if busy else []
        if self.spread > _SPREAD_MAX:
            why.append(f"rounds differ by {self.spread:.1f} ×")
        if not why or not self.timed:
            return self
        return replace(self, met=None, busy=", ".join(why))


class Sizes(Struct, frozen=True, kw_only=True):
    """How much is done in one round of one contender.

    Attributes:
        deliveries: Events handed over in a run of the broker, to all consumers together.
        thread_events: Events sent from a thread.
        batches: Commits of 1,000 events.
        pipeline: Events on their whole way.
        stall_s: How long the loop's lateness is watched, in seconds.
        settle_s, watch_s: How long a screen runs before and while it is watched.
        keys: Keys pressed on a screen.
        redis_events: Events published to a Redis server.
        redis_stored: Events there to be read.
        redis_watch_s: How long a reader's lateness is watched.
        sse_s: How long clients of event streams listen.
        socket_events: Events from one process to the store of another.
        socket_watch_s: How long a third process's lateness is watched.
        memory_s: How long memory is watched.
        history: Events in the store that is looked at and started with; history_lines: in a log
            file beside it.
        jumps: Jumps in its longest run; history_s: how long somebody looks while runs are played.
        flood_s: How long a flood lasts, of flood_per_s events a second.
    """

    deliveries: int = 60_000
    thread_events: int = 20_000
    batches: int = 8
    pipeline: int = 200_000
    stall_s: float = 0.6
    settle_s: float = 1.0
    watch_s: float = 1.0
    keys: int = 12
    redis_events: int = 10_000
    redis_stored: int = 100_000
    redis_watch_s: float = 0.6
    sse_s: float = 8.0
    socket_events: int = 100_000
    socket_watch_s: float = 3.0
    memory_s: float = 60.0
    history: int = 10_000_000
    history_lines: int = 1_000_000
    jumps: int = 200
    history_s: float = 10.0
    flood_s: float = 10.0
    flood_per_s: float = 50_000


class Plan(Struct, frozen=True, kw_only=True):
    """What every bench is given.

    Attributes:
        folder: For files; on the disk that is to be measured.
        note: Told what is going on.
        tell: Told what no figure says: what is left out and why, and accounts.
        curve: Where the picture of memory goes; None: there is none.
    """

    folder: Path
    rounds: int = 5
    sizes: Sizes = Sizes()
    note: Callable[[str], None] = lambda _: None
    tell: Callable[[str], None] = lambda _: None
    curve: Path | None = None


def alternate(
    contenders: Mapping[str, Callable[[], T]], plan: Plan, figure: str
) -> dict[str, list[T]]:
    """Every contender's results, a round each in turn; who begins changes every round."""
    names = list(contenders)
    results: dict[str, list[T]] = {name: [] for name in names}
    for number in range(plan.rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            plan.note(f"round {number + 1} of {plan.rounds}: {figure}: {name}")
            gc.collect()
            results[name].append(contenders[name]())
    return results


def compare(
    what: str,
    figure: str,
    unit: str,
    samples: Mapping[str, Sequence[float]],
    goals: Mapping[str, Goal] | None = None,
) -> Iterator[Figure]:
    """A figure for each peer in `samples`; `OWN` among them is what they are compared with."""
    own = samples[OWN]
    for peer, theirs in samples.items():
        if peer == OWN:
            continue
        ratios = [ratio_of(a, b) for a, b in zip(own, theirs, strict=True)]
        ratio = median(ratios)
        goal = (goals or {}).get(peer)
        judged = ratios if goal and goal.on == "ratio" else own
        yield Figure(
            what=what,
            figure=figure,
            unit=unit,
            value=median(own),
            peer=peer,
            peer_value=median(theirs),
            ratio=ratio,
            goal=goal.text(unit) if goal else None,
            met=goal.is_met(median(own), ratio) if goal else None,
            rounds=len(own),
            spread=ratio_of(max(judged), min(judged)),
            timed=goal is None or goal.timed,
        )


def race(
    what: str,
    figure: str,
    unit: str,
    contenders: Mapping[str, Callable[[], float]],
    plan: Plan,
    goals: Mapping[str, Goal] | None = None,
) -> Iterator[Figure]:
    """Let the contenders alternate, and compare them."""
    yield from compare(what, figure, unit, alternate(contenders, plan, figure), goals)


def ratio_of(value: float, other: float) -> float:
    """1 for equal ones, both 0 included."""
    return 1.0 if value == other else value / max(other, _LEAST)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent of them do not exceed, 1 to 99."""
    if len(values) < 2:
        return values[0]
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def remove(path: Path) -> None:
    """Delete a database and whatever it has written beside itself."""
    for each in path.parent.glob(f"{path.name}*"):
        if each.is_dir():  # DuckDB's temporary files
            shutil.rmtree(each)
        else:
            each.unlink()
