"""A finding of `doctor`, and how it is printed."""

from __future__ import annotations

from msgspec import Struct

from arena_tui.cli.output import say, say_json


class Finding(Struct, frozen=True):
    """Result of one check; `advice` says what to do when it is not `ok`."""

    check: str
    ok: bool
    detail: str
    advice: str = ""


def say_finding(finding: Finding, as_json: bool) -> None:
    """Print one JSON line; or, for people, one line and one more for the advice."""
    if as_json:
        say_json(finding)
        return
    sign = "✓" if finding.ok else "✗"
    advice = f"\n    → {finding.advice}" if finding.advice else ""
    for number, text in enumerate(f"{finding.detail}{advice}".splitlines()):
        say(f"{sign} {finding.check:<11} {text}" if number == 0 else text)
