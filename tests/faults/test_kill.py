"""A process killed at any moment loses no event acked as stored."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
from pathlib import Path

from arena_tui.store.database import Database
from arena_tui.store.verify import verify_store
from tests.faults.accounts import FULL

ROUNDS = 20 if FULL else 8

PRODUCER = """
import asyncio, sys
from arena_tui.broker.memory import InProcessBroker
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.events import (
    LlmPrompt, LlmResponse, Observation, OtherEvent, RunEnd, RunStart, TurnStart,
)
from arena_tui.store.database import Database
from arena_tui.consumers.persister import Persister
from arena_tui.services.consumption import Consumption

told = asyncio.Event()

class Telling(Persister):
    # Prints what is stored, run by run, once it is.
    batch_events, batch_interval_s = 200, 0.002

    async def handle(self, batch):
        cursors = await super().handle(batch)
        print(*(f"{run}={cursor.seq}" for run, cursor in cursors.items()), flush=True)
        told.set()
        return cursors

async def main(path, number):
    broker = InProcessBroker()
    telling = Telling(Database(path))
    await Consumption(telling, broker).start()
    sink = MultiRunBrokerSink(broker)
    turn = 0
    while True:
        turn += 1
        for player in range(12):
            run = f"round-{number}-{player}-{turn // 25}"
            if turn % 25 == 0:
                sink.emit(run, RunStart(game="chess", config={"depth": 3}))
            sink.emit(run, TurnStart(turn=turn, player="a"))
            sink.emit(run, Observation(turn=turn, text="board " * 40, legal_actions=["a", "b"]))
            sink.emit(run, LlmPrompt(turn=turn, model="gpt-x", text="prompt " * 60))
            sink.emit(run, LlmResponse(turn=turn, text="thinking " * 30, input_tokens=turn,
                                       output_tokens=7, cost_usd=0.001, latency_s=1.5))
            sink.emit(run, OtherEvent(name="own", turn=turn, extra={"data": {"x": turn}}))
            if turn % 25 == 24:
                sink.emit(run, RunEnd(status="finished", outcome={"a": 1}))
        await sink.flush()
        while sum(consumer.lag for consumer in (await broker.stats()).consumers) > 600:
            told.clear()
            await told.wait()

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


def play_and_kill(path: Path, number: int, lines: int) -> dict[str, int]:
    """Publish, kill after `lines` reported acks; returns the newest acked seq of each run."""
    process = subprocess.Popen(
        [sys.executable, "-c", PRODUCER, str(path), str(number)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    told += rest[: rest.rfind("\n") + 1].splitlines()
    pairs = re.findall(r"(\S+)=(\d+)", " ".join(told))
    return {run_id: int(seq) for run_id, seq in pairs}


def test_nothing_that_was_acked_is_lost_in_many_kills(tmp_path: Path) -> None:
    path = tmp_path / "arena.duckdb"
    choose = random.Random(20)
    acked: dict[str, int] = {}

    for number in range(ROUNDS):
        acked |= play_and_kill(path, number, lines=choose.randint(1, 12))
        database = Database(str(path))
        stored = dict(
            database.read_now(
                lambda c: c.execute("SELECT run_id, max(seq) FROM events GROUP BY 1").fetchall()
            )
        )
        found = [verdict for verdict in database.read_now(verify_store) if verdict.problems]
        warnings = database.warnings.newest()
        database.close()

        assert (found, warnings) == ([], ())
        assert {run: seq for run, seq in acked.items() if stored.get(run, 0) < seq} == {}

    assert len(acked) >= 12 * ROUNDS
