"""A connection that fails leaves no task behind, whose end asyncio would complain of."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.redis_fixture import MakeRedis

SCRIPT = """
import asyncio, gc, os, signal, sys
import arena_tui
from arena_tui.errors import ArenaError
from arena_tui.producers.sink import MultiRunBrokerSink
from arena_tui.services.runtime import Runtime

what, url, pid = sys.argv[1:]
Runtime.__init__.__kwdefaults__["give_up_s"] = 0.3

async def forced(*_):
    raise RuntimeError("forced")

async def hang(*_):
    while True:
        try:
            await asyncio.sleep(3_600)
        except asyncio.CancelledError:
            hang.cancelled += 1
            if hang.cancelled > 8:
                raise
hang.cancelled = 0

def connected():
    arena = arena_tui.connect(url, store=False)
    run = arena.run("synth")
    run.__enter__()
    return arena

try:
    if what == "opening fails":
        Runtime.open = forced
        connected()
    elif what == "opening and closing fail":
        Runtime.open = Runtime.aclose = forced
        connected()
    elif what == "nobody is there":
        os.kill(int(pid), signal.SIGKILL)
        connected()
    elif what == "closing fails":
        arena = connected()
        Runtime.aclose = forced
        arena.close()
    elif what == "a step hangs":
        arena = connected()
        MultiRunBrokerSink.aclose = hang
        arena.close()
    elif what == "the server is gone":
        arena = connected()
        os.kill(int(pid), signal.SIGKILL)
        arena.close()
    elif what == "it is forgotten":
        arena = connected()
        os.kill(int(pid), signal.SIGKILL)
except (ArenaError, RuntimeError) as error:
    print(f"{type(error).__name__}: {error}")
gc.collect()
"""


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("opening fails", "RuntimeError: forced"),
        ("opening and closing fail", "RuntimeError: forced"),
        ("nobody is there", "BrokerError: cannot reach"),
        ("closing fails", "RuntimeError: forced"),
        ("a step hangs", ""),
        ("the server is gone", "BrokerError: 2 events could not be published: "),
        ("it is forgotten", ""),
    ],
)
def test_what_fails_leaves_no_task_behind(what: str, said: str, make_redis: MakeRedis) -> None:
    server = make_redis()

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, what, server.url, str(server.pid)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0
    assert done.stdout.startswith(said)
    assert "destroyed" not in done.stderr
    assert "never awaited" not in done.stderr
