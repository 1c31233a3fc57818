"""Draws a scenario from a seed alone: who takes part, what goes wrong, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

BACKENDS: Final = ("memory", "aof always", "aof everysec", "no aof")
_KINDS: Final = ("threads", "bursts", "lines", "short", "large", "slow")
_PROCESS_FAULTS: Final = ("kill", "stop")
_NETWORK_FAULTS: Final = ("cut", "reset", "trickle", "drop")
_QUIET_S: Final = 1.0
_LONGEST_S: Final = 8.0


@dataclass(frozen=True)
class Fault:
    """What happens to whom, when (seconds since the start) and for how long."""

    at_s: float
    kind: str
    target: str
    for_s: float

    def __str__(self) -> str:
        return f"{self.at_s:.1f}s {self.kind} {self.target} {self.for_s:.1f}s"


@dataclass(frozen=True)
class Plan:
    """A scenario. Targets of faults are `server`, or names of producers, stores and screens; of
    network faults, `producers` or `stores`: those who connect through one proxy.

    Attributes:
        server: Which of the machine's servers, counted from 0.
        producers: Kind of each producer by name.
        dashboards: When a dashboard comes and how long it stays, and whether it has a store.
    """

    seed: int
    seconds: float
    backend: str
    server: int
    producers: dict[str, str]
    stores: list[str]
    dashboards: list[tuple[float, float, bool]]
    faults: list[Fault]

    @property
    def strict(self) -> bool:
        """Whether nothing acknowledged may be missing: no server forgets anything."""
        killed = any(each.kind == "kill" and each.target == "server" for each in self.faults)
        return not killed or self.backend not in ("aof everysec", "no aof")


def draw(seed: int, seconds: float, backend: str | None = None) -> Plan:
    """The seed's scenario; `backend` overrides the one that follows from the seed.

    Of each ten seeds in a row four have no AOF, three AOF always, two everysec and one no server.
    """
    choose = random.Random(seed)
    turn = seed % 10
    drawn = "no aof" if turn in (0, 3, 6, 9) else "memory" if turn == 5 else (
        "aof everysec" if turn in (2, 8) else "aof always"
    )  # fmt: skip
    backend = backend or drawn
    if backend == "memory":
        names = [f"p{number}" for number in range(1, choose.randint(1, 3) + 1)]
        producers = dict.fromkeys(names, "memory") | {"v1": "play"}
        stores: list[str] = []
    else:
        kinds = choose.sample(_KINDS, choose.randint(3, 6))
        producers = {f"p{number}": kind for number, kind in enumerate(kinds, 1)}
        stores = ["s1", "s2"][: choose.randint(1, 2)]
    dashboards = []
    at = choose.uniform(1.0, seconds / 4)
    while backend != "memory" and at < seconds * 0.8:
        stay = choose.uniform(3.0, max(4.0, seconds / 4))
        dashboards.append((at, stay, choose.random() < 0.3))
        at += stay + choose.uniform(2.0, max(3.0, seconds / 4))
    faults = _faults(choose, seconds, backend, [*producers], stores)
    return Plan(seed, seconds, backend, choose.randrange(2), producers, stores, dashboards, faults)


def _faults(
    choose: random.Random, seconds: float, backend: str, producers: list[str], stores: list[str]
) -> list[Fault]:
    faults = []
    at = _QUIET_S + choose.uniform(0, 2)
    while at < seconds - _QUIET_S:
        for_s = choose.uniform(0.2, min(_LONGEST_S, seconds / 4))
        what = "process" if backend == "memory" else choose.choices(
            ["process", "network", "server", "memory", "screen"], [5, 4, 3, 1, 1]
        )[0]  # fmt: skip
        match what:
            case "process":
                kind = choose.choices(_PROCESS_FAULTS, [2, 1])[0]
                faults.append(Fault(at, kind, choose.choice(producers + stores), for_s))
            case "network":
                kind = choose.choice(_NETWORK_FAULTS)
                faults.append(Fault(at, kind, choose.choice(["producers", "stores"]), for_s))
            case "server":
                kind = choose.choice(_PROCESS_FAULTS)
                faults.append(Fault(at, kind, "server", for_s))
            case "memory":
                faults.append(Fault(at, "full", "server", for_s))
            case _:
                faults.append(Fault(at, choose.choice(_PROCESS_FAULTS), "screen", for_s))
        at += choose.uniform(0.5, max(2.0, seconds / 12))
    return faults
