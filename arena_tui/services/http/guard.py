"""Who may ask, and by what name: checked before anything is answered. Knows no routes.

A page of another site that a user has open can make a browser send requests here: its `Origin`
gives it away, or, where it has a name of its own resolve to this address, the `Host` does
(https://owasp.org/www-community/attacks/DNS_Rebinding). Beyond this machine a token is needed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final, Literal, TypeAlias, get_args
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arena_tui.broker.recent import Recent
from arena_tui.broker.warnings import Warnings
from arena_tui.services.http.address import Listening

Refusal: TypeAlias = Literal["host", "origin", "token", "malformed", "connections", "slow", "user"]

COOKIE: Final = "arena_tui"
_COOKIE_S: Final = 30 * 24 * 3600
_PEERS_KEPT: Final = 1_000
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST: Final = re.compile(r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]*)?", re.I)
_MAPPED: Final = "::ffff:"
"""Before the IPv4 address that was connected to, where both are listened for at once."""
SAFE_HEADERS: Final = {
    "content-security-policy": "default-src 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_WHY: Final[dict[Refusal, str]] = {
    "host": "not a name of this server",
    "origin": "a page of another site",
    "token": "no valid token",
    "malformed": "not a valid HTTP request, or too large",
    "connections": "too many connections",
    "slow": "it did not finish its request in time",
    "user": "another user of this machine",
}


class Refusals:
    """Counts what was refused; warns of each reason once for each address it came from."""

    def __init__(self, warnings: Warnings) -> None:
        self.counts: Counter[Refusal] = Counter()
        self._warnings = warnings
        self._warned: Recent[tuple[Refusal, str], bool] = Recent(_PEERS_KEPT)

    def by_reason(self) -> Mapping[str, int]:
        """The count of every reason there is, also of those that never came up."""
        return {reason: self.counts[reason] for reason in get_args(Refusal)}

    def add(self, reason: Refusal, peer: str) -> None:
        self.counts[reason] += 1
        if self._warned.get((reason, peer)) is None:
            self._warned[reason, peer] = True
            self._warnings.add("request_refused", peer=peer, why=_WHY[reason])


class Access:
    """Who may ask."""

    def __init__(self, listening: Listening) -> None:
        address, token, names = listening
        self._token = token
        self._names = _LOOPBACK | names | {address.host.lower()}
        if not address.is_loopback:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    def knows_host(self, host: str, local: str) -> bool:
        """Whether `host`, with a port or not, is a name of this server, reached at `local`."""
        found = _HOST.fullmatch(host)
        name = found and (found["ipv6"] or found["name"]).lower()
        return name in self._names | {local.removeprefix(_MAPPED)}

    def has_token(self, headers: Headers) -> bool:
        """Whether the request proves to know the token, if there is one."""
        if self._token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return True
        return _same(_cookie(headers), self.cookie)

    def is_token(self, given: str) -> bool:
        return self._token is not None and _same(given, self._token)

    @property
    def cookie(self) -> str:
        """What the cookie holds: derived from the token, which it does not give away."""
        return hmac.digest((self._token or "").encode(), b"cookie", hashlib.sha256).hex()


class Guard:
    """ASGI middleware that refuses whoever may not ask."""

    def __init__(self, app: ASGIApp, access: Access, refusals: Refusals) -> None:
        self._app = app
        self._access = access
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
                message = {**message, "headers": headers.raw}
            await send(message)

        headers = Headers(scope=scope)
        local = (scope.get("server") or ("", None))[0]
        hosts = headers.getlist("host")
        if _has_body(headers):
            await self._refuse(scope, send_safely, "malformed", 400)
        elif len(hosts) != 1 or not self._access.knows_host(hosts[0], local):
            await self._refuse(scope, send_safely, "host", 421)
        elif _is_of_another_site(headers, hosts[0]):
            await self._refuse(scope, send_safely, "origin", 403)
        elif (query := _without_token(scope, self._access)) is not None:
            await self._remember(scope, send_safely, query)
        elif not self._access.has_token(headers):
            await self._refuse(scope, send_safely, "token", 401)
        else:
            await self._app(scope, receive, send_safely)

    async def _refuse(self, scope: Scope, send: Send, reason: Refusal, status: int) -> None:
        self._refusals.add(reason, peer_of(scope))
        body = msgspec.json.encode({"error": f"refused: {_WHY[reason]}"}) + b"\n"
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await _answer(send, status, headers, body)

    async def _remember(self, scope: Scope, send: Send, query: str) -> None:
        """Go on without the token in the URL, where it would stay in histories and logs."""
        where = scope["raw_path"].decode("ascii") + (f"?{query}" if query else "")
        cookie = (
            f"{COOKIE}={self._access.cookie}; Path=/; Max-Age={_COOKIE_S}; HttpOnly; SameSite=Lax"
        )
        headers = [(b"location", b"/" + where.lstrip("/").encode()),
                   (b"set-cookie", cookie.encode())]  # fmt: skip
        await _answer(send, 303, headers, b"")


def peer_of(scope: Scope) -> str:
    """The address that a request came from."""
    return str((scope.get("client") or ("unix", 0))[0])


def _has_body(headers: Headers) -> bool:
    """Whether anything follows the head: nothing here takes it, and where it ends is what proxies
    may disagree on."""
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _is_of_another_site(headers: Headers, host: str) -> bool:
    """Whether a page of another site makes the browser ask; that a link leads here is no matter.

    Not every such request has an `Origin`: one for an image, say, has only what
    https://www.w3.org/TR/fetch-metadata/ defines.
    """
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        return True
    is_followed = headers.get("sec-fetch-mode") == "navigate"
    return headers.get("sec-fetch-site") in ("cross-site", "same-site") and not is_followed


def _without_token(scope: Scope, access: Access) -> str | None:
    """The query without the valid token that it has; None if it has none."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if not any(access.is_token(value) for name, value in pairs if name == "token"):
        return None
    return urlencode([(name, value) for name, value in pairs if name != "token"])


def _cookie(headers: Headers) -> str:
    for each in _cookies(headers):
        if COOKIE in each:
            return each[COOKIE].value
    return ""


def _cookies(headers: Headers) -> Iterator[SimpleCookie]:
    for each in headers.getlist("cookie"):
        try:
            yield SimpleCookie(each)
        except CookieError:
            continue


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
