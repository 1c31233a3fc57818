"""A `Run` that keeps what it is told, for tests of games."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from arena_tui.codec import sealed
from arena_tui.events import AgentInfo, Event
from arena_tui.producers.run import Run


class Recorder:
    """Opens runs as a broker would, and keeps their events by run, in order of opening."""

    def __init__(self) -> None:
        self.runs: dict[str, list[Event]] = {}
        self._lock = threading.Lock()

    def emit(self, run_id: str, event: Event) -> None:
        sealed(event)
        with self._lock:
            self.runs.setdefault(run_id, []).append(event)

    def open_run(
        self,
        game: str,
        agents: Sequence[str | AgentInfo] = (),
        *,
        seed: int | None = None,
        label: str | None = None,
        tags: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
    ) -> Run:
        return Run(
            self.emit, game, agents, seed=seed, label=label, tags=tags, config=config
        )  # fmt: skip

    @property
    def events(self) -> list[Event]:
        """The events of the only run."""
        (events,) = self.runs.values()
        return events

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]


def plain(events: Sequence[Event]) -> list[dict[str, Any]]:
    """The events without their times."""
    return [
        {key: value for key, value in msgspec.to_builtins(event).items() if key != "ts"}
        for event in events
    ]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def record() -> type[Recorder]:
    """For tests that need several."""
    return Recorder


@pytest.fixture
def without_times():
    return plain
