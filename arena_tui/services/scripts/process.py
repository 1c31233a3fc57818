"""One script in a process of its own, and what it prints. Knows no broker and no screen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Literal, TypeAlias

from arena_tui.broker.own_log import own_log
from arena_tui.errors import UsageError
from arena_tui.services.scripts.output import Crash, Output, crash_in
from arena_tui.services.scripts.spec import ScriptSpec

_READ_BYTES: Final = 64 * 1024
_LAST_WORDS_S: Final = 1.0
"""How long output is waited for once the script has ended: its children may hold the pipe open."""
_LOOK_EVERY_S: Final = 0.02
_TRACEBACK_LINES: Final = 500

ScriptState: TypeAlias = Literal["running", "finished", "failed"]

_log = own_log("arena_tui.script")


class ScriptProcess:
    """A script from its start to its end, as `python FILE ARGUMENTS…` runs it.

    It has a session of its own, so that no key of our terminal reaches it; its stdin is empty, and
    stdout and stderr are one pipe, whose lines are kept in `output` and logged.

    Args:
        on_failed: Called in a thread when it has failed.

    Attributes:
        output: What it prints.
        crash: The exception it has failed with, if it printed one.

    Raises:
        UsageError: It cannot be started.
    """

    def __init__(
        self, spec: ScriptSpec, environment: Mapping[str, str],
        on_failed: Callable[[ScriptProcess], None],
    ) -> None:  # fmt: skip
        self.output = Output()
        self.crash: Crash | None = None
        self._name = spec.name
        self._on_failed = on_failed
        self._began = time.monotonic()
        self._took_s: float | None = None
        self._code: int | None = None
        self._is_asked_to_end = False
        self._ended = threading.Event()
        try:
            self._process = subprocess.Popen(
                [sys.executable, spec.file, *spec.arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                bufsize=0, env={"PYTHONUNBUFFERED": "1", **environment}, start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot start {spec.name}: {error}") from None
        self._reading = threading.Thread(target=self._read, name=f"read {self._name}", daemon=True)
        self._reading.start()
        threading.Thread(target=self._await, name=f"await {self._name}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def state(self) -> ScriptState:
        if not self._ended.is_set():
            return "running"
        return "failed" if self._code else "finished"

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self._began if self._took_s is None else self._took_s

    @property
    def ending(self) -> str | None:
        """`exited 1`, `killed by SIGSEGV`; None while it runs."""
        if not self._ended.is_set() or self._code is None:
            return None
        if self._code >= 0:
            return f"exited {self._code}"
        try:
            return f"killed by {signal.Signals(-self._code).name}"
        except ValueError:
            return f"killed by signal {-self._code}"

    def ask_to_end(self) -> None:
        """Send it SIGTERM, on which `connect()` ends its runs and stores them."""
        self._is_asked_to_end = True
        with suppress(OSError):
            self._process.terminate()

    def end(self, until: float) -> None:
        """Wait for it and then for its children, until that time of the monotonic clock; kill what
        is left of them. Only for one that was asked to end while it ran."""
        self._ended.wait(max(0.0, until - time.monotonic()))
        if self._ended.is_set():  # its children have not been asked yet
            self._signal_group(signal.SIGTERM)
        while self._signal_group(0) and time.monotonic() < until:
            time.sleep(_LOOK_EVERY_S)
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: int) -> bool:
        """Whether anything of its session is left, which gets the signal; 0 for none."""
        try:
            os.killpg(self.pid, number)
        except OSError:
            return False
        return True

    def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        with suppress(OSError), stdout:
            while data := os.read(stdout.fileno(), _READ_BYTES):
                self._log(self.output.feed(data))
        self._log(self.output.finish())

    def _log(self, lines: list[str]) -> None:
        for line in lines:
            _log.info("%s: %s", self._name, line)

    def _await(self) -> None:
        code = self._process.wait()
        self._took_s = self.seconds
        self._reading.join(_LAST_WORDS_S)
        if code > 0:
            self.crash = crash_in(self.output.newest(_TRACEBACK_LINES))
        self._code = code
        self._ended.set()
        if code and not self._is_asked_to_end:
            self._on_failed(self)
