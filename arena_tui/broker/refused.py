"""How many events a broker could not take, for good, and why."""

from __future__ import annotations

from typing import NamedTuple


class Refused(NamedTuple):
    """Events refused, and why the last one was."""

    events: int = 0
    why: str = ""

    def __bool__(self) -> bool:
        return self.events > 0

    def plus(self, events: int, why: str) -> Refused:
        """With as many more, refused for this reason."""
        return Refused(self.events + events, why) if events else self
