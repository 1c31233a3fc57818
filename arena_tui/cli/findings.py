"""A finding of `doctor`, and how it is printed."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from arena_tui.cli.output import say, say_json
from arena_tui.store.owner import Owner

Section: TypeAlias = Literal[
    "Redis is down", "Redis is full", "Redis evicts", "Redis is slow", "Redis has no AOF",
    "Redis was restored", "The store is locked", "The store is damaged", "The disk is full",
    "A consumer lags", "A run is silent", "Events were lost", "The process is gone",
]  # fmt: skip
"""The headings of docs/RUNBOOK.md."""


class Finding(Struct, frozen=True):
    """Result of one check.

    Attributes:
        advice: What to do when it is not `ok`; when it is, what could be done.
        runbook: The section of docs/RUNBOOK.md that tells more.
        owner: Of the store: the process that has it open, if one shares it.
    """

    check: str
    ok: bool
    detail: str
    advice: str = ""
    runbook: Section | None = None
    owner: Owner | UnsetType = UNSET


def say_finding(finding: Finding, as_json: bool) -> None:
    """Print one JSON line; or, for people, one line, one more for the advice and one
    for the runbook."""
    if as_json:
        say_json(finding)
        return
    sign = "✓" if finding.ok else "✗"
    advice = f"\n    → {finding.advice}" if finding.advice else ""
    if finding.runbook:
        advice += f"\n    → docs/RUNBOOK.md: {finding.runbook}"
    for number, text in enumerate(f"{finding.detail}{advice}".splitlines()):
        say(f"{sign} {finding.check:<11} {text}" if number == 0 else text)
