"""Those who take part in a scenario: started, killed, suspended, started again, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.faults.chaos.ledger import note, read_ledgers
from tests.faults.chaos.processes import ARENA_TUI, Child, Screen
from tests.waiting import until_blocking

_AGAIN_S: Final = 0.7
_PRODUCERS: Final = [sys.executable, "-m", "tests.faults.chaos.producers"]


class Actor:
    """A part that is started again whenever it ends, until it is finished.

    Args:
        start: Starts its processes. The last is the one that faults are about; the first is asked
            to end.
        on_end: Called with the processes once all have ended.
    """

    def __init__(
        self,
        name: str,
        start: Callable[[], Sequence[Child]],
        on_end: Callable[[Sequence[Child]], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.children: Sequence[Child] = []
        self.starts = 0
        self._start = start
        self._on_end = on_end
        self._away_s = _AGAIN_S
        self._finishing = asyncio.Event()
        self._task = asyncio.create_task(self._keep(), name=name)

    def kill(self, away_s: float) -> None:
        """Kill it; it comes again after that time."""
        self._away_s = away_s
        if self.children:
            self.children[-1].signal(signal.SIGKILL)

    async def suspend(self, for_s: float) -> None:
        """Suspend it for that time."""
        if self.children:
            await self.children[-1].suspend(for_s)

    async def finish(self, at_most_s: float) -> bool:
        """Ask it to end for good; returns whether it did in that time, else kills it."""
        self._finishing.set()
        if self.children:
            self.children[0].signal(signal.SIGTERM)
        await asyncio.wait([self._task], timeout=at_most_s)
        if self._task.done():
            self._task.result()
            return True
        self.end()
        return False

    def end(self) -> None:
        """Kill all that is left of it."""
        self._finishing.set()
        for child in self.children:
            child.kill()
        self._task.cancel()

    async def _keep(self) -> None:
        while not self._finishing.is_set():
            self.children = self._start()
            self.starts += 1
            if self._finishing.is_set():
                self.children[0].signal(signal.SIGTERM)
            await self.children[-1].wait()
            for child in self.children[:-1]:
                if not await child.wait(10.0):
                    child.kill()
            self._on_end(self.children)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._finishing.wait(), self._away_s)
            self._away_s = _AGAIN_S


def producer(name: str, kind: str, folder: Path, url: str, seed: int) -> Actor:
    """A producer of that kind; its ledger is `NAME.ledger`."""
    ledger = folder / f"{name}.ledger"
    command = [*_PRODUCERS, kind, "--name", name, "--ledger", str(ledger), "--seed", str(seed)]
    if kind == "memory":
        command += ["--db", str(folder / f"{name}.duckdb")]
    elif kind != "lines":
        command += ["--url", url]
    if kind != "lines":
        return Actor(name, lambda: [Child(name, folder, command)])
    publish = [sys.executable, *ARENA_TUI, "publish", "--broker", url, "--json"]

    def start() -> list[Child]:
        feeder = Child(f"{name}-feeder", folder, command, stdout=subprocess.PIPE)
        publisher = Child(
            name, folder, publish, stdin=feeder.process.stdout or 0, stdout=subprocess.PIPE
        )
        if feeder.process.stdout is not None:
            feeder.process.stdout.close()
        return [feeder, publisher]

    def on_end(children: Sequence[Child]) -> None:
        feeder, publisher = children
        assert publisher.process.stdout is not None
        said = publisher.process.stdout.read().decode()
        publisher.process.stdout.close()
        if publisher.process.returncode != -signal.SIGKILL:
            session = f"{name}/{feeder.process.pid}/1"
            emitted = read_ledgers([ledger])[1].get(session)
            if emitted is not None:
                published = json.loads(said)["published"] if said.strip() else 0
                unpublished = emitted.emitted - published
                note(ledger, session, unpublished, f"exit {publisher.process.returncode}")

    return Actor(name, start, on_end)


def store(name: str, folder: Path, url: str) -> Actor:
    """A store with a record file: `NAME.duckdb` and `NAME.jsonl`."""
    command = [
        sys.executable, *ARENA_TUI, "persist", "--broker", url, "--json",
        "--db", str(folder / f"{name}.duckdb"), "--record", str(folder / f"{name}.jsonl"),
    ]  # fmt: skip
    return Actor(name, lambda: [Child(name, folder, command)])


def player(name: str, folder: Path, seed: int, until: float) -> Actor:
    """A dashboard on a terminal that plays a script until that time, in seconds since 1970, and
    stores and records it: `NAME.duckdb`, `NAME.jsonl`. A script that outlives it is killed, since
    the next one goes on with its runs."""
    ledger = folder / f"{name}.ledger"
    script = folder / f"{name}.py"
    script.write_text(
        "from pathlib import Path\n"
        "from tests.faults.chaos.producers import play\n"
        f"play({name!r}, Path({str(ledger)!r}), {seed}, {until})\n"
    )
    command = [
        sys.executable, *ARENA_TUI, "--db", str(folder / f"{name}.duckdb"),
        "--record", str(folder / f"{name}.jsonl"), "--play", str(script),
    ]  # fmt: skip

    def on_end(children: Sequence[Child]) -> None:
        screen = children[0]
        assert isinstance(screen, Screen)
        screen.close()
        for pid in {int(session.split("/")[1]) for session in read_ledgers([ledger])[1]}:
            _kill(pid, script)

    return Actor(name, lambda: [Screen(name, folder, command)], on_end)


def _kill(pid: int, script: Path) -> None:
    """Kill the process if it still runs that script; returns once it is gone."""

    def runs() -> bool:
        with contextlib.suppress(OSError):
            return os.fsencode(script) in Path(f"/proc/{pid}/cmdline").read_bytes()
        return False

    if runs():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        until_blocking(lambda: not runs())
