"""Intervals and timeouts of a process's background work on a shared server."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

LEFT_RUN_KEPT_S: Final = 7 * 24 * 3_600
"""How long a server keeps word of a run whose producer left it."""


class Timing(Struct, frozen=True, kw_only=True):
    """Seconds.

    Attributes:
        block_s: How long a read blocks on the server for new entries.
        look_s: Interval of checks for live producers, and for events lost before they were read.
        gone_s: How long a run may be missing before its readers get a gap. A producer that
            recreates it in time reports the exact loss.
        ack_s, sweep_s: Interval of acks, and of sweeps that trim fully acked events.
        command_s: Timeout of connecting, and of a command.
        withheld_s: How long the events of one run wait that the server refuses, though it takes
            those of others.
        backoff_s: Shortest and longest delay before a retry.
    """

    block_s: float = 5.0
    look_s: float = 5.0
    gone_s: float = 10.0
    ack_s: float = 0.5
    sweep_s: float = 1.0
    command_s: float = 2.0
    withheld_s: float = 60.0
    backoff_s: tuple[float, float] = (0.05, 2.0)
