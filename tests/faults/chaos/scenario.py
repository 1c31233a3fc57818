"""Runs one planned scenario in a folder, then checks what is held against what was emitted."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import redis

from tests.faults.chaos.actors import Actor, player, producer, store
from tests.faults.chaos.checker import Accounts, Checker, Violation
from tests.faults.chaos.holdings import (
    Event,
    Gap,
    Holding,
    item_of,
    read_record,
    read_server,
    read_store,
)
from tests.faults.chaos.ledger import read_ledgers
from tests.faults.chaos.plan import Fault, Plan
from tests.faults.chaos.processes import ARENA_TUI, Screen, environment, troubles
from tests.faults.proxy import Proxy
from tests.servers import OwnServer, server_binaries
from tests.waiting import pause, until

_END_S: Final = 60.0
"""Longest that a process may take to end once it was asked to, all faults over."""
_QUIT_S: Final = 30.0
"""Longest that a dashboard may take to end after `q`, whatever goes on."""
_PLAYED_OUT: Final = 0.8
"""When a script that a dashboard plays ends by itself, as a part of the time."""
_SETTLE_S: Final = 45.0
_GONE_S: Final = 20.0
"""After which a store has said what it lost with runs that do not come back."""
_CHECKED_RUNS: Final = 3


@dataclass
class Outcome:
    """What became of a scenario."""

    plan: Plan
    server: str = "-"
    emitted: int = 0
    acked: int = 0
    accounts: dict[str, Accounts] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)


def run(plan: Plan, folder: Path) -> Outcome:
    """Play the scenario and check it; the folder keeps everything."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.txt").write_text("\n".join([repr(plan), *map(str, plan.faults)]) + "\n")
    outcome = Outcome(plan)
    server = asyncio.run(_Stage(plan, folder, outcome).play())
    check_folder(folder, outcome, server)
    return outcome


def check_folder(folder: Path, outcome: Outcome, server: Holding | None = None) -> None:
    """Check what a scenario has left in its folder; adds to the outcome."""
    plan = outcome.plan
    ledgers = sorted(folder.glob("*.ledger"))
    runs, sessions = read_ledgers(ledgers)
    events = [each for run in runs.values() for each in run.events]
    outcome.emitted = len(events)
    outcome.acked = sum(e.acked or sessions[e.session].unpublished == 0 for e in events)
    checker = Checker(runs, sessions, strict=plan.strict)
    if server is not None:
        checker.check(server, whole=False)
    for path in sorted(folder.glob("*.duckdb")):
        name = path.stem
        own = checker
        if plan.backend == "memory":
            own = Checker(*read_ledgers([folder / f"{name}.ledger"]))
        held = [read_store(path, name)]
        record = folder / f"{name}.jsonl"
        if record.exists():
            held.append(read_record(record, f"{name}'s record"))
        for holding in held:
            own.check(holding, whole=not name.startswith("d"))
            if server is not None and not name.startswith("d"):
                own.check_unread(server, holding)
            outcome.accounts[holding.name] = own.accounts[holding.name]
        outcome.violations += [*_verify(path, held[0], folder), *_events(path, held[0], folder)]
        if own is not checker:
            outcome.violations += own.violations
    outcome.violations += checker.violations
    outcome.violations += [
        Violation("trouble", name, "-", line) for name, line in troubles(folder).items()
    ]


