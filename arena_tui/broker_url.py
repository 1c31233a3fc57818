"""The broker's URL, which never shows its password. Connects to nothing."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urlencode

from arena_tui.errors import UsageError

DEFAULT_PORT: Final = 6379
_SCHEMES: Final = ("redis", "rediss", "unix")
_TLS_OPTIONS: Final = (
    "ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile",
    "ssl_check_hostname",
)  # fmt: skip
_PREFIX: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_ELSEWHERE: Final = re.compile(
    r"(?:redis[a-z]*|valkey[a-z]*)?[+-]?(?P<kind>sentinel|cluster)s?:", re.IGNORECASE
)
_CERT_REQS: Final = ("none", "optional", "required")
_QUERY: Final = re.compile(
    rf"\?(?=(?:\w+=[^&]*&)*(?:db|prefix|username|password|{'|'.join(_TLS_OPTIONS)})=)",
    re.IGNORECASE,
)
_HOST: Final = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<name>[^\s:%\[\]\\#]+))(?::(?P<port>.*))?")
_SERVER: Final = re.compile(r"(?:[^?:/\[\]]+|\[[^\]]+\])(?::\d+)?(?:/[^?]*)?")
_PASSWORD: Final = re.compile(r"(://[^:@\s]*:).*@", re.DOTALL)
_QUERY_PASSWORD: Final = re.compile(r"([?&]password=)[^&]*", re.IGNORECASE)
_OTHER_KINDS: Final = {
    "sentinel": "the broker is not looked up by Sentinel: "
                "give the URL of the primary itself, redis://host:6379/0",
    "cluster": "the broker cannot be a Redis Cluster: "
               "give a single server (with replicas), redis://host:6379/0",
}  # fmt: skip
_EXAMPLE: Final = "write {}://user:password@host:6379/0, with only the host needed"


class BrokerUrl:
    """The broker of this process, `memory:`, or the URL of a Redis server.

    `redis://[user[:password]@]host[:port][/db]`, the same with `rediss:` for TLS, and
    `unix://[user:password@]/path[?db=n]`. `?prefix=team1:`
    begins the names of all keys, on a server that others use, too. The password may be
    percent-encoded or literal. Only
    `reveal` and `unmasked` return it: str, repr and format mask it, and no message contains it.
    Equal by value.

    Args:
        text: The URL. An invalid one does not raise, but sets `problem`.
        password: Used when the URL is a server's and has none.

    Attributes:
        kind: `memory` or `redis`.
        prefix: What the names of all keys on the server begin with; empty for nothing.
        place: Human-readable location: `127.0.0.1:6379`, a socket's path, `in-process`.
        is_loopback: Whether it is on this machine.
        port: Of a server that is reached by TCP; else None.
        is_encrypted: Whether the connection uses TLS.
        problem: Why the URL is invalid and what to write instead, or None.
    """

    def __init__(self, text: str = "memory:", password: str | None = None) -> None:
        safe, own = split_password(text.strip())
        self.problem: str | None = None
        try:
            found = _parse(safe)
        except ValueError as error:
            self.problem = str(error)
            scheme = safe.partition("://")[0]
            known = scheme if scheme in _SCHEMES else "unknown"
            found = _Parts(known, "", safe, "…", local=False, prefix="")
        in_process = found.scheme == "memory"
        self.kind: Literal["memory", "redis"] = "memory" if in_process else "redis"
        self.prefix = found.prefix
        self.place = f"{found.place}?prefix={found.prefix}" if found.prefix else found.place
        self.is_loopback = found.local
        self.is_encrypted = found.scheme == "rediss"
        self.port = found.port
        self._before = "memory:" if in_process else f"{found.scheme}://{found.user}"
        self._after = found.after
        self._password = None if in_process else own or password or None

    def reveal(self) -> str:
        """The URL with its password, percent-encoded, and without the prefix, as Redis clients
        expect it.

        Raises:
            UsageError: The URL is invalid.
        """
        if self.problem is not None:
            raise UsageError(self.problem)
        password = self._password
        return self._text(password and quote(password, safe="", errors="replace"))

    @property
    def has_password(self) -> bool:
        """Whether one was given."""
        return bool(self._password)

    def unmasked(self) -> str:
        """The whole URL, with its password: only for the environment of a child."""
        return self._with_prefix(self.reveal())

    def or_password(self, password: str | None) -> BrokerUrl:
        """This URL, with `password` when it is a server's and has none."""
        if not password or self._password or self.problem or self.kind == "memory":
            return self
        return BrokerUrl(str(self), password)

    def __str__(self) -> str:
        if self.problem is not None:
            return f"{self._before}…"
        return self._with_prefix(self._text(None if self._password is None else "…"))

    def __repr__(self) -> str:
        return f"BrokerUrl({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BrokerUrl) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self._before, self._after, self._password, self.prefix))

    def _with_prefix(self, text: str) -> str:
        return f"{text}{'&' if '?' in text else '?'}prefix={self.prefix}" if self.prefix else text

    def _text(self, password: str | None) -> str:
        if password is not None:
            return f"{self._before}:{password}@{self._after}"
        at = "@" if not self._before.endswith((":", "/")) else ""
        return f"{self._before}{at}{self._after}"


