"""The command line in processes that a ready one forks: Python starts, and imports, only once.

Each command is a process of its own, with its own arguments, environment, folder, streams and exit
code, and it ends as any other does. Only its interpreter was started before.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import NoReturn, TextIO

from arena_tui import cli

ARENA = [sys.executable, "-m", "arena_tui"]
_ROOT = Path(__file__).parents[1]
_ALSO = ["duckdb", "redis.asyncio", "arena_tui.services.runtime", "arena_tui.broker.redis.broker"]
"""What commands import once they run."""
_TIMEOUT_S = 120.0
_OF_PYTHON = ("PYTHON", "LC_", "LANG")
"""How variables begin that an interpreter reads when it starts."""


class Ready:
    """A process that has imported the commands, in an environment; it ends with this one.

    Its commands start in that environment, as far as their interpreter goes.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.ready", str(theirs.fileno())], cwd=_ROOT,
                env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )  # fmt: skip
        self._channel = ours
        atexit.register(self.close)

    def run(
        self, words: Sequence[str], given: str, environment: Mapping[str, str],
        timeout_s: float = _TIMEOUT_S, encoding: str = "utf-8",
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a command to its end, in the folder of this process; what is `given` is its input.

        Raises:
            TimeoutExpired: It took longer, and was killed.
        """
        told, theirs = socket.socketpair()
        told.settimeout(timeout_s)
        with ExitStack() as ours, told.makefile("rw") as said:
            ours.enter_context(told)
            with ExitStack() as of_command:
                of_command.enter_context(theirs)
                pipes = [os.pipe() for _ in range(3)]
                ends = [pipes[0][0], pipes[1][1], pipes[2][1]]
                for end in ends:
                    of_command.callback(os.close, end)
                socket.send_fds(self._channel, [b"."], [*ends, theirs.fileno()])
            source = os.fdopen(pipes[0][1], "w", encoding=encoding)
            outputs = [_Output(os.fdopen(pipe[0], encoding=encoding)) for pipe in pipes[1:]]
            json.dump([list(words), dict(environment), os.getcwd()], said)
            print(file=said, flush=True)
            pid = int(said.readline())
            try:
                with suppress(BrokenPipeError), source:
                    source.write(given)
                code = os.waitstatus_to_exitcode(int(said.readline()))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired([*ARENA, *words], timeout_s) from None
            return subprocess.CompletedProcess(
                [*ARENA, *words], code, *(output.text() for output in outputs)
            )

    def close(self) -> None:
        """End it; repeated calls do nothing."""
        self._channel.close()
        self._process.wait()


class _Output:
    """What a command writes to a stream, read while it runs."""

    def __init__(self, stream: TextIO) -> None:
        self._text = ""
        self._stream = stream
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def text(self) -> str:
        """All of it, once nobody can write any more."""
        self._thread.join()
        return self._text

    def _read(self) -> None:
        with self._stream:
            self._text = self._stream.read()


@cache
def _usual() -> Ready:
    return Ready(os.environ)


_STARTED_IN = {name: text for name, text in os.environ.items() if name.startswith(_OF_PYTHON)}


def run_arena(
    words: Sequence[str], given: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; a new interpreter runs it where that is to start differently."""
    asked = {name: text for name, text in environment.items() if name.startswith(_OF_PYTHON)}
    if asked == _STARTED_IN:
        return _usual().run(words, given, environment)
    return subprocess.run(
        [*ARENA, *words], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
        input=given, env=environment,
    )  # fmt: skip


def _serve(channel: socket.socket) -> None:
    """Fork a command for each that is asked for, and tell how it ended; returns in a command."""
    for module in iter_modules(cli.__path__, "arena_tui.cli."):
        import_module(module.name)
    for name in _ALSO:
        import_module(name)
    gc.freeze()  # a command that ends looks at nothing of what it shares with this process
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([channel, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            for pid in [*running]:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    with running.pop(pid) as told, suppress(OSError):
                        told.sendall(b"%d\n" % status)
        if channel not in ready:
            continue
        asked, handles, _, _ = socket.recv_fds(channel, 1, 4)
        if not asked:
            sys.exit()
        told = socket.socket(fileno=handles.pop())
        pid = os.fork()
        if pid:
            running[pid] = told
            for each in handles:
                os.close(each)
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(woken)
        os.close(wake)
        for other in (channel, *running.values()):
            other.close()
        return _become(handles, told)


def _become(handles: list[int], told: socket.socket) -> None:
    """Take on what the command asked for is to have: all but its interpreter."""
    for number, handle in enumerate(handles):
        os.dup2(handle, number)
        os.close(handle)
    with told, told.makefile("rw") as said:
        words, environment, folder = json.loads(said.readline())
        print(os.getpid(), file=said, flush=True)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.path[0] = folder
    sys.argv = [str(Path(cli.__file__).parents[1] / "__main__.py"), *words]
    sys.orig_argv = [*ARENA, *words]


def _main() -> NoReturn:
    _serve(socket.socket(fileno=int(sys.argv[1])))
    sys.exit(cli.main())


if __name__ == "__main__":
    _main()
