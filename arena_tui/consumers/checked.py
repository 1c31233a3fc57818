"""Holds what authors of consumers write to the contract, so that a slip stops nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from arena_tui.broker.protocol import STORE, Cursor, Start
from arena_tui.consumers.protocol import Consumer, ConsumerFactory, Context
from arena_tui.errors import ArenaError, ConsumerError

BUILT_IN: Final = frozenset({STORE, "dashboard", "metrics", "ratings"})
"""Names that only consumers of this project have."""


def made(make: ConsumerFactory, context: Context) -> Consumer:
    """The consumer that a factory of somebody else makes.

    Raises:
        ConsumerError: It makes none, or one that cannot run beside the others.
    """
    try:
        consumer = make(context)
    except ArenaError:
        raise
    except Exception as error:
        raise ConsumerError(
            f"{make!r} makes no consumer: {_why(error)}: give a class that takes a Context"
        ) from error
    name = getattr(consumer, "name", None)
    if not isinstance(consumer, Consumer) or not isinstance(name, str) or not name:
        raise ConsumerError(
            f"{make!r} makes no consumer with a name: subclass arena_tui.consumer.Consumer, "
            "and set its name and whether it is durable"
        )
    if name in BUILT_IN:
        raise ConsumerError(f"a consumer cannot be called {name}: give it another name")
    if consumer.polled:
        raise ConsumerError(f"{name}: only the screen's own consumers are polled")
    return consumer


def checked_start(name: str, start: Any) -> Start:
    """Where a consumer's `start` says to begin."""
    if start in ("oldest", "newest"):
        return start  # type: ignore[no-any-return]
    return _cursors(f"{name}: start() must return 'oldest', 'newest' or cursors", start)


def checked_acks(name: str, acks: Any) -> Mapping[str, Cursor]:
    """What a consumer's `handle` says to ack."""
    return _cursors(f"{name}: handle() must return the cursors it has kept", acks)


def _cursors(what: str, given: Any) -> Mapping[str, Cursor]:
    try:
        if all(type(at) is Cursor for at in given.values()):
            return given  # type: ignore[no-any-return]
        return {str(run_id): Cursor(int(at[0]), int(at[1])) for run_id, at in given.items()}
    except (AttributeError, TypeError, ValueError, LookupError):
        raise ConsumerError(f"{what} by run id, not {given!r:.100}") from None


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