class _Parts(NamedTuple):
    """A URL without its password, which belongs between `scheme://user` and `after`."""

    scheme: str
    user: str
    after: str
    place: str
    local: bool
    prefix: str
    port: int | None = None


def redacted(text: str) -> str:
    """The text with the password of a URL masked.

    A password may contain any character: all text up to the last `@` is masked with it.
    """
    return _QUERY_PASSWORD.sub(r"\1…", _PASSWORD.sub(r"\1…@", text))


def split_password(url: str) -> tuple[str, str | None]:
    """A server's URL without its password, and the decoded password; other text unchanged.

    Never raises. A password may contain any character: the last `@` before the query ends it, and
    a query follows a server's address.
    """
    scheme, mark, rest = url.partition("://")
    scheme = scheme.lower()
    if not mark or scheme not in _SCHEMES:
        return url, None
    is_path = scheme == "unix"
    queries = () if is_path else _QUERY.finditer(rest)
    before = (rest[: found.start()] for found in queries)
    known = next((text for text in before if _SERVER.fullmatch(text[text.rfind("@") + 1 :])), None)
    at = _end_of_credentials(rest if known is None else known, is_path)
    start = rest.find("?", at + 1) if known is None else len(known)
    server, query = (rest[at + 1 :], "") if start < 0 else (rest[at + 1 : start], rest[start + 1 :])
    user, _, password = rest[: max(0, at)].partition(":")
    pairs = [pair.partition("=") for pair in query.split("&")]
    given = [value for name, _, value in pairs if name.lower() == "password"]
    others = "&".join("".join(pair) for pair in pairs if pair[0].lower() != "password")
    others = others.replace("@", "%40").replace("?", "%3F")
    found = _decoded(password) or (unquote_plus(given[0]) if given else "")
    name = f"{quote(_decoded(user), safe='', errors='replace')}@" if user else ""
    return f"{scheme}://{name}{server}{'?' if others else ''}{others}", found or None


def _end_of_credentials(text: str, is_path: bool) -> int:
    """Index of the `@` that ends user and password; -1 without one."""
    if not is_path:
        return text.rfind("@")
    if text.startswith("/"):
        return -1
    found = text.rfind("@/")
    return found if found >= 0 else text.rfind("@")