class _Stage:
    """The server, the proxies and the actors of one scenario, while it is played."""

    def __init__(self, plan: Plan, folder: Path, outcome: Outcome) -> None:
        self._plan = plan
        self._folder = folder
        self._outcome = outcome
        self._actors: dict[str, Actor] = {}
        self._proxies: dict[str, Proxy] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._screens: list[Screen] = []
        self._suspended: set[Screen] = set()
        self._redis: OwnServer | None = None

    async def play(self) -> Holding | None:
        """Play it to the end; returns what the server still held."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        loop.set_default_executor(ThreadPoolExecutor(64))
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        async with AsyncExitStack() as ending:
            plan, urls = self._plan, await self._start_server(ending)
            ending.callback(self._end_all)  # before the proxies, which wait for their clients
            stores = [self._add(store(n, self._folder, urls["stores"])) for n in plan.stores]
            for each in stores:
                errors = self._folder / f"{each.name}.err"
                await until(lambda e=errors: e.exists() and "storing what" in e.read_text())
            producers = [self._add(self._producer(*each, urls)) for each in plan.producers.items()]
            async with asyncio.TaskGroup() as tasks:
                for number, (at_s, stay_s, stores_too) in enumerate(self._plan.dashboards, 1):
                    db = f"d{number}.duckdb" if stores_too else None
                    tasks.create_task(self._show(f"d{number}", at_s, stay_s, urls["stores"], db))
                faults = [tasks.create_task(self._apply(each)) for each in self._plan.faults]
                await asyncio.gather(pause(self._plan.seconds), *faults)
                await asyncio.gather(*(self._finish(each) for each in producers))
            held = await self._settled() if self._redis is not None else None
            await asyncio.gather(*(self._finish(each) for each in stores))
            return held

    async def _start_server(self, ending: AsyncExitStack) -> dict[str, str]:
        if self._plan.backend == "memory":
            return defaultdict(str)
        binaries = list(server_binaries().items())
        self._outcome.server, binary = binaries[self._plan.server % len(binaries)]
        syncing = "always" if self._plan.backend == "aof always" else "everysec"
        self._redis = OwnServer(
            self._folder / "server", aof=self._plan.backend != "no aof", binary=binary,
            extra=("--appendfsync", syncing),
        )  # fmt: skip
        ending.callback(self._redis.kill)
        await asyncio.to_thread(self._redis.start)
        for name in ("producers", "stores"):
            self._proxies[name] = await ending.enter_async_context(Proxy(self._redis.port))
        return {name: proxy.url for name, proxy in self._proxies.items()}

    def _producer(self, name: str, kind: str, urls: dict[str, str]) -> Actor:
        plan = self._plan
        if kind == "play":
            until = time.time() + plan.seconds * _PLAYED_OUT
            return player(name, self._folder, plan.seed, until)
        return producer(name, kind, self._folder, urls["producers"], plan.seed)

    def _add(self, actor: Actor) -> Actor:
        self._actors[actor.name] = actor
        return actor

    def _end_all(self) -> None:
        for actor in self._actors.values():
            actor.end()
        for screen in self._screens:
            screen.kill()

    async def _finish(self, actor: Actor) -> None:
        if not await actor.finish(_END_S):
            self._found("hang", actor.name, f"had not ended {_END_S:.0f} s after SIGTERM")
        elif actor.name in self._plan.stores and (code := actor.children[-1].process.returncode):
            self._found("exit", actor.name, f"exit code {code}")

    async def _apply(self, fault: Fault) -> None:
        await pause(fault.at_s)
        async with self._locks[fault.target]:
            if fault.target == "server":
                await self._trouble_server(fault)
            elif fault.target in self._proxies:
                await self._trouble_network(self._proxies[fault.target], fault)
            elif fault.target == "screen":
                await self._trouble_screen(fault)
            elif fault.kind == "kill":
                self._actors[fault.target].kill(fault.for_s)
            else:
                await self._actors[fault.target].suspend(fault.for_s)

    async def _trouble_server(self, fault: Fault) -> None:
        server = self._redis
        assert server is not None
        if fault.kind == "kill":
            await asyncio.to_thread(server.kill)
            await pause(fault.for_s)
            await asyncio.to_thread(server.start)
        elif fault.kind == "stop":
            await asyncio.to_thread(server.pause)
            await pause(fault.for_s)
            server.resume()
        else:
            with redis.Redis.from_url(server.url) as client:
                client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + 50_000)
                await pause(fault.for_s)
                client.config_set("maxmemory", 0)

    async def _trouble_network(self, proxy: Proxy, fault: Fault) -> None:
        {"cut": proxy.half_open, "reset": proxy.refuse, "trickle": proxy.trickle,
         "drop": proxy.drop_replies}[fault.kind]()  # fmt: skip
        if fault.kind == "reset":
            proxy.reset()
        await pause(fault.for_s)
        # A network that has lost part of a stream cannot go on with the rest of it.
        if fault.kind in ("cut", "drop"):
            proxy.reset()
        proxy.pass_through()

    async def _trouble_screen(self, fault: Fault) -> None:
        screen = self._screens[-1] if self._screens else None
        if screen is None or not screen.running:
            return
        if fault.kind == "kill":
            screen.kill()
            return
        self._suspended.add(screen)
        await screen.suspend(fault.for_s)

    async def _show(self, name: str, at_s: float, stay_s: float, url: str, db: str | None) -> None:
        await pause(at_s)
        keep = ["--no-store"] if db is None else ["--db", str(self._folder / db)]
        command = [sys.executable, *ARENA_TUI, "--broker", url, *keep]
        screen = Screen(name, self._folder, command)
        self._screens.append(screen)
        await screen.wait(stay_s)
        async with self._locks["screen"]:  # a suspended one is let go on first
            if screen.running:
                screen.press(b"q")
        if not await screen.wait(_QUIT_S):
            known = " (after SIGSTOP and SIGCONT)" if screen in self._suspended else ""
            self._found("hang", name, f"had not ended {_QUIT_S:.0f} s after q{known}")
            screen.kill()
        screen.close()
        if screen.process.returncode not in (0, 3, -9):
            self._found("exit", name, f"exit code {screen.process.returncode}")

    async def _settled(self) -> Holding:
        """Wait until each record holds what the server does and all losses are told; else go on.

        Returns what the server held then.
        """
        assert self._redis is not None
        url, loop = self._redis.url, asyncio.get_running_loop()
        begun = loop.time()
        runs, sessions = read_ledgers(sorted(self._folder.glob("*.ledger")))

        def look() -> tuple[Holding, bool]:
            server = read_server(url)
            checker = Checker(runs, sessions, strict=self._plan.strict)
            for name in self._plan.stores:
                record = read_record(self._folder / f"{name}.jsonl", name)
                checker.check(record)
                checker.check_unread(server, record)
            waited_for = {"missing", "hole", "unread"}
            found = waited_for & {each.name for each in checker.violations}
            unseen = sum(each.unseen for each in checker.accounts.values())
            return server, not found and (not unseen or loop.time() > begun + _GONE_S)

        while True:
            server, settled = await asyncio.to_thread(look)
            if settled or loop.time() > begun + _SETTLE_S:
                return server
            await pause(0.5)

    def _found(self, name: str, place: str, evidence: str) -> None:
        self._outcome.violations.append(Violation(name, place, "-", evidence))


def _arena(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, *ARENA_TUI, *words], capture_output=True, timeout=120, check=False,
        env=environment(folder, "checks"),
    )  # fmt: skip


def _verify(path: Path, held: Holding, folder: Path) -> list[Violation]:
    """Where `arena-tui verify` finds something wrong, or counts otherwise than we do."""
    done = _arena(folder, "verify", "--db", str(path), "--json")
    *verdicts, summary = [json.loads(line) for line in done.stdout.splitlines()] or [{}]
    found = [
        Violation("verify", held.name, each["run_id"], "; ".join(each["problems"]))
        for each in verdicts if each["problems"]
    ]  # fmt: skip
    items = [each for items in held.items.values() for each in items]
    gaps = [each for each in items if isinstance(each, Gap)]
    unknown = sum(each.unknown for each in gaps)
    counted = {
        "ok": not found and not unknown,
        "runs": len(held.items),
        "events": len(items) - len(gaps),
        "lost": sum(each.length for each in gaps),
        "lost_unknown": unknown,
    }
    told = {key: summary.get(key) for key in counted}
    if told != counted or done.returncode != (not counted["ok"]):
        evidence = f"exit {done.returncode}, {summary}, counted {counted} {done.stderr[-200:]!r}"
        found.append(Violation("verify", held.name, "-", evidence))
    return found


def _events(path: Path, held: Holding, folder: Path) -> list[Violation]:
    """Runs whose events `arena-tui events` prints otherwise than they are stored: all runs of
    several epochs, and some others, asked one by one."""
    epochs = {run: len({each.epoch for each in items}) for run, items in held.items.items()}
    asked = sorted(held.items, key=lambda run: (-epochs[run], -len(held.items[run])))
    found = []
    for run in asked[:_CHECKED_RUNS]:
        done = _arena(folder, "events", run, "--db", str(path), "--json")
        printed = Counter(map(item_of, map(json.loads, done.stdout.splitlines())))
        printed = Counter({each: n for each, n in printed.items() if isinstance(each, Event)})
        stored = Counter(each for each in held.items[run] if isinstance(each, Event))
        if printed != stored or done.returncode:
            evidence = (
                f"exit {done.returncode}, printed {printed.total()}, stored {stored.total()} "
                f"in {epochs[run]} epochs: {len(stored - printed)} missing, "
                f"{len(printed - stored)} too many"
            )
            found.append(Violation("events", held.name, run, evidence))
    return found
