"""Programs of a few lines that tests run beside themselves, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping


def started(
    script: str, *arguments: str, says: str, env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """The program, once it has printed this line. Leaving its context ends its input, and waits
    until it is over."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], text=True, env=env,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    if (line := process.stdout.readline()) != f"{says}\n":
        process.kill()
        raise AssertionError(f"the program ended, or said {line!r}")
    return process


OPENS_A_STORE = """\
import sys
from arena_tui.store.database import Database
database = Database(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
database.close()
"""


def holding(store: str) -> subprocess.Popen[str]:
    """A program that has this store open, and shares it with nobody."""
    return started(OPENS_A_STORE, store, says="open")
