"""Which run each line of an input is of, when ids are taken. Publishes nothing itself."""

from __future__ import annotations

from collections.abc import Callable

from arena_tui.events import Event, RunStart
from arena_tui.producers.lines import Line, Publish
from arena_tui.producers.sink import MultiRunBrokerSink


class BegunRuns:
    """Publishes the lines from a `run_start` on under the id that is the run's own.

    That is another one than in the line if a run of that id goes on elsewhere, or has ended. Lines
    of runs that began elsewhere are only forwarded.

    Args:
        name: Gives an id to a run that begins: the one that is wanted, or one that is free.

    Attributes:
        runs: Ids of the runs published to.
    """

    def __init__(
        self, sink: MultiRunBrokerSink, publish: Publish, name: Callable[[str], str]
    ) -> None:
        self.runs: set[str] = set()
        self._sink = sink
        self._publish = publish
        self._name = name
        self._in_force: dict[str, str] = {}

    def publish(self, run_id: str, event: Event, line: Line) -> None:
        """See `Publish`."""
        in_force = self._in_force.get(run_id, run_id)
        if type(event) is RunStart and not self._sink.is_open(in_force):
            in_force = self._in_force[run_id] = self._name(run_id)
        self._publish(in_force, event, line)
        self.runs.add(in_force)
