"""A Redis server that tests may suspend, limit and start again, and the kinds there are."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from arena_tui.services.servers import RedisServer, server_candidates, server_name


class OwnServer(RedisServer):
    """A server of a test's own, which it may suspend and start again.

    Args:
        extra: More server options, e.g. `("--maxmemory", "4mb")`; they override the others.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        aof: bool = True,
        binary: Path | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        super().__init__(folder, port=port, aof=aof, binary=binary)
        self._extra = extra

    def command(self, port: int) -> list[str]:
        return [*super().command(port), *self._extra]

    def restart(self) -> None:
        """Stop it if it runs; start it on the same port with the same data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Suspend it (SIGSTOP): connections stay open, unanswered until `resume`.

        Returns once it is suspended.
        """
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def resume(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)


def server_binaries() -> dict[str, Path]:
    """Usable servers on this machine by name, e.g. `redis 7.0.15`; the preferred one first."""
    found: dict[str, Path] = {}
    for path in server_candidates():
        name = server_name(path)
        if name is not None:
            found.setdefault(name, path)
    return found
