"""What the author of a consumer imports: the contract, and `run`.

`docs/CONSUMERS.md` has an example. In process, `arena_tui.connect(consumers=[…])` runs consumers.
"""

from __future__ import annotations

import asyncio
import sys

from arena_tui.broker.own_log import own_log
from arena_tui.broker.protocol import Cursor, Start
from arena_tui.config import Config, load_config
from arena_tui.consumers.protocol import Consumer, ConsumerFactory, Context, Counters
from arena_tui.consumers.simple import SimpleConsumer
from arena_tui.errors import ArenaError, UsageError
from arena_tui.events import Delivery, Envelope, Gap
from arena_tui.services.ending import ending_event
from arena_tui.services.runtime import Runtime

__all__ = [
    "Consumer",
    "ConsumerFactory",
    "Context",
    "Counters",
    "Cursor",
    "Delivery",
    "Envelope",
    "Gap",
    "SimpleConsumer",
    "Start",
    "run",
]

_log = own_log(__name__)


def run(*consumers: ConsumerFactory, broker: str | None = None) -> None:
    """Run consumers of a shared broker until SIGINT, SIGTERM or SIGHUP.

    What they refuse is held and tried again; what they have not acked by then comes next time.

    Args:
        consumers: Their classes, or what else makes them.
        broker: Its URL; None: `ARENA_BROKER`, or `REDIS_URL`.

    Raises:
        SystemExit: The broker cannot be reached, or is in-process; one line on stderr says so.
    """
    try:
        config = load_config(broker, store=False)
        if not consumers:
            raise UsageError("there is no consumer to run: give one, or more")
        if config.broker.kind == "memory":
            raise UsageError(
                "a process of consumers alone needs a shared broker: set ARENA_BROKER to "
                "redis://host:6379, or give them to arena_tui.connect(consumers=[…])"
            )
        asyncio.run(_run(config, consumers))
    except ArenaError as error:
        print(f"arena-tui: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(error.exit_code) from None


async def _run(config: Config, consumers: tuple[ConsumerFactory, ...]) -> None:
    stopped = ending_event()
    runtime = Runtime(config, consumers=consumers)
    try:
        await runtime.open()
        await stopped.wait()
    finally:
        if unkept := await runtime.aclose():
            _log.warning(unkept)
