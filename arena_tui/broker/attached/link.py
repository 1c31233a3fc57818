"""What a process meets on its way to the owner of a store, and what it asks of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, TypeVar

import h11

from arena_tui.broker.attached.http import BadAnswerError, OwnerGoneError, OwnerHttp
from arena_tui.broker.attached.wire import PREFIX, Request, decode, encode
from arena_tui.broker.mirror.link import Link
from arena_tui.broker.owner import own_name
from arena_tui.broker.timing import Timing
from arena_tui.broker.warnings import Warnings
from arena_tui.errors import StoreError

TakeOver: TypeAlias = Callable[[], Awaitable[bool]]
"""Opens the store in this process, and shares it; returns whether it is open here, or raises
StoreError."""

_CHANGE_S: Final = 5.0
"""The next owner is there within this time."""

_HUNG_UP: Final = (ConnectionError, h11.ProtocolError)

ANOTHER: Final = 409
"""Status of what is meant for another owner; the answer names the present one."""

LEAVING: Final = 503
"""Status of what the owner takes no more, since it is leaving."""

T = TypeVar("T")


class OwnerChangedError(ConnectionError):
    """Another process owns the store now; what was not stored is to be sent to it again."""


class OwnerLink(Link):
    """See the module.

    Args:
        take_over: What to do when nobody owns the store; None: wait for somebody who does.

    Attributes:
        http: The connections.
        refused: Why this process could not take the store over, when it last tried to.
        owner: Id of the present owner, which is new whenever the store was opened; empty before
            the first answer.
    """

    errors = (OSError, h11.ProtocolError)

    def __init__(
        self, store: str, place: str, warnings: Warnings, timing: Timing,
        take_over: TakeOver | None,
    ) -> None:  # fmt: skip
        super().__init__(place, warnings, timing)
        self.http = OwnerHttp(store, timing.command_s)
        self.refused: StoreError | None = None
        self.owner = ""
        self.process = own_name()
        self._take_over = take_over
        self._gone_since: float | None = None
        self._listeners: list[Callable[[], None]] = []

    @property
    def owner_pid(self) -> int:
        """The owner's process id; 0 while that is not known."""
        pid = self.owner.partition("-")[0]
        return int(pid) if pid.isdigit() else 0

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have this called whenever another process owns the store."""
        self._listeners.append(listener)

    async def ask(self, make: Callable[[str], Request], kind: type[T], within_s: float = 0.0) -> T:
        """The answer to a request, made for the owner of this id.

        Raises:
            OwnerChangedError: There is another owner now.
            Link.errors: See `OwnerHttp.post`.
        """
        asked = self.owner
        try:
            answer = await self.http.post(PREFIX, encode(make(asked)), within_s)
        except BadAnswerError as error:
            if error.status == LEAVING:
                raise OwnerGoneError("the process that has the store open is leaving") from None
            if error.status != ANOTHER:
                raise
            self._on_owner(asked, error.body.decode(errors="replace"))
            raise OwnerChangedError("the store has another owner") from None
        return decode(answer, kind)

    def explain(self, error: BaseException) -> str:
        if isinstance(error, OwnerGoneError):
            return "the process that had the store open is gone"
        if isinstance(error, TimeoutError):
            return "the process that has the store open does not answer"
        if isinstance(error, BadAnswerError):
            return f"the process that has the store open refuses: {error}"
        return "the process that has the store open hung up"

    async def on_failure(self, role: str, error: BaseException, attempt: int) -> None:
        """See `Link.on_failure`. That the owner changes is no problem, unless it takes long."""
        if isinstance(error, OwnerChangedError):
            return
        now = self._clock()
        self._gone_since = now if self._gone_since is None else self._gone_since
        is_change = isinstance(error, _HUNG_UP) and not isinstance(error, BadAnswerError)
        if is_change and now - self._gone_since < _CHANGE_S:
            if not await self.mend(error):
                await self.pause(attempt)
        else:
            await super().on_failure(role, error, attempt)

    def on_success(self, role: str) -> None:
        self._gone_since = None
        super().on_success(role)

    async def mend(self, error: BaseException) -> bool:
        """Take the store over, if nobody has it."""
        if self._take_over is None or not isinstance(error, OwnerGoneError):
            return False
        try:
            return await self._take_over()
        except StoreError as refused:
            self.refused = refused
            return False

    def _on_owner(self, before: str, now: str) -> None:
        if self.owner == before and now != before:  # else another request has noticed it first
            self.owner = now
            for listener in self._listeners:
                listener()