def _decoded(text: str) -> str:
    """The text percent-decoded, or unchanged when that is not UTF-8."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def _parse(text: str) -> _Parts:
    """Parse what `split_password` returned.

    Raises:
        ValueError: The URL is invalid; the message says why and quotes at most its scheme.
    """
    scheme, mark, rest = text.partition("://")
    if text == "memory:":
        return _Parts("memory", "", "", "in-process", local=True, prefix="")
    if found := _ELSEWHERE.match(text):
        raise ValueError(_OTHER_KINDS[found["kind"].lower()])
    if not mark or scheme not in _SCHEMES:
        raise ValueError(
            f"unknown broker {_scheme_shown(text)!r}: "
            "use memory:, redis://host:6379/0, rediss://… or unix:///path"
        )
    named = "@" in rest and not rest.startswith("/")  # `split_password` quotes the user
    user, server = rest.split("@", 1) if named else ("", rest)
    server, _, query = server.partition("?")
    options = {name.lower(): value for name, value in parse_qsl(query, keep_blank_values=True)}
    user = user if named else quote(options.pop("username", ""), safe="")
    options.pop("username", None)
    prefix = options.pop("prefix", "")
    if prefix and not _PREFIX.fullmatch(prefix):
        raise ValueError(
            "the broker's prefix has other characters than A-Z a-z 0-9 . _ : -, or over 64: "
            "write ?prefix=team1:"
        )
    if scheme == "unix":
        return _parse_path(server, user, options)._replace(prefix=prefix)
    return _parse_server(scheme, server, user, options)._replace(prefix=prefix)


def _parse_path(server: str, user: str, options: dict[str, str]) -> _Parts:
    path = _decoded(server)
    if not path.startswith("/") or not path.isprintable():
        raise ValueError("the broker's socket has no path from /: write unix:///path?db=0")
    db = _number_of_db(options.pop("db", ""), "unix:///path?db=0")
    _refuse(options, "unix", ("db",))
    after = quote(path, errors="surrogateescape") + (f"?db={db}" if db else "")
    return _Parts("unix", user, after, path, local=True, prefix="")


def _parse_server(scheme: str, server: str, user: str, options: dict[str, str]) -> _Parts:
    example = _EXAMPLE.format(scheme)
    address, _, db = server.partition("/")
    found = _HOST.fullmatch(address)
    host = (found["name"] or found["six"]).lower() if found else ""
    if found is None or not host.isprintable() or (found["six"] and _address(host) is None):
        raise ValueError(f"the broker's URL names no host: {example}")
    if found["six"] is not None:
        host = f"[{host}]"
    port = found["port"] or str(DEFAULT_PORT)
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65_536):
        raise ValueError(f"the broker's port is no number from 1 to 65535: {example}")
    number = _number_of_db(options.pop("db", "") or db.strip("/"), example)
    if scheme == "rediss":
        given = options.get("ssl_cert_reqs")
        if given is not None:
            options["ssl_cert_reqs"] = given.lower().removeprefix("cert_")
            if options["ssl_cert_reqs"] not in _CERT_REQS:
                raise ValueError("the broker's ssl_cert_reqs is not none, optional or required")
    _refuse(options, scheme, ("db", *_TLS_OPTIONS) if scheme == "rediss" else ("db",))
    place = f"{host}:{int(port)}"
    query = f"?{urlencode(sorted(options.items()))}" if options else ""
    return _Parts(
        scheme, user, f"{place}/{number}{query}", place, _is_loopback(host), "", int(port)
    )


def _number_of_db(text: str, example: str) -> int:
    if text and not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError(f"the broker's database is no number from 0: {example}")
    return int(text or 0)


def _refuse(options: dict[str, str], scheme: str, known: tuple[str, ...]) -> None:
    if not options.keys() <= set(known):
        usable = ", ".join((*known, "prefix"))
        raise ValueError(f"the broker's URL has an option that {scheme}:// does not: use {usable}")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host.strip("[]"))
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address is not None and (mapped or address).is_loopback


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(_decoded(host))
    except ValueError:
        return None


def _scheme_shown(text: str) -> str:
    """The part of an unknown broker's URL that cannot contain a password."""
    found = re.match(r"[a-z][a-z0-9+.-]{0,20}:", text, re.IGNORECASE)
    if found:
        return f"{found[0]}…"
    return "…" if set(text) & set(":@/") else text[:40]
