"""How often a process on a shared server does what it does in the background."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Timing"]


class Timing(Struct, frozen=True, kw_only=True):
    """Seconds.

    Attributes:
        block_s: How long a read waits on the server for something new.
        look_s: Between two looks at the runs: which producers are alive, what is gone unread?
        gone_s: How long a run that is gone may take to come back before its readers are told of a
            loss: then the producer tells the exact count.
        ack_s, sweep_s: Between two acks, and between two sweeps of what all have acked.
        command_s: How long a connection, or the answer to a command, may take.
        backoff_s: Least and most time before the next attempt.
    """

    block_s: float = 5.0
    look_s: float = 5.0
    gone_s: float = 10.0
    ack_s: float = 0.5
    sweep_s: float = 1.0
    command_s: float = 2.0
    backoff_s: tuple[float, float] = (0.05, 2.0)
