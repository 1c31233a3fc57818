"""The page at `/`: one answer with all its style and script, which a browser runs and no other."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

_SCRIPTS: Final = ("stream.js", "fold.js", "view.js")


class Page(NamedTuple):
    """The page, and the policy under which a browser shows it."""

    html: str
    policy: str


@cache
def page() -> Page:
    """Put the page together. Its policy allows its own style and script by their hashes, requests
    to this server, and nothing else: markup in an event's text would be inert."""
    folder = files("arena_tui.services.http") / "page"
    style = (folder / "page.css").read_text("utf-8")
    script = "\n".join((folder / name).read_text("utf-8") for name in _SCRIPTS)
    html = (folder / "index.html").read_text("utf-8")
    html = html.replace("/* style */", style).replace("/* script */", script)
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return Page(html, policy)


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
