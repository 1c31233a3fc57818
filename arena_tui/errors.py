"""The errors a user can meet. Bugs raise plain Python exceptions instead.

ArenaError                  exit code 1
├── UsageError              2   a wrong option, value or setting
│   ├── FilterError         2   a word of a filter is none
│   └── MissingExtraError   2   a feature whose optional packages are not installed
├── EventError              2   an event or JSON line that cannot be accepted
│   └── EventTooLargeError  2   over the size or nesting limit
├── BrokerError             3   the broker cannot be reached or used
│   ├── ForkedError         3   a forked child can have no connection of its own
│   ├── RunClosedError      2   publish after `run_end`
│   ├── RunExistsError      2   a run id that is already open
│   └── UnknownRunError     2   a run id that does not exist
├── ConsumerError           3   a consumer cannot be made or started
│   └── ConsumerBusyError   3   another process runs it
├── ListenError             3   no server can listen at an address
├── RecordingError          3   a file cannot be recorded into
├── OutputError             3   standard output cannot be written
└── StoreError              3   the store cannot be opened, read or written
    ├── StoreLockedError    3   another process owns the file
    ├── StoreForeignError   3   its owner is another user, or of another version
    ├── StoreReadOnlyError  3   the file may be read at most
    └── StoreUnreadableError 3  the file is not a store, or of a newer format
        └── StoreDamagedError   3  it is damaged, and only to be read
"""

from __future__ import annotations


class ArenaError(Exception):
    """Something a user can act on: the message says what happened, then what to do."""

    exit_code = 1


class UsageError(ArenaError):
    """A wrong option, value or setting."""

    exit_code = 2


class FilterError(UsageError):
    """A filter that is none.

    Attributes:
        start, end: Which of its characters are wrong.
    """

    def __init__(self, message: str, start: int = 0, end: int = 0) -> None:
        super().__init__(message)
        self.start = start
        self.end = end

    def __reduce__(self) -> tuple[type[FilterError], tuple[str, int, int]]:
        return type(self), (str(self), self.start, self.end)


class MissingExtraError(UsageError):
    """An optional dependency is not installed; the message names the extra."""


class EventError(ArenaError):
    """An event or JSON line that cannot be accepted; the message names the field."""

    exit_code = 2


class EventTooLargeError(EventError):
    """An event over the size or nesting limit; the message names the limit."""


class BrokerError(ArenaError):
    """The broker cannot be reached or used."""

    exit_code = 3


class ForkedError(BrokerError):
    """A forked child can have no connection of its own: the broker is in its parent's process, or
    cannot be reached."""


class RunClosedError(BrokerError):
    """The run has ended; nothing more can be published to it."""

    exit_code = 2

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} has ended: open a new run")
        self._run_id = run_id

    def __reduce__(self) -> tuple[type[RunClosedError], tuple[str]]:
        """Pickle what it is made of: pools of processes hand errors on so."""
        return type(self), (self._run_id,)


class RunExistsError(BrokerError):
    """The run id belongs to a run that the broker still holds."""

    exit_code = 2


class UnknownRunError(BrokerError):
    """No run has that id."""

    exit_code = 2


class ConsumerError(ArenaError):
    """A consumer cannot be made or started, or breaks its contract."""

    exit_code = 3


class ConsumerBusyError(ConsumerError):
    """Another process of this machine runs the consumer.

    Attributes:
        pid: That process's id, or None when unknown.
    """

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class ListenError(ArenaError):
    """No server can listen at an address."""

    exit_code = 3


class RecordingError(ArenaError):
    """A file cannot be recorded into."""

    exit_code = 3


class OutputError(ArenaError):
    """Standard output is closed, or its disk is full."""

    exit_code = 3


class StoreError(ArenaError):
    """The store cannot be opened, read or written.

    Args:
        elsewhere: Whether another store would do: the message then ends with that advice, which
            goes on with the words for it once `name_options` was called.
    """

    exit_code = 3

    def __init__(self, message: str, *, elsewhere: bool = False) -> None:
        super().__init__(message)
        self._elsewhere = elsewhere
        self._options: tuple[str, ...] = ()

    def __str__(self) -> str:
        message = super().__str__()
        if not self._elsewhere:
            return message
        return f"{message} give another store{', or none'.join(self._options)}"

    def name_options(self, another: str, none: str | None = None) -> None:
        """Tell how a store is given where the error is shown, and how none is: `--db`, say."""
        self._options = tuple(f" with {each}" for each in (another, none) if each is not None)


class StoreLockedError(StoreError):
    """Another process owns the store file.

    Attributes:
        pid: The owner's process id, or None when unknown.
        lasting: Whether, unless the owner has ended this moment, waiting for it is of no use.
    """

    def __init__(
        self,
        message: str,
        pid: int | None = None,
        *,
        elsewhere: bool = False,
        lasting: bool = False,
    ) -> None:
        super().__init__(message, elsewhere=elsewhere)
        self.pid = pid
        self.lasting = lasting


class StoreForeignError(StoreError):
    """The process that has the store open cannot share it with this one."""


class StoreReadOnlyError(StoreError):
    """The store's file or folder may not be written."""


class StoreUnreadableError(StoreError):
    """The file is damaged, of a newer format, or not a store at all."""


class StoreDamagedError(StoreUnreadableError):
    """The file is damaged, and was to be read only: opened to be written, it is mended."""
