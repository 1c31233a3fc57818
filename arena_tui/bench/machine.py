"""Says when a machine is too busy for a verdict: its load, and what others take of it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

_LOAD_MAX: Final = 0.5
"""Load average a core before the first measurement."""
_OTHERS_MAX: Final = 0.1
_STOLEN_MAX: Final = 0.05
"""Shares of the machine's time, while it was measured."""

_STAT: Final = Path("/proc/stat")


class Looked(Struct, frozen=True, kw_only=True):
    """The clocks of all cores together, in ticks since the machine started.

    Attributes:
        all, idle, stolen: Of the machine; `stolen`: by other guests of its host.
        own: Used by this process and all it has started.
    """

    all: int = 0
    idle: int = 0
    stolen: int = 0
    own: int = 0


class Machine:
    """Watches it from `begin` on. Elsewhere than on Linux it knows the load average alone."""

    def __init__(self) -> None:
        self._load = os.getloadavg()[0]
        self._cores = os.cpu_count() or 1
        self._begun = Looked()

    def begin(self) -> None:
        """Forget what was before; but for the load average, which then is one's own."""
        self._begun = _look()

    def busy(self) -> str | None:
        """Why nothing measured since `begin` deserves a verdict, if so."""
        return why_busy(self._load, self._cores, self._begun, _look())


def why_busy(load: float, cores: int, begun: Looked, now: Looked) -> str | None:
    """`load average 2.6 on 2 cores before it began, others took 34 % of the machine`; None if it
    is not busy."""
    passed = max(1, now.all - begun.all)
    stolen = (now.stolen - begun.stolen) / passed
    used = (now.all - now.idle - now.stolen) - (begun.all - begun.idle - begun.stolen)
    others = (used - (now.own - begun.own)) / passed
    why = []
    if load > _LOAD_MAX * cores:
        why.append(f"load average {load:.1f} on {cores} cores before it began")
    if others > _OTHERS_MAX:
        why.append(f"others took {others:.0%} of the machine".replace("%", " %"))
    if stolen > _STOLEN_MAX:
        why.append(f"its host took {stolen:.0%}".replace("%", " %"))
    return ", ".join(why) or None


def _look() -> Looked:
    if not _STAT.exists():
        return Looked()
    # man 5 proc_stat: user, nice, system, idle, iowait, irq, softirq, steal; user has the guests.
    ticks = [int(word) for word in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
    return Looked(all=sum(ticks), idle=ticks[3] + ticks[4], stolen=ticks[7], own=_own_ticks())


def _own_ticks() -> int:
    """Of this process and its descendants, those included that have ended and were waited for."""
    used: dict[int, int] = {}
    children: defaultdict[int, list[int]] = defaultdict(list)
    for pid, parent, ticks in _processes():
        used[pid] = ticks
        children[parent].append(pid)
    own = [os.getpid()]
    for pid in own:
        own += children[pid]
    return sum(used.get(pid, 0) for pid in own)


def _processes() -> Iterator[tuple[int, int, int]]:
    """Each process with its parent, and the ticks that it and its ended children used."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                text = (folder / "stat").read_text()
            except OSError:  # it has ended
                continue
            words = text.rpartition(")")[2].split()  # the name before may hold anything
            yield int(folder.name), int(words[1]), sum(map(int, words[11:15]))
