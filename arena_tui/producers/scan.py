"""Reads a file ahead, to find what of it is known. Publishes nothing."""

from __future__ import annotations

import os
import stat
import threading
from collections import defaultdict
from collections.abc import Iterator
from io import FileIO
from typing import Any

import msgspec
from msgspec import Struct, field

from arena_tui.broker.chain import Chain
from arena_tui.errors import EventError, RunClosedError
from arena_tui.events import run_id_of
from arena_tui.producers.followed_runs import FollowedRuns
from arena_tui.producers.lines import Line
from arena_tui.producers.origin import Place, Tracker
from arena_tui.producers.source import LineSource


class Scan(Struct):
    """What a file holds of runs that are known, by run id and number of the chain in the file.

    Attributes:
        chains: The longest known chain that each one begins with.
        lines: How many lines each one has.
    """

    chains: dict[tuple[str, int], Chain] = field(default_factory=dict)
    lines: dict[tuple[str, int], int] = field(default_factory=dict)


class _RunId(Struct):
    run_id: Any = None


def scan(file: FileIO, runs: FollowedRuns, stop: threading.Event) -> Scan:
    """Scan a regular file from its beginning to its end, and go back; of any other find nothing.

    Raises:
        OSError: It cannot be read.
    """
    found = Scan()
    status = os.fstat(file.fileno())
    if runs.is_empty or not stat.S_ISREG(status.st_mode):
        return found
    taken: dict[str, tuple[str, int]] = {}
    known: dict[str, dict[bytes, list[Chain]]] = {}
    for run_id, line, place in _placed(file, status.st_size, runs, stop):
        key = run_id, place.number
        found.lines[key] = place.lines
        if run_id not in known:
            known[run_id] = _by_digest(runs.unclaimed(run_id))
        if place.lines == place.number == 1 and (
            earlier := runs.unchained(run_id, line.epoch(), place)
        ):
            found.chains[key] = earlier
        for chain in known[run_id].get(place.digest, ()):
            if taken.get(chain.id, key) == key:
                if shorter := found.chains.get(key):
                    taken.pop(shorter.id, None)
                found.chains[key], taken[chain.id] = chain, key
                break
    file.seek(0)
    return found


def _placed(
    file: FileIO, size: int, runs: FollowedRuns, stop: threading.Event
) -> Iterator[tuple[str, Line, Place]]:
    """The lines of known runs that will be accepted, and where they stand."""
    tracker = Tracker()
    for line in _lines(file, size, stop):
        if line.raw is None or not _may_be_known(line.raw, runs):
            continue
        try:
            run_id, event, _ = line.decode()
            place = tracker.next(run_id, event, line.raw)
        except (EventError, RunClosedError):
            continue
        tracker.keep(run_id, place)
        yield run_id, line, place


def _lines(file: FileIO, size: int, stop: threading.Event) -> Iterator[Line]:
    """The lines of a file up to that size, the last one also without its newline."""
    source = LineSource(file)
    while file.tell() < size and not stop.is_set() and (lines := source.read()) is not None:
        yield from lines
    if (last := source.unfinished()) is not None:
        yield last


def _may_be_known(raw: bytes, runs: FollowedRuns) -> bool:
    """Tell most lines of runs that are not known without decoding them."""
    try:
        run_id = msgspec.json.decode(raw, type=_RunId).run_id
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return True
    return not isinstance(run_id, str) or runs.knows(run_id_of(run_id))


def _by_digest(chains: list[Chain]) -> dict[bytes, list[Chain]]:
    found: dict[bytes, list[Chain]] = defaultdict(list)
    for each in chains:
        found[each.digest].append(each)
    return found
