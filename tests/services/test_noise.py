"""Programs that end in all sorts of ways: stderr has what they raise themselves, and no more."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.redis_fixture import MakeRedis
from tests.services.forking import run_program
from tests.services.test_signals import running

NOISE = re.compile(
    "never awaited|was destroyed|is closed|never retrieved|Exception ignored|unclosed|Fatal Python"
)

PROGRAMS = {
    "forgotten": "arena = arena_tui.connect()\nplay(arena.run('g'))\n",
    "forgotten in an open run": "run = arena_tui.connect().run('g').__enter__()\nplay(run)\n",
    "sys.exit in a run": """
with arena_tui.connect() as arena, arena.run("g") as run:
    play(run)
    sys.exit(0)
""",
    "asyncio.run": """
import asyncio
async def main():
    async with arena_tui.connect() as arena, arena.run("g") as run:
        await run.room()
        play(run)
    with arena_tui.connect() as arena, arena.run("g") as run:
        play(run)
asyncio.run(main())
asyncio.run(main())
""",
    "asyncio.run, forgotten": """
import asyncio
async def main():
    run = arena_tui.connect().run("g").__enter__()
    await run.room()
    play(run)
asyncio.run(main())
""",
    "cancelled amid waiting": """
import asyncio
async def main():
    async def play_for_ever():
        async with arena_tui.connect() as arena, arena.run("g") as run:
            while True:
                await run.room()
                play(run)
                await asyncio.sleep(0)
    task = asyncio.create_task(play_for_ever())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
asyncio.run(main())
""",
    "cells of a notebook": """
import asyncio
loop = asyncio.new_event_loop()
async def first():
    global arena, run
    arena = arena_tui.connect()
    run = arena.run("g").__enter__()
    play(run)
async def second():
    play(run)
    run.end()
    arena.close()
    async with arena_tui.connect() as again, again.run("g") as run2:
        play(run2)
loop.run_until_complete(first())
loop.run_until_complete(second())
loop.close()
""",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "arena.duckdb"


@pytest.mark.parametrize("script", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("shared", [True, False], ids=["redis", "in process"])
def test_a_program_ends_without_a_word(
    script: str, shared: bool, redis_url: str, path: Path
) -> None:
    broker = redis_url if shared else "memory:"

    done = run_program(script, broker, path, PYTHONWARNINGS="default")

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shared", [True, False], ids=["redis", "in process"])
def test_a_thread_that_records_to_the_end_is_told_what_came_too_late(
    shared: bool, redis_url: str, path: Path
) -> None:
    script = """
arena = arena_tui.connect()
run = arena.run("g").__enter__()
def record():
    while True:
        run.action("e4")
        threading.Event().wait(0.001)
threading.Thread(target=record, daemon=True).start()
play(run)
"""

    done = run_program(script, redis_url if shared else "memory:", path, PYTHONWARNINGS="default")

    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if "refused" not in line] == []


def test_a_server_that_is_gone_is_said_in_lines(make_redis: MakeRedis, path: Path) -> None:
    server = make_redis()
    script = """
import signal
from arena_tui.services.runtime import Runtime
Runtime.__init__.__kwdefaults__["give_up_s"] = 0.5
run = arena_tui.connect().run("g").__enter__()
os.kill(int(os.environ["SERVER"]), signal.SIGKILL)
play(run)
"""

    done = run_program(script, server.url, path, SERVER=str(server.pid), PYTHONWARNINGS="default")

    assert done.returncode == 0
    assert "events could not be published" in done.stderr
    assert "Traceback" not in done.stderr
    assert NOISE.findall(done.stderr) == []


@pytest.mark.parametrize("shared", [True, False], ids=["redis", "in process"])
def test_an_interrupted_close_says_no_more_than_keyboardinterrupt(
    shared: bool, redis_url: str, path: Path
) -> None:
    script = """
from arena_tui.services.runtime import Runtime
async def slow(*_): ready(); await asyncio.Event().wait()
Runtime.aclose = slow
arena = arena_tui.connect()
play(arena.run("g"))
arena.close()
"""
    with running(script, redis_url if shared else "memory:", path) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)

    assert process.returncode == -signal.SIGINT
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert said.count("Traceback") == 1
    assert NOISE.findall(said) == []
