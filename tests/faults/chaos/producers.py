"""The producers of a scenario: processes that emit until SIGTERM, and note what they emit.

`python -m tests.faults.chaos.producers KIND --name P --url URL --ledger FILE --seed N`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import arena_tui
from arena_tui.broker.protocol import RunMeta
from arena_tui.broker.redis.broker import RedisBroker
from arena_tui.broker_url import BrokerUrl
from arena_tui.codec import sealed
from arena_tui.errors import ArenaError, RunExistsError
from arena_tui.events import Event, LogEvent, RunEnd, RunStart
from tests.faults.chaos.ledger import Ledger

STOP = threading.Event()
_AHEAD_MAX = 3_000
_ANSWER_WAIT_S = 40.0


@dataclass(frozen=True)
class Shape:
    """How a kind of producer behaves.

    Attributes:
        threads: Runs at a time.
        events: Fewest and most events of a run, its start and end aside.
        sizes: Smallest and largest padding of an event, in bytes.
        pause_s: Between two events of a run.
        session_s: How long a connection lasts.
    """

    threads: int
    events: tuple[int, int]
    sizes: tuple[int, int]
    pause_s: float
    session_s: float


SHAPES = {
    "threads": Shape(4, (30, 400), (1, 200), 0.01, 6.0),
    "bursts": Shape(3, (300, 2_000), (1, 200), 0.1, 12.0),
    "lines": Shape(3, (20, 500), (1, 200), 0.01, 8.0),
    "short": Shape(24, (1, 6), (1, 100), 0.05, 4.0),
    "large": Shape(2, (4, 20), (1, 250_000), 0.3, 8.0),
    "slow": Shape(1, (5, 30), (1, 2_000), 0.4, 10.0),
    "memory": Shape(4, (30, 600), (1, 2_000), 0.003, 5.0),
    "play": Shape(3, (30, 300), (1, 2_000), 0.01, 4.0),
}


class Producing:
    """One process of a producer: its runs, its ledger, and its choices, which a seed makes."""

    def __init__(self, name: str, kind: str, ledger: Path, seed: int) -> None:
        self.shape = SHAPES[kind]
        self.choose = random.Random(f"{seed} {name} {os.getpid()}")
        self._name = name
        self._sessions = count(1)
        self._runs = count(1)
        self.ledger = Ledger(ledger, name, self.session())
        self.resumed = [each for each in self.ledger.unfinished if self.choose.random() < 0.5]

    def session(self) -> str:
        """Name of the next session."""
        return f"{self._name}/{os.getpid()}/{next(self._sessions)}"

    def next_run(self) -> tuple[str, bool]:
        """A run that a killed process left unfinished, and True; or a new one."""
        try:
            return self.resumed.pop(), True
        except IndexError:
            return f"{self._name}-{os.getpid()}-{next(self._runs)}", False

    def padding(self) -> str:
        return "x" * int(self.choose.triangular(*self.shape.sizes, self.shape.sizes[0]))

    def events(self, run: str) -> Iterator[Event]:
        """The events of a run, noted one by one as they are asked for."""
        yield RunStart(game="chaos", label=self.ledger.emit(run, self.padding()))
        for _ in range(self.choose.randint(*self.shape.events)):
            if STOP.is_set():
                break
            yield LogEvent(text=self.ledger.emit(run, self.padding()))
        yield RunEnd(reason=self.ledger.emit(run, self.padding(), last=True))

    def connect(self, url: str | None, db: str | None) -> None:
        """Emit through `connect()` from threads, a connection after the other; closing one waits
        for what it emitted, and is noted."""
        while not STOP.is_set():
            self.ledger.begin(self.session())
            try:
                arena = arena_tui.connect(url, db=db, store=bool(db) or url is None)
            except ArenaError as error:
                print(f"not connected: {error}", file=sys.stderr)
                STOP.wait(0.5)
                continue
            until = time.monotonic() + self.shape.session_s
            threads = [
                threading.Thread(target=self._play, args=(arena, until))
                for _ in range(self.shape.threads)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            try:
                arena.close()
            except ArenaError as error:
                self.ledger.closed(_unpublished(str(error)), str(error))
            else:
                self.ledger.closed()

    def _play(self, arena: arena_tui.Arena, until: float) -> None:
        while time.monotonic() < until and not STOP.is_set():
            name, _ = self.next_run()
            run = arena.run("chaos", run_id=name)
            for event in self.events(name):
                run.emit(event)
                STOP.wait(self.shape.pause_s * self.choose.random() * 2)
            STOP.wait(self.shape.pause_s)

    def print_lines(self) -> None:
        """Print JSON lines for `arena-tui publish`, runs in turn; its reader notes the end."""
        until = time.monotonic() + self.shape.session_s
        while time.monotonic() < until and not STOP.is_set():
            names = [self.next_run()[0] for _ in range(self.shape.threads)]
            runs = {name: self.events(name) for name in names}
            while runs:
                for name in list(runs):
                    event = next(runs[name], None)
                    if event is None:
                        del runs[name]
                        continue
                    fields = json.loads(sealed(event)[1]) | {"run_id": name}
                    os.write(1, json.dumps(fields).encode() + b"\n")
                STOP.wait(self.shape.pause_s)

    async def burst(self, url: str) -> None:
        """Publish in bursts through a broker of its own, awaiting no event before the next."""
        while not STOP.is_set():
            self.ledger.begin(self.session())
            broker = RedisBroker(BrokerUrl(url), reading=False)
            try:
                await broker.start()
            except ArenaError as error:
                print(f"not connected: {error}", file=sys.stderr)
                await broker.aclose()
                await asyncio.to_thread(STOP.wait, 0.5)
                continue
            tasks: set[asyncio.Task[None]] = set()
            until = time.monotonic() + self.shape.session_s
            while time.monotonic() < until and not STOP.is_set():
                await self._burst(broker, tasks)
            if tasks:
                await asyncio.wait(tasks, timeout=_ANSWER_WAIT_S)
            await broker.aclose()
            await asyncio.gather(*tasks)

    async def _burst(self, broker: RedisBroker, tasks: set[asyncio.Task[None]]) -> None:
        strict = self.choose.random() < 0.5
        runs: dict[str, Iterator[Event]] = {}
        for _ in range(self.shape.threads):
            name, resumed = self.next_run()
            runs[name] = self.events(name)
            if strict and not resumed:
                task = asyncio.create_task(_open(broker, name))
                if not await task:
                    return
            strict &= not resumed
        while runs:
            for name in list(runs):
                for _ in range(self.choose.randint(1, 60)):
                    event = next(runs[name], None)
                    if event is None:
                        del runs[name]
                        break
                    number = self.ledger.number(name)
                    task = asyncio.create_task(self._publish(broker, name, number, event, strict))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
            await asyncio.to_thread(STOP.wait, self.shape.pause_s)
            while len(tasks) > _AHEAD_MAX and not STOP.is_set():
                await asyncio.wait(tasks, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)

    async def _publish(
        self, broker: RedisBroker, run: str, number: int, event: Event, strict: bool
    ) -> None:
        try:
            if strict:
                await broker.publish(run, event)
            elif refused := await broker.publish_all([(run, *sealed(event))]):
                raise ArenaError(refused.why)
        except ArenaError as error:
            print(f"refused {run} {number}: {error}", file=sys.stderr)
            self.ledger.refused(run, number)
        else:
            self.ledger.acked(run, [number])


def play(name: str, ledger: Path, seed: int, until: float) -> None:
    """For a script that a dashboard plays: emit into its store until that time (seconds since
    1970), or until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    timer = threading.Timer(max(0.0, until - time.time()), STOP.set)
    timer.daemon = True
    timer.start()
    Producing(name, "play", ledger, seed).connect(None, None)


async def _open(broker: RedisBroker, run: str) -> bool:
    """Whether the run could be opened; a server that is away is waited for until the end."""
    try:
        async with asyncio.timeout(_ANSWER_WAIT_S):
            await broker.open_run(RunMeta(run_id=run, game="chaos"))
    except (TimeoutError, ArenaError) as error:
        if not isinstance(error, RunExistsError):
            print(f"not opened {run}: {error}", file=sys.stderr)
            return False
    return True


def _unpublished(said: str) -> int:
    """The sum of the events that a failed close names."""
    found = re.findall(r"([\d,]+) events (?:could not be|were refused)", said)
    return sum(int(each.replace(",", "")) for each in found)


def main() -> None:
    """Emit until SIGTERM; see the module."""
    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=SHAPES)
    parser.add_argument("--name", required=True)
    parser.add_argument("--url", default="memory:")
    parser.add_argument("--db")
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    producing = Producing(given.name, given.kind, given.ledger, given.seed)
    if given.kind == "lines":
        producing.print_lines()
    elif given.kind == "bursts":
        asyncio.run(producing.burst(given.url))
    else:
        producing.connect(given.url, given.db)


if __name__ == "__main__":
    main()
