"""A runbook's sections as somebody at a desk uses them: reads them, and types what they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arena_tui.broker.protocol import STORE
from arena_tui.consumers.protocol import identity_in
from tests.cli.test_commands import surroundings
from tests.waiting import until_blocking

RUNBOOK = Path(__file__).parents[2] / "docs" / "RUNBOOK.md"
_PART = re.compile(r"^(Look|Do|Over)\b.*?(?=^(?:Look|Do|Over)\b|\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def sections() -> dict[str, str]:
    """Each section's text by its heading."""
    _, *found = re.split(r"^## (.+)$", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(found[::2], found[1::2], strict=True))


def commands(section: str, part: str) -> list[str]:
    """What the section says to type, to `Look`, to `Do`, or to see that it is `Over`."""
    texts = [each[0] for each in _PART.finditer(sections()[section]) if each[1] == part]
    return [line for text in texts for block in _BLOCK.findall(text) for line in block.splitlines()]


def promised(section: str, text: str) -> str:
    """The text, which the section must have."""
    assert text in " ".join(sections()[section].split()), f"the section {section!r} has no {text!r}"
    return text


class Desk:
    """A shell in a folder of its own, with a server and a store.

    Attributes:
        broker: Where the server is.
        db: The store's file.
    """

    def __init__(self, folder: Path, broker: str, db: Path | None = None) -> None:
        self.broker = broker
        self.db = db or folder / "arena.duckdb"
        self._folder = folder
        self._environment = surroundings(folder) | {
            "ARENA_DB": str(self.db), "ARENA_BROKER": broker,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip

    @property
    def consumer(self) -> str:
        """Name of its store on the server."""
        return identity_in(self.db, STORE)

    def type(self, line: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", line], capture_output=True, text=True, timeout=120, check=False,
            env=self._environment | environment,
        )  # fmt: skip

    def follow(self, section: str, part: str, **words: object) -> str:
        """Type what the section says, with these words in place of theirs; returns all that was
        printed. Only `doctor` and `verify` may fail: that is how they tell."""
        told = ""
        lines = commands(section, part)
        assert lines, f"{section!r} says nothing to type under {part}"
        for line in lines:
            done = self.type(_filled(line, words))
            judges = line in ("arena-tui doctor", "arena-tui verify")
            assert done.returncode in ((0, 1) if judges else (0,)), (line, done)
            told += done.stdout + done.stderr
        return told

    def over(self, section: str, check: str) -> None:
        """Assert that `doctor`, which the section names, finds nothing wrong with `check`."""
        assert commands(section, "Over") == ["arena-tui doctor"]
        told = self.type("arena-tui doctor").stdout
        of_check = [line for line in told.splitlines() if re.match(rf". {check}\b", line)]
        assert of_check, told
        assert all(line.startswith("✓") for line in of_check), told

    def lines(self, run_id: str, count: int, padding: int = 0) -> Path:
        """A file of JSON lines to publish."""
        path = self._folder / f"{run_id}.jsonl"
        event = {"run_id": run_id, "kind": "log", "text": "x" * padding}
        path.write_text(f"{json.dumps(event)}\n" * count, encoding="utf-8")
        return path

    def publish(self, run_id: str, count: int, padding: int = 0) -> None:
        """Publish events of a run, and leave it open."""
        done = self.type(f"arena-tui publish --keep-open {self.lines(run_id, count, padding)}")
        assert done.returncode == 0, done

    @contextmanager
    def running(self, line: str, **words: object) -> Iterator[Running]:
        """A command that goes on until it is ended by SIGINT, at the end of the context."""
        output = self._folder / f"output-{len(list(self._folder.iterdir()))}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                ["sh", "-c", f"exec {_filled(line, words)}"], env=self._environment,
                stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            )  # fmt: skip
        running = Running(process, output)
        try:
            yield running
        finally:
            running.end()

    @contextmanager
    def persisting(self) -> Iterator[Running]:
        """What stores from the server, once it does."""
        with self.running("arena-tui persist") as persist:
            persist.says("storing what comes")
            yield persist


class Running:
    """A command that goes on; ended at the latest when the desk is left."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self._process = process
        self._output = output

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def told(self) -> str:
        """All that it has printed."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def says(self, text: str) -> None:
        """Return once it has printed this."""
        try:
            until_blocking(lambda: text in self.told)
        except TimeoutError:
            raise AssertionError(f"{text!r} was not said: {self.told}") from None

    def pause(self) -> None:
        """Suspend it, as ctrl-z does; returns when it is."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def wait(self) -> int:
        """Return its exit code once it has ended by itself."""
        return self._process.wait(60)

    def end(self) -> int:
        """Send SIGINT, if it has not ended; returns its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(signal.SIGINT)
        return self._process.wait(60)


def _filled(line: str, words: dict[str, object]) -> str:
    for word, value in words.items():
        line = re.sub(rf"\b{word}\b", str(value), line)
    return line


def has_tools() -> bool:
    """Whether the programs that the runbook uses are on this machine."""
    return all(map(shutil.which, ("redis-cli", "ps", "df", "sh")))
