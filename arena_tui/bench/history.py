"""Benchmarks looking at the past: a large store, its runs, and moving in them."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias

from arena_tui.bench.large import LONGEST, make_store, write_lines
from arena_tui.bench.load import EmittingThread, run_ids
from arena_tui.bench.measure import (
    OWN,
    Figure,
    Goal,
    Plan,
    alternate,
    at_most,
    compare,
    percentile,
    race,
)
from arena_tui.bench.start import FIRST_FRAME, MINIMAL, minimal_s
from arena_tui.bench.terminal import first_seen_s
from arena_tui.broker.protocol import Cursor
from arena_tui.config import Config
from arena_tui.services.playback.player import Player
from arena_tui.services.playback.tape import RunTape
from arena_tui.services.runtime import Runtime
from arena_tui.store.database import Database
from arena_tui.store.filters import parse_filter
from arena_tui.store.history import History, read_ids
from arena_tui.store.mending import connect

_SLICES: Final = 180
"""Of a scrubber on a wide screen."""

_PAGE: Final = 200
_NOWHERE: Final = "a text that no event has"
_LIVE_RUNS: Final = 50
_LIVE_PER_S: Final = 5_000
_TICK_S: Final = 0.001

_OWN_SCREEN: Final = re.compile("⣿".encode())
_OPENED: Final = "first screen of the longest run"
_TOOLONG: Final = "toolong, a file of a million lines"
_OPEN_FLOOR: Final = "floor: duckdb.connect"
_SUMMED: Final = "summed from the events"
_PLAIN_WINDOW: Final = f"plain SQL: {_PAGE} rows, no state"
_PLAIN_SLICES: Final = "plain SQL: count by time"
_PLAIN_SEARCH: Final = "plain SQL: contains(payload)"
_NOT_LOOKING: Final = "floor: nobody looks"

_SUM_RUNS: Final = """
SELECT run_id, count(*), max(turn), max(ts), count(*) FILTER (kind = 'error') FROM events GROUP BY 1
"""
_COUNT_SLICES: Final = f"""
SELECT epoch_ms(ts) * {_SLICES} // 86_400_000, count(*) FROM events WHERE run_id = $run GROUP BY 1
"""
_SEARCH_RUN: Final = f"""
SELECT min(seq) FROM events WHERE run_id = $run AND contains(payload, '{_NOWHERE}')
"""
_SEARCH_ALL: Final = f"SELECT DISTINCT run_id FROM events WHERE contains(payload, '{_NOWHERE}')"
_WINDOW: Final = "SELECT * FROM events WHERE run_id = $run AND seq BETWEEN $first AND $last"

_Ask: TypeAlias = Callable[[], Awaitable[object]]


def measure_history(plan: Plan) -> Iterator[Figure]:
    """The numbers of a large store: opening, the list of runs, jumps, density, searches, and how
    late the loop is while 50 runs are played and somebody looks."""
    path = str(plan.folder / "history.duckdb")
    plan.note(f"storing {plan.sizes.history:,} events")
    asyncio.run(make_store(path, plan.sizes.history))
    opening: dict[str, Callable[[], float]] = {
        OWN: partial(_open_ms, lambda: Database(path)),
        _OPEN_FLOOR: partial(_open_ms, lambda: connect(path)),
    }
    yield from race("history", "open", "ms", opening, plan, {_OPEN_FLOOR: at_most(50)})
    yield from _first_screens(plan, path)
    with asyncio.Runner() as runner:
        looking = runner.run(_Looking.begin(path))
        try:
            yield from _reads(plan, runner, looking)
            yield from _jumps(plan, runner, looking)
            late: dict[str, Callable[[], float]] = {
                OWN: lambda: runner.run(_late_ms(plan, looking)),
                _NOT_LOOKING: lambda: runner.run(_late_ms(plan, None)),
            }
            figure = f"loop late at most, {_LIVE_RUNS} runs live"
            yield from race("history", figure, "ms", late, plan, {_NOT_LOOKING: at_most(100)})
        finally:
            runner.run(looking.end())


def _first_screens(plan: Plan, path: str) -> Iterator[Figure]:
    """From nothing to the first screen, and to a run with its board, turns and density, beside a
    viewer of log files."""
    own = [sys.executable, "-m", "arena_tui"]
    opened = [*own, "open", "--db", path, f"{LONGEST}:1"]
    contenders: dict[str, Callable[[], float]] = {
        OWN: partial(first_seen_s, [*own, "--db", path], plan.folder, FIRST_FRAME),
        _OPENED: partial(first_seen_s, opened, plan.folder, _OWN_SCREEN),
        MINIMAL: partial(minimal_s, plan),
    }
    if (toolong := shutil.which("tl")) is None:
        plan.tell(f"{_TOOLONG} is left out: pipx install toolong")
    else:
        lines = plan.folder / "events.jsonl"
        write_lines(path, lines, plan.sizes.history_lines)
        shown = re.compile(rb"kind")
        contenders[_TOOLONG] = partial(first_seen_s, [toolong, str(lines)], plan.folder, shown)
    for start in contenders.values():
        start()  # not counted: Python caches what it compiles
    seconds = alternate(contenders, plan, "first screens")
    goals = {MINIMAL: at_most(1.5, "ratio"), _TOOLONG: at_most(0.5, "ratio")}
    opened_s = seconds.pop(_OPENED)
    yield from compare("history", "first frame", "s", seconds, goals)
    goals.pop(MINIMAL)
    yield from compare("history", _OPENED, "s", {**seconds, OWN: opened_s}, goals)


def _reads(plan: Plan, runner: asyncio.Runner, looking: _Looking) -> Iterator[Figure]:
    history = looking.history
    long, short = {"run": LONGEST}, {"run": looking.short}
    for figure, goal, peer, ask, sql, values in (
        (f"list of runs, {_PAGE} of them", 2.0, _SUMMED,
         lambda: history.runs(limit=_PAGE), _SUM_RUNS, {}),
        ("density of a run", 60.0, _PLAIN_SLICES,
         lambda: history.density(looking.short, _SLICES), _COUNT_SLICES, short),
        ("density of the longest run", 60.0, _PLAIN_SLICES,
         lambda: history.density(LONGEST, _SLICES), _COUNT_SLICES, long),
        ("search in a run", 60.0, _PLAIN_SEARCH,
         lambda: history.search(looking.short, _NOWHERE, looking.start), _SEARCH_RUN, short),
        ("search in the longest run", None, _PLAIN_SEARCH,
         lambda: history.search(LONGEST, _NOWHERE, looking.start), _SEARCH_RUN, long),
        ("search in all runs", 1_000.0, _PLAIN_SEARCH, looking.search_all, _SEARCH_ALL, {}),
    ):  # fmt: skip
        contenders: dict[str, Callable[[], float]] = {
            OWN: partial(_ms, runner, ask),
            peer: partial(_ms, runner, partial(looking.plain, sql, values)),
        }
        goals = {} if goal is None else {peer: at_most(goal)}
        yield from race("history", figure, "ms", contenders, plan, goals)


def _jumps(plan: Plan, runner: asyncio.Runner, looking: _Looking) -> Iterator[Figure]:
    """Jumps to any place of the longest run: the rows there, and the state of the run."""
    draw = random.Random(1)
    last = runner.run(looking.open_longest())
    contenders: dict[str, Callable[[], list[float]]] = {
        OWN: lambda: [
            _ms(runner, partial(looking.jump, draw.randint(1, last)))
            for _ in range(plan.sizes.jumps)
        ],
        _PLAIN_WINDOW: lambda: [
            _ms(runner, partial(looking.window, draw.randint(1, last)))
            for _ in range(plan.sizes.jumps)
        ],
    }
    jumps = alternate(contenders, plan, "jumps")
    for percent, goal in ((50, 3.0), (99, 10.0)):
        samples = {
            name: [percentile(each, percent) for each in rounds] for name, rounds in jumps.items()
        }
        goals: Mapping[str, Goal] = {_PLAIN_WINDOW: at_most(goal)}
        yield from compare("history", f"jump in it, p{percent}", "ms", samples, goals)


class _Looking:
    """A dashboard's services with the store open, and somebody who looks at it."""

    def __init__(self, runtime: Runtime, history: History, runs: Sequence[str]) -> None:
        self.runtime = runtime
        self.history = history
        self.short = next((each for each in runs if each != LONGEST), LONGEST)
        self.start = Cursor(0, 0)
        self._player = Player(RunTape(LONGEST, runtime), history)

    @classmethod
    async def begin(cls, path: str) -> _Looking:
        runtime = Runtime(Config(db=path))
        await runtime.open()
        assert runtime.history is not None
        runs = await runtime.history.read(partial(read_ids, where="TRUE", parameters=[]))
        return cls(runtime, runtime.history, sorted(runs)[len(runs) // 2 :])

    async def end(self) -> None:
        self._player.close()
        await self.runtime.aclose()

    async def open_longest(self) -> int:
        """Open the longest run; returns its last place."""
        await self._player.open()
        last = self._player.position.last
        await self.jump(last)
        return last

    async def jump(self, place: int) -> None:
        self._player.go_to(place)
        await self._player.read_on(lambda: None)

    async def window(self, first: int) -> None:
        await self.plain(_WINDOW, {"run": LONGEST, "first": first, "last": first + _PAGE - 1})

    async def search_all(self) -> None:
        where, values = parse_filter(f'"{_NOWHERE}"')
        await self.history.read(partial(read_ids, where=where, parameters=values))

    async def plain(self, sql: str, values: dict[str, Any]) -> None:
        await self.history.read(lambda reader: reader.execute(sql, values).fetchall())

    async def look_around(self, draw: random.Random) -> None:
        """All that one does to find something."""
        last = self._player.position.last
        for _ in range(5):
            await self.jump(draw.randint(1, last))
        await self.history.runs(limit=_PAGE)
        player = self._player
        await player.overview.read(player.position, _SLICES, _SLICES, time.monotonic)
        await self.history.search(LONGEST, _NOWHERE, self.start)
        await self.search_all()


async def _late_ms(plan: Plan, looking: _Looking | None) -> float:
    """How late the loop is at most while runs are played and, if anyone is, somebody looks."""
    runtime = Runtime(Config(db=None)) if looking is None else looking.runtime
    if looking is None:
        await runtime.open()
    names = [f"{each}-{time.time_ns()}" for each in run_ids(_LIVE_RUNS)]
    thread = EmittingThread(runtime.sink.emit, _LIVE_PER_S, dict.fromkeys(names, "bench"))
    task = None if looking is None else asyncio.create_task(_look_on(looking))
    late_s = 0.0
    ends = time.perf_counter() + plan.sizes.history_s
    while (began := time.perf_counter()) < ends:
        await asyncio.sleep(_TICK_S)
        late_s = max(late_s, time.perf_counter() - began - _TICK_S)
    await asyncio.to_thread(thread.stop)
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    for name in names:
        await runtime.broker.close_run(name)
    if looking is None:
        await runtime.aclose()
    return late_s * 1_000


async def _look_on(looking: _Looking) -> None:
    draw = random.Random(2)
    while True:
        await looking.look_around(draw)


def _ms(runner: asyncio.Runner, ask: _Ask) -> float:
    async def timed() -> float:
        began = time.perf_counter()
        await ask()
        return (time.perf_counter() - began) * 1_000

    return runner.run(timed())


def _open_ms(open_it: Callable[[], Any]) -> float:
    began = time.perf_counter()
    opened = open_it()
    took_ms = (time.perf_counter() - began) * 1_000
    opened.close()
    return took_ms
