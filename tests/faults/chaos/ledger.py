"""What a producer says it emitted, on its disk, and texts that show where they belong.

Each event's text names producer, run and number, and a hash over the text before it in that run:
what is missing, doubled, moved or altered is seen without knowing how it was stored.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_CHAIN_CHARS: Final = 16


@dataclass(frozen=True)
class Text:
    """The parts of an event's text."""

    producer: str
    run: str
    number: int
    chain: str
    padding: str

    def is_link(self, previous: str) -> bool:
        """Whether it is unaltered and follows the text with that chain."""
        return self.chain == _chain(previous, self.producer, self.run, self.number, self.padding)


@dataclass
class Emitted:
    """One event as its producer noted it, before emitting it.

    Attributes:
        acked: The broker acknowledged it on its own.
        refused: The broker refused it, or gave it up, and said so.
    """

    session: str
    number: int
    chain: str
    acked: bool = False
    refused: bool = False


@dataclass
class Session:
    """One connection of a producer, from opening to closing; a killed one is never closed.

    Attributes:
        unpublished: What closing said was not published: 0 after a clean close, None without one.
    """

    emitted: int = 0
    unpublished: int | None = None
    said: str = ""


@dataclass
class RunLedger:
    """What was emitted in one run, in order; `ended` once its last event was."""

    producer: str
    events: list[Emitted] = field(default_factory=list)
    ended: bool = False


class Ledger:
    """A producer's own notes: appended and flushed before what they are about happens.

    Safe from any number of threads, each run in one of them.
    """

    def __init__(self, path: Path, producer: str, session: str) -> None:
        self._session = session
        self._producer = producer
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        runs, _ = read_ledgers([path])
        self.unfinished = [run for run, each in runs.items() if each.events and not each.ended]
        self._ends = {
            run: (each.events[-1].number, each.events[-1].chain)
            for run, each in runs.items()
            if each.events
        }

    def begin(self, session: str) -> None:
        """Note everything under another session from here on."""
        self._session = session

    def emit(self, run: str, padding: str, *, last: bool = False) -> str:
        """Note the run's next event; returns its text."""
        number, previous = self._ends.get(run, (0, ""))
        number += 1
        chain = _chain(previous, self._producer, run, number, padding)
        self._ends[run] = number, chain
        end = " end" if last else ""
        self._write(f"e {self._session} {run} {number} {chain}{end}")
        return f"{self._producer} {run} {number} {chain} {padding}"

    def number(self, run: str) -> int:
        """Number of the run's newest event."""
        return self._ends[run][0]

    def acked(self, run: str, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._write(f"a {run} {number}")

    def refused(self, run: str, number: int) -> None:
        self._write(f"u {run} {number}")

    def closed(self, unpublished: int = 0, said: str = "") -> None:
        """Note how closing the session ended."""
        self._write(_closing(self._session, unpublished, said))

    def _write(self, line: str) -> None:
        os.write(self._descriptor, f"{line}\n".encode())


def note(path: Path, session: str, unpublished: int, said: str) -> None:
    """Note for a producer that cannot know how its session ended."""
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{_closing(session, unpublished, said)}\n")


def parse(text: str | None) -> Text | None:
    """The parts of a text made by a `Ledger`; None for any other."""
    parts = (text or "").split(" ", 4)
    if len(parts) != 5 or not parts[2].isdigit():
        return None
    return Text(parts[0], parts[1], int(parts[2]), parts[3], parts[4])


def read_ledgers(paths: Iterable[Path]) -> tuple[dict[str, RunLedger], dict[str, Session]]:
    """What ledgers say, by run and by session; a line that a kill cut short is not said."""
    runs: dict[str, RunLedger] = {}
    sessions: dict[str, Session] = {}
    for path in paths:
        if not path.exists():
            continue
        for line in path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines():
            what, first, *rest = line.split(" ")
            if what == "e":
                run = runs.setdefault(rest[0], RunLedger(path.stem))
                run.events.append(Emitted(first, int(rest[1]), rest[2]))
                run.ended |= rest[-1] == "end"
                sessions.setdefault(first, Session()).emitted += 1
            elif what in ("a", "u"):
                event = runs[first].events[int(rest[0]) - 1]
                event.acked |= what == "a"
                event.refused |= what == "u"
            elif what == "c":
                session = sessions.setdefault(first, Session())
                session.unpublished, session.said = int(rest[0]), " ".join(rest[1:])
    return runs, sessions


def _chain(previous: str, producer: str, run: str, number: int, padding: str) -> str:
    content = f"{previous} {producer} {run} {number} {padding}".encode()
    return hashlib.sha256(content).hexdigest()[:_CHAIN_CHARS]


def _closing(session: str, unpublished: int, said: str) -> str:
    return f"c {session} {unpublished} {' '.join(said.split())}"
