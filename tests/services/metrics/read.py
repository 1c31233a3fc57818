"""Metrics as those who read them have them: parsed, and judged by Prometheus's own tools."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TypeAlias

import pytest
from prometheus_client.parser import text_string_to_metric_families

Series: TypeAlias = dict[str, float]
"""Values by name and labels, as the text has them: `arena_runs{state="stuck"}`."""

ACCOUNT = (
    "arena_persister_stored_total", "arena_persister_already_stored_total",
    "arena_persister_in_flight_events", "arena_persister_lost_total",
)  # fmt: skip


def parsed(text: str) -> Series:
    """All series of the text format; none may be there twice."""
    found: Series = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for each in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(each.labels.items()))
            key = f"{each.name}{{{labels}}}" if labels else each.name
            assert key not in found, key
            found[key] = each.value
    return found


def names(text: str) -> set[str]:
    """The names of all families, as queries use them."""
    return {each.name for family in text_string_to_metric_families(text) for each in family.samples}


def falling(before: Series, after: Series) -> list[str]:
    """The counters that are smaller than they were."""
    return [key for key, value in before.items() if "_total" in key and after[key] < value]


def tool(name: str) -> str:
    """The path of one of Prometheus's programs; skips the test where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"no {name} on PATH: install Debian's prometheus, or from prometheus.io")
    return path


def promtool(*words: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool("promtool"), *words], input=text, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
