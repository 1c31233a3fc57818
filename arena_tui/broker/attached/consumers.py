"""The durable consumers of attached processes, as the owner knows them: by what they ack."""

from __future__ import annotations

import time
from typing import Final

from arena_tui.broker.attached.wire import Ack, Consumers, Forget
from arena_tui.broker.memory import InProcessBroker
from arena_tui.broker.protocol import Subscription
from arena_tui.errors import UsageError

_KEPT_S: Final = 3_600.0
"""One that is silent for an hour no longer keeps events from being trimmed."""

_MOST: Final = 64
"""Each costs something with every event."""


class RemoteConsumers:
    """A subscription for each, which reads nothing. Belongs to the broker's loop."""

    def __init__(self, broker: InProcessBroker) -> None:
        self._broker = broker
        self._known: dict[str, tuple[float, Subscription]] = {}

    async def ack(self, asked: Ack) -> bool:
        """Record acks; returns whether the consumer was not known."""
        self._forget_silent()
        _, subscription = self._known.get(asked.identity, (0.0, None))
        is_new = subscription is None
        if subscription is None:
            if len(self._known) >= _MOST:
                raise UsageError(f"{_MOST} durable consumers of other processes are known already")
            subscription = self._broker.subscribe(f"remote {asked.identity}", durable=True)
        self._known[asked.identity] = time.monotonic(), subscription
        subscription.ack(asked.cursors)
        return is_new

    async def known(self, _: Consumers) -> dict[str, bool]:
        """By identity; see `BrokerProtocol.known_consumers`."""
        self._forget_silent()
        return dict.fromkeys(self._known, True)

    async def forget(self, asked: Forget) -> None:
        """Keep nothing more for it."""
        self._forget(asked.identity)

    def _forget_silent(self) -> None:
        since = time.monotonic() - _KEPT_S
        for identity in [name for name, (at, _) in self._known.items() if at < since]:
            self._forget(identity)

    def _forget(self, identity: str) -> None:
        if found := self._known.pop(identity, None):
            found[1].close()
