"""A page with one run in it, which plays in a browser from a file. Loads and asks for nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

import msgspec

from arena_tui.codec import decode_event
from arena_tui.errors import UsageError
from arena_tui.events import OtherEvent
from arena_tui.store.archive_files import Rows
from arena_tui.store.archive_lines import line_of
from arena_tui.store.extract import EventRow

EVENTS_MAX: Final = 200_000
BYTES_MAX: Final = 100_000_000
"""Of the events as JSON: browsers take several times as much memory, and all at once."""

_STYLES: Final = (("http", "page.css"), ("replay", "replay.css"))
_SCRIPTS: Final = (("replay", "playhead.js"), ("http", "fold.js"), ("replay", "view.js"))
"""How a run is folded, and what colours mean, is one with the page that `serve` has."""

_ESCAPES: Final = (
    (b"<", rb"\u003c"), (b">", rb"\u003e"), (b"&", rb"\u0026"),
    ("\u2028".encode(), rb"\u2028"), ("\u2029".encode(), rb"\u2029"),
)  # fmt: skip
"""What could end the element or begin another; in JSON these stand in texts only."""


class _Halves(NamedTuple):
    before: bytes
    after: bytes


def page_texts(rows: Rows) -> Iterator[bytes]:
    """The page as UTF-8, in pieces of whole lines. Its policy allows its own style and script by
    their hashes, and nothing else; texts of events are data in it, never markup or script.

    Raises:
        UsageError: The run has more events, or larger ones, than a page may hold.
    """
    halves = _halves()
    yield halves.before
    events = size = 0
    for batch in rows:
        lines = []
        for row in batch:
            line = _line(row)
            events += row.ts is not None
            size += len(line)
            _check(events, size)
            lines.append(line + b"\n")
        text = b"".join(lines)
        for plain, escaped in _ESCAPES:
            text = text.replace(plain, escaped)
        yield text
    yield halves.after


def _check(events: int, size: int) -> None:
    limit = ""
    if events > EVENTS_MAX:
        limit = f"{EVENTS_MAX:,} events"
    elif size > BYTES_MAX:
        limit = f"{BYTES_MAX // 1_000_000:,} MB of JSON"
    if limit:
        raise UsageError(f"a page holds at most {limit}, and the run has more: export it as jsonl")


def _line(row: EventRow) -> bytes:
    """The row as a JSON line. As on the wire of `serve`, an event whose kind is not known, or not
    as it should be, is of kind `other` and has its payload in `raw`."""
    if row.ts is None or not isinstance(decode_event(row.payload.encode()), OtherEvent):
        return line_of(row)
    fields = {
        "run_id": row.run_id, "epoch": row.epoch, "seq": row.seq, "kind": "other", "ts": row.ts,
        "turn": row.turn, "agent_id": row.agent_id, "raw": msgspec.Raw(row.payload.encode()),
    }  # fmt: skip
    return msgspec.json.encode(fields)


@cache
def _halves() -> _Halves:
    """What stands before the events, and after them."""
    style = "\n".join(_text(*each) for each in _STYLES)
    script = "\n".join(_text(*each) for each in _SCRIPTS)
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    html = _text("replay", "index.html").replace("/* policy */", policy)
    html = html.replace("/* style */", style).replace("/* script */", script)
    before, _, after = html.partition("/* events */")
    return _Halves(before.encode(), after.encode())


def _text(package: str, name: str) -> str:
    folder = files(f"arena_tui.services.{package}") / "page"
    return (folder / name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
