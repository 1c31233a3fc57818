"""Where the HTTP API listens, and for whom. Needs none of its libraries."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final, NamedTuple

from arena_tui.errors import ListenError, UsageError

HOST: Final = "127.0.0.1"
PORT: Final = 8737
_TOKEN_MIN: Final = 16
_BACKLOG: Final = 512
_SEND_BUFFER_BYTES: Final = 128 * 1024
"""Kept small, since it is what a client that stops reading costs besides its cursor."""


class Address(NamedTuple):
    """Host and port; port 0 is any that is free."""

    host: str = HOST
    port: int = PORT

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `HOST:PORT`, `HOST`, `:PORT` or `[IPV6]:PORT`; raises UsageError."""
        host, port = text, ""
        if text.startswith("["):
            host, _, rest = text[1:].partition("]")
            port = rest.removeprefix(":")
        elif text.count(":") == 1:
            host, _, port = text.partition(":")
        if port and not (port.isascii() and port.isdigit() and int(port) < 2**16):
            raise UsageError(f"{text[:60]!r} is no address: give HOST:PORT, 127.0.0.1:{PORT} say")
        return cls(host or HOST, int(port) if port else PORT)

    @classmethod
    def of(cls, host: str, port: str) -> Address:
        """Host and port as a command has them; raises UsageError."""
        return cls.parse(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def listen(self) -> socket.socket:
        """A socket bound to it.

        Raises:
            ListenError: It is taken, or is no address of this machine.
        """
        try:
            family, *_, where = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            bound = socket.socket(family, socket.SOCK_STREAM)
        except UnicodeError:  # a label that is empty, or too long
            raise self._refused("it is no name") from None
        except OSError as error:
            raise self._refused(error.strerror) from None
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            bound.bind(where)
            bound.listen(_BACKLOG)
        except OSError as error:
            bound.close()
            raise self._refused(error.strerror) from None
        bound.setblocking(False)
        return bound

    def _refused(self, why: str | None) -> ListenError:
        return ListenError(
            f"cannot listen on {self.host[:60]}:{self.port}: {why}: give another address"
        )


class Listening(NamedTuple):
    """How a server listens.

    Attributes:
        token: What requests must prove to know; needed unless the address is on loopback.
        names: Names it may be called by besides this machine's.
    """

    address: Address = Address()
    token: str | None = None
    names: frozenset[str] = frozenset()

    def check(self) -> None:
        """Raise UsageError where a token is needed and there is none, or it can be guessed."""
        if self.token is None and not self.address.is_loopback:
            raise UsageError(
                f"{self.address.host} can be reached from other machines: "
                "set ARENA_TOKEN to a secret"
            )
        if self.token is not None and (len(self.token) < _TOKEN_MIN or not self.token.isascii()):
            raise UsageError(f"ARENA_TOKEN is too short: give {_TOKEN_MIN} letters or more")
