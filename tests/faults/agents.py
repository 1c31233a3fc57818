"""Agents that record numbered actions into a shared store, and what became of each of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from arena_tui.store.database import Database
from arena_tui.store.remote import RemoteDatabase
from arena_tui.unix_socket import connected
from tests.cli.test_commands import surroundings

PLAIN = """\
import sys, time
import arena_tui

def play(run, turns, pause_s):
    for turn in range(turns):
        run.turn(turn, player="a")
        run.action(str(turn))
        time.sleep(pause_s)

def record(name, turns, pause_s):
    with arena_tui.connect() as arena, arena.run(game="g", agents=["a"], run_id=name) as run:
        play(run, turns, pause_s)

if __name__ == "__main__":
    name, turns, pause_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
"""
ALONE = (
    PLAIN
    + """\
    record(name, turns, pause_s)
"""
)
POOL = (
    PLAIN
    + """\
    import multiprocessing
    with arena_tui.connect() as arena, arena.run(game="g", agents=["a"], run_id=name) as run:
        context = multiprocessing.get_context(sys.argv[4])
        workers = [
            context.Process(target=record, args=(f"{name}-{number}", turns, pause_s))
            for number in range(3)
        ]
        for each in workers:
            each.start()
        play(run, turns, pause_s)
        for each in workers:
            each.join()
"""
)


class Agent(NamedTuple):
    """A process that records these runs, of so many turns each."""

    process: subprocess.Popen[str]
    runs: tuple[str, ...]
    turns: int


def start(folder: Path, name: str, turns: int, pause_s: float, pool: str = "") -> Agent:
    """Start one; with a `pool`, `fork` or `spawn`, three children record a run each, too."""
    program = folder / f"{name}.py"
    program.write_text(POOL if pool else ALONE)
    words = [str(program), name, str(turns), str(pause_s), *([pool] if pool else [])]
    process = subprocess.Popen(
        [sys.executable, *words], env=surroundings(folder), text=True,
        start_new_session=True,
    )  # fmt: skip
    children = [f"{name}-{number}" for number in range(3)] if pool else []
    return Agent(process, (name, *children), turns)


def end(agents: Iterable[Agent]) -> None:
    """Kill whatever is left of these, and their children."""
    for each in agents:
        if each.process.poll() is None:  # else the number may be another process's by now
            os.killpg(each.process.pid, signal.SIGKILL)
            each.process.wait()


def owner_of(folder: Path) -> int | None:
    """The process that has the store open now; None if nobody answers."""
    link = connected(str(folder / "arena.duckdb"), 5)
    if link is None:
        return None
    with link:
        try:
            link.sendall(b"GET /owner HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: link.recv(65_536), b""))
        except OSError:
            return None
    return int(json.loads(answer.partition(b"\r\n\r\n")[2])["pid"]) if answer else None


def actions(folder: Path) -> Mapping[str, list[tuple[int, str]]]:
    """Epoch and text of each stored action, by run, in order; nobody may have the store open."""
    database = Database(str(folder / "arena.duckdb"), only_read=True)
    try:
        rows = database.read_now(lambda each: each.execute(
            "SELECT run_id, epoch, payload->>'action' FROM events WHERE kind = 'action' "
            "ORDER BY run_id, epoch, seq"
        ).fetchall())  # fmt: skip
    finally:
        database.close()
    found: dict[str, list[tuple[int, str]]] = {}
    for run_id, epoch, action in rows:
        found.setdefault(run_id, []).append((epoch, action))
    return found


def problems(agents: Sequence[Agent], killed: set[int], folder: Path) -> list[str]:
    """What is not as it must be: of who lived, each action is stored once and in order; of who was
    killed, what is stored is its beginning."""
    stored = actions(folder)
    found = []
    for agent in agents:
        lived = agent.process.pid not in killed
        for name in agent.runs:
            got = [text for _, text in stored.get(name, [])]
            expected = [str(number) for number in range(agent.turns)]
            if got != (expected if lived else expected[: len(got)]):
                twice = [text for text, count in Counter(got).items() if count > 1]
                found.append(f"{name}: {len(got)} of {agent.turns}, twice {twice[:3]}")
            if len({epoch for epoch, _ in stored.get(name, [])}) > 1:
                found.append(f"{name}: its stream was made anew")
    return found


def account(agents: Sequence[Agent], killed: set[int], folder: Path) -> dict[str, Any]:
    """How much of whom is stored."""
    stored = actions(folder)
    counts: Counter[str] = Counter()
    for agent in agents:
        who = "killed" if agent.process.pid in killed else "lived"
        counts[f"processes that {who}" if who == "lived" else "processes killed"] += 1
        for name in agent.runs:
            counts[f"actions stored of who {'was ' if who == 'killed' else ''}{who}"] += len(
                stored.get(name, ())
            )
    return dict(counts)


def reading(folder: Path) -> RemoteDatabase:
    """The store, through whoever has it open."""
    return RemoteDatabase(str(folder / "arena.duckdb"), patience_s=60)
